//! `_LuaNoGC`: a block without garbage collection in Lua.

use lua_api::Gc;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::engine;

/// What ``LuaRuntime.nogc()`` gives: no garbage collection in Lua inside of the ``with`` block.
#[pyclass(name = "_LuaNoGC", module = "lupa", frozen)]
pub(crate) struct LuaNoGc {
    state: Py<PyAny>,
}

impl LuaNoGc {
    pub(crate) fn new(state: Py<PyAny>) -> Self {
        LuaNoGc { state }
    }
}

#[pymethods]
impl LuaNoGc {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        Ok(engine::get().gc(self.state.bind(py), Gc::Stop)?)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        Ok(engine::get().gc(self.state.bind(py), Gc::Restart)?)
    }

    fn __traverse__(
        &self,
        visit: pyo3::PyVisit<'_>,
    ) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}
