//! Arguments for cargo and the linker.

use std::path::PathBuf;
use std::{env, fs};

use crate::{additions, out_dir, target};

/// A static library that was made.
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
}

/// Links a library that was made here, whole. `lua_api::export_lua` says which symbols are
/// exported, except on macOS.
pub(crate) fn bundled(library: &Library) {
    println!("cargo:rustc-link-search=native={}", library.directory.display());
    // Whole: a binary module may need functions of the API that Rust does not.
    println!("cargo:rustc-link-lib=static:+whole-archive,-bundle={}", library.name);
    match target("OS").as_str() {
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd" | "dragonfly" => {
            println!("cargo:rustc-link-lib=m");
            if target("OS") == "linux" {
                println!("cargo:rustc-link-lib=dl");
            }
            // Each module calls its own Lua, whatever else the process has loaded.
            println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic");
        }
        "macos" => {
            for pattern in ["_lua_*", "_luaL_*", "_luaopen_*", "_luaJIT_*"] {
                println!("cargo:rustc-cdylib-link-arg=-Wl,-exported_symbol,{pattern}");
            }
        }
        _ => {}
    }
}

/// Links the system's unwinder if `LUPA_LIBGCC` is set, where the linker (zig) would put one of its own into
/// the module.
///
/// The system's also runs in such a process: when glibc ends a thread, as Python has it do with daemon
/// threads at exit, it goes through the frames of the module. Each unwinder knows only its own structures,
/// so a module with another one crashes there.
pub(crate) fn unwinder() {
    println!("cargo:rerun-if-env-changed=LUPA_LIBGCC");
    if !env::var("LUPA_LIBGCC").is_ok_and(|value| value == "1") {
        return;
    }
    // Before the standard library, which asks for the other one: the first one that is named is taken.
    const FILE: &str = "libgcc_s.so.1";
    let directory = out_dir().join("unwinder");
    fs::create_dir_all(&directory).expect("cargo's folder can be written to");
    let made = cc::Build::new()
        .get_compiler()
        .to_command()
        .args(["-shared", "-nostdlib", "-fno-builtin"])
        .arg(format!("-Wl,-soname,{FILE}"))
        .arg("-o")
        .arg(directory.join(FILE))
        .arg(additions().join("libgcc_s.c"))
        .status();
    assert!(made.is_ok_and(|status| status.success()), "no {FILE} to link with can be made");
    println!("cargo:rustc-link-search=native={}", directory.display());
    println!("cargo:rustc-link-lib=dylib:+verbatim={FILE}");
}

/// Leaves Python's symbols to whichever Python loads the module. Other linkers do so unasked, or (on
/// Windows) have been told of its library by pyo3.
pub(crate) fn python_later() {
    if target("OS") == "macos" {
        println!("cargo:rustc-cdylib-link-arg=-undefined");
        println!("cargo:rustc-cdylib-link-arg=dynamic_lookup");
    }
}
