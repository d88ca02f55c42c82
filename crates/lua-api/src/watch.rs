//! [`Watch`]: how what a Lua runs is stopped from outside.
//!
//! A count hook is the only thing that ends a loop in Lua. `lua_sethook` is made for signal handlers
//! of the thread that runs Lua, not for other threads, so a bundled Lua gets a few functions more
//! (`lua-build/c`), and this is what they rest on:
//!
//! - **The lock.** Whoever writes a hook holds it. So does Lua while it frees a coroutine, and LuaJIT
//!   while it rewrites its table of instructions.
//! - **The coroutine that runs** is noted at each resume, by plain stores. Another thread reads it with
//!   the lock held, so what it reads has not been freed. It may be outdated: then the hook is set on
//!   a coroutine that no longer runs. So whoever wants Lua to stop asks again and again, until it has.
//! - **What is written** are the fields of a count hook, the mask last, in a coroutine (in LuaJIT: in
//!   the global state). Frames, which come and go, are never touched.
//! - **The hook itself runs in the thread that runs Lua**, and decides there; it puts back what hook
//!   there was before, or raises an error. A hook that a script sets meanwhile is kept for later.
//!
//! With an installed Lua ([`Hooks::outside`] is `None`) hooks are set by the thread that runs Lua only.

use core::cell::{Cell, UnsafeCell};
use core::ffi::{c_int, c_void};
use core::hint::spin_loop;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::Arc;
use std::thread::yield_now;

use crate::raw::{Hooks, RUN_NOTHING, Room, WAIT, lua_Hook, lua_State};
use crate::thread::Thread;

/// The mask of a count hook (`LUA_MASKCOUNT`), in every Lua.
const COUNT: c_int = 8;

/// How far from where it was told the room need not be told again, in bytes.
const NEARBY: usize = 8 << 10;

const _: () = assert!(2 * NEARBY < crate::thread::LEAST_MARGIN);

/// The hook that a coroutine had before ours.
struct Kept {
    state: *mut lua_State,
    hook: lua_Hook,
    mask: c_int,
    count: c_int,
    // It was set while ours was there, and has not run.
    new: bool,
}

/// How often a stop was put off, since a hook of a script ran, which is not what has to be stopped if it ends soon.
#[derive(Clone, Copy, Default)]
struct Grace {
    // The last hook that was let go on, and how often.
    hook: u64,
    same: u32,
    all: u32,
}

/// How many instructions a hook may run each time.
const GRACE: c_int = 1000;

/// How often the same hook may go on, and how often any.
const MOST_GRACE: (u32, u32) = (100, 2000);

/// What the lock guards.
#[derive(Default)]
struct Guarded {
    kept: Vec<Kept>,
    // The instructions that were left of a coroutine's count when another thread set the hook there.
    left: Vec<(*mut lua_State, c_int)>,
}

impl Guarded {
    /// Notes what was left of the count, unless that is known.
    fn note_left(&mut self, key: *mut lua_State, left: impl FnOnce() -> c_int) {
        if !self.left.iter().any(|(other, _)| *other == key) {
            self.left.push((key, left()));
        }
    }

    /// Forgets it.
    fn take_left(&mut self, key: *mut lua_State) -> Option<c_int> {
        let found = self.left.iter().position(|(other, _)| *other == key)?;
        Some(self.left.swap_remove(found).1)
    }

    /// Keeps a hook in the place of what was kept of that coroutine; none is kept as nothing.
    fn keep(&mut self, kept: Kept) {
        self.kept.retain(|other| other.state != kept.state);
        if kept.hook.is_some() && kept.mask != 0 {
            self.kept.push(kept);
        }
    }
}

/// How a Lua is watched. Its [`crate::Instance`] shares it with those who stop Lua from outside, for whom it is
/// still there when Lua is not: then no coroutine runs any more, and nothing is written.
#[repr(C)]
pub struct Watch {
    // These two first: `struct lupa_watch` of `lua-build/c`.
    running: AtomicPtr<lua_State>,
    // Coroutines inherit the hook of whom resumes them: instructions are counted, or Lua is stopped.
    hands_on: AtomicBool,
    hooks: &'static Hooks,
    hook: lua_Hook,
    room: AtomicPtr<Room>,
    // Where on its stack the thread that runs Lua was when it said how much room there is.
    told_at: Cell<usize>,
    held: AtomicBool,
    guarded: UnsafeCell<Guarded>,
    counting: AtomicBool,
    // The coroutine on which a hook of a script runs, or null; and how many of them have begun.
    in_hook: AtomicPtr<lua_State>,
    hooks_begun: Cell<u64>,
    grace: Cell<Grace>,
    untold: AtomicBool,
}

