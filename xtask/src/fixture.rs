//! The binary Lua module of `crates/lua-module-fixture`, built for each Lua that it can be built for.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::tools::{Result, cargo, fresh_folder, output, run, target};

const PACKAGE: &str = "lua-module-fixture";

/// The name under which Lua finds the module, on macOS too.
const MODULE: &str = "fixture.so";

/// Builds the module, and puts it into `target/fixtures/<feature>/fixture.so`; that folder.
/// `None` if the workspace has no such crate, and on Windows, where a module is bound to one `lua5x.dll`.
pub(crate) fn build() -> Result<Option<PathBuf>> {
    if cfg!(windows) {
        return Ok(None);
    }
    let metadata =
        output(cargo().args(["metadata", "--locked", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
    let Some(package) = packages.iter().find(|package| package["name"] == PACKAGE) else {
        return Ok(None);
    };
    let folder = target("fixtures");
    fresh_folder(&folder)?;
    let features = package["features"].as_object().ok_or("a package without features")?;
    let library = PACKAGE.replace('-', "_");
    let library = format!("{DLL_PREFIX}{library}{DLL_SUFFIX}");
    for feature in features.keys().filter(|feature| feature.starts_with("lua")) {
        run(cargo().args(["build", "--locked", "--release", "--package", PACKAGE]).args([
            "--no-default-features",
            "--features",
            feature,
        ]))?;
        // The features exclude each other, and the next build puts its library in the same place.
        fs::create_dir_all(folder.join(feature))?;
        fs::copy(target("release").join(&library), folder.join(feature).join(MODULE))?;
    }
    Ok(Some(folder))
}
