//! Linking an installed Lua instead of compiling one.

use std::env;
use std::path::{Path, PathBuf};

use crate::probe;
use crate::version::Version;

/// Links an installed Lua if the environment asks for it; says whether it did.
pub(crate) fn use_installed(version: &Version) -> bool {
    let upper = version.name.to_uppercase();
    explicit(version, &upper) || packaged(version, &upper)
}

fn variable(name: &str) -> Option<String> {
    println!("cargo:rerun-if-env-changed={name}");
    env::var(name).ok().filter(|value| !value.is_empty() && value != "0")
}

/// `LUPA_LUA54_LIB=/path/liblua5.4.so`, checked if there is `LUPA_LUA54_INCLUDE=/path/include`
fn explicit(version: &Version, upper: &str) -> bool {
    let Some(library) = variable(&format!("LUPA_{upper}_LIB")) else { return false };
    match variable(&format!("LUPA_{upper}_INCLUDE")) {
        Some(headers) => probe::check(version, &[PathBuf::from(headers)]),
        None => println!(
            "cargo:warning={library} is not compared with the bindings; LUPA_{upper}_INCLUDE names \
             the folder of its lua.h"
        ),
    }
    let path = Path::new(&library);
    let (Some(directory), Some(stem)) = (path.parent(), path.file_stem()) else {
        panic!("LUPA_{upper}_LIB must be the path of a library file, not {library}");
    };
    let stem = stem.to_string_lossy();
    let name = stem.strip_prefix("lib").unwrap_or(&stem);
    println!("cargo:rustc-link-search=native={}", directory.display());
    let kind = if path.extension().is_some_and(|e| e == "a") { "static:-bundle" } else { "dylib" };
    println!("cargo:rustc-link-lib={kind}={name}");
    println!("cargo:warning={} uses the library {library}", version.name);
    installed();
    true
}

/// `LUPA_SYSTEM=1` or `LUPA_SYSTEM_LUA54=lua5.4`
fn packaged(version: &Version, upper: &str) -> bool {
    let own = variable(&format!("LUPA_SYSTEM_{upper}"));
    if own.is_none() && variable("LUPA_SYSTEM").is_none() {
        return false;
    }
    let named = own.filter(|name| name != "1");
    let names: Vec<&str> = match &named {
        Some(name) => vec![name],
        None => version.packages.to_vec(),
    };
    let (least, below) = version.range;
    let mut problems = String::new();
    for name in names {
        match pkg_config::Config::new().range_version(least..below).probe(name) {
            Ok(found) => {
                probe::check(version, &found.include_paths);
                println!(
                    "cargo:warning={} uses the installed {name} {}",
                    version.name, found.version
                );
                installed();
                return true;
            }
            Err(error) => problems.push_str(&format!("\n{name}: {error}")),
        }
    }
    panic!("no installed Lua for {} was found by pkg-config:{problems}", version.name);
}

fn installed() {
    println!("cargo:rustc-cfg=lupa_system_lua");
}
