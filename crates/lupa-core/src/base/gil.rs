//! [`Gil`]: what becomes of Python's lock while Lua runs.
//!
//! It is given up, so that other threads run meanwhile. Where Python has no other thread, nobody would
//! take it, and it is kept: to give it up and take it back is half of a short call. Yet somebody may come
//! and want it: a thread that Python knows nothing of calls it now and then. So what runs long gives it up
//! after all, when the monitor asks, and so does what may wait for something outside of Lua
//! (`lua_api::raw::WAIT`).

use std::ptr::{null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi::{self, PyGILState_STATE, PyThreadState};

use crate::base::guard::{parked, unwinding};

/// In the place of a thread state: Lua runs attached.
const KEPT: *mut PyThreadState = without_provenance_mut(1);

/// Whether this thread gave the lock up when Lua began to run. Only the owner of the runtime's lock changes
/// this; the monitor reads it.
#[derive(Default)]
pub(crate) struct Gil {
    // Null, `KEPT`, or the thread state to come back with: see `Before`.
    saved: AtomicPtr<PyThreadState>,
    // The lock was kept since the monitor has looked.
    lately: AtomicBool,
}

/// How things were before [`Gil::attach_in_callback`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Attached, and Lua was not run: a finalizer came in the middle of something short.
    Attached,
    /// Lua ran, and the lock was kept.
    Kept,
    /// Lua ran without the lock.
    Detached,
    /// Lua ran in a way that does not tell, see [`Gil::attach`]: what has to be given back to Python.
    Unknown(PyGILState_STATE, *mut PyThreadState),
}

impl Gil {
    /// Lua is about to run; `may_keep` if the monitor can ask for the lock.
    #[inline(always)]
    pub(crate) fn detach(&self, may_keep: bool) {
        debug_assert!(self.saved.load(Ordering::Relaxed).is_null());
        if may_keep && is_alone() {
            self.saved.store(KEPT, Ordering::Relaxed);
            if !self.lately.load(Ordering::Relaxed) {
                self.lately.store(true, Ordering::Relaxed);
            }
        } else {
            self.give_up();
        }
    }

    #[inline(always)]
    fn give_up(&self) {
        // SAFETY: attached, as everywhere in Python's own calls.
        self.saved.store(unsafe { ffi::PyEval_SaveThread() }, Ordering::Relaxed);
    }

    /// Lua is left to Python code that has run it: attaches, if that was given up.
    #[inline(always)]
    pub(crate) fn attach(&self) {
        let saved = self.saved.load(Ordering::Relaxed);
        self.saved.store(null_mut(), Ordering::Relaxed);
        if !saved.is_null() && saved != KEPT {
            // SAFETY: saved by this very thread: Lua runs only where the lock is held.
            parked(|| unsafe { unwinding::restore_thread(saved) });
        }
    }

    /// Lua calls Python code: attaches, unless this thread is. Where C code that says nothing of it may be
    /// between Lua and Python (`unannounced`), whether it is has to be asked for.
    #[inline(always)]
    pub(crate) fn attach_in_callback(&self, unannounced: bool) -> Before {
        let saved = self.saved.load(Ordering::Relaxed);
        if unannounced {
            return self.ensure(saved);
        }
        self.saved.store(null_mut(), Ordering::Relaxed);
        if saved.is_null() {
            return Before::Attached;
        }
        if saved == KEPT {
            return Before::Kept;
        }
        // SAFETY: as in `attach`.
        parked(|| unsafe { unwinding::restore_thread(saved) });
        Before::Detached
    }

    /// As [`Gil::attach_in_callback`]: C code below Lua may have attached this thread, or (as `ctypes` does
    /// it) C code above have detached it, and have called Lua.
    #[inline(never)]
    fn ensure(&self, saved: *mut PyThreadState) -> Before {
        self.saved.store(null_mut(), Ordering::Relaxed);
        if saved == KEPT {
            return Before::Kept;
        }
        // SAFETY: for any thread, in any state.
        Before::Unknown(parked(|| unsafe { unwinding::ensure() }), saved)
    }

    /// Lua goes on after a callback, which may have started threads.
    #[inline(always)]
    pub(crate) fn detach_again(&self, before: Before, may_keep: bool) {
        match before {
            Before::Attached => {}
            Before::Kept => self.detach(may_keep),
            Before::Detached => self.give_up(),
            Before::Unknown(state, saved) => {
                // SAFETY: paired with `ensure`.
                unsafe { ffi::PyGILState_Release(state) };
                self.saved.store(saved, Ordering::Relaxed);
            }
        }
    }

    /// C code below Lua has come to Python, which uses this Lua again: what has to be put back by
    /// [`Gil::put_back`], and null if it is not so. For the owner of the runtime's lock, attached.
    #[inline(always)]
    pub(crate) fn take_out(&self) -> *mut PyThreadState {
        let saved = self.saved.load(Ordering::Relaxed);
        if !saved.is_null() {
            self.saved.store(null_mut(), Ordering::Relaxed);
        }
        saved
    }

    /// Ends what [`Gil::take_out`] has begun: Lua goes on to run below.
    pub(crate) fn put_back(&self, saved: *mut PyThreadState) {
        self.saved.store(saved, Ordering::Relaxed);
    }

    /// Whether Lua runs below, so that nothing can be done with it here but by [`Gil::take_out`]. For the
    /// owner of the runtime's lock.
    pub(crate) fn is_below(&self) -> bool {
        !self.saved.load(Ordering::Relaxed).is_null()
    }

    /// Gives the lock up if it was kept. For the thread that runs Lua.
    pub(crate) fn let_go(&self) {
        if self.is_kept() {
            self.give_up();
        }
    }

    /// Whether Lua runs, and its thread has kept Python's lock. For any thread.
    pub(crate) fn is_kept(&self) -> bool {
        self.saved.load(Ordering::Relaxed) == KEPT
    }

    /// Whether it was kept since this was asked last. For any thread.
    pub(crate) fn was_kept(&self) -> bool {
        self.lately.swap(false, Ordering::Relaxed)
    }
}

#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy)))]
mod threads {
    use super::*;

    /// The interpreter that has imported this module.
    static OURS: AtomicPtr<ffi::PyInterpreterState> = AtomicPtr::new(null_mut());

    pub(crate) fn init() {
        // SAFETY: attached.
        unsafe {
            let ours = ffi::PyInterpreterState_Get();
            // The first one is the last of the list for ever; with another one the lock is not kept.
            if ffi::PyInterpreterState_Next(ours).is_null() {
                OURS.store(ours, Ordering::Relaxed);
            }
        }
    }

    /// Whether Python has no other thread than this one, in no interpreter. Attached.
    #[inline(always)]
    pub(super) fn is_alone() -> bool {
        let ours = OURS.load(Ordering::Relaxed);
        // SAFETY: attached. New interpreters and thread states are put at the beginning of their lists, where
        // only addresses are compared: of what others may free meanwhile, nothing is read.
        unsafe {
            let this = ffi::PyThreadState_Get();
            ffi::PyInterpreterState_Head() == ours
                && ffi::PyInterpreterState_ThreadHead(ours) == this
                && ffi::PyThreadState_Next(this).is_null()
        }
    }
}

/// Without a lock nothing is kept; the stable ABI does not tell of threads.
#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy))]
mod threads {
    pub(crate) fn init() {}

    #[inline(always)]
    pub(super) fn is_alone() -> bool {
        false
    }
}

pub(crate) use threads::init;
use threads::is_alone;
