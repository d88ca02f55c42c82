//! [`Limits`]: how long Lua may run and how much it may do.
//!
//! The limits of the current entry hold ([`Active`]): the time limit of the runtime, which each entry from outside
//! has for itself, that of a call, and the scopes of the entry's context ([`crate::runtime::stop::scope`]). A callback suspends them and
//! resumes them when it ends: others may have entered meanwhile, and still be inside.
#![forbid(unsafe_code)]

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::base::fallible;
use crate::base::guard::settled;
use crate::runtime::stop::deadline::{Deadline, NEVER, Seconds};
use crate::runtime::stop::scope::Scope;

/// The largest count that a hook takes.
const LARGEST_COUNT: i32 = i32::MAX;

/// Instructions between two looks at the time, where it takes a count to look.
const POLL: i64 = 1000;

/// The limit that is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Time(Deadline),
    Instructions(i64),
}

/// The limits of one who has entered. All of them hold, so that the tightest decides.
#[derive(Clone, Default)]
pub(crate) struct Active {
    /// Those of the entry: the time limit of the runtime or of the call, and of those around it.
    pub(crate) deadlines: Vec<Deadline>,
    pub(crate) scopes: Vec<Arc<Scope>>,
}

impl Active {
    /// The scopes that have not ended.
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.iter().map(Arc::as_ref).filter(|scope| !scope.has_ended())
    }

    pub(crate) fn any(&self) -> bool {
        !self.deadlines.is_empty() || self.scopes().next().is_some()
    }

    fn first(&self) -> Option<Deadline> {
        let scopes = self.scopes().filter_map(|scope| scope.deadline);
        Deadline::first(scopes.chain(self.deadlines.iter().copied()))
    }
}

/// The limits of a runtime.
#[derive(Default)]
pub(crate) struct Limits {
    /// That of each entry from Python.
    pub(crate) timeout: Option<Seconds>,
    /// Those that hold now.
    pub(crate) active: Active,
    // Instructions until the hook, as it was set; 0 while none are counted.
    counted_from: i32,
    /// Nobody else can call the hook (an installed Lua), so it is called now and then.
    pub(crate) polls: bool,
}

impl Limits {
    /// The first moment that time is up.
    pub(crate) fn deadline(&self) -> u64 {
        self.active.first().map_or(NEVER, |deadline| deadline.at)
    }

    /// The most memory that scopes allow; 0 is any.
    pub(crate) fn memory(&self) -> usize {
        self.active.scopes().filter_map(|scope| scope.memory).min().unwrap_or(0)
    }

    /// The number of instructions until the next check; `None` if they are not limited.
    pub(crate) fn next_count(&mut self) -> Option<i32> {
        let left = self.active.scopes().filter_map(Scope::instructions_left);
        let poll = (self.polls && self.active.any()).then_some(POLL);
        let left = left.chain(poll).min()?;
        self.counted_from = i32::try_from(left).unwrap_or(LARGEST_COUNT).max(1);
        Some(self.counted_from)
    }

    /// Of those, so many have not run.
    pub(crate) fn account(&mut self, left: i32) {
        let ran = i64::from(self.counted_from.saturating_sub(left.max(0)).max(0));
        for scope in self.active.scopes() {
            scope.count(ran);
        }
        self.counted_from = left;
    }

    /// So many steps were made that are no instructions of Lua, and count as such.
    pub(crate) fn charge(&self, steps: usize) {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        for scope in self.active.scopes() {
            scope.count(steps);
        }
    }

    /// Nothing is counted until [`Limits::next_count`].
    pub(crate) fn pause_count(&mut self) {
        self.counted_from = 0;
    }

    /// The limit that is over, if there is one.
    pub(crate) fn over(&self) -> Option<Over> {
        if let Some(limit) = self.active.scopes().find_map(Scope::spent) {
            return Some(Over::Instructions(limit));
        }
        self.active.first().filter(Deadline::is_over).map(Over::Time)
    }
}

/// A number of seconds above 0.
impl<'py> FromPyObject<'_, 'py> for Seconds {
    type Error = PyErr;

    fn extract(object: pyo3::Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let seconds = match object.extract::<f64>() {
            Ok(seconds) if !object.is_instance_of::<PyBool>() => seconds,
            _ => {
                return Err(settled(
                    object.py(),
                    fallible::error::<PyTypeError>("a time limit must be a number of seconds"),
                ));
            }
        };
        // Not a number is not above 0 either.
        if seconds > 0.0 {
            return Ok(Seconds(seconds));
        }
        Err(settled(
            object.py(),
            fallible::error::<PyValueError>("a time limit must be greater than 0 seconds"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::stop::deadline::Requested;

    fn scope(wanted: Requested, used: usize) -> Arc<Scope> {
        Arc::new(Scope::new(wanted, used, 1))
    }

    fn counts(instructions: i64) -> Arc<Scope> {
        scope(Requested { instructions: Some(instructions), ..Requested::default() }, 0)
    }

    #[test]
    fn the_tightest_decides() {
        let mut limits = Limits::default();
        limits.active.scopes.push(counts(100));
        assert_eq!(limits.next_count(), Some(100));
        limits.account(60);
        let inner = counts(10);
        limits.active.scopes.push(Arc::clone(&inner));
        assert_eq!(limits.next_count(), Some(10));
        limits.account(0);
        assert!(matches!(limits.over(), Some(Over::Instructions(10))));
        inner.end();
        assert!(limits.over().is_none());
        assert_eq!(limits.next_count(), Some(50));
        limits.active.scopes[0].end();
        assert_eq!(limits.next_count(), None);
        assert!(!limits.active.any());
    }

    #[test]
    fn what_two_are_in_is_one_budget() {
        let shared = counts(100);
        let (mut one, mut other) = (Limits::default(), Limits::default());
        one.active.scopes.push(Arc::clone(&shared));
        other.active.scopes.push(shared);
        assert_eq!(one.next_count(), Some(100));
        one.account(30);
        one.pause_count();
        one.account(0);
        assert_eq!(other.next_count(), Some(30));
    }

    #[test]
    fn memory_counts_from_what_is_in_use() {
        let mut limits = Limits::default();
        let memory = |bytes| Requested { memory: Some(bytes), ..Requested::default() };
        limits.active.scopes.push(scope(memory(500), 1000));
        limits.active.scopes.push(scope(memory(900), 1200));
        assert_eq!(limits.memory(), 1500);
    }
}
