//! [`Runtime`]: one Lua with its lock, its options and the Python objects in it.

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lua_api::{Gc, Instance, LuaBackend, OwnStack, Reentered, Ref, State, Thread};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::array::Arrays;
use crate::boxes::Boxes;
use crate::callback::too_deep;
use crate::chunks::Chunks;
use crate::cursor::Ahead;
use crate::encoding::Encoding;
use crate::error::{Error, Result, raised};
use crate::fallible;
use crate::gil::Before;
use crate::greenlets::{self, Greenlet};
use crate::limits::{Active, Deadline, Seconds};
use crate::lock::Entered;
use crate::monitor::{self, NEVER, Vitals, now};
use crate::restrict::Restrictions;
use crate::sandbox::Sandbox;
use crate::scope;
use crate::stop::{Due, Stops, due};
use crate::strings::Strings;
use crate::types::drop_object;
use crate::waiting;

/// What a `LuaRuntime` was created with.
pub(crate) struct Options {
    pub(crate) encoding: Encoding,
    pub(crate) source_encoding: Encoding,
    pub(crate) attribute_filter: Option<Py<PyAny>>,
    pub(crate) attribute_getter: Option<Py<PyAny>>,
    pub(crate) attribute_setter: Option<Py<PyAny>>,
    /// With a filter or handlers: what else they apply to.
    pub(crate) restrictions: Option<Arc<Restrictions>>,
    /// What Python objects are exposed, where others are opaque.
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) unpack_returned_tuples: bool,
    /// NumPy's arrays arrive in Lua as arrays.
    pub(crate) convert_arrays: bool,
    /// The index of the first element of an array in Lua: 1 or 0.
    pub(crate) array_base: i64,
}

/// Lua values that every runtime needs at hand; set once by [`crate::setup`].
#[derive(Default)]
pub(crate) struct Anchors {
    /// The metatable of boxes, and its address.
    pub(crate) metatable: Cell<Option<Ref>>,
    pub(crate) metatable_address: Cell<usize>,
    /// The identity cache: weak tables from address to box, for attribute and for item view, and for
    /// functions that a sandbox may call.
    pub(crate) boxes: [Cell<Option<Ref>>; 3],
    /// `python.none`.
    pub(crate) none: Cell<Option<Ref>>,
    /// The iterator function of `python.iter`.
    pub(crate) iterator: Cell<Option<Ref>>,
    /// The handler for integers that do not fit; the value may be `nil`.
    pub(crate) overflow: Cell<Option<Ref>>,
}

/// One Lua and everything that Python needs to use it.
pub(crate) struct Runtime<B: LuaBackend> {
    pub(crate) instance: Box<Instance<B>>,
    /// What others look at while Lua runs, the monitor above all.
    vitals: Arc<Vitals>,
    pub(crate) due: Due,
    pub(crate) stops: Stops,
    pub(crate) boxes: Boxes,
    pub(crate) strings: Strings,
    pub(crate) chunks: Chunks,
    pub(crate) arrays: Arrays,
    pub(crate) ahead: Ahead,
    // References whose wrappers died while another thread held the lock.
    pending: Mutex<Vec<Ref>>,
    pub(crate) options: Options,
    pub(crate) anchors: Anchors,
    /// A number that no other runtime has.
    pub(crate) id: usize,
    /// What this Lua calls itself.
    pub(crate) implementation: OnceCell<String>,
    /// Memory that the runtime used before any user code, in bytes.
    pub(crate) base_memory: Cell<usize>,
    /// How many blocks there are in which the collector does not run.
    pub(crate) without_gc: Cell<u32>,
    /// Who is inside, as long as one greenlet is.
    inside: Cell<Greenlet>,
    // What operations that have begun put back in the end.
    rests: RefCell<Vec<Option<Rest>>>,
    /// Lua is being closed.
    closing: Cell<bool>,
    // The Python object that owns this; borrowed.
    pub(crate) owner: Cell<*mut ffi::PyObject>,
}

