//! [`Due`]: what is to be seen to at the next entry, or at the end of one.
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
/// What concerns the beginning of an operation.
pub(crate) const BEGIN: u8 = REFERENCES | LIMITS | STOP | MIXED;

/// Flags that the short way looks at, all at once.
#[derive(Default)]
pub(crate) struct Due(AtomicU8);

impl Due {
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

    /// As [`Due::set`], for what is set again and again.
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
