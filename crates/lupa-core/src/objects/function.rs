//! `_LuaFunction` and `_LuaCoroutineFunction`: functions, and how they become coroutines.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use lua_api::{LuaBackend, value};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::{Result, type_error};
use crate::base::fallible;
use crate::convert::coroutine;
use crate::convert::lua_error::raised;
use crate::convert::wrapper::LuaObject;
use crate::objects::object::{CallValue, hold, positional};
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::operations::Call;
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"A Lua function. It takes positional arguments.\n\n\
    No result is None, one is itself, and several are a tuple.\n\n\
    >>> swap = LuaRuntime().eval('function(a, b) return b, a end')\n\
    >>> swap(1, 2)\n\
    (2, 1)";
pub(crate) const COROUTINE_DOC: &CStr =
    c"A Lua function that gives a new coroutine with each call.\n\n\
    A coroutine that Lua has created but not begun comes to Python as one of these:\n\n\
    >>> lua = LuaRuntime()\n\
    >>> lua.execute('function count(n) for i = 1, n do coroutine.yield(i) end end')\n\
    >>> count = lua.eval('coroutine.create(count)')\n\
    >>> list(count(3)), list(count(2))\n\
    ([1, 2, 3], [1, 2])";

pub(crate) fn spec<B: LuaBackend>() -> Spec<LuaObject<B>> {
    Spec::new("_LuaFunction", DOC).call::<CallValue>().methods(crate::objects::methods::function())
}

pub(crate) fn coroutine_spec<B: LuaBackend>() -> Spec<LuaObject<B>> {
    Spec::new("_LuaCoroutineFunction", COROUTINE_DOC).call::<Start>()
}

/// Calling a `_LuaCoroutineFunction`.
struct Start;

impl<B: LuaBackend> Call<LuaObject<B>> for Start {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        arguments: &'py [Alive<'py>],
        keywords: usize,
    ) -> Result<Bound<'py, PyAny>> {
        let args = positional(arguments, keywords)?;
        new_coroutine(py, this.content(), fallible::tuple(py, hold(py, args)?)?)
    }
}

/// A new coroutine of a function; the arguments wait for its first resume.
pub(crate) fn new_coroutine<'py, B: LuaBackend>(
    py: Python<'py>,
    this: &'py LuaObject<B>,
    arguments: Bound<'py, PyTuple>,
) -> Result<Bound<'py, PyAny>> {
    let (runtime, function) = (this.runtime(), this.reference());
    let entry = runtime.enter(py)?;
    let state = entry.state();
    let base = state.top();
    state.push_ref(function);
    let lua_function = state.type_of(-1) == value::FUNCTION && !state.is_c_function(-1);
    state.set_top(base);
    if !lua_function {
        return Err(type_error("Lua object is not a function"));
    }
    let made = state.protect_values(|raising| {
        raising.with_new_coroutine(|thread| {
            raising.push_ref(function);
            raising.move_to(thread, 1);
        });
        1
    });
    let result = match made {
        Ok(_) => coroutine::wrap_started(runtime, py, state, -1, Some(arguments)),
        Err(failure) => Err(raised(&entry, state, failure)),
    };
    state.set_top(base);
    result
}
