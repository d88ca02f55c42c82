//! Arrays in Lua over memory that Python objects export, and memory of Lua's arrays for Python.
//!
//! An array in Lua is a userdata ([`userdata`]): a box, as for any Python object, with the
//! layout of the elements behind it. The box owns a `_LuaArray` ([`object`]), a Python
//! object that owns the memory or refers to its owner ([`memory`]); so Python's collector sees
//! it, and finalizers work as for all boxes. Elements are read and written by C functions that need
//! no Python ([`access`]); all else is an ordinary callback ([`methods`], [`create`]). Where Lua has
//! an ffi, a chunk of Lua takes the place of the former, so that a loop is compiled ([`jit`]).

mod access;
mod account;
mod buffer;
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
mod python;
mod shapes;
mod userdata;
mod values;

use lua_api::{LuaBackend, State};
use pyo3::prelude::*;

pub(crate) use create::library;
pub(crate) use numpy::as_array;

use crate::base::error::Result;
use crate::runtime::arrays::{ArrayHooks, Arriving};
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;

/// The functions of this room that conversions need.
pub(crate) fn hooks<B: LuaBackend>() -> ArrayHooks<B> {
    ArrayHooks { prepare, push: userdata::push, to_python }
}

/// The array or number that an object becomes in Lua: see [`ArrayHooks`].
fn prepare<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
) -> Result<Option<Arriving<'py>>> {
    if memory::Elements::of(Alive::of(object)).is_some() {
        userdata::ensure(entry)?;
        return Ok(Some(Arriving::Array(object.clone())));
    }
    if !entry.options.convert_arrays {
        return Ok(None);
    }
    numpy::prepare(entry, object)
}

/// The Python object for the array at `index`, if there is one.
fn to_python<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<'_, B>,
    index: i32,
) -> Result<Option<Bound<'py, PyAny>>> {
    let array = memory::Array::at(runtime, py, state, index);
    Ok(array.map(memory::Array::into_python).transpose()?)
}
