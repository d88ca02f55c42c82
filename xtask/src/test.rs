//! `test`: everything, from a fresh machine on. The Python parts run against the installed package.

use crate::arguments::Arguments;
use crate::fixture;
use crate::tools::{self, Result, cargo, root, target};
use crate::venv::Venv;

const PARTS: [&str; 4] = ["rust", "pytest", "doctest", "upstream"];

/// Where code is that has unit tests: the rest is a Python module, and is tested as one.
const RUST_TESTS: [&str; 3] = ["lua-api", "lua-build", "xtask"];

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let only = arguments.option("--only")?;
    let no_build = arguments.flag("--no-build");
    arguments.end()?;
    if let Some(part) = &only
        && !PARTS.contains(&part.as_str())
    {
        return Err(format!("--only takes one of {}", PARTS.join(", ")).into());
    }
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);

    if wanted("rust") {
        rust()?;
    }
    if !PARTS[1..].iter().any(|part| wanted(part)) {
        return Ok(());
    }
    let venv = Venv::new("test-venv", &python)?;
    if !no_build {
        venv.install(&["pytest>=8"])?;
        venv.install_project()?;
    }
    installed(&venv)?;
    if wanted("pytest") {
        pytest(&venv)?;
    }
    if wanted("doctest") {
        doctest(&venv)?;
    }
    if wanted("upstream") {
        upstream(&venv)?;
    }
    Ok(())
}

fn rust() -> Result {
    let mut test = cargo();
    test.args(["test", "--locked"]);
    for package in RUST_TESTS {
        test.args(["--package", package]);
    }
    tools::run(&mut test)
}

/// Shows what is installed; an error if it is not a package with modules.
fn installed(venv: &Venv) -> Result {
    let script = root().join("build-support/installed.py");
    tools::run(venv.python().arg(script))
}

fn pytest(venv: &Venv) -> Result {
    let mut pytest = venv.python();
    if let Some(fixtures) = fixture::build()? {
        pytest.env("LUPA_FIXTURE_DIR", fixtures);
    }
    pytest.args(["-m", "pytest", "-o"]);
    pytest.arg(format!("cache_dir={}", target("pytest-cache").display()));
    tools::run(pytest.arg(root().join("tests")))
}

/// The examples in the README, and in the docstrings of the package.
fn doctest(venv: &Venv) -> Result {
    let mut doctest = venv.python();
    doctest.args(["-m", "pytest", "-p", "no:cacheprovider"]);
    doctest.args(["--doctest-modules", "--pyargs", "lupa"]);
    let readme = root().join("README.md");
    if readme.is_file() {
        doctest.arg("--doctest-glob=*.md").arg(readme);
    }
    tools::run(&mut doctest)
}

/// lupa 2.8's own tests.
fn upstream(venv: &Venv) -> Result {
    let script = root().join("build-support/upstream_suite.py");
    tools::run(venv.python().arg(script).arg(target("upstream")))
}
