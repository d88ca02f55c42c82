//! `wheel` and `sdist`: what is given to others, in `dist/`.

use crate::arguments::Arguments;
use crate::tools::{Result, command, root, run};
use crate::venv::Venv;

/// Makes a wheel of what is in the tree.
pub(crate) fn wheel(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    arguments.end()?;
    run(command(&python).arg("build-support/lupa_modules.py"))?;
    build(&python, "--wheel")
}

/// Makes the source distribution: the files that git tracks.
pub(crate) fn sdist(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    arguments.end()?;
    build(&python, "--sdist")
}

fn build(python: &str, kind: &str) -> Result {
    let tools = Venv::new("build-venv", python)?;
    tools.install(&["build>=1.2,<2"])?;
    run(tools.python().args(["-m", "build", kind, "--outdir"]).arg(root().join("dist")).arg(root()))
}