fn next_id() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl<B: LuaBackend> Runtime<B> {
    pub(crate) fn new(instance: Box<Instance<B>>, options: Options) -> Self {
        let stops = Stops::default();
        let address = (&raw const *instance).addr();
        let vitals = Vitals::new(Arc::clone(instance.watch()), Arc::clone(&stops.alarm), address);
        Runtime {
            instance,
            vitals: Arc::new(vitals),
            due: Due::default(),
            stops,
            boxes: Boxes::default(),
            strings: Strings::default(),
            chunks: Chunks::default(),
            arrays: Arrays::default(),
            ahead: Ahead::default(),
            pending: Mutex::default(),
            options,
            anchors: Anchors::default(),
            id: next_id(),
            implementation: OnceCell::new(),
            base_memory: Cell::new(0),
            without_gc: Cell::new(0),
            inside: Cell::default(),
            rests: RefCell::default(),
            closing: Cell::new(false),
            owner: Cell::new(null_mut()),
        }
    }

    /// Notes that this is there.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn register(&self) -> Result<()> {
        waiting::register(&self.vitals)
    }

    /// The Python object that owns this runtime; borrowed.
    #[inline(always)]
    pub(crate) fn owner(&self) -> *mut ffi::PyObject {
        self.owner.get()
    }

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
        // SAFETY: the calling thread's.
        if !unsafe { thread.as_ref() }.has_room() {
            return Err(too_deep().into());
        }
        let nested = match self.vitals.lock.enter_as(thread.as_ptr() as usize) {
            Entered::First => false,
            Entered::Again => true,
            Entered::No => {
                self.wait_for_lock(py, timeout)?;
                false
            }
        };
        self.instance.set_thread(thread);
        // SAFETY: the calling thread's, which has the lock.
        unsafe { thread.as_ref().tell_room(self.instance.watch()) };
        let entry = Entry { runtime: self, py, state: self.instance.state() };
        let mut guard = Guard { entry, rest: 0 };
        // SAFETY: the calling thread's.
        let before = unsafe { thread.as_ref() }.instance();
        if nested || !before.is_null() || greenlets::may_be_there(py) {
            guard.enter_among_others(nested, before)?;
        }
        if !self.instance.is_open() {
            return Err(Error::Closed);
        }
        if self.due.any() {
            guard.begin_due(nested)?;
        }
        Ok(guard)
    }

    /// Waits until no other thread is inside. Time limits go on meanwhile, but for that of the runtime itself.
    #[cold]
    #[inline(never)]
    fn wait_for_lock(&self, py: Python<'_>, timeout: Option<Seconds>) -> Result<()> {
        let scopes = if self.due.has(due::LIMITS) { scope::of(py, self.id)? } else { Vec::new() };
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
    pub(crate) fn reenter<'a>(&'a self, py: Python<'a>, state: State<B>) -> Entry<'a, B> {
        debug_assert!(self.vitals.lock.is_owned());
        Entry { runtime: self, py, state }
    }

    /// Whether another thread is inside.
    pub(crate) fn is_in_use_elsewhere(&self) -> bool {
        self.vitals.lock.is_held() && !self.vitals.lock.is_owned()
    }

    /// Whether what runs was not called by Lua code of this runtime.
    pub(crate) fn is_outermost(&self) -> bool {
        self.vitals.lock.depth() == 1
    }

    /// The monitor shall know of the deadline; and what is over already need not wait for it.
    pub(crate) fn expect_deadline(&self) {
        let deadline = self.stops.alarm.deadline();
        if deadline == NEVER {
            return;
        }
        self.be_watched();
        if deadline <= now() {
            self.vitals.nudge();
        } else {
            monitor::expect(deadline);
        }
    }

    /// Has the monitor look after this runtime; false if there can be no monitor.
    #[inline(always)]
    pub(crate) fn be_watched(&self) -> bool {
        self.vitals.pulse.is_watched() || monitor::watch(&self.vitals)
    }

    /// Stops what runs in this runtime, from any thread; false if nothing does.
    pub(crate) fn interrupt(&self) -> bool {
        if !self.vitals.lock.is_held() {
            return false;
        }
        self.stops.alarm.interrupt();
        self.due.set(due::STOP);
        self.vitals.nudge();
        self.be_watched();
        true
    }

    #[cold]
    fn release_pending(&self) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        self.due.clear(due::REFERENCES);
        for reference in pending.drain(..) {
            self.instance.release(reference);
        }
    }

    /// Gives a reference back, now or, when another thread holds the lock, soon. Never waits.
    pub(crate) fn drop_ref(&self, reference: Ref) {
        let mine = self.vitals.lock.try_acquire();
        if mine && !self.vitals.gil.is_below() {
            self.instance.release(reference);
            self.vitals.lock.release();
        } else {
            if mine {
                self.vitals.lock.release();
            }
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.push(reference);
            self.due.set(due::REFERENCES);
        }
    }

    /// A number that is another one after Lua code has run, or a table was written to from Python:
    /// as long as it is the same, what was read of a table is still true. (Finalizers, which may run
    /// at any time, do not count: they might have run later.)
    #[inline(always)]
    pub(crate) fn epoch(&self) -> u64 {
        self.vitals.epoch.load(Ordering::Relaxed)
    }

    /// Notes that tables may change. Attached, with the lock held.
    #[inline(always)]
    pub(crate) fn change(&self) {
        // Only the lock's owner writes it; the monitor reads it.
        let next = self.vitals.epoch.load(Ordering::Relaxed).wrapping_add(1);
        self.vitals.epoch.store(next, Ordering::Relaxed);
    }

    /// Lets other Python threads run while Lua does. The lock is held.
    #[inline(always)]
    pub(crate) fn detach(&self) {
        self.change();
        let watched = self.be_watched();
        self.vitals.gil.detach(watched && self.may_keep_gil());
    }

    /// The same at the end of a callback, whose beginning has noted the change.
    #[inline(always)]
    pub(crate) fn detach_again(&self, before: Before) {
        self.vitals.gil.detach_again(before, self.may_keep_gil());
    }

    /// Whether whoever wants Python's lock meanwhile gets it.
    #[inline(always)]
    fn may_keep_gil(&self) -> bool {
        !self.instance.watch().waits_untold()
    }

    /// Attaches to Python again, if Lua was running detached.
    #[inline(always)]
    pub(crate) fn attach(&self) {
        self.vitals.gil.attach();
    }

    /// The same in a callback.
    #[inline(always)]
    pub(crate) fn attach_in_callback(&self) -> Before {
        self.vitals.gil.attach_in_callback(self.instance.watch().waits_untold())
    }

    /// Others shall be able to run now, whatever [`Runtime::detach`] thought of it.
    pub(crate) fn let_go(&self) {
        self.vitals.gil.let_go();
    }

    /// Drops the objects whose boxes were finalized. Runs Python code; the lock is held.
    #[inline(always)]
    pub(crate) fn drop_dead(&self) {
        if self.boxes.has_dead() {
            self.drop_all_dead();
        }
    }

    #[cold]
    fn drop_all_dead(&self) {
        while self.boxes.has_dead() {
            if let Some(object) = self.boxes.take_dead() {
                // SAFETY: attached; the reference came from the slot.
                unsafe { drop_object(object) };
            }
        }
    }

    /// Closes Lua because the host asks for it: waits until no other thread uses it.
    ///
    /// # Errors
    /// [`Error::Busy`] inside of a use of this very runtime, which is to go on after; and
    /// [`Error::Pinned`] while Python uses memory of Lua.
    pub(crate) fn close_on_request(&self, py: Python<'_>) -> Result<()> {
        if self.vitals.lock.is_owned() {
            return if self.instance.is_open() { Err(Error::Busy) } else { Ok(()) };
        }
        let guard = match self.enter(py) {
            Err(Error::Closed) => return Ok(()),
            Err(Error::Lost) => {
                self.instance.abandon();
                return Err(Error::Lost);
            }
            guard => guard?,
        };
        if self.arrays.are_pinned() {
            // Arrays that only garbage of Lua refers to are no reason to refuse.
            let state = guard.state();
            if state.protect(|raising| raising.gc(Gc::Collect)).is_err() {
                state.pop(1);
            }
            self.drop_dead();
            // What was dropped may have run any code, but for this function.
            if self.arrays.are_pinned() {
                return Err(Error::Pinned);
            }
        }
        self.close();
        Ok(())
    }

    /// Closes Lua for a slot of the owner: whoever could hold the lock has a reference to that, so
    /// the lock is free, or ours.
    pub(crate) fn close_guarded(&self, py: Python<'_>) {
        let closed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if !self.vitals.lock.try_acquire() {
                return;
            }
            self.vitals.lock.release();
            // Finalizers are under the limits of an entry.
            match self.enter(py) {
                Ok(guard) => {
                    self.close();
                    drop(guard);
                }
                Err(Error::Closed | Error::Lost) => {}
                Err(error) => PyErr::from(error).write_unraisable(py, None),
            }
        }));
        drop(closed);
    }

    /// Closes Lua, running its finalizers, and drops every Python object that it held.
    fn close(&self) {
        self.change();
        self.arrays.end_adoption();
        if self.instance.is_open() {
            self.be_watched();
            self.closing.set(true);
            self.instance.close();
            self.closing.set(false);
        }
        self.strings.clear();
        self.chunks.clear();
        for object in self.boxes.take_all() {
            // SAFETY: attached; the references came from the slots.
            unsafe { drop_object(object) };
        }
    }
}

