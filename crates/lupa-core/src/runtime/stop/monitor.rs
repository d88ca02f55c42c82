//! The monitor: a thread that sees to it that what runs too long is stopped, and that what runs for
//! long is asked to look for signals.
//!
//! It lives while Lua is used and for a second after. Before a fork it is ended, so that the child
//! (and Python, which warns of forks with threads) finds none; after it goes on. It never touches
//! Python: it reads a few numbers of each runtime, and sets hooks by [`lua_api::Watch`].
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use lua_api::Watch;
use pyo3::prelude::*;
use pyo3::types::PyCFunction;

use crate::base::attribute::Attributes as _;
use crate::base::gil::Gil;
use crate::base::lock::Lock;
use crate::runtime::stop::alarm::Alarm;
use crate::runtime::stop::deadline::{NEVER, now};

/// How often it looks. Ctrl-C is seen within two looks.
const TICK: u64 = 40_000_000;

/// How often it looks where a thread runs Lua without letting others run; as often as Python switches
/// between its threads.
const SHORT_TICK: u64 = 5_000_000;

/// How long a runtime that is not used is watched.
const PATIENCE: u64 = 1_000_000_000;

/// It needs next to nothing, but the C library takes what is local to threads from this, too.
const STACK_SIZE: usize = 512 << 10;

/// The part of a runtime that the monitor shares. Any thread may use all of it.
pub(crate) struct Vitals {
    pub(crate) lock: Lock,
    pub(crate) gil: Gil,
    /// Counts what may change a table, so each entry into Lua and each callback.
    pub(crate) epoch: AtomicU64,
    pub(crate) listing: Listing,
    /// The address of the instance.
    pub(crate) instance: usize,
    alarm: Arc<Alarm>,
    watch: Arc<Watch>,
}

impl Vitals {
    pub(crate) fn new(watch: Arc<Watch>, alarm: Arc<Alarm>, instance: usize) -> Self {
        Vitals {
            lock: Lock::default(),
            gil: Gil::default(),
            epoch: AtomicU64::new(1),
            listing: Listing::default(),
            instance,
            alarm,
            watch,
        }
    }

    /// When what runs is to stop: 0 is now.
    pub(crate) fn deadline(&self) -> u64 {
        self.alarm.deadline()
    }

    /// Whether what runs was interrupted.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.alarm.is_interrupted()
    }

    /// How often somebody has interrupted what runs.
    pub(crate) fn interruptions(&self) -> u64 {
        self.alarm.interruptions()
    }

    /// Asks Lua to call our hook at its next instruction.
    pub(crate) fn ask_for_hook(&self) {
        self.watch.call_hook();
    }
}

/// Whether a runtime is on the monitor's list.
#[derive(Default)]
pub(crate) struct Listing {
    // The monitor looks at it.
    watched: AtomicBool,
    // It is on the list, perhaps for one look more.
    listed: AtomicBool,
}

impl Listing {
    /// Whether the monitor has this runtime on its list.
    #[inline(always)]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }
}

struct Watched {
    vitals: Arc<Vitals>,
    epoch: u64,
    busy: bool,
    /// Since when it has this epoch, as far as the looks tell.
    since: u64,
}

struct List {
    entries: Vec<Watched>,
    thread: Option<JoinHandle<()>>,
    ending: bool,
}

static LIST: Mutex<List> = Mutex::new(List { entries: Vec::new(), thread: None, ending: false });
static WAKE: Condvar = Condvar::new();
/// When the thread looks next, in nanoseconds of [`now`].
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

fn list() -> MutexGuard<'static, List> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a runtime on the list; false if there can be no thread.
#[cold]
pub(crate) fn watch(vitals: &Arc<Vitals>) -> bool {
    let mut list = list();
    if list.ending {
        // Between here and the end of a fork there is none.
        return false;
    }
    if !vitals.listing.listed.load(Ordering::Relaxed) {
        if list.entries.try_reserve(1).is_err() {
            return false;
        }
        let vitals = Arc::clone(vitals);
        list.entries.push(Watched { vitals, epoch: 0, busy: false, since: now() });
    }
    vitals.listing.watched.store(true, Ordering::Relaxed);
    vitals.listing.listed.store(true, Ordering::Relaxed);
    list.thread.is_some() || start(&mut list)
}

