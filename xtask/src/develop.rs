//! `develop`: modules beside the sources, for working on the package.

use crate::arguments::Arguments;
use crate::tools::{self, Result, command};

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let mut build = command(arguments.python()?);
    build.args(["build-support/lupa_modules.py", "--into", "python/lupa"]);
    // The remaining arguments are passed on: names of backends, and --debug.
    tools::run(build.args(arguments.rest()))
}
