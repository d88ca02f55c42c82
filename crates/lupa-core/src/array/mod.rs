//! Arrays in Lua over memory that Python objects export, and memory of Lua's arrays for Python.
//!
//! An array in Lua is a userdata ([`userdata`]): a box, as for any Python object, with the
//! layout of the elements behind it. What the box owns is a `_LuaArray` ([`object`]), the Python
//! object that owns the memory or knows who does ([`memory`]); so Python's collector sees
//! it, and finalizers work as for all boxes. Elements are read and written by C functions that need
//! no Python ([`access`]); all else is an ordinary callback ([`methods`], [`create`]). Where Lua has
//! an ffi, a chunk of Lua takes the place of the former, so that a loop is compiled ([`jit`]).

mod access;
mod account;
mod create;
mod dtype;
mod element;
mod export;
mod half;
mod jit;
mod layout;
mod memory;
mod methods;
mod numpy;
pub(crate) mod object;
mod userdata;
mod values;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lua_api::{LuaBackend, Ref, State};
use pyo3::prelude::*;

pub(crate) use create::library;
pub(crate) use numpy::as_array;
pub(crate) use userdata::push;

use crate::base::error::Result;
use crate::convert::to_lua::{Prepared, Ready};
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;

/// What a runtime keeps for its arrays; all is empty until the first one.
#[derive(Default)]
pub(crate) struct Arrays {
    /// The metatable, and its address.
    metatable: Cell<Option<Ref>>,
    address: Cell<usize>,
    /// The functions that need the ffi, where there is one.
    ffi: Cell<Option<Ref>>,
    /// How many arrays outside of Lua use memory of Lua values. While there are any, Lua is not
    /// closed by a finalizer: others of the same garbage may still read that memory.
    pins: Arc<AtomicUsize>,
    /// Lua is being closed: its memory is no longer given away.
    closing: Cell<bool>,
    /// Bytes that were held outside of Lua's memory after the last full collection for their sake.
    pub(crate) settled: Cell<usize>,
}

impl Arrays {
    /// Whether Lua's memory is in use outside of Lua.
    pub(crate) fn are_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }

    /// From now on no array can be made over memory of Lua: finalizers that run while it is closed
    /// would leave it dangling.
    pub(crate) fn end_adoption(&self) {
        self.closing.set(true);
    }
}

/// Prepares an object for Lua as an array (or, of NumPy's scalars, as a number), if that is what
/// it is, and the runtime's options ask for it.
#[inline]
pub(crate) fn prepare<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &'a Bound<'py, PyAny>,
) -> Result<Option<Ready<'a, 'py>>> {
    if memory::Elements::of(Alive::of(object)).is_some() {
        userdata::ensure(entry)?;
        return Ok(Some(Ready::Plain(Prepared::Object(Alive::of(object), View::ARRAY))));
    }
    if !entry.options.convert_arrays {
        return Ok(None);
    }
    numpy::prepare(entry, object)
}

/// The Python object for the array at `index`, if there is one.
pub(crate) fn to_python<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Result<Option<Bound<'py, PyAny>>> {
    let array = memory::Array::at(runtime, py, state, index);
    Ok(array.map(memory::Array::into_python).transpose()?)
}
