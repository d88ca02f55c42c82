//! Restrictions that keep Lua code from getting around `attribute_filter` and `attribute_handlers`.
//!
//! Some of Python's own functions reach attributes, run code, or make classes, whose methods then are
//! whatever a dict holds. Where access is restricted, Lua code never gets hold of these: whenever one is
//! called from Lua, or goes from Lua to Python (also inside of a table, or to be called by another
//! function), a [`Restricted`] takes its place, which asks the filter or the handlers, or refuses.
//!
//! `judge.rs` looks inside of a callable for the functions that it calls: in a bound method, a `partial`, a
//! `__call__`. Functions that call others from a container, as `map`, judge each of them.
#![forbid(unsafe_code)]

mod attributes;
mod builtins;
mod format;
mod judge;
mod kind;
mod library;
mod restricted;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::base::fallible;
use crate::types::compat::exact_str;

pub(crate) use attributes::Rules;
pub(crate) use builtins::_verdicts_on_builtins;
pub(crate) use judge::Restrictions;
pub(crate) use kind::Verdict;
pub(crate) use restricted::Restricted;

/// A name as what it is: of a subclass of `str` or `bytes`, whose methods could tell a filter anything,
/// the text alone.
pub(crate) fn exact_name<'py>(name: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if name.is_instance_of::<PyString>() && !name.is_exact_instance_of::<PyString>() {
        return exact_str(&name);
    }
    match name.cast::<PyBytes>() {
        Ok(bytes) if !name.is_exact_instance_of::<PyBytes>() => {
            Ok(fallible::bytes(name.py(), bytes.as_bytes())?.into_any())
        }
        _ => Ok(name),
    }
}
