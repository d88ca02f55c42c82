//! `_LuaIter`: iteration over the keys, values or items of a table, by Lua's `next`.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use lua_api::{LuaBackend, State};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::compat;
use crate::error::{Error, Result};
use crate::from_lua::{float, from_lua, integer};
use crate::guard::{guard, guard_next};
use crate::object;
use crate::runtime::Entry;
use crate::types::{self, slot};
use crate::walk::{self, Noted, Walk};

pub(crate) const DOC: &CStr = c"An iterator over the keys, values or items of a Lua table.";

/// What an iterator gives.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Yields {
    Keys,
    Values,
    Items,
}

/// The memory of an iterator.
#[repr(C)]
pub(crate) struct TableIterator {
    base: ffi::PyObject,
    table: *mut ffi::PyObject,
    progress: Box<Progress>,
}

/// How far an iterator is.
///
/// Entries are read ahead, more and more at a time. What is read ahead counts only as long as
/// nothing that could change a table has happened in the runtime ([`Runtime::epoch`]); else it is
/// read again, from the last key that was given. So a loop sees what it does to the table.
struct Progress {
    yields: Yields,
    walk: Walk,
    /// The results that were read; those before `given` are null, and the caller's.
    ready: Vec<*mut ffi::PyObject>,
    given: usize,
    /// How many to read the next time.
    size: usize,
    epoch: u64,
    ended: bool,
}

/// How many entries are read at first.
const FIRST_SIZE: usize = 4;

impl Progress {
    /// The next result that was read ahead, if it counts.
    #[inline(always)]
    fn next(&mut self, epoch: u64) -> *mut ffi::PyObject {
        match self.ready.get_mut(self.given) {
            Some(place) if self.epoch == epoch => {
                self.given += 1;
                std::mem::replace(place, null_mut())
            }
            _ => null_mut(),
        }
    }

