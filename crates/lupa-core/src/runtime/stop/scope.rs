//! [`Scope`]: the block of a `with lua.limits(...)`, and the contexts that are inside of it.
//!
//! A scope is in the context of the block ([`contextvars`](https://docs.python.org/3/library/contextvars.html)): of the
//! thread, asyncio task or greenlet that has begun it, and of tasks that were started inside, which share it. When the
//! block ends, it ends for all of them.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::base::lock::this_thread;
use crate::runtime::stop::deadline::{Deadline, Requested};

/// Limits that hold from `__enter__` to `__exit__`.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) deadline: Option<Deadline>,
    // The number, and how many of them are left.
    instructions: Option<(i64, AtomicI64)>,
    /// The most that may be in use, in bytes.
    pub(crate) memory: Option<usize>,
    ended: AtomicBool,
    // Which runtime they are for, and which thread has begun them.
    runtime: usize,
    thread: usize,
}

impl Scope {
    /// Limits that begin now; `used` is the memory in use, `runtime` a number that no other has.
    pub(crate) fn new(wanted: Requested, used: usize, runtime: usize) -> Self {
        Scope {
            deadline: wanted.seconds.map(Deadline::from),
            instructions: wanted.instructions.map(|count| (count, AtomicI64::new(count))),
            memory: wanted.memory.map(|more| used.saturating_add(more)),
            ended: AtomicBool::new(false),
            runtime,
            thread: this_thread(),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The number of instructions that are left, if they are limited.
    pub(crate) fn instructions_left(&self) -> Option<i64> {
        self.instructions.as_ref().map(|(_, left)| left.load(Ordering::Relaxed))
    }

    /// So many have run.
    pub(crate) fn count(&self, ran: i64) {
        if let Some((_, left)) = &self.instructions {
            // Only the owner of the runtime's lock writes it.
            left.store(left.load(Ordering::Relaxed).saturating_sub(ran), Ordering::Relaxed);
        }
    }

    /// The limit of instructions, if they have run.
    pub(crate) fn spent(&self) -> Option<i64> {
        let (limit, left) = self.instructions.as_ref()?;
        (left.load(Ordering::Relaxed) <= 0).then_some(*limit)
    }
}

/// All scopes of a context, as a Python object, for the context variable.
#[pyclass(name = "_LuaScopes", module = "lupa", frozen)]
pub(crate) struct Scopes(Vec<Arc<Scope>>);

impl Scopes {
    /// Whether this is one of them.
    pub(crate) fn have(&self, scope: &Arc<Scope>) -> bool {
        self.0.iter().any(|other| Arc::ptr_eq(scope, other))
    }
}

/// The context variable.
static VARIABLE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Another one, to tell contexts apart with.
static PROBE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Makes the context variables.
///
/// # Errors
/// What Python raises.
pub(crate) fn init(py: Python<'_>) -> PyResult<()> {
    let class = fallible::import(py, c"contextvars")?.attribute(c"ContextVar")?;
    for (place, name) in [(&VARIABLE, "lupa.limits"), (&PROBE, "lupa.probe")] {
        let _ = place.set(py, class.call1((fallible::string(py, name)?,))?.unbind());
    }
    Ok(())
}

/// The value of a context variable, if it has one.
fn value<'py>(
    py: Python<'py>,
    variable: &PyOnceLock<Py<PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(variable) = variable.get(py) else { return Ok(None) };
    let found = variable.bind(py).method1(c"get", (py.None(),))?;
    Ok((!found.is_none()).then_some(found))
}

/// The scopes of the caller's context.
pub(crate) fn here(py: Python<'_>) -> PyResult<Option<Bound<'_, Scopes>>> {
    Ok(value(py, &VARIABLE)?.and_then(|found| found.cast_into().ok()))
}

/// Changes what this context has.
pub(crate) fn change(py: Python<'_>, edit: impl FnOnce(&mut Vec<Arc<Scope>>)) -> PyResult<()> {
    let Some(variable) = VARIABLE.get(py) else { return Ok(()) };
    let mut scopes = here(py)?.map_or_else(Vec::new, |scopes| scopes.get().0.clone());
    scopes.retain(|scope| !scope.has_ended());
    edit(&mut scopes);
    let value = if scopes.is_empty() { py.None() } else { Py::new(py, Scopes(scopes))?.into_any() };
    variable.bind(py).method1(c"set", (value,))?;
    Ok(())
}

/// The scopes for this runtime that the caller is in.
///
/// # Errors
/// What Python raises.
pub(crate) fn of(py: Python<'_>, runtime: usize) -> PyResult<Vec<Arc<Scope>>> {
    let Some(scopes) = here(py)? else { return Ok(Vec::new()) };
    let me = this_thread();
    let mut found = Vec::new();
    for scope in &scopes.get().0 {
        let holds = scope.runtime == runtime && !scope.has_ended();
        if holds && (scope.thread == me || !is_inherited(py, scopes.as_any())?) {
            found.push(Arc::clone(scope));
        }
    }
    Ok(found)
}

/// Whether what the context has came with the thread: in some Pythons (free-threaded ones of 3.14) a new thread has a
/// copy of the context in which it was started. As in all others, that alone makes nobody be inside.
fn is_inherited(py: Python<'_>, scopes: &Bound<'_, PyAny>) -> PyResult<bool> {
    let thread = fallible::import(py, c"threading")?.method0(c"current_thread")?;
    let Ok(context) = thread.attribute(c"_context") else { return Ok(false) };
    if context.is_none() {
        return Ok(false);
    }
    let of_thread = |variable: &PyOnceLock<Py<PyAny>>| match variable.get(py) {
        Some(variable) => context.method1(c"get", (variable.bind(py),)),
        None => Ok(py.None().into_bound(py)),
    };
    if !of_thread(&VARIABLE)?.is(scopes) {
        return Ok(false);
    }
    // It has them too. Is it this context?
    let Some(probe) = PROBE.get(py) else { return Ok(false) };
    let probe = probe.bind(py);
    let token = probe.method1(c"set", (probe,))?;
    let same = of_thread(&PROBE).map(|found| !found.is_none());
    probe.method1(c"reset", (token,))?;
    same
}
