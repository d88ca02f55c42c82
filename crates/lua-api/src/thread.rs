//! [`Thread`]: what there is once for each thread: the instance that it works on, and the end of its stack.
#![forbid(unsafe_code)]

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize};
use std::sync::OnceLock;

use crate::backend::LuaBackend;
use crate::instance::Instance;

/// The calling thread: it cannot be sent to another.
///
/// C functions find their instance here. An upvalue would be simpler, but scripts can change
/// upvalues (`debug.setupvalue`).
///
/// ```compile_fail
/// let here = lua_api::Thread::this();
/// std::thread::spawn(move || here.has_room());
/// ```
#[derive(Clone, Copy)]
pub struct Thread {
    notes: &'static Notes,
    // That of the thread which has it.
    own: PhantomData<*const ()>,
}

/// The notes of a thread. Only that thread reads and writes them, except for the number: atomics cost the same then.
#[derive(Default)]
struct Notes {
    // The number of the thread; 0 when it has ended.
    id: AtomicUsize,
    instance: AtomicPtr<()>,
    // Below this address the stack is for what does not recurse; 0 until it is asked for.
    stack_limit: AtomicUsize,
    // Its last address.
    stack_end: AtomicUsize,
    // Whether this is the main thread of Python: one of these.
    main: AtomicU8,
    next: OnceLock<&'static Notes>,
}

const UNKNOWN: u8 = 0;
const MAIN: u8 = 1;
const OTHER: u8 = 2;

/// The first of all notes there are; those of threads that have ended are taken by new ones. Without a lock: in the child of a
/// fork there might be nobody to give it back.
static FIRST: OnceLock<&'static Notes> = OnceLock::new();

/// Gives a thread's notes back when it ends.
struct Lease(Cell<Option<&'static Notes>>);

thread_local! {
    // Two, since what has a destructor is not there as long as the thread is.
    static NOTES: Cell<Option<&'static Notes>> = const { Cell::new(None) };
    static LEASE: Lease = const { Lease(Cell::new(None)) };
}

impl Notes {
    #[cold]
    #[inline(never)]
    fn of_new_thread() -> &'static Notes {
        let id = next_id();
        let is_taken = |notes: &Notes| notes.id.compare_exchange(0, id, AcqRel, Relaxed).is_ok();
        let notes = Notes::all().find(|notes| is_taken(notes)).unwrap_or_else(|| Notes::add(id));
        NOTES.set(Some(notes));
        // Where the thread is about to end, they stay behind.
        let _ = LEASE.try_with(|lease| lease.0.set(Some(notes)));
        notes
    }

    fn all() -> impl Iterator<Item = &'static Notes> {
        core::iter::successors(FIRST.get().copied(), |notes| notes.next.get().copied())
    }

    /// More of them.
    fn add(id: usize) -> &'static Notes {
        let notes: &'static Notes =
            Box::leak(Box::new(Notes { id: id.into(), ..Notes::default() }));
        let mut place = &FIRST;
        while place.set(notes).is_err() {
            let Some(other) = place.get() else { continue };
            place = &other.next;
        }
        notes
    }
}

/// A number that no thread has had.
fn next_id() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(LEAST_ID);
    NEXT.fetch_add(1, Relaxed)
}

/// The least number of a thread: those below are for other use.
const LEAST_ID: usize = 16;

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(notes) = self.0.take() else { return };
        // Code that runs in the same thread after this gets new notes.
        NOTES.set(None);
        notes.instance.store(null_mut(), Relaxed);
        notes.stack_limit.store(0, Relaxed);
        notes.stack_end.store(0, Relaxed);
        notes.main.store(UNKNOWN, Relaxed);
        notes.id.store(0, Release);
    }
}

/// The largest part of a thread's stack that is kept free for code that does not check for room; bytes.
const STACK_MARGIN: usize = 192 << 10;

/// The least size of that part: most of it is for buffers of 8 KiB, of which a function of Lua's libraries may have two.
pub(crate) const LEAST_MARGIN: usize = 32 << 10;

/// The most that Lua's compiler takes, for 200 levels; bytes.
const MOST_TO_COMPILE: usize = 256 << 10;

/// How much of a stack Lua takes in one go, callbacks not counted; coroutines of LuaJIT take half. On a large stack these
/// would nest so deep that an error, to which each adds its place, takes minutes to come out.
const MOST_NESTING: usize = 2 << 20;

impl Thread {
    /// The calling thread.
    #[inline(always)]
    pub fn this() -> Thread {
        let notes = NOTES.get().unwrap_or_else(Notes::of_new_thread);
        Thread { notes, own: PhantomData }
    }

    /// A number that no other thread has, nor has had; at least 16.
    #[inline(always)]
    pub fn id(self) -> usize {
        self.notes.id.load(Relaxed)
    }

    /// Whether the thread of this number has not ended; there is none of number 0. (In the child of a fork those of its parent count as there.)
    pub fn is_there(id: usize) -> bool {
        id != 0 && Notes::all().any(|notes| notes.id.load(Acquire) == id)
    }

