//! [`Ahead`]: what `python.iter` has read of a [`Cursor`] beforehand. How it is read is in
//! [`crate::python_lib::read_ahead`].
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::Ordering;

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::prelude::*;

use crate::runtime::cursor::Cursor;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;

/// A value of a step, as it goes to Lua.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    Nil,
    PyNone,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// A Lua object: in the table of [`Ahead`], at this position.
    Stored(i64),
}

/// The steps that were read of one cursor. All of it needs the runtime's lock; only to read and to
/// clear takes being attached to Python.
///
/// What is given in a step allocates nothing in Lua, for that might run a finalizer, which may have all of
/// this change: strings are made when they are read, and kept in a table of Lua.
pub(crate) struct Ahead {
    pub(crate) cursor: RefCell<Option<Py<Cursor>>>,
    // The box of the cursor, only compared; and whether its steps are counted.
    pub(crate) home: Cell<*mut c_void>,
    pub(crate) counts: Cell<bool>,
    // One value for a step, or two.
    pub(crate) values: RefCell<Vec<Value>>,
    pub(crate) pairs: Cell<bool>,
    // Where the cursor is after each step.
    pub(crate) positions: RefCell<Vec<isize>>,
    pub(crate) given: Cell<usize>,
    pub(crate) epoch: Cell<u64>,
    // How many steps to read the next time.
    pub(crate) size: Cell<usize>,
    // The table; what is in it is at the positions from 1 on, or `false`.
    pub(crate) table: Cell<Option<Ref>>,
    pub(crate) stored: Cell<i64>,
}

impl Default for Ahead {
    fn default() -> Self {
        Ahead {
            cursor: RefCell::default(),
            home: Cell::new(null_mut()),
            counts: Cell::new(false),
            values: RefCell::default(),
            pairs: Cell::new(false),
            positions: RefCell::default(),
            given: Cell::new(0),
            epoch: Cell::new(0),
            size: Cell::new(0),
            table: Cell::new(None),
            stored: Cell::new(0),
        }
    }
}

impl Ahead {
    /// Pushes the next step of the cursor in the box at `home`, if it was read and counts: a number before it, where
    /// steps are counted, and its value, or its values. Gives how many that are.
    #[inline(always)]
    pub(crate) fn push_next<B: LuaBackend>(
        &self,
        runtime: &Runtime<B>,
        state: State<B>,
        home: *mut c_void,
        number: impl FnOnce() -> i64,
    ) -> Option<i32> {
        if self.epoch.get() != runtime.epoch() || self.home.get() != home {
            return None;
        }
        let held = self.cursor.borrow();
        let held = held.as_ref()?;
        let given = self.given.get();
        let after = *self.positions.borrow().get(given)?;
        let values = self.values.borrow();
        let (one, two) = if self.pairs.get() {
            (*values.get(2 * given)?, values.get(2 * given + 1).copied())
        } else {
            (*values.get(given)?, None)
        };
        self.given.set(given + 1);
        held.get().position.store(after, Ordering::Relaxed);
        let mut count = 1;
        if self.counts.get() {
            state.push_integer(number());
            count += 1;
        }
        self.push(runtime, state, one);
        if let Some(two) = two {
            self.push(runtime, state, two);
            count += 1;
        }
        Some(count)
    }

    #[inline(always)]
    fn push<B: LuaBackend>(&self, runtime: &Runtime<B>, state: State<B>, value: Value) {
        match value {
            Value::Nil => state.push_nil(),
            Value::Bool(truth) => state.push_bool(truth),
            Value::Integer(number) => state.push_integer(number),
            Value::Float(number) => state.push_number(number),
            Value::PyNone => match runtime.anchors.none.get() {
                Some(none) => state.push_ref(none),
                None => state.push_nil(),
            },
            Value::Stored(place) => {
                // A script can reach this table by `debug.getregistry`, so its type is checked.
                let found = self.table.get().map(|table| state.push_ref_type(table));
                match found {
                    Some(value::TABLE) => {
                        state.raw_geti(-1, place);
                        state.remove(-2);
                    }
                    Some(_) => {}
                    None => state.push_nil(),
                }
            }
        }
    }

    /// Lets go of everything that was read.
    pub(crate) fn clear<B: LuaBackend>(&self, entry: &Entry<'_, B>) {
        self.epoch.set(0);
        self.given.set(0);
        self.values.borrow_mut().clear();
        self.positions.borrow_mut().clear();
        let stored = self.stored.replace(0);
        if stored > 0
            && entry.runtime().instance.is_open()
            && let Some(table) = self.table.get()
        {
            let state = entry.state();
            if state.push_ref_type(table) == value::TABLE {
                for place in 1..=stored {
                    state.push_bool(false);
                    if !state.replace(-2, place) {
                        state.pop(1);
                    }
                }
            }
            state.pop(1);
        }
        // Taken out first: what is dropped may run code.
        let cursor = self.cursor.take();
        drop(cursor);
    }
}