impl<B: LuaBackend> Drop for Runtime<B> {
    fn drop(&mut self) {
        monitor::forget(&self.vitals);
        waiting::forget(&self.vitals);
    }
}

/// The right to work on a runtime: this thread is attached to Python and has the lock.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a, B: LuaBackend> {
    runtime: &'a Runtime<B>,
    pub(crate) py: Python<'a>,
    state: State<B>,
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
    pub(crate) fn state(&self) -> State<B> {
        self.state
    }

    /// The runtime, for longer than this is borrowed.
    #[inline(always)]
    pub(crate) fn runtime(&self) -> &'a Runtime<B> {
        self.runtime
    }
}

/// The lock held for one operation from Python; what is due is done when it ends.
pub(crate) struct Guard<'a, B: LuaBackend> {
    entry: Entry<'a, B>,
    // The number of what is to be put back in the end; 0 where there is nothing, as for most.
    rest: usize,
}

/// What the end of an operation puts back.
struct Rest {
    // What this thread worked on before.
    before: *const (),
    below: Option<Below>,
    // Where other greenlets are inside.
    own: Option<OwnStack>,
    // The limits that held before.
    limits: Option<Active>,
}

impl Default for Rest {
    fn default() -> Self {
        Rest { before: null(), below: None, own: None, limits: None }
    }
}

