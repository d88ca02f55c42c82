//! Reading ahead for `python.iter`: the next steps of a cursor, as far as they are plain.
#![forbid(unsafe_code)]

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use lua_api::{LuaBackend, value};
use pyo3::prelude::*;

use crate::convert::prepared::{Mode, Prepared};
use crate::convert::to_lua::{prepare_plain, push};
use crate::runtime::ahead::{Ahead, Value};
use crate::runtime::boxes::View;
use crate::runtime::cursor::Cursor;
use crate::runtime::entry::Entry;
use crate::runtime::stop::pending;
use crate::types::alive::Alive;

/// The most steps that are read ahead.
pub(crate) const MOST: usize = 64;

impl Ahead {
    /// Reads the next steps of a cursor, whose box is at `home`, as many as are plain.
    pub(crate) fn read<'py, B: LuaBackend>(
        &self,
        entry: &Entry<'py, B>,
        cursor: &Bound<'py, Cursor>,
        home: *mut c_void,
        view: View,
    ) {
        let unpack = view.has(View::UNPACK);
        // A nil would end the loop, so None comes as python.none where Lua looks for the end.
        let counts = view.has(View::ENUMERATE);
        let first = if counts { Mode::Value } else { Mode::NotNil };
        let py = entry.py;
        let same = self.cursor.borrow().as_ref().is_some_and(|held| held.is(cursor));
        let wasted = self.given.get() < self.positions.borrow().len();
        let size = match (same, wasted) {
            (true, false) => (self.size.get() * 2).min(MOST),
            // Code that runs in between would make reading ahead useless.
            (true, true) => 1,
            (false, _) => 4,
        };
        self.clear(entry);
        let mut position = cursor.get().position.load(Ordering::Relaxed);
        let mut values = std::mem::take(&mut *self.values.borrow_mut());
        let mut positions = std::mem::take(&mut *self.positions.borrow_mut());
        // Objects that get boxes when all items have been read.
        let mut owners = Vec::new();
        let mut plain = |object: Bound<'py, PyAny>, mode| {
            let value = match prepare_plain(entry, Alive::of(&object), mode)? {
                Prepared::Nil => Value::Nil,
                Prepared::PyNone => Value::PyNone,
                Prepared::Bool(truth) => Value::Bool(truth),
                Prepared::Integer(number) => Value::Integer(number),
                Prepared::Float(number) => Value::Float(number),
                Prepared::Bytes(_) | Prepared::Reference(_) => {
                    owners.push(object);
                    Value::Stored(owners.len() as i64)
                }
                Prepared::Object(..) | Prepared::Weighty(..) => return None,
            };
            Some(value)
        };
        let mut pairs = false;
        // The end, and an error, come when it is their turn.
        while position >= 0
            && positions.len() < size
            && let Ok(Some((one, two, after))) = cursor.get().read(py, position)
        {
            pairs = two.is_some();
            if pairs && !unpack {
                break;
            }
            let Some(one) = plain(one, first) else { break };
            if let Some(two) = two {
                let Some(two) = plain(two, Mode::Value) else { break };
                values.push(one);
                values.push(two);
            } else {
                values.push(one);
            }
            position = after;
            positions.push(position);
        }
        let epoch = entry.epoch();
        let stored = owners.is_empty() || self.store(entry, &owners);
        // A finalizer may have come here in between: then what was read does not count.
        if !stored || entry.epoch() != epoch {
            return;
        }
        self.pairs.set(pairs);
        self.values.replace(values);
        self.positions.replace(positions);
        self.cursor.replace(Some(cursor.clone().unbind()));
        self.home.set(home);
        self.counts.set(counts);
        self.size.set(size);
        self.epoch.set(epoch);
        entry.pending.set_once(pending::AHEAD);
    }

    /// Puts strings and Lua objects into the table; false where there is no memory for them.
    fn store<B: LuaBackend>(&self, entry: &Entry<'_, B>, owners: &[Bound<'_, PyAny>]) -> bool {
        let runtime = entry.runtime();
        let state = entry.state();
        let table = self.table.get();
        let stored = state.protect_values(|raising| {
            match table {
                Some(table) => raising.push_ref(table),
                None => raising.push_nil(),
            }
            if raising.type_of(1) != value::TABLE {
                raising.new_table(2 * MOST as i32, 0);
                raising.insert(1);
                raising.set_top(1);
            }
            for (object, place) in owners.iter().zip(1..) {
                match prepare_plain(entry, Alive::of(object), Mode::Value) {
                    Some(prepared) => push(runtime, raising, prepared),
                    None => raising.push_bool(false),
                }
                raising.raw_seti(1, place);
            }
            1
        });
        if stored.is_err() {
            state.pop(1);
            return false;
        }
        self.stored.set(owners.len() as i64);
        match table {
            Some(table) => {
                runtime.instance.replace_ref(state, table);
                true
            }
            None => match runtime.instance.take_ref(state) {
                Ok(table) => {
                    // A finalizer may have made one meanwhile.
                    if let Some(other) = self.table.replace(Some(table)) {
                        runtime.instance.release(other);
                    }
                    true
                }
                Err(_) => {
                    state.pop(1);
                    false
                }
            },
        }
    }
}
