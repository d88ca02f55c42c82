//! The short way for everyday values: objects of exact types that need neither Python code nor an
//! allocation in Lua, and so no protected call.
//!
//! Whoever finds the short way closed (`false`, `None`) has changed nothing, and takes the long one
//! ([`crate::to_lua`], [`crate::from_lua`]), which knows every type.

use lua_api::{LuaBackend, State, value};
use pyo3::ffi;

use crate::compat;
use crate::encoding::Encoding;
use crate::object;
use crate::runtime::Entry;
use crate::strings::Strings;
use crate::to_lua::Mode;

/// Pushes an object, if that can be done the short way.
///
/// # Safety
/// A live object.
#[inline(always)]
pub(crate) unsafe fn push<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: *mut ffi::PyObject,
    mode: Mode,
) -> bool {
    // SAFETY: attached; exact types are checked before they are used.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if kind == &raw mut ffi::PyLong_Type {
            let Some(number) = integer::<B>(object) else { return false };
            state.push_integer(number);
        } else if kind == &raw mut ffi::PyUnicode_Type {
            let Some(reference) = string(entry, object) else { return false };
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
        } else if object::is_lua_object(object) {
            let Ok(reference) = object::reference_in(object, entry.runtime().owner()) else {
                return false;
            };
            state.push_ref(reference);
        } else {
            return false;
        }
        true
    }
}

/// Pushes `t[key]` of the table on top, without metamethods, if the key goes the short way; gives
/// its type.
///
/// # Safety
/// A live object; a table on top.
#[inline(always)]
pub(crate) unsafe fn get<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    key: *mut ffi::PyObject,
    mode: Mode,
) -> Option<i32> {
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(position) = position::<B>(key) {
            return Some(state.raw_geti_type(-1, position));
        }
        push(entry, state, key, mode).then(|| state.raw_get_type(-2))
    }
}

/// Makes `t[key] = value` of the table on top, without metamethods, if the key is in it already and
/// both go the short way.
///
/// # Safety
/// Live objects, the value may be null (`nil`); a table on top.
#[inline(always)]
pub(crate) unsafe fn replace<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    key: *mut ffi::PyObject,
    object: *mut ffi::PyObject,
) -> bool {
    // SAFETY: attached.
    let object = if object.is_null() { unsafe { ffi::Py_None() } } else { object };
    // SAFETY: as the caller promises; only a key that is present is assigned to.
    unsafe {
        if let Some(position) = position::<B>(key) {
            let present = state.raw_geti_type(-1, position) != value::NIL;
            state.pop(1);
            if !present || !push(entry, state, object, Mode::Value) {
                return false;
            }
            state.raw_seti_present(-2, position);
            return true;
        }
        if !push(entry, state, key, Mode::NotNil) {
            return false;
        }
        state.push_value(-1);
        let present = state.raw_get_type(-3) != value::NIL;
        state.pop(1);
        if !present || !push(entry, state, object, Mode::Value) {
            state.pop(1);
            return false;
        }
        state.raw_set_present(-3);
    }
    true
}

/// The position that an `int` is.
///
/// # Safety
/// A live object.
#[inline(always)]
unsafe fn position<B: LuaBackend>(object: *mut ffi::PyObject) -> Option<i64> {
    // SAFETY: as the caller promises; the exact type is checked.
    unsafe {
        if ffi::Py_TYPE(object) != &raw mut ffi::PyLong_Type {
            return None;
        }
        let (least, most) = B::POSITION_RANGE;
        integer::<B>(object).filter(|number| (least..=most).contains(number))
    }
}

/// The value of an `int` that Lua has room for.
///
/// # Safety
/// A live `int`.
#[inline(always)]
pub(crate) unsafe fn integer<B: LuaBackend>(object: *mut ffi::PyObject) -> Option<i64> {
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

/// The Lua string of a `str` that comes often.
///
/// # Safety
/// A live `str`.
#[inline(always)]
pub(crate) unsafe fn string<B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: *mut ffi::PyObject,
) -> Option<lua_api::Ref> {
    match entry.runtime().strings.sent(object) {
        Some(reference) => Some(reference),
        // SAFETY: as the caller promises.
        None if matches!(entry.options.encoding, Encoding::Utf8) => unsafe {
            Strings::learn_sent(entry, object)
        },
        None => None,
    }
}
