//! [`Strings`]: short strings that cross often, kept in both forms.
//!
//! To make a Lua string may raise, so it takes a protected call; to make a `str` takes an
//! allocation and a look at the bytes. Names of fields and attributes, and constants, come again and
//! again: for these a runtime keeps the `str` and a reference to the Lua string. A string that comes once is
//! not kept: a place is given away at the second try in a row.
#![forbid(unsafe_code)]

use std::cell::{Cell, OnceCell};

use lua_api::{LuaBackend, Ref};
use pyo3::prelude::*;

use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::types::alive::{Alive, KeptStr};

/// Places for strings, each way; a power of two.
const PLACES: usize = 128;

/// The longest string that is kept, in bytes.
const LONGEST: usize = 40;

/// A `str` with its Lua string.
#[derive(Default)]
struct Sent {
    // Of the `str`, which is held.
    address: Cell<usize>,
    reference: Cell<Option<Ref>>,
    missed: Cell<usize>,
    held: Cell<Option<Py<PyAny>>>,
}

/// A `str` with its bytes.
struct Received {
    kept: KeptStr,
    missed: Cell<usize>,
}

/// The strings of one runtime, whose encoding is UTF-8.
#[derive(Default)]
pub(crate) struct Strings {
    sent: Places<Sent, PLACES>,
    received: Places<Received, PLACES>,
}

/// Places that are made when the first is needed.
pub(crate) struct Places<T, const N: usize>(OnceCell<Box<[T; N]>>);

impl<T, const N: usize> Default for Places<T, N> {
    fn default() -> Self {
        Places(OnceCell::new())
    }
}

impl<T, const N: usize> Places<T, N> {
    /// The place of a number, if there are any yet.
    #[inline(always)]
    pub(crate) fn get(&self, number: usize) -> Option<&T> {
        Some(&self.0.get()?[number % N])
    }

    /// The same; the places are made by now, or there is no memory for them.
    pub(crate) fn make(&self, number: usize, place: impl FnMut() -> T) -> Option<&T> {
        if self.0.get().is_none() {
            let mut places = Vec::new();
            places.try_reserve_exact(N).ok()?;
            places.resize_with(N, place);
            let _ = self.0.set(places.into_boxed_slice().try_into().ok()?);
        }
        self.get(number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.get().into_iter().flat_map(|places| places.iter())
    }
}

/// Where in a list a string has its place, by an address.
#[inline(always)]
fn place(address: usize) -> usize {
    (address >> 4) ^ (address >> 11)
}

impl Strings {
    /// The Lua string of the `str` at an address, if it is kept.
    #[inline(always)]
    pub(crate) fn sent(&self, address: usize) -> Option<Ref> {
        let sent = self.sent.get(place(address))?;
        if sent.address.get() == address { sent.reference.get() } else { None }
    }

    /// Notes that a `str` was not kept; keeps it if it is worth that, and gives its Lua string then. One that has no
    /// more than a `few` references is nobody else's.
    #[cold]
    pub(crate) fn learn_sent<B: LuaBackend>(
        entry: &Entry<'_, B>,
        object: Alive<'_>,
        few: isize,
    ) -> Option<Ref> {
        // A `str` that nobody else holds will not come again.
        if !matches!(entry.options.encoding, Encoding::Utf8) || object.references() <= few {
            return None;
        }
        let address = object.address();
        let sent = entry.runtime().strings.sent.make(place(address), Sent::default)?;
        if sent.missed.replace(address) != address {
            return None;
        }
        let bytes = object.utf8()?;
        if bytes.len() > LONGEST {
            return None;
        }
        let reference = sent.reference.get();
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
        // A finalizer may have come here in between, and used the place.
        if let Some(other) = sent.reference.replace(Some(reference))
            && other != reference
        {
            entry.instance.release(other);
        }
        sent.address.set(address);
        let old = sent.held.replace(Some(object.hold().unbind()));
        if let Some(old) = old {
            old.drop_ref(entry.py);
        }
        Some(reference)
    }

    /// The `str` of the bytes of a Lua string, if it is kept.
    #[inline(always)]
    pub(crate) fn received<'py>(&self, py: Python<'py>, bytes: &[u8]) -> Option<Bound<'py, PyAny>> {
        self.received.get(place(bytes.as_ptr() as usize))?.kept.find(py, bytes)
    }

    /// Notes that the bytes of a Lua string have become this `str`; keeps it if it is worth that.
    #[inline]
    pub(crate) fn learn_received(&self, bytes: &[u8], object: &Bound<'_, PyAny>) {
        if bytes.len() > LONGEST || bytes.is_empty() {
            return;
        }
        let address = bytes.as_ptr() as usize;
        let make = || Received { kept: KeptStr::empty(), missed: Cell::new(0) };
        let Some(received) = self.received.make(place(address), make) else { return };
        if received.missed.replace(address) == address {
            received.kept.keep(object);
        }
    }

    /// Lets go of every `str`. The references into Lua go with the runtime.
    pub(crate) fn clear(&self, py: Python<'_>) {
        for sent in self.sent.iter() {
            sent.address.set(0);
            sent.reference.set(None);
            if let Some(held) = sent.held.take() {
                held.drop_ref(py);
            }
        }
        for received in self.received.iter() {
            received.kept.clear(py);
        }
    }
}
