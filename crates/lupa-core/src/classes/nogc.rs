//! `_LuaNoGC`: a block without garbage collection in Lua. The last one that ends, of those that nest or
//! overlap, switches it on again.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::classes::engine;

/// What ``LuaRuntime.nogc()`` gives: no garbage collection in Lua inside of the ``with`` block.
#[pyclass(name = "_LuaNoGC", module = "lupa", frozen)]
pub(crate) struct LuaNoGc {
    state: Py<PyAny>,
    // How often it was entered and not left.
    begun: AtomicU32,
}

impl LuaNoGc {
    pub(crate) fn new(state: Py<PyAny>) -> Self {
        LuaNoGc { state, begun: AtomicU32::new(0) }
    }
}

#[pymethods]
impl LuaNoGc {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        engine::get().stop_gc(self.state.bind(py))?;
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let less = |begun: u32| begun.checked_sub(1);
        let begun = self.begun.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        Ok(engine::get().restart_gc(self.state.bind(py), begun)?)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}
