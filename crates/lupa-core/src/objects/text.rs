//! `str` and `repr` of wrappers.
#![forbid(unsafe_code)]

use std::cell::Cell;

use lua_api::LuaBackend;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

use crate::base::error::{Error, Result, type_error};
use crate::base::fallible;
use crate::convert::lua_error::{Origin, from_stack};
use crate::convert::text::{self, Said};
use crate::convert::wrapper::LuaObject;
use crate::types::heap_type::This;
use crate::types::operations::Unary;

thread_local! {
    /// Whether this thread is in the `repr` of a table: tables inside are shown by their addresses.
    static IN_REPR: Cell<bool> = const { Cell::new(false) };
}

/// `repr(wrapper)`. It never waits, and no exception but one that is no `Exception` leaves it: a debugger calls it anywhere.
pub(crate) struct Repr;

impl<B: LuaBackend> Unary<LuaObject<B>> for Repr {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let short = this.identity().to_string();
        if !this.object().is_table() || IN_REPR.get() {
            return Ok(fallible::string(py, &short)?.into_any());
        }
        IN_REPR.set(true);
        let shown = entries(py, this.content());
        IN_REPR.set(false);
        let text = match shown {
            Ok(Some(shown)) if !shown.is_empty() => {
                format!("{}: {}>", short.trim_end_matches('>'), shown)
            }
            Err(Error::Python(error)) if !error.is_instance_of::<PyException>(py) => {
                return Err(Error::Python(error));
            }
            _ => short,
        };
        Ok(fallible::string(py, &text)?.into_any())
    }
}

/// The first entries of a table, as text; `None` if another thread uses the runtime.
fn entries<B: LuaBackend>(py: Python<'_>, table: &LuaObject<B>) -> Result<Option<String>> {
    let runtime = table.runtime();
    let Some(entry) = runtime.enter_at_once(py)? else { return Ok(None) };
    let entries = text::first_entries(&entry, table.reference())?;
    // Objects of Python are asked for theirs, so Lua is not used meanwhile.
    drop(entry);
    text::of_entries::<B>(py, &entries, runtime.options.sandbox.is_some()).map(Some)
}

/// `str(wrapper)`: what Lua's `tostring` gives for a value with `__tostring`, else the representation without entries.
pub(crate) struct Str;

impl<B: LuaBackend> Unary<LuaObject<B>> for Str {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        match text::tostring(&entry, this.reference())? {
            Said::Nothing => Ok(fallible::string(py, &this.identity().to_string())?.into_any()),
            Said::Text(text) => Ok(text.into_any()),
            Said::NoText => Err(type_error("__tostring returned non-string object")),
            Said::Raised(failure) => {
                Err(from_stack(&entry, entry.state(), failure, Origin::Text).into())
            }
        }
    }
}
