//! [`LuaLimits`]: what ``LuaRuntime.limits()`` gives.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyTuple};

use crate::base::fallible;
use crate::classes::engine;
use crate::runtime::stop::deadline::{Requested, Seconds};
use crate::runtime::stop::scope::{Scope, Scopes, change, here};

/// A number greater than 0, if there is one.
fn positive(object: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<i64>> {
    let Some(object) = object else { return Ok(None) };
    let number = match object.extract::<i64>() {
        Ok(number) if !object.is_instance_of::<PyBool>() => number,
        // A number that is larger means the same as the largest.
        _ if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() => {
            if object.gt(0)? { i64::MAX } else { 0 }
        }
        _ => return Err(fallible::error::<PyTypeError>(format!("{what} must be an integer"))),
    };
    if number > 0 {
        return Ok(Some(number));
    }
    Err(fallible::error::<PyValueError>(format!("{what} must be greater than 0")))
}

/// What ``LuaRuntime.limits()`` gives: limits that hold inside of the ``with`` block.
#[pyclass(name = "_LuaLimits", module = "lupa", frozen)]
pub(crate) struct LuaLimits {
    state: Py<PyAny>,
    wanted: Requested,
    // Those that have begun: it may be entered again, also while it is.
    begun: Mutex<Vec<Arc<Scope>>>,
}

impl LuaLimits {
    pub(crate) fn new(
        state: Py<PyAny>,
        seconds: Option<Seconds>,
        instructions: Option<&Bound<'_, PyAny>>,
        memory: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let memory = positive(memory, "memory")?;
        let wanted = Requested {
            seconds,
            instructions: positive(instructions, "instructions")?,
            memory: memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        };
        Ok(LuaLimits { state, wanted, begun: Mutex::default() })
    }

    /// Takes the scope out that has begun last: in this context, if there is one.
    fn take(&self, here: Option<&Bound<'_, Scopes>>) -> Option<Arc<Scope>> {
        let mut begun = self.begun();
        let is_here = |scope: &Arc<Scope>| here.is_some_and(|here| here.get().have(scope));
        let found = begun.iter().rposition(is_here).or_else(|| begun.len().checked_sub(1))?;
        Some(begun.remove(found))
    }

    fn begun(&self) -> MutexGuard<'_, Vec<Arc<Scope>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl LuaLimits {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let scope = engine::get().begin_limits(self.state.bind(py), self.wanted)?;
        change(py, |scopes| scopes.push(Arc::clone(&scope)))?;
        self.begun().push(scope);
        Ok(())
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let scope = self.take(here(py)?.as_ref()).ok_or_else(|| {
            fallible::error::<PyRuntimeError>("the block of these limits has not been entered")
        })?;
        // Whatever happens below: from now on it holds for nobody.
        scope.end();
        change(py, |_| ())?;
        Ok(engine::get().end_limits(self.state.bind(py))?)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}
