//! `_LuaTable`: tables as mappings. Reading is in [`crate::object`], which other values share.

use std::ffi::{CStr, c_int, c_void};

use lua_api::{LuaBackend, Ref, value};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::alive::Alive;
use crate::entry::Entry;
use crate::error::{Error, Result, raised};
use crate::guard::{guard, guard_status};
use crate::iterator::TableIterator;
use crate::object::{attribute_key, is_own_name, parts};
use crate::quick;
use crate::to_lua::{Mode, Prepared, Ready, prepare, push};
use crate::types::slot;
use crate::walk::Wanted;

pub(crate) const DOC: &CStr = c"A Lua table.\n\n\
    Items and attributes are its fields; what is not there is None, and to set None is to delete. Iteration,\n\
    ``keys()``, ``values()`` and ``items()`` go over the raw table, in Lua's order. ``len()`` is Lua's ``#``.\n\n\
    >>> table = LuaRuntime().eval('{10, 20, name = \"wolf\"}')\n\
    >>> table[1], table['name'], table.name, table.missing\n\
    (10, 'wolf', 'wolf', None)\n\
    >>> table[3] = 30\n\
    >>> del table.name\n\
    >>> len(table), dict(table)\n\
    (3, {1: 10, 2: 20, 3: 30})";

/// The slots that tables add to those of every wrapper.
pub(crate) fn slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
    vec![
        slot(ffi::Py_tp_iter, iter as *mut c_void),
        slot(ffi::Py_tp_setattro, setattro::<B> as *mut c_void),
        slot(ffi::Py_mp_ass_subscript, ass_subscript::<B> as *mut c_void),
        slot(ffi::Py_tp_methods, crate::methods::table::<B>().cast()),
    ]
}

unsafe extern "C" fn iter(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by Python with a live table.
    guard(|py| unsafe { TableIterator::create(py, object, Wanted::Keys) })
}

unsafe extern "C" fn setattro<B: LuaBackend>(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: called by Python with a live table and a `str`; no value means to delete.
    unsafe {
        if is_own_name(object, name) && is_dunder(name) {
            return ffi::PyObject_GenericSetAttr(object, name, value);
        }
    }
    guard_status(|py| {
        // SAFETY: as above.
        unsafe {
            let (runtime, reference) = parts::<B>(object);
            let entry = runtime.enter(py)?;
            let (name, value) = (Alive::from_ptr(name), optional(value));
            if assign_quick(&entry, reference, name, value) {
                return Ok(0);
            }
            let (name, value) =
                (name.borrow(py).to_owned(), value.map(|v| v.borrow(py).to_owned()));
            let key = attribute_key(&entry, &name)?;
            assign(&entry, reference, key.value(), value.as_ref())
        }
    })
}

/// A table may have a field `keys`: as an attribute one can set it, though not read it.
unsafe fn is_dunder(name: *mut ffi::PyObject) -> bool {
    // SAFETY: a live object, which `is_own_name` has looked at.
    unsafe {
        let mut len = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(name, &raw mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return true;
        }
        std::slice::from_raw_parts(start.cast::<u8>(), len as usize).starts_with(b"__")
    }
}

unsafe extern "C" fn ass_subscript<B: LuaBackend>(
    object: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    guard_status(|py| {
        // SAFETY: called by Python with a live table and key; no value means to delete.
        unsafe {
            let (runtime, reference) = parts::<B>(object);
            let entry = runtime.enter(py)?;
            let (key, value) = (Alive::from_ptr(key), optional(value));
            if assign_quick(&entry, reference, key, value) {
                return Ok(0);
            }
            let (key, value) = (key.borrow(py).to_owned(), value.map(|v| v.borrow(py).to_owned()));
            let key = prepare(&entry, &key, Mode::NotNil)?;
            assign(&entry, reference, key.value(), value.as_ref())
        }
    })
}

/// What a slot is given, which is null where something is to be deleted.
///
/// # Safety
/// Null, or alive for `'a`.
unsafe fn optional<'a>(object: *mut ffi::PyObject) -> Option<Alive<'a>> {
    // SAFETY: as the caller promises.
    (!object.is_null()).then(|| unsafe { Alive::from_ptr(object) })
}

/// `table[key] = value` where the key is present, so that no metamethod is asked, and both go the
/// short way; says whether it was done.
#[inline(always)]
fn assign_quick<B: LuaBackend>(
    entry: &Entry<'_, B>,
    reference: Ref,
    key: Alive<'_>,
    value: Option<Alive<'_>>,
) -> bool {
    let assigned = quick::replace(entry, reference, key, value);
    entry.change();
    assigned
}

/// `table[key] = value`, as Lua has it; no value is `nil`.
#[inline(never)]
fn assign<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    key: Prepared<'_>,
    value: Option<&Bound<'py, PyAny>>,
) -> Result<c_int> {
    let runtime = entry.runtime();
    let ready = match value {
        None => Ready::Plain(Prepared::Nil),
        Some(value) => prepare(entry, value, Mode::Value)?,
    };
    let value = ready.value();
    let state = entry.state();
    let boxes = usize::from(key.needs_box()) + usize::from(value.needs_box());
    if boxes > 0 && !runtime.boxes.reserve(entry.py, boxes) {
        return Err(Error::Memory);
    }
    entry.change();
    let assigned = state.protect(|raising| {
        raising.push_ref(reference);
        push(runtime, raising, key);
        push(runtime, raising, value);
        if raising.type_of(1) == value::TABLE && !raising.push_metatable(1) {
            // With no metamethod in the way nothing runs, and the GIL can stay.
            raising.raw_set(1);
        } else {
            raising.set_top(3);
            runtime.detach();
            raising.set(1);
            runtime.attach();
        }
    });
    // An error may have come while detached.
    entry.attach();
    match assigned {
        Ok(()) => Ok(0),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}
