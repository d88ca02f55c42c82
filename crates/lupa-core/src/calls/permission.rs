//! Checks of the rights of Lua code in a sandbox, and the error that says which right the host may give.
#![forbid(unsafe_code)]

use std::sync::Arc;

use lua_api::LuaBackend;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyDictItems, PyFloat, PyInt, PyType};

use crate::base::error::classes;
use crate::base::fallible;
use crate::rights::allowed::Rights;
use crate::rights::exposure::Sandbox;
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::runtime::place::where_called;

/// Refuses an operation: `what` is a verb with what it is done to, `cure` the option that allows it.
#[cold]
pub(crate) fn refuse<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
    what: &str,
    cure: &str,
) -> PyErr {
    let py = object.py();
    let kind = type_name(object);
    let at = where_called(entry.state());
    let message = format!(
        "Lua code may not {what} this '{kind}': the host has not exposed it with {cure}{at}"
    );
    fallible::error_of(classes(py).sandbox.bind(py).clone(), message)
}

pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    let name = object.get_type().name().map(|name| name.to_string());
    name.unwrap_or_else(|_| "?".into())
}

/// The rights that Lua code in a sandbox has on an object.
pub(crate) fn rights_to<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
) -> PyResult<Option<Arc<Rights>>> {
    entry.options.sandbox.as_ref().map_or(Ok(None), |sandbox| sandbox.rights(object))
}

/// An error unless Lua code may call an object that has this view.
#[inline]
pub(crate) fn check_call<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
    view: View,
) -> PyResult<()> {
    match &entry.options.sandbox {
        Some(sandbox) if !view.has(View::CALL) => allow_call(entry, sandbox, object),
        _ => Ok(()),
    }
}

#[inline(never)]
fn allow_call<B: LuaBackend>(
    entry: &Entry<'_, B>,
    sandbox: &Sandbox,
    object: &Bound<'_, PyAny>,
) -> PyResult<()> {
    if sandbox.rights(object)?.is_some_and(|rights| rights.call) {
        return Ok(());
    }
    if !object.is_instance_of::<PyType>() {
        return Err(refuse(entry, object, "call", "call=True"));
    }
    if sandbox.constructs(object)? {
        return Ok(());
    }
    Err(refuse(entry, object, "call", "construct=True"))
}

/// An error unless Lua code may go over an object.
pub(crate) fn check_iteration<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
) -> PyResult<()> {
    match &entry.options.sandbox {
        Some(sandbox) if !sandbox.rights(object)?.is_some_and(|rights| rights.iterate) => {
            Err(refuse(entry, object, "iterate over", "iterate=True"))
        }
        _ => Ok(()),
    }
}

/// Whether the tuples that an iteration gives may become several values. A pair of a dict's items is made
/// for the purpose; other tuples are objects as all else.
pub(crate) fn may_unpack<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let Some(sandbox) = &entry.options.sandbox else { return Ok(true) };
    if entry.options.unpack_returned_tuples {
        return Ok(true);
    }
    if object.is_exact_instance_of::<PyDictItems>() {
        return Ok(true);
    }
    let tuple = fallible::tuple(entry.py, [])?;
    Ok(sandbox.rights(&tuple)?.is_some_and(|rights| rights.iterate))
}

/// An error unless an iterator was made by `python.iter` and its like.
pub(crate) fn check_next<B: LuaBackend>(
    entry: &Entry<'_, B>,
    iterator: &Bound<'_, PyAny>,
    view: View,
) -> PyResult<()> {
    match &entry.options.sandbox {
        Some(_) if !view.has(View::NEXT) => check_iteration(entry, iterator),
        _ => Ok(()),
    }
}

/// An error if Lua code asks for the memory of an object.
pub(crate) fn check_array<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
) -> PyResult<()> {
    match &entry.options.sandbox {
        Some(_) => {
            let kind = type_name(object);
            let message = format!(
                "Lua code may not make an array of this '{kind}': the host can pass as_array(obj){}",
                where_called(entry.state())
            );
            Err(fallible::error_of(classes(entry.py).sandbox.bind(entry.py).clone(), message))
        }
        None => Ok(()),
    }
}

/// An error unless an object is a number whose value takes no code of a class to know.
pub(crate) fn check_number<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let plain = entry.options.sandbox.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyComplex>();
    if plain {
        return Ok(());
    }
    let kind = type_name(object);
    Err(fallible::error::<PyTypeError>(format!(
        "an array element cannot be a '{kind}' object in a sandbox"
    )))
}
