//! `_LuaIter`: iteration over the keys, values or items of a table, by Lua's `next`.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use lua_api::{LuaBackend, Ref, State, TableEntry};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::compat;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::fallible;
use crate::guard::{guard, guard_next};
use crate::object;
use crate::types::{self, slot};
use crate::walk::{self, At, Walk, Wanted};

pub(crate) const DOC: &CStr = c"An iterator over the keys, values or items of a Lua table.";

/// The memory of an iterator.
#[repr(C)]
pub(crate) struct TableIterator {
    base: ffi::PyObject,
    table: *mut ffi::PyObject,
    // The pair that was given last, or null: see `compat::pair`.
    pair: *mut ffi::PyObject,
    progress: Box<Progress>,
}

/// How far an iterator is.
///
/// Entries are read ahead, more and more at a time. What is read ahead counts only as long as
/// nothing that could change a table has happened in the runtime ([`Runtime::epoch`]); else it is
/// read again, from the last key that was given. So a loop sees what it does to the table.
struct Progress {
    yields: Wanted,
    /// `None` while entries are read.
    walk: Option<Walk>,
    /// What was read, for items keys and values in turn; what belongs to the first `given` entries is null,
    /// and the caller's.
    ready: Vec<*mut ffi::PyObject>,
    given: usize,
    /// How many to read the next time.
    size: usize,
    epoch: u64,
    ended: bool,
}

/// How many entries are read at first.
const FIRST_SIZE: usize = 4;

/// How many are few.
const FEW: usize = 2 * FIRST_SIZE;

