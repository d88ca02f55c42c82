//! What keeps Lua code from walking around `attribute_filter` and `attribute_handlers`.
//!
//! Some of Python's own functions reach attributes, run code, or make classes, whose methods then are
//! whatever a dict holds. Where access is restricted, Lua code never gets hold of these: whenever one is
//! called from Lua, or goes from Lua to Python (also inside of a table, or to be called by another
//! function), a [`Restricted`] takes its place, which asks the filter or the handlers, or refuses.
//!
//! What a callable calls is looked for inside of it (`judge.rs`): in a bound method, a `partial`, a
//! `__call__`. Functions that call others from a container, as `map`, judge each of them.
#![forbid(unsafe_code)]

mod attributes;
mod builtins;
mod format;
mod judge;
mod kind;
mod library;
mod restricted;

use std::sync::Arc;

use lua_api::{LuaBackend, State};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::base::fallible;
use crate::calls::callback::{Callback, Outcome};
use crate::python_lib::metamethods::python_argument;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Options;
use crate::types::compat::exact_str;

use attributes::Rules;
pub(crate) use builtins::_verdicts_on_builtins;
pub(crate) use judge::Restrictions;
use kind::Verdict;
pub(crate) use restricted::Restricted;

impl Options {
    /// An object on its way to Python: itself, or what takes its place where access is restricted.
    #[inline]
    pub(crate) fn restrict<'py>(&self, object: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.restrictions {
            None => Ok(object),
            Some(restrictions) => self.replaced(restrictions, object),
        }
    }

    #[cold]
    fn replaced<'py>(
        &self,
        restrictions: &Arc<Restrictions>,
        object: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let wrap = |function: &Bound<'py, PyAny>, verdict: Verdict| {
            self.rules(py, restrictions).wrap(function, verdict)
        };
        Ok(restrictions.replace(&object, &wrap)?.unwrap_or(object))
    }

    fn rules(&self, py: Python<'_>, restrictions: &Arc<Restrictions>) -> Rules {
        let copy = |handler: &Option<Py<PyAny>>| handler.as_ref().map(|held| held.clone_ref(py));
        Rules {
            restrictions: restrictions.clone(),
            filter: copy(&self.attribute_filter),
            getter: copy(&self.attribute_getter),
            setter: copy(&self.attribute_setter),
        }
    }

    /// An error for attributes that stay out of reach, whatever a filter or a handler says.
    pub(crate) fn check_attribute(&self, object: &Bound<'_, PyAny>, setting: bool) -> PyResult<()> {
        match &self.restrictions {
            None => Ok(()),
            Some(restrictions) => restrictions.check_attribute(object, setting),
        }
    }
}

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

/// `__eq`, where access is restricted: what stands for a function or a class is equal to it.
pub(crate) struct Equal;

impl<B: LuaBackend> Callback<B> for Equal {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (one, _) = python_argument(entry, state, 1, "__eq")?;
        let (two, _) = python_argument(entry, state, 2, "__eq")?;
        let stands =
            one.is_exact_instance_of::<Restricted>() || two.is_exact_instance_of::<Restricted>();
        state.push_bool(stands && Restricted::bare(&one).is(Restricted::bare(&two)));
        Ok(1)
    }
}
