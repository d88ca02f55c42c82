//! Plain data, put into tables in one protected call: values of everyday types, and, where that is
//! asked for, lists, tuples and dicts of them.
//!
//! No Python code runs here but what Lua's finalizers may call, and these may change what is being read. So an
//! item that is borrowed from a container borrows [`Calm`] too, and whatever may run a finalizer takes that mutably: an
//! item is either used before, or held ([`Held`]), outside of the protected call, where a Lua error does not lose it.

use std::cell::{Cell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr::null_mut;

use lua_api::{LuaBackend, Raising, Thread};
use pyo3::ffi;

use crate::alive::Alive;
use crate::encoding::Encoding;
use crate::entry::Entry;
use crate::quick;
use crate::to_lua::{Mode, bytes, utf8};

/// How deep containers may be nested; what is deeper goes the long way, which counts in Python.
const DEEPEST: usize = 100;

/// What is being read from, and kept alive for that time: containers, values whose keys are being pushed, and
/// strings that are being copied.
pub(crate) struct Held(UnsafeCell<Vec<*mut ffi::PyObject>>);

impl Held {
    /// Room for as many objects as there can be; `None` when there is no memory.
    pub(crate) fn new(recursive: bool) -> Option<Self> {
        let mut objects = Vec::new();
        // For each level a container and a value, and a string in the end.
        let levels = if recursive { DEEPEST } else { 0 };
        objects.try_reserve_exact(2 * (levels + 1) + 1).ok()?;
        Some(Held(UnsafeCell::new(objects)))
    }

    /// Holds an object; `None` if there are too many.
    #[inline(always)]
    fn hold(&self, item: Item<'_>) -> Option<Holding<'_>> {
        // SAFETY: attached; borrowed for these lines only. There is room, so nothing allocates. The item is
        // alive, as nothing has run since it was read.
        unsafe {
            let objects = &mut *self.0.get();
            if objects.len() == objects.capacity() {
                return None;
            }
            ffi::Py_INCREF(item.0);
            objects.push(item.0);
        }
        Some(Holding { held: self, object: item.0 })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for &object in self.0.get_mut().iter() {
            // SAFETY: attached; what was held when an error came.
            unsafe { ffi::Py_DECREF(object) };
        }
    }
}

/// An object that is held. Without a destructor, as Lua errors leave it behind; [`Held`] has one.
struct Holding<'h> {
    held: &'h Held,
    object: *mut ffi::PyObject,
}

impl Holding<'_> {
    /// The object, alive until it is released.
    #[inline(always)]
    fn object(&self) -> Alive<'_> {
        // SAFETY: held.
        unsafe { Alive::from_ptr(self.object) }
    }

    /// Lets go of the object, which was the last to be held.
    #[inline(always)]
    fn release(self) {
        // SAFETY: attached; the borrow ends before the object, which may run code, is dropped.
        let last = unsafe { &mut *self.held.0.get() }.pop();
        debug_assert!(last == Some(self.object));
        if let Some(last) = last {
            // SAFETY: held by the list.
            unsafe { ffi::Py_DECREF(last) };
        }
    }
}

/// An object that a container has, borrowed for as long as nothing runs.
#[derive(Clone, Copy)]
struct Item<'c>(*mut ffi::PyObject, PhantomData<&'c ()>);

/// A protected call in which, while this is borrowed, nothing runs.
struct Calm<'f, B: LuaBackend>(Raising<'f, B>);