/// Takes a runtime off the list that is there no more.
pub(crate) fn forget(vitals: &Arc<Vitals>) {
    if vitals.listing.listed.load(Ordering::Relaxed) {
        list().entries.retain(|entry| !Arc::ptr_eq(&entry.vitals, vitals));
    }
}

/// There is a deadline: the monitor is not to sleep over it.
#[inline]
pub(crate) fn expect(deadline: u64) {
    if deadline < NEXT.load(Ordering::Relaxed) {
        let _list = list();
        WAKE.notify_one();
    }
}

fn start(list: &mut List) -> bool {
    let thread = Builder::new().name("lupa".into()).stack_size(STACK_SIZE).spawn(run);
    list.thread = thread.ok();
    list.thread.is_some()
}

fn run() {
    let mut list = list();
    while !list.ending && !list.entries.is_empty() {
        let next = look(&mut list.entries);
        NEXT.store(next, Ordering::Relaxed);
        if list.entries.is_empty() {
            break;
        }
        let pause = Duration::from_nanos(next.saturating_sub(now()).max(1));
        list = WAKE.wait_timeout(list, pause).unwrap_or_else(PoisonError::into_inner).0;
    }
    NEXT.store(NEVER, Ordering::Relaxed);
    if !list.ending {
        // This thread ends. The next runtime that is watched starts another one.
        list.thread = None;
    }
}

/// One look at all; gives the time of the next.
fn look(entries: &mut Vec<Watched>) -> u64 {
    let time = now();
    let mut next = time + TICK;
    entries.retain_mut(|entry| {
        let Vitals { lock, gil, epoch, listing, alarm, watch, .. } = &*entry.vitals;
        let (busy, epoch) = (lock.is_held(), epoch.load(Ordering::Relaxed));
        if busy != entry.busy || epoch != entry.epoch {
            (entry.busy, entry.epoch, entry.since) = (busy, epoch, time);
        }
        let unchanged = time - entry.since;
        if gil.was_kept() || gil.is_kept() {
            next = next.min(time + SHORT_TICK);
        }
        if busy {
            watch.count_everywhere();
            let deadline = alarm.deadline();
            if deadline <= time {
                watch.call_hook();
            } else {
                next = next.min(deadline);
                let for_signals = unchanged >= TICK && !alarm.is_deaf(epoch);
                if for_signals || unchanged >= SHORT_TICK && gil.is_kept() {
                    watch.call_hook();
                }
            }
        }
        let idle = if busy { 0 } else { unchanged };
        // Two steps: first it is told, and one look later, when it must have seen that, taken off.
        let told = !listing.is_watched();
        listing.watched.store(idle < PATIENCE, Ordering::Relaxed);
        let stays = idle < PATIENCE || !told;
        listing.listed.store(stays, Ordering::Relaxed);
        stays
    });
    next
}

/// Ends the thread, for a fork.
fn pause() {
    let thread = {
        let mut list = list();
        list.ending = true;
        for entry in &list.entries {
            entry.vitals.listing.watched.store(false, Ordering::Relaxed);
        }
        WAKE.notify_one();
        list.thread.take()
    };
    if let Some(thread) = thread {
        // It does not panic; if it did, it has ended as well.
        let _ = thread.join();
    }
}

/// Goes on after a fork, in either process.
fn resume() {
    let mut list = list();
    list.ending = false;
    if !list.entries.is_empty() {
        start(&mut list);
    }
}

/// Has Python call [`pause`] and [`resume`] around its forks.
pub(crate) fn init(py: Python<'_>) -> PyResult<()> {
    let os = crate::base::fallible::import(py, c"os")?;
    let Ok(register) = os.attribute("register_at_fork") else {
        // A system without fork.
        return Ok(());
    };
    let before = PyCFunction::new_closure(py, None, None, |_, _| pause())?;
    let after = PyCFunction::new_closure(py, None, None, |_, _| resume())?;
    let arguments = crate::base::fallible::dict(py)?;
    arguments.set_item("before", before)?;
    arguments.set_item("after_in_parent", &after)?;
    arguments.set_item("after_in_child", after)?;
    register.call((), Some(&arguments))?;
    Ok(())
}