// SAFETY: `guarded` is used with the lock held; cells are of the thread that runs Lua; the rest is atomic, or never
// changes. The pointers in it are
// of coroutines, which the lock keeps from being freed.
unsafe impl Sync for Watch {}
// SAFETY: as above.
unsafe impl Send for Watch {}

impl Watch {
    /// `hook` is what runs in the thread of Lua when it is to stop.
    pub(crate) fn new(hooks: &'static Hooks, hook: lua_Hook) -> Self {
        Watch {
            running: AtomicPtr::new(null_mut()),
            hands_on: AtomicBool::new(false),
            hooks,
            hook,
            room: AtomicPtr::new(null_mut()),
            told_at: Cell::new(0),
            held: AtomicBool::new(false),
            guarded: UnsafeCell::default(),
            counting: AtomicBool::new(false),
            in_hook: AtomicPtr::new(null_mut()),
            hooks_begun: Cell::new(0),
            grace: Cell::default(),
            untold: AtomicBool::new(hooks.outside.is_none()),
        }
    }

    /// Notes which state runs first, or, with null, that there is none any more.
    ///
    /// # Safety
    /// The state is live until then, but for coroutines that Lua frees.
    pub(crate) unsafe fn set_running(&self, state: *mut lua_State) {
        let room = match &self.hooks.outside {
            // SAFETY: as the caller promises; gives the address of a field.
            Some(outside) if !state.is_null() => unsafe { (outside.room)(state) },
            _ => null_mut(),
        };
        self.room.store(room, Ordering::Relaxed);
        self.locked(|_| self.running.store(state, Ordering::Release));
    }

    /// Notes that a coroutine runs which nobody has resumed. For the thread that runs Lua.
    pub(crate) fn note_running(&self, state: *mut lua_State) {
        self.running.store(state, Ordering::Release);
    }

    /// The state that runs, where this Lua notes that: in this thread.
    pub(crate) fn running(&self) -> *mut lua_State {
        match &self.hooks.outside {
            Some(outside) if outside.hand_on.is_some() => self.running.load(Ordering::Relaxed),
            _ => null_mut(),
        }
    }

    /// Whether what Lua was told is true of this place: it was told at one nearby. That is on the same stack, since at
    /// the end of each there is more than that which is used by nobody who enters.
    #[inline(always)]
    pub(crate) fn knows_room_at(&self, here: usize) -> bool {
        here.wrapping_sub(self.told_at.get()).wrapping_add(NEARBY) < 2 * NEARBY
    }

    /// Tells Lua where the stack of this thread ends: `soft` is where it raises an error, `hard` until where
    /// it may handle that; below `coroutines`, LuaJIT resumes no coroutine.
    ///
    /// # Safety
    /// This thread has the Lua to itself.
    pub(crate) unsafe fn set_room(&self, at: usize, soft: usize, hard: usize, coroutines: usize) {
        self.told_at.set(at);
        // SAFETY: null, or a field of the global state, which is there until `set_running` forgets it; no other
        // thread runs Lua.
        if let Some(room) = unsafe { self.room.load(Ordering::Relaxed).as_ref() } {
            room.limit.set(soft);
            room.soft.set(soft);
            room.hard.set(hard);
            room.coroutines.set(coroutines);
        }
    }

    /// Whether another thread can stop this Lua.
    pub fn reaches_from_outside(&self) -> bool {
        self.hooks.outside.is_some()
    }

    /// Whether code may run that does not say when it waits: binary modules, and functions of other
    /// libraries that LuaJIT calls; of an installed Lua, all.
    #[inline(always)]
    pub fn waits_untold(&self) -> bool {
        self.untold.load(Ordering::Relaxed)
    }

    fn lock(&self) {
        // Held for a few instructions; a coroutine may be freed meanwhile, nothing longer.
        let mut tries = 0_u32;
        while self.held.swap(true, Ordering::Acquire) {
            tries += 1;
            if tries.is_multiple_of(64) { yield_now() } else { spin_loop() }
        }
    }

    fn unlock(&self) {
        self.held.store(false, Ordering::Release);
    }

