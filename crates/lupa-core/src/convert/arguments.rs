//! [`PyArguments`]: what `python.args` gives.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::types::heap_type::Link;

/// Arguments on their way from Lua to a Python callable: what `python.args` gives.
#[pyclass(name = "_PyArguments", module = "lupa", frozen)]
pub(crate) struct PyArguments {
    pub(crate) args: Link<PyTuple>,
    pub(crate) kwargs: Link<PyDict>,
    /// Its weight in the memory account of a sandbox, with all that is in it; bytes.
    pub(crate) weight: usize,
}

#[pymethods]
impl PyArguments {
    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&*self.args)?;
        visit.call(&*self.kwargs)
    }
}
