//! `docs`: the site, made by Sphinx from `docs/` and from the docstrings of the installed package.

use crate::arguments::Arguments;
use crate::tools::{self, Result, root, target};
use crate::venv::Venv;

const TOOLS: [&str; 3] = ["sphinx==9.0.4", "furo==2025.12.19", "myst-parser==5.2.0"];

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let no_build = arguments.flag("--no-build");
    arguments.end()?;
    let venv = Venv::new("docs-venv", &python)?;
    if !venv.is_python(3, 11)? {
        return Err("this version of Sphinx needs Python 3.11 or later".into());
    }
    venv.install(&TOOLS)?;
    if !no_build {
        venv.install_project()?;
    }
    let site = target("docs");
    // All pages anew, as Sphinx does not see that a docstring has changed; a warning is an error.
    let sphinx =
        ["-m", "sphinx", "--builder", "html", "--fresh-env", "--fail-on-warning", "--keep-going"];
    tools::run(venv.python().args(sphinx).arg(root().join("docs")).arg(&site))?;
    println!("\nthe site is {}", site.join("index.html").display());
    Ok(())
}