    fn locked<R>(&self, work: impl FnOnce(&mut Guarded) -> R) -> R {
        self.lock();
        // SAFETY: the lock is held, so this is the only reference; no `work` here takes the lock again.
        let result = work(unsafe { &mut *self.guarded.get() });
        self.unlock();
        result
    }

    /// What hooks of this coroutine are kept by: LuaJIT has one hook for all.
    fn key(&self, state: *mut lua_State) -> *mut lua_State {
        let of_each = self.hooks.outside.as_ref().is_none_or(|outside| outside.hand_on.is_some());
        if of_each { state } else { null_mut() }
    }

    /// # Safety
    /// The state is there: the lock is held, or this thread runs it.
    unsafe fn is_ours(&self, state: *mut lua_State) -> bool {
        // SAFETY: as the caller promises; reads a field.
        let found = unsafe { (self.hooks.get)(state) };
        match (found, self.hook) {
            (Some(found), Some(ours)) => core::ptr::fn_addr_eq(found, ours),
            _ => false,
        }
    }

    /// Keeps the hook of a coroutine, unless it is ours.
    ///
    /// # Safety
    /// The state is there.
    unsafe fn keep(&self, guarded: &mut Guarded, state: *mut lua_State) {
        // SAFETY: as the caller promises; reads fields.
        let kept = unsafe {
            if self.is_ours(state) {
                return;
            }
            Kept {
                state: self.key(state),
                hook: (self.hooks.get)(state),
                mask: (self.hooks.mask)(state),
                count: (self.hooks.count)(state),
                new: false,
            }
        };
        guarded.keep(kept);
    }

    /// Has the hook called at the next instruction of whatever runs. From any thread, and again as
    /// long as it has not been: see the top of this file. Does nothing with an installed Lua.
    pub fn call_hook(&self) {
        let Some(outside) = &self.hooks.outside else { return };
        self.locked(|guarded| {
            let state = self.running.load(Ordering::Acquire);
            if state.is_null() {
                return;
            }
            // SAFETY: the lock is held, so the state is there.
            unsafe {
                if self.counting.load(Ordering::Relaxed) && self.is_ours(state) {
                    guarded.note_left(self.key(state), || (outside.left)(state));
                }
                self.keep(guarded, state);
                (outside.now)(state, self.hook, 1);
            }
        });
    }

