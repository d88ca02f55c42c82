//! `to_python`: a table with all that is in it, as Python's own data.
//!
//! Tables are read one after the other, those nearest to the first one first, some entries at a time ([`Walk`]): so the depth of
//! the data costs no C stack. Each is anchored in a table of Lua's until the end, so that no other one gets its address. Where
//! a table belongs is noted, and it is put there when all have been read, for only then it is known which are lists.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;

use lua_api::{LuaBackend, Ref, TableEntry, value};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyString};

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::base::vectors;
use crate::calls::steps::anchor;
use crate::convert::lua_error::raised;
use crate::convert::walk::{At, FIRST_READ, MOST, Walk, Wanted};
use crate::objects::array_mark;
use crate::objects::building::{Building, as_text};
use crate::objects::paths::{Key, Node, find_cycle, path};
use crate::objects::wishes::{self, Keys, Wishes};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// The limits that data of a sandbox has if the host sets none.
const MOST_DEPTH: usize = 1000;
const MOST_ITEMS: usize = 1_000_000;

/// The object for a table.
enum Made<'py> {
    List(Bound<'py, PyList>),
    Dict(Bound<'py, PyDict>),
    /// What `empty` has given.
    Other(Bound<'py, PyAny>),
}

impl<'py> Made<'py> {
    fn object(&self) -> &Bound<'py, PyAny> {
        match self {
            Made::List(list) => list.as_any(),
            Made::Dict(dict) => dict.as_any(),
            Made::Other(object) => object,
        }
    }
}

struct Conversion<'a, 'py, B: LuaBackend> {
    entry: &'a Entry<'py, B>,
    wishes: &'a Wishes<'py>,
    max_depth: Option<usize>,
    max_items: Option<usize>,
    /// The table that anchors the others, by numbers from 1 on.
    anchors: Ref,
    anchored: i64,
    /// The node of each address.
    seen: HashMap<usize, usize>,
    nodes: Vec<Node<'py>>,
    made: Vec<Made<'py>>,
    /// Where tables belong: of which node, at which key, and which one.
    places: Vec<(usize, Key<'py>, usize)>,
    items: usize,
    array_mt: usize,
}

/// The table as Python data, as `to_python` documents it.
///
/// # Errors
/// `TypeError` and `ValueError` with the path to what cannot be converted; what conversions and functions of the caller raise.
pub(crate) fn to_python<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
    wishes: &Wishes<'py>,
) -> Result<Bound<'py, PyAny>> {
    let anchors = anchor(entry, |raising| {
        raising.new_table(1, 0);
        raising.push_ref(table);
        raising.raw_seti(-2, 1);
    })?;
    let state = entry.state();
    state.push_ref(table);
    let address = state.to_pointer(-1).addr();
    state.pop(1);
    let sandboxed = entry.options.sandbox.is_some();
    let mut conversion = Conversion {
        entry,
        wishes,
        max_depth: wishes.max_depth.or(sandboxed.then_some(MOST_DEPTH)),
        max_items: wishes.max_items.or(sandboxed.then_some(MOST_ITEMS)),
        anchors,
        anchored: 1,
        seen: HashMap::from([(address, 0)]),
        nodes: vec![Node { parent: 0, key: Key::Index(0), depth: 1, anchor: 1 }],
        made: Vec::new(),
        places: Vec::new(),
        items: 0,
        array_mt: array_mark::address(entry),
    };
    let mut walk = Walk::default();
    let result = conversion.run(&mut walk);
    walk.end(entry.runtime());
    entry.instance.release(anchors);
    result
}

