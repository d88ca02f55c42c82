//! Building LuaJIT with its own makefile.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use crate::link::Library;
use crate::puc::{LOADER, WRAPPING};
use crate::version::{Kind, Version};
use crate::{additions, copy_tree, out_dir, target};

/// Programs that a release may ship ready-made; what runs during a build is made during the build.
const PREBUILT: [&str; 3] = ["src/luajit", "src/host/minilua", "src/host/buildvm"];

/// Errors are unwound by LuaJIT itself instead of by the system's unwinder. That one cannot leave
/// compiled code, so in 2.0 an allocation that fails there would end the process; and it takes
/// several times as long.
const UNWINDING: &str = "LUAJIT_NO_UNWIND";

/// Compiled code looks at each turn of a loop whether there is a hook. Without it, such a loop cannot be
/// stopped. The price, by the LuaJIT 2.1 of this table: 0 to 4 % in loops that do next to nothing.
const STOPPING: &str = "LUAJIT_ENABLE_CHECKHOOK";

/// Makes the static library.
pub(crate) fn compile(version: &Version, source: &Path) -> Library {
    assert!(
        target("FAMILY").split(',').any(|family| family == "unix"),
        "LuaJIT is built with make, which needs a Unix-like target; on others leave {} out \
         (LUPA_BACKENDS) or link an installed one (LUPA_{}_LIB)",
        version.name,
        version.name.to_uppercase()
    );
    let build = out_dir().join("luajit");
    let _ = fs::remove_dir_all(&build);
    copy_tree(source, &build).expect("the LuaJIT sources can be copied");
    let Kind::LuaJit { release } = version.kind else {
        unreachable!("{} is no LuaJIT", version.name)
    };
    if let Some(file) = release {
        let file = source.parent().expect("inside the sources").join(file);
        let text = fs::read(&file).expect("the release file can be read");
        fs::write(build.join(".relver"), text).expect("the release file can be written");
    }
    let files: BTreeSet<_> = version.fixes().map(|fix| fix.file).collect();
    for file in files {
        version.mend(&build.join(file));
    }
    make_stoppable(&build.join("src"));
    for program in PREBUILT {
        let _ = fs::remove_file(build.join(program));
    }
    // The optimisation is the makefile's; of the environment's flags it gets all.
    let mut config = cc::Build::new();
    config.no_default_flags(true).inherit_rustflags(false);
    let tool = config.get_compiler();
    let compiler = command_line(&tool);
    let flags = words(tool.args());
    let archiver = config.get_archiver();
    let archiver = archiver.get_program().to_string_lossy().into_owned();
    let loader: String =
        LOADER.iter().map(|function| format!(" -D{function}=lupa_{function}")).collect();
    let variables = [
        "BUILDMODE=static".to_owned(),
        format!("XCFLAGS=-fPIC {WRAPPING} -D{UNWINDING} -D{STOPPING}{loader}{}", checks()),
        format!("HOST_CC={}", host_compiler()),
        format!("STATIC_CC={compiler}"),
        format!("TARGET_CFLAGS={flags}"),
        format!("TARGET_LD={compiler}"),
        format!("TARGET_AR={archiver} rcus"),
    ];
    run(make(&build).args(&variables).arg("clean"));
    let jobs = env::var("NUM_JOBS").unwrap_or_else(|_| "1".into());
    run(make(&build).args(&variables).arg(format!("-j{jobs}")).arg("libluajit.a"));
    let name = format!("lupa_{}", version.name);
    let library = out_dir().join(format!("lib{name}.a"));
    fs::copy(build.join("src/libluajit.a"), library).expect("the library was made");
    Library { name, directory: out_dir() }
}

/// Lets another thread set a hook; see `lua_api::watch`.
fn make_stoppable(sources: &Path) {
    let ours = additions();
    let add = |name: &str, defines: &str, mend: fn(String) -> String| {
        let file = sources.join(name);
        let theirs = fs::read_to_string(&file).expect("a source file can be read");
        let added = fs::read_to_string(ours.join(format!("with_{name}"))).expect("ours is there");
        fs::write(&file, [defines, &mend(theirs), &added].concat()).expect("it can be written");
    };
    add("lj_dispatch.c", "#define lua_sethook lupa_their_sethook\n", rename_update);
    add("lj_state.c", "#define lj_gc_freeall lupa_gc_freeall\n", |theirs| theirs);
    add("lj_api.c", "", |theirs| theirs);
    add("lj_err.c", "", |theirs| theirs);
    for name in ["entries.h", "lj_move.h", "read_entries.h", "room.h", "stop.h", "wait.h"] {
        fs::copy(ours.join(name), sources.join(name)).expect("ours can be copied");
    }
}

/// Gives the definition of `lj_dispatch_update`, but not its uses, another name.
fn rename_update(theirs: String) -> String {
    let is_definition =
        |line: &&str| line.starts_with("void ") && line.contains("lj_dispatch_update(");
    let found: Vec<_> = theirs.lines().filter(is_definition).collect();
    let [definition] = found[..] else { panic!("lj_dispatch_update is not defined once") };
    theirs
        .replace(definition, &definition.replace("lj_dispatch_update", "lupa_raw_dispatch_update"))
}

/// The compiler of the programs that run during the build; without this the makefile wants gcc.
fn host_compiler() -> String {
    let host = env::var("HOST").expect("called from a build script");
    let mut config = cc::Build::new();
    config.no_default_flags(true).inherit_rustflags(false).host(&host).target(&host);
    command_line(&config.get_compiler())
}

/// A compiler with the wrapper that it may have (`ccache cc`).
fn command_line(tool: &cc::Tool) -> String {
    let wrapped = tool.cc_env();
    if wrapped.is_empty() { tool.path().display().to_string() } else { words(&[wrapped]) }
}

fn words(list: &[OsString]) -> String {
    let list: Vec<_> = list.iter().map(|word| word.to_string_lossy()).collect();
    list.join(" ")
}

fn checks() -> &'static str {
    let wanted =
        env::var_os("LUPA_APICHECK").is_some_and(|value| !value.is_empty() && value != "0");
    if wanted { " -DLUA_USE_APICHECK -DLUA_USE_ASSERT" } else { "" }
}

fn make(build: &Path) -> Command {
    let mut make = Command::new(env::var_os("MAKE").unwrap_or_else(|| "make".into()));
    make.arg("-C").arg(build.join("src"));
    // Cargo's own job server and flags for another make would only confuse this one.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS").env_remove("CFLAGS");
    match target("OS").as_str() {
        "linux" => {
            make.arg("TARGET_SYS=Linux");
        }
        "macos" => {
            make.arg("TARGET_SYS=Darwin");
            // LuaJIT refuses to be built without it; what is linked with it is for rustc's oldest.
            if env::var_os("MACOSX_DEPLOYMENT_TARGET").is_none() {
                make.env("MACOSX_DEPLOYMENT_TARGET", oldest_macos());
            }
        }
        _ => {}
    }
    make
}

/// The oldest macOS that rustc's code for this target runs on.
fn oldest_macos() -> String {
    let rustc = env::var_os("RUSTC").expect("called from a build script");
    let target = env::var_os("TARGET").expect("called from a build script");
    let answer = Command::new(rustc)
        .args(["--print", "deployment-target", "--target"])
        .arg(target)
        .output()
        .expect("rustc can be run");
    // MACOSX_DEPLOYMENT_TARGET=11.0
    let answer = String::from_utf8_lossy(&answer.stdout);
    let (_, version) = answer.trim().split_once('=').expect("rustc names a version");
    version.to_owned()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("make cannot be run: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
