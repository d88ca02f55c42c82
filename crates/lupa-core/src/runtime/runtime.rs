//! [`Runtime`]: one Lua with its lock, its options and the Python objects in it.
#![forbid(unsafe_code)]

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lua_api::{Gc, Instance, LuaBackend, Ref};
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::base::gil::Before;
use crate::runtime::ahead::Ahead;
use crate::runtime::arrays::{ArrayHooks, Arrays};
use crate::runtime::boxes::Boxes;
use crate::runtime::chunks::Chunks;
use crate::runtime::entry::Rest;
use crate::runtime::greenlets::Greenlet;
use crate::runtime::options::Options;
use crate::runtime::owned::OwnerPlace;
use crate::runtime::stop::deadline::{NEVER, now};
use crate::runtime::stop::monitor::{self, Vitals};
use crate::runtime::stop::pending;
use crate::runtime::stop::pending::Pending;
use crate::runtime::stop::stops::Stops;
use crate::runtime::strings::Strings;
use crate::runtime::texts::Texts;
use crate::runtime::waiting;
use crate::runtime::weight::Weight;

/// Lua values that every runtime needs at hand; set once by [`crate::python_lib::setup`].
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
    /// `python.array_mt`: the metatable that marks lists.
    pub(crate) array_mt: Cell<Option<Ref>>,
    /// The iterator function of `python.iter`.
    pub(crate) iterator: Cell<Option<Ref>>,
    /// The handler for integers that do not fit; the value may be `nil`.
    pub(crate) overflow: Cell<Option<Ref>>,
    /// The address of the function that `python.as_function` makes closures of.
    pub(crate) as_function: Cell<usize>,
}

/// One Lua and everything that Python needs to use it.
pub(crate) struct Runtime<B: LuaBackend> {
    pub(crate) instance: Box<Instance<B>>,
    /// The part that other threads may look at while Lua runs, the monitor above all.
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) pending: Pending,
    pub(crate) stops: Stops,
    pub(crate) boxes: Boxes,
    pub(crate) strings: Strings,
    pub(crate) chunks: Chunks,
    pub(crate) texts: Texts,
    pub(crate) arrays: Arrays<B>,
    pub(crate) ahead: Ahead,
    // References whose wrappers died while another thread held the lock.
    released: Mutex<Vec<Ref>>,
    pub(crate) options: Options,
    pub(crate) anchors: Anchors,
    /// A number that no other runtime has.
    pub(crate) id: usize,
    /// The name and version of this Lua.
    pub(crate) implementation: OnceCell<String>,
    /// Memory that the runtime used before any user code, in bytes.
    pub(crate) base_memory: Cell<usize>,
    /// The last objects of which LuaJIT has read a method for a tail call, by address.
    pub(crate) tail_reads: Cell<[usize; 4]>,
    // How often Lua had been refused memory when that was asked last.
    refusals: Cell<u64>,
    /// The number of `nogc` blocks, in which the collector does not run.
    pub(crate) without_gc: Cell<u32>,
    /// The greenlet that is inside, as long as there is only one.
    pub(crate) inside: Cell<Greenlet>,
    // The state that the operations in progress put back at their ends.
    pub(crate) rests: RefCell<Vec<Option<Rest>>>,
    /// Lua is being closed.
    pub(crate) closing: Cell<bool>,
    /// The Python object that owns this.
    pub(crate) owner: OwnerPlace,
}