/// What runs below an entry that no callback has led to: C code that Lua has called came to Python by itself
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
                fallible::push(&mut all, None)?;
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

    /// What is to be done when an operation begins.
    #[cold]
    fn begin_due(&mut self, nested: bool) -> Result<()> {
        let Entry { runtime, py, state } = self.entry;
        if runtime.due.has(due::REFERENCES) {
            runtime.release_pending();
        }
        if !nested {
            // It was meant for what has ended meanwhile.
            runtime.stops.alarm.end_interruption();
        }
        if runtime.due.has(due::LIMITS) {
            let scopes = scope::of(py, runtime.id)?;
            let inside = nested && !self.has_own_stack();
            let limits = runtime.stops.limits.borrow();
            let mut active = if inside { limits.active.clone() } else { Active::default() };
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
            self.note(|rest| rest.limits = Some(before))?;
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
        let alone = runtime.is_outermost() || self.has_own_stack();
        {
            let mut limits = runtime.stops.limits.borrow_mut();
            let active = limits.active.clone();
            // In the place of the runtime's own.
            let around = self.note(|rest| rest.limits.get_or_insert(active).deadlines.len())?;
            let around = around.min(limits.active.deadlines.len());
            let around = if alone { 0 } else { around };
            limits.active.deadlines.truncate(around);
            limits.active.deadlines.push(timeout.into());
        }
        runtime.apply_limits(self.entry.state);
        runtime.expect_deadline();
        Ok(())
    }

    /// What is to be done when an operation ends.
    #[cold]
    fn end_due(&mut self, limits: Option<Active>) {
        let Entry { runtime, py, state } = self.entry;
        if let Some(exception) = self.entry.take_stop() {
            // The operation has come to an end all the same, and its result stands.
            let known = crate::error::is_stop(py, &exception);
            if !known {
                exception.write_unraisable(py, None);
            }
        }
        let outermost = runtime.is_outermost();
        if let Some(limits) = limits {
            let limits = if outermost { Active::default() } else { limits };
            runtime.change_limits(state, limits);
        }
        if outermost {
            if runtime.due.has(due::MIXED) {
                runtime.due.clear(due::MIXED);
                runtime.instance.end_mixed();
            }
            runtime.due.clear(due::STOP);
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
        let Entry { runtime, py, state } = self.entry;
        let instance = &runtime.instance;
        if !instance.is_open() {
            return Ok(true);
        }
        let Some(current) = greenlets::current(py)? else { return Ok(true) };
        if !nested {
            runtime.inside.set(current.id());
            if let Err(failure) = instance.prepare_stacks(state) {
                return Err(raised(&self.entry, state, failure));
            }
            return Ok(true);
        }
        if !instance.is_mixed() && current.is(runtime.inside.get())? {
            return Ok(true);
        }
        if runtime.closing.get() {
            return Err(Error::Switched);
        }
        let (own, state) = instance.take_stack().ok_or(Error::Switched)?;
        self.entry.state = state;
        self.note(|rest| rest.own = Some(own))?;
        runtime.due.set(due::MIXED);
        runtime.change();
        if let Err(failure) = instance.refill_stacks(state) {
            return Err(raised(&self.entry, state, failure));
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

    /// Ends where there is something due, or to be put back.
    #[cold]
    #[inline(never)]
    fn end_with_more(&mut self) {
        let mut rest = self.take_rest().unwrap_or_default();
        self.end_due(rest.limits.take());
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

/// What this thread worked on before may go on; with greenlets it may also have ended.
fn go_back(before: *const ()) {
    if greenlets::are_there() && !waiting::is_inside(before.addr()) {
        return;
    }
    // SAFETY: the calling thread's. Without greenlets, who has entered before leaves later; with them, it was found to
    // be there.
    unsafe { Thread::this().as_ref().go_back_to(before) };
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
        runtime.drop_dead();
        if runtime.ahead.is_held() {
            runtime.ahead.clear(&self.entry);
        }
        if runtime.due.any() || self.rest != 0 {
            self.end_with_more();
        } else {
            runtime.instance.leave();
        }
        runtime.vitals.lock.release();
    }
}