    /// Whether there is room on the system's stack for one more step of a recursion through Lua and
    /// whatever called it.
    #[inline(always)]
    pub fn has_room(self) -> bool {
        let here = 0_u8;
        let here = (&raw const here).addr();
        let limit = self.notes.stack_limit.load(Relaxed);
        if limit == 0 {
            return self.find_limit(here);
        }
        here > limit
    }

    /// Whether there is room for code that is as deep as Lua allows, so that not to compile it is the code's fault.
    pub fn has_room_to_compile(self) -> bool {
        let here = 0_u8;
        let limit = || self.notes.stack_limit.load(Relaxed);
        self.has_room() && (&raw const here).addr() - limit() > MOST_TO_COMPILE
    }

    #[cold]
    #[inline(never)]
    fn find_limit(self, here: usize) -> bool {
        // Where the system does not tell, there is no limit.
        let left = stacker::remaining_stack().unwrap_or(here);
        let end = here.saturating_sub(left);
        let margin = (left / 4).clamp(LEAST_MARGIN, STACK_MARGIN);
        let limit = end.saturating_add(margin).max(1);
        self.notes.stack_end.store(end, Relaxed);
        self.notes.stack_limit.store(limit, Relaxed);
        here > limit
    }

    /// Tells a Lua, which is about to run, how far it may go down this thread's stack. It raises errors where
    /// [`Thread::has_room`] says no, or before, and has half of what is below that for handling them.
    #[inline(always)]
    pub(crate) fn tell_room<B: LuaBackend>(self, instance: &Instance<B>) {
        let here = 0_u8;
        let here = (&raw const here).addr();
        if !instance.watch().knows_room_at(here) {
            self.tell_room_at(instance, here);
        }
    }

    #[cold]
    fn tell_room_at<B: LuaBackend>(self, instance: &Instance<B>, here: usize) {
        let limit = self.notes.stack_limit.load(Relaxed);
        let soft = limit.max(here.saturating_sub(MOST_NESTING));
        let coroutines = limit.max(here.saturating_sub(MOST_NESTING / 2));
        let reserve = limit.saturating_sub(self.notes.stack_end.load(Relaxed)) / 2;
        instance.set_room(here, soft, soft.saturating_sub(reserve), coroutines);
    }

    /// Whether this is the thread that handles signals, if that is known: [`Thread::set_main`].
    pub fn is_main(self) -> Option<bool> {
        match self.notes.main.load(Relaxed) {
            UNKNOWN => None,
            main => Some(main == MAIN),
        }
    }

    /// Notes whether this is the thread that handles signals.
    pub fn set_main(self, main: bool) {
        self.notes.main.store(if main { MAIN } else { OTHER }, Relaxed);
    }

    /// The address of the instance that this thread works on, or null.
    #[inline(always)]
    pub fn instance(self) -> *const () {
        self.notes.instance.load(Relaxed)
    }

    /// This thread works on no instance, until Lua runs again.
    #[inline(always)]
    pub(crate) fn leave(self) {
        self.set_instance(core::ptr::null());
    }

    /// Makes an instance the one that this thread works on. A reader of the address has to know that the instance still exists.
    #[inline(always)]
    pub(crate) fn set_instance(self, instance: *const ()) {
        self.notes.instance.store(instance.cast_mut(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier};
    use std::thread;

    use super::Thread;

    #[test]
    fn threads_that_are_there_have_numbers_of_their_own() {
        let here = Thread::this().id();
        let all_there = Arc::new(Barrier::new(8));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let all_there = Arc::clone(&all_there);
                thread::spawn(move || {
                    let id = Thread::this().id();
                    all_there.wait();
                    assert_eq!(id, Thread::this().id());
                    id
                })
            })
            .collect();
        let mut ids: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        ids.push(here);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 9);
    }

    #[test]
    fn threads_that_have_ended_are_not_there() {
        for _ in 0..100 {
            let ended = thread::spawn(|| {
                let id = Thread::this().id();
                assert!(Thread::is_there(id));
                id
            });
            let ended = ended.join().unwrap();
            assert!(!Thread::is_there(ended));
            assert_ne!(thread::spawn(|| Thread::this().id()).join().unwrap(), ended);
        }
        assert!(Thread::is_there(Thread::this().id()) && !Thread::is_there(0));
    }

    #[test]
    fn a_new_thread_knows_nothing_of_another() {
        for _ in 0..100 {
            let found = thread::spawn(|| {
                let here = Thread::this();
                let before = (here.is_main(), here.instance().is_null());
                here.set_main(true);
                here.set_instance((&raw const before).cast());
                assert!(here.has_room() && here.is_main() == Some(true));
                before
            });
            assert_eq!(found.join().unwrap(), (None, true));
        }
    }

    #[test]
    fn what_runs_at_the_end_of_a_thread_may_ask_for_it() {
        struct Late;
        impl Drop for Late {
            fn drop(&mut self) {
                assert!(Thread::this().has_room());
                assert_eq!(Thread::this().id(), Thread::this().id());
            }
        }
        thread_local!(static LATE: Late = const { Late });
        // Destructors run in the order of the last first, or another one: both are tried.
        for late_first in [true, false] {
            let thread = thread::spawn(move || {
                if late_first {
                    LATE.with(|_| {});
                }
                assert!(Thread::this().has_room());
                LATE.with(|_| {});
            });
            thread.join().unwrap();
        }
    }
}
