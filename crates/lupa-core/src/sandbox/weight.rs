//! What Python objects count for in the memory of a sandbox.
//!
//! A box is small, whatever is in it. Most objects are the host's, and there anyway; but a script that
//! keeps exceptions, or what `python.args` makes, keeps objects that are there because of it, with
//! strings of its choice in them. Such a box counts for as much as they take, until it is collected.

use std::sync::atomic::Ordering;

use lua_api::{Gc, LuaBackend, State};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::error::{Error, Result};
use crate::runtime::{Entry, Runtime};
use crate::to_lua::{Prepared, push_protected};

/// What any such object takes: itself, and of an exception its traceback.
const LEAST: usize = 1024;

const UNIT: usize = 1024;

/// How much makes a collection worth while, where there is no limit.
const MUCH: usize = 16 << 20;

/// Pushes an exception.
pub(crate) fn push_exception<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    exception: &Bound<'_, PyAny>,
) -> Result<()> {
    let args = exception.getattr("args").ok().and_then(|args| args.cast_into::<PyTuple>().ok());
    push(entry, state, exception, LEAST + args.map_or(0, |args| sizes(args.iter())))
}

/// Pushes what `python.args` has made of these arguments.
pub(crate) fn push_arguments<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: &Bound<'_, PyAny>,
    args: &Bound<'_, PyTuple>,
    kwargs: &Bound<'_, PyDict>,
) -> Result<()> {
    let named = kwargs.iter().map(|(name, value)| size(&name) + size(&value)).sum::<usize>();
    push(entry, state, object, LEAST + sizes(args.iter()) + named)
}

fn sizes<'py>(objects: impl Iterator<Item = Bound<'py, PyAny>>) -> usize {
    objects.map(|object| size(&object)).sum()
}

/// What an object takes, about; of those that are no strings it is not much.
fn size(object: &Bound<'_, PyAny>) -> usize {
    const OTHER: usize = 64;
    if let Ok(text) = object.cast::<PyString>() {
        // Up to four bytes for a character.
        return OTHER + text.len().map_or(0, |len| 4 * len);
    }
    OTHER + object.cast::<PyBytes>().map_or(0, |bytes| bytes.as_bytes().len())
}

fn push<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: &Bound<'_, PyAny>,
    bytes: usize,
) -> Result<()> {
    let runtime = entry.runtime();
    let memory = runtime.instance.memory();
    let pressure = runtime.arrays.pressure.get().saturating_add(bytes);
    runtime.arrays.pressure.set(pressure);
    let much = if memory.limit() == 0 { MUCH } else { memory.limit() / 4 };
    if pressure > much || !memory.has_room(bytes) {
        // Lua does not know that its small boxes are worth a collection.
        runtime.arrays.pressure.set(bytes);
        if state.protect(|raising| raising.gc(Gc::Collect)).is_err() {
            state.pop(1);
        }
        if !memory.has_room(bytes) {
            return Err(Error::Memory);
        }
    }
    let weight = u16::try_from(bytes.div_ceil(UNIT)).unwrap_or(u16::MAX);
    memory.outside().fetch_add(usize::from(weight) * UNIT, Ordering::Relaxed);
    let pushed = push_protected(entry, state, Prepared::Weighty(object.as_ptr(), weight));
    if pushed.is_err() {
        lift(runtime, weight);
    }
    pushed
}

/// Takes the weight of a box off again, when it is collected.
pub(crate) fn lift<B: LuaBackend>(runtime: &Runtime<B>, weight: u16) {
    let bytes = usize::from(weight) * UNIT;
    runtime.instance.memory().outside().fetch_sub(bytes, Ordering::Relaxed);
}
