//! `vendor`: the pinned Lua sources in `vendor/sources`, fetched by cargo or verified.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, root};

/// Where cargo writes the checksums of a vendored package.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let check = arguments.flag("--check");
    arguments.end()?;
    let vendor = root().join("vendor");
    let sources = vendor.join("sources");
    if !check {
        let mut fetch = cargo();
        fetch.args(["vendor", "--locked", "--respect-source-config", "--manifest-path"]);
        fetch.arg(vendor.join("Cargo.toml")).arg(&sources);
        // Without its last words, which advise to configure cargo for what is vendored.
        tools::run(fetch.stdout(std::process::Stdio::null()))?;
    }
    let pins = pins(&fs::read_to_string(vendor.join("Cargo.lock"))?);
    let mut wrong = Vec::new();
    for (package, checksum) in &pins {
        verify(&sources.join(package), checksum, &mut wrong)?;
    }
    if !wrong.is_empty() {
        return Err(format!(
            "vendor/sources is not what is pinned; `cargo xtask vendor` fetches it anew:\n  {}",
            wrong.join("\n  ")
        )
        .into());
    }
    println!("vendor/sources: {} packages as pinned", pins.len());
    Ok(())
}

/// The packages of a lock file that come from a registry, with their checksums.
fn pins(lock: &str) -> BTreeMap<String, String> {
    let mut pins = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let mut lines = package.lines();
            let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
            Some(line.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(checksum)) = (field("name"), field("checksum")) {
            pins.insert(name, checksum);
        }
    }
    pins
}

/// Adds to `wrong` what differs from a package that was published with this checksum.
fn verify(package: &Path, checksum: &str, wrong: &mut Vec<String>) -> Result {
    let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(text) = fs::read_to_string(package.join(CHECKSUMS)) else {
        wrong.push(format!("{name}: not there"));
        return Ok(());
    };
    let recorded: Value = serde_json::from_str(&text)?;
    if recorded["package"] != checksum {
        wrong.push(format!("{name}: another version than vendor/Cargo.lock names"));
        return Ok(());
    }
    let mut there = BTreeSet::new();
    files_below(package, &mut there)?;
    there.remove(&package.join(CHECKSUMS));
    let files = recorded["files"].as_object().ok_or("a checksum file without files")?;
    for (file, sum) in files {
        let path = package.join(file);
        there.remove(&path);
        match fs::read(&path) {
            Err(_) => wrong.push(format!("{name}/{file}: missing")),
            Ok(data) if *sum != hex(&Sha256::digest(&data)) => {
                wrong.push(format!("{name}/{file}: changed"));
            }
            Ok(_) => {}
        }
    }
    wrong.extend(there.iter().map(|path| format!("{}: unknown file", path.display())));
    Ok(())
}

fn files_below(folder: &Path, found: &mut BTreeSet<PathBuf>) -> Result {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), found)?;
        } else {
            found.insert(entry.path());
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{CHECKSUMS, hex, pins, verify};
    use crate::tools::{fresh_folder, target};
    use sha2::{Digest, Sha256};
    use std::fs;

    #[test]
    fn only_packages_of_a_registry_are_pinned() {
        let lock = "version = 4\n\n[[package]]\nname = \"cc\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"lua-src\"\nversion = \"1.2.3\"\nchecksum = \"abc\"\n";
        let found: Vec<_> = pins(lock).into_iter().collect();
        assert_eq!(found, [("lua-src".to_owned(), "abc".to_owned())]);
    }

    #[test]
    fn every_difference_is_found() {
        let package = target("test-vendor");
        fresh_folder(&package).unwrap();
        let sum = hex(&Sha256::digest("same"));
        let record = format!(
            r#"{{"files":{{"lost.c":"{sum}","new.c":"{sum}","same.c":"{sum}"}},"package":"p"}}"#
        );
        fs::write(package.join(CHECKSUMS), record).unwrap();
        fs::write(package.join("same.c"), "same").unwrap();
        fs::write(package.join("new.c"), "not the same").unwrap();
        fs::write(package.join("extra.c"), "").unwrap();
        let mut wrong = Vec::new();
        verify(&package, "p", &mut wrong).unwrap();
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        for what in ["lost.c: missing", "new.c: changed", "extra.c: unknown file"] {
            assert!(wrong.iter().any(|line| line.ends_with(what)), "{what} in {wrong:?}");
        }
        wrong.clear();
        verify(&package, "another", &mut wrong).unwrap();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
    }
}
