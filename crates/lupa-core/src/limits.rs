//! [`Limits`]: how long Lua may run and how much it may do, and `with lua.limits(...)`.
#![forbid(unsafe_code)]

use std::sync::Mutex;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyTuple};

use crate::engine;
use crate::fallible;
use crate::guard::settled;
use crate::monitor::{NEVER, now};

/// The largest count that a hook takes.
const LARGEST_COUNT: i32 = i32::MAX;

/// Instructions between two looks at the time, where it takes a count to look.
const POLL: i64 = 1000;

/// A time limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds(pub(crate) f64);

impl Seconds {
    fn deadline(self) -> u64 {
        // Saturates: no limit after some centuries.
        now().saturating_add((self.0 * 1e9) as u64)
    }
}

/// What `lua.limits(...)` was given.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) seconds: Option<Seconds>,
    pub(crate) instructions: Option<i64>,
    /// Bytes beyond what is in use at the beginning.
    pub(crate) memory: Option<usize>,
}

/// A moment, and what it was made of.
#[derive(Clone, Copy)]
struct Deadline {
    at: u64,
    seconds: f64,
}

/// A limit that holds from `__enter__` to `__exit__`.
struct Scope {
    id: u64,
    deadline: Option<Deadline>,
    // The number, and how many of them are left.
    instructions: Option<(i64, i64)>,
    memory: Option<usize>,
}

/// What is over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Over {
    Time(f64),
    Instructions(i64),
}

/// The limits of a runtime. Nested ones all hold, so that the tightest decides.
#[derive(Default)]
pub(crate) struct Limits {
    /// That of each entry from Python.
    pub(crate) timeout: Option<Seconds>,
    // Of the entry that runs: its own, and those of `eval` and `execute` in it.
    entries: Vec<Deadline>,
    scopes: Vec<Scope>,
    last_id: u64,
    // Instructions until the hook, as it was set.
    counted_from: i32,
    /// Nobody else can call the hook (an installed Lua), so it is called now and then.
    pub(crate) polls: bool,
}

