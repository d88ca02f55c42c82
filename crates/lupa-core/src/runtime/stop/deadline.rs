//! Time: moments as numbers, and [`Deadline`], a moment at which something is over.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::time::Instant;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// Nanoseconds since some moment; never [`NEVER`].
pub(crate) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let nanoseconds = START.get_or_init(Instant::now).elapsed().as_nanos();
    u64::try_from(nanoseconds).unwrap_or(NEVER - 1)
}

/// A time limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) f64);

impl Seconds {
    pub(crate) fn deadline(self) -> u64 {
        // Saturates: no limit after some centuries.
        now().saturating_add((self.0 * 1e9) as u64)
    }
}

/// The arguments of `lua.limits(...)`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requested {
    pub(crate) seconds: Option<Seconds>,
    pub(crate) instructions: Option<i64>,
    /// Bytes beyond what is in use at the beginning.
    pub(crate) memory: Option<usize>,
}

/// A moment, and what it was made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: u64,
    seconds: f64,
}

impl Deadline {
    pub(crate) fn is_over(&self) -> bool {
        self.at <= now()
    }

    /// The text of the exception.
    pub(crate) fn text(&self) -> String {
        format!("time limit of {} s is over", self.seconds)
    }

    /// The first of some.
    pub(crate) fn first(deadlines: impl Iterator<Item = Deadline>) -> Option<Deadline> {
        deadlines.min_by_key(|deadline| deadline.at)
    }
}

impl From<Seconds> for Deadline {
    fn from(seconds: Seconds) -> Self {
        Deadline { at: seconds.deadline(), seconds: seconds.0 }
    }
}
