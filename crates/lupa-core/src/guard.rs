//! The edge to Python for functions that are slots of types: errors become exceptions, and no
//! panic gets through.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;

use crate::error::Result;

/// For slots that give an object.
#[inline]
pub(crate) fn guard<F>(body: F) -> *mut ffi::PyObject
where
    F: for<'py> FnOnce(Python<'py>) -> Result<Bound<'py, PyAny>>,
{
    // SAFETY: slots are called attached.
    let py = unsafe { Python::assume_attached() };
    run(py, || body(py).map(Bound::into_ptr), null_mut())
}

/// For slots that give an object or nothing: `None` ends an iteration.
#[inline]
pub(crate) fn guard_next<F>(body: F) -> *mut ffi::PyObject
where
    F: for<'py> FnOnce(Python<'py>) -> Result<Option<Bound<'py, PyAny>>>,
{
    // SAFETY: slots are called attached.
    let py = unsafe { Python::assume_attached() };
    run(py, || Ok(body(py)?.map_or(null_mut(), Bound::into_ptr)), null_mut())
}

/// For slots that give a length.
#[inline]
pub(crate) fn guard_int<F>(body: F) -> ffi::Py_ssize_t
where
    F: for<'py> FnOnce(Python<'py>) -> Result<ffi::Py_ssize_t>,
{
    // SAFETY: slots are called attached.
    let py = unsafe { Python::assume_attached() };
    run(py, || body(py), -1)
}

/// For slots that give 0, or another small number.
#[inline]
pub(crate) fn guard_status<F>(body: F) -> c_int
where
    F: for<'py> FnOnce(Python<'py>) -> Result<c_int>,
{
    // SAFETY: slots are called attached.
    let py = unsafe { Python::assume_attached() };
    run(py, || body(py), -1)
}

#[inline]
fn run<R>(py: Python<'_>, body: impl FnOnce() -> Result<R>, failed: R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => {
            PyErr::from(error).restore(py);
            failed
        }
        Err(payload) => {
            panicked(payload.as_ref()).restore(py);
            failed
        }
    }
}

/// The exception for a panic, which is a bug.
#[cold]
pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> PyErr {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    PanicException::new_err(format!("lupa: {message}; this is a bug in lupa"))
}
