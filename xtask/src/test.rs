//! `test`: everything, from a fresh machine on. The Python parts run against the installed package.

use std::fs;

use crate::arguments::Arguments;
use crate::fast;
use crate::fixture;
use crate::tools::{self, Result, cargo, root, target};
use crate::types;
use crate::venv::Venv;

/// A part of the tests: its name, and what runs it.
type Part = (&'static str, Run);

#[derive(Clone, Copy)]
enum Run {
    Rust(fn() -> Result),
    Python(fn(&Venv) -> Result),
}

const PARTS: [Part; 5] = [
    ("rust", Run::Rust(rust)),
    ("pytest", Run::Python(pytest)),
    ("doctest", Run::Python(doctest)),
    ("types", Run::Python(types::check)),
    ("upstream", Run::Python(upstream)),
];

/// Where code is that has unit tests: the rest is a Python module, and is tested as one.
const RUST_TESTS: [&str; 3] = ["lua-api", "lua-build", "xtask"];

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let system = arguments.option("--system")?;
    let mut only = arguments.option("--only")?;
    if system.is_some() && only.is_none() {
        // The examples are for all modules, and lupa 2.8's suite knows which functions each Lua has.
        only = Some("pytest".to_owned());
    }
    let no_build = arguments.flag("--no-build");
    if arguments.flag("--fast") {
        if system.is_some() || only.is_some() {
            return Err("--fast goes with no other choice of tests".into());
        }
        return fast::run(&python, !no_build, arguments.rest());
    }
    arguments.end()?;
    if let Some(part) = &only
        && !PARTS.iter().any(|(name, _)| name == part)
    {
        let names = PARTS.map(|(name, _)| name);
        return Err(format!("--only takes one of {}", names.join(", ")).into());
    }
    let wanted: Vec<Part> =
        PARTS.into_iter().filter(|part| only.as_ref().is_none_or(|only| only == part.0)).collect();

    // The test environment, unless Rust's tests are all that is wanted: those need no Python.
    let mut venv = None;
    let mut failures = Vec::new();
    for (name, run) in &wanted {
        let result = match run {
            Run::Rust(run) => run(),
            Run::Python(run) => {
                if venv.is_none() {
                    venv = Some(environment(&python, system.as_deref(), !no_build)?);
                }
                venv.as_ref().map_or(Ok(()), run)
            }
        };
        // One part's failure does not hide another's.
        if let Err(error) = result {
            eprintln!("error: {error}");
            failures.push(*name);
        }
    }
    if !failures.is_empty() {
        return Err(format!("failed: {}", failures.join(", ")).into());
    }
    let names: Vec<&str> = wanted.iter().map(|part| part.0).collect();
    println!("\npassed: {}", names.join(", "));
    Ok(())
}

/// The environment of the Python parts, with the package installed; for these backends with the Luas
/// that the system has.
fn environment(python: &str, system: Option<&str>, build: bool) -> Result<Venv> {
    let mut venv = Venv::new(if system.is_some() { "system-venv" } else { "test-venv" }, python)?;
    if let Some(backends) = system {
        venv.set(&[("LUPA_SYSTEM", "1".to_owned()), ("LUPA_BACKENDS", backends.to_owned())]);
    }
    if build {
        venv.install(&["pytest>=8", "numpy", "greenlet", "gevent", "sqlalchemy", "pytest-xdist"])?;
        venv.install_project()?;
    }
    installed(&venv)?;
    Ok(venv)
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
    pytest.args(["-m", "pytest", "-n", "auto", "-o"]);
    pytest.arg(format!("cache_dir={}", target("pytest-cache").display()));
    tools::run(pytest.arg(root().join("tests")))
}

/// The examples in the README and the pages of the site, and in the docstrings of the package.
fn doctest(venv: &Venv) -> Result {
    let mut doctest = venv.python();
    doctest.args(["-m", "pytest", "-p", "no:cacheprovider"]);
    doctest.args(["--doctest-modules", "--pyargs", "lupa"]);
    doctest.arg("--doctest-glob=*.md").arg(root().join("README.md"));
    // Not the folder: there is Python code in it too, which needs Sphinx.
    for entry in fs::read_dir(root().join("docs"))? {
        let page = entry?.path();
        if page.extension().is_some_and(|extension| extension == "md") {
            doctest.arg(page);
        }
    }
    tools::run(&mut doctest)
}

/// lupa 2.8's own tests.
fn upstream(venv: &Venv) -> Result {
    let script = root().join("build-support/upstream_suite.py");
    tools::run(venv.python().arg(script).arg(target("upstream")))
}
