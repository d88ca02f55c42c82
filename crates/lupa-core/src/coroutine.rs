//! `_LuaThread`: Lua coroutines as Python generators.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use lua_api::{ERRRUN, LuaBackend, MIN_ROOM, OK, Raised, State, YIELD, value};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::alive::Alive;
use crate::call::{self, Arguments, push_all};
use crate::entry::Entry;
use crate::error::{Error, Origin, Result, classes, from_stack, raised};
use crate::fallible;
use crate::guard::{guard_next, guard_status};
use crate::object::{self, LuaObject};
use crate::runtime::Runtime;
use crate::to_lua::Ready;
use crate::types::{self, slot};

pub(crate) const DOC: &CStr = c"A Lua coroutine, to be used as a generator.\n\n\
    It can be iterated, and ``send()`` resumes it with a value. It is true as long as there may be more to come.\n\n\
    >>> lua = LuaRuntime()\n\
    >>> lua.execute('function add(n) while true do n = n + coroutine.yield(n) end end')\n\
    >>> running = lua.globals().add.coroutine(0)\n\
    >>> running.send(None), running.send(5), running.send(7)\n\
    (0, 5, 12)\n\
    >>> bool(running)\n\
    True";

/// The memory of a coroutine's wrapper.
#[repr(C)]
pub(crate) struct Coroutine {
    object: LuaObject,
    // The arguments for the first resume, until then; or null.
    arguments: *mut ffi::PyObject,
}

pub(crate) fn slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
    vec![
        slot(ffi::Py_tp_dealloc, dealloc::<B> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void),
        slot(ffi::Py_tp_iternext, next::<B> as *mut c_void),
        slot(ffi::Py_nb_bool, truth::<B> as *mut c_void),
        slot(ffi::Py_tp_methods, crate::methods::coroutine::<B>().cast()),
    ]
}

/// What a coroutine can do next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    /// It has not begun: its function is on its stack.
    New,
    Suspended,
    /// It runs, or waits for one that it has resumed.
    Running,
    Finished,
    Failed,
}

fn status<B: LuaBackend>(current: State<B>, thread: State<B>) -> Status {
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
    // SAFETY: a coroutine on the stack, so alive, of this instance.
    let thread = unsafe { state.with_raw(state.to_thread(index)) };
    let new = status(state, thread) == Status::New && thread.top() == 1;
    if new && thread.type_of(1) == value::FUNCTION {
        thread.push_value(1);
        thread.move_to(state, 1);
        let result = object::wrap(runtime, py, state, -1, types::get().coroutine_function);
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
    let object = object::wrap(runtime, py, state, index, types::get().coroutine)?;
    let coroutine = object.as_ptr().cast::<Coroutine>();
    // SAFETY: a new object of this layout.
    unsafe { (*coroutine).arguments = arguments.map_or(null_mut(), |a| a.into_ptr()) };
    Ok(object)
}

unsafe extern "C" fn dealloc<B: LuaBackend>(object: *mut ffi::PyObject) {
    // SAFETY: called by Python for the last reference.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        clear(object);
        object::release::<B>(object);
        types::free(object);
    }
}

unsafe extern "C" fn traverse(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by Python's collector with a live object.
    unsafe {
        let result = object::traverse(object, visit, arg);
        let arguments = (*object.cast::<Coroutine>()).arguments;
        if result != 0 || arguments.is_null() { result } else { visit(arguments, arg) }
    }
}

unsafe extern "C" fn clear(object: *mut ffi::PyObject) -> c_int {
    // SAFETY: called by Python with a live object.
    unsafe {
        let coroutine = object.cast::<Coroutine>();
        let arguments = std::mem::replace(&mut (*coroutine).arguments, null_mut());
        types::drop_object(arguments);
    }
    0
}

unsafe extern "C" fn truth<B: LuaBackend>(object: *mut ffi::PyObject) -> c_int {
    guard_status(|py| {
        // SAFETY: called by Python with a live wrapper.
        let (runtime, reference) = unsafe { object::parts::<B>(object) };
        let entry = runtime.enter(py)?;
        let state = entry.state();
        state.push_ref(reference);
        let raw = state.to_thread(-1);
        if raw.is_null() {
            state.pop(1);
            return Err(Error::LostReference);
        }
        // SAFETY: a coroutine on the stack.
        let thread = unsafe { state.with_raw(raw) };
        let alive = !matches!(status(state, thread), Status::Finished | Status::Failed);
        state.pop(1);
        Ok(c_int::from(alive))
    })
}

unsafe extern "C" fn next<B: LuaBackend>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard_next(|py| {
        // SAFETY: called by Python with a live wrapper.
        unsafe { start_or_go_on::<B>(py, object) }
    })
}

/// Resumes with the arguments of the first time, or with none.
///
/// # Safety
/// A live coroutine wrapper.
unsafe fn start_or_go_on<'py, B: LuaBackend>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
) -> Result<Option<Bound<'py, PyAny>>> {
    // SAFETY: as the caller promises.
    unsafe {
        let entry = object::parts::<B>(object).0.enter(py)?;
        // Not before this thread has the lock: another one may begin the coroutine meanwhile.
        match take_arguments(&entry, object) {
            Some(arguments) => resume_with(&entry, object, &arguments),
            None => resume(&entry, object, &[]),
        }
    }
}

