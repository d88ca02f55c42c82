//! [`Lock`]: the re-entrant lock of a runtime, right with and without a GIL.
//!
//! It is taken and given back attached to Python only. With a GIL that alone makes looking at the
//! owner and becoming it one step; without one it takes an atomic exchange, and stronger ordering.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use lua_api::Thread;
use pyo3::prelude::*;

/// A re-entrant lock. Waiting for it never happens while attached to Python.
#[derive(Default)]
pub(crate) struct Lock {
    owner: AtomicUsize,
    // Touched by the owner only.
    count: Cell<u32>,
    waiters: AtomicUsize,
    gate: Mutex<()>,
    freed: Condvar,
}

// SAFETY: `count` is read and written only by the thread whose identity is in `owner`.
unsafe impl Sync for Lock {}

/// A number that no other living thread has; never 0.
#[inline(always)]
fn this_thread() -> usize {
    Thread::this().as_ptr() as usize
}

impl Lock {
    /// Takes the lock, waiting detached from Python if another thread has it.
    #[inline]
    pub(crate) fn acquire(&self, py: Python<'_>) {
        self.acquire_as(this_thread(), py);
    }

    /// Takes the lock for the calling thread, whose number is `me`.
    #[inline(always)]
    pub(crate) fn acquire_as(&self, me: usize, py: Python<'_>) {
        if !self.try_acquire_as(me) {
            self.wait(py);
        }
    }

    /// Takes the lock if no other thread has it.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        self.try_acquire_as(this_thread())
    }

    #[inline(always)]
    fn try_acquire_as(&self, me: usize) -> bool {
        if self.owner.load(Ordering::Relaxed) == me {
            self.count.set(self.count.get() + 1);
            return true;
        }
        self.try_own(me)
    }

    #[cfg(not(Py_GIL_DISABLED))]
    #[inline(always)]
    fn try_own(&self, me: usize) -> bool {
        let free = self.owner.load(Ordering::Relaxed) == 0;
        if free {
            self.owner.store(me, Ordering::Relaxed);
            self.count.set(1);
        }
        free
    }

    #[cfg(Py_GIL_DISABLED)]
    #[inline]
    fn try_own(&self, me: usize) -> bool {
        let free = self.owner.compare_exchange(0, me, Ordering::SeqCst, Ordering::Relaxed).is_ok();
        if free {
            self.count.set(1);
        }
        free
    }

    #[cold]
    fn wait(&self, py: Python<'_>) {
        // The order is what makes a wake-up impossible to miss: we say that we wait and then look
        // at the owner; `release` clears the owner and then looks for waiters.
        self.waiters.fetch_add(1, Ordering::SeqCst);
        while !self.try_own(this_thread()) {
            py.detach(|| {
                let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
                while self.owner.load(Ordering::SeqCst) != 0 {
                    gate = self.freed.wait(gate).unwrap_or_else(PoisonError::into_inner);
                }
            });
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
    }

    /// Gives the lock back. The caller owns it.
    #[inline(always)]
    pub(crate) fn release(&self) {
        debug_assert!(self.is_owned());
        let count = self.count.get() - 1;
        self.count.set(count);
        if count == 0 {
            let order = if cfg!(Py_GIL_DISABLED) { Ordering::SeqCst } else { Ordering::Relaxed };
            self.owner.store(0, order);
            if self.waiters.load(order) > 0 {
                self.wake();
            }
        }
    }

    #[cold]
    fn wake(&self) {
        let _gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        self.freed.notify_one();
    }

    /// How often the owner, which asks, has taken it.
    #[inline]
    pub(crate) fn depth(&self) -> u32 {
        self.count.get()
    }

    /// Whether some thread has the lock; it may not be true any more.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.owner.load(Ordering::Relaxed) != 0
    }

    /// Whether this thread has the lock.
    #[inline]
    pub(crate) fn is_owned(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }
}
