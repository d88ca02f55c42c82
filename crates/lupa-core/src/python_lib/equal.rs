//! `__eq` of Python objects, where access to attributes is restricted.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State};
use pyo3::prelude::*;

use crate::calls::argument::python_argument;
use crate::calls::callback::{Callback, Outcome};
use crate::rights::restrict::Restricted;
use crate::runtime::entry::Entry;

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
