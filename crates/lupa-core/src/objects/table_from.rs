//! Lua tables from Python data: `table` and `table_from`.
//!
//! Items are prepared some at a time, which may run Python code, and then put into the table in
//! one protected call, which runs none. Between the two nothing is on the Lua stack, so a generator
//! may itself use Lua.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;

use lua_api::{LuaBackend, Ref, Thread};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::base::error::too_deep;
use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::base::imported::Imported;
use crate::convert::lua_error::raised;
use crate::convert::plain::{Plain, hint, most_held};
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::to_lua::{prepare, push};
use crate::convert::wrapper::{self, WrapperKind};
use crate::runtime::entry::Entry;
use crate::types::alive::{Alive, Held, Items, Pairs};

/// How many items go into a table in one protected call.
const CHUNK: usize = 128;

/// The tables made so far in one recursive conversion, by the identity of their objects, which are
/// kept so that an identity is not used again.
#[derive(Default)]
struct Seen<'py> {
    tables: HashMap<usize, Ref>,
    _objects: Vec<Bound<'py, PyAny>>,
}

/// A table from mappings and iterables, as `LuaRuntime.table_from` documents.
///
/// # Errors
/// `TypeError` for an argument that is neither; what conversions and iterations raise.
pub(crate) fn table_from<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    sources: &[Bound<'py, PyAny>],
    recursive: bool,
) -> Result<Bound<'py, PyAny>> {
    let mut seen = Seen::default();
    let table = new_table(entry, sources)?;
    let result = fill(entry, table, sources, recursive.then_some(&mut seen));
    let result = result.and_then(|()| {
        let state = entry.state();
        state.push_ref(table);
        let wrapped = wrapper::wrap(entry.runtime(), entry.py, state, -1, WrapperKind::Table);
        state.pop(1);
        wrapped
    });
    entry.instance.release(table);
    for reference in seen.tables.into_values().filter(|reference| *reference != table) {
        entry.instance.release(reference);
    }
    result
}

fn new_table<B: LuaBackend>(entry: &Entry<'_, B>, sources: &[Bound<'_, PyAny>]) -> Result<Ref> {
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
    mut seen: Option<&mut Seen<'py>>,
) -> Result<()> {
    if let Some(seen) = seen.as_deref_mut() {
        for source in sources {
            seen.tables.insert(source.as_ptr() as usize, table);
            seen._objects.push(source.clone());
        }
    }
    let mut filler = Filler { entry, table, next: 1, batch: Batch::default() };
    for source in sources {
        filler.add(source, seen.as_deref_mut())?;
    }
    filler.flush()
}

#[derive(Default)]
struct Batch<'py> {
    /// Keys and values in turn; a key that is `Nil` stands for the next index.
    values: Vec<Ready<'static, 'py>>,
    boxes: usize,
}

struct Filler<'a, 'py, B: LuaBackend> {
    entry: &'a Entry<'py, B>,
    table: Ref,
    next: i64,
    batch: Batch<'py>,
}

impl<'py, B: LuaBackend> Filler<'_, 'py, B> {
    fn add(&mut self, source: &Bound<'py, PyAny>, mut seen: Option<&mut Seen<'py>>) -> Result<()> {
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
    fn dict(&mut self, dict: &Bound<'py, PyDict>, mut seen: Option<&mut Seen<'py>>) -> Result<()> {
        // Where other threads run meanwhile, a copy is what one can go over.
        #[cfg(Py_GIL_DISABLED)]
        let dict = &dict.copy()?;
        let pairs = Pairs::of(dict);
        let length = pairs.len();
        let position = Cell::new(0);
        loop {
            if self.batch.values.is_empty() && self.plain_pairs(pairs, &position, seen.is_some())? {
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
        recursive: bool,
    ) -> Result<bool> {
        let held = Held::new(self.entry.py, most_held(recursive)).ok_or(Error::Memory)?;
        let plain = Plain { entry: self.entry, held: &held, recursive };
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
        mut seen: Option<&mut Seen<'py>>,
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
                index += self.plain_items(source, index, seen.is_some())?;
            }
            // The length is looked at each time: a conversion may change the list.
            let Some(item) = source.get(self.entry.py, index) else { return Ok(()) };
            self.item(&item, seen.as_deref_mut())?;
            index += 1;
        }
    }

    /// Adds what is plain in a list or tuple from `start` on; gives how many.
    fn plain_items(&mut self, source: Items<'_>, start: usize, recursive: bool) -> Result<usize> {
        let held = Held::new(self.entry.py, most_held(recursive)).ok_or(Error::Memory)?;
        let plain = Plain { entry: self.entry, held: &held, recursive };
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

    fn item(&mut self, item: &Bound<'py, PyAny>, seen: Option<&mut Seen<'py>>) -> Result<()> {
        self.put(Ready::Plain(Prepared::Nil));
        self.value(item, Mode::Value, seen)?;
        self.flush_full()
    }

    fn pair(
        &mut self,
        key: &Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
        mut seen: Option<&mut Seen<'py>>,
    ) -> Result<()> {
        self.value(key, Mode::NotNil, seen.as_deref_mut())?;
        self.value(value, Mode::Value, seen)?;
        self.flush_full()
    }

    fn value(
        &mut self,
        object: &Bound<'py, PyAny>,
        mode: Mode,
        seen: Option<&mut Seen<'py>>,
    ) -> Result<()> {
        if let Some(seen) = seen
            && let Some(table) = nested(self.entry, object, seen)?
        {
            self.put(Ready::Plain(Prepared::Reference(table)));
            return Ok(());
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
    fn flush(&mut self) -> Result<()> {
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

/// The table for an object of a recursive conversion, made if need be; `None` for objects that do
/// not become tables.
fn nested<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    seen: &mut Seen<'py>,
) -> Result<Option<Ref>> {
    if !becomes_table(object)? {
        return Ok(None);
    }
    if let Some(table) = seen.tables.get(&(object.as_ptr() as usize)) {
        return Ok(Some(*table));
    }
    let source = std::slice::from_ref(object);
    let table = new_table(entry, source)?;
    // Noted at once, so that it is given back whatever happens, and found again in a cycle.
    seen.tables.insert(object.as_ptr() as usize, table);
    seen._objects.push(object.clone());
    if !Thread::this().has_room() {
        return Err(too_deep().into());
    }
    fallible::one_deeper(entry.py, c" while converting nested data to Lua tables", || {
        let mut filler = Filler { entry, table, next: 1, batch: Batch::default() };
        filler.add(object, Some(seen)).and_then(|()| filler.flush())
    })?;
    Ok(Some(table))
}

/// Lists, dicts and whatever counts as a sequence or a mapping; strings do not.
fn becomes_table(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let plain = object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_none()
        || Alive::of(object).is_wrapper();
    if plain || object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>() {
        return Ok(false);
    }
    Ok(object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyDict>()
        || is_a(object, Abc::Sequence)?
        || is_a(object, Abc::Mapping)?)
}

#[derive(Clone, Copy)]
enum Abc {
    Mapping,
    Sequence,
}

fn is_a(object: &Bound<'_, PyAny>, abc: Abc) -> PyResult<bool> {
    static MAPPING: Imported = Imported::new(c"collections.abc", c"Mapping");
    static SEQUENCE: Imported = Imported::new(c"collections.abc", c"Sequence");
    let class = match abc {
        Abc::Mapping => &MAPPING,
        Abc::Sequence => &SEQUENCE,
    };
    object.is_instance(&class.get(object.py())?)
}
