//! A Lua table as the arguments of a Python call: `python.args` and the `unpacks_lua_table`
//! decorators.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Ref};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyString, PyTuple};

use crate::entry::Entry;
use crate::error::Result;
use crate::fallible;
use crate::types::Link;
use crate::walk::{self, Batch, Walk, Wanted};

/// Arguments on their way from Lua to a Python callable: what `python.args` gives.
#[pyclass(name = "_PyArguments", module = "lupa", frozen)]
pub(crate) struct PyArguments {
    pub(crate) args: Link<PyTuple>,
    pub(crate) kwargs: Link<PyDict>,
    /// What it counts for in a sandbox, with all that is in it; bytes.
    pub(crate) weight: usize,
}

#[pymethods]
impl PyArguments {
    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&*self.args)?;
        visit.call(&*self.kwargs)
    }
}

/// Splits a table into its sequence, as positional, and its string keys, as keyword arguments.
///
/// # Errors
/// `IndexError` for an integer key outside of the sequence, `TypeError` for a key of another type.
pub(crate) fn unpack<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
) -> Result<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
    let py = entry.py;
    let runtime = entry.runtime();
    let state = entry.state();
    let base = state.top();
    state.push_ref(table);
    let length = state.raw_len(-1);
    state.set_top(base);
    let mut args: Vec<Option<Bound<'py, PyAny>>> = Vec::new();
    args.try_reserve_exact(length).map_err(|_| crate::error::Error::Memory)?;
    args.resize(length, None);
    let kwargs = fallible::dict(py)?;
    let mut walk = Walk::default();
    let result = collect(entry, table, &mut walk, &mut args, &kwargs);
    walk.end(runtime);
    result?;
    let none = py.None().into_bound(py);
    let args = args.into_iter().map(|value| value.unwrap_or_else(|| none.clone()));
    Ok((fallible::tuple(py, args)?, kwargs))
}

fn collect<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
    walk: &mut Walk,
    args: &mut [Option<Bound<'py, PyAny>>],
    kwargs: &Bound<'py, PyDict>,
) -> Result<()> {
    let state = entry.state();
    let base = state.top();
    let mut batch = Batch::new();
    loop {
        walk.read(entry, table, batch.len(), walk::MOST, Wanted::Both, &mut batch)?;
        while let Some((key, value)) = batch.next() {
            let pair =
                key.object(entry, state).and_then(|key| Ok((key, value.object(entry, state)?)));
            let placed = pair.and_then(|(key, value)| {
                place(entry, args, kwargs, &key, value).map_err(Into::into)
            });
            if placed.is_err() {
                state.set_top(base);
                return placed;
            }
        }
        state.set_top(base);
        if batch.len() == 0 {
            return Ok(());
        }
    }
}

fn place<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    args: &mut [Option<Bound<'py, PyAny>>],
    kwargs: &Bound<'py, PyDict>,
    key: &Bound<'py, PyAny>,
    value: Bound<'py, PyAny>,
) -> PyResult<()> {
    if key.is_instance_of::<PyInt>() && !key.is_instance_of::<PyBool>() {
        let place = key
            .extract::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| args.get_mut(index));
        let Some(place) = place else {
            return Err(fallible::error::<PyIndexError>("table index out of range"));
        };
        *place = Some(value);
        Ok(())
    } else if let Ok(bytes) = key.cast::<PyBytes>() {
        let name = entry.options.source_encoding.decode(entry.py, bytes.as_bytes())?;
        kwargs.set_item(name, value)
    } else if key.is_instance_of::<PyString>() {
        kwargs.set_item(key, value)
    } else {
        Err(fallible::error::<PyTypeError>("table key is neither an integer nor a string"))
    }
}
