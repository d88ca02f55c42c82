//! The content of a coroutine's wrapper, and how a wrapper is made. Its methods are in [`crate::objects::coroutine`].
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_int;

use lua_api::{LuaBackend, OK, State, YIELD, value};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::Result;
use crate::convert::wrapper::{self, LuaObject, WRAPPERS, WrapperKind};
use crate::runtime::owned::Locked;
use crate::runtime::runtime::Runtime;
use crate::types::heap_type::{Garbage, Visit, Visited};
use crate::types::heap_type::{Keep, Type, With};
use crate::types::operations::{Clear, Content};

/// The content of a coroutine's wrapper.
pub(crate) type Coroutine<B> = With<LuaObject<B>, Start>;

/// How a coroutine begins.
pub(crate) struct Start {
    /// The arguments for the first resume, until then.
    pub(crate) arguments: Locked<Keep<PyTuple>>,
}

impl Content for Start {
    fn visit(&self, visit: &Visit) -> Visited {
        visit.keep(self.arguments.visited(visit))
    }
}

impl<B: LuaBackend> Clear for Coroutine<B> {
    fn clear(&self, garbage: &Garbage<'_>) {
        drop(self.more.arguments.garbage(garbage).take());
    }
}

/// The state of a coroutine: which operation it takes next.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has not begun: its function is on its stack.
    New,
    Suspended,
    /// It runs, or waits for one that it has resumed.
    Running,
    Finished,
    Failed,
}

pub(crate) fn status<B: LuaBackend>(current: State<B>, thread: State<B>) -> Status {
    if thread.raw() == current.raw() {
        return Status::Running;
    }
    match thread.status() {
        YIELD => Status::Suspended,
        OK if thread.has_frame(0) => Status::Running,
        OK if thread.top() == 0 => Status::Finished,
        OK => Status::New,
        _ => Status::Failed,
    }
}

/// Wraps the coroutine at `index`. One that has not begun comes over as a function that makes new
/// ones, as generator functions do in Python.
pub(crate) fn wrap<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: c_int,
) -> Result<Bound<'py, PyAny>> {
    let begins = state.with_coroutine(index, |thread| {
        let Some(thread) = thread else { return false };
        let new = status(state, thread) == Status::New && thread.top() == 1;
        if new && thread.type_of(1) == value::FUNCTION {
            thread.push_value(1);
            thread.move_to(state, 1);
            return true;
        }
        false
    });
    if begins {
        let result = wrapper::wrap(runtime, py, state, -1, WrapperKind::CoroutineFunction);
        state.pop(1);
        return result;
    }
    wrap_started(runtime, py, state, index, None)
}

/// Wraps the coroutine at `index` as one, with arguments for its first resume.
pub(crate) fn wrap_started<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: c_int,
    arguments: Option<Bound<'py, PyTuple>>,
) -> Result<Bound<'py, PyAny>> {
    let arguments = Cell::new(arguments.map(|arguments| arguments.unbind().into()));
    let start = Start { arguments: Locked::new(runtime, arguments) };
    let content = With::new(LuaObject::new(runtime, py, state, index)?, start);
    let kind: Type<Coroutine<B>> = WRAPPERS.get(WrapperKind::Coroutine as usize);
    Ok(kind.create(py, content)?)
}
