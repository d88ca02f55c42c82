//! What `with lua.limits(...)` begins: [`Scope`], and who is inside of it.
//!
//! A scope is in the context of the block ([`contextvars`](https://docs.python.org/3/library/contextvars.html)): of the
//! thread, asyncio task or greenlet that has begun it, and of tasks that were started inside, which share it. When the
//! block ends, it ends for all of them.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyInt, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::base::lock::this_thread;
use crate::classes::engine;
use crate::runtime::stop::limits::{Deadline, Seconds, Wanted};

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
    pub(crate) fn new(wanted: Wanted, used: usize, runtime: usize) -> Self {
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

    /// How many instructions are left, if they are limited.
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

/// What the context has: all scopes that one is in. An object of Python, for the context variable.
#[pyclass(name = "_LuaScopes", module = "lupa", frozen)]
struct Scopes(Vec<Arc<Scope>>);

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

fn here(py: Python<'_>) -> PyResult<Option<Bound<'_, Scopes>>> {
    Ok(value(py, &VARIABLE)?.and_then(|found| found.cast_into().ok()))
}

/// Changes what this context has.
fn change(py: Python<'_>, edit: impl FnOnce(&mut Vec<Arc<Scope>>)) -> PyResult<()> {
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
    begun: Mutex<Vec<Arc<Scope>>>,
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

    /// Takes the scope out that has begun last: in this context, if there is one.
    fn take(&self, here: Option<&Bound<'_, Scopes>>) -> Option<Arc<Scope>> {
        let mut begun = self.begun();
        let is_here = |scope: &Arc<Scope>| {
            here.is_some_and(|here| here.get().0.iter().any(|other| Arc::ptr_eq(scope, other)))
        };
        let found = begun.iter().rposition(is_here).or_else(|| begun.len().checked_sub(1))?;
        Some(begun.remove(found))
    }

    fn begun(&self) -> MutexGuard<'_, Vec<Arc<Scope>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl LuaLimits {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let scope = engine::get().begin_limits(self.state.bind(py), self.wanted)?;
        change(py, |scopes| scopes.push(Arc::clone(&scope)))?;
        self.begun().push(scope);
        Ok(())
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        let scope = self
            .take(here(py)?.as_ref())
            .ok_or_else(|| fallible::error::<PyRuntimeError>("these limits have not begun"))?;
        // Whatever happens below: from now on it holds for nobody.
        scope.end();
        change(py, |_| ())?;
        Ok(engine::get().end_limits(self.state.bind(py))?)
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}
