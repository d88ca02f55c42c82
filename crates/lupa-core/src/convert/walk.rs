//! [`Walk`]: going over the entries of a table in the order of Lua's `next`, some at a time.
//!
//! A walk remembers every key that it has given, so that one may go on from any of the last ones:
//! numbers as numbers, others in a Lua table of its own. Where the Lua can, it goes on from the place of the
//! entry, which saves to look for the key; a table that has been rebuilt meanwhile has another place for it.
#![forbid(unsafe_code)]

use std::ffi::c_int;

use lua_api::{
    Item, LuaBackend, Place, Raising, Read, Ref, State, TableEntry, WANTS_KEYS, WANTS_VALUES, value,
};
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::convert::from_lua::{float, from_lua, integer};
use crate::convert::lua_error::raised;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;

/// The most entries that are read at a time: more do not stay in the nearest cache until they are used.
pub(crate) const MOST: usize = 32;

/// The place on the stack of the first entry that is no number.
pub(crate) const FIRST_READ: i32 = 3;

/// The part of an entry that the caller wants.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Wanted {
    Keys = WANTS_KEYS as u8,
    Values = WANTS_VALUES as u8,
    Both = (WANTS_KEYS | WANTS_VALUES) as u8,
}

/// A key that was given.
#[derive(Clone, Copy)]
struct Noted {
    /// The key itself if it is a number, otherwise a mark that it is in the table of kept keys.
    key: Item,
    /// The place behind it.
    next: usize,
}

/// How far a walk has come.
#[derive(Default)]
pub(crate) struct Walk {
    noted: Vec<Noted>,
    kept: Option<Ref>,
    place: Place,
    // The table has been rebuilt, or the Lua knows no places.
    lost: bool,
}

impl Noted {
    fn of(read: &TableEntry) -> Self {
        Noted { key: read.key, next: read.next }
    }
}

/// Entries that have been read. Values that are no numbers are on the stack.
pub(crate) struct Batch<'a> {
    entries: &'a [TableEntry],
    taken: usize,
    // Where the next one on the stack is.
    at: i32,
}

impl Batch<'_> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The next entry; `None` after the last one.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<(At, At)> {
        let read = self.entries.get(self.taken)?;
        let key = At { item: read.key, index: self.at };
        let value = At { item: read.value, index: key.above() };
        self.at = value.above();
        self.taken += 1;
        Some((key, value))
    }
}

/// A key or a value that has been read.
#[derive(Clone, Copy)]
pub(crate) struct At {
    item: Item,
    // If it is on the stack.
    index: i32,
}

impl At {
    #[inline(always)]
    fn above(self) -> i32 {
        self.index + i32::from(self.item.read() == Read::Pushed)
    }

    /// The integer that it is.
    #[inline(always)]
    pub(crate) fn whole(self) -> Option<i64> {
        match self.item.read() {
            Read::Integer(number) => Some(number),
            Read::Float(number) if (number as i64) as f64 == number => Some(number as i64),
            _ => None,
        }
    }

    /// Its address, if it is a table.
    #[inline(always)]
    pub(crate) fn table_address<B: LuaBackend>(self, state: State<B>) -> Option<usize> {
        let is_table =
            self.item.read() == Read::Pushed && state.type_of(self.index) == value::TABLE;
        is_table.then(|| state.to_pointer(self.index).addr())
    }

    /// The object for it. It is one that was wanted.
    ///
    /// # Errors
    /// What the conversion raises.
    #[inline(always)]
    pub(crate) fn object<'py, B: LuaBackend>(
        self,
        entry: &Entry<'py, B>,
        state: State<B>,
    ) -> Result<Bound<'py, PyAny>> {
        match self.item.read() {
            Read::Integer(number) => integer(entry.py, number),
            Read::Float(number) => float::<B>(entry.py, number),
            Read::Pushed | Read::Unwanted => from_lua(entry.runtime(), entry.py, state, self.index),
        }
    }
}

