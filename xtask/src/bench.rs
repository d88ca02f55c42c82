//! `bench`: this package and lupa 2.8, measured in turn.

use crate::arguments::Arguments;
use crate::tools::{self, Result, command, root};
use crate::venv::Venv;

/// What this package replaces, and is measured against.
const UPSTREAM: &str = "lupa==2.8";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let script = root().join("benches/compare.py");
    if !script.is_file() {
        return Err("there is no benches/compare.py yet".into());
    }
    let ours = Venv::new("bench-venv", &python)?;
    ours.install_project()?;
    let upstream = Venv::new("bench-upstream-venv", &python)?;
    upstream.install(&[UPSTREAM])?;
    tools::run(
        command(&python)
            .arg(script)
            .args([ours.program("python"), upstream.program("python")])
            .args(arguments.rest()),
    )
}
