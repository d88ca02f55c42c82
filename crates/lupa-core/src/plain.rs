//! Plain data, put into tables in one protected call: values of everyday types, and, where that is
//! asked for, lists, tuples and dicts of them.
//!
//! No Python code runs here but what Lua's finalizers may call. These may change what is being
//! read, so whatever is read from is held, outside of the protected call, where a Lua error does not
//! lose it.

use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

use lua_api::{LuaBackend, Raising, Thread};
use pyo3::ffi;

use crate::encoding::Encoding;
use crate::quick;
use crate::runtime::Entry;
use crate::to_lua::Mode;

/// How deep containers may be nested; what is deeper goes the long way, which counts in Python.
const DEEPEST: usize = 100;

/// What is being read from, and kept alive for that time.
pub(crate) struct Held {
    containers: UnsafeCell<Vec<*mut ffi::PyObject>>,
    // A value, while its key is pushed; a string, while it is copied.
    value: Cell<*mut ffi::PyObject>,
    string: Cell<*mut ffi::PyObject>,
}

impl Held {
    /// Room for as many containers as there can be; `None` when there is no memory.
    pub(crate) fn new(recursive: bool) -> Option<Self> {
        let mut containers = Vec::new();
        if recursive {
            containers.try_reserve_exact(DEEPEST).ok()?;
        }
        Some(Held {
            containers: UnsafeCell::new(containers),
            value: Cell::new(null_mut()),
            string: Cell::new(null_mut()),
        })
    }

    /// Holds a container; false if there are too many.
    fn enter(&self, object: *mut ffi::PyObject) -> bool {
        // SAFETY: attached; borrowed for these lines only. There is room, so nothing allocates.
        unsafe {
            let containers = &mut *self.containers.get();
            if containers.len() == DEEPEST {
                return false;
            }
            ffi::Py_INCREF(object);
            containers.push(object);
            true
        }
    }

    /// Lets go of the last container.
    fn leave(&self) {
        // SAFETY: as above; it ends before the object, which may run code, is dropped.
        let last = unsafe { &mut *self.containers.get() }.pop();
        if let Some(last) = last {
            // SAFETY: held by the list.
            unsafe { ffi::Py_DECREF(last) };
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let places = [self.value.get(), self.string.get()];
        for &object in self.containers.get_mut().iter().chain(&places) {
            // SAFETY: attached; what was held when an error came, or null.
            unsafe { ffi::Py_XDECREF(object) };
        }
    }
}

/// Holds an object in a place for the time of `work`, which may raise.
///
/// # Safety
/// Attached; a live object; the place is empty.
#[inline(always)]
unsafe fn holding<R>(
    place: &Cell<*mut ffi::PyObject>,
    object: *mut ffi::PyObject,
    work: impl FnOnce() -> R,
) -> R {
    // SAFETY: as the caller promises.
    unsafe {
        ffi::Py_INCREF(object);
        place.set(object);
        let result = work();
        place.set(null_mut());
        ffi::Py_DECREF(object);
        result
    }
}

/// A writer of plain data.
pub(crate) struct Plain<'a, 'py, B: LuaBackend> {
    pub(crate) entry: &'a Entry<'py, B>,
    pub(crate) held: &'a Held,
    /// Whether lists, tuples and dicts inside become tables; else they are not plain.
    pub(crate) recursive: bool,
}

impl<B: LuaBackend> Clone for Plain<'_, '_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: LuaBackend> Copy for Plain<'_, '_, B> {}

impl<B: LuaBackend> Plain<'_, '_, B> {
    /// Puts the items of a list or tuple from `start` on into the table at `table`, as its items from
    /// `next` on, up to the first that is not plain; gives their number.
    ///
    /// # Safety
    /// As for [`borrowed_item`], held by the caller.
    pub(crate) unsafe fn items(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: *mut ffi::PyObject,
        start: usize,
        next: i64,
    ) -> usize {
        let mut done = 0;
        // SAFETY: as the caller promises; an item is used before anything can change the list.
        while let Some(item) = unsafe { borrowed_item(source, start + done) } {
            // SAFETY: as above.
            if !unsafe { self.push(raising, item, 1) } {
                break;
            }
            raising.raw_seti(table, next + done as i64);
            done += 1;
        }
        done
    }

    /// Puts what is in a dict from `position` on into the table at `table`, up to the first pair that
    /// is not plain, which is at `position` then; gives whether that was all.
    ///
    /// # Safety
    /// A dict that no other thread changes, held by the caller, and a position that this or
    /// `PyDict_Next` has given.
    pub(crate) unsafe fn pairs(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: *mut ffi::PyObject,
        position: &Cell<ffi::Py_ssize_t>,
    ) -> bool {
        loop {
            let (mut key, mut value) = (null_mut(), null_mut());
            let mut after = position.get();
            // SAFETY: as the caller promises.
            if unsafe { ffi::PyDict_Next(source, &raw mut after, &raw mut key, &raw mut value) }
                == 0
            {
                return true;
            }
            let top = raising.top();
            // SAFETY: the pair is borrowed. What goes the quick way changes nothing; else, to push
            // the key may change the dict, so the value is held for that time.
            let pushed = unsafe {
                if quick::push(self.entry, raising.state(), key, Mode::NotNil) {
                    self.push(raising, value, 1)
                } else {
                    holding(&self.held.value, value, || {
                        self.push_string(raising, key) && self.push(raising, value, 2)
                    })
                }
            };
            if !pushed {
                raising.set_top(top);
                return false;
            }
            raising.raw_set(table);
            position.set(after);
        }
    }

