//! Tries the fixes of each Lua on the sources in a folder: how `cargo xtask fixes` does it. Its argument is a folder like
//! the one with all pinned sources, perhaps with other releases in it. Prints a line for each Lua, and fails if one does not fit.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use lua_build::version::{TABLE, Version};

fn main() -> ExitCode {
    let sources = env::args_os().nth(1).map_or_else(lua_build::sources, PathBuf::from);
    let mut code = ExitCode::SUCCESS;
    for version in TABLE {
        let releases = releases(&sources, version);
        if releases.is_empty() {
            println!("{}: no release of it in {}", version.name, sources.display());
        }
        for release in releases {
            let misfits = version.misfits(&release);
            let name = release.strip_prefix(&sources).unwrap_or(&release).display();
            println!("{}: {name}: {} anchors do not fit", version.name, misfits.len());
            for misfit in misfits {
                println!("    {misfit}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The folders with a release of this Lua: those with its name up to the last part of the number.
fn releases(sources: &Path, version: &Version) -> Vec<PathBuf> {
    let pinned = sources.join(version.source);
    let name = pinned.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let series = name.rsplit_once('.').map_or(name.as_str(), |(series, _)| series);
    let folder = pinned.parent().expect("the folder of a crate");
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| {
            let entry = entry.file_name().to_string_lossy().into_owned();
            entry == name || entry.strip_prefix(series).is_some_and(|rest| rest.starts_with('.'))
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}
