//! `_LuaFunction` and `_LuaCoroutineFunction`: functions, and how they become coroutines.

use std::ffi::CStr;

use lua_api::{LuaBackend, value};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::coroutine;
use crate::error::{Result, raised, type_error};
use crate::fallible;
use crate::guard::guard;
use crate::object::{hold, parts, positional};
use crate::types::slot;

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

pub(crate) fn slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
    vec![slot(ffi::Py_tp_methods, crate::methods::function::<B>().cast())]
}

/// Calling a `_LuaCoroutineFunction`.
pub(crate) unsafe extern "C" fn start<B: LuaBackend>(
    object: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python; the arguments are alive for the time of the call.
        unsafe {
            let args = positional(args, nargsf, kwnames)?;
            new_coroutine::<B>(py, object, fallible::tuple(py, hold(py, args)?)?)
        }
    })
}

/// A new coroutine of a function; the arguments wait for its first resume.
///
/// # Safety
/// A live `_LuaFunction`.
pub(crate) unsafe fn new_coroutine<'py, B: LuaBackend>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
    arguments: Bound<'py, PyTuple>,
) -> Result<Bound<'py, PyAny>> {
    // SAFETY: as the caller promises.
    let (runtime, function) = unsafe { parts::<B>(object) };
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
