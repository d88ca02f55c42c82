//! `_LuaTable`: tables as mappings. Reading is in [`crate::objects::object`], which other values share.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use lua_api::{LuaBackend, Ref, value};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::base::error::{Error, Result};
use crate::convert::lua_error::raised;
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::quick;
use crate::convert::to_lua::{prepare, push};
use crate::convert::walk::Wanted;
use crate::convert::wrapper::LuaObject;
use crate::objects::iterator::TableIterator;
use crate::objects::object::{CallValue, as_key, attribute_key, is_own_name};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::operations::{Assign, SetAttribute, Unary};
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"A Lua table.\n\n\
    Items and attributes are its fields; what is not there is None, and to set None is to delete. Iteration,\n\
    ``keys()``, ``values()`` and ``items()`` go over the raw table, in Lua's order. ``len()`` is Lua's ``#``.\n\n\
    >>> table = LuaRuntime().eval('{10, 20, name = \"wolf\"}')\n\
    >>> table[1], table['name'], table.name, table.missing\n\
    (10, 'wolf', 'wolf', None)\n\
    >>> table[3] = 30\n\
    >>> del table.name\n\
    >>> len(table), dict(table)\n\
    (3, {1: 10, 2: 20, 3: 30})";

/// The description of the type of tables: the operations that tables add to those of all wrappers.
pub(crate) fn spec<B: LuaBackend>() -> Spec<LuaObject<B>> {
    Spec::new("_LuaTable", DOC)
        .call::<CallValue>()
        .iter::<Iterate>()
        .set_attribute::<Attribute>()
        .set_item::<Item>()
        .methods(crate::objects::methods::table())
}

struct Iterate;

impl<B: LuaBackend> Unary<LuaObject<B>> for Iterate {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        TableIterator::create(py, this, Wanted::Keys)
    }
}

struct Attribute;

impl<B: LuaBackend> SetAttribute<LuaObject<B>> for Attribute {
    #[inline(always)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        name: Alive<'py>,
        value: Option<Alive<'py>>,
    ) -> Result<Option<()>> {
        if is_own_name(this, name, py) && is_dunder(py, name) {
            return Ok(None);
        }
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        if assign_quick(&entry, this.reference(), name, value) {
            return Ok(Some(()));
        }
        let (name, value) = (name.borrow(py).to_owned(), value.map(|v| v.borrow(py).to_owned()));
        let key = attribute_key(&entry, &name)?;
        assign(&entry, this.reference(), key.value(), value.as_ref()).map(Some)
    }
}

/// Whether the name is one of Python's own. (A table may have a field `keys`, which can be set as an attribute, though not read.)
/// A name that is no `str` is left to Python, which raises the error.
fn is_dunder(py: Python<'_>, name: Alive<'_>) -> bool {
    let name = name.borrow(py);
    let Ok(name) = name.cast::<PyString>() else { return true };
    name.to_str().is_ok_and(|name| name.starts_with("__"))
}

struct Item;

impl<B: LuaBackend> Assign<LuaObject<B>> for Item {
    #[inline(always)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        key: Alive<'py>,
        value: Option<Alive<'py>>,
    ) -> Result<()> {
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        if assign_quick(&entry, this.reference(), key, value) {
            return Ok(());
        }
        let (key, value) = (as_key(&entry, key)?, value.map(|v| v.borrow(py).to_owned()));
        let key = prepare(&entry, &key, Mode::NotNil)?;
        assign(&entry, this.reference(), key.value(), value.as_ref())
    }
}

/// Assigns `table[key] = value` where the key is present, so that no metamethod is called, and the fast path takes
/// both; says whether it did.
#[inline(always)]
fn assign_quick<B: LuaBackend>(
    entry: &Entry<'_, B>,
    reference: Ref,
    key: Alive<'_>,
    value: Option<Alive<'_>>,
) -> bool {
    let assigned = quick::replace(entry, reference, key, value);
    entry.change();
    assigned
}

/// `table[key] = value`, as Lua has it; no value is `nil`.
#[inline(never)]
fn assign<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    key: Prepared<'_>,
    value: Option<&Bound<'py, PyAny>>,
) -> Result<()> {
    let runtime = entry.runtime();
    let ready = match value {
        None => Ready::Plain(Prepared::Nil),
        Some(value) => prepare(entry, value, Mode::Value)?,
    };
    let value = ready.value();
    let state = entry.state();
    let boxes = usize::from(key.needs_box()) + usize::from(value.needs_box());
    if boxes > 0 && !runtime.boxes.reserve(entry.py, boxes) {
        return Err(Error::Memory);
    }
    entry.change();
    let assigned = state.protect(|raising| {
        raising.push_ref(reference);
        push(runtime, raising, key);
        push(runtime, raising, value);
        if raising.type_of(1) == value::TABLE && !raising.push_metatable(1) {
            // With no metamethod in the way nothing runs, and the GIL can stay.
            raising.raw_set(1);
        } else {
            raising.set_top(3);
            runtime.detach();
            raising.set(1);
            runtime.attach();
        }
    });
    // An error may have come while detached.
    entry.attach();
    match assigned {
        Ok(()) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}
