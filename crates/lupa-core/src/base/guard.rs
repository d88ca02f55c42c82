//! The edge to Python for functions that are slots of types: errors become exceptions, and no
//! panic gets through.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::panic::PanicException;
use pyo3::prelude::*;

use crate::base::error::Result;
use crate::base::fallible::{self, no_memory};

/// Does the work of a slot, which gives `failed` where an exception is set.
#[inline(always)]
pub(crate) fn caught<R>(py: Python<'_>, body: impl FnOnce() -> Result<R>, failed: R) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(result)) => return result,
        Ok(Err(error)) => raise(py, error.into()),
        Err(payload) => raise(py, panicked(payload.as_ref())),
    }
    failed
}

/// Sets an exception as Python's. PyO3 makes one when that is first needed, and panics where there is no memory
/// for its text.
#[cold]
fn raise(py: Python<'_>, error: PyErr) {
    if catch_unwind(AssertUnwindSafe(|| error.restore(py))).is_err() {
        no_memory().restore(py);
    }
}

/// The same exception, made now. To look at one that is not made yet, PyO3 attaches to Python a second time,
/// which it refuses while Python ends.
#[cold]
pub(crate) fn settled(py: Python<'_>, error: PyErr) -> PyErr {
    raise(py, error);
    PyErr::fetch(py)
}

/// The message of PyO3's panic where a call of Python returned no object.
const NO_OBJECT: &str = "PyObject pointer is null";

/// The exception for a panic, which is a bug.
#[cold]
pub(crate) fn panicked(payload: &(dyn std::any::Any + Send)) -> PyErr {
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message");
    if message == NO_OBJECT {
        // In a corner of PyO3 that we have no other way around.
        return no_memory();
    }
    fallible::error::<PanicException>(format!("lupa: {message}; this is a bug in lupa"))
}

/// Calls Python, where the interpreter may end this thread.
///
/// When Python exits, a daemon thread that wants to attach again is ended by `pthread_exit` (before
/// 3.14, where it hangs), which unwinds its stack. That must not go through Lua's frames, and Rust
/// would end the process for it; so the thread stops here, for ever.
#[inline(always)]
pub(crate) fn parked<R>(call: impl FnOnce() -> R) -> R {
    struct Parking;

    impl Drop for Parking {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                loop {
                    std::thread::park();
                }
            }
        }
    }

    let parking = Parking;
    let result = call();
    std::mem::forget(parking);
    result
}

/// Functions of Python that may end the thread, as functions that may be left by unwinding: their
/// declarations say that they are not, so they are called by an address that the compiler cannot see
/// through.
pub(crate) mod unwinding {
    use std::ffi::c_void;
    use std::hint::black_box;

    use pyo3::ffi::{self, PyObject, PyThreadState};

    type Vectorcall = unsafe extern "C-unwind" fn(
        *mut PyObject,
        *const *mut PyObject,
        usize,
        *mut PyObject,
    ) -> *mut PyObject;

    /// `PyObject_Vectorcall`.
    ///
    /// # Safety
    /// As for that.
    #[inline(always)]
    pub(crate) unsafe fn vectorcall(
        callable: *mut PyObject,
        args: *const *mut PyObject,
        nargsf: usize,
    ) -> *mut PyObject {
        let function = black_box(ffi::PyObject_Vectorcall as *const c_void);
        // SAFETY: of that type, but for what it says of unwinding; else as the caller promises.
        unsafe {
            let function = std::mem::transmute::<*const c_void, Vectorcall>(function);
            function(callable, args, nargsf, std::ptr::null_mut())
        }
    }

    /// `PyGILState_Ensure`.
    ///
    /// # Safety
    /// As for that.
    #[inline(always)]
    pub(crate) unsafe fn ensure() -> ffi::PyGILState_STATE {
        let function = black_box(ffi::PyGILState_Ensure as *const c_void);
        // SAFETY: as above.
        unsafe {
            let function = std::mem::transmute::<
                *const c_void,
                unsafe extern "C-unwind" fn() -> ffi::PyGILState_STATE,
            >(function);
            function()
        }
    }

    /// `PyEval_RestoreThread`.
    ///
    /// # Safety
    /// As for that.
    #[inline(always)]
    pub(crate) unsafe fn restore_thread(state: *mut PyThreadState) {
        let function = black_box(ffi::PyEval_RestoreThread as *const c_void);
        // SAFETY: as above.
        unsafe {
            let function = std::mem::transmute::<
                *const c_void,
                unsafe extern "C-unwind" fn(*mut PyThreadState),
            >(function);
            function(state);
        }
    }
}