/// Resumes with the items of a tuple.
///
/// # Safety
/// A live coroutine wrapper.
unsafe fn resume_with<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: *mut ffi::PyObject,
    arguments: &Bound<'py, PyTuple>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let mut objects = fallible::with_room(arguments.len())?;
    objects.extend(arguments.iter());
    // SAFETY: as the caller promises.
    unsafe { resume(entry, object, &objects) }
}

/// # Safety
/// A live coroutine wrapper of this runtime, whose lock guards what is taken.
unsafe fn take_arguments<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: *mut ffi::PyObject,
) -> Option<Bound<'py, PyTuple>> {
    // SAFETY: as the caller promises; the reference is moved out.
    unsafe {
        let coroutine = object.cast::<Coroutine>();
        let arguments = std::mem::replace(&mut (*coroutine).arguments, null_mut());
        Bound::from_owned_ptr_or_opt(entry.py, arguments).map(|a| a.cast_into_unchecked())
    }
}

/// `send(value)`: a tuple is sent as several values, `None` as none.
///
/// # Safety
/// A live coroutine wrapper.
pub(crate) unsafe fn send<'py, B: LuaBackend>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
    value: &Bound<'py, PyAny>,
) -> Result<Option<Bound<'py, PyAny>>> {
    // SAFETY: as the caller promises.
    unsafe {
        if value.is_none() {
            return start_or_go_on::<B>(py, object);
        }
        let entry = object::parts::<B>(object).0.enter(py)?;
        if !(*object.cast::<Coroutine>()).arguments.is_null() {
            let message = "can't send non-None value to a just-started generator";
            return Err(crate::error::type_error(message));
        }
        match value.cast::<PyTuple>() {
            Ok(tuple) => resume_with(&entry, object, tuple),
            Err(_) => resume(&entry, object, std::slice::from_ref(value)),
        }
    }
}

/// Resumes a coroutine until it yields, returns or fails. `None` is the end: it has returned
/// nothing, or had ended before.
///
/// # Safety
/// A live coroutine wrapper of this runtime.
unsafe fn resume<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: *mut ffi::PyObject,
    arguments: &[Bound<'py, PyAny>],
) -> Result<Option<Bound<'py, PyAny>>> {
    let py = entry.py;
    // SAFETY: as the caller promises.
    let (_, reference) = unsafe { object::parts::<B>(object) };
    let state = entry.state();
    let base = state.top();
    state.push_ref(reference);
    let raw = state.to_thread(-1);
    if raw.is_null() {
        state.set_top(base);
        return Err(Error::LostReference);
    }
    // SAFETY: a coroutine, which stays on the stack until all is done.
    let thread = unsafe { state.with_raw(raw) };
    let refused = |status| match status {
        Status::New | Status::Suspended => None,
        Status::Finished => Some(Ok(None)),
        Status::Running => Some(Err(refuse(py, "cannot resume running coroutine"))),
        Status::Failed => Some(Err(refuse(py, "cannot resume dead coroutine"))),
    };
    if let Some(result) = refused(status(state, thread)) {
        state.set_top(base);
        return result;
    }
    let ended = match transfer_quick(entry, state, thread, arguments) {
        Some(ended) => ended,
        None => match Arguments::prepare(entry, arguments) {
            Ok(prepared) => transfer(entry, state, thread, prepared.values()),
            Err(error) => {
                state.set_top(base);
                return Err(error);
            }
        },
    };
    entry.attach();
    let result = match ended {
        Err(Unresumed::Raised(failure)) => Err(raised(entry, state, failure)),
        // What the conversion of the arguments has run was quicker.
        Err(Unresumed::As(status)) => refused(status).unwrap_or(Ok(None)),
        Ok((YIELD, count)) => call::results(entry, state, base + 1, count).map(Some),
        Ok((OK, 0)) => Ok(None),
        Ok((OK, count)) => call::results(entry, state, base + 1, count).map(Some),
        // The error value came over to our stack.
        Ok((status, _)) => Err(from_stack(entry, state, Raised(status), Origin::Resume).into()),
    };
    state.set_top(base);
    result
}

/// What a resume ended with, and how many values it has left; or why it has not come to that.
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

/// As [`transfer`], for a few arguments that can go the short way; else nothing has happened.
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
    if results > FEW {
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
const FEW: c_int = 6;

/// Moves the arguments over, resumes, and moves what comes back to `state`: its status and number.
fn transfer<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    thread: State<B>,
    values: &[Ready<'_, '_>],
) -> Ended {
    let runtime = entry.runtime();
    let status = std::cell::Cell::new(ERRRUN);
    let refused = std::cell::Cell::new(None);
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

/// What an iterator's end is where a method must give a value: `StopIteration`.
pub(crate) fn stop_iteration() -> PyErr {
    pyo3::exceptions::PyStopIteration::new_err(())
}
