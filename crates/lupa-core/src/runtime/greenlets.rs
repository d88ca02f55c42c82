//! Greenlets: which one runs, for a runtime that is entered while another greenlet may be inside.
//!
//! A greenlet that switches to another leaves its part of the system's stack as it is, and comes back to it later;
//! Python's locks know nothing of that. So whether who enters a runtime is the one who is inside already, and may work
//! on top of what is there, has to be asked for: but only where the package greenlet has been imported.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;

/// A greenlet, by its address, which no other one has while this is inside of a runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Greenlet(usize);

impl Greenlet {
    /// The number of an entry that was made before greenlets were imported: it belongs to the thread's first greenlet.
    pub(crate) const FIRST: Greenlet = Greenlet(0);
}

/// The modules that were imported (`sys.modules`).
static MODULES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// How many modules there were when greenlet was not among them; [`KNOWN`] when it is.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// More than there can be.
const KNOWN: usize = usize::MAX;

/// `greenlet.getcurrent`, once it was imported.
static CURRENT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Looks for the modules.
///
/// # Errors
/// What the import of `sys` raises.
pub(crate) fn init(py: Python<'_>) -> PyResult<()> {
    let modules = fallible::import(py, c"sys")?.attribute(c"modules")?;
    let _ = MODULES.set(py, modules.cast_into::<PyDict>()?.unbind());
    Ok(())
}

/// Whether greenlet is known to be there.
pub(crate) fn are_there() -> bool {
    SEEN.load(Ordering::Relaxed) == KNOWN
}

/// Whether greenlet is there, or may have been imported since this was last asked.
#[inline(always)]
pub(crate) fn may_be_there(py: Python<'_>) -> bool {
    let count = MODULES.get(py).map_or(0, |modules| modules.bind(py).len());
    count != SEEN.load(Ordering::Relaxed)
}

/// The greenlet that runs; `None` as long as there are none.
///
/// # Errors
/// What `greenlet.getcurrent()` raises.
#[cold]
pub(crate) fn current(py: Python<'_>) -> PyResult<Option<Current<'_>>> {
    let getter = match CURRENT.get(py) {
        Some(getter) => getter.bind(py).clone(),
        None => match find(py)? {
            Some(getter) => getter,
            None => return Ok(None),
        },
    };
    match getter.call0() {
        Ok(current) => Ok(Some(Current(current))),
        // While Python ends, it says so, and nobody switches any more.
        Err(error) if error.is_instance_of::<PyRuntimeError>(py) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The greenlet that runs.
pub(crate) struct Current<'py>(Bound<'py, PyAny>);

impl Current<'_> {
    pub(crate) fn id(&self) -> Greenlet {
        Greenlet(self.0.as_ptr().addr())
    }

    /// Whether it is this one.
    ///
    /// # Errors
    /// What reading the attribute `parent` raises.
    pub(crate) fn is(&self, other: Greenlet) -> PyResult<bool> {
        Ok(self.id() == other || other == Greenlet::FIRST && self.0.attribute(c"parent")?.is_none())
    }
}

/// Looks whether greenlet has been imported.
fn find(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let Some(modules) = MODULES.get(py) else { return Ok(None) };
    let modules = modules.bind(py);
    let count = modules.len();
    let module = modules.get_item(fallible::name(py, c"greenlet")?)?;
    // In the middle of its import, it is asked for again.
    let half = module.is_some();
    let getter = module.and_then(|module| module.attribute(c"getcurrent").ok());
    if let Some(getter) = &getter {
        let _ = CURRENT.set(py, getter.clone().unbind());
        SEEN.store(KNOWN, Ordering::Relaxed);
    } else if !half {
        SEEN.store(count, Ordering::Relaxed);
    }
    Ok(getter)
}
