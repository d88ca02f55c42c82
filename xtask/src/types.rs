//! The part `types` of the tests: what type checkers make of the package as it is installed.

use crate::lint::MYPY;
use crate::tools::{Result, root, run};
use crate::venv::Venv;

/// With Node.js as a package of PyPI, so that the machine need not have it.
const PYRIGHT: &str = "pyright[nodejs]==1.1.414";

/// Checks `tests/typing` with mypy and pyright, and the stubs against the modules.
pub(crate) fn check(venv: &Venv) -> Result {
    if !venv.is_python(3, 10)? {
        println!("types: not checked, as mypy needs Python 3.10 or later");
        return Ok(());
    }
    venv.install(&[MYPY, PYRIGHT])?;
    let cases = root().join("tests/typing");
    run(venv.python().args(["-m", "mypy", "--strict", "--config-file="]).arg(&cases))?;
    let stubtest = ["-m", "mypy.stubtest", "lupa", "--allowlist"];
    run(venv.python().args(stubtest).arg(cases.join("stubtest-allowlist.txt")))?;
    let mut pyright = venv.python();
    pyright.args(["-m", "pyright", "--pythonpath"]).arg(venv.program("python"));
    run(pyright.arg("--project").arg(&cases))
}
