//! [`Guard`] and [`Entry`]: the right to work on a runtime, for one operation or in a callback.
//!
//! An entry while others are inside works on top of them, on the stack of the coroutine that has called out of Lua; an
//! entry by another greenlet works on a stack of its own ([`crate::runtime::greenlets`]). Each puts back at its end the state that it
//! has replaced, in whatever order the entries end.
#![forbid(unsafe_code)]

use std::ops::Deref;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lua_api::{ERRMEM, LuaBackend, OwnStack, Raised, Reentered, State, Thread};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::base::error::too_deep;
use crate::base::error::{Error, LuaError, Result};
use crate::base::fallible;
use crate::base::lock::Entered;
use crate::base::vectors;
use crate::runtime::greenlets;
use crate::runtime::owned::go_back;
use crate::runtime::runtime::Runtime;
use crate::runtime::stop::deadline::{Deadline, Seconds};
use crate::runtime::stop::limits::Active;
use crate::runtime::stop::pending;
use crate::runtime::stop::scope;
use crate::runtime::waiting;

impl<B: LuaBackend> Runtime<B> {
    /// Takes the lock for one operation from Python.
    #[inline(always)]
    pub(crate) fn enter<'a>(&'a self, py: Python<'a>) -> Result<Guard<'a, B>> {
        self.enter_for(py, None)
    }

    /// The same, for an operation that has a time limit.
    #[inline(always)]
    pub(crate) fn enter_for<'a>(
        &'a self,
        py: Python<'a>,
        timeout: Option<Seconds>,
    ) -> Result<Guard<'a, B>> {
        // The thread is this one for as long as the guard lives: neither can be sent elsewhere.
        let thread = Thread::this();
        if !thread.has_room() {
            return Err(too_deep().into());
        }
        let nested = match self.vitals.lock.enter_as(thread.id()) {
            Entered::First => false,
            Entered::Again => true,
            Entered::No => {
                self.wait_for_lock(py, timeout)?;
                false
            }
        };
        self.begin(py, thread, nested)
    }

    /// The same without waiting: `None` if another thread is inside.
    pub(crate) fn enter_at_once<'a>(&'a self, py: Python<'a>) -> Result<Option<Guard<'a, B>>> {
        let thread = Thread::this();
        if !thread.has_room() {
            return Err(too_deep().into());
        }
        match self.vitals.lock.enter_as(thread.id()) {
            Entered::First => self.begin(py, thread, false).map(Some),
            Entered::Again => self.begin(py, thread, true).map(Some),
            Entered::No => Ok(None),
        }
    }

    /// Begins an operation of a thread that has just taken the lock.
    #[inline(always)]
    fn begin<'a>(&'a self, py: Python<'a>, thread: Thread, nested: bool) -> Result<Guard<'a, B>> {
        if !self.instance.is_open() {
            self.vitals.lock.release();
            return Err(Error::Closed);
        }
        self.instance.enter(thread);
        let entry = Entry { runtime: self, py, state: self.instance.state(), in_callback: false };
        let mut guard = Guard { entry, rest: 0 };
        let before = thread.instance();
        if nested || !before.is_null() || greenlets::may_be_there(py) {
            guard.enter_among_others(nested, before)?;
        }
        if self.pending.has(pending::BEGIN) {
            guard.begin_due(nested)?;
        }
        Ok(guard)
    }

    /// Waits until no other thread is inside. Time limits go on meanwhile, but for that of the runtime itself.
    #[cold]
    #[inline(never)]
    fn wait_for_lock(&self, py: Python<'_>, timeout: Option<Seconds>) -> Result<()> {
        let scopes =
            if self.pending.has(pending::LIMITS) { scope::of(py, self.id)? } else { Vec::new() };
        let scopes = scopes.iter().filter_map(|scope| scope.deadline);
        let deadline = Deadline::first(scopes.chain(timeout.map(Deadline::from)));
        match waiting::wait(py, &self.vitals, deadline) {
            Err(Error::Lost) if !self.instance.is_open() => Err(Error::Closed),
            result => result,
        }
    }

    /// An entry for a callback on the coroutine `state`: its thread has the lock already, and works on this
    /// instance.
    #[inline(always)]
    pub(crate) fn reenter<'a>(&'a self, py: Python<'a>, state: State<'a, B>) -> Entry<'a, B> {
        debug_assert!(self.vitals.lock.is_owned());
        Entry { runtime: self, py, state, in_callback: true }
    }
}

