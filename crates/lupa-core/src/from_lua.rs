//! Lua values in Python: mapped, wrapped, or unwrapped.

use lua_api::{LuaBackend, State, value};
use pyo3::exceptions::PyReferenceError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::boxes::{PyBox, View};
use crate::callback::is_as_function;
use crate::coroutine;
use crate::encoding::Encoding;
use crate::error::Result;
use crate::fallible;
use crate::object;
use crate::runtime::Runtime;
use crate::types;

/// The Python object for the value at `index`. Leaves the stack as it was; runs no Lua code.
#[inline]
pub(crate) fn from_lua<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Result<Bound<'py, PyAny>> {
    // SAFETY: the type is asked for just now.
    unsafe { from_lua_typed(runtime, py, state, index, state.type_of(index)) }
}

/// As [`from_lua`], for a value whose type is known.
///
/// # Safety
/// The value at `index` is of the type `kind`.
#[inline(always)]
pub(crate) unsafe fn from_lua_typed<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
    kind: i32,
) -> Result<Bound<'py, PyAny>> {
    match kind {
        value::NIL | value::NONE => Ok(py.None().into_bound(py)),
        value::NUMBER => number(py, state, index),
        // SAFETY: a string, as the caller promises.
        value::STRING => unsafe { state.with_string(index, |bytes| string(runtime, py, bytes)) },
        _ => other(runtime, py, state, index, kind),
    }
}

/// The `str` or `bytes` for a Lua string.
#[inline(always)]
fn string<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    bytes: &[u8],
) -> Result<Bound<'py, PyAny>> {
    if let Some(known) = runtime.strings.received(bytes) {
        // SAFETY: a new reference to a `str`.
        return Ok(unsafe { Bound::from_owned_ptr(py, known) });
    }
    new_string(runtime, py, bytes)
}

#[inline(never)]
fn new_string<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    bytes: &[u8],
) -> Result<Bound<'py, PyAny>> {
    let object = runtime.options.encoding.decode(py, bytes)?;
    if matches!(runtime.options.encoding, Encoding::Utf8) {
        runtime.strings.learn_received(bytes, object.as_ptr());
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
        value::BOOLEAN => {
            // SAFETY: attached; gives a new reference.
            let object = unsafe { ffi::PyBool_FromLong(state.to_bool(index).into()) };
            // SAFETY: as above.
            Ok(unsafe { Bound::from_owned_ptr(py, object) })
        }
        value::TABLE => object::wrap(runtime, py, state, index, types::get().table),
        value::USERDATA => match unbox(runtime, state, index) {
            Some(object) => boxed(runtime, py, object),
            None => match crate::array::to_python(runtime, py, state, index)? {
                Some(array) => Ok(array),
                None => object::wrap(runtime, py, state, index, types::get().object),
            },
        },
        value::FUNCTION => {
            if is_as_function(state, index)
                && let Some(object) = unbox_function(runtime, state, index)
            {
                return boxed(runtime, py, object);
            }
            object::wrap(runtime, py, state, index, types::get().function)
        }
        value::THREAD => coroutine::wrap(runtime, py, state, index),
        _ => object::wrap(runtime, py, state, index, types::get().object),
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
    // SAFETY: attached; gives a new reference, or null with an exception.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(number))?) }
}

/// The object for another number: an `int` for a whole one, where Lua has no integers.
#[inline(always)]
pub(crate) fn float<B: LuaBackend>(py: Python<'_>, number: f64) -> Result<Bound<'_, PyAny>> {
    if !B::HAS_INTEGERS
        && let Some(whole) = whole(number)
    {
        return integer(py, whole);
    }
    // SAFETY: as above.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, ffi::PyFloat_FromDouble(number))?) }
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
    py: Python<'py>,
    object: *mut ffi::PyObject,
) -> Result<Bound<'py, PyAny>> {
    if object.is_null() {
        return Err(fallible::error::<PyReferenceError>("deleted python object").into());
    }
    // SAFETY: the box owns the object, and it is alive on the stack.
    let object = unsafe { Bound::from_borrowed_ptr(py, object) };
    Ok(runtime.options.restrict(object)?)
}

/// The object in the box at `index`: `None` when that is no box, null when the box was finalized.
#[inline]
pub(crate) fn unbox<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<*mut ffi::PyObject> {
    if let Some((object, _)) = live_box(runtime, state, index) {
        return Some(object);
    }
    find_box(runtime, state, index).map(|_| std::ptr::null_mut())
}

/// The object and the view of the box at `index`, if it is one, and not finalized.
///
/// Its metatable is not asked for: what a slot knows as its home is a box, and stays one with
/// whatever metatable a script may give it with `debug.setmetatable`.
#[inline(always)]
pub(crate) fn live_box<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<(*mut ffi::PyObject, View)> {
    let memory = state.to_userdata(index);
    // A light one has no length.
    if memory.is_null() || state.raw_len(index) != size_of::<PyBox>() {
        return None;
    }
    runtime.boxes.look_up(memory.cast())
}

/// What looks like a box of this runtime, at `index`. A script with `debug.setmetatable` can make
/// any userdata look so: only [`crate::boxes::Boxes::look_up`] tells.
#[inline]
pub(crate) fn find_box<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<*mut PyBox> {
    let memory = state.to_userdata(index);
    if memory.is_null() || !state.push_metatable(index) {
        return None;
    }
    let ours = state.to_pointer(-1) as usize == runtime.anchors.metatable_address.get();
    state.pop(1);
    let alike = ours
        && state.type_of(index) == value::USERDATA
        && state.raw_len(index) == size_of::<PyBox>();
    alike.then_some(memory.cast())
}

/// The object behind a function made by `python.as_function`.
pub(crate) fn unbox_function<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<*mut ffi::PyObject> {
    if !state.push_upvalue(index, 1) {
        return None;
    }
    let object = unbox(runtime, state, -1);
    state.pop(1);
    object
}
