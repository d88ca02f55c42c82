//! `test --fast`: the tests of one module, built without optimisation, for the time between two edits.

use crate::tools::{self, Result, command, root, target};
use crate::venv::Venv;

/// The module that is tested where none is named.
const USUAL: &str = "lua54";

/// Tests that try each Python function or build something: minutes that the whole run has, and an edit has not.
const SLOW: [&str; 6] = [
    "test_build_backend.py",
    "test_finalizer_sweep.py",
    "test_fuzz.py",
    "test_memerr_sweep.py",
    "test_no_memory.py",
    "test_threads_stress.py",
];

/// Builds one module into `python/lupa` and runs its tests; `arguments` are its name, and more for pytest.
pub(crate) fn run(python: &str, build: bool, mut arguments: Vec<String>) -> Result {
    let named = arguments.first().is_some_and(|first| first.starts_with("lua"));
    let backend = if named { arguments.remove(0) } else { USUAL.to_owned() };
    let venv = Venv::new("fast-venv", python)?;
    if build {
        venv.install(&["pytest>=8", "pytest-xdist", "numpy", "greenlet"])?;
        let mut modules = command(venv.program("python"));
        modules.args(["build-support/lupa_modules.py", "--debug", "--into", "python/lupa"]);
        tools::run(modules.arg(&backend))?;
    }
    let mut pytest = venv.python();
    pytest.env("PYTHONPATH", root().join("python")).env("LUPA_TEST_BACKENDS", &backend);
    pytest.args(["-m", "pytest", "-q", "-n", "auto", "-o"]);
    pytest.arg(format!("cache_dir={}", target("fast-cache").display()));
    if arguments.is_empty() {
        pytest.arg(root().join("tests"));
        pytest.args(
            SLOW.map(|file| format!("--ignore={}", root().join("tests").join(file).display())),
        );
    }
    tools::run(pytest.args(arguments.iter().map(|argument| {
        // pytest runs elsewhere, and people name files from the top folder.
        let file = root().join(argument.split("::").next().unwrap_or_default());
        if file.exists() { root().join(argument).display().to_string() } else { argument.clone() }
    })))
}
