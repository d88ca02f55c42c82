//! [`Stops`]: what a runtime is to be stopped for, and what it is stopped with. The hook that does it is in
//! [`crate::calls::hook`].
//!
//! The hook is called by Lua when somebody wants it to look ([`lua_api::Watch`]): the monitor, when
//! time is up or much time has passed; another thread, with `interrupt()`; or Lua itself, after so
//! many instructions. It then asks [`Stops`]. If Lua is to stop, it raises an exception, and goes on
//! raising it at each instruction, in every coroutine, so that no `pcall` keeps it: until Lua is left,
//! to the Python code that has called it. There [`Entry::take_stop`] puts that exception in the place of
//! whatever Lua has made of it.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lua_api::{LuaBackend, State, Thread};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::base::attribute::Attributes as _;
use crate::base::error::{Result, classes};
use crate::base::fallible;
use crate::base::guard::{parked, settled};
use crate::runtime::entry::Entry;
use crate::runtime::greenlets::{self, Greenlet};
use crate::runtime::place::place;
use crate::runtime::runtime::Runtime;
use crate::runtime::stop::alarm::Alarm;
use crate::runtime::stop::limits::Active;
use crate::runtime::stop::limits::{Limits, Over};
use crate::runtime::stop::pending;

/// The reasons to stop a runtime.
#[derive(Default)]
pub(crate) struct Stops {
    /// The part that the monitor looks at.
    pub(crate) alarm: Arc<Alarm>,
    // The exception of a stop. Only the lock's owner uses these.
    exception: RefCell<Option<PyErr>>,
    pub(crate) limits: RefCell<Limits>,
    // The limits of entries that have called out of Lua, until these go on.
    suspended: RefCell<Vec<Option<Suspended>>>,
    /// How many scopes for this runtime have begun, in all contexts; and how many calls that have a time limit.
    pub(crate) scopes: AtomicUsize,
    // Whether LuaJIT's compiler was on when instructions began to be counted.
    compiled: Cell<bool>,
}

/// The limits of one who has called out of Lua.
struct Suspended {
    active: Active,
    // Who it is; `None` if that could not be asked for.
    greenlet: Option<Greenlet>,
    // Counts up; the largest of a greenlet's is of its innermost callback.
    epoch: u64,
}

/// The class and the text of what Lua is stopped with.
type Reason = (fn(&crate::base::error::Classes) -> &Py<PyType>, String);

fn interruption() -> Reason {
    (|classes| &classes.interrupted, "interrupted".into())
}

impl<B: LuaBackend> Runtime<B> {
    /// Whether Lua is to stop now, or is being stopped.
    pub(crate) fn has_to_stop(&self) -> bool {
        self.is_stopping() || self.reason().is_some()
    }

    /// Why Lua is to stop now, if it is.
    pub(crate) fn reason(&self) -> Option<Reason> {
        if self.stops.alarm.is_interrupted() {
            return Some(interruption());
        }
        match self.stops.limits.borrow().over()? {
            Over::Time(deadline) => Some((|classes| &classes.timeout, deadline.text())),
            Over::Instructions(count) => Some((
                |classes| &classes.instructions,
                format!("limit of {count} instructions is reached"),
            )),
        }
    }

    /// Whether everything in Lua raises an exception already.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stops.exception.try_borrow().map_or(true, |exception| exception.is_some())
    }
}

impl<B: LuaBackend> Entry<'_, B> {
    /// An error if Lua was stopped, whatever it has made of that.
    ///
    /// # Errors
    /// What it was stopped with.
    #[inline(always)]
    pub(crate) fn check_stop(&self) -> Result<()> {
        if self.pending.has(pending::STOP)
            && let Some(exception) = self.take_stop()
        {
            return Err(exception.into());
        }
        Ok(())
    }

    /// The exception of a stop, if there is one. The stop ends where the caller has left Lua; in a callback, what Lua
    /// does next is stopped again.
    #[cold]
    pub(crate) fn take_stop(&self) -> Option<PyErr> {
        if self.is_in_callback() {
            return self.stopped_with();
        }
        let exception = self.stops.exception.take()?;
        let watch = self.instance.watch();
        watch.call_no_more();
        if self.instance.is_open() && !watch.is_counting() {
            // Others put their hooks back when they run.
            self.state().put_back_hook();
        }
        Some(exception)
    }
}