impl<'py, B: LuaBackend> Conversion<'_, 'py, B> {
    fn run(&mut self, walk: &mut Walk) -> Result<Bound<'py, PyAny>> {
        let mut next = 0;
        while next < self.nodes.len() {
            let made = self.table(next, walk)?;
            vectors::push(&mut self.made, made)?;
            next += 1;
        }
        if !self.wishes.cycles
            && let Some(cycle) = find_cycle(self.nodes.len(), &self.places)?
        {
            let (parent, key, _) = &self.places[cycle];
            let place = path(&self.nodes, *parent, Some(key))?;
            return Err(value_error(format!("a table contains itself at {place}")));
        }
        for (parent, key, child) in &self.places {
            let child = self.made[*child].object();
            match (&self.made[*parent], key) {
                (Made::List(list), Key::Index(index)) => list.set_item(*index, child)?,
                (Made::List(list), Key::Object(key)) => {
                    list.set_item(key.extract::<usize>()?.saturating_sub(1), child)?;
                }
                (Made::Dict(dict), Key::Index(index)) => {
                    dict.set_item(fallible::unsigned(self.entry.py, index + 1)?, child)?;
                }
                (Made::Dict(dict), Key::Object(key)) => dict.set_item(key, child)?,
                (Made::Other(_), _) => {}
            }
        }
        Ok(self.made[0].object().clone())
    }

    /// Reads a table: its object, in which other tables are missing yet.
    fn table(&mut self, node: usize, walk: &mut Walk) -> Result<Made<'py>> {
        let state = self.entry.state();
        let is_array = Cell::new(false);
        let mut building = Building::List(fallible::list(self.entry.py)?);
        let mut room = [TableEntry::EMPTY; MOST];
        let (mut given, mut is_first_read) = (0, true);
        walk.restart();
        if self.wishes.metamethods {
            self.iterate(node)?;
        }
        loop {
            let (anchors, number) = (self.anchors, self.nodes[node].anchor);
            let (next, array_mt) = (self.anchored + 1, self.array_mt);
            let (is_array_at, is_first) = (&is_array, is_first_read);
            let base = state.top();
            let mut batch = walk.read_from(
                self.entry,
                |raising| {
                    raising.push_ref(anchors);
                    raising.expect_table(-1);
                    raising.raw_geti(-1, number);
                    raising.remove(-2);
                    raising.expect_table(-1);
                    if is_first && raising.push_metatable(-1) {
                        is_array_at.set(array_mark::is_on(raising, array_mt));
                        raising.pop(1);
                    }
                },
                |raising| {
                    let last = raising.top();
                    let mut next = next;
                    for index in FIRST_READ..=last {
                        if raising.type_of(index) == value::TABLE {
                            raising.push_ref(anchors);
                            raising.expect_table(-1);
                            raising.push_value(index);
                            raising.raw_seti(-2, next);
                            raising.pop(1);
                            next += 1;
                        }
                    }
                },
                given,
                Wanted::Both,
                &mut room,
            )?;
            is_first_read = false;
            given = batch.len();
            self.items = self.items.saturating_add(given);
            let result = self.check_items(node).and_then(|()| {
                while let Some((key, value)) = batch.next() {
                    self.pair(node, &mut building, key, value)?;
                }
                Ok(())
            });
            state.set_top(base);
            result?;
            if given < MOST {
                break;
            }
            self.entry.look(given)?;
        }
        self.finish(building, is_array.get())
    }

    fn check_items(&self, node: usize) -> Result<()> {
        match self.max_items {
            Some(most) if self.items > most => {
                let place = path(&self.nodes, node, None)?;
                Err(value_error(format!("more than {most} items, at {place} (see max_items)")))
            }
            _ => Ok(()),
        }
    }

    /// Adds an entry.
    #[inline]
    fn pair(
        &mut self,
        node: usize,
        building: &mut Building<'py>,
        key: At,
        value: At,
    ) -> Result<()> {
        let (entry, state) = (self.entry, self.entry.state());
        let key_is_table = key.table_address(state).is_some();
        if key_is_table {
            self.anchored += 1;
        }
        let value_address = value.table_address(state);
        if value_address.is_some() {
            self.anchored += 1;
        }
        let index = match building {
            Building::List(list) if key.whole() == Some(list.len() as i64 + 1) => {
                Some(Key::Index(list.len()))
            }
            Building::List(list) => {
                *building = self.become_dict(node, list)?;
                None
            }
            Building::Dict { .. } => None,
        };
        let key = match index {
            Some(index) => index,
            None => Key::Object(self.key(node, key.object(entry, state)?, key_is_table)?),
        };
        let object = match value_address {
            Some(address) => {
                self.child(node, key.clone(), address)?;
                self.none()
            }
            None => {
                let object = value.object(entry, state)?;
                if Alive::of(&object).is_wrapper() {
                    self.wishes.other(object, || path(&self.nodes, node, Some(&key)))?
                } else {
                    object
                }
            }
        };
        self.add(node, building, key, object)
    }

    /// A list turns out to be a dict.
    #[cold]
    fn become_dict(&mut self, node: usize, list: &Bound<'py, PyList>) -> Result<Building<'py>> {
        if matches!(self.wishes.keys, Keys::Error) {
            return Building::dict(list);
        }
        let mut building = Building::empty_dict(self.entry.py)?;
        let mut next_place = self.places.partition_point(|(parent, ..)| *parent < node);
        for (index, item) in list.iter().enumerate() {
            let key = fallible::unsigned(self.entry.py, index + 1)?;
            let key = Key::Object(self.key(node, key, false)?);
            // The places of tables in the list are the last ones, in its order.
            if let Some(place) = self.places.get_mut(next_place)
                && matches!(place.1, Key::Index(known) if known == index)
            {
                place.1 = key.clone();
                next_place += 1;
            }
            self.add(node, &mut building, key, item)?;
        }
        Ok(building)
    }

    fn add(
        &self,
        node: usize,
        building: &mut Building<'py>,
        key: Key<'py>,
        object: Bound<'py, PyAny>,
    ) -> Result<()> {
        match (building, key) {
            (Building::List(list), _) => list.append(object)?,
            (Building::Dict { .. }, Key::Index(_)) => {}
            (Building::Dict { dict, indices }, Key::Object(key)) => {
                let before = dict.len();
                indices.note(&key);
                let added = dict.set_item(&key, object);
                if let Err(error) = added {
                    let known = error.is_instance_of::<PyTypeError>(self.entry.py);
                    return Err(if known {
                        let place = path(&self.nodes, node, Some(&Key::Object(key)))?;
                        wishes::type_error(format!(
                            "a key cannot be one of a dict: {place}: {error}"
                        ))
                    } else {
                        error.into()
                    });
                }
                if dict.len() == before {
                    let place = path(&self.nodes, node, Some(&Key::Object(key)))?;
                    return Err(value_error(format!("two keys are the same in Python: {place}")));
                }
            }
        }
        Ok(())
    }

    /// Notes a table inside, and where it belongs.
    fn child(&mut self, node: usize, key: Key<'py>, address: usize) -> Result<()> {
        let next = self.nodes.len();
        self.seen.try_reserve(1).map_err(|_| Error::Memory)?;
        let child = match self.seen.entry(address) {
            Place::Occupied(known) => *known.get(),
            Place::Vacant(place) => {
                place.insert(next);
                let depth = self.nodes[node].depth + 1;
                if let Some(most) = self.max_depth
                    && depth > most
                {
                    let place = path(&self.nodes, node, Some(&key))?;
                    return Err(value_error(format!(
                        "nested more than {most} deep, at {place} (see max_depth)"
                    )));
                }
                let node = Node { parent: node, key: key.clone(), depth, anchor: self.anchored };
                vectors::push(&mut self.nodes, node)?;
                next
            }
        };
        vectors::push(&mut self.places, (node, key, child))
    }

    /// A key, of a dict.
    fn key(
        &self,
        node: usize,
        key: Bound<'py, PyAny>,
        is_table: bool,
    ) -> Result<Bound<'py, PyAny>> {
        let py = self.entry.py;
        match &self.wishes.keys {
            Keys::Function(function) => return Ok(function.call1((key,))?),
            Keys::Str => return as_text(key),
            Keys::Error => {}
        }
        if key.is_exact_instance_of::<PyString>() || key.is_exact_instance_of::<PyInt>() {
            return Ok(key);
        }
        if is_table {
            let place = path(&self.nodes, node, None)?;
            return Err(wishes::type_error(format!(
                "a table is a key of the table at {place} (see keys)"
            )));
        }
        if let Ok(float) = key.cast_exact::<PyFloat>() {
            let float = float.value();
            return if float.is_finite() && float.fract() == 0.0 {
                Ok(py.get_type::<PyInt>().call1((key,))?)
            } else {
                Ok(key)
            };
        }
        if Alive::of(&key).is_wrapper() {
            let place = || path(&self.nodes, node, Some(&Key::Object(key.clone())));
            return self.wishes.other(key.clone(), place);
        }
        Ok(key)
    }

    /// The object for a table that has been read.
    fn finish(&self, building: Building<'py>, is_array: bool) -> Result<Made<'py>> {
        match building {
            Building::List(list) if list.len() > 0 || is_array => Ok(Made::List(list)),
            Building::List(_) => match &self.wishes.empty {
                None => Ok(Made::Dict(fallible::dict(self.entry.py)?)),
                Some(empty) => Ok(Made::Other(empty.call0()?)),
            },
            Building::Dict { dict, indices } if indices.are_all_of(dict.len()) => {
                let list = fallible::list(self.entry.py)?;
                for index in 1..=dict.len() {
                    let key = fallible::unsigned(self.entry.py, index)?;
                    list.append(dict.get_item(key)?.unwrap_or_else(|| self.none()))?;
                }
                Ok(Made::List(list))
            }
            Building::Dict { dict, .. } => Ok(Made::Dict(dict)),
        }
    }

    fn none(&self) -> Bound<'py, PyAny> {
        self.entry.py.None().into_bound(self.entry.py)
    }

    /// Puts what `__pairs` gives in the place of a table that has it.
    fn iterate(&self, node: usize) -> Result<()> {
        let runtime = self.entry.runtime();
        let (anchors, number) = (self.anchors, self.nodes[node].anchor);
        let state = self.entry.state();
        let iterated = state.protect_values(|raising| {
            raising.push_ref(anchors);
            raising.expect_table(1);
            raising.raw_geti(1, number);
            raising.expect_table(2);
            if !raising.push_metatable(2) {
                return 0;
            }
            raising.push_bytes(b"__pairs");
            raising.raw_get(-2);
            if raising.type_of(-1) == value::NIL {
                return 0;
            }
            raising.push_value(2);
            runtime.detach();
            raising.call(1, 3);
            // From 4 on: the function, its state, the key; then the copy.
            raising.new_table(0, 0);
            loop {
                raising.push_value(4);
                raising.push_value(5);
                raising.push_value(6);
                raising.call(2, 2);
                if raising.type_of(-2) == value::NIL {
                    break;
                }
                // The key is the next one to go on from.
                raising.push_value(8);
                raising.insert(6);
                raising.remove(7);
                raising.raw_set(7);
            }
            runtime.attach();
            raising.set_top(7);
            raising.raw_seti(1, number);
            0
        });
        // An error may have come while detached.
        self.entry.attach();
        iterated.map_err(|failure| raised(self.entry, state, failure))?;
        self.entry.check_stop()
    }
}

fn value_error(text: String) -> Error {
    fallible::error::<PyValueError>(text).into()
}
