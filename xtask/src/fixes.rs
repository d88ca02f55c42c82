//! `fixes`: whether our fixes to Lua's sources fit the pinned releases, or others, without compiling any of them.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, fresh_folder, root, target};

/// Runs the task. Arguments such as `lua-src=548.1.2` name other versions of the crates that carry the sources.
pub(crate) fn run(arguments: Arguments) -> Result {
    let releases = arguments.rest();
    let mut check = cargo();
    check.args(["run", "--quiet", "--locked", "--package", "lua-build", "--example", "fixes"]);
    if !releases.is_empty() {
        check.arg("--").arg(fetch(&releases)?);
    }
    tools::run(&mut check)
}

/// Fetches the crates with these versions instead of the pinned ones, and returns their folder.
fn fetch(releases: &[String]) -> Result<PathBuf> {
    let pins = root().join("vendor");
    let mut manifest = fs::read_to_string(pins.join("Cargo.toml"))?;
    for release in releases {
        manifest = repinned(&manifest, release)?;
    }
    let folder = target("fixes");
    fresh_folder(&folder)?;
    fs::create_dir(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let stubs = format!("path = \"{}/", pins.join("stubs").display());
    fs::write(folder.join("Cargo.toml"), manifest.replace("path = \"stubs/", &stubs))?;
    let mut fetch = cargo();
    fetch.args(["vendor", "--respect-source-config", "--manifest-path"]);
    fetch.arg(folder.join("Cargo.toml")).arg(folder.join("sources"));
    tools::run(fetch.stdout(Stdio::null()))?;
    Ok(folder.join("sources"))
}

/// The manifest with another version of one crate.
fn repinned(manifest: &str, release: &str) -> Result<String> {
    let Some((name, version)) = release.split_once('=') else {
        return Err(format!("{release:?} is not CRATE=VERSION, such as lua-src=548.1.2").into());
    };
    let pin = format!("{name} = \"=");
    let mut found = false;
    let lines = manifest.lines().map(|line| {
        if line.starts_with(&pin) {
            found = true;
            format!("{pin}{version}\"\n")
        } else {
            format!("{line}\n")
        }
    });
    let manifest = lines.collect();
    if found {
        Ok(manifest)
    } else {
        Err(format!("vendor/Cargo.toml pins no crate {name:?}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::repinned;

    #[test]
    fn one_pin_is_replaced() {
        let manifest = "[dependencies]\n# Lua\nlua-src = \"=1.0.0\"\nother = \"=2.0.0\"\n";
        let changed = repinned(manifest, "lua-src=3.1.0").unwrap();
        assert_eq!(changed, manifest.replace("1.0.0", "3.1.0"));
    }

    #[test]
    fn unknown_crates_and_other_words_are_errors() {
        for wrong in ["lua-src", "lua=1.0.0"] {
            assert!(repinned("lua-src = \"=1.0.0\"\n", wrong).is_err());
        }
    }
}
