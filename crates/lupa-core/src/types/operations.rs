//! Traits for the slots and methods of a type, one for each kind; [`crate::types::slots`] makes functions of them that Python
//! can call. `this` and the arguments are alive for the time of the call, which is `'py`.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::base::error::Result;
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::heap_type::{Garbage, Visit, Visited};

/// The content of an object, behind the header that all objects have. Threads share it, so it is `Sync`.
pub(crate) trait Content: Send + Sync + 'static {
    /// Shows Python's collector each object that this holds. No Python code is run here, and nothing is changed.
    fn visit(&self, visit: &Visit) -> Visited;

    /// The end of the object: what it holds is given back.
    fn end(self, py: Python<'_>)
    where
        Self: Sized,
    {
        let _ = py;
    }
}

/// Breaking a cycle for Python's collector: `tp_clear`.
pub(crate) trait Clear: Content {
    fn clear(&self, garbage: &Garbage<'_>);
}

/// PEP 442: what is done while the object is still whole.
pub(crate) trait Finalize: Content {
    fn finalize(&self, py: Python<'_>);

    /// Whether that has been done.
    #[cfg(Py_LIMITED_API)]
    fn is_finalized(&self) -> bool;
}

/// Of an object alone: `repr`, `iter`, methods without arguments.
pub(crate) trait Unary<T> {
    fn run<'py>(py: Python<'py>, this: This<'py, T>) -> Result<Bound<'py, PyAny>>;
}

/// With one argument: `this[key]`, methods.
pub(crate) trait Binary<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        argument: Alive<'py>,
    ) -> Result<Bound<'py, PyAny>>;
}

/// A method with any number of arguments.
pub(crate) trait Variadic<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        arguments: Bound<'py, PyTuple>,
    ) -> Result<Bound<'py, PyAny>>;
}

/// A method with any arguments.
pub(crate) trait Keywords<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        arguments: Bound<'py, PyTuple>,
        keywords: Option<Bound<'py, PyDict>>,
    ) -> Result<Bound<'py, PyAny>>;
}

/// A call of the object, with the number of its keyword arguments.
pub(crate) trait Call<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        arguments: &'py [Alive<'py>],
        keywords: usize,
    ) -> Result<Bound<'py, PyAny>>;
}

/// The step of an iterator; `None` ends it.
pub(crate) trait Step<T> {
    /// The short way, for which an object is at hand. A panic here is the end of the process.
    fn at_hand<'py>(_: Python<'py>, _: This<'py, T>) -> Option<PyResult<Bound<'py, PyAny>>> {
        None
    }

    fn run<'py>(py: Python<'py>, this: This<'py, T>) -> Result<Option<Bound<'py, PyAny>>>;
}

/// `len(this)`
pub(crate) trait Length<T> {
    fn run<'py>(py: Python<'py>, this: This<'py, T>) -> Result<isize>;
}

/// `bool(this)`
pub(crate) trait Truth<T> {
    fn run<'py>(py: Python<'py>, this: This<'py, T>) -> Result<bool>;
}

/// `this == other` and `hash(this)`. Ordering is left to Python, which refuses it.
pub(crate) trait Identity<T> {
    /// Whether both stand for the same; `None` leaves it to the other object.
    fn equals(this: This<'_, T>, other: Alive<'_>) -> Option<bool>;

    /// The same number for all that are equal.
    fn hash(this: This<'_, T>) -> isize;
}

/// `this[key] = value`; no value is to delete.
pub(crate) trait Assign<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        key: Alive<'py>,
        value: Option<Alive<'py>>,
    ) -> Result<()>;
}

/// `this.name`; `None` leaves it to Python, as with any object.
pub(crate) trait GetAttribute<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        name: Alive<'py>,
    ) -> Result<Option<Bound<'py, PyAny>>>;
}

/// `this.name = value`, no value is to delete; `None` leaves it to Python.
pub(crate) trait SetAttribute<T> {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, T>,
        name: Alive<'py>,
        value: Option<Alive<'py>>,
    ) -> Result<Option<()>>;
}

/// The function behind a getter.
pub(crate) type Read<T> = for<'py> fn(Python<'py>, This<'py, T>) -> PyResult<Bound<'py, PyAny>>;

/// An exception that is on its way while a destructor runs Python code.
pub(crate) struct SavedError(Option<PyErr>);

impl SavedError {
    pub(crate) fn take(py: Python<'_>) -> Self {
        SavedError(PyErr::take(py))
    }

    pub(crate) fn restore(self, py: Python<'_>) {
        if let Some(error) = self.0 {
            error.restore(py);
        }
    }
}
