//! Arguments of Lua code that have to be Python objects.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State};
use pyo3::prelude::*;

use crate::calls::callback::Failure;
use crate::convert::from_lua::{Unboxed, is_as_function, looks_like_box, unbox_function};
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;

/// The object and the view of the argument at `index`: a box, or what `python.as_function` made.
pub(crate) fn python_argument<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    index: i32,
    function: &'static str,
) -> Result<(Bound<'py, PyAny>, View), Failure> {
    let runtime = entry.runtime();
    if let Some(found) = runtime.boxes.get(entry.py, state, index) {
        return Ok(found);
    }
    if let Some(object) = (runtime.arrays.hooks.to_python)(runtime, entry.py, state, index)? {
        return Ok((object, View::ATTRIBUTES));
    }
    let found = if looks_like_box(runtime, state, index) {
        Some(Unboxed::Deleted)
    } else if is_as_function(runtime, state, index) {
        unbox_function(runtime, entry.py, state, index)
    } else {
        None
    };
    match found {
        None => Err(Failure::argument(index, function, "not a python object".into())),
        Some(Unboxed::Deleted) => {
            Err(Failure::argument(index, function, "deleted python object".into()))
        }
        Some(Unboxed::Object(object)) => Ok((object, View::ATTRIBUTES)),
    }
}
