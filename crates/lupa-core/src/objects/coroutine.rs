//! `_LuaThread`: Lua coroutines as Python generators.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, c_int};

use lua_api::{ERRRUN, LuaBackend, MIN_ROOM, OK, Raised, Ref, State, YIELD};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::{Error, Result, classes};
use crate::base::fallible;
use crate::base::vectors;
use crate::calls::call::{self, Arguments, push_all};
use crate::convert::coroutine::{Coroutine, Status, status};
use crate::convert::lua_error::{Origin, from_stack, raised};
use crate::convert::prepared::Ready;
use crate::objects::object::CallValue;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::operations::{Call, Step, Truth};
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"A Lua coroutine, to be used as a generator.\n\n\
    It can be iterated, and ``send()`` resumes it with a value. It is true as long as there may be more to come.\n\n\
    >>> lua = LuaRuntime()\n\
    >>> lua.execute('function add(n) while true do n = n + coroutine.yield(n) end end')\n\
    >>> running = lua.globals().add.coroutine(0)\n\
    >>> running.send(None), running.send(5), running.send(7)\n\
    (0, 5, 12)\n\
    >>> bool(running)\n\
    True";

pub(crate) fn spec<B: LuaBackend>() -> Spec<Coroutine<B>> {
    Spec::new("_LuaThread", DOC)
        .call::<CallCoroutine>()
        .clear()
        .iter_self()
        .next::<Next>()
        .truth::<MayGoOn>()
        .methods(crate::objects::methods::coroutine())
}

/// Calls the value, as every wrapper does.
struct CallCoroutine;

impl<B: LuaBackend> Call<Coroutine<B>> for CallCoroutine {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, Coroutine<B>>,
        arguments: &'py [Alive<'py>],
        keywords: usize,
    ) -> Result<Bound<'py, PyAny>> {
        CallValue::run(py, this.first(), arguments, keywords)
    }
}

/// Whether there may be more to come.
struct MayGoOn;

impl<B: LuaBackend> Truth<Coroutine<B>> for MayGoOn {
    fn run<'py>(py: Python<'py>, this: This<'py, Coroutine<B>>) -> Result<bool> {
        let this = this.first();
        let entry = this.runtime().enter(py)?;
        let state = entry.state();
        state.push_ref(this.reference());
        let alive = state.with_coroutine(-1, |thread| {
            Some(!matches!(status(state, thread?), Status::Finished | Status::Failed))
        });
        state.pop(1);
        alive.ok_or(Error::LostReference)
    }
}

struct Next;

impl<B: LuaBackend> Step<Coroutine<B>> for Next {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, Coroutine<B>>,
    ) -> Result<Option<Bound<'py, PyAny>>> {
        start_or_go_on(py, this)
    }
}

/// Resumes with the arguments of the first time, or with none.
fn start_or_go_on<'py, B: LuaBackend>(
    py: Python<'py>,
    this: This<'py, Coroutine<B>>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let (object, start) = (this.first().content(), &this.content().more);
    let entry = object.runtime().enter(py)?;
    // Not before this thread has the lock: another one may begin the coroutine meanwhile.
    let arguments = start.arguments.get(&entry).take();
    match arguments {
        Some(arguments) => resume_with(&entry, object.reference(), &arguments.into_bound(entry.py)),
        None => resume(&entry, object.reference(), &[]),
    }
}

/// Resumes with the items of a tuple.
fn resume_with<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    coroutine: Ref,
    arguments: &Bound<'py, PyTuple>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let mut objects = vectors::with_room(arguments.len())?;
    objects.extend(arguments.iter());
    resume(entry, coroutine, &objects)
}

/// `send(value)`: a tuple is sent as several values, `None` as none.
pub(crate) fn send<'py, B: LuaBackend>(
    py: Python<'py>,
    this: This<'py, Coroutine<B>>,
    value: &Bound<'py, PyAny>,
) -> Result<Option<Bound<'py, PyAny>>> {
    if value.is_none() {
        return start_or_go_on(py, this);
    }
    let (object, start) = (this.first().content(), &this.content().more);
    let entry = object.runtime().enter(py)?;
    let arguments = start.arguments.get(&entry).take();
    if arguments.is_some() {
        start.arguments.get(&entry).set(arguments);
        let message = "can't send non-None value to a just-started generator";
        return Err(crate::base::error::type_error(message));
    }
    match value.cast::<PyTuple>() {
        Ok(tuple) => resume_with(&entry, object.reference(), tuple),
        Err(_) => resume(&entry, object.reference(), std::slice::from_ref(value)),
    }
}

/// Resumes a coroutine until it yields, returns or fails. `None` is the end: it has returned
/// nothing, or had ended before.
fn resume<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    coroutine: Ref,
    arguments: &[Bound<'py, PyAny>],
) -> Result<Option<Bound<'py, PyAny>>> {
    let state = entry.state();
    let base = state.top();
    state.push_ref(coroutine);
    // It stays on the stack until all is done.
    let result = state.with_coroutine(-1, |thread| match thread {
        Some(thread) => resume_thread(entry, base, thread, arguments),
        None => Err(Error::LostReference),
    });
    state.set_top(base);
    result
}