impl<B: LuaBackend> Entry<'_, B> {
    /// In the middle of work of our own that may take long, of which so many steps are done: they count as
    /// instructions, and others may run now.
    ///
    /// # Errors
    /// What Lua is stopped with, or what a handler of a signal has raised.
    pub(crate) fn look(&self, steps: usize) -> Result<()> {
        let (py, state) = (self.py, self.state());
        if self.pending.has(pending::LIMITS) {
            self.stops.limits.borrow().charge(steps);
        }
        // A thread that wants to interrupt this one needs the GIL for it.
        parked(|| py.detach(|| ()));
        if self.has_to_stop() {
            return Err(self.stop(state).into());
        }
        if self.listens() {
            self.handle_signals(state)?;
        }
        Ok(())
    }

    /// Runs the handlers of signals that have come meanwhile.
    ///
    /// # Errors
    /// What one of them has raised, which Lua is stopped with then.
    pub(crate) fn handle_signals(&self, state: State<B>) -> PyResult<()> {
        // Whatever Python code runs here may be where a handler is called.
        let heard = self.hears(self.py).and_then(|hears| match hears {
            true => self.py.check_signals(),
            false => Ok(()),
        });
        heard.inspect_err(|exception| begin_stop(self, state, exception.clone_ref(self.py)))
    }

    /// The exception of the stop that has begun, if one has.
    fn stopped_with(&self) -> Option<PyErr> {
        self.stops.exception.borrow().as_ref().map(|exception| exception.clone_ref(self.py))
    }

    /// Begins a stop, unless one has begun; returns its exception.
    pub(crate) fn stop(&self, state: State<B>) -> PyErr {
        let py = self.py;
        if let Some(exception) = self.stopped_with() {
            return exception;
        }
        // The caller has seen a reason. An interruption that has ended since then still counts.
        let (class, text) = self.reason().unwrap_or_else(interruption);
        // In a C function, the place is where it was called.
        let at = |level| Some(place(state, level)).filter(|place| !place.is_empty());
        let text = at(0).or_else(|| at(1)).unwrap_or_default() + &text;
        let class = class(classes(py)).bind(py).clone();
        let exception = settled(py, fallible::error_of(class, text));
        begin_stop(self, state, exception.clone_ref(py));
        exception
    }
}

/// Begins a stop: from now on everything in Lua raises this exception, until Python's call of Lua ends.
pub(crate) fn begin_stop<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, exception: PyErr) {
    state.call_hook_always();
    // Dropping the exception from before may run any code.
    drop(entry.stops.exception.replace(Some(exception)));
    entry.pending.set(pending::STOP);
}

/// Whether this is the thread that Python handles signals in, as Python says.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = fallible::import(py, c"threading")?;
    let main = threading.method0(c"main_thread")?;
    let main = main.attribute(c"ident")?;
    main.eq(threading.method0(c"get_ident")?)
}

impl<B: LuaBackend> Runtime<B> {
    /// Whether signals may be for this thread.
    pub(crate) fn listens(&self) -> bool {
        Thread::this().is_main() != Some(false)
    }

    /// Whether this is the thread that Python handles signals in.
    fn hears(&self, py: Python<'_>) -> PyResult<bool> {
        let thread = Thread::this();
        let main = match thread.is_main() {
            Some(main) => main,
            None => match is_main_thread(py) {
                Ok(main) => {
                    thread.set_main(main);
                    main
                }
                // Where nothing can be imported any more, Python itself knows.
                Err(error) if error.is_instance_of::<PyImportError>(py) => true,
                Err(error) => return Err(error),
            },
        };
        if !main {
            self.stops.alarm.be_deaf(self.epoch());
        }
        Ok(main)
    }

    /// In the hook: accounts for the instructions that have run, and goes on counting.
    pub(crate) fn go_on_counting(&self, state: State<B>) {
        if self.instance.watch().is_counting() {
            let mut limits = self.stops.limits.borrow_mut();
            limits.account(state.instructions_left(true));
            if let Some(count) = limits.next_count() {
                state.count_instructions(count);
            }
        }
    }

