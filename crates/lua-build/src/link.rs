//! What cargo and the linker are told.

use std::fs;
use std::path::PathBuf;

use crate::{out_dir, target};

/// A static library that was made.
pub(crate) struct Library {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
}

/// What the module exports besides its init function: the API that binary Lua modules need.
const EXPORTS: &str = "{ global: PyInit_*; lua_*; luaL_*; luaopen_*; luaJIT_*; local: *; };\n";

/// Links a library that was made here, whole, and exports Lua's API from the module.
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
            let script = out_dir().join("exports.map");
            fs::write(&script, EXPORTS).expect("the export list can be written");
            println!("cargo:rustc-cdylib-link-arg=-Wl,--version-script={}", script.display());
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

/// Leaves Python's symbols to whichever Python loads the module. Other linkers do so unasked, or (on
/// Windows) have been told of its library by pyo3.
pub(crate) fn python_later() {
    if target("OS") == "macos" {
        println!("cargo:rustc-cdylib-link-arg=-undefined");
        println!("cargo:rustc-cdylib-link-arg=dynamic_lookup");
    }
}