impl Walk {
    /// Reads as many entries as there is room for, up to [`MOST`]: those after the first `given` of the last time, or
    /// from the start.
    ///
    /// What is no number is on the stack then, above its top of before, which the caller is to restore.
    ///
    /// # Errors
    /// What Lua raises; nothing is on the stack then.
    pub(crate) fn read<'a, B: LuaBackend>(
        &mut self,
        entry: &Entry<'_, B>,
        table: Ref,
        given: usize,
        wanted: Wanted,
        room: &'a mut [TableEntry],
    ) -> Result<Batch<'a>> {
        let push = |raising: Raising<'_, B>| raising.push_ref(table);
        self.read_from(entry, push, |_| (), given, wanted, room)
    }

    /// The same of the table that `push` pushes; `read` is called, in the same protected call, when what was read that is no
    /// number is on the stack, from [`FIRST_READ`] on.
    ///
    /// # Errors
    /// As for [`Walk::read`].
    pub(crate) fn read_from<'a, B: LuaBackend>(
        &mut self,
        entry: &Entry<'_, B>,
        push: impl for<'f> Fn(Raising<'f, B>) + Copy,
        read: impl for<'f> Fn(Raising<'f, B>) + Copy,
        given: usize,
        wanted: Wanted,
        room: &'a mut [TableEntry],
    ) -> Result<Batch<'a>> {
        /// Of the table, and of the table of kept keys.
        const FIXED: i32 = FIRST_READ - 1;
        let state = entry.state();
        let base = state.top();
        let last = given.checked_sub(1).and_then(|last| self.noted.get(last).copied());
        let mut place = match last {
            None => Place::default(),
            Some(last) => self.place.at(last.next),
        };
        if self.noted.capacity() < MOST && self.noted.try_reserve_exact(MOST).is_err() {
            return Err(Error::Memory);
        }
        let kept = self.kept;
        let mut outcome = Outcome { count: 0, lost: self.lost && last.is_some() };
        let most = room.len().min(MOST);
        let entries = &mut room[..most];
        let (place_at, outcome_at) = (&mut place, &mut outcome);
        let outcome_of = state.protect_above(|raising| {
            push(raising);
            match kept {
                Some(kept) => raising.push_ref(kept),
                None => raising.push_nil(),
            }
            if !outcome_at.lost {
                match raising.read_entries(place_at, wanted as c_int, entries) {
                    Some(count) => outcome_at.count = count,
                    None => outcome_at.lost = true,
                }
            }
            if outcome_at.lost {
                outcome_at.count = read_by_keys(raising, last, given, entries);
            }
            read(raising);
            raising.top() - 1
        });
        if let Err(failure) = outcome_of {
            let error = raised(entry, state, failure);
            state.set_top(base);
            return Err(error);
        }
        let entries = &room[..outcome.count];
        self.lost = outcome.lost;
        self.place = place;
        self.noted.clear();
        // There is room, so this takes no memory.
        self.noted.extend(entries.iter().map(Noted::of));
        if self.kept.is_none() && state.type_of(base + FIXED) == value::TABLE {
            state.push_value(base + FIXED);
            match entry.instance.take_ref(state) {
                Ok(kept) => self.kept = Some(kept),
                Err(_) => {
                    state.set_top(base);
                    return Err(Error::Memory);
                }
            }
        }
        Ok(Batch { entries, taken: 0, at: base + FIXED + 1 })
    }

    /// Begins again, with another table.
    pub(crate) fn restart(&mut self) {
        self.noted.clear();
        self.place = Place::default();
        self.lost = false;
    }

    /// Gives back what the walk holds in Lua. Never waits.
    pub(crate) fn end<B: LuaBackend>(&mut self, runtime: &Runtime<B>) {
        if let Some(kept) = self.kept.take() {
            runtime.drop_ref(kept);
        }
    }
}

/// The result of reading.
struct Outcome {
    count: usize,
    lost: bool,
}

/// Reads entries by Lua's `next`: those after the key that was noted `last`, which is kept by the number `given`.
/// All that is no number is left on the stack, wanted or not. The table is at 1, and that of kept keys, or nil, at 2.
fn read_by_keys<B: LuaBackend>(
    raising: Raising<'_, B>,
    last: Option<Noted>,
    given: usize,
    entries: &mut [TableEntry],
) -> usize {
    raising.expect_table(1);
    if raising.type_of(2) != value::NIL {
        raising.expect_table(2);
    }
    raising.reserve(2 * MOST as i32 + lua_api::MIN_ROOM);
    match last.map(|last| last.key.read()) {
        None => raising.push_nil(),
        Some(Read::Integer(number)) => raising.push_integer(number),
        Some(Read::Float(number)) => raising.push_number(number),
        Some(_) => raising.raw_geti(2, given as i64),
    }
    let mut count = 0;
    while raising.next(1) {
        let (key, value) = (number(raising.state(), -2), number(raising.state(), -1));
        let (key_item, value_item) = (key.unwrap_or(Item::PUSHED), value.unwrap_or(Item::PUSHED));
        entries[count] = TableEntry { key: key_item, value: value_item, next: 0 };
        count += 1;
        // The key comes to the top, for `next`, and those that are no numbers stay below.
        if value.is_some() {
            raising.pop(1);
        }
        match (key, value) {
            (Some(_), Some(_)) => {}
            (Some(_), None) => raising.insert(-2),
            (None, Some(_)) => raising.push_value(-1),
            (None, None) => raising.push_value(-2),
        }
        if key.is_none() {
            if raising.type_of(2) == value::NIL {
                raising.new_table(MOST as i32, 0);
                raising.insert(2);
                raising.remove(3);
            }
            raising.push_value(-1);
            raising.raw_seti(2, count as i64);
        }
        if count == entries.len() {
            raising.pop(1);
            break;
        }
    }
    count
}

#[inline(always)]
fn number<B: LuaBackend>(state: State<B>, index: i32) -> Option<Item> {
    match state.to_integer(index) {
        Some(number) => Some(Item::integer(number)),
        None if state.type_of(index) == value::NUMBER => Some(Item::float(state.to_number(index))),
        None => None,
    }
}
