//! Operations on the raw values behind wrappers: `rawget` and its like.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Ref, value};
use pyo3::prelude::*;

use crate::base::error::{Error, Result, type_error};
use crate::calls::call;
use crate::convert::lua_error::raised;
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::to_lua::{prepare, push};
use crate::runtime::entry::Entry;

/// What is asked of a value.
pub(crate) enum Raw<'a, 'py> {
    Get(&'a Bound<'py, PyAny>),
    Set(&'a Bound<'py, PyAny>, &'a Bound<'py, PyAny>),
    Length,
    Metatable,
    SetMetatable(Metatable<'a, 'py>),
    /// A table with the same fields and metatable.
    Copy,
}

/// The metatable that a table is to have.
pub(crate) enum Metatable<'a, 'py> {
    /// `None`, or a table.
    Given(&'a Bound<'py, PyAny>),
    /// `python.array_mt`
    ArrayMark,
}

/// Runs an operation; `None` is nil, and what has no result.
///
/// # Errors
/// `TypeError` for what is no table, where one is needed; what conversions and Lua raise.
pub(crate) fn run<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: Ref,
    raw: &Raw<'_, 'py>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let state = entry.state();
    state.push_ref(object);
    let kind = state.type_of(-1);
    let length = state.raw_len(-1);
    state.pop(1);
    if !matches!(raw, Raw::Metatable | Raw::Length) && kind != value::TABLE {
        return Err(type_error("a Lua table is needed"));
    }
    match raw {
        Raw::Get(key) => {
            let key = prepare(entry, key, Mode::NotNil)?;
            get(entry, object, key.value())
        }
        Raw::Set(key, item) => {
            let key = prepare(entry, key, Mode::NotNil)?;
            let item = prepare(entry, item, Mode::Value)?;
            set(entry, object, key.value(), item.value()).map(|()| None)
        }
        Raw::Length => Ok(Some(crate::base::fallible::unsigned(entry.py, length)?)),
        Raw::Metatable => {
            let found = call::run(entry, |raising| {
                raising.push_ref(object);
                i32::from(raising.push_metatable(-1))
            })?;
            Ok((!found.is_none()).then_some(found))
        }
        Raw::SetMetatable(metatable) => {
            let metatable = match metatable {
                Metatable::Given(given) => prepare(entry, given, Mode::Value)?,
                Metatable::ArrayMark => match entry.anchors.array_mt.get() {
                    Some(reference) => Ready::Plain(Prepared::Reference(reference)),
                    None => return Err(Error::LostReference),
                },
            };
            set_metatable(entry, object, metatable.value()).map(|()| None)
        }
        Raw::Copy => copy(entry, object).map(Some),
    }
}

fn get<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
    key: Prepared<'_>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let runtime = entry.runtime();
    if key.needs_box() && !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    let is_there = std::cell::Cell::new(false);
    let is_there_at = &is_there;
    let found = call::run(entry, |raising| {
        raising.push_ref(table);
        raising.expect_table(1);
        push(runtime, raising, key);
        raising.raw_get(1);
        is_there_at.set(raising.type_of(-1) != value::NIL);
        1
    })?;
    Ok(is_there.get().then_some(found))
}

fn set<B: LuaBackend>(
    entry: &Entry<'_, B>,
    table: Ref,
    key: Prepared<'_>,
    item: Prepared<'_>,
) -> Result<()> {
    let runtime = entry.runtime();
    let boxes = usize::from(key.needs_box()) + usize::from(item.needs_box());
    if boxes > 0 && !runtime.boxes.reserve(entry.py, boxes) {
        return Err(Error::Memory);
    }
    entry.change();
    let state = entry.state();
    let done = state.protect(|raising| {
        raising.push_ref(table);
        raising.expect_table(1);
        push(runtime, raising, key);
        push(runtime, raising, item);
        raising.raw_set(1);
    });
    done.map_err(|failure| raised(entry, state, failure))
}

fn set_metatable<B: LuaBackend>(
    entry: &Entry<'_, B>,
    table: Ref,
    metatable: Prepared<'_>,
) -> Result<()> {
    let runtime = entry.runtime();
    let state = entry.state();
    entry.change();
    if matches!(metatable, Prepared::Object(..) | Prepared::Bytes(_)) {
        return Err(type_error("a metatable must be a Lua table, or None"));
    }
    let is_one = std::cell::Cell::new(true);
    let is_one_at = &is_one;
    let done = state.protect(|raising| {
        raising.push_ref(table);
        raising.expect_table(1);
        push(runtime, raising, metatable);
        is_one_at.set(matches!(raising.type_of(-1), value::TABLE | value::NIL));
        if is_one_at.get() {
            raising.set_metatable(1);
        }
    });
    done.map_err(|failure| raised(entry, state, failure))?;
    if is_one.get() { Ok(()) } else { Err(type_error("a metatable must be a Lua table, or None")) }
}

fn copy<'py, B: LuaBackend>(entry: &Entry<'py, B>, table: Ref) -> Result<Bound<'py, PyAny>> {
    call::run(entry, |raising| {
        raising.push_ref(table);
        raising.expect_table(1);
        raising.new_table(crate::convert::plain::hint(raising.raw_len(1)), 0);
        raising.push_nil();
        while raising.next(1) {
            raising.push_value(-2);
            raising.insert(-2);
            raising.raw_set(2);
        }
        if raising.push_metatable(1) {
            raising.set_metatable(2);
        }
        1
    })
}
