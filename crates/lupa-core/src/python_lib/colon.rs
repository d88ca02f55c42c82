//! Colon calls: `obj:method(...)` passes `obj` once to a method that has it already.
//!
//! Whether a call is one is seen by the calling instruction, not by the arguments: `list.append(list)` is none. Where Lua does not
//! know how a function was called (by `pcall`, from a local variable), it is no colon call. For tail calls of LuaJIT, whose frames
//! do not tell, reading a method is noted.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State, value};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyTuple, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::imported::{Imported, is_function};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::compat;

/// How Lua calls what runs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Called {
    /// As `object:name(...)`.
    Colon,
    Otherwise,
    /// An installed LuaJIT does not tell.
    Unknown,
}

/// A call from Lua, as far as it was looked at.
pub(crate) struct Call {
    // It is known already that LuaJIT makes a tail call of a method.
    in_tail: bool,
}

impl Call {
    /// The call that runs, with its first argument, which is at an index of the stack.
    #[inline(always)]
    pub(crate) fn of<B: LuaBackend>(
        entry: &Entry<'_, B>,
        state: State<B>,
        index: i32,
        first: Alive<'_>,
    ) -> Self {
        let may_be = B::HAS_FFI
            && entry.tail_reads.get().contains(&first.address())
            && state.type_of(index) == value::USERDATA;
        Call { in_tail: may_be && take_read(entry, state, first) }
    }

    fn called<B: LuaBackend>(&self, state: State<B>) -> Called {
        if self.in_tail {
            return Called::Colon;
        }
        state.with_frame(0, |frame| match frame {
            Some(frame) if frame.name_kind() == b"method" => Called::Colon,
            Some(frame) if !frame.name_kind().is_empty() => Called::Otherwise,
            _ if B::HAS_FFI && B::INSTALLED => Called::Unknown,
            _ => Called::Otherwise,
        })
    }
}

/// Takes the note that a method of an object was read for a tail call, if what runs can be that call: it has no name then.
#[cold]
fn take_read<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, object: Alive<'_>) -> bool {
    if state.with_frame(0, |frame| frame.is_some_and(|frame| !frame.name_kind().is_empty())) {
        return false;
    }
    let mut reads = entry.tail_reads.get();
    let Some(read) = reads.iter_mut().find(|read| **read == object.address()) else { return false };
    *read = 0;
    entry.tail_reads.set(reads);
    true
}

/// Notes that an attribute of an object has been read, if a tail call of LuaJIT calls it as a method: its frames do not tell.
#[inline(always)]
pub(crate) fn note_read<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, object: Alive<'_>) {
    if B::HAS_FFI && state.reads_for_tail_call() {
        let [first, second, third, _] = entry.tail_reads.get();
        entry.tail_reads.set([object.address(), first, second, third]);
    }
}

impl Call {
    /// Whether the first argument is to be left out: it is the object of a colon call, and what is called has it. Python's
    /// bound methods are seen to where they are called.
    #[inline]
    pub(crate) fn leaves_out<'py, B: LuaBackend>(
        &self,
        entry: &Entry<'py, B>,
        state: State<B>,
        callable: &Bound<'py, PyAny>,
        index: i32,
        first: &Bound<'py, PyAny>,
    ) -> PyResult<bool> {
        if state.type_of(index) != value::USERDATA {
            return Ok(false);
        }
        if entry.options.colon_calls_as_in_python {
            return Ok(self.called(state) == Called::Colon);
        }
        if is_function(callable) {
            return Ok(false);
        }
        Ok(is_bound_to(callable, first)? && self.called(state) == Called::Colon)
    }

    /// After a method written in Python was called with its instance as the first argument, once: whether its signature asks
    /// for one argument more, and Lua has not called it as `obj:method()`. So `v.dot(v)` passes `v` twice. The error is that
    /// of a call which did not begin.
    #[cold]
    pub(crate) fn lacks_first<'py, B: LuaBackend>(
        &self,
        state: State<B>,
        method: &Bound<'py, PyAny>,
        count: usize,
        error: &PyErr,
    ) -> bool {
        let py = method.py();
        if !error.is_instance_of::<PyTypeError>(py) || error.traceback(py).is_some() {
            return false;
        }
        let Some((function, _)) = compat::bound_method(Alive::of(method)) else { return false };
        let function = function.borrow(py).to_owned();
        if !is_function(&function) || self.called(state) != Called::Otherwise {
            return false;
        }
        let signature = || -> PyResult<(usize, usize)> {
            let all: usize =
                function.attribute(c"__code__")?.attribute(c"co_argcount")?.extract()?;
            let defaults = function.attribute(c"__defaults__")?;
            let optional = defaults.cast::<PyTuple>().map_or(0, |defaults| defaults.len());
            Ok((all.saturating_sub(optional), all))
        };
        matches!(signature(), Ok((required, all)) if count < required && count < all)
    }
}

/// Whether a callable has an object, or the object's class, already.
#[inline(never)]
fn is_bound_to<'py>(callable: &Bound<'py, PyAny>, first: &Bound<'py, PyAny>) -> PyResult<bool> {
    let owner = match compat::bound_method(Alive::of(callable)) {
        Some((_, owner)) if owner == Alive::of(first) => return Ok(false),
        Some((_, owner)) => owner.borrow(first.py()).to_owned(),
        None if may_be_bound(callable)? => match callable.attribute(c"__self__") {
            Ok(owner) => owner,
            Err(_) => return Ok(false),
        },
        None => return Ok(false),
    };
    // No class is asked, which might run code.
    Ok(owner.is(first)
        || owner.is_instance_of::<PyType>()
            && first.get_type().mro().iter().any(|base| base.is(&owner)))
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
