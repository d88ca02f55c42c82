//! `FastRLock`: the lock of the runtimes as a Python class, which lupa has always had on offer.
#![forbid(unsafe_code)]

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::base::fallible;
use crate::base::lock::Lock;

/// A re-entrant lock that costs little when no other thread wants it.
///
/// It has the methods of ``threading.RLock``:
///
/// >>> lock = FastRLock()
/// >>> lock.acquire()
/// True
/// >>> lock.acquire()
/// True
/// >>> lock.release(); lock.release()
/// >>> lock.release()
/// Traceback (most recent call last):
///     ...
/// RuntimeError: cannot release un-acquired lock
#[pyclass(name = "FastRLock", module = "lupa", frozen)]
#[derive(Default)]
pub(crate) struct FastRLock {
    lock: Lock,
}

#[pymethods]
impl FastRLock {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Take the lock; with ``blocking=False``, only if no other thread has it. True if taken.
    #[pyo3(signature = (blocking=true))]
    fn acquire(&self, py: Python<'_>, blocking: bool) -> PyResult<bool> {
        if self.lock.try_acquire() {
            return Ok(true);
        }
        if blocking {
            self.lock.wait(py, || Ok(py.check_signals()?))?;
        }
        Ok(blocking)
    }

    /// Give the lock back, once for each time it was taken.
    fn release(&self) -> PyResult<()> {
        if !self.lock.is_owned() {
            return Err(fallible::error::<PyRuntimeError>("cannot release un-acquired lock"));
        }
        self.lock.release();
        Ok(())
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.acquire(py, true)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, _exc: &Bound<'_, pyo3::types::PyTuple>) -> PyResult<()> {
        self.release()
    }

    fn _is_owned(&self) -> bool {
        self.lock.is_owned()
    }
}
