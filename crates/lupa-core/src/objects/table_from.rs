//! Lua tables from Python data: `table` and `table_from`.
//!
//! Items are prepared some at a time, which may run Python code, and then put into the table in
//! one protected call, which runs none. Between the two nothing is on the Lua stack, so a generator
//! may itself use Lua.
#![forbid(unsafe_code)]

use std::cell::Cell;

use lua_api::{LuaBackend, Ref};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::base::vectors;
use crate::convert::lua_error::raised;
use crate::convert::plain::{Plain, hint, most_held};
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::to_lua::{prepare, push};
use crate::convert::wrapper::{self, WrapperKind};
use crate::objects::nested::{Abc, Nested, Seen, is_a, nested, plain_kinds};
use crate::objects::unfold::{Unfolding, unfold};
use crate::runtime::entry::Entry;
use crate::types::alive::{Alive, Held, Items, Pairs};

/// How many items go into a table in one protected call.
const CHUNK: usize = 128;

/// A table from mappings and iterables, as `LuaRuntime.table_from` documents.
///
/// # Errors
/// `TypeError` for an argument that is neither; what conversions and iterations raise.
pub(crate) fn table_from<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    sources: &[Bound<'py, PyAny>],
    recursive: bool,
    unfolding: Option<&Unfolding<'py>>,
) -> Result<Bound<'py, PyAny>> {
    let mut seen = Seen::new(unfolding);
    let unfolded;
    let sources = match unfolding {
        None => sources,
        Some(unfolding) => {
            let mut all = vectors::with_room(sources.len())?;
            for source in sources {
                all.push(unfold(entry, source, unfolding)?);
            }
            unfolded = all;
            &unfolded
        }
    };
    let table = new_table(entry, sources)?;
    let result = fill(entry, table, sources, recursive.then_some(&mut seen));
    let result = result.and_then(|()| wrapped(entry, table));
    entry.instance.release(table);
    for reference in seen.tables.into_values().filter(|reference| *reference != table) {
        entry.instance.release(reference);
    }
    result
}

/// An object as Lua data, as `LuaRuntime.to_lua` documents; what becomes no table is given as it is.
///
/// # Errors
/// As for [`table_from`].
pub(crate) fn to_lua<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    unfolding: &Unfolding<'py>,
) -> Result<Bound<'py, PyAny>> {
    let mut seen = Seen::new(Some(unfolding));
    let result = match nested(entry, object, &mut seen) {
        Ok(Nested::Table(table)) => seen.fill_all(entry).and_then(|()| wrapped(entry, table)),
        Ok(Nested::Object(object)) => Ok(object),
        Ok(Nested::Same) => Ok(object.clone()),
        Err(error) => Err(error),
    };
    for reference in seen.tables.into_values() {
        entry.instance.release(reference);
    }
    result
}

fn wrapped<'py, B: LuaBackend>(entry: &Entry<'py, B>, table: Ref) -> Result<Bound<'py, PyAny>> {
    let state = entry.state();
    state.push_ref(table);
    let wrapped = wrapper::wrap(entry.runtime(), entry.py, state, -1, WrapperKind::Table);
    state.pop(1);
    wrapped
}

/// A new table with room for what is in the sources.
pub(crate) fn new_table<B: LuaBackend>(
    entry: &Entry<'_, B>,
    sources: &[Bound<'_, PyAny>],
) -> Result<Ref> {
    let (mut array, mut hash) = (0_usize, 0_usize);
    for source in sources {
        if let Ok(list) = source.cast::<PyList>() {
            array += list.len();
        } else if let Ok(tuple) = source.cast::<PyTuple>() {
            array += tuple.len();
        } else if let Ok(dict) = source.cast::<PyDict>() {
            // Keys that begin as a sequence does are taken for one.
            let first = Pairs::of(dict).key(entry.py, 0);
            match first.and_then(|(key, _)| key.extract::<i64>().ok()) {
                Some(0 | 1) => array += dict.len(),
                Some(_) => {}
                None => hash += dict.len(),
            }
        }
    }
    let (array, hash) = (hint(array), hint(hash));
    let state = entry.state();
    let made = state.protect_values(|raising| {
        raising.new_table(array, hash);
        1
    });
    let made = made.and_then(|_| entry.instance.take_ref(state));
    made.map_err(|failure| raised(entry, state, failure))
}

fn fill<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
    sources: &[Bound<'py, PyAny>],
    mut seen: Option<&mut Seen<'_, 'py>>,
) -> Result<()> {
    if let Some(seen) = seen.as_deref_mut() {
        for source in sources {
            seen.tables.insert(source.as_ptr() as usize, table);
            seen._objects.push(source.clone());
        }
    }
    let mut filler = Filler::new(entry, table);
    for source in sources {
        filler.add(source, seen.as_deref_mut())?;
    }
    filler.flush()?;
    seen.map_or(Ok(()), |seen| seen.fill_all(entry))
}

#[derive(Default)]
struct Batch<'py> {
    /// Keys and values in turn; a key that is `Nil` stands for the next index.
    values: Vec<Ready<'static, 'py>>,
    boxes: usize,
}

