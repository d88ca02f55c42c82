//! What Python objects count for in the memory of a sandbox.
//!
//! A box is small, whatever is in it. Most objects are the host's, and there anyway; but a script that
//! keeps exceptions, or what `python.args` makes, keeps objects that are there because of it, with
//! strings of its choice in them. Such a box counts for as much as they take, until it is collected.
#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::sync::atomic::Ordering;

use lua_api::{Gc, LuaBackend, State};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::alive::Alive;
use crate::arguments::PyArguments;
use crate::attribute::Attributes as _;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::fallible;
use crate::runtime::Runtime;
use crate::to_lua::{Prepared, push_protected};

/// What any such object takes.
const LEAST: usize = 512;

/// What a level of a traceback takes: itself, and the frame of a call.
const LEVEL: usize = 512;

/// How far exceptions that others were the cause of are followed, and levels of a traceback.
const FAR: usize = 10_000;

const UNIT: usize = 1024;

/// How much makes a collection worth while, where there is no limit.
const MUCH: usize = 16 << 20;

/// Pushes an exception.
pub(crate) fn push_exception<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    exception: &Bound<'_, PyAny>,
) -> Result<()> {
    push_weighty(entry, state, exception, weight_of_exception(exception))
}

/// What `python.args` makes of these arguments weighs.
pub(crate) fn weight_of_arguments(args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> usize {
    let named = kwargs.iter().map(|(name, value)| size(&name) + size(&value)).sum::<usize>();
    LEAST + args.iter().map(|value| size(&value)).sum::<usize>() + named
}

/// What an exception weighs, with its traceback, with those that it came from and those in its arguments.
fn weight_of_exception(exception: &Bound<'_, PyAny>) -> usize {
    let mut weight = 0;
    let mut far = 0;
    let mut open = vec![exception.clone()];
    while let Some(exception) = open.pop().filter(|_| far < FAR) {
        far += 1;
        weight += LEAST;
        if let Some(Ok(args)) = follow(&exception, c"args").map(|args| args.cast_into::<PyTuple>())
        {
            for value in args {
                if value.is_instance_of::<PyBaseException>() {
                    if fallible::push(&mut open, value).is_err() {
                        return weight;
                    }
                } else {
                    weight += size(&value);
                }
            }
        }
        let mut level = follow(&exception, c"__traceback__");
        while let Some(found) = level.filter(|_| far < FAR) {
            far += 1;
            weight += LEVEL;
            level = follow(&found, c"tb_next");
        }
        open.extend(
            follow(&exception, c"__cause__").or_else(|| follow(&exception, c"__context__")),
        );
    }
    weight
}

/// An attribute, if it is there and not `None`.
fn follow<'py>(object: &Bound<'py, PyAny>, name: &CStr) -> Option<Bound<'py, PyAny>> {
    let name = fallible::name(object.py(), name).ok()?;
    object.attribute(name).ok().filter(|found| !found.is_none())
}

/// What an object takes, about; of those that are no strings it is not much.
fn size(object: &Bound<'_, PyAny>) -> usize {
    const OTHER: usize = 64;
    if let Ok(text) = object.cast::<PyString>() {
        // Up to four bytes for a character.
        return OTHER + text.len().map_or(0, |len| 4 * len);
    }
    // One that is in another outlives its box, and counts twice while that is there.
    if let Ok(arguments) = object.cast::<PyArguments>() {
        return OTHER + arguments.get().weight;
    }
    if object.is_instance_of::<PyBaseException>() {
        return OTHER + weight_of_exception(object);
    }
    OTHER + object.cast::<PyBytes>().map_or(0, |bytes| bytes.as_bytes().len())
}

/// Pushes an object that weighs so many bytes.
pub(crate) fn push_weighty<B: LuaBackend>(
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
    let pushed = push_protected(entry, state, Prepared::Weighty(Alive::of(object), weight));
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
