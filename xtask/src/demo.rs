//! `demo`: the examples, in an environment of their own.

use crate::arguments::Arguments;
use crate::tools::{self, Result, root};
use crate::venv::Venv;

const EXAMPLES: [&str; 4] = ["mandelbrot.py", "wordcount.py", "reaction.py", "dither.py"];

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    arguments.end()?;
    let venv = Venv::new("demo-venv", &python)?;
    venv.install(&["numpy"])?;
    venv.install_project()?;
    for example in EXAMPLES {
        tools::run(venv.python().arg(root().join("examples").join(example)))?;
    }
    Ok(())
}