/// Fills a table.
pub(crate) struct Filler<'a, 'py, B: LuaBackend> {
    entry: &'a Entry<'py, B>,
    table: Ref,
    next: i64,
    batch: Batch<'py>,
}

impl<'a, 'py, B: LuaBackend> Filler<'a, 'py, B> {
    pub(crate) fn new(entry: &'a Entry<'py, B>, table: Ref) -> Self {
        Filler { entry, table, next: 1, batch: Batch::default() }
    }

    /// Whether no item of a sequence has been added.
    pub(crate) fn is_at_start(&self) -> bool {
        self.next == 1
    }

    /// Adds what is in a source.
    pub(crate) fn add(
        &mut self,
        source: &Bound<'py, PyAny>,
        mut seen: Option<&mut Seen<'_, 'py>>,
    ) -> Result<()> {
        if let Ok(dict) = source.cast::<PyDict>() {
            return self.dict(dict, seen);
        }
        if source.is_exact_instance_of::<PyList>() || source.is_exact_instance_of::<PyTuple>() {
            return self.sequence(source, seen);
        }
        if Alive::of(source).is_table()
            && let Some(reference) = Alive::of(source).reference(self.entry.runtime())
        {
            let reference = reference?;
            self.flush()?;
            return self.copy(reference);
        }
        if is_a(source, Abc::Mapping)? {
            for key in source.try_iter()? {
                let key = key?;
                let value = source.get_item(&key)?;
                self.pair(&key, &value, seen.as_deref_mut())?;
            }
            return Ok(());
        }
        let mut iterator = source.try_iter()?;
        if seen.is_some() {
            // A generator may change a list after it has given it, so each is taken as it comes.
            for item in iterator {
                self.item(&item?, seen.as_deref_mut())?;
            }
            return Ok(());
        }
        // Some at a time, and nothing is on the Lua stack while the iterator runs.
        loop {
            let items = fallible::list(source.py())?;
            for item in iterator.by_ref().take(CHUNK) {
                items.append(item?)?;
            }
            if items.is_empty() {
                return Ok(());
            }
            self.sequence(items.as_any(), None)?;
        }
    }

    /// Adds what is in a dict.
    fn dict(
        &mut self,
        dict: &Bound<'py, PyDict>,
        mut seen: Option<&mut Seen<'_, 'py>>,
    ) -> Result<()> {
        // Where other threads run meanwhile, a copy is what one can go over.
        #[cfg(Py_GIL_DISABLED)]
        let dict = &dict.copy()?;
        let pairs = Pairs::of(dict);
        let length = pairs.len();
        let position = Cell::new(0);
        loop {
            let seen_by = seen.as_deref();
            if self.batch.values.is_empty() && self.plain_pairs(pairs, &position, seen_by)? {
                return Ok(());
            }
            // Pairs that are not plain, and may run Python code, take the slow path.
            let Some((key, value, after)) = pairs.get(self.entry.py, position.get()) else {
                return Ok(());
            };
            position.set(after);
            self.pair(&key, &value, seen.as_deref_mut())?;
            if pairs.len() != length {
                let message = "dictionary changed size during iteration";
                return Err(fallible::error::<PyRuntimeError>(message).into());
            }
        }
    }

    /// Adds what is plain in a dict from a position on; gives whether that was all.
    fn plain_pairs(
        &mut self,
        source: Pairs<'_>,
        position: &Cell<isize>,
        seen: Option<&Seen<'_, 'py>>,
    ) -> Result<bool> {
        let Some(kinds) = plain_kinds(seen) else { return Ok(false) };
        let held = Held::new(self.entry.py, most_held(kinds.recursive)).ok_or(Error::Memory)?;
        let plain = Plain { entry: self.entry, held: &held, kinds };
        let state = self.entry.state();
        let table = self.table;
        let put = state.protect(|raising| {
            raising.push_ref(table);
            raising.expect_table(1);
            plain.pairs(raising, 1, source, position)
        });
        put.map_err(|failure| raised(self.entry, state, failure))
    }

    /// Adds the items of a list or tuple.
    fn sequence(
        &mut self,
        source: &Bound<'py, PyAny>,
        mut seen: Option<&mut Seen<'_, 'py>>,
    ) -> Result<()> {
        // As in `dict`.
        #[cfg(Py_GIL_DISABLED)]
        let source = &match source.cast::<PyList>() {
            Ok(list) => list.to_tuple().into_any(),
            Err(_) => source.clone(),
        };
        let Some(source) = Items::of(Alive::of(source)) else { return Ok(()) };
        let mut index = 0;
        loop {
            if self.batch.values.is_empty() {
                index += self.plain_items(source, index, seen.as_deref())?;
            }
            // The length is looked at each time: a conversion may change the list.
            let Some(item) = source.get(self.entry.py, index) else { return Ok(()) };
            self.item(&item, seen.as_deref_mut())?;
            index += 1;
        }
    }

