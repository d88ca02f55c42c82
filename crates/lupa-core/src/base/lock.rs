//! [`Lock`]: the re-entrant lock of a runtime, right with and without a GIL.
//!
//! A thread takes and releases the lock only while it is attached to Python. With a GIL, that alone makes reading the
//! owner and becoming the owner one step; without a GIL, that takes an atomic exchange and stronger ordering.
//!
//! A thread takes a free lock at once, also before threads that wait, since those need time to wake up. But if a thread
//! was woken in vain, the next release hands the lock on to the threads that wait by then.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lua_api::Thread;
use pyo3::prelude::*;

use crate::base::error::{Error, Result};

/// A re-entrant lock. Waiting for it never happens while attached to Python.
#[derive(Default)]
pub(crate) struct Lock {
    owner: AtomicUsize,
    // Only the owner reads and writes it: it costs no more than a plain number.
    count: AtomicU32,
    waiters: AtomicUsize,
    // Somebody was woken, and has not looked at the owner yet.
    woken: AtomicBool,
    // Somebody was woken in vain.
    unfair: AtomicBool,
    // How often it was handed on.
    turns: AtomicUsize,
    // Looked at attached only, so that no other thread holds it when one forks.
    gate: Mutex<Arc<Gate>>,
}

/// Where those who wait sleep.
#[derive(Default)]
struct Gate {
    closed: Mutex<()>,
    freed: Condvar,
}

/// The result of an attempt to take a lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    First,
    /// The thread has it already, once more now.
    Again,
    /// Another thread has it.
    No,
}

/// In the place of an owner: for those only who have waited since before it was put there.
const HANDED_ON: usize = 1;

/// In the place of an owner: a thread that is not there any more has it for ever.
const LOST: usize = 2;

/// How often one who waits looks whether it is to go on.
const LOOK: Duration = Duration::from_millis(20);

/// How long others leave them that: one of them may have come to its end meanwhile, with Python.
const PATIENCE: Duration = Duration::from_millis(50);

/// A number that no other thread has, or has had; never 0, [`HANDED_ON`] or [`LOST`].
#[inline(always)]
pub(crate) fn this_thread() -> usize {
    Thread::this().id()
}

impl Lock {
    /// Takes the lock for the calling thread, whose number is `me`, if no other thread has it.
    #[inline(always)]
    pub(crate) fn enter_as(&self, me: usize) -> Entered {
        if self.owner.load(Ordering::Relaxed) == me {
            self.count.store(self.depth() + 1, Ordering::Relaxed);
            return Entered::Again;
        }
        if self.try_own(me) { Entered::First } else { Entered::No }
    }

    /// Takes the lock if no other thread has it.
    #[inline]
    pub(crate) fn try_acquire(&self) -> bool {
        self.try_acquire_as(this_thread())
    }

    #[inline(always)]
    fn try_acquire_as(&self, me: usize) -> bool {
        self.enter_as(me) != Entered::No
    }

    #[inline(always)]
    fn try_own(&self, me: usize) -> bool {
        self.take_from(0, me)
    }

    /// Becomes the owner in the place of nobody; `nobody` is 0 or [`HANDED_ON`].
    #[cfg(not(Py_GIL_DISABLED))]
    #[inline(always)]
    fn take_from(&self, nobody: usize, me: usize) -> bool {
        let free = self.owner.load(Ordering::Relaxed) == nobody;
        if free {
            self.owner.store(me, Ordering::Relaxed);
            self.count.store(1, Ordering::Relaxed);
        }
        free
    }

    #[cfg(Py_GIL_DISABLED)]
    #[inline]
    fn take_from(&self, nobody: usize, me: usize) -> bool {
        let order = (Ordering::SeqCst, Ordering::Relaxed);
        let free = self.owner.compare_exchange(nobody, me, order.0, order.1).is_ok();
        if free {
            self.count.store(1, Ordering::Relaxed);
        }
        free
    }

    /// Takes the lock, which another thread has, waiting detached from Python. Every [`LOOK`], `check` is asked,
    /// attached.
    ///
    /// # Errors
    /// [`Error::Lost`], and what `check` gives.
    #[cold]
    pub(crate) fn wait(&self, py: Python<'_>, mut check: impl FnMut() -> Result<()>) -> Result<()> {
        let me = this_thread();
        if self.own_soon(me) {
            return Ok(());
        }
        let turns = self.turns.load(Ordering::SeqCst);
        // The order is what makes a wake-up impossible to miss: we say that we wait and then look
        // at the owner; `release` clears the owner and then looks for waiters.
        self.waiters.fetch_add(1, Ordering::SeqCst);
        let (mut mine, mut slept) = (false, false);
        let mut result = Ok(());
        let mut next = Instant::now() + LOOK;
        while !(self.try_own(me) || mine && self.take_from(HANDED_ON, me)) {
            if self.owner() == LOST {
                result = Err(Error::Lost);
                break;
            }
            if slept {
                self.unfair.store(true, Ordering::SeqCst);
            }
            let gate = self.gate();
            mine = py.detach(|| self.sleep(&gate, turns, next));
            slept = true;
            if Instant::now() >= next {
                next = Instant::now() + LOOK;
                self.look_for_owner();
                result = check();
                if result.is_err() {
                    break;
                }
            }
        }
        self.waiters.fetch_sub(1, Ordering::SeqCst);
        if result.is_err() {
            // This thread may have been woken in vain: the next release wakes another one.
            self.woken.store(false, Ordering::SeqCst);
            let gate = self.gate();
            let _closed = gate.closed.lock().unwrap_or_else(PoisonError::into_inner);
            gate.freed.notify_all();
        }
        result
    }

