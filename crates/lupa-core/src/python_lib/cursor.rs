//! [`Cursor`]: Python's own lists, tuples, ranges and dicts as `python.iter` goes over them, and
//! [`Ahead`]: what was read of one beforehand.
//!
//! To step an iterator, Lua's thread has to attach to Python. These iterators run no Python code, so
//! some items are read each time, and the next steps are made without attaching. As with tables
//! ([`crate::objects::iterator`]), what was read counts only until anything else happens between Lua and
//! Python: so a loop sees what its own body does. What other threads do meanwhile it may see later.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicIsize, Ordering};

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::fallible;
use crate::convert::to_lua::{Mode, Prepared, prepare_plain, push};
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::runtime::stop::stops::due;
use crate::types::alive::{Alive, Items, Pairs};
use crate::types::compat;
use crate::types::heap_type::Link;

/// The most steps that are read ahead.
const MOST: usize = 64;

/// What a cursor goes over.
enum Source {
    /// A list or tuple.
    Sequence(Link),
    Dict {
        dict: Link<PyDict>,
        part: compat::DictPart,
        length: usize,
    },
}

/// An iterator over a list, a tuple, or a dict or one of its views.
#[pyclass(name = "_PyCursor", module = "lupa", frozen)]
pub(crate) struct Cursor {
    source: Source,
    // The index of the next item, or the position in a dict; -1 at the end. Steps read ahead are
    // taken while other threads are attached.
    position: AtomicIsize,
}

/// One step: an item, or a key with its value; and the position after it.
type Step<'py> = (Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, isize);

impl Cursor {
    /// A cursor over an object, if it is of a type that has one.
    pub(crate) fn over(object: &Bound<'_, PyAny>) -> Option<Self> {
        if cfg!(any(Py_GIL_DISABLED, PyPy, GraalPy)) {
            // Others may change the object between two lines here.
            return None;
        }
        let source = if Items::of(Alive::of(object)).is_some() {
            Source::Sequence(object.clone().unbind().into())
        } else {
            let (dict, part) = compat::dict_part(object)?;
            Source::Dict { length: dict.len(), dict: dict.unbind().into(), part }
        };
        Some(Cursor { source, position: AtomicIsize::new(0) })
    }

    /// The step at `position`; `None` at the end. Runs no Python code.
    #[inline(always)]
    fn read<'py>(&self, py: Python<'py>, position: isize) -> PyResult<Option<Step<'py>>> {
        match &self.source {
            Source::Sequence(sequence) => {
                let items = Items::of(Alive::of(sequence.bind(py)));
                let item = items.and_then(|items| items.get(py, position as usize));
                Ok(item.map(|item| (item, None, position + 1)))
            }
            Source::Dict { dict, part, length } => {
                let pairs = Pairs::of(dict.bind(py));
                if pairs.len() != *length {
                    return Err(changed(py));
                }
                let one = |(item, after)| (item, None, after);
                Ok(match part {
                    compat::DictPart::Keys => pairs.key(py, position).map(one),
                    compat::DictPart::Values => pairs.value(py, position).map(one),
                    compat::DictPart::Items => {
                        pairs.get(py, position).map(|(key, value, after)| (key, Some(value), after))
                    }
                })
            }
        }
    }
}

#[cold]
fn changed(_: Python<'_>) -> PyErr {
    fallible::error::<PyRuntimeError>("dictionary changed size during iteration")
}

#[pymethods]
impl Cursor {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let position = self.position.load(Ordering::Relaxed);
        if position < 0 {
            return Ok(None);
        }
        let Some((first, second, after)) = self.read(py, position)? else {
            self.position.store(-1, Ordering::Relaxed);
            return Ok(None);
        };
        self.position.store(after, Ordering::Relaxed);
        Ok(Some(match second {
            None => first,
            Some(second) => fallible::tuple(py, [first, second])?.into_any(),
        }))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        match &self.source {
            Source::Sequence(sequence) => visit.call(&**sequence),
            Source::Dict { dict, .. } => visit.call(&**dict),
        }
    }
}

/// A value of a step, as it goes to Lua.
#[derive(Clone, Copy)]
enum Value {
    Nil,
    PyNone,
    Bool(bool),
    Integer(i64),
    Float(f64),
    /// What is a Lua object: in the table of [`Ahead`], at this position.
    Stored(i64),
}

/// The steps that were read of one cursor. All of it needs the runtime's lock; only to read and to
/// clear takes being attached to Python.
///
/// What is given in a step allocates nothing in Lua, for that might run a finalizer, which may have all of
/// this change: strings are made when they are read, and kept in a table of Lua.
pub(crate) struct Ahead {
    cursor: RefCell<Option<Py<Cursor>>>,
    // The box of the cursor, only compared; and whether its steps are counted.
    home: Cell<*mut c_void>,
    counts: Cell<bool>,
    // One value for a step, or two.
    values: RefCell<Vec<Value>>,
    pairs: Cell<bool>,
    // Where the cursor is after each step.
    positions: RefCell<Vec<isize>>,
    given: Cell<usize>,
    epoch: Cell<u64>,
    // How many steps to read the next time.
    size: Cell<usize>,
    // The table; what is in it is at the positions from 1 on, or `false`.
    table: Cell<Option<Ref>>,
    stored: Cell<i64>,
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
                // What a script can reach with `debug.getregistry` is not trusted.
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
            // What happens in between makes reading ahead useless.
            (true, true) => 1,
            (false, _) => 4,
        };
        self.clear(entry);
        let mut position = cursor.get().position.load(Ordering::Relaxed);
        let mut values = std::mem::take(&mut *self.values.borrow_mut());
        let mut positions = std::mem::take(&mut *self.positions.borrow_mut());
        // What becomes a Lua object when all has been read.
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
        entry.due.set_once(due::AHEAD);
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
