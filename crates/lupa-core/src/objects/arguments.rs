//! A Lua table as the arguments of a Python call: `python.args` and the `unpacks_lua_table`
//! decorators.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Ref, TableEntry};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyInt, PyString, PyTuple};

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::convert::walk::{self, Walk, Wanted};
use crate::convert::weight::weight_of_argument;
use crate::runtime::account::Work;
use crate::runtime::entry::Entry;

/// The positional and keyword arguments that a table was split into.
pub(crate) struct Unpacked<'py> {
    pub(crate) args: Bound<'py, PyTuple>,
    pub(crate) kwargs: Bound<'py, PyDict>,
    /// The weight of all of it; bytes.
    pub(crate) weight: usize,
}

/// Splits a table into its sequence, as positional, and its string keys, as keyword arguments.
///
/// # Errors
/// `IndexError` for an integer key outside of the sequence, `TypeError` for a key of another type.
pub(crate) fn unpack<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
) -> Result<Unpacked<'py>> {
    let py = entry.py;
    let runtime = entry.runtime();
    let state = entry.state();
    let base = state.top();
    state.push_ref(table);
    let length = state.raw_len(-1);
    state.set_top(base);
    let kwargs = fallible::dict(py)?;
    let mut received = Received { length, args: Vec::new(), kwargs, work: Work::new(entry) };
    let mut walk = Walk::default();
    let result = received.collect(entry, table, &mut walk);
    walk.end(runtime);
    result?;
    received.grow(length)?;
    let Received { args, kwargs, work, .. } = received;
    let weight = if entry.weighs() { work.taken().saturating_add(LEAST) } else { 0 };
    let none = py.None().into_bound(py);
    let args = args.into_iter().map(|value| value.unwrap_or_else(|| none.clone()));
    Ok(Unpacked { args: fallible::tuple(py, args)?, kwargs, weight })
}

/// The least weight of arguments; bytes.
const LEAST: usize = 512;

/// The weight of an argument besides its value: its place in a list and then in a tuple, or in a dict; bytes.
const PLACE: usize = 16;
const NAMED: usize = 112;

/// The arguments that were received so far.
struct Received<'e, 'py, B: LuaBackend> {
    // The length that the table claims, which can be any number.
    length: usize,
    args: Vec<Option<Bound<'py, PyAny>>>,
    kwargs: Bound<'py, PyDict>,
    work: Work<'e, 'py, B>,
}

impl<'py, B: LuaBackend> Received<'_, 'py, B> {
    /// Makes so many places, if there are not as many.
    fn grow(&mut self, count: usize) -> Result<()> {
        let more = count.saturating_sub(self.args.len());
        if more == 0 {
            return Ok(());
        }
        self.work.take(more.saturating_mul(PLACE))?;
        self.args.try_reserve(more).map_err(|_| Error::Memory)?;
        for _ in 0..more {
            self.work.step()?;
            self.args.push(None);
        }
        Ok(())
    }

    fn collect(&mut self, entry: &Entry<'py, B>, table: Ref, walk: &mut Walk) -> Result<()> {
        let state = entry.state();
        let base = state.top();
        let mut room = [TableEntry::EMPTY; walk::MOST];
        let mut given = 0;
        loop {
            let mut batch = walk.read(entry, table, given, Wanted::Both, &mut room)?;
            given = batch.len();
            while let Some((key, value)) = batch.next() {
                let pair =
                    key.object(entry, state).and_then(|key| Ok((key, value.object(entry, state)?)));
                let placed = pair.and_then(|(key, value)| self.place(entry, &key, value));
                if placed.is_err() {
                    state.set_top(base);
                    return placed;
                }
            }
            state.set_top(base);
            if given == 0 {
                return Ok(());
            }
        }
    }

    fn place(
        &mut self,
        entry: &Entry<'py, B>,
        key: &Bound<'py, PyAny>,
        value: Bound<'py, PyAny>,
    ) -> Result<()> {
        self.work.step()?;
        self.work.take(weight_of_argument(&value))?;
        if key.is_instance_of::<PyInt>() && !key.is_instance_of::<PyBool>() {
            let number = key.extract::<usize>().ok().filter(|&n| (1..=self.length).contains(&n));
            let Some(number) = number else {
                return Err(fallible::error::<PyIndexError>("table index out of range").into());
            };
            self.grow(number)?;
            self.args[number - 1] = Some(value);
        } else if let Ok(bytes) = key.cast::<PyBytes>() {
            let name = entry.options.source_encoding.decode(entry.py, bytes.as_bytes())?;
            self.work.take(weight_of_argument(&name).saturating_add(NAMED))?;
            self.kwargs.set_item(name, value)?;
        } else if key.is_instance_of::<PyString>() {
            self.work.take(weight_of_argument(key).saturating_add(NAMED))?;
            self.kwargs.set_item(key, value)?;
        } else {
            let text = "table key is neither an integer nor a string";
            return Err(fallible::error::<PyTypeError>(text).into());
        }
        Ok(())
    }
}
