//! `lint`: formatters and linters, each with the version that is pinned here.

use crate::arguments::Arguments;
use crate::tools::{self, Result, cargo, root};
use crate::venv::Venv;

/// The type checker that the tests use too.
pub(crate) const MYPY: &str = "mypy==2.4.1";
const RUFF: &str = "ruff==0.17.5";

/// The stable ABI from `ABI3_FLOOR` of `build-support/lupa_modules.py` on.
const ABI3: &str = "pyo3/abi3-py312";

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    arguments.end()?;
    tools::run(cargo().args(["fmt", "--all", "--check"]))?;
    tools::run(
        cargo()
            .args(["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"])
            .env("PYO3_BUILD_EXTENSION_MODULE", "1"),
    )?;
    // Code for the stable ABI, which only such a build compiles.
    tools::run(
        cargo()
            .args(["clippy", "--locked", "--package", "lupa-core", "--features"])
            .args([ABI3, "--", "-D", "warnings"])
            .envs([("PYO3_BUILD_EXTENSION_MODULE", "1"), ("PYO3_NO_PYTHON", "1")]),
    )?;
    let venv = Venv::new("tools-venv", &python)?;
    venv.install(&[RUFF, MYPY])?;
    let in_root = |arguments: &[&str]| {
        tools::run(venv.python().arg("-m").args(arguments).current_dir(root()))
    };
    in_root(&["ruff", "check"])?;
    in_root(&["ruff", "format", "--check"])?;
    in_root(&["mypy"])
}
