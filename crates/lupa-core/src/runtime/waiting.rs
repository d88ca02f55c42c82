//! Waiting for a runtime that another thread is in: what ends it early, and what a fork leaves behind.
//!
//! Who waits is on a list with what he waits for. So two threads that wait for each other find it out, in rings of any
//! size: the last who closes one gets an error. In the child of a fork only the thread that has forked lives on: what
//! others were in stays as it is for ever, and is lost.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use crate::base::attribute::Attributes as _;
use crate::base::error::{Error, Result, classes};
use crate::base::fallible;
use crate::base::lock::this_thread;
use crate::base::vectors;
use crate::runtime::stop::deadline::Deadline;
use crate::runtime::stop::deadline::now;
use crate::runtime::stop::monitor::Vitals;

#[derive(Default)]
struct Registry {
    runtimes: Vec<Weak<Vitals>>,
    waiters: Vec<Waiter>,
}

struct Waiter {
    thread: usize,
    vitals: Arc<Vitals>,
}

// Held for a few lines at a time, attached to Python: so with a GIL nobody holds it when another thread forks.
static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { runtimes: Vec::new(), waiters: Vec::new() });

fn registry() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a new runtime.
///
/// # Errors
/// [`Error::Memory`].
pub(crate) fn register(vitals: &Arc<Vitals>) -> Result<()> {
    vectors::push(&mut registry().runtimes, Arc::downgrade(vitals))
}

/// A runtime ends.
pub(crate) fn forget(vitals: &Arc<Vitals>) {
    let address = Arc::as_ptr(vitals);
    registry().runtimes.retain(|other| !std::ptr::eq(other.as_ptr(), address));
}

/// Whether this thread is inside of the runtime with the instance at this address.
pub(crate) fn is_inside(instance: usize) -> bool {
    let me = this_thread();
    registry()
        .runtimes
        .iter()
        .filter_map(Weak::upgrade)
        .any(|vitals| vitals.instance == instance && vitals.lock.owner() == me)
}

impl Registry {
    /// Whether a thread that waited for this would wait for itself in the end.
    fn closes_a_ring(&self, me: usize, wanted: &Vitals) -> bool {
        let mut owner = wanted.lock.owner();
        // A ring that it is not part of has no more members than there are who wait.
        for _ in 0..=self.waiters.len() {
            if owner == me {
                return true;
            }
            match self.waiters.iter().find(|waiter| waiter.thread == owner) {
                Some(waiter) => owner = waiter.vitals.lock.owner(),
                None => return false,
            }
        }
        false
    }
}

/// A place on the list, which is given up when this is dropped.
struct Listed {
    thread: usize,
}

impl Listed {
    fn new(thread: usize, vitals: &Arc<Vitals>) -> Result<Self> {
        let mut registry = registry();
        if registry.closes_a_ring(thread, vitals) {
            return Err(Error::Deadlock);
        }
        vectors::push(&mut registry.waiters, Waiter { thread, vitals: Arc::clone(vitals) })?;
        Ok(Listed { thread })
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        // A thread waits for one at a time, but for handlers of signals, which wait on top of that.
        let mut registry = registry();
        if let Some(index) = registry.waiters.iter().rposition(|w| w.thread == self.thread) {
            registry.waiters.remove(index);
        }
    }
}

/// Takes the lock of a runtime that another thread has, as soon as that is possible.
///
/// # Errors
/// What handlers of signals raise; `LuaTimeoutError` at the deadline, or at that of a runtime in which this thread is;
/// `LuaInterruptedError` when one of these, or this one, is interrupted; [`Error::Deadlock`]; [`Error::Lost`].
#[cold]
pub(crate) fn wait(py: Python<'_>, vitals: &Arc<Vitals>, deadline: Option<Deadline>) -> Result<()> {
    let me = this_thread();
    let listed = Listed::new(me, vitals)?;
    let interruptions = vitals.interruptions();
    let result = vitals.lock.wait(py, || {
        py.check_signals()?;
        if vitals.interruptions() != interruptions {
            return Err(interrupted(py));
        }
        if let Some(deadline) = deadline.filter(Deadline::is_over) {
            return Err(over(py, deadline.text()));
        }
        look_around(py, me)
    });
    drop(listed);
    result
}

/// An error if a runtime in which this thread is has to stop.
fn look_around(py: Python<'_>, me: usize) -> Result<()> {
    let mut stops = None;
    for vitals in registry().runtimes.iter().filter_map(Weak::upgrade) {
        if vitals.lock.owner() == me && vitals.deadline() <= now() {
            stops = Some(vitals.is_interrupted());
        }
    }
    match stops {
        None => Ok(()),
        Some(true) => Err(interrupted(py)),
        Some(false) => Err(over(py, "a time limit of the Lua code that waits here is over".into())),
    }
}

fn interrupted(py: Python<'_>) -> Error {
    fallible::error_of(classes(py).interrupted.bind(py).clone(), "interrupted").into()
}

fn over(py: Python<'_>, text: String) -> Error {
    fallible::error_of(classes(py).timeout.bind(py).clone(), text).into()
}

/// In the child of a fork: what other threads were in is lost.
fn after_fork() {
    let me = this_thread();
    let mut registry = registry();
    // The threads that waited do not exist in the child.
    registry.waiters.clear();
    for vitals in registry.runtimes.iter().filter_map(Weak::upgrade) {
        vitals.lock.survive(me);
    }
}

/// Has Python call [`after_fork`].
///
/// # Errors
/// What Python raises.
pub(crate) fn init(py: Python<'_>) -> PyResult<()> {
    let os = fallible::import(py, c"os")?;
    let Ok(register) = os.attribute(c"register_at_fork") else {
        // A system without fork.
        return Ok(());
    };
    let after = PyCFunction::new_closure(py, None, None, |_, _| after_fork())?;
    let arguments = fallible::dict(py)?;
    arguments.set_item(fallible::name(py, c"after_in_child")?, after)?;
    register.call((), Some(&arguments))?;
    Ok(())
}