    /// In the hook, when Lua is to be stopped: true if a hook of a script runs, which may go on for a while first.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn puts_off(&self, state: *mut lua_State) -> bool {
        let running = self.in_hook.load(Ordering::Relaxed);
        let mut grace = self.grace.get();
        let hook = self.hooks_begun.get();
        grace.same = if grace.hook == hook { grace.same + 1 } else { 0 };
        grace.all += 1;
        grace.hook = hook;
        let in_hook = !running.is_null() && self.key(running) == self.key(state);
        if !in_hook || self.is_counting() || grace.same > MOST_GRACE.0 || grace.all > MOST_GRACE.1 {
            self.grace.set(Grace::default());
            return false;
        }
        self.grace.set(grace);
        // SAFETY: as the caller promises; the lock is held.
        self.locked(|_| unsafe { (self.hooks.set)(state, self.hook, COUNT, GRACE) });
        true
    }

    /// Has the hook called at each instruction of this coroutine, and of those that run from now on. The hook
    /// of a script is put back when that has ended; unless it is what has to stop, or was set by that.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn call_always(&self, state: *mut lua_State) {
        self.hands_on.store(true, Ordering::Relaxed);
        self.locked(|guarded| {
            // SAFETY: as the caller promises; the lock is held.
            unsafe { self.keep(guarded, state) };
            // One that runs still was given time enough.
            let running = self.in_hook.swap(null_mut(), Ordering::Relaxed);
            let is_to_stop = !running.is_null() && self.key(running) == self.key(state);
            let all = is_to_stop || self.hooks.outside.is_none();
            let key = self.key(state);
            guarded.kept.retain(|kept| kept.state != key || !(all || kept.new));
            // SAFETY: as the caller promises; the lock is held.
            unsafe { (self.hooks.set)(state, self.hook, COUNT, 1) };
        });
    }

    /// Before the hook raises: the message handler, which runs while the hook does, has hooks, too.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn allow_hooks(&self, state: *mut lua_State) {
        if let Some(outside) = &self.hooks.outside {
            // SAFETY: as the caller promises; the lock is held.
            self.locked(|_| unsafe { (outside.allow)(state) });
        }
    }

    /// What [`Watch::call_always`] has begun has ended: each coroutine puts its hook back when it runs.
    pub fn call_no_more(&self) {
        self.hands_on.store(self.is_counting(), Ordering::Relaxed);
    }

    /// While instructions are counted: sees to it that finalizers and hooks do not escape.
    pub fn count_everywhere(&self) {
        let Some(outside) = &self.hooks.outside else { return };
        if self.counting.load(Ordering::Relaxed) {
            self.locked(|_| {
                let state = self.running.load(Ordering::Acquire);
                if !state.is_null() {
                    // SAFETY: the lock is held, so the state is there.
                    unsafe { (outside.allow)(state) };
                }
            });
        }
    }

    /// In the hook that has been called: puts back the hook that there was before.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn put_back(&self, state: *mut lua_State) {
        self.locked(|guarded| {
            let key = self.key(state);
            let found = guarded.kept.iter().position(|kept| kept.state == key);
            let kept = found.map(|index| guarded.kept.swap_remove(index));
            // SAFETY: as the caller promises; the lock is held.
            unsafe {
                match kept {
                    Some(kept) => (self.hooks.set)(state, kept.hook, kept.mask, kept.count),
                    None if self.is_ours(state) => (self.hooks.set)(state, None, 0, 0),
                    None => {}
                }
            }
        });
    }

    /// Has the hook called after so many instructions, by the thread that runs Lua.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn count_from(&self, state: *mut lua_State, instructions: c_int) {
        self.locked(|guarded| {
            guarded.take_left(self.key(state));
            self.counting.store(true, Ordering::Relaxed);
            self.hands_on.store(true, Ordering::Relaxed);
            // SAFETY: as the caller promises; the lock is held.
            unsafe {
                self.keep(guarded, state);
                (self.hooks.set)(state, self.hook, COUNT, instructions);
            }
        });
    }

    /// How many of the instructions of [`Watch::count_from`] are left; 0 in the hook that has been
    /// called because there were none. Where that cannot be told: all.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn left(&self, state: *mut lua_State, in_hook: bool) -> c_int {
        self.locked(|guarded| {
            // SAFETY: as the caller promises.
            let is_ours = || unsafe { self.is_ours(state) };
            match (guarded.take_left(self.key(state)), &self.hooks.outside) {
                (Some(left), _) => left,
                // SAFETY: as the caller promises.
                (None, Some(outside)) if !in_hook && is_ours() => unsafe { (outside.left)(state) },
                // An installed Lua does not tell; and with greenlets, others may count meanwhile.
                (None, _) if !in_hook => c_int::MAX,
                _ => 0,
            }
        })
    }

    /// Ends counting.
    ///
    /// # Safety
    /// `state` is live, and this thread's.
    pub(crate) unsafe fn end_count(&self, state: *mut lua_State) {
        self.counting.store(false, Ordering::Relaxed);
        self.hands_on.store(false, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { self.put_back(state) };
    }

    /// Whether instructions are counted.
    pub fn is_counting(&self) -> bool {
        self.counting.load(Ordering::Relaxed)
    }
}

/// The watch of the Lua that this thread works on.
fn of_thread<'a>() -> Option<&'a Watch> {
    // SAFETY: an instance is there at least as long as a thread works on it, and begins with a share of its watch.
    unsafe { Thread::this().instance().cast::<Arc<Watch>>().as_ref() }.map(Arc::as_ref)
}

/// Takes the lock for Lua itself; the C functions of `lua-build/c` call this.
#[unsafe(no_mangle)]
extern "C" fn lupa_lock() {
    if let Some(watch) = of_thread() {
        watch.lock();
    }
}

/// Gives the lock back.
#[unsafe(no_mangle)]
extern "C" fn lupa_unlock() {
    if let Some(watch) = of_thread() {
        watch.unlock();
    }
}

/// The main state is about to be freed.
#[unsafe(no_mangle)]
extern "C" fn lupa_closing() {
    if let Some(watch) = of_thread() {
        // SAFETY: there is none any more.
        unsafe { watch.set_running(null_mut()) };
    }
}

