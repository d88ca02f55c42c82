//! Colon calls: `obj:method(...)` passes `obj` once to a method that has it already.
//!
//! Whether a call is one is seen by the calling instruction, not by the arguments: `list.append(list)` is none. Where Lua does not
//! know how a function was called (by `pcall`, from a local variable, in a tail call of LuaJIT), it is no colon call.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State, value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyFunction, PyTuple, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::imported::Imported;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::compat;

/// Whether Lua calls what runs as `value:name(...)`.
fn is_colon_call<B: LuaBackend>(state: State<B>) -> bool {
    state.with_frame(0, |frame| frame.is_some_and(|frame| frame.name_kind() == b"method"))
}

/// Whether Lua knows how it calls what runs.
fn is_known_call<B: LuaBackend>(state: State<B>) -> bool {
    state.with_frame(0, |frame| frame.is_some_and(|frame| !frame.name_kind().is_empty()))
}

/// Whether the argument at an index of the stack is to be left out of a call, in which it is the first: it is the object of a
/// colon call, and what is called has it. Python's bound methods are seen to where they are called.
#[inline]
pub(crate) fn leaves_out<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    callable: &Bound<'py, PyAny>,
    index: i32,
    first: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    if state.type_of(index) != value::USERDATA || callable.is_exact_instance_of::<PyFunction>() {
        let always = entry.options.colon_calls_as_in_python;
        return Ok(always && state.type_of(index) == value::USERDATA && is_colon_call(state));
    }
    is_bound_to(entry, state, callable, first)
}

#[inline(never)]
fn is_bound_to<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    callable: &Bound<'py, PyAny>,
    first: &Bound<'py, PyAny>,
) -> PyResult<bool> {
    if entry.options.colon_calls_as_in_python {
        return Ok(is_colon_call(state));
    }
    let owner = match compat::bound_method(Alive::of(callable)) {
        Some((_, owner)) if owner == Alive::of(first) => return Ok(false),
        Some((_, owner)) => owner.borrow(entry.py).to_owned(),
        None if may_be_bound(callable)? => match callable.attribute(c"__self__") {
            Ok(owner) => owner,
            Err(_) => return Ok(false),
        },
        None => return Ok(false),
    };
    let is_owner = owner.is(first)
        || owner.is_instance_of::<PyType>() && first.get_type().is_subclass(&owner)?;
    Ok(is_owner && is_colon_call(state))
}

/// Whether an object is of one of the types that C code and `functools` bind with. No other has its `__self__` asked, which may
/// run any code.
fn may_be_bound(callable: &Bound<'_, PyAny>) -> PyResult<bool> {
    static SLOT: Imported = Imported::new(c"types", c"MethodWrapperType");
    static PARTIAL: Imported = Imported::new(c"functools", c"partial");
    if callable.is_exact_instance_of::<PyCFunction>() {
        return Ok(true);
    }
    let (py, kind) = (callable.py(), callable.get_type());
    Ok(kind.is(SLOT.get(py)?) || kind.is(PARTIAL.get(py)?))
}

/// After a method written in Python was called with its instance as the first argument, once: whether its signature asks for
/// one argument more, and Lua has not called it as `obj:method()`. So `v.dot(v)` passes `v` twice. The error is that of a call
/// which did not begin.
#[cold]
pub(crate) fn lacks_first<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    method: &Bound<'py, PyAny>,
    count: usize,
    error: &PyErr,
) -> bool {
    let py = entry.py;
    if !error.is_instance_of::<PyTypeError>(py) || error.traceback(py).is_some() {
        return false;
    }
    let Some((function, _)) = compat::bound_method(Alive::of(method)) else { return false };
    let function = function.borrow(py).to_owned();
    if !function.is_exact_instance_of::<PyFunction>()
        || is_colon_call(state)
        || B::HAS_FFI && !is_known_call(state)
    {
        return false;
    }
    let signature = || -> PyResult<(usize, usize)> {
        let all: usize = function.attribute(c"__code__")?.attribute(c"co_argcount")?.extract()?;
        let defaults = function.attribute(c"__defaults__")?;
        let optional = defaults.cast::<PyTuple>().map_or(0, |defaults| defaults.len());
        Ok((all.saturating_sub(optional), all))
    };
    matches!(signature(), Ok((required, all)) if count < required && count < all)
}