    /// A thread that has ended while a greenlet of it was inside does not give the lock back: it is lost.
    fn look_for_owner(&self) {
        let owner = self.owner();
        if !matches!(owner, 0 | HANDED_ON | LOST) && !Thread::is_there(owner) {
            let order = (Ordering::SeqCst, Ordering::Relaxed);
            let _ = self.owner.compare_exchange(owner, LOST, order.0, order.1);
        }
    }

    /// Where those who wait sleep. Attached.
    fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sleeps, detached, until the lock may be free or until `end`; true if the lock was handed on. `turns` is the number of
    /// turns that the waiting thread has seen.
    fn sleep(&self, gate: &Gate, turns: usize, end: Instant) -> bool {
        let mut closed = gate.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slept = false;
        loop {
            // From here on a release wakes again; one that did not is seen.
            self.woken.swap(false, Ordering::SeqCst);
            let left = end.saturating_duration_since(Instant::now());
            match self.owner.load(Ordering::SeqCst) {
                0 | LOST => return false,
                HANDED_ON if self.turns.load(Ordering::SeqCst) != turns => return true,
                HANDED_ON => {
                    let waited = gate.freed.wait_timeout(closed, PATIENCE);
                    let (again, time) = waited.unwrap_or_else(PoisonError::into_inner);
                    if time.timed_out() && self.owner.load(Ordering::SeqCst) == HANDED_ON {
                        return true;
                    }
                    closed = again;
                }
                _ if left.is_zero() => return false,
                _ => {
                    if slept {
                        self.unfair.store(true, Ordering::SeqCst);
                    }
                    let waited = gate.freed.wait_timeout(closed, left);
                    let (again, time) = waited.unwrap_or_else(PoisonError::into_inner);
                    closed = again;
                    // Nobody has woken it: then it has not been woken in vain.
                    slept = !time.timed_out();
                }
            }
        }
    }

    /// Waits for the time of a short operation of the owner, which is less than it takes to sleep and
    /// be woken. With a GIL the owner may be waiting for that, so there is no point in it.
    fn own_soon(&self, me: usize) -> bool {
        const SPINS: u32 = 64;
        cfg!(Py_GIL_DISABLED)
            && (0..SPINS).any(|_| {
                std::hint::spin_loop();
                self.owner.load(Ordering::Relaxed) == 0 && self.try_own(me)
            })
    }

    /// Gives the lock back. The caller owns it.
    #[inline(always)]
    pub(crate) fn release(&self) {
        debug_assert!(self.is_owned());
        let count = self.depth() - 1;
        self.count.store(count, Ordering::Relaxed);
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
        let gate = self.gate();
        if self.unfair.swap(false, Ordering::SeqCst) {
            let _closed = gate.closed.lock().unwrap_or_else(PoisonError::into_inner);
            let order = (Ordering::SeqCst, Ordering::SeqCst);
            if self.owner.compare_exchange(0, HANDED_ON, order.0, order.1).is_ok() {
                self.turns.fetch_add(1, Ordering::SeqCst);
                gate.freed.notify_all();
                return;
            }
        }
        if self.woken.swap(true, Ordering::SeqCst) {
            return;
        }
        let _closed = gate.closed.lock().unwrap_or_else(PoisonError::into_inner);
        gate.freed.notify_one();
    }

    /// For the child of a fork, in which only the calling thread exists; `me` is its number.
    pub(crate) fn survive(&self, me: usize) {
        if !matches!(self.owner(), 0 | HANDED_ON) && self.owner() != me {
            self.owner.store(LOST, Ordering::SeqCst);
        } else if self.owner() == HANDED_ON {
            self.owner.store(0, Ordering::SeqCst);
        }
        self.waiters.store(0, Ordering::SeqCst);
        self.woken.store(false, Ordering::SeqCst);
        self.unfair.store(false, Ordering::SeqCst);
        // A thread that is not there may have it closed.
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    /// The thread that has it, or something that is no thread.
    pub(crate) fn owner(&self) -> usize {
        self.owner.load(Ordering::SeqCst)
    }

    /// How often the owner, which asks, has taken it.
    #[inline(always)]
    pub(crate) fn depth(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether some thread has the lock; it may not be true any more.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        !matches!(self.owner.load(Ordering::Relaxed), 0 | HANDED_ON | LOST)
    }

    /// Whether this thread has the lock.
    #[inline]
    pub(crate) fn is_owned(&self) -> bool {
        self.owner.load(Ordering::Relaxed) == this_thread()
    }
}
