//! Builds or finds a Lua for a version crate: its build script is one call of [`build`].
//!
//! Everything that differs between versions in this matter is a row of [`version::TABLE`].
//!
//! # Environment
//! `LUPA_SYSTEM=1` for all, or `LUPA_SYSTEM_LUA54=1` for one, links an installed Lua that pkg-config
//! finds instead of compiling one; `0` compiles it. Instead of `1`, it may name the package (`lua5.4`)
//! or be the path of a library file, as `LUPA_LUA54_LIB` is. With `LUPA_LUA54_INCLUDE`, the folder of
//! its `lua.h`, such a file is compared with the bindings as one that pkg-config finds is. The
//! version crate has the cfg `lupa_bundled` otherwise. `LUPA_APICHECK=1` compiles Lua with its own checks of
//! how it is used. `LUPA_LIBGCC=1` is for linkers that bring an unwinder of their own. `LUPA_VENDOR_DIR`
//! names a folder with the sources.
//! `CC`, `CFLAGS` and `AR` are read as the `cc` crate reads them, also for one target only.

pub mod fixes;
mod link;
mod luajit;
mod memory;
mod probe;
mod puc;
mod stack;
mod system;
pub mod version;

use std::path::{Path, PathBuf};
use std::{env, fs};

pub use fixes::Fix;
pub use version::{Kind, Version};

/// Builds or finds the Lua of this name, and tells cargo how to link it.
///
/// # Panics
/// With a message for the person who builds, when there is no such Lua or it does not compile.
pub fn build(name: &str) {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(lupa_bundled)");
    let version = version::find(name);
    link::python_later();
    link::unwinder();
    if system::use_installed(version) {
        return;
    }
    // The C code that is added to Lua (the folder `c`) is part of the library.
    println!("cargo:rustc-cfg=lupa_bundled");
    println!("cargo:rerun-if-changed={}", additions().display());
    let source = source(version);
    println!("cargo:rerun-if-env-changed=LUPA_APICHECK");
    let library = match version.kind {
        Kind::Puc => puc::compile(version, &source),
        Kind::LuaJit { .. } => luajit::compile(version, &source),
    };
    link::bundled(&library);
}

/// The folder of a Lua's C sources.
pub fn source(version: &Version) -> PathBuf {
    sources().join(version.source)
}

/// The folder with all pinned sources.
///
/// # Panics
/// When there are none: what went wrong is said here, by the build that needs them.
pub fn sources() -> PathBuf {
    let problem = include_str!(concat!(env!("OUT_DIR"), "/problem.txt"));
    assert!(problem.is_empty(), "{problem}");
    PathBuf::from(env!("LUPA_LUA_SOURCES"))
}

/// The folder of the C files that are ours.
fn additions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("called from a build script"))
}

/// Ends the build with a message for the person who builds: no panic, which would look like a mistake of ours.
fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1);
}

fn target(part: &str) -> String {
    env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default()
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
