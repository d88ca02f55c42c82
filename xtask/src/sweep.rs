//! `sweep`: every point of the sweeps of which `test` takes a sample, against the installed package.

use crate::arguments::Arguments;
use crate::tools::{self, Result, root};
use crate::venv::Venv;

/// The tests that go through points: where an allocation fails, where a finalizer runs, where a hook raises, where the
/// stack ends, and where greenlets switch.
const SWEEPS: [&str; 6] = [
    "test_finalizer_sweep.py",
    "test_memerr_sweep.py",
    "test_programs_without_memory.py",
    "test_hooks.py",
    "test_c_stack.py",
    "test_greenlets.py",
];

/// Runs the task.
pub(crate) fn run(mut arguments: Arguments) -> Result {
    let python = arguments.python()?;
    let no_build = arguments.flag("--no-build");
    let venv = Venv::new("test-venv", &python)?;
    if !no_build {
        venv.install(&["pytest>=8", "numpy", "greenlet"])?;
        venv.install_project()?;
    }
    let mut pytest = venv.python();
    pytest.env("LUPA_SWEEP", "all").args(["-m", "pytest", "-p", "no:cacheprovider"]);
    pytest.args(SWEEPS.map(|name| root().join("tests").join(name)));
    tools::run(pytest.args(arguments.rest()))
}
