//! What is inside of data that becomes a table: whether it becomes one too, and which.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use lua_api::{LuaBackend, Ref, value};
use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::base::error::Result;
use crate::base::fallible;
use crate::base::imported::Imported;
use crate::base::vectors;
use crate::convert::plain::Kinds;
use crate::objects::table_from::{Filler, new_table};
use crate::objects::unfold::{Unfolding, unfold};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// The tables made so far in one recursive conversion, by the identity of their objects, which are
/// kept so that an identity is not used again.
#[derive(Default)]
pub(crate) struct Seen<'a, 'py> {
    pub(crate) tables: HashMap<usize, Ref>,
    pub(crate) _objects: Vec<Bound<'py, PyAny>>,
    /// What is still to be put into tables.
    waiting: Vec<Waiting<'py>>,
    /// How deep the table is nested that is being filled.
    depth: usize,
    /// More objects become tables than lists and mappings.
    pub(crate) unfolding: Option<&'a Unfolding<'py>>,
}

/// An object whose table has been made, and is empty.
struct Waiting<'py> {
    object: Bound<'py, PyAny>,
    table: Ref,
    depth: usize,
}

/// The depth from which on Python's limit for recursion is asked for.
const DEEP: usize = 100;

impl<'a, 'py> Seen<'a, 'py> {
    pub(crate) fn new(unfolding: Option<&'a Unfolding<'py>>) -> Self {
        Seen { unfolding, ..Seen::default() }
    }

    /// Fills the tables of all objects inside. Each adds those inside of it: so depth costs no C stack.
    ///
    /// # Errors
    /// What conversions and iterations raise; `RecursionError` for data that is nested as deep as Python calls may be: it
    /// may have no end.
    pub(crate) fn fill_all<B: LuaBackend>(&mut self, entry: &Entry<'py, B>) -> Result<()> {
        let mut steps = 0;
        while let Some(Waiting { object, table, depth }) = self.waiting.pop() {
            self.depth = depth;
            let mut filler = Filler::new(entry, table);
            filler.add(&object, Some(self)).and_then(|()| filler.flush())?;
            let is_empty = filler.is_at_start();
            if self.unfolding.is_some() && is_empty && !is_a(&object, Abc::Mapping)? {
                mark_array(entry, table);
            }
            steps += 1;
            if steps % DEEP == 0 {
                entry.look(DEEP)?;
            }
        }
        Ok(())
    }

    /// Notes that a table is to be filled.
    fn wait(&mut self, object: Bound<'py, PyAny>, table: Ref) -> Result<()> {
        static LIMIT: Imported = Imported::new(c"sys", c"getrecursionlimit");
        let depth = self.depth + 1;
        if depth > DEEP && depth > LIMIT.get(object.py())?.call0()?.extract()? {
            return Err(fallible::error::<PyRecursionError>(
                "maximum recursion depth exceeded while converting nested data to Lua tables",
            )
            .into());
        }
        vectors::push(&mut self.waiting, Waiting { object, table, depth })
    }
}

/// How much of the data of a recursive conversion may take the short way.
pub(crate) fn plain_kinds(seen: Option<&Seen<'_, '_>>) -> Option<Kinds> {
    match seen {
        None => Some(Kinds { recursive: false, empty: true }),
        Some(Seen { unfolding: Some(Unfolding { none: true, .. }), .. }) => None,
        Some(seen) => Some(Kinds { recursive: true, empty: seen.unfolding.is_none() }),
    }
}

/// What an object of a recursive conversion becomes.
pub(crate) enum Nested<'py> {
    Table(Ref),
    /// Another object, which it stands for.
    Object(Bound<'py, PyAny>),
    /// What it becomes anywhere.
    Same,
}

/// The table for an object of a recursive conversion, made if need be.
pub(crate) fn nested<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    seen: &mut Seen<'_, 'py>,
) -> Result<Nested<'py>> {
    if let Some(table) = seen.tables.get(&(object.as_ptr() as usize)) {
        return Ok(Nested::Table(*table));
    }
    let unfolded = match seen.unfolding {
        Some(unfolding) if !is_everyday(object) => unfold(entry, object, unfolding)?,
        _ => object.clone(),
    };
    if !becomes_table(&unfolded)? {
        return Ok(if unfolded.is(object) { Nested::Same } else { Nested::Object(unfolded) });
    }
    let table = new_table(entry, std::slice::from_ref(&unfolded))?;
    // Noted at once, so that it is given back whatever happens, and found again in a cycle.
    seen.tables.insert(object.as_ptr() as usize, table);
    seen._objects.push(object.clone());
    seen.wait(unfolded, table)?;
    Ok(Nested::Table(table))
}

/// Whether an object is of a type that stands for nothing else.
fn is_everyday(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyDict>()
}

/// Marks a table without items as a list.
fn mark_array<B: LuaBackend>(entry: &Entry<'_, B>, table: Ref) {
    let Some(array_mt) = entry.anchors.array_mt.get() else { return };
    let state = entry.state();
    state.push_ref(table);
    state.push_ref(array_mt);
    if state.type_of(-1) == value::TABLE {
        state.set_metatable(-2);
        state.pop(1);
    } else {
        state.pop(2);
    }
}

/// Lists, dicts and whatever counts as a sequence or a mapping; strings do not.
pub(crate) fn becomes_table(object: &Bound<'_, PyAny>) -> PyResult<bool> {
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
pub(crate) enum Abc {
    Mapping,
    Sequence,
}

pub(crate) fn is_a(object: &Bound<'_, PyAny>, abc: Abc) -> PyResult<bool> {
    static MAPPING: Imported = Imported::new(c"collections.abc", c"Mapping");
    static SEQUENCE: Imported = Imported::new(c"collections.abc", c"Sequence");
    let class = match abc {
        Abc::Mapping => &MAPPING,
        Abc::Sequence => &SEQUENCE,
    };
    object.is_instance(&class.get(object.py())?)
}