impl Limits {
    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        self.timeout.is_some() || !self.entries.is_empty() || !self.scopes.is_empty()
    }

    /// Begins an entry from outside.
    pub(crate) fn begin_entry(&mut self) {
        if let Some(timeout) = self.timeout {
            self.push_deadline(timeout);
        }
    }

    /// Ends it.
    pub(crate) fn end_entry(&mut self) {
        self.entries.clear();
    }

    /// A time limit within an entry.
    pub(crate) fn push_deadline(&mut self, seconds: Seconds) {
        self.entries.push(Deadline { at: seconds.deadline(), seconds: seconds.0 });
    }

    /// Ends the last one.
    pub(crate) fn pop_deadline(&mut self) {
        self.entries.pop();
    }

    /// Begins a scope; `used` is the memory in use. Gives its number.
    pub(crate) fn begin(&mut self, wanted: Wanted, used: usize) -> u64 {
        self.last_id += 1;
        self.scopes.push(Scope {
            id: self.last_id,
            deadline: wanted.seconds.map(|s| Deadline { at: s.deadline(), seconds: s.0 }),
            instructions: wanted.instructions.map(|count| (count, count)),
            memory: wanted.memory.map(|more| used.saturating_add(more)),
        });
        self.last_id
    }

    /// Ends a scope, in whatever order.
    pub(crate) fn end(&mut self, id: u64) {
        self.scopes.retain(|scope| scope.id != id);
    }

    fn first(&self) -> Option<Deadline> {
        let scopes = self.scopes.iter().filter_map(|scope| scope.deadline);
        scopes.chain(self.entries.iter().copied()).min_by_key(|deadline| deadline.at)
    }

    /// The first moment that time is up.
    pub(crate) fn deadline(&self) -> u64 {
        self.first().map_or(NEVER, |deadline| deadline.at)
    }

    /// The most memory that scopes allow; 0 is any.
    pub(crate) fn memory(&self) -> usize {
        self.scopes.iter().filter_map(|scope| scope.memory).min().unwrap_or(0)
    }

    /// How many instructions may run until somebody must look; `None` if they are not limited.
    pub(crate) fn next_count(&mut self) -> Option<i32> {
        let left = self.scopes.iter().filter_map(|scope| scope.instructions);
        let left = left.map(|(_, left)| left);
        let poll = (self.polls && self.any()).then_some(POLL);
        let left = left.chain(poll).min()?;
        self.counted_from = i32::try_from(left).unwrap_or(LARGEST_COUNT).max(1);
        Some(self.counted_from)
    }

    /// Of those, so many have not run.
    pub(crate) fn account(&mut self, left: i32) {
        let ran = i64::from(self.counted_from.saturating_sub(left.max(0)).max(0));
        for (_, left) in self.scopes.iter_mut().filter_map(|scope| scope.instructions.as_mut()) {
            *left = left.saturating_sub(ran);
        }
        self.counted_from = left;
    }

    /// What is over, if anything is.
    pub(crate) fn over(&self) -> Option<Over> {
        let spent = self.scopes.iter().filter_map(|scope| scope.instructions);
        if let Some((count, _)) = spent.into_iter().find(|&(_, left)| left <= 0) {
            return Some(Over::Instructions(count));
        }
        let first = self.first()?;
        (first.at <= now()).then_some(Over::Time(first.seconds))
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

fn positive(object: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Option<i64>> {
    let Some(object) = object else { return Ok(None) };
    let number = match object.extract::<i64>() {
        Ok(number) if !object.is_instance_of::<PyBool>() => number,
        // What is larger is as good as the largest.
        _ if object.is_instance_of::<PyInt>() && !object.is_instance_of::<PyBool>() => {
            if object.gt(0)? { i64::MAX } else { 0 }
        }
        _ => return Err(fallible::error::<PyTypeError>(format!("{what} must be an integer"))),
    };
    if number > 0 {
        return Ok(Some(number));
    }
    Err(fallible::error::<PyValueError>(format!("{what} must be greater than 0")))
}

/// What ``LuaRuntime.limits()`` gives: limits that hold inside of the ``with`` block.
#[pyclass(name = "_LuaLimits", module = "lupa", frozen)]
pub(crate) struct LuaLimits {
    state: Py<PyAny>,
    wanted: Wanted,
    // Those that have begun: it may be entered again, also while it is.
    begun: Mutex<Vec<u64>>,
}

impl LuaLimits {
    pub(crate) fn new(
        state: Py<PyAny>,
        seconds: Option<Seconds>,
        instructions: Option<&Bound<'_, PyAny>>,
        memory: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let memory = positive(memory, "memory")?;
        let wanted = Wanted {
            seconds,
            instructions: positive(instructions, "instructions")?,
            memory: memory.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        };
        Ok(LuaLimits { state, wanted, begun: Mutex::default() })
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl LuaLimits {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let id = engine::get().begin_limits(self.state.bind(py), self.wanted)?;
        self.begun().push(id);
        Ok(())
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let id = self.begun().pop();
        let id =
            id.ok_or_else(|| fallible::error::<PyRuntimeError>("these limits have not begun"))?;
        Ok(engine::get().end_limits(self.state.bind(py), id)?)
    }

    fn __traverse__(
        &self,
        visit: pyo3::PyVisit<'_>,
    ) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(instructions: i64) -> Wanted {
        Wanted { instructions: Some(instructions), ..Wanted::default() }
    }

    #[test]
    fn the_tightest_decides() {
        let mut limits = Limits::default();
        let outer = limits.begin(wanted(100), 0);
        assert_eq!(limits.next_count(), Some(100));
        limits.account(60);
        let inner = limits.begin(wanted(10), 0);
        assert_eq!(limits.next_count(), Some(10));
        limits.account(0);
        assert!(matches!(limits.over(), Some(Over::Instructions(10))));
        limits.end(inner);
        assert!(limits.over().is_none());
        assert_eq!(limits.next_count(), Some(50));
        limits.end(outer);
        assert_eq!(limits.next_count(), None);
        assert!(!limits.any());
    }

    #[test]
    fn memory_counts_from_what_is_in_use() {
        let mut limits = Limits::default();
        limits.begin(Wanted { memory: Some(500), ..Wanted::default() }, 1000);
        limits.begin(Wanted { memory: Some(900), ..Wanted::default() }, 1200);
        assert_eq!(limits.memory(), 1500);
    }
}