impl Progress {
    /// The next entry that was read ahead, if it counts: the result, or a key and its value.
    #[inline(always)]
    fn next(&mut self, epoch: u64) -> Option<(*mut ffi::PyObject, Option<*mut ffi::PyObject>)> {
        if self.epoch != epoch {
            return None;
        }
        let mut take = |index| {
            let place: &mut *mut ffi::PyObject = self.ready.get_mut(index)?;
            Some(std::mem::replace(place, null_mut()))
        };
        let taken = if self.yields == Wanted::Both {
            (take(2 * self.given)?, Some(take(2 * self.given + 1)?))
        } else {
            (take(self.given)?, None)
        };
        self.given += 1;
        Some(taken)
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
        yields: Wanted,
    ) -> Result<Bound<'_, PyAny>> {
        let progress = Box::new(Progress {
            yields,
            walk: Some(Walk::default()),
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

    /// What is given for an entry; null, with an exception, when there is no memory for it.
    ///
    /// # Safety
    /// A live iterator, of whose progress nothing is borrowed, and what [`Progress::next`] gave.
    #[inline(always)]
    unsafe fn give(
        iterator: *mut Self,
        (first, second): (*mut ffi::PyObject, Option<*mut ffi::PyObject>),
    ) -> *mut ffi::PyObject {
        match second {
            None => first,
            // SAFETY: as the caller promises; the references are handed on.
            Some(second) => unsafe { compat::pair(&raw mut (*iterator).pair, first, second) },
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
                if let Some(mut walk) = progress.walk.take() {
                    walk.end(object::parts::<B>(table).0);
                }
                for object in progress.take_rest() {
                    types::drop_object(object);
                }
                types::drop_object((*iterator).pair);
                types::drop_object(table);
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
            let pair = (*iterator).pair;
            if !pair.is_null() {
                let result = visit(pair, arg);
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
            let text = fallible::string(py, "LuaIter(")?.add(table.repr()?)?;
            Ok(text.add(fallible::string(py, ")")?)?)
        })
    }

    unsafe extern "C" fn next<B: LuaBackend>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
        #[cfg(not(Py_GIL_DISABLED))]
        // SAFETY: called by Python with a live iterator of this backend. Attached, as one is here,
        // no other thread looks at it; if one runs Lua meanwhile, the epoch is another.
        unsafe {
            let iterator = object.cast::<Self>();
            let epoch = object::parts::<B>((*iterator).table).0.epoch();
            let ready = (*iterator).progress.next(epoch);
            if let Some(ready) = ready {
                return Self::give(iterator, ready);
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
        // SAFETY: with the lock held no other thread uses the progress; it is borrowed for single lines only, in
        // which nothing runs.
        let progress = || unsafe { &mut *(*iterator).progress };
        // SAFETY: the iterator is live, and its progress no longer borrowed.
        let give = |ready| unsafe { Bound::from_owned_ptr_or_err(py, Self::give(iterator, ready)) };
        let ready = progress().next(runtime.epoch());
        if let Some(ready) = ready {
            return Ok(Some(give(ready)?));
        }
        if progress().ended {
            return Ok(None);
        }
        // Finalizers run while entries are read and converted: they find the iterator at work, as with
        // Python's generators.
        let Some(mut walk) = progress().walk.take() else {
            return Err(fallible::error::<PyValueError>("the iterator is already executing").into());
        };
        // Where the table has changed, or is read between two steps in a way that could change it,
        // reading ahead does not pay.
        let rest = progress().take_rest();
        let size = if rest.is_empty() { progress().size } else { 1 };
        for object in rest {
            // SAFETY: owned by the list.
            unsafe { ffi::Py_DECREF(object) };
        }
        let given = std::mem::take(&mut progress().given);
        let yields = progress().yields;
        let read = read(&entry, &mut walk, table, given, size, yields);
        let ended = matches!(&read, Ok(read) if read.results.is_empty() && read.failed.is_none());
        if ended {
            walk.end(runtime);
        }
        let progress = progress();
        progress.walk = Some(walk);
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                progress.given = given;
                return Err(error);
            }
        };
        progress.given = 0;
        progress.ready = read.results;
        progress.epoch = read.epoch;
        progress.size = (size * 2).min(walk::MOST);
        progress.ended = ended;
        if let Some(error) = read.failed
            && progress.ready.is_empty()
        {
            // Iteration goes on behind what cannot be converted.
            progress.given = 1;
            return Err(error);
        }
        match progress.next(read.epoch) {
            Some(next) => Ok(Some(give(next)?)),
            None => Ok(None),
        }
    }
}

/// What was read ahead.
struct Ahead {
    results: Vec<*mut ffi::PyObject>,
    epoch: u64,
    /// Why it ends before the last entry that was read.
    failed: Option<Error>,
}

/// Reads the entries after the first `given` of the last time, and converts them.
fn read<B: LuaBackend>(
    entry: &Entry<'_, B>,
    walk: &mut Walk,
    table: Ref,
    given: usize,
    size: usize,
    yields: Wanted,
) -> Result<Ahead> {
    let state = entry.state();
    let base = state.top();
    // Most tables are small: then not all of the room is filled with zeros.
    let (mut few, mut many);
    let room: &mut [TableEntry] = if size <= FEW {
        few = [TableEntry::EMPTY; FEW];
        &mut few[..size]
    } else {
        many = [TableEntry::EMPTY; walk::MOST];
        &mut many[..size]
    };
    let mut batch = walk.read(entry, table, given, yields, room)?;
    let count = batch.len();
    let epoch = entry.epoch();
    let mut results = Vec::new();
    let width = if yields == Wanted::Both { 2 } else { 1 };
    if results.try_reserve_exact(count * width).is_err() {
        state.set_top(base);
        return Err(Error::Memory);
    }
    let mut failed = None;
    while let Some((key, value)) = batch.next() {
        if let Err(error) = convert(entry, state, yields, key, value, &mut results) {
            failed = Some(error);
            break;
        }
    }
    state.set_top(base);
    Ok(Ahead { results, epoch, failed })
}

/// Adds to `results` what is given for an entry.
#[inline(always)]
fn convert<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    yields: Wanted,
    key: At,
    value: At,
    results: &mut Vec<*mut ffi::PyObject>,
) -> Result<()> {
    match yields {
        Wanted::Keys => results.push(key.object(entry, state)?.into_ptr()),
        Wanted::Values => results.push(value.object(entry, state)?.into_ptr()),
        Wanted::Both => {
            let (key, value) = (key.object(entry, state)?, value.object(entry, state)?);
            results.extend([key.into_ptr(), value.into_ptr()]);
        }
    }
    Ok(())
}
