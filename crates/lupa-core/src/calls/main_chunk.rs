//! The call of a main chunk as the stand-alone `lua` does it: by one C function, with a message handler of Lua's.
//!
//! Scripts count the levels of the call stack to find out whether they are run or required.
#![forbid(unsafe_code)]

use std::cell::Cell;

use lua_api::{LuaBackend, MULTRET, OK};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::{Error, Result, type_error};
use crate::base::vectors;
use crate::calls::call::{self, Arguments, push_all};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// Calls the function, the second one, with arguments: the first one handles its error, and the third one gets whether it
/// worked, and its results or what the handler has given. Gives whether it worked.
///
/// # Errors
/// What Lua was stopped with, and what the third function raises.
pub(crate) fn run<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    functions: [&Bound<'py, PyAny>; 3],
    args: &Bound<'py, PyTuple>,
) -> Result<bool> {
    let runtime = entry.runtime();
    let reference = |function: &Bound<'py, PyAny>| match Alive::of(function).reference(runtime) {
        Some(reference) => reference,
        None => Err(type_error("a Lua function is needed")),
    };
    let [handler, function, done] = functions;
    let (handler, function, done) = (reference(handler)?, reference(function)?, reference(done)?);
    let mut objects = vectors::with_room(args.len())?;
    objects.extend(args.iter());
    let arguments = Arguments::prepare(entry, &objects)?;
    let values = arguments.values();
    let status = Cell::new(None);
    let status_at = &status;
    call::run(entry, |raising| {
        raising.push_ref(handler);
        raising.push_ref(function);
        let count = push_all(runtime, raising, values);
        runtime.detach();
        let status = raising.call_handled(count, MULTRET, 1);
        status_at.set(Some(status));
        raising.push_ref(done);
        raising.insert(2);
        raising.push_bool(status == OK);
        raising.insert(3);
        raising.call(raising.top() - 2, 0);
        runtime.attach();
        0
    })?;
    status.get().map(|status| status == OK).ok_or(Error::LostReference)
}
