//! Compiling the reference implementation.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use crate::link::Library;
use crate::version::Version;
use crate::{additions, copy_tree, out_dir, target};

/// Files that are compiled by way of ours (`with_ldo.c`), which include them; see `lua_api::watch`.
const ADDED_TO: [&str; 3] = ["ldo.c", "lstate.c", "ldebug.c"];

/// Functions of the system's loader that Lua calls through ours, which binds a binary module to the Lua that loads it; see
/// `lua_api::dl`.
pub(crate) const LOADER: [&str; 3] = ["dlopen", "dlsym", "dlerror"];

/// Integers wrap in the libraries, which get them from scripts. Older Luas find out after the fact that one has (`unpack({}, -2^31, 1)`), which a
/// compiler may take for something that cannot happen; the process then crashes.
pub(crate) const WRAPPING: &str = "-fwrapv";

/// Files whose code runs seldom or waits for the system: `-O3` would only make it larger.
const COLD: [&str; 10] = [
    "lcode.c",
    "ldblib.c",
    "ldebug.c",
    "ldump.c",
    "linit.c",
    "liolib.c",
    "loadlib.c",
    "loslib.c",
    "lparser.c",
    "lundump.c",
];

/// The interpreter's loop, and calls: where its code happens to lie makes up to 15 % of the time of a program.
const HOT: [&str; 2] = ["lvm.c", "ldo.c"];

/// So it is told where to lie; and that the jump from each instruction to the next one is to stay where it is,
/// though it looks the same everywhere.
const PLACED: [&str; 5] = [
    "-falign-functions=64",
    "-falign-loops=32",
    "-falign-labels=32",
    "-fno-gcse",
    "-fno-crossjumping",
];

/// Compiles all C files into a static library.
///
/// Apart from what the system needs, nothing is defined: the compatibility switches are those of
/// each Lua's own `luaconf.h`, as in the wheels of lupa.
pub(crate) fn compile(version: &Version, source: &Path) -> Library {
    let name = format!("lupa_{}", version.name);
    let mut build = cc::Build::new();
    build.warnings(false).opt_level(3).pic(true).cargo_metadata(false);
    let ours = additions();
    // All files are copied: who includes a header that is mended has to find that one.
    let copy = out_dir().join("lua");
    let _ = fs::remove_dir_all(&copy);
    copy_tree(source, &copy).expect("the sources of Lua can be copied");
    let mended: BTreeSet<_> = version.fixes().map(|fix| fix.file).collect();
    for file in mended {
        version.mend(&copy.join(file));
    }
    build.include(&copy).include(&ours);
    build.flag_if_supported("-fno-math-errno").flag_if_supported("-fno-plt");
    let unix = target("FAMILY").split(',').any(|family| family == "unix");
    if unix {
        // `io.popen`, `os.tmpname` without a race, and C modules by `dlopen`.
        build.define("LUA_USE_POSIX", None).define("LUA_USE_DLOPEN", None);
    } else if target("OS") == "windows" {
        build.define("LUA_BUILD_AS_DLL", None);
    }
    if env::var_os("LUPA_APICHECK").is_some_and(|value| !value.is_empty() && value != "0") {
        build.define("LUA_USE_APICHECK", None);
        if version.name == "lua51" {
            build.define("luai_apicheck(L,o)", "assert(o)").flag("-include").flag("assert.h");
        }
    }
    let mut hot = build.clone();
    // LLVM up to 22 ends with an internal error where it writes unwinding tables for such code on Windows ARM64.
    if !(target("OS") == "windows" && target("ARCH") == "aarch64") {
        for flag in PLACED {
            hot.flag_if_supported(flag);
        }
    }
    let mut libraries = build.clone();
    libraries.flag_if_supported(WRAPPING);
    let mut cold = libraries.clone();
    cold.opt_level(2);
    let mut loader = cold.clone();
    // Of a build that makes no library, cargo is only told which variables it depends on.
    loader.cargo_metadata(true);
    if unix {
        for function in LOADER {
            loader.define(function, format!("lupa_{function}").as_str());
        }
    }
    let mut files: Vec<_> = fs::read_dir(&copy)
        .unwrap_or_else(|error| panic!("no Lua sources in {}: {error}", copy.display()))
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    for path in &files {
        let stem = path.file_name().unwrap_or_default();
        let part = if HOT.iter().any(|name| stem == *name) { &mut hot } else { &mut build };
        if ADDED_TO.iter().any(|name| stem == *name) {
            part.file(ours.join(format!("with_{}", stem.display())));
        } else if stem == "loadlib.c" {
            loader.file(path);
        } else if COLD.iter().any(|cold| stem == *cold) {
            cold.file(path);
        } else if path.to_string_lossy().ends_with("lib.c") {
            libraries.file(path);
        } else if stem != "lua.c" && stem != "luac.c" && stem != "print.c" {
            part.file(path);
        }
    }
    build.file(ours.join("entries.c"));
    loader.get_archiver();
    for part in [loader, libraries, cold, hot] {
        for object in part.compile_intermediates() {
            build.object(object);
        }
    }
    build.compile(&name);
    Library { name, directory: out_dir() }
}