    /// Adds what is plain in a list or tuple from `start` on; gives how many.
    fn plain_items(
        &mut self,
        source: Items<'_>,
        start: usize,
        seen: Option<&Seen<'_, 'py>>,
    ) -> Result<usize> {
        let Some(kinds) = plain_kinds(seen) else { return Ok(0) };
        let held = Held::new(self.entry.py, most_held(kinds.recursive)).ok_or(Error::Memory)?;
        let plain = Plain { entry: self.entry, held: &held, kinds };
        let state = self.entry.state();
        let (table, first) = (self.table, self.next);
        let put = state.protect(|raising| {
            raising.push_ref(table);
            raising.expect_table(1);
            plain.items(raising, 1, source, start, first)
        });
        match put {
            Ok(done) => {
                self.next += done as i64;
                Ok(done)
            }
            Err(failure) => Err(raised(self.entry, state, failure)),
        }
    }

    fn item(&mut self, item: &Bound<'py, PyAny>, seen: Option<&mut Seen<'_, 'py>>) -> Result<()> {
        self.put(Ready::Plain(Prepared::Nil));
        self.value(item, Mode::Value, seen)?;
        self.flush_full()
    }

    fn pair(
        &mut self,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        mut seen: Option<&mut Seen<'_, 'py>>,
    ) -> Result<()> {
        self.value(key, Mode::NotNil, seen.as_deref_mut())?;
        self.value(value, Mode::Value, seen)?;
        self.flush_full()
    }

    fn value(
        &mut self,
        object: &Bound<'py, PyAny>,
        mode: Mode,
        seen: Option<&mut Seen<'_, 'py>>,
    ) -> Result<()> {
        if let Some(seen) = seen {
            let none = seen.unfolding.is_some_and(|unfolding| unfolding.none);
            match nested(self.entry, object, seen)? {
                Nested::Table(table) => {
                    self.put(Ready::Plain(Prepared::Reference(table)));
                    return Ok(());
                }
                Nested::Object(object) => {
                    let mode = if none { Mode::NotNil } else { mode };
                    let ready = prepare(self.entry, &object, mode)?.hold(&object);
                    self.put(ready);
                    return Ok(());
                }
                Nested::Same if none && object.is_none() => {
                    self.put(Ready::Plain(Prepared::PyNone));
                    return Ok(());
                }
                Nested::Same => {}
            }
        }
        let ready = prepare(self.entry, object, mode)?.hold(object);
        self.put(ready);
        Ok(())
    }

    fn put(&mut self, ready: Ready<'static, 'py>) {
        self.batch.boxes += usize::from(ready.value().needs_box());
        self.batch.values.push(ready);
    }

    fn flush_full(&mut self) -> Result<()> {
        if self.batch.values.len() >= 2 * CHUNK { self.flush() } else { Ok(()) }
    }

    /// Puts the batch into the table.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.batch.values.is_empty() {
            return Ok(());
        }
        let runtime = self.entry.runtime();
        if self.batch.boxes > 0 && !runtime.boxes.reserve(self.entry.py, self.batch.boxes) {
            return Err(Error::Memory);
        }
        let state = self.entry.state();
        let (table, first) = (self.table, self.next);
        let values = self.batch.values.as_slice();
        let put = state.protect(|raising| {
            raising.push_ref(table);
            raising.expect_table(1);
            let mut next = first;
            let mut index = 0;
            while index + 1 < values.len() {
                let (key, value) = (values[index].value(), values[index + 1].value());
                if matches!(key, Prepared::Nil) {
                    push(runtime, raising, value);
                    raising.raw_seti(1, next);
                    next += 1;
                } else {
                    push(runtime, raising, key);
                    push(runtime, raising, value);
                    raising.raw_set(1);
                }
                index += 2;
            }
            next
        });
        match put {
            Ok(next) => {
                self.next = next;
                self.batch.values.clear();
                self.batch.boxes = 0;
                Ok(())
            }
            Err(failure) => Err(raised(self.entry, state, failure)),
        }
    }

    /// Copies another table's fields.
    fn copy(&self, from: Ref) -> Result<()> {
        let state = self.entry.state();
        let to = self.table;
        let copied = state.protect(|raising| {
            raising.push_ref(to);
            raising.push_ref(from);
            raising.expect_table(1);
            raising.expect_table(2);
            raising.push_nil();
            while raising.next(2) {
                raising.push_value(-2);
                raising.insert(-2);
                raising.raw_set(1);
            }
        });
        copied.map_err(|failure| raised(self.entry, state, failure))
    }
}
