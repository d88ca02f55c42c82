//! The way from Lua into Rust and Python: one shape for every C function that Lua can call.
//!
//! The outer function has only plain values and is the only one that raises. The inner one is
//! ordinary Rust: it runs attached to Python, with the coroutine that called as the current one,
//! catches panics, and has gone before the outer one acts on what it says.

use std::borrow::Cow;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lua_api::raw::lua_State;
use lua_api::{LuaBackend, Raising, State, Thread};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::base::error::{Error, too_deep};
use crate::base::guard::{panicked, parked, settled, unwinding};
use crate::convert::prepared::Prepared;
use crate::convert::to_lua::push_protected;
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::runtime::place::place;
use crate::runtime::runtime::Runtime;
use crate::runtime::stop::stops::begin_stop;
use crate::types::alive::Alive;
use crate::types::compat;

/// Why a callback does not return values.
pub(crate) enum Failure {
    /// An error of the bridge or of Python.
    Error(Error),
    /// A bad argument: its number, the name of the function, and what is wrong with it.
    Argument(Box<(i32, &'static str, Cow<'static, str>)>),
}

impl Failure {
    /// A bad argument.
    #[cold]
    pub(crate) fn argument(
        number: i32,
        function: &'static str,
        problem: Cow<'static, str>,
    ) -> Self {
        Failure::Argument(Box::new((number, function, problem)))
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(error.into())
    }
}

/// The result of a callback: the number of values that it leaves on top of the stack.
pub(crate) type Outcome = Result<i32, Failure>;

/// A function that Lua can call; `run` is the inner layer.
pub(crate) trait Callback<B: LuaBackend>: 'static {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome;
}

/// The outer layer of a callback.
pub(crate) unsafe extern "C-unwind" fn outer<B: LuaBackend, C: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua. This frame holds plain values only.
    match unsafe { Raising::<B>::of_thread(l) } {
        Some(raising) => run::<B, C>(raising),
        None => 0,
    }
}

/// The outer layer, in a function that Lua has called.
#[inline(always)]
pub(crate) fn run<B: LuaBackend, C: Callback<B>>(raising: Raising<'_, B>) -> i32 {
    let Some(runtime) = raising.instance().host::<Runtime<B>>() else { return 0 };
    let count = if Thread::this().has_room() {
        inner::<B, C>(runtime, raising.state())
    } else {
        inner::<B, TooDeep>(runtime, raising.state())
    };
    if count >= 0 {
        return count;
    }
    raising.raise()
}

/// The function that is called instead of a callback where the C stack is nearly used up.
struct TooDeep;

impl<B: LuaBackend> Callback<B> for TooDeep {
    #[cold]
    fn run(_: &Entry<'_, B>, _: State<B>) -> Outcome {
        Err(too_deep().into())
    }
}

/// The inner layer alone, for a function of Lua's that is no C function: a hook. Negative when the
/// error value to raise is on top of the stack.
pub(crate) fn call_inner<B: LuaBackend, C: Callback<B>>(
    runtime: &Runtime<B>,
    state: State<B>,
) -> i32 {
    inner::<B, C>(runtime, state)
}

/// Runs the callback; negative when the error value to raise is on top of the stack.
#[inline(never)]
fn inner<B: LuaBackend, C: Callback<B>>(runtime: &Runtime<B>, state: State<B>) -> i32 {
    let before = runtime.attach_in_callback();
    runtime.change();
    // SAFETY: attached just now, or all along.
    let py = unsafe { Python::assume_attached() };
    let limits = if runtime.pending.any() { runtime.suspend_limits(py, state) } else { 0 };
    let count = runtime.instance.with_current(state, || {
        let entry = runtime.reenter(py, state);
        let count = match catch_unwind(AssertUnwindSafe(|| C::run(&entry, state))) {
            Ok(Ok(count)) => count,
            Ok(Err(failure)) => fail_safely(&entry, state, failure),
            Err(payload) => {
                fail_safely(&entry, state, Failure::Error(panicked(payload.as_ref()).into()))
            }
        };
        runtime.drop_dead(py);
        count
    });
    state.settle();
    if limits != 0 || runtime.pending.any() {
        runtime.resume_limits(state, limits);
    }
    runtime.detach_again(before);
    count
}

/// Puts an error value on the stack, also if that needs more than there is.
#[cold]
fn fail_safely<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, failure: Failure) -> i32 {
    let top = state.top();
    catch_unwind(AssertUnwindSafe(|| fail(entry, state, failure))).unwrap_or_else(|_| {
        state.set_top(top);
        push_text(state, "not enough memory");
        -1
    })
}

