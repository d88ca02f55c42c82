//! Lua values in Python: mapped, wrapped, or unwrapped.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State, value};
use pyo3::exceptions::PyReferenceError;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::base::error::Result;
use crate::base::fallible;
use crate::convert::coroutine;
use crate::convert::wrapper::{self, WrapperKind};
use crate::runtime::boxes::PyBox;
use crate::runtime::encoding::Encoding;
use crate::runtime::runtime::Runtime;

/// The Python object for the value at `index`. Leaves the stack as it was; runs no Lua code.
#[inline]
pub(crate) fn from_lua<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Result<Bound<'py, PyAny>> {
    state.with_value(
        index,
        #[inline(always)]
        |bytes| string(runtime, py, bytes),
        #[inline(always)]
        |kind| no_string(runtime, py, state, index, kind),
    )
}

/// As [`from_lua`], for a value that is no string, and whose type is known.
#[inline(always)]
pub(crate) fn no_string<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
    kind: i32,
) -> Result<Bound<'py, PyAny>> {
    match kind {
        value::NIL | value::NONE => Ok(py.None().into_bound(py)),
        value::NUMBER => number(py, state, index),
        _ => other(runtime, py, state, index, kind),
    }
}

/// The `str` or `bytes` for a Lua string.
#[inline(always)]
pub(crate) fn string<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    bytes: &[u8],
) -> Result<Bound<'py, PyAny>> {
    match runtime.strings.received(py, bytes) {
        Some(known) => Ok(known),
        None => new_string(runtime, py, bytes),
    }
}

#[inline(never)]
fn new_string<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    bytes: &[u8],
) -> Result<Bound<'py, PyAny>> {
    let object = runtime.options.encoding.decode(py, bytes)?;
    if matches!(runtime.options.encoding, Encoding::Utf8) {
        runtime.strings.learn_received(bytes, &object);
    }
    Ok(object)
}

#[inline(never)]
fn other<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
    kind: i32,
) -> Result<Bound<'py, PyAny>> {
    match kind {
        value::BOOLEAN => Ok(PyBool::new(py, state.to_bool(index)).to_owned().into_any()),
        value::TABLE => wrapper::wrap(runtime, py, state, index, WrapperKind::Table),
        value::USERDATA => match unbox(runtime, py, state, index) {
            Some(found) => boxed(runtime, found),
            None => match (runtime.arrays.hooks.to_python)(runtime, py, state, index)? {
                Some(array) => Ok(array),
                None => wrapper::wrap(runtime, py, state, index, WrapperKind::Object),
            },
        },
        value::FUNCTION => {
            if is_as_function(runtime, state, index)
                && let Some(found) = unbox_function(runtime, py, state, index)
            {
                return boxed(runtime, found);
            }
            wrapper::wrap(runtime, py, state, index, WrapperKind::Function)
        }
        value::THREAD => coroutine::wrap(runtime, py, state, index),
        _ => wrapper::wrap(runtime, py, state, index, WrapperKind::Object),
    }
}

#[inline(always)]
fn number<'py, B: LuaBackend>(
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Result<Bound<'py, PyAny>> {
    match state.to_integer(index) {
        Some(number) => integer(py, number),
        None => float::<B>(py, state.to_number(index)),
    }
}

/// The object for a number of the integer subtype.
#[inline(always)]
pub(crate) fn integer(py: Python<'_>, number: i64) -> Result<Bound<'_, PyAny>> {
    Ok(fallible::int64(py, number)?)
}

/// The object for another number: an `int` for a whole one, where Lua has no integers.
#[inline(always)]
pub(crate) fn float<B: LuaBackend>(py: Python<'_>, number: f64) -> Result<Bound<'_, PyAny>> {
    if !B::HAS_INTEGERS
        && let Some(whole) = whole(number)
    {
        return integer(py, whole);
    }
    Ok(fallible::float(py, number)?)
}

/// The integer that a float stands for where Lua has no integers; `None` for a fraction, infinity,
/// NaN, or what is too large for one.
fn whole(number: f64) -> Option<i64> {
    // The conversion saturates, and 2^63 as a float is what its largest result comes back as.
    let whole = number as i64;
    (whole as f64 == number && whole != i64::MAX).then_some(whole)
}

fn boxed<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    found: Unboxed<'py>,
) -> Result<Bound<'py, PyAny>> {
    match found {
        Unboxed::Object(object) => Ok(runtime.options.restrict(object)?),
        Unboxed::Deleted => {
            Err(fallible::error::<PyReferenceError>("deleted python object").into())
        }
    }
}

/// The content of a box.
pub(crate) enum Unboxed<'py> {
    Object(Bound<'py, PyAny>),
    /// Nothing any more: it was finalized.
    Deleted,
}

/// The content of the box at `index`; `None` if that value is no box.
#[inline]
pub(crate) fn unbox<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Option<Unboxed<'py>> {
    if let Some((object, _)) = runtime.boxes.get(py, state, index) {
        return Some(Unboxed::Object(object));
    }
    looks_like_box(runtime, state, index).then_some(Unboxed::Deleted)
}

/// Whether the value at `index` looks like a box of this runtime. A script with `debug.setmetatable` can make
/// any userdata look so: only [`crate::runtime::boxes::Boxes`] tells.
#[inline]
pub(crate) fn looks_like_box<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> bool {
    if state.type_of(index) != value::USERDATA || !state.push_metatable(index) {
        return false;
    }
    let ours = state.to_pointer(-1) as usize == runtime.anchors.metatable_address.get();
    state.pop(1);
    ours && state.raw_len(index) == size_of::<PyBox>()
}

/// The Python object behind a function made by `python.as_function`.
pub(crate) fn unbox_function<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Option<Unboxed<'py>> {
    if !state.push_upvalue(index, 1) {
        return None;
    }
    let found = unbox(runtime, py, state, -1);
    state.pop(1);
    found
}

/// Whether the function at `index` was made by `python.as_function`.
#[inline]
pub(crate) fn is_as_function<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> bool {
    let own = runtime.anchors.as_function.get();
    state.to_c_function(index).is_some_and(|function| function as usize == own)
}
