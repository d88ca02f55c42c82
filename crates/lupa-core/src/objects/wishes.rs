//! What the caller of `to_python` wishes for keys, and for values that have no form in Python.
#![forbid(unsafe_code)]

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::fallible;

/// The keyword arguments of `to_python`.
pub(crate) struct Wishes<'py> {
    /// What makes the object for an empty table; by default a dict.
    pub(crate) empty: Option<Bound<'py, PyAny>>,
    pub(crate) keys: Keys<'py>,
    pub(crate) other: Other<'py>,
    pub(crate) cycles: bool,
    pub(crate) max_depth: Option<usize>,
    pub(crate) max_items: Option<usize>,
    pub(crate) metamethods: bool,
}

/// What becomes of keys.
pub(crate) enum Keys<'py> {
    /// They are kept, and one that cannot be is an error.
    Error,
    Str,
    Function(Bound<'py, PyAny>),
}

/// What becomes of functions, coroutines and userdata.
pub(crate) enum Other<'py> {
    Keep,
    Error,
    Function(Bound<'py, PyAny>),
}

impl<'py> Wishes<'py> {
    /// What becomes of a function, coroutine or userdata, which is at `place`.
    ///
    /// # Errors
    /// `TypeError`, if that is wished; what a function of the caller raises.
    pub(crate) fn other(
        &self,
        object: Bound<'py, PyAny>,
        place: impl FnOnce() -> Result<String>,
    ) -> Result<Bound<'py, PyAny>> {
        match &self.other {
            Other::Keep => Ok(object),
            Other::Function(function) => Ok(function.call1((object,))?),
            Other::Error => {
                let (object, place) = (object.repr()?, place()?);
                let object = object.to_string_lossy();
                Err(type_error(format!("{object} at {place} has no form in Python (see other)")))
            }
        }
    }
}

/// `TypeError`.
pub(crate) fn type_error(text: String) -> Error {
    fallible::error::<PyTypeError>(text).into()
}
