//! [`Pending`]: flags for work that the next entry does at its beginning or at its end.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU8, Ordering};

/// References wait to be released.
pub(crate) const REFERENCES: u8 = 1;
/// There are limits.
pub(crate) const LIMITS: u8 = 2;
/// Lua is being stopped.
pub(crate) const STOP: u8 = 4;
/// Several greenlets are inside.
pub(crate) const MIXED: u8 = 8;
/// Finalizers have left objects to [`crate::runtime::boxes::Boxes::drop_dead`].
pub(crate) const DEAD: u8 = 16;
/// Iteration has read ahead.
pub(crate) const AHEAD: u8 = 32;
/// The flags that the beginning of an operation has to look at.
pub(crate) const BEGIN: u8 = REFERENCES | LIMITS | STOP | MIXED;

/// The flags of one runtime. The fast path of an entry tests all of them with one load.
#[derive(Default)]
pub(crate) struct Pending(AtomicU8);

impl Pending {
    #[inline(always)]
    pub(crate) fn any(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    #[inline(always)]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.0.load(Ordering::Relaxed) & flag != 0
    }

    pub(crate) fn set(&self, flag: u8) {
        self.0.fetch_or(flag, Ordering::Release);
    }

    /// As [`Pending::set`], for a flag that is set often: no atomic write where it is set already.
    #[inline]
    pub(crate) fn set_once(&self, flag: u8) {
        if !self.has(flag) {
            self.set(flag);
        }
    }

    pub(crate) fn clear(&self, flag: u8) {
        self.0.fetch_and(!flag, Ordering::Release);
    }
}