/// A stack could not be made: there is no memory for it, or a finalizer has raised.
#[cold]
fn no_stack<B: LuaBackend>(state: State<B>, failure: Raised) -> Error {
    let text =
        state.with_bytes(-1, |text| text.map(|text| String::from_utf8_lossy(text).into_owned()));
    state.pop(1);
    match text {
        Some(text) if failure.0 != ERRMEM => fallible::error::<LuaError>(text).into(),
        _ => Error::Memory,
    }
}

/// The right to work on a runtime: this thread is attached to Python and has the lock.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a, B: LuaBackend> {
    runtime: &'a Runtime<B>,
    pub(crate) py: Python<'a>,
    state: State<'a, B>,
    // Lua has called, and goes on when this ends.
    in_callback: bool,
}

impl<B: LuaBackend> Deref for Entry<'_, B> {
    type Target = Runtime<B>;

    #[inline(always)]
    fn deref(&self) -> &Runtime<B> {
        self.runtime
    }
}

impl<'a, B: LuaBackend> Entry<'a, B> {
    /// The stack that this works on.
    #[inline(always)]
    pub(crate) fn state(&self) -> State<'a, B> {
        self.state
    }

    /// Whether Lua has called, and goes on when this ends.
    pub(crate) fn is_in_callback(&self) -> bool {
        self.in_callback
    }

    /// The runtime, for longer than this is borrowed.
    #[inline(always)]
    pub(crate) fn runtime(&self) -> &'a Runtime<B> {
        self.runtime
    }
}

/// The lock held for one operation from Python. Pending work is done when the operation ends.
pub(crate) struct Guard<'a, B: LuaBackend> {
    entry: Entry<'a, B>,
    // The number of what is to be put back in the end; 0 where there is nothing, as for most.
    rest: usize,
}

/// The state that the end of an operation puts back.
pub(crate) struct Rest {
    // The instance that this thread worked on before.
    before: *const (),
    below: Option<Below>,
    // Where other greenlets are inside.
    own: Option<OwnStack>,
    // The limits that held before.
    limits: Option<Active>,
    // How many of the deadlines are of those around it.
    around: usize,
    // It has a time limit of its own.
    timed: bool,
}

impl Default for Rest {
    fn default() -> Self {
        Rest { before: null(), below: None, own: None, limits: None, around: 0, timed: false }
    }
}

/// The state below an entry that no callback has led to: C code that Lua has called has called Python by itself
/// (`ctypes`, a function pointer in a binary module).
struct Below {
    saved: *mut ffi::PyThreadState,
    current: Reentered,
}