    /// Limits have begun or ended: has them hold.
    pub(crate) fn apply_limits(&self, state: State<B>) {
        if !self.instance.is_open() {
            return;
        }
        let watch = self.instance.watch();
        let (count, deadline, any) = {
            let mut limits = self.stops.limits.borrow_mut();
            if watch.is_counting() {
                limits.account(state.instructions_left(false));
            }
            self.instance.memory().set_scoped_limit(limits.memory());
            let any = limits.timeout.is_some()
                || self.stops.scopes.load(Ordering::Relaxed) > 0
                || limits.active.any();
            (limits.next_count(), limits.deadline(), any)
        };
        match count {
            Some(count) => {
                if !watch.is_counting() {
                    self.stops.compiled.set(self.switch_compiler(state, false));
                }
                state.count_instructions(count);
            }
            None if watch.is_counting() => {
                state.end_count();
                if self.stops.compiled.replace(false) {
                    self.switch_compiler(state, true);
                }
            }
            None => {}
        }
        if any {
            self.pending.set(pending::LIMITS);
        } else {
            self.pending.clear(pending::LIMITS);
        }
        self.stops.alarm.set_deadline(deadline);
    }

    /// Has other limits hold; gives those that held.
    pub(crate) fn change_limits(&self, state: State<B>, active: Active) -> Active {
        self.pause_count(state);
        let before = std::mem::replace(&mut self.stops.limits.borrow_mut().active, active);
        self.apply_limits(state);
        before
    }

    /// Accounts for the instructions that have run; none are counted until limits are applied.
    fn pause_count(&self, state: State<B>) {
        let watch = self.instance.watch();
        if self.instance.is_open() && watch.is_counting() {
            let mut limits = self.stops.limits.borrow_mut();
            limits.account(state.instructions_left(false));
            limits.pause_count();
        }
    }

    /// Lua calls out, and others may enter meanwhile: what is to hold again when it goes on.
    /// Gives a number for it; 0 is nothing.
    #[cold]
    #[inline(never)]
    pub(crate) fn suspend_limits(&self, py: Python<'_>, state: State<B>) -> usize {
        if !self.pending.has(pending::LIMITS) {
            return 0;
        }
        self.pause_count(state);
        let active = self.stops.limits.borrow().active.clone();
        let greenlet = if greenlets::may_be_there(py) {
            let current = greenlets::current(py).ok();
            current.map(|current| current.map_or(Greenlet::FIRST, |current| current.id()))
        } else {
            Some(Greenlet::FIRST)
        };
        let mut suspended = self.stops.suspended.borrow_mut();
        let epoch = suspended.iter().flatten().map(|one| one.epoch).max().unwrap_or(0) + 1;
        let free = suspended.iter().position(Option::is_none);
        let index = free.unwrap_or(suspended.len());
        if free.is_none() {
            suspended.push(None);
        }
        suspended[index] = Some(Suspended { active, greenlet, epoch });
        index + 1
    }

    /// The limits of the innermost callback that this greenlet is in; `None` where there is none that had limits.
    ///
    /// # Errors
    /// What reading an attribute of the greenlet raises.
    pub(crate) fn limits_around(
        &self,
        current: &greenlets::Current<'_>,
    ) -> PyResult<Option<Active>> {
        let mut found: Option<(u64, Active)> = None;
        for index in 0.. {
            // Asking a greenlet may run Python code, which may enter and leave.
            let (greenlet, epoch, active) = match self.stops.suspended.borrow().get(index) {
                Some(Some(one)) => (one.greenlet, one.epoch, one.active.clone()),
                Some(None) => continue,
                None => break,
            };
            let mine = greenlet.map_or(Ok(false), |greenlet| current.is(greenlet))?;
            if mine && found.as_ref().is_none_or(|(newest, _)| *newest < epoch) {
                found = Some((epoch, active));
            }
        }
        Ok(found.map(|(_, active)| active))
    }

    /// Lua goes on.
    #[cold]
    #[inline(never)]
    pub(crate) fn resume_limits(&self, state: State<B>, suspended: usize) {
        let suspended = suspended.checked_sub(1);
        let limits = suspended.and_then(|index| self.stops.suspended.borrow_mut()[index].take());
        if !self.pending.has(pending::LIMITS) && limits.is_none() || !self.instance.is_open() {
            return;
        }
        self.stops.limits.borrow_mut().active = limits.map(|one| one.active).unwrap_or_default();
        if !self.is_stopping() {
            self.apply_limits(state);
        }
    }

    /// Instructions of compiled code cannot be counted: LuaJIT interprets meanwhile.
    fn switch_compiler(&self, state: State<B>, on: bool) -> bool {
        if !B::HAS_FFI {
            return false;
        }
        let was = state.protect(|raising| raising.compiler(on));
        was.unwrap_or_else(|_| {
            state.pop(1);
            false
        })
    }
}