    /// Pushes a value, if it is plain; else pushes nothing. `references` is the number of references
    /// to one that nobody else has.
    ///
    /// # Safety
    /// A live object.
    #[inline(always)]
    unsafe fn push(
        self,
        raising: Raising<'_, B>,
        object: *mut ffi::PyObject,
        references: isize,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            quick::push(self.entry, raising.state(), object, Mode::Value)
                || self.push_string(raising, object)
                || self.recursive && self.push_table(raising, object, references)
        }
    }

    /// Pushes what becomes a string; `None`, too, which is a key here.
    ///
    /// # Safety
    /// A live object.
    unsafe fn push_string(self, raising: Raising<'_, B>, object: *mut ffi::PyObject) -> bool {
        // SAFETY: as the caller promises; exact types are checked. A finalizer may run before the
        // string is copied, so it is held.
        unsafe {
            let (start, len) = if ffi::PyUnicode_CheckExact(object) != 0
                && matches!(self.entry.options.encoding, Encoding::Utf8)
            {
                let mut len = 0;
                let start = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut len);
                if start.is_null() {
                    ffi::PyErr_Clear();
                    return false;
                }
                (start, len)
            } else if ffi::PyBytes_CheckExact(object) != 0 {
                (ffi::PyBytes_AsString(object).cast_const(), ffi::PyBytes_Size(object))
            } else if object == ffi::Py_None() {
                let Some(none) = self.entry.anchors.none.get() else { return false };
                raising.push_ref(none);
                return true;
            } else {
                return false;
            };
            let bytes = std::slice::from_raw_parts(start.cast::<u8>(), len as usize);
            holding(&self.held.string, object, || raising.push_bytes(bytes));
            true
        }
    }

    /// Pushes a table of what is in a list, tuple or dict, if that is plain, and nobody else has it:
    /// what is shared must become one table, which the long way sees to.
    ///
    /// # Safety
    /// A live object.
    #[inline(never)]
    unsafe fn push_table(
        self,
        raising: Raising<'_, B>,
        object: *mut ffi::PyObject,
        references: isize,
    ) -> bool {
        // SAFETY: as the caller promises; exact types are checked. The object is held.
        unsafe {
            let is_dict = ffi::PyDict_CheckExact(object) != 0;
            let is_sequence =
                ffi::PyList_CheckExact(object) != 0 || ffi::PyTuple_CheckExact(object) != 0;
            if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy))
                || !(is_dict || is_sequence)
                || ffi::Py_REFCNT(object) as isize != references
                || !Thread::this().as_ref().has_room()
                || !self.held.enter(object)
            {
                return false;
            }
            let top = raising.top();
            raising.reserve(lua_api::MIN_ROOM);
            let whole = if is_dict {
                raising.new_table(0, hint(ffi::PyDict_Size(object)));
                self.pairs(raising, top + 1, object, &Cell::new(0))
            } else {
                raising.new_table(hint(ffi::PySequence_Size(object)), 0);
                let done = self.items(raising, top + 1, object, 0, 1);
                borrowed_item(object, done).is_none()
            };
            self.held.leave();
            if !whole {
                raising.set_top(top);
            }
            whole
        }
    }
}

/// A length as a hint for a new table: no more than that, so that a table which does not fit in memory
/// fails where it is filled.
pub(crate) fn hint(length: isize) -> i32 {
    length.clamp(0, 1 << 20) as i32
}

/// An item of a list or tuple, if there are so many. Borrowed: good until Python code runs.
///
/// # Safety
/// A live tuple, or, where a GIL keeps other threads from changing it, a live list.
#[inline(always)]
pub(crate) unsafe fn borrowed_item(
    source: *mut ffi::PyObject,
    index: usize,
) -> Option<*mut ffi::PyObject> {
    let index = index as ffi::Py_ssize_t;
    // SAFETY: as the caller promises; the index is checked against the length of this moment.
    unsafe {
        #[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy)))]
        let item = if ffi::PyList_Check(source) != 0 {
            if index >= ffi::PyList_GET_SIZE(source) {
                return None;
            }
            ffi::PyList_GET_ITEM(source, index)
        } else {
            if index >= ffi::PyTuple_GET_SIZE(source) {
                return None;
            }
            ffi::PyTuple_GET_ITEM(source, index)
        };
        #[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy))]
        let item = if ffi::PyList_Check(source) != 0 {
            let others_may_change_it = cfg!(Py_GIL_DISABLED);
            debug_assert!(!others_may_change_it);
            if index >= ffi::PyList_Size(source) {
                return None;
            }
            ffi::PyList_GetItem(source, index)
        } else {
            if index >= ffi::PyTuple_Size(source) {
                return None;
            }
            ffi::PyTuple_GetItem(source, index)
        };
        (!item.is_null()).then_some(item)
    }
}