/// [`resume`] of the coroutine that is above `base`. It leaves the stack as it comes.
#[inline(always)]
fn resume_thread<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    base: c_int,
    thread: State<'_, B>,
    arguments: &[Bound<'py, PyAny>],
) -> Result<Option<Bound<'py, PyAny>>> {
    let (py, state) = (entry.py, entry.state());
    let refused = |status| match status {
        Status::New | Status::Suspended => None,
        Status::Finished => Some(Ok(None)),
        Status::Running => Some(Err(refuse(py, "cannot resume running coroutine"))),
        Status::Failed => Some(Err(refuse(py, "cannot resume dead coroutine"))),
    };
    if let Some(result) = refused(status(state, thread)) {
        return result;
    }
    let ended = match transfer_quick(entry, state, thread, arguments) {
        Some(ended) => ended,
        None => {
            let prepared = Arguments::prepare(entry, arguments)?;
            transfer(entry, state, thread, prepared.values())
        }
    };
    entry.attach();
    match ended {
        Err(Unresumed::Raised(failure)) => Err(raised(entry, state, failure)),
        // Code that ran while the arguments were converted has resumed the coroutine before us.
        Err(Unresumed::As(status)) => refused(status).unwrap_or(Ok(None)),
        Ok((YIELD, count)) => call::results(entry, state, base + 1, count).map(Some),
        Ok((OK, 0)) => Ok(None),
        Ok((OK, count)) => call::results(entry, state, base + 1, count).map(Some),
        // The error value came over to our stack; that of the coroutine is as it was.
        Ok((status, _)) => {
            lua_api::note_frames_of(thread);
            Err(from_stack(entry, state, Raised(status), Origin::Resume).into())
        }
    }
}

/// The status with which a resume ended and the number of values that it left; or the reason why there was none.
type Ended = std::result::Result<(c_int, c_int), Unresumed>;

/// Why a coroutine was not resumed after all.
enum Unresumed {
    Raised(Raised),
    /// It can't be any more: arguments are made meanwhile, in which a finalizer may have resumed it.
    As(Status),
}

fn can_resume<B: LuaBackend>(
    current: State<B>,
    thread: State<B>,
) -> std::result::Result<(), Status> {
    match status(current, thread) {
        Status::New | Status::Suspended => Ok(()),
        other => Err(other),
    }
}

/// As [`transfer`], for a few arguments that the fast path takes; otherwise does nothing.
#[inline(always)]
fn transfer_quick<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    thread: State<B>,
    arguments: &[Bound<'_, PyAny>],
) -> Option<Ended> {
    if !arguments.is_empty() {
        let base = state.top();
        if !call::push_quick(entry, state, arguments.iter().map(Alive::of)) {
            state.set_top(base);
            return None;
        }
        if let Err(status) = can_resume(state, thread) {
            state.set_top(base);
            return Some(Err(Unresumed::As(status)));
        }
        // A coroutine that can be resumed is in a C function or has not begun: either way there is
        // room for a few values on its stack, as there is on ours.
        state.move_to(thread, arguments.len() as c_int);
    }
    entry.detach();
    let (status, results) = thread.resume(state, arguments.len() as c_int);
    entry.attach();
    if results > UNCHECKED_RESULTS {
        // The room belongs to the frame that asks for it, so the values move within that frame.
        let moved = state.protect_values(|raising| {
            raising.reserve(results.saturating_add(MIN_ROOM));
            thread.move_to(raising.state(), results);
            results
        });
        return Some(moved.map(|count| (status, count)).map_err(Unresumed::Raised));
    }
    thread.move_to(state, results);
    Some(Ok((status, results)))
}

/// How many results need no look at the stack's room.
const UNCHECKED_RESULTS: c_int = 6;

/// Moves the arguments over, resumes, and moves what comes back to `state`: its status and number.
fn transfer<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    thread: State<B>,
    values: &[Ready<'_, '_>],
) -> Ended {
    let runtime = entry.runtime();
    let status = Cell::new(ERRRUN);
    let refused = Cell::new(None);
    let (status_out, refused_out) = (&status, &refused);
    let count = state.protect_values(|raising| {
        // Everything that can fail fails here, not on the coroutine, where nothing would catch it.
        let count = push_all(runtime, raising, values);
        raising.reserve_on(thread, count.saturating_add(MIN_ROOM));
        if let Err(status) = can_resume(raising.state(), thread) {
            refused_out.set(Some(status));
            return 0;
        }
        raising.move_to(thread, count);
        runtime.detach();
        let (status, results) = thread.resume(raising.state(), count);
        runtime.attach();
        status_out.set(status);
        raising.reserve(results.saturating_add(MIN_ROOM));
        thread.move_to(raising.state(), results);
        results
    });
    match (count, refused.get()) {
        (Err(failure), _) => Err(Unresumed::Raised(failure)),
        (Ok(_), Some(status)) => Err(Unresumed::As(status)),
        (Ok(count), None) => Ok((status.get(), count)),
    }
}

fn refuse(py: Python<'_>, message: &'static str) -> Error {
    fallible::error_of(classes(py).error.bind(py).clone(), message).into()
}

/// The exception for an iterator's end in a method that has to return a value: `StopIteration`.
pub(crate) fn stop_iteration() -> PyErr {
    pyo3::exceptions::PyStopIteration::new_err(())
}
