//! The options that a `LuaRuntime` was created with, and what they do to an object on its way to Python.
#![forbid(unsafe_code)]

use std::sync::Arc;

use pyo3::prelude::*;

use crate::rights::exposure::Sandbox;
use crate::rights::restrict::{Restrictions, Rules, Verdict};
use crate::runtime::encoding::Encoding;

/// The options of a `LuaRuntime`.
pub(crate) struct Options {
    pub(crate) encoding: Encoding,
    pub(crate) source_encoding: Encoding,
    pub(crate) attribute_filter: Option<Py<PyAny>>,
    pub(crate) attribute_getter: Option<Py<PyAny>>,
    pub(crate) attribute_setter: Option<Py<PyAny>>,
    /// With a filter or handlers: what else they apply to.
    pub(crate) restrictions: Option<Arc<Restrictions>>,
    /// In a sandbox: the Python objects that are exposed. All others are opaque.
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) unpack_returned_tuples: bool,
    /// `obj:function(...)` passes no object, whatever the function is.
    pub(crate) colon_calls_as_in_python: bool,
    /// NumPy's arrays arrive in Lua as arrays.
    pub(crate) convert_arrays: bool,
    /// The index of the first element of an array in Lua: 1 or 0.
    pub(crate) array_base: i64,
}

impl Options {
    /// An object on its way to Python: itself, or what takes its place where access is restricted.
    #[inline]
    pub(crate) fn restrict<'py>(&self, object: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.restrictions {
            None => Ok(object),
            Some(restrictions) => self.replaced(restrictions, object),
        }
    }

    #[cold]
    fn replaced<'py>(
        &self,
        restrictions: &Arc<Restrictions>,
        object: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let wrap = |function: &Bound<'py, PyAny>, verdict: Verdict| {
            self.rules(py, restrictions).wrap(function, verdict)
        };
        Ok(restrictions.replace(&object, &wrap)?.unwrap_or(object))
    }

    fn rules(&self, py: Python<'_>, restrictions: &Arc<Restrictions>) -> Rules {
        let copy = |handler: &Option<Py<PyAny>>| handler.as_ref().map(|held| held.clone_ref(py));
        Rules {
            restrictions: restrictions.clone(),
            filter: copy(&self.attribute_filter),
            getter: copy(&self.attribute_getter),
            setter: copy(&self.attribute_setter),
        }
    }

    /// An error for attributes that stay out of reach, whatever a filter or a handler says.
    pub(crate) fn check_attribute(&self, object: &Bound<'_, PyAny>, setting: bool) -> PyResult<()> {
        match &self.restrictions {
            None => Ok(()),
            Some(restrictions) => restrictions.check_attribute(object, setting),
        }
    }
}
