//! How `LuaRuntime` takes its arguments, where that is not what PyO3 would do.
#![forbid(unsafe_code)]

use lua_api::Selection;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

use crate::base::fallible;
use crate::base::guard::settled;
use crate::classes::engine;

/// A parameter that may be left out, given as None, or given.
pub(crate) enum Omittable<'py> {
    Unset,
    Given(Option<Bound<'py, PyAny>>),
}

/// The default of such a parameter, as a signature spells it.
#[allow(non_snake_case)]
pub(crate) fn Omittable<'py>(_: ()) -> Omittable<'py> {
    Omittable::Unset
}

impl<'py> FromPyObject<'_, 'py> for Omittable<'py> {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        Ok(Omittable::Given((!object.is_none()).then(|| object.to_owned())))
    }
}

/// A number of bytes; a fraction is cut off.
pub(crate) struct Bytes(pub(crate) i64);

impl<'py> FromPyObject<'_, 'py> for Bytes {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyFloat>() {
            Ok(number) => Ok(Bytes(number.value() as i64)),
            // A number that is larger than any memory means the same as the largest.
            Err(_) => {
                let number =
                    object.extract().or_else(|_| object.extract::<u64>().map(|_| i64::MAX));
                number.map(Bytes).map_err(|error| settled(object.py(), error))
            }
        }
    }
}

/// A limit in bytes; a fraction is cut off, and less than nothing is refused.
pub(crate) struct Limit(pub(crate) usize);

impl<'py> FromPyObject<'_, 'py> for Limit {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let whole = match object.cast::<PyFloat>() {
            Ok(_) => object.py().get_type::<PyInt>().call1((object,))?,
            Err(_) => object.to_owned().into_any(),
        };
        if whole.is_instance_of::<PyInt>() && whole.lt(0)? {
            let message = "can't convert negative value to size_t";
            return Err(settled(object.py(), fallible::error::<PyOverflowError>(message)));
        }
        whole.extract().map(Limit).map_err(|error| settled(object.py(), error))
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

/// A callable object, or nothing.
///
/// # Errors
/// `ValueError` with this message.
pub(crate) fn callable<'py>(
    object: Option<Bound<'py, PyAny>>,
    message: &'static str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match object {
        Some(object) if !object.is_callable() => Err(fallible::error::<PyValueError>(message)),
        object => Ok(object),
    }
}

/// The libraries that `libs` names: what is opened, and of a sandbox what stays of that.
///
/// # Errors
/// `TypeError` for a string, `ValueError` for unknown and for unsafe names.
pub(crate) fn libraries(
    names: Option<&Bound<'_, PyAny>>,
    sandboxed: bool,
) -> PyResult<(Selection, Option<Vec<&'static str>>)> {
    let names = match names {
        Some(names) if names.is_instance_of::<PyString>() => {
            return Err(fallible::error::<PyTypeError>(
                "libs must be a list of names, not a string",
            ));
        }
        Some(names) => {
            Some(names.try_iter()?.map(|name| name?.extract()).collect::<PyResult<Vec<String>>>()?)
        }
        None => None,
    };
    let engine = engine::get();
    if sandboxed {
        let safe = engine.select_safe_libraries(names.as_deref());
        let (wanted, opened) = safe.map_err(fallible::error::<PyValueError>)?;
        return Ok((opened, Some(wanted)));
    }
    let selection = match names {
        Some(names) => engine.select_libraries(&names).map_err(fallible::error::<PyValueError>)?,
        None => Selection::ALL,
    };
    Ok((selection, None))
}

/// The getter and the setter.
type Handlers<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

/// `attribute_handlers`.
///
/// # Errors
/// `ValueError` unless it is a pair of callables, or empty.
pub(crate) fn handlers<'py>(pair: Option<&Bound<'py, PyAny>>) -> PyResult<Handlers<'py>> {
    const MESSAGE: &str = "attribute_handlers must be a sequence of two callables";
    let Some(pair) = pair else { return Ok((None, None)) };
    if !pair.is_truthy()? {
        return Ok((None, None));
    }
    let wrong = |error: PyErr| {
        let py = pair.py();
        if error.is_instance_of::<PyTypeError>(py) || error.is_instance_of::<PyValueError>(py) {
            fallible::error::<PyValueError>(MESSAGE)
        } else {
            error
        }
    };
    let items: Vec<Bound<'py, PyAny>> =
        pair.try_iter().and_then(|items| items.take(3).collect()).map_err(wrong)?;
    let Ok([getter, setter]) = <[_; 2]>::try_from(items) else {
        return Err(fallible::error::<PyValueError>(MESSAGE));
    };
    let optional = |object: Bound<'py, PyAny>| {
        if object.is_none() { Ok(None) } else { callable(Some(object), MESSAGE) }
    };
    Ok((optional(getter)?, optional(setter)?))
}
