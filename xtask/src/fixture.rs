//! The binary Lua module of `crates/lua-module-fixture`, built for each Lua that it can be built for.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::tools::{Result, cargo, fresh_folder, output, run, target};

const PACKAGE: &str = "lua-module-fixture";

/// Builds the module, and puts it into `target/fixtures/<backend>/fixture.so`; that folder.
/// `None` if the workspace has no such crate.
pub(crate) fn build() -> Result<Option<PathBuf>> {
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
    for backend in features.keys().filter(|feature| feature.starts_with("lua")) {
        // The features exclude each other, so each build has a target folder.
        let built = target("fixture-build").join(backend);
        run(cargo()
            .args(["build", "--locked", "--release", "--package", PACKAGE])
            .args(["--no-default-features", "--features", backend, "--target-dir"])
            .arg(&built))?;
        let name = format!(
            "{}{}{}",
            std::env::consts::DLL_PREFIX,
            PACKAGE.replace('-', "_"),
            std::env::consts::DLL_SUFFIX
        );
        fs::create_dir_all(folder.join(backend))?;
        // Lua looks for .so on all systems but Windows.
        let module = if cfg!(windows) { "fixture.dll" } else { "fixture.so" };
        fs::copy(built.join("release").join(name), folder.join(backend).join(module))?;
    }
    Ok(Some(folder))
}
