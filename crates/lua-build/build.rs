//! Finds the pinned Lua sources once for all version crates: `LUPA_VENDOR_DIR`, or what
//! `cargo xtask vendor` has filled, or fetched now by `cargo vendor`, which verifies checksums.

use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=LUPA_VENDOR_DIR");
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let vendor = here.join("../../vendor");
    // The folder, not `sources` in it: cargo takes what is not there for changed, every time.
    println!("cargo:rerun-if-changed={}", vendor.display());
    let found = match env::var_os("LUPA_VENDOR_DIR") {
        Some(directory) => given(Path::new(&directory)),
        None if vendor.join("sources/lua-src").is_dir() => Ok(vendor.join("sources")),
        None => fetch(&vendor, &out.join("sources")),
    };
    let found = found.and_then(|sources| {
        // Not canonical: MSVC's compiler does not know the paths that this would give on Windows.
        path::absolute(&sources).map_err(|error| format!("{}: {error}", sources.display()))
    });
    // Told by the build that needs them: one that links installed Luas does not.
    let problem = found.as_ref().err().cloned().unwrap_or_default();
    if !problem.is_empty() {
        println!("cargo:rerun-if-changed={}", out.join("not-there-so-try-again").display());
    }
    fs::write(out.join("problem.txt"), problem).expect("cargo's folder can be written to");
    println!("cargo:rustc-env=LUPA_LUA_SOURCES={}", found.unwrap_or_default().display());
}

fn given(directory: &Path) -> Result<PathBuf, String> {
    println!("cargo:rerun-if-changed={}", directory.display());
    if directory.is_absolute() && directory.join("lua-src").is_dir() {
        return Ok(directory.to_owned());
    }
    Err(format!(
        "LUPA_VENDOR_DIR={} is not the absolute path of a folder with lua-src in it",
        directory.display()
    ))
}

fn fetch(vendor: &Path, sources: &Path) -> Result<PathBuf, String> {
    if sources.is_dir() {
        fs::remove_dir_all(sources).expect("an old copy can be removed");
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["vendor", "--locked", "--respect-source-config", "--manifest-path"])
        .arg(vendor.join("Cargo.toml"))
        .arg(sources)
        .output()
        .expect("cargo can be run");
    if output.status.success() {
        return Ok(sources.to_owned());
    }
    Err(format!(
        "the pinned Lua sources cannot be fetched; `cargo xtask vendor` does the same with its \
         output shown, and LUPA_VENDOR_DIR names a folder that has them:\n{}",
        String::from_utf8_lossy(&output.stderr)
    ))
}
