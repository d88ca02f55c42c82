//! How `LuaRuntime` takes its arguments, where that is not what PyO3 would do.

use pyo3::prelude::*;
use pyo3::types::PyFloat;

/// A parameter that may be left out, given as None, or given.
pub(crate) enum Default<'py> {
    Unset,
    Given(Option<Bound<'py, PyAny>>),
}

/// The default of such a parameter, as a signature spells it.
#[allow(non_snake_case)]
pub(crate) fn Default<'py>(_: ()) -> Default<'py> {
    Default::Unset
}

impl<'py> FromPyObject<'_, 'py> for Default<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Default::Given((!object.is_none()).then(|| object.to_owned())))
    }
}

/// A number of bytes; a fraction is cut off.
pub(crate) struct Bytes(pub(crate) i64);

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyFloat>() {
            Ok(number) => Ok(Bytes(number.value() as i64)),
            // What is larger than any memory is as good as the largest number.
            Err(_) => {
                object.extract().or_else(|_| object.extract::<u64>().map(|_| i64::MAX)).map(Bytes)
            }
        }
    }
}

/// A flag that takes any object by its truth, as lupa always has.
#[derive(Clone, Copy)]
pub(crate) struct Truth(pub(crate) bool);

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        Truth(value)
    }
}

impl<'py> FromPyObject<'_, 'py> for Truth {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Truth)
    }
}

/// A flag that is on unless it is switched off, and can be asked for expressly.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    Unset,
    Given(bool),
}

impl Flag {
    pub(crate) fn is_on(self) -> bool {
        !matches!(self, Flag::Given(false))
    }

    pub(crate) fn is_asked_for(self) -> bool {
        matches!(self, Flag::Given(true))
    }
}

impl<'py> FromPyObject<'_, 'py> for Flag {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        object.is_truthy().map(Flag::Given)
    }
}