/// A coroutine is about to be freed; the lock is held.
#[unsafe(no_mangle)]
unsafe extern "C" fn lupa_forget(state: *mut lua_State) {
    if let Some(watch) = of_thread() {
        // SAFETY: Lua holds the lock, by `lupa_lock`.
        let guarded = unsafe { &mut *watch.guarded.get() };
        guarded.kept.retain(|kept| kept.state != state);
        guarded.take_left(state);
        let order = (Ordering::Release, Ordering::Relaxed);
        let _ = watch.running.compare_exchange(state, null_mut(), order.0, order.1);
    }
}

/// A script sets a hook, and Lua holds the lock: 1 if it is kept because ours is set.
#[unsafe(no_mangle)]
unsafe extern "C" fn lupa_keep(
    state: *mut lua_State,
    hook: lua_Hook,
    mask: c_int,
    count: c_int,
) -> c_int {
    let Some(watch) = of_thread() else { return 0 };
    // SAFETY: the state that sets the hook.
    if !unsafe { watch.is_ours(state) } {
        return 0;
    }
    // SAFETY: Lua holds the lock, by `lupa_lock`.
    let guarded = unsafe { &mut *watch.guarded.get() };
    guarded.keep(Kept { state: watch.key(state), hook, mask, count, new: true });
    1
}

/// A hook that a script has set begins or ends.
#[unsafe(no_mangle)]
extern "C" fn lupa_hooking(state: *mut lua_State, on: c_int) {
    if let Some(watch) = of_thread() {
        let state = if on != 0 { state } else { null_mut() };
        watch.in_hook.store(state, Ordering::Relaxed);
        watch.hooks_begun.set(watch.hooks_begun.get().wrapping_add(1));
    }
}

/// The watch of the Lua that this thread works on, or null, for Lua itself.
#[unsafe(no_mangle)]
extern "C" fn lupa_watch() -> *const Watch {
    of_thread().map_or(null(), core::ptr::from_ref)
}

/// A coroutine runs after another one, and goes on with its hook if that is ours.
#[unsafe(no_mangle)]
unsafe extern "C" fn lupa_hand_on(from: *mut lua_State, to: *mut lua_State) {
    let Some(watch) = of_thread() else { return };
    let hand_on = watch.hooks.outside.as_ref().and_then(|outside| outside.hand_on);
    if let Some(hand_on) = hand_on.filter(|_| from != to && !from.is_null() && !to.is_null()) {
        // SAFETY: both are live: one has run, the other is about to.
        watch.locked(|guarded| unsafe {
            if watch.is_ours(from) {
                watch.keep(guarded, to);
                hand_on(from, to);
                if let Some(left) = guarded.take_left(watch.key(from)) {
                    guarded.note_left(watch.key(to), || left);
                }
            }
        });
    }
}

/// A function of Lua's libraries may be about to wait.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn lupa_wait() {
    if let Some(hook) = of_thread().and_then(|watch| watch.hook) {
        // SAFETY: this is what `WAIT` is for.
        unsafe { hook(null_mut(), WAIT) };
    }
}

/// From now on this Lua may run code that does not say when it waits.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn lupa_foreign() {
    if let Some(watch) = of_thread() {
        watch.untold.store(true, Ordering::Relaxed);
    }
    lupa_wait();
}

/// A C function that may take long asks whether it is to stop. The hook may raise.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn lupa_answer(state: *mut lua_State) {
    // SAFETY: as this is called: for the state that runs, or null.
    unsafe { call_hook(state, null_mut()) };
}

/// The same, where no Lua may run.
#[unsafe(no_mangle)]
unsafe extern "C-unwind" fn lupa_stop(state: *mut lua_State) {
    // SAFETY: as above.
    unsafe { call_hook(state, RUN_NOTHING) };
}

/// Calls the hook if it has been set to be called at once.
///
/// # Safety
/// The state runs, in a C function of this thread; or it is null, and another one does.
unsafe fn call_hook(state: *mut lua_State, given: *mut c_void) {
    let Some(watch) = of_thread() else { return };
    let state = if state.is_null() { watch.running.load(Ordering::Relaxed) } else { state };
    if state.is_null() || watch.hooks.outside.is_none() {
        return;
    }
    // SAFETY: as the caller promises; nothing here owns anything. A hook that counts instructions does not count here.
    unsafe {
        if watch.is_ours(state)
            && (watch.hooks.count)(state) == 1
            && let Some(hook) = watch.hook
        {
            hook(state, given);
        }
    }
}
