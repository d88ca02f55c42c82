//! `fuzz`: random programs against the installed package, or random greedy scripts in sandboxes.

use crate::arguments::Arguments;
use crate::tools::{self, Result, root, target};
use crate::venv::Venv;

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let no_build = arguments.flag("--no-build");
    let script = if arguments.flag("--greedy") { "fuzz/greedy.py" } else { "fuzz/run.py" };
    let venv = Venv::new("fuzz-venv", &python)?;
    if !no_build {
        venv.install_project()?;
    }
    let mut fuzz = venv.python();
    fuzz.arg(root().join(script)).arg("--into").arg(target("fuzz"));
    tools::run(fuzz.args(arguments.rest()))
}
