//! Objects of Python that are looked up once, when they are first needed.
//!
//! An import runs any code, as an import hook or a finalizer, which may come back to where it began. So nothing
//! is held meanwhile: what has come first is kept, and others have found the same.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;

/// A module, or what it has under a name.
pub(crate) struct Imported {
    module: &'static CStr,
    name: Option<&'static CStr>,
    found: PyOnceLock<Py<PyAny>>,
}

impl Imported {
    pub(crate) const fn module(module: &'static CStr) -> Self {
        Imported { module, name: None, found: PyOnceLock::new() }
    }

    pub(crate) const fn new(module: &'static CStr, name: &'static CStr) -> Self {
        Imported { module, name: Some(name), found: PyOnceLock::new() }
    }

    /// The object.
    ///
    /// # Errors
    /// What the import raises. It is tried again the next time.
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(found) = self.found.get(py) {
            return Ok(found.bind(py).clone());
        }
        let module = fallible::import(py, self.module)?;
        let found = match self.name {
            Some(name) => module.attribute(name)?,
            None => module,
        };
        let _ = self.found.set(py, found.clone().unbind());
        Ok(found)
    }
}

/// Whether an object is a function written in Python.
#[inline]
pub(crate) fn is_function(object: &Bound<'_, PyAny>) -> bool {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    {
        object.is_exact_instance_of::<pyo3::types::PyFunction>()
    }
    // There PyO3 imports the type inside of a cell.
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    {
        static FUNCTION: Imported = Imported::new(c"types", c"FunctionType");
        FUNCTION.get(object.py()).is_ok_and(|class| object.get_type().is(&class))
    }
}

/// An interned `str`.
pub(crate) struct Name {
    text: &'static CStr,
    made: PyOnceLock<Py<PyString>>,
}

impl Name {
    pub(crate) const fn new(text: &'static CStr) -> Self {
        Name { text, made: PyOnceLock::new() }
    }

    /// The object.
    #[inline]
    pub(crate) fn get<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        if let Some(made) = self.made.get(py) {
            return Ok(made.bind(py).clone());
        }
        let made = fallible::name(py, self.text)?;
        let _ = self.made.set(py, made.clone().unbind());
        Ok(made)
    }
}