/// Puts an error value on the stack.
fn fail<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, failure: Failure) -> i32 {
    match failure {
        Failure::Error(error) => {
            let error = settled(entry.py, error.into());
            // Ctrl-C, as it comes while a Python function runs: no `pcall` keeps it.
            if error.is_instance_of::<PyKeyboardInterrupt>(entry.py) && !entry.is_stopping() {
                begin_stop(entry, state, error.clone_ref(entry.py));
            }
            let exception = error.into_value(entry.py);
            let pushed = if entry.options.sandbox.is_some() {
                crate::convert::weight::push_exception(entry, state, exception.bind(entry.py))
            } else {
                let exception = exception.bind(entry.py);
                let prepared = Prepared::Object(Alive::of(exception), View::ATTRIBUTES);
                push_protected(entry, state, prepared)
            };
            if pushed.is_err() {
                push_text(state, "not enough memory");
            }
        }
        Failure::Argument(argument) => {
            let (number, function, problem) = *argument;
            let place = place(state, 1);
            push_text(state, &format!("{place}bad argument #{number} to '{function}' ({problem})"));
        }
    }
    -1
}

/// Pushes a message, or, where there is no memory for it, what Lua says to that.
fn push_text<B: LuaBackend>(state: State<B>, text: &str) {
    let bytes = text.as_bytes();
    // Either way there is one value more.
    let _ = state.protect_values(|raising| {
        raising.push_bytes(bytes);
        1
    });
}

/// Pushes a callback as a function; with `upvalues`, so many values from the top become its own.
pub(crate) fn push_callback<B: LuaBackend, C: Callback<B>>(raising: Raising<'_, B>, upvalues: i32) {
    // SAFETY: Lua may call it with anything.
    unsafe { raising.push_closure(Some(outer::<B, C>), upvalues) };
}

/// Arguments that came from Lua, for a call of Python: owned, behind a place that is free.
pub(crate) struct Received<'s, 'py> {
    py: Python<'py>,
    places: &'s mut [MaybeUninit<Bound<'py, PyAny>>],
    count: usize,
}

impl<'s, 'py> Received<'s, 'py> {
    /// None so far; there is one place more than arguments.
    #[inline(always)]
    pub(crate) fn new(py: Python<'py>, places: &'s mut [MaybeUninit<Bound<'py, PyAny>>]) -> Self {
        // The called function may put a value there, and puts the old one back.
        places[0] = MaybeUninit::zeroed();
        Received { py, places, count: 0 }
    }

    /// One argument more, for which there is a place.
    #[inline(always)]
    pub(crate) fn push(&mut self, argument: Bound<'py, PyAny>) {
        self.places[self.count + 1].write(argument);
        self.count += 1;
    }

    /// The arguments so far.
    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[Bound<'py, PyAny>] {
        // SAFETY: so many have been written, after the first one.
        unsafe { std::slice::from_raw_parts(self.places.as_ptr().add(1).cast(), self.count) }
    }

    /// Calls with these arguments.
    ///
    /// Of a bound method whose instance is the first argument, the function is called with the arguments as they are;
    /// `again` is asked, after an error, whether the method is to be called with them instead.
    ///
    /// # Errors
    /// What is raised.
    #[inline(always)]
    pub(crate) fn call(
        self,
        callable: &Bound<'py, PyAny>,
        again: impl FnOnce(&PyErr) -> bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(first) = self.as_slice().first()
            && let Some((function, instance)) = compat::bound_method(Alive::of(callable))
            && instance == Alive::of(first)
        {
            return match self.call_from(0, function) {
                Err(error) if again(&error) => self.call_from(0, Alive::of(callable)),
                result => result,
            };
        }
        self.call_from(0, Alive::of(callable))
    }

    /// Calls with all arguments but the first.
    ///
    /// # Errors
    /// What is raised.
    pub(crate) fn call_without_first(
        self,
        callable: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.call_from(1, Alive::of(callable))
    }

    /// Calls with the arguments from a number on, of which there are as many.
    #[inline(always)]
    fn call_from(&self, first: usize, target: Alive<'_>) -> PyResult<Bound<'py, PyAny>> {
        let first = first.min(self.count);
        let flags = (self.count - first) | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET;
        let places = self.places.as_ptr();
        // SAFETY: attached; live objects, for a method keeps its function; so many arguments have been written, and a
        // `Bound` is a pointer to its object. The place before them, which is free or has an argument, may be written
        // meanwhile, as the flag says, and is put back.
        unsafe {
            let arguments = places.add(1 + first).cast();
            let result = parked(|| unwinding::vectorcall(target.as_ptr(), arguments, flags));
            Bound::from_owned_ptr_or_err(self.py, result)
        }
    }
}

impl Drop for Received<'_, '_> {
    #[inline(always)]
    fn drop(&mut self) {
        for place in 1..=self.count {
            // SAFETY: written, and not dropped before.
            unsafe { self.places.get_unchecked_mut(place).assume_init_drop() };
        }
    }
}

/// The address of the outer layer of a callback, to know it by.
pub(crate) fn address<B: LuaBackend, C: Callback<B>>() -> usize {
    outer::<B, C> as *const () as usize
}