impl<'f, B: LuaBackend> Calm<'f, B> {
    /// The operations in which a finalizer may run.
    #[inline(always)]
    fn runs(&mut self) -> Raising<'f, B> {
        self.0
    }

    /// An item of a list or tuple, if there are so many.
    ///
    /// # Safety
    /// A list or tuple, which no other thread changes.
    #[inline(always)]
    unsafe fn item(&self, source: Alive<'_>, index: usize) -> Option<Item<'_>> {
        // SAFETY: as the caller promises.
        unsafe { borrowed_item(source.as_ptr(), index) }.map(|item| Item(item, PhantomData))
    }

    /// The pair of a dict at a position, and the position after it.
    ///
    /// # Safety
    /// A dict, which no other thread changes, and a position that this has given.
    #[inline(always)]
    unsafe fn pair(
        &self,
        source: Alive<'_>,
        position: ffi::Py_ssize_t,
    ) -> Option<(Item<'_>, Item<'_>, ffi::Py_ssize_t)> {
        let (mut key, mut value, mut after) = (null_mut(), null_mut(), position);
        // SAFETY: as the caller promises.
        let more = unsafe {
            ffi::PyDict_Next(source.as_ptr(), &raw mut after, &raw mut key, &raw mut value)
        };
        (more != 0).then_some((Item(key, PhantomData), Item(value, PhantomData), after))
    }

    /// Pushes an item, if that makes nothing run.
    #[inline(always)]
    fn push_known(&self, entry: &Entry<'_, B>, item: Item<'_>, mode: Mode) -> bool {
        // SAFETY: alive, as nothing has run since it was read.
        unsafe { quick::push_known(entry, self.0.state(), item.0, mode) }
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
    /// A list or tuple, which no other thread changes.
    pub(crate) unsafe fn items(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: Alive<'_>,
        start: usize,
        next: i64,
    ) -> usize {
        let mut calm = Calm(raising);
        let mut done = 0;
        // SAFETY: as the caller promises.
        while let Some(item) = unsafe { calm.item(source, start + done) } {
            if !calm.push_known(self.entry, item, Mode::Value) {
                let Some(holding) = self.held.hold(item) else { break };
                let pushed = self.push(calm.runs(), holding.object());
                holding.release();
                if !pushed {
                    break;
                }
            }
            calm.runs().raw_seti(table, next + done as i64);
            done += 1;
        }
        done
    }

    /// Puts what is in a dict from `position` on into the table at `table`, up to the first pair that
    /// is not plain, which is at `position` then; gives whether that was all.
    ///
    /// # Safety
    /// A dict that no other thread changes, and a position that this or `PyDict_Next` has given.
    pub(crate) unsafe fn pairs(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: Alive<'_>,
        position: &Cell<ffi::Py_ssize_t>,
    ) -> bool {
        let mut calm = Calm(raising);
        // SAFETY: as the caller promises.
        while let Some((key, value, after)) = unsafe { calm.pair(source, position.get()) } {
            let top = calm.0.top();
            let known = calm.push_known(self.entry, key, Mode::NotNil);
            if !known || !calm.push_known(self.entry, value, Mode::Value) {
                // What pushing the one runs may change the dict, so both are held.
                let Some(held_value) = self.held.hold(value) else { return false };
                let key = if known { None } else { self.held.hold(key) };
                let mut pushed = known;
                if let Some(key) = key {
                    pushed = self.push_short(calm.runs(), key.object(), Mode::NotNil)
                        || self.push_string(calm.runs(), key.object());
                    key.release();
                }
                pushed = pushed && self.push(calm.runs(), held_value.object());
                held_value.release();
                if !pushed {
                    calm.0.set_top(top);
                    return false;
                }
            }
            calm.runs().raw_set(table);
            position.set(after);
        }
        true
    }

    /// Pushes a value that is held, if it is plain; else pushes nothing.
    #[inline(always)]
    fn push(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        self.push_short(raising, object, Mode::Value)
            || self.push_string(raising, object)
            || self.recursive && self.push_table(raising, object)
    }

    /// Pushes what goes the short way, a string that comes often among it.
    #[inline(always)]
    fn push_short(self, raising: Raising<'_, B>, object: Alive<'_>, mode: Mode) -> bool {
        quick::push_held(self.entry, raising.state(), object, mode)
    }

    /// Pushes what becomes a string; `None`, too, which is a key here.
    fn push_string(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        let pointer = object.as_ptr();
        // SAFETY: attached, as the entry says; exact types are checked.
        let text = unsafe {
            if ffi::PyUnicode_CheckExact(pointer) != 0
                && matches!(self.entry.options.encoding, Encoding::Utf8)
            {
                utf8(object)
            } else if ffi::PyBytes_CheckExact(pointer) != 0 {
                Some(bytes(object))
            } else if pointer == ffi::Py_None() {
                let Some(none) = self.entry.anchors.none.get() else { return false };
                raising.push_ref(none);
                return true;
            } else {
                None
            }
        };
        let Some(text) = text else { return false };
        raising.push_bytes(text);
        true
    }

    /// Pushes a table of what is in a list, tuple or dict, if that is plain, and nobody but its container and
    /// [`Held`] has it: what is shared must become one table, which the long way sees to.
    #[inline(never)]
    fn push_table(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        let pointer = object.as_ptr();
        // SAFETY: attached, as the entry says; exact types are checked; the thread is this one. Where others
        // could change the container, nothing is read.
        unsafe {
            let is_dict = ffi::PyDict_CheckExact(pointer) != 0;
            let is_sequence =
                ffi::PyList_CheckExact(pointer) != 0 || ffi::PyTuple_CheckExact(pointer) != 0;
            if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy))
                || !(is_dict || is_sequence)
                || ffi::Py_REFCNT(pointer) != 2
                || !Thread::this().has_room()
            {
                return false;
            }
            let top = raising.top();
            raising.reserve(lua_api::MIN_ROOM);
            let whole = if is_dict {
                raising.new_table(0, hint(ffi::PyDict_Size(pointer)));
                self.pairs(raising, top + 1, object, &Cell::new(0))
            } else {
                raising.new_table(hint(ffi::PySequence_Size(pointer)), 0);
                let done = self.items(raising, top + 1, object, 0, 1);
                Calm(raising).item(object, done).is_none()
            };
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

/// An item of a list or tuple, if there are so many. Borrowed: good until anything runs.
///
/// # Safety
/// A live tuple, or, where a GIL keeps other threads from changing it, a live list.
#[inline(always)]
pub(crate) unsafe fn borrowed_item(
    source: *mut ffi::PyObject,
    index: usize,
) -> Option<*mut ffi::PyObject> {
    let index = ffi::Py_ssize_t::try_from(index).ok()?;
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