fn next_id() -> usize {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl<B: LuaBackend> Runtime<B> {
    pub(crate) fn new(instance: Box<Instance<B>>, options: Options, hooks: ArrayHooks<B>) -> Self {
        let stops = Stops::default();
        let address = (&raw const *instance).addr();
        let vitals = Vitals::new(Arc::clone(instance.watch()), Arc::clone(&stops.alarm), address);
        Runtime {
            instance,
            vitals: Arc::new(vitals),
            pending: Pending::default(),
            stops,
            boxes: Boxes::default(),
            strings: Strings::default(),
            chunks: Chunks::default(),
            texts: Texts::default(),
            arrays: Arrays::new(hooks),
            ahead: Ahead::default(),
            released: Mutex::default(),
            options,
            anchors: Anchors::default(),
            id: next_id(),
            implementation: OnceCell::new(),
            base_memory: Cell::new(0),
            tail_reads: Cell::default(),
            refusals: Cell::new(0),
            without_gc: Cell::new(0),
            inside: Cell::default(),
            rests: RefCell::default(),
            closing: Cell::new(false),
            owner: OwnerPlace::default(),
        }
    }

    /// Puts this runtime into the list of all runtimes.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn register(&self) -> Result<()> {
        waiting::register(&self.vitals)
    }

    /// Whether another thread is inside.
    pub(crate) fn is_in_use_elsewhere(&self) -> bool {
        self.vitals.lock.is_held() && !self.vitals.lock.is_owned()
    }

    /// Whether Lua may have been refused memory since this was asked last.
    pub(crate) fn may_have_lacked_memory(&self) -> bool {
        let memory = self.instance.memory();
        let now = memory.refusals();
        self.refusals.replace(now) != now || !memory.sees_refusals()
    }

    /// Whether what runs was not called by Lua code of this runtime.
    pub(crate) fn is_outermost(&self) -> bool {
        self.vitals.lock.depth() == 1
    }

    /// Tells the monitor of the deadline. A deadline that is over takes effect at once.
    pub(crate) fn expect_deadline(&self) {
        let deadline = self.stops.alarm.deadline();
        if deadline == NEVER {
            return;
        }
        self.be_watched();
        if deadline <= now() {
            self.vitals.ask_for_hook();
        } else {
            monitor::expect(deadline);
        }
    }

    /// Has the monitor look after this runtime; false if there can be no monitor.
    #[inline(always)]
    pub(crate) fn be_watched(&self) -> bool {
        self.vitals.listing.is_watched() || monitor::watch(&self.vitals)
    }

    /// Stops what runs in this runtime, from any thread; false if nothing does.
    pub(crate) fn interrupt(&self) -> bool {
        if !self.vitals.lock.is_held() {
            return false;
        }
        self.stops.alarm.interrupt();
        self.pending.set(pending::STOP);
        self.vitals.ask_for_hook();
        self.be_watched();
        true
    }

    #[cold]
    pub(crate) fn release_pending(&self) {
        let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
        self.pending.clear(pending::REFERENCES);
        for reference in released.drain(..) {
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
            let mut released = self.released.lock().unwrap_or_else(PoisonError::into_inner);
            released.push(reference);
            self.pending.set(pending::REFERENCES);
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

    /// Whether other threads get the GIL meanwhile.
    #[inline(always)]
    fn may_keep_gil(&self) -> bool {
        !self.instance.watch().waits_unannounced()
    }

    /// Attaches to Python again, if Lua was running detached.
    #[inline(always)]
    pub(crate) fn attach(&self) {
        self.vitals.gil.attach();
    }

    /// The same in a callback.
    #[inline(always)]
    pub(crate) fn attach_in_callback(&self) -> Before {
        self.vitals.gil.attach_in_callback(self.instance.watch().waits_unannounced())
    }

    /// Releases the GIL if [`Runtime::detach`] has kept it.
    pub(crate) fn let_go(&self) {
        self.vitals.gil.let_go();
    }

    /// Drops the objects whose boxes were finalized. Runs Python code; the lock is held.
    #[inline(always)]
    pub(crate) fn drop_dead(&self, py: Python<'_>) {
        if self.pending.has(pending::DEAD) {
            self.drop_all_dead(py);
        }
    }

    #[cold]
    fn drop_all_dead(&self, py: Python<'_>) {
        // Dropping objects may make finalizers leave more.
        self.pending.clear(pending::DEAD);
        self.boxes.drop_dead(py);
    }

    /// Notes that a finalizer has given up a box that counted for so much.
    #[inline]
    pub(crate) fn gave_up(&self, weight: Weight) {
        self.pending.set_once(pending::DEAD);
        self.lift(weight);
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
            self.drop_dead(py);
            // Dropping may have run any code, except this function.
            if self.arrays.are_pinned() {
                return Err(Error::Pinned);
            }
        }
        self.close(py);
        Ok(())
    }

    /// Closes Lua for a slot of the owner: a thread that holds the lock has a reference to the owner, so the lock is
    /// free, or this thread's.
    pub(crate) fn close_guarded(&self, py: Python<'_>) {
        let closed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            if !self.vitals.lock.try_acquire() {
                return;
            }
            self.vitals.lock.release();
            // Finalizers are under the limits of an entry.
            match self.enter(py) {
                Ok(guard) => {
                    self.close(py);
                    drop(guard);
                }
                Err(Error::Closed | Error::Lost) => {}
                Err(error) => PyErr::from(error).write_unraisable(py, None),
            }
        }));
        drop(closed);
    }
}

impl<B: LuaBackend> Drop for Runtime<B> {
    fn drop(&mut self) {
        monitor::forget(&self.vitals);
        waiting::forget(&self.vitals);
    }
}
