//! [`Alarm`]: what other threads look at, and set, to have Lua stopped.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::runtime::stop::deadline::NEVER;

/// When Lua is to look whether it has to stop.
pub(crate) struct Alarm {
    /// When the time is up, in nanoseconds of [`crate::runtime::stop::deadline::now`].
    deadline: AtomicU64,
    interrupted: AtomicBool,
    // How often that was asked for.
    interruptions: AtomicU64,
    // With this epoch, signals are not for the thread that runs Lua.
    deaf: AtomicU64,
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm {
            deadline: AtomicU64::new(NEVER),
            interrupted: AtomicBool::new(false),
            interruptions: AtomicU64::new(0),
            deaf: AtomicU64::new(0),
        }
    }
}

impl Alarm {
    /// When the monitor is to have Lua look: 0 is now.
    pub(crate) fn deadline(&self) -> u64 {
        if self.interrupted.load(Ordering::Relaxed) {
            return 0;
        }
        self.deadline.load(Ordering::Relaxed)
    }

    pub(crate) fn set_deadline(&self, deadline: u64) {
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Signals are not for the thread that runs Lua, as long as the epoch is this.
    pub(crate) fn be_deaf(&self, epoch: u64) {
        self.deaf.store(epoch, Ordering::Relaxed);
    }

    pub(crate) fn interruptions(&self) -> u64 {
        self.interruptions.load(Ordering::Relaxed)
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    pub(crate) fn is_deaf(&self, epoch: u64) -> bool {
        self.deaf.load(Ordering::Relaxed) == epoch
    }

    /// From any thread: what runs now is to stop.
    pub(crate) fn interrupt(&self) {
        self.interruptions.fetch_add(1, Ordering::Relaxed);
        self.interrupted.store(true, Ordering::Relaxed);
    }

    /// Ends an interruption: the operation that it was meant for has ended.
    pub(crate) fn end_interruption(&self) {
        self.interrupted.store(false, Ordering::Relaxed);
    }
}
