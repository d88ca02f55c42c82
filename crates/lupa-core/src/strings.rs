//! [`Strings`]: short strings that cross often, kept in both forms.
//!
//! To make a Lua string may raise, so it takes a protected call; to make a `str` takes an
//! allocation and a look at the bytes. Names of fields and attributes, and constants, come again and
//! again: for these a runtime keeps the `str` and a reference to the Lua string. What comes once is
//! not kept: a place is given away at the second try in a row.

use std::cell::UnsafeCell;
use std::ptr::null_mut;

use lua_api::{LuaBackend, Ref};
use pyo3::ffi;

use crate::alive::Alive;
use crate::entry::Entry;
use crate::to_lua::utf8;

/// Places for strings, each way; a power of two.
const PLACES: usize = 128;

/// The longest string that is kept, in bytes.
const LONGEST: usize = 40;

/// A `str` with its Lua string.
struct Sent {
    object: *mut ffi::PyObject,
    reference: Option<Ref>,
    missed: usize,
}

/// A `str` with its bytes; an empty place has a length that no string has.
struct Received {
    object: *mut ffi::PyObject,
    bytes: *const u8,
    len: usize,
    missed: usize,
}

/// The strings of one runtime, whose encoding is UTF-8. Used attached, with the lock held.
#[derive(Default)]
pub(crate) struct Strings {
    sent: UnsafeCell<Vec<Sent>>,
    received: UnsafeCell<Vec<Received>>,
}

/// Where in a list a string has its place, by an address.
#[inline(always)]
fn place(address: usize) -> usize {
    ((address >> 4) ^ (address >> 11)) & (PLACES - 1)
}

impl Strings {
    /// The Lua string of a `str`, if it is kept.
    #[inline(always)]
    pub(crate) fn sent(&self, object: *mut ffi::PyObject) -> Option<Ref> {
        // SAFETY: attached, with the lock held; nothing is called while the list is borrowed.
        let sent = unsafe { &*self.sent.get() }.get(place(object as usize))?;
        if sent.object == object { sent.reference } else { None }
    }

    /// Notes that a `str` was not kept; keeps it if it is worth that, and gives its Lua string then. One that has no
    /// more than a `few` references is nobody else's.
    ///
    /// # Safety
    /// A `str`, in a runtime whose encoding is UTF-8.
    #[cold]
    pub(crate) unsafe fn learn_sent<B: LuaBackend>(
        entry: &Entry<'_, B>,
        held: Alive<'_>,
        few: isize,
    ) -> Option<Ref> {
        let object = held.as_ptr();
        let strings = &entry.runtime().strings;
        let here = place(object as usize);
        // SAFETY: as for the type; the borrow ends before anything is called. The object is held.
        let (bytes, reference) = unsafe {
            // What nobody else holds will not come again.
            if ffi::Py_REFCNT(object) <= few {
                return None;
            }
            let list = &mut *strings.sent.get();
            if list.is_empty() {
                list.try_reserve_exact(PLACES).ok()?;
                list.resize_with(PLACES, || Sent {
                    object: null_mut(),
                    reference: None,
                    missed: 0,
                });
            }
            let sent = &mut list[here];
            if sent.missed != object as usize {
                sent.missed = object as usize;
                return None;
            }
            let reference = sent.reference;
            let bytes = utf8(held)?;
            if bytes.len() > LONGEST {
                return None;
            }
            (bytes, reference)
        };
        let state = entry.state();
        let pushed = state.protect_values(|raising| {
            raising.push_bytes(bytes);
            1
        });
        if pushed.is_err() {
            state.pop(1);
            return None;
        }
        let reference = match reference {
            Some(reference) => {
                entry.instance.replace_ref(state, reference);
                reference
            }
            None => match entry.instance.take_ref(state) {
                Ok(reference) => reference,
                Err(_) => {
                    state.pop(1);
                    return None;
                }
            },
        };
        // SAFETY: as above. A finalizer may have come here in between, and used the place.
        let old = unsafe {
            let sent = &mut (&mut *strings.sent.get())[here];
            if let Some(other) = sent.reference.replace(reference)
                && other != reference
            {
                entry.instance.release(other);
            }
            ffi::Py_INCREF(object);
            std::mem::replace(&mut sent.object, object)
        };
        // SAFETY: the reference was ours; a `str` runs no code when it goes.
        unsafe { ffi::Py_XDECREF(old) };
        Some(reference)
    }

    /// The `str` of the bytes of a Lua string, if it is kept; a new reference.
    #[inline(always)]
    pub(crate) fn received(&self, bytes: &[u8]) -> Option<*mut ffi::PyObject> {
        // SAFETY: as for the type; the bytes are those of the `str` beside them.
        unsafe {
            let received = (&*self.received.get()).get(place(bytes.as_ptr() as usize))?;
            if received.len != bytes.len()
                || std::slice::from_raw_parts(received.bytes, received.len) != bytes
            {
                return None;
            }
            ffi::Py_INCREF(received.object);
            Some(received.object)
        }
    }

    /// Notes that the bytes of a Lua string have become this `str`; keeps it if it is worth that.
    #[inline]
    pub(crate) fn learn_received(&self, bytes: &[u8], object: *mut ffi::PyObject) {
        if bytes.len() > LONGEST || bytes.is_empty() {
            return;
        }
        // SAFETY: as for the type; a live `str`, whose UTF-8 form lives as long as it does.
        unsafe {
            let list = &mut *self.received.get();
            if list.is_empty() {
                if list.try_reserve_exact(PLACES).is_err() {
                    return;
                }
                list.resize_with(PLACES, || Received {
                    object: null_mut(),
                    bytes: std::ptr::NonNull::dangling().as_ptr(),
                    len: usize::MAX,
                    missed: 0,
                });
            }
            let address = bytes.as_ptr() as usize;
            let received = &mut list[place(address)];
            if std::mem::replace(&mut received.missed, address) != address {
                return;
            }
            let mut len = 0;
            let start = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut len);
            if start.is_null() {
                ffi::PyErr_Clear();
                return;
            }
            ffi::Py_INCREF(object);
            let old = std::mem::replace(&mut received.object, object);
            received.bytes = start.cast();
            received.len = len as usize;
            ffi::Py_XDECREF(old);
        }
    }

    /// Lets go of every `str`. The references into Lua go with the runtime, or are dropped here.
    pub(crate) fn clear(&self) {
        // SAFETY: attached; taken out before anything is dropped.
        unsafe {
            for sent in std::mem::take(&mut *self.sent.get()) {
                ffi::Py_XDECREF(sent.object);
            }
            for received in std::mem::take(&mut *self.received.get()) {
                ffi::Py_XDECREF(received.object);
            }
        }
    }
}
