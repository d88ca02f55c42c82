//! [`Gil`]: what becomes of Python's lock while Lua runs.
//!
//! It is given up, so that other threads run meanwhile. Where Python has no other thread, nobody would
//! take it, and it is kept: to give it up and take it back is half of a short call. Yet somebody may come
//! and want it: a thread that Python knows nothing of calls it now and then. So what runs long gives it up
//! after all, when the monitor asks, and so does what may wait for something outside of Lua
//! ([`lua_api::WAIT`]).

use std::ptr::{null_mut, without_provenance_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use pyo3::ffi::{self, PyThreadState};

use crate::guard::{parked, unwinding};

/// In the place of a thread state: Lua runs attached.
const KEPT: *mut PyThreadState = without_provenance_mut(1);

/// Whether this thread gave the lock up when Lua began to run. Only the owner of the runtime's lock writes
/// this; the monitor reads it.
#[derive(Default)]
pub(crate) struct Gil {
    // The thread state to come back with; null where Python's code runs.
    saved: AtomicPtr<PyThreadState>,
    // The lock was kept since the monitor has looked.
    lately: AtomicBool,
}

/// How things were before [`Gil::attach`].
#[derive(Clone, Copy)]
pub(crate) struct Before(*mut PyThreadState);

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

    /// Python code is about to run: attaches, unless this thread is.
    #[inline(always)]
    pub(crate) fn attach(&self) -> Before {
        let saved = self.saved.load(Ordering::Relaxed);
        self.saved.store(null_mut(), Ordering::Relaxed);
        if !saved.is_null() && saved != KEPT {
            // SAFETY: saved by this very thread: Lua runs only where the lock is held.
            parked(|| unsafe { unwinding::restore_thread(saved) });
        }
        Before(saved)
    }

    /// Lua goes on after a callback, which may have started threads.
    #[inline(always)]
    pub(crate) fn detach_again(&self, before: Before, may_keep: bool) {
        match before.0 {
            // What called it was no run of Lua: a finalizer in the middle of something short.
            null if null.is_null() => {}
            KEPT => self.detach(may_keep),
            _ => self.give_up(),
        }
    }

    /// Gives the lock up if it was kept.
    pub(crate) fn let_go(&self) {
        if self.is_kept() {
            self.give_up();
        }
    }

    /// Whether Lua runs, and this thread has kept Python's lock. For any thread.
    pub(crate) fn is_kept(&self) -> bool {
        self.saved.load(Ordering::Relaxed) == KEPT
    }

    /// Whether it was kept since this was asked last.
    pub(crate) fn was_kept(&self) -> bool {
        self.lately.swap(false, Ordering::Relaxed)
    }
}

/// Whether Python has no other thread than this one, in no interpreter. Attached.
#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy)))]
#[inline(always)]
fn is_alone() -> bool {
    // SAFETY: attached, so that no thread state is taken off the list meanwhile; new ones are put at its
    // beginning, as new interpreters are. What is read of them are these links only.
    unsafe {
        let interpreter = ffi::PyInterpreterState_Head();
        ffi::PyInterpreterState_Next(interpreter).is_null()
            && ffi::PyThreadState_Next(ffi::PyInterpreterState_ThreadHead(interpreter)).is_null()
    }
}

/// Without a lock nothing is kept; the stable ABI does not tell of threads.
#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy))]
#[inline(always)]
fn is_alone() -> bool {
    false
}
