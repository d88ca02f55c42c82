//! `_LuaIter`: iteration over the keys, values or items of a table, by Lua's `next`.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use lua_api::{LuaBackend, Ref};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::{Error, Result, raised};
use crate::from_lua::from_lua;
use crate::guard::{guard, guard_next};
use crate::object;
use crate::types::{self, slot};

/// What an iterator gives.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Yields {
    Keys,
    Values,
    Items,
}

/// Where an iterator is.
#[derive(Clone, Copy)]
enum Position {
    Start,
    /// After this key.
    After(Ref),
    End,
}

/// The memory of an iterator.
#[repr(C)]
pub(crate) struct TableIterator {
    base: ffi::PyObject,
    table: *mut ffi::PyObject,
    position: Position,
    yields: Yields,
}

impl TableIterator {
    /// An iterator over a table.
    ///
    /// # Safety
    /// `table` is a live `_LuaTable`.
    pub(crate) unsafe fn create(
        py: Python<'_>,
        table: *mut ffi::PyObject,
        yields: Yields,
    ) -> Result<Bound<'_, PyAny>> {
        // SAFETY: attached; the type's basic size is that of this struct.
        unsafe {
            let object = ffi::PyType_GenericAlloc(types::get().iterator, 0);
            let object = Bound::from_owned_ptr_or_err(py, object)?;
            let iterator = object.as_ptr().cast::<Self>();
            ffi::Py_INCREF(table);
            (*iterator).table = table;
            (*iterator).position = Position::Start;
            (*iterator).yields = yields;
            Ok(object)
        }
    }

    pub(crate) fn slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
        vec![
            slot(ffi::Py_tp_dealloc, Self::dealloc::<B> as *mut c_void),
            slot(ffi::Py_tp_traverse, Self::traverse as *mut c_void),
            slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void),
            slot(ffi::Py_tp_iternext, Self::next::<B> as *mut c_void),
            slot(ffi::Py_tp_repr, Self::repr as *mut c_void),
        ]
    }

    unsafe extern "C" fn dealloc<B: LuaBackend>(object: *mut ffi::PyObject) {
        // SAFETY: called by Python for the last reference.
        unsafe {
            ffi::PyObject_GC_UnTrack(object.cast());
            let iterator = object.cast::<Self>();
            let table = std::mem::replace(&mut (*iterator).table, null_mut());
            if !table.is_null() {
                if let Position::After(key) = (*iterator).position {
                    object::parts::<B>(table).0.drop_ref(key);
                }
                ffi::Py_DECREF(table);
            }
            types::free(object);
        }
    }

    unsafe extern "C" fn traverse(
        object: *mut ffi::PyObject,
        visit: ffi::visitproc,
        arg: *mut c_void,
    ) -> c_int {
        // SAFETY: called by Python's collector with a live object.
        unsafe {
            let result = types::visit_type(object, visit, arg);
            let table = (*object.cast::<Self>()).table;
            if result != 0 || table.is_null() { result } else { visit(table, arg) }
        }
    }

    unsafe extern "C" fn repr(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        guard(|py| {
            // SAFETY: called by Python with a live object.
            let table = unsafe { (*object.cast::<Self>()).table };
            // SAFETY: as above.
            let table = unsafe { Bound::from_borrowed_ptr(py, table) };
            let text = format!("LuaIter({})", table.repr()?);
            Ok(PyString::new(py, &text).into_any())
        })
    }

    unsafe extern "C" fn next<B: LuaBackend>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        // SAFETY: called by Python with a live iterator of this backend.
        guard_next(|py| unsafe { Self::advance::<B>(py, object.cast::<Self>()) })
    }

    /// # Safety
    /// A live iterator.
    unsafe fn advance<B: LuaBackend>(
        py: Python<'_>,
        iterator: *mut Self,
    ) -> Result<Option<Bound<'_, PyAny>>> {
        // SAFETY: as the caller promises; the position is read and written with the lock held.
        let (runtime, table) = unsafe { object::parts::<B>((*iterator).table) };
        let entry = runtime.enter(py)?;
        // SAFETY: as above.
        let position = unsafe { (*iterator).position };
        let last = match position {
            Position::Start => None,
            Position::After(key) => Some(key),
            Position::End => return Ok(None),
        };
        let state = entry.state();
        let base = state.top();
        let found = state.protect_above(|raising| {
            raising.push_ref(table);
            raising.expect_table(1);
            match last {
                Some(key) => raising.push_ref(key),
                None => raising.push_nil(),
            }
            if raising.next(1) { 2 } else { 0 }
        });
        match found {
            Err(failure) => {
                let error = raised(&entry, state, failure);
                state.set_top(base);
                Err(error)
            }
            Ok(0) => {
                // SAFETY: as above.
                unsafe { (*iterator).position = Position::End };
                state.set_top(base);
                if let Some(key) = last {
                    runtime.instance.release(key);
                }
                Ok(None)
            }
            Ok(_) => {
                let (key, value) = (base + 2, base + 3);
                // The key is noted first: after an error, iteration goes on behind it.
                state.push_value(key);
                match last {
                    Some(last) => runtime.instance.replace_ref(state, last),
                    None => match runtime.instance.take_ref(state) {
                        // SAFETY: as above.
                        Ok(first) => unsafe { (*iterator).position = Position::After(first) },
                        Err(_) => {
                            state.set_top(base);
                            return Err(Error::Memory);
                        }
                    },
                }
                // SAFETY: as above.
                let result = match unsafe { (*iterator).yields } {
                    Yields::Keys => from_lua(runtime, py, state, key),
                    Yields::Values => from_lua(runtime, py, state, value),
                    Yields::Items => from_lua(runtime, py, state, key).and_then(|key| {
                        let value = from_lua(runtime, py, state, value)?;
                        Ok(pyo3::types::PyTuple::new(py, [key, value])?.into_any())
                    }),
                };
                state.set_top(base);
                result.map(Some)
            }
        }
    }
}
