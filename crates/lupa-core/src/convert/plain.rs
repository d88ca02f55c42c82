//! Plain data, put into tables in one protected call: values of everyday types, and, where that is
//! asked for, lists, tuples and dicts of them.
//!
//! No Python code runs here but what Lua's finalizers may call, and these may change what is being read. So of a
//! container the values are read, each in one step, and what is no everyday value is held while it is pushed, outside
//! of the protected call ([`Held`]).
#![forbid(unsafe_code)]

use std::cell::Cell;

use lua_api::{LuaBackend, Raising, Thread};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::everyday::Kind;
use crate::convert::prepared::Mode;
use crate::convert::quick;
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::types::alive::{Alive, Held, Items, Pairs};

/// The deepest nesting of containers here. Deeper ones take the slow path, which counts against Python's recursion limit.
const DEEPEST: usize = 100;

/// The largest number of objects that are held at a time.
pub(crate) fn most_held(recursive: bool) -> usize {
    // For each level a container and a value, and a string in the end.
    let levels = if recursive { DEEPEST } else { 0 };
    2 * (levels + 1) + 1
}

/// A writer of plain data.
pub(crate) struct Plain<'a, 'py, B: LuaBackend> {
    pub(crate) entry: &'a Entry<'py, B>,
    pub(crate) held: &'a Held<'py>,
    pub(crate) kinds: Kinds,
}

/// Which containers inside are plain.
#[derive(Clone, Copy)]
pub(crate) struct Kinds {
    /// Whether lists, tuples and dicts inside become tables; else they are not plain.
    pub(crate) recursive: bool,
    /// Also those without items.
    pub(crate) empty: bool,
}

impl<B: LuaBackend> Clone for Plain<'_, '_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: LuaBackend> Copy for Plain<'_, '_, B> {}

impl<'py, B: LuaBackend> Plain<'_, 'py, B> {
    /// Puts the items of a list or tuple from `start` on into the table at `table`, as its items from
    /// `next` on, up to the first that is not plain; gives their number.
    pub(crate) fn items(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: Items<'_>,
        start: usize,
        next: i64,
    ) -> usize {
        let mut done = 0;
        while let Some(pushed) = self.item(raising, source, start + done) {
            if !pushed {
                break;
            }
            raising.raw_seti(table, next + done as i64);
            done += 1;
        }
        done
    }

    /// Pushes an item, if there are so many; gives whether it is plain.
    #[inline(always)]
    fn item(self, raising: Raising<'_, B>, source: Items<'_>, index: usize) -> Option<bool> {
        match source.push_known(self.entry, raising.state(), index)? {
            None => Some(true),
            Some(item) => Some(self.held.with(item, |item| self.push(raising, item)) == Some(true)),
        }
    }

    /// Puts what is in a dict from `position` on into the table at `table`, up to the first pair that
    /// is not plain, which is at `position` then; gives whether that was all.
    pub(crate) fn pairs(
        self,
        raising: Raising<'_, B>,
        table: i32,
        source: Pairs<'_>,
        position: &Cell<isize>,
    ) -> bool {
        loop {
            let top = raising.top();
            let Some((pushed, after)) = self.pair(raising, source, position.get()) else {
                return true;
            };
            if !pushed {
                raising.set_top(top);
                return false;
            }
            raising.raw_set(table);
            position.set(after);
        }
    }

    /// Pushes the pair of a dict at a position, if there is one; gives whether it is plain, and the position after it.
    #[inline(always)]
    fn pair(
        self,
        raising: Raising<'_, B>,
        source: Pairs<'_>,
        position: isize,
    ) -> Option<(bool, isize)> {
        let ((key, value), after) = source.push_known(self.entry, raising.state(), position)?;
        let Some(value) = value else { return Some((true, after)) };
        // Pushing the key may run code that drops the value.
        let pushed = self.held.with(value, |value| {
            let known = match key {
                None => true,
                Some(key) => self.key(raising, key),
            };
            known && self.push(raising, value)
        });
        Some((pushed == Some(true), after))
    }

    /// Pushes a key.
    fn key(self, raising: Raising<'_, B>, key: Bound<'py, PyAny>) -> bool {
        let pushed = self.held.with(key, |key| {
            self.push_short(raising, key, Mode::NotNil) || self.push_string(raising, key)
        });
        pushed == Some(true)
    }

    /// Pushes a value that is held, if it is plain; else pushes nothing.
    #[inline(always)]
    fn push(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        self.push_short(raising, object, Mode::Value)
            || self.push_string(raising, object)
            || self.kinds.recursive && self.push_table(raising, object)
    }

    /// Pushes an object by the fast path, also a string that comes often.
    #[inline(always)]
    fn push_short(self, raising: Raising<'_, B>, object: Alive<'_>, mode: Mode) -> bool {
        quick::push_held(self.entry, raising.state(), object, mode)
    }

    /// Pushes what becomes a string; `None`, too, which is a key here.
    fn push_string(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        let text = match object.kind(self.entry.runtime()) {
            Kind::Str(_) if matches!(self.entry.options.encoding, Encoding::Utf8) => object.utf8(),
            Kind::Bytes => object.bytes(),
            Kind::None => {
                let Some(none) = self.entry.anchors.none.get() else { return false };
                raising.push_ref(none);
                return true;
            }
            _ => None,
        };
        let Some(text) = text else { return false };
        raising.push_bytes(text);
        true
    }

    /// Pushes a table of the items of a list, tuple or dict, if these are plain and only its container and [`Held`] refer to
    /// it. A shared container must become one table for all places, which the slow path sees to.
    #[inline(never)]
    fn push_table(self, raising: Raising<'_, B>, object: Alive<'_>) -> bool {
        // Where others could change the container, nothing is read.
        if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy)) {
            return false;
        }
        let borrowed = object.borrow(self.entry.py);
        let dict = if borrowed.is_exact_instance_of::<PyDict>() {
            borrowed.cast_exact::<PyDict>().ok()
        } else {
            None
        };
        let items = Items::of(object);
        if dict.is_none() && items.is_none()
            || object.references() != 2
            || !Thread::this().has_room()
        {
            return false;
        }
        if !self.kinds.empty && items.is_some_and(|items| items.len() == 0) {
            return false;
        }
        let top = raising.top();
        raising.reserve(lua_api::MIN_ROOM);
        let whole = if let Some(dict) = &dict {
            let pairs = Pairs::of(dict);
            raising.new_table(0, hint(pairs.len()));
            self.pairs(raising, top + 1, pairs, &Cell::new(0))
        } else if let Some(items) = items {
            raising.new_table(hint(items.len()), 0);
            let done = self.items(raising, top + 1, items, 0, 1);
            done >= items.len()
        } else {
            false
        };
        if !whole {
            raising.set_top(top);
        }
        whole
    }
}

/// A length as a hint for a new table: no more than that, so that a table which does not fit in memory
/// fails where it is filled.
pub(crate) fn hint(length: usize) -> i32 {
    length.min(1 << 20) as i32
}