impl<B: LuaBackend> Guard<'_, B> {
    /// Notes what is to be put back.
    fn note<R>(&mut self, work: impl FnOnce(&mut Rest) -> R) -> Result<R> {
        let mut all = self.entry.runtime.rests.try_borrow_mut().map_err(|_| Error::Memory)?;
        if self.rest == 0 {
            let free = all.iter().position(Option::is_none);
            if free.is_none() {
                vectors::push(&mut all, None)?;
            }
            self.rest = free.unwrap_or(all.len() - 1) + 1;
        }
        Ok(work(all[self.rest - 1].get_or_insert_default()))
    }

    fn take_rest(&mut self) -> Option<Rest> {
        let index = std::mem::take(&mut self.rest).checked_sub(1)?;
        self.entry.runtime.rests.borrow_mut().get_mut(index)?.take()
    }

    fn has_own_stack(&self) -> bool {
        let index = self.rest.wrapping_sub(1);
        let all = self.entry.runtime.rests.borrow();
        matches!(all.get(index), Some(Some(Rest { own: Some(_), .. })))
    }

    /// The pending work at the beginning of an operation.
    #[cold]
    fn begin_due(&mut self, nested: bool) -> Result<()> {
        let Entry { runtime, py, state, .. } = self.entry;
        if runtime.pending.has(pending::REFERENCES) {
            runtime.release_pending();
        }
        if !nested {
            // It was meant for what has ended meanwhile.
            runtime.stops.alarm.end_interruption();
        }
        if runtime.pending.has(pending::LIMITS) {
            let scopes = scope::of(py, runtime.id)?;
            let around = if !nested {
                None
            } else if self.has_own_stack() {
                // What holds now may be another greenlet's.
                match greenlets::current(py)? {
                    Some(current) => runtime.limits_around(&current)?,
                    None => None,
                }
            } else {
                Some(runtime.stops.limits.borrow().active.clone())
            };
            let inside = around.is_some();
            let mut active = around.unwrap_or_default();
            let deadlines = active.deadlines.len();
            let limits = runtime.stops.limits.borrow();
            for scope in scopes {
                if !active.scopes.iter().any(|other| Arc::ptr_eq(other, &scope)) {
                    active.scopes.push(scope);
                }
            }
            if !inside && let Some(timeout) = limits.timeout {
                active.deadlines.push(timeout.into());
            }
            drop(limits);
            let before = runtime.change_limits(state, active);
            self.note(|rest| (rest.limits, rest.around) = (Some(before), deadlines))?;
            runtime.expect_deadline();
        }
        Ok(())
    }

    /// A time limit for what is left of this operation.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn limit(&mut self, timeout: Seconds) -> Result<()> {
        let runtime = self.entry.runtime;
        // From now on each entry looks for the limits of its own context.
        if !self.note(|rest| std::mem::replace(&mut rest.timed, true))? {
            runtime.stops.scopes.fetch_add(1, Ordering::Relaxed);
            runtime.pending.set(pending::LIMITS);
        }
        {
            let mut limits = runtime.stops.limits.borrow_mut();
            let active = limits.active.clone();
            let around = self.note(|rest| {
                rest.limits.get_or_insert(active);
                rest.around
            })?;
            // In the place of the runtime's own.
            limits.active.deadlines.truncate(around);
            limits.active.deadlines.push(timeout.into());
        }
        runtime.apply_limits(self.entry.state);
        runtime.expect_deadline();
        Ok(())
    }

    /// The pending work at the end of an operation.
    #[cold]
    fn end_due(&mut self, limits: Option<Active>, own: bool) {
        let Entry { runtime, py, state, .. } = self.entry;
        if let Some(exception) = self.entry.take_stop() {
            // The operation has come to an end all the same, and its result stands.
            let known = crate::base::error::is_stop(py, &exception);
            if !known {
                exception.write_unraisable(py, None);
            }
        }
        let outermost = runtime.is_outermost();
        if let Some(limits) = limits {
            // On a stack of its own, what held before is another greenlet's, which puts its limits back when it goes on.
            let limits = if outermost || own { Active::default() } else { limits };
            runtime.change_limits(state, limits);
        }
        if outermost {
            if runtime.pending.has(pending::MIXED) {
                runtime.pending.clear(pending::MIXED);
                runtime.instance.end_mixed();
            }
            runtime.pending.clear(pending::STOP);
            runtime.stops.alarm.end_interruption();
        }
    }

    /// Others may be inside: finds the stack to work on.
    #[cold]
    #[inline(never)]
    fn enter_among_others(&mut self, nested: bool, before: *const ()) -> Result<()> {
        let runtime = self.entry.runtime;
        if !before.is_null() {
            self.note(|rest| rest.before = before)?;
        }
        let below = runtime.vitals.gil.take_out();
        let found = self.find_stack(nested);
        if below.is_null() {
            return found.map(drop);
        }
        match found {
            Ok(true) => self.enter_again(below),
            other => {
                runtime.vitals.gil.put_back(below);
                other?;
                // Of what waits below on another stack, nothing is known here.
                Err(Error::Switched)
            }
        }
    }

    /// Whether this works on top of what is inside.
    fn find_stack(&mut self, nested: bool) -> Result<bool> {
        let Entry { runtime, py, state, .. } = self.entry;
        let instance = &runtime.instance;
        if !instance.is_open() {
            return Ok(true);
        }
        let Some(current) = greenlets::current(py)? else { return Ok(true) };
        if !nested {
            runtime.inside.set(current.id());
            if let Err(failure) = instance.prepare_stacks(state) {
                return Err(no_stack(state, failure));
            }
            return Ok(true);
        }
        if !instance.is_mixed() && current.is(runtime.inside.get())? {
            return Ok(true);
        }
        if runtime.closing.get() {
            return Err(Error::Switched);
        }
        self.note(|_| ())?;
        let (own, state) = instance.take_stack().ok_or(Error::Switched)?;
        runtime.pending.set(pending::MIXED);
        self.entry.state = state;
        self.note(|rest| rest.own = Some(own))?;
        runtime.change();
        if let Err(failure) = instance.refill_stacks(state) {
            return Err(no_stack(state, failure));
        }
        Ok(false)
    }

    /// Lua runs below: what it is doing there waits until this guard is dropped.
    #[cold]
    fn enter_again(&mut self, saved: *mut ffi::PyThreadState) -> Result<()> {
        let runtime = self.entry.runtime;
        // Lua may have changed anything since the last entry.
        runtime.change();
        match runtime.instance.enter_again() {
            Some(current) => {
                self.note(|rest| rest.below = Some(Below { saved, current }))?;
                self.entry.state = runtime.instance.state();
                Ok(())
            }
            None => {
                runtime.vitals.gil.put_back(saved);
                Err(Error::Compiled)
            }
        }
    }

    /// The slow path of the end: there is pending work, or state to be put back.
    #[cold]
    #[inline(never)]
    fn end_with_more(&mut self) {
        let runtime = self.entry.runtime;
        runtime.drop_dead(self.entry.py);
        if runtime.pending.has(pending::AHEAD) {
            runtime.pending.clear(pending::AHEAD);
            runtime.ahead.clear(&self.entry);
        }
        let mut rest = self.take_rest().unwrap_or_default();
        if rest.timed {
            self.entry.runtime.stops.scopes.fetch_sub(1, Ordering::Relaxed);
        }
        self.end_due(rest.limits.take(), rest.own.is_some());
        self.entry.runtime.instance.leave();
        if let Some(below) = rest.below {
            self.leave_again(below);
        }
        if let Some(own) = rest.own {
            self.entry.runtime.instance.give_back(own);
        }
        if !rest.before.is_null() {
            go_back(rest.before);
        }
    }

    /// Lua goes on below.
    #[cold]
    fn leave_again(&self, below: Below) {
        let runtime = self.entry.runtime;
        runtime.change();
        runtime.instance.leave_again(below.current);
        runtime.vitals.gil.put_back(below.saved);
    }
}

impl<'a, B: LuaBackend> Deref for Guard<'a, B> {
    type Target = Entry<'a, B>;

    #[inline(always)]
    fn deref(&self) -> &Entry<'a, B> {
        &self.entry
    }
}

impl<B: LuaBackend> Drop for Guard<'_, B> {
    #[inline(always)]
    fn drop(&mut self) {
        let runtime = self.entry.runtime;
        if runtime.pending.any() || self.rest != 0 {
            self.end_with_more();
        } else {
            runtime.instance.leave();
        }
        runtime.vitals.lock.release();
    }
}
