//! `tidy`: the project's own rules for its files. The rules themselves are in `rules.rs`.

use std::fs;
use std::path::Path;

use crate::arguments::Arguments;
use crate::rooms;
use crate::rules;
use crate::tools::{Result, project_files, root};
use crate::unsafety;

/// Runs the task.
pub(crate) fn run(arguments: Arguments) -> Result {
    arguments.end()?;
    let files = project_files()?;
    let mut problems = Vec::new();
    for file in &files {
        // There are no rules for files that are not text.
        if let Ok(text) = fs::read_to_string(root().join(file)) {
            problems.extend(rules::problems(&unix(file), &text));
            problems.extend(rooms::problems(&unix(file), &text));
            problems.extend(unsafety::problem(&unix(file), &text));
        }
    }
    problems.extend(versions()?);
    if problems.is_empty() {
        println!("{} files are tidy", files.len());
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    Err(format!("{} places to tidy", problems.len()).into())
}

/// The version is in three places, and in two spellings: Python's and Cargo's.
fn versions() -> Result<Option<String>> {
    let read = |file: &str, key: &str| -> Result<String> {
        let text = fs::read_to_string(root().join(file))?;
        let version = text.lines().find_map(|line| line.strip_prefix(key));
        let version = version.ok_or_else(|| format!("{file} has no line {key}"))?;
        Ok(version.trim().trim_matches('"').to_owned())
    };
    let metadata = read("pyproject.toml", "version = ")?;
    let package = read("python/lupa/__init__.py", "__version__ = ")?;
    let workspace = read("Cargo.toml", "version = ")?;
    if metadata == package && rules::python_version(&workspace) == metadata {
        return Ok(None);
    }
    Ok(Some(format!(
        "pyproject.toml has version {metadata}, python/lupa/__init__.py {package}, \
         Cargo.toml {workspace}"
    )))
}

/// A path in the spelling that the rules use.
fn unix(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
