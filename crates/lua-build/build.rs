//! Finds the pinned Lua sources once for all version crates: `LUPA_VENDOR_DIR`, or what
//! `cargo xtask vendor` has filled, or fetched now by `cargo vendor`, which verifies checksums.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=LUPA_VENDOR_DIR");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let vendor = here.join("../../vendor");
    println!("cargo:rerun-if-changed={}", vendor.join("Cargo.lock").display());
    println!("cargo:rerun-if-changed={}", vendor.join("sources").display());
    let sources = match env::var_os("LUPA_VENDOR_DIR") {
        Some(directory) => PathBuf::from(directory),
        None if vendor.join("sources/lua-src").is_dir() => vendor.join("sources"),
        None => fetch(&vendor),
    };
    let sources = sources
        .canonicalize()
        .unwrap_or_else(|error| panic!("no Lua sources in {}: {error}", sources.display()));
    println!("cargo:rustc-env=LUPA_LUA_SOURCES={}", sources.display());
}

fn fetch(vendor: &Path) -> PathBuf {
    let sources = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("sources");
    if sources.is_dir() {
        fs::remove_dir_all(&sources).expect("an old copy can be removed");
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["vendor", "--locked", "--respect-source-config", "--manifest-path"])
        .arg(vendor.join("Cargo.toml"))
        .arg(&sources)
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "the pinned Lua sources cannot be fetched; `cargo xtask vendor` does the same with its output shown, \
         and LUPA_VENDOR_DIR names a folder that has them:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    sources
}