    /// What has been read and not given.
    fn take_rest(&mut self) -> Vec<*mut ffi::PyObject> {
        let mut rest = std::mem::take(&mut self.ready);
        rest.retain(|object| !object.is_null());
        rest
    }
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
        let progress = Box::new(Progress {
            yields,
            walk: Walk::default(),
            ready: Vec::new(),
            given: 0,
            size: FIRST_SIZE,
            epoch: 0,
            ended: false,
        });
        // SAFETY: attached; the type's basic size is that of this struct, whose fields are set
        // before anyone else sees it.
        unsafe {
            let object = ffi::PyType_GenericAlloc(types::get().iterator, 0);
            let object = Bound::from_owned_ptr_or_err(py, object)?;
            let iterator = object.as_ptr().cast::<Self>();
            (&raw mut (*iterator).progress).write(progress);
            ffi::Py_INCREF(table);
            (*iterator).table = table;
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
            slot(ffi::Py_tp_methods, crate::methods::iterator().cast()),
        ]
    }

    unsafe extern "C" fn dealloc<B: LuaBackend>(object: *mut ffi::PyObject) {
        // SAFETY: called by Python for the last reference.
        unsafe {
            ffi::PyObject_GC_UnTrack(object.cast());
            let iterator = object.cast::<Self>();
            let table = std::mem::replace(&mut (*iterator).table, null_mut());
            if !table.is_null() {
                let mut progress = (&raw mut (*iterator).progress).read();
                progress.walk.end(object::parts::<B>(table).0);
                for object in progress.take_rest() {
                    ffi::Py_DECREF(object);
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
            let iterator = object.cast::<Self>();
            let table = (*iterator).table;
            if result != 0 || table.is_null() {
                return result;
            }
            for &ready in (*iterator).progress.ready.iter().filter(|ready| !ready.is_null()) {
                let result = visit(ready, arg);
                if result != 0 {
                    return result;
                }
            }
            visit(table, arg)
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
        #[cfg(not(Py_GIL_DISABLED))]
        // SAFETY: called by Python with a live iterator of this backend. Attached, as one is here,
        // no other thread looks at it; if one runs Lua meanwhile, the epoch is another.
        unsafe {
            let iterator = &mut *object.cast::<Self>();
            let epoch = object::parts::<B>(iterator.table).0.epoch();
            let ready = iterator.progress.next(epoch);
            if !ready.is_null() {
                return ready;
            }
        }
        // SAFETY: called by Python with a live iterator of this backend.
        guard_next(|py| unsafe { Self::advance::<B>(py, object.cast::<Self>()) })
    }

    /// Reads ahead, and gives the next result.
    ///
    /// # Safety
    /// A live iterator.
    #[inline(never)]
    unsafe fn advance<B: LuaBackend>(
        py: Python<'_>,
        iterator: *mut Self,
    ) -> Result<Option<Bound<'_, PyAny>>> {
        // SAFETY: as the caller promises.
        let (runtime, table) = unsafe { object::parts::<B>((*iterator).table) };
        let entry = runtime.enter(py)?;
        // SAFETY: with the lock held nobody else uses the progress, but for what the conversions
        // below may run; they are not made while it is borrowed.
        let progress = || unsafe { &mut *(*iterator).progress };
        let ready = progress().next(runtime.epoch());
        if !ready.is_null() {
            // SAFETY: the reference is the caller's now.
            return Ok(Some(unsafe { Bound::from_owned_ptr(py, ready) }));
        }
        if progress().ended {
            return Ok(None);
        }
        // Where the table has changed, or is read between two steps in a way that could change it,
        // reading ahead does not pay.
        let mut results = std::mem::take(&mut progress().ready);
        let mut size = progress().size;
        for object in results.drain(..).filter(|object| !object.is_null()) {
            size = 1;
            // SAFETY: owned by the list.
            unsafe { ffi::Py_DECREF(object) };
        }
        let state = entry.state();
        let base = state.top();
        let given = std::mem::take(&mut progress().given);
        let count = match progress().walk.read(&entry, table, given, size) {
            Ok(count) => count,
            Err(error) => {
                progress().given = given;
                return Err(error);
            }
        };
        let epoch = runtime.epoch();
        let mut failed = None;
        if results.try_reserve_exact(count).is_err() {
            state.set_top(base);
            progress().given = given;
            return Err(Error::Memory);
        }
        for index in 0..count as i32 {
            let key = base + Walk::FIRST + 2 * index;
            let noted = progress().walk.key(index as usize);
            match convert(&entry, state, progress().yields, key, noted) {
                Ok(result) => results.push(result.into_ptr()),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        state.set_top(base);
        // A finalizer that a conversion has run may have come here, too.
        for object in progress().take_rest() {
            // SAFETY: owned by the list.
            unsafe { ffi::Py_DECREF(object) };
        }
        let progress = progress();
        progress.given = 0;
        progress.ready = results;
        progress.epoch = epoch;
        progress.size = (size * 2).min(walk::MOST);
        progress.ended = count == 0;
        if let Some(error) = failed
            && progress.ready.is_empty()
        {
            // Iteration goes on behind what cannot be converted.
            progress.given = 1;
            return Err(error);
        }
        let next = progress.next(epoch);
        if next.is_null() {
            progress.walk.end(runtime);
            return Ok(None);
        }
        // SAFETY: the reference is the caller's now.
        Ok(Some(unsafe { Bound::from_owned_ptr(py, next) }))
    }
}

/// The result for the entry whose key is at `key`, and was noted so, and whose value is above that.
#[inline(always)]
fn convert<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    yields: Yields,
    key: c_int,
    noted: Option<Noted>,
) -> Result<Bound<'py, PyAny>> {
    let (runtime, py) = (entry.runtime(), entry.py);
    let first = || match noted {
        Some(Noted::Integer(number)) => integer(py, number),
        Some(Noted::Float(number)) => float::<B>(py, number),
        _ => from_lua(runtime, py, state, key),
    };
    match yields {
        Yields::Keys => first(),
        Yields::Values => from_lua(runtime, py, state, key + 1),
        Yields::Items => {
            let first = first()?;
            let second = from_lua(runtime, py, state, key + 1)?;
            Ok(compat::pair(py, first, second)?)
        }
    }
}
