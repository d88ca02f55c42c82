//! The short way for everyday values: objects of exact types that need neither Python code nor an
//! allocation in Lua, and so no protected call.
//!
//! Nothing runs here, but for what [`learn`] may have Lua's finalizers run: it makes the string of a `str` that comes
//! often. So its caller holds the object, as the type says, and all else that it goes on to use.
//!
//! Whoever finds the short way closed (`false`, `None`) has changed nothing, and takes the long one
//! ([`crate::to_lua`], [`crate::from_lua`]), which knows every type.

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::alive::Alive;
use crate::compat;
use crate::encoding::Encoding;
use crate::entry::Entry;
use crate::error::Result;
use crate::from_lua::from_lua_typed;
use crate::object;
use crate::strings::Strings;
use crate::to_lua::Mode;

/// Pushes an object, if that can be done the short way.
#[inline(always)]
pub(crate) fn push<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Alive<'_>,
    mode: Mode,
) -> bool {
    // SAFETY: an object that is held.
    unsafe { push_unless(entry, state, object.as_ptr(), mode, || learn(entry, object, 1)) }
}

/// As [`push`], of an object to which the caller has made a reference of its own.
#[inline(always)]
pub(crate) fn push_held<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Alive<'_>,
    mode: Mode,
) -> bool {
    // SAFETY: an object that is held.
    unsafe { push_unless(entry, state, object.as_ptr(), mode, || learn(entry, object, 2)) }
}

/// As [`push`], but of strings only those that are known already: so nothing runs.
///
/// # Safety
/// A live object, at this moment.
#[inline(always)]
pub(crate) unsafe fn push_known<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: *mut ffi::PyObject,
    mode: Mode,
) -> bool {
    // SAFETY: as the caller promises.
    unsafe { push_unless(entry, state, object, mode, || None) }
}

/// # Safety
/// A live object, for as long as `unknown` takes.
#[inline(always)]
unsafe fn push_unless<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: *mut ffi::PyObject,
    mode: Mode,
    unknown: impl FnOnce() -> Option<lua_api::Ref>,
) -> bool {
    // SAFETY: attached; exact types are checked before they are used.
    unsafe {
        let held = Alive::from_ptr(object);
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyLong_Type {
            let Some(number) = integer::<B>(held) else { return false };
            state.push_integer(number);
        } else if kind == &raw mut ffi::PyUnicode_Type {
            let known = entry.runtime().strings.sent(object);
            let Some(reference) = known.or_else(unknown) else { return false };
            state.push_ref(reference);
        } else if kind == &raw mut ffi::PyFloat_Type {
            state.push_number(compat::float_value(object));
        } else if object == ffi::Py_None() {
            match mode {
                Mode::Value => state.push_nil(),
                Mode::NotNil => return false,
            }
        } else if object == ffi::Py_True() {
            state.push_bool(true);
        } else if object == ffi::Py_False() {
            state.push_bool(false);
        } else if let Some(reference) = object::reference_in(held, entry.runtime()) {
            let Ok(reference) = reference else { return false };
            state.push_ref(reference);
        } else {
            return false;
        }
        true
    }
}

/// `table[key]` of the table behind a reference, where that takes no metamethod and the key goes the short way.
#[inline(always)]
pub(crate) fn get<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    key: Alive<'_>,
    mode: Mode,
) -> Option<Result<Bound<'py, PyAny>>> {
    let state = entry.state();
    if state.push_ref_type(reference) != value::TABLE {
        state.pop(1);
        return None;
    }
    let kind = if let Some(position) = position::<B>(key) {
        state.raw_geti_type(-1, position)
    } else if push(entry, state, key, mode) {
        state.raw_get_type(-2)
    } else {
        state.pop(1);
        return None;
    };
    if kind == value::NIL && state.push_metatable(-2) {
        state.pop(3);
        return None;
    }
    // SAFETY: that is its type.
    let result = unsafe { from_lua_typed(entry.runtime(), entry.py, state, -1, kind) };
    state.pop(2);
    Some(result)
}

/// Makes `table[key] = value` of the table behind a reference, without metamethods, if the key is in it already and
/// both go the short way. No value is nil.
#[inline(always)]
pub(crate) fn replace<B: LuaBackend>(
    entry: &Entry<'_, B>,
    reference: Ref,
    key: Alive<'_>,
    object: Option<Alive<'_>>,
) -> bool {
    let state = entry.state();
    let replaced = state.push_ref_type(reference) == value::TABLE
        && replace_in_table(entry, state, key, object);
    state.pop(1);
    replaced
}

/// [`replace`] in the table on top.
#[inline(always)]
fn replace_in_table<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    key: Alive<'_>,
    object: Option<Alive<'_>>,
) -> bool {
    let push_value = || match object {
        Some(object) => push(entry, state, object, Mode::Value),
        None => {
            state.push_nil();
            true
        }
    };
    // A key is looked for when key and value are on the stack, so that nothing runs before the assignment.
    if let Some(position) = position::<B>(key) {
        if !push_value() {
            return false;
        }
        if !state.replace(-2, position) {
            state.pop(1);
            return false;
        }
        return true;
    }
    if !push(entry, state, key, Mode::NotNil) {
        return false;
    }
    if !push_value() {
        state.pop(1);
        return false;
    }
    if !state.replace_key(-3) {
        state.pop(2);
        return false;
    }
    true
}

/// The position that an `int` is.
#[inline(always)]
fn position<B: LuaBackend>(object: Alive<'_>) -> Option<i64> {
    // SAFETY: alive; the exact type is checked.
    unsafe {
        if ffi::Py_TYPE(object.as_ptr()) != &raw mut ffi::PyLong_Type {
            return None;
        }
        let (least, most) = B::POSITION_RANGE;
        integer::<B>(object).filter(|number| (least..=most).contains(number))
    }
}

/// The value of an `int` that Lua has room for.
///
/// # Safety
/// Attached; an `int`.
#[inline(always)]
pub(crate) unsafe fn integer<B: LuaBackend>(object: Alive<'_>) -> Option<i64> {
    let object = object.as_ptr();
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(number) = compat::compact_int(object) {
            return Some(number);
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
        let (least, most) = B::INTEGER_RANGE;
        (overflow == 0 && (least..=most).contains(&number)).then_some(number)
    }
}

/// Notes that the Lua string of a `str` is not known; makes it if it comes often: not if it has so few references.
#[inline(always)]
fn learn<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: Alive<'_>,
    few: isize,
) -> Option<lua_api::Ref> {
    if !matches!(entry.options.encoding, Encoding::Utf8) {
        return None;
    }
    // SAFETY: a `str` in a runtime whose encoding is UTF-8.
    unsafe { Strings::learn_sent(entry, object, few) }
}
