//! [`Watch`]: stopping the code that a Lua runs from outside.
//!
//! A count hook is the only thing that ends a loop in Lua. `lua_sethook` is made for signal handlers
//! of the thread that runs Lua, not for other threads, so a bundled Lua gets a few functions more
//! (`lua-build/c`), which rely on this:
//!
//! - **The lock.** A thread that writes a hook holds it. So does Lua while it frees a coroutine, and LuaJIT
//!   while it rewrites its table of instructions.
//! - **The coroutine that runs** is noted at each resume, by plain stores. Another thread reads it with
//!   the lock held, so the coroutine has not been freed. It may be outdated: then the hook is set on
//!   a coroutine that no longer runs. So a thread that wants Lua to stop asks again and again, until Lua has stopped.
//! - **The fields of a count hook** are written, the mask last, in a coroutine (in LuaJIT: in
//!   the global state). Frames, which come and go, are never touched.
//! - **The hook itself runs in the thread that runs Lua**, and decides there; it puts the hook from
//!   before back, or raises an error. A hook that a script sets meanwhile is kept for later.
//!
//! With an installed Lua ([`Hooks::outside`] is `None`) hooks are set by the thread that runs Lua only.

use core::cell::RefCell;
use core::ffi::{c_int, c_void};
use core::hint::spin_loop;
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::Arc;
use std::thread::yield_now;

use crate::backend::LuaBackend;
use crate::kept::{Guarded, Kept};
use crate::raw::{Hooks, RUN_NOTHING, Room, WAIT, lua_Hook, lua_State};
use crate::state::State;
use crate::thread::Thread;

/// The mask of a count hook (`LUA_MASKCOUNT`), in every Lua.
const COUNT: c_int = 8;

/// How far from where it was told the room need not be told again, in bytes.
const NEARBY: usize = 8 << 10;

const _: () = assert!(2 * NEARBY < crate::thread::LEAST_MARGIN);

/// How a Lua is watched. Its [`crate::Instance`] shares it with those who stop Lua from outside, for whom it is
/// still there when Lua is not: then no coroutine runs any more, and nothing is written.
#[repr(C)]
pub struct Watch {
    // These two first: `struct lupa_watch` of `lua-build/c`.
    running: AtomicPtr<lua_State>,
    // Coroutines inherit the hook of whom resumes them: instructions are counted, or Lua is stopped.
    pub(crate) hands_on: AtomicBool,
    hooks: &'static Hooks,
    hook: lua_Hook,
    room: AtomicPtr<Room>,
    // Where on its stack the thread that runs Lua was when it said how much room there is.
    told_at: AtomicUsize,
    held: AtomicBool,
    guarded: RefCell<Guarded>,
    pub(crate) counting: AtomicBool,
    // The coroutine on which a hook of a script runs, or null; and how many of them have begun.
    pub(crate) in_hook: AtomicPtr<lua_State>,
    pub(crate) hooks_begun: AtomicUsize,
    unannounced: AtomicBool,
}

// SAFETY: `guarded` is used with the lock held; the rest is atomic, or never changes. The pointers in it are of coroutines,
// which the lock keeps from being freed.
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
            told_at: AtomicUsize::new(0),
            held: AtomicBool::new(false),
            guarded: RefCell::default(),
            counting: AtomicBool::new(false),
            in_hook: AtomicPtr::new(null_mut()),
            hooks_begun: AtomicUsize::new(0),
            unannounced: AtomicBool::new(hooks.outside.is_none()),
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
        let told_at = self.told_at.load(Ordering::Relaxed);
        here.wrapping_sub(told_at).wrapping_add(NEARBY) < 2 * NEARBY
    }

    /// Tells Lua where the stack of this thread ends: `soft` is where it raises an error, `hard` until where
    /// it may handle that; below `coroutines`, LuaJIT resumes no coroutine.
    ///
    /// # Safety
    /// This thread has the Lua to itself.
    pub(crate) unsafe fn set_room(&self, at: usize, soft: usize, hard: usize, coroutines: usize) {
        self.told_at.store(at, Ordering::Relaxed);
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
    pub fn waits_unannounced(&self) -> bool {
        self.unannounced.load(Ordering::Relaxed)
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

    pub(crate) fn locked<R>(&self, work: impl FnOnce(&mut Guarded) -> R) -> R {
        self.lock();
        let result = work(&mut self.guarded.borrow_mut());
        self.unlock();
        result
    }

    /// The key by which hooks of this coroutine are kept: LuaJIT has one hook for all coroutines.
    pub(crate) fn key(&self, state: *mut lua_State) -> *mut lua_State {
        let of_each = self.hooks.outside.as_ref().is_none_or(|outside| outside.hand_on.is_some());
        if of_each { state } else { null_mut() }
    }

    /// Whether a hook of a script runs on this coroutine.
    pub(crate) fn is_in_hook(&self, state: *mut lua_State) -> bool {
        let running = self.in_hook.load(Ordering::Relaxed);
        !running.is_null() && self.key(running) == self.key(state)
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
    /// The state exists.
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
}

/// Operations on hooks of the thread that runs Lua, on a coroutine that exists and is this thread's. The holder of `Guarded`
/// holds the lock.
impl<B: LuaBackend> State<'_, B> {
    pub(crate) fn has_our_hook(self) -> bool {
        // SAFETY: this thread runs it.
        unsafe { self.instance().watch().is_ours(self.raw()) }
    }

    /// Keeps the hook of this coroutine, unless it is ours.
    pub(crate) fn keep_hook(self, guarded: &mut Guarded) {
        // SAFETY: this thread runs it.
        unsafe { self.instance().watch().keep(guarded, self.raw()) };
    }

    /// Sets our hook, to be called after so many instructions.
    pub(crate) fn set_hook(self, _: &mut Guarded, instructions: c_int) {
        let watch = self.instance().watch();
        // SAFETY: this thread's, of this Lua; the lock is held.
        unsafe { (watch.hooks.set)(self.raw(), watch.hook, COUNT, instructions) };
    }

    /// Sets a hook that was kept, or none.
    pub(crate) fn set_kept(self, _: &mut Guarded, kept: Option<Kept>) {
        let (hook, mask, count) =
            kept.map_or((None, 0, 0), |kept| (kept.hook, kept.mask, kept.count));
        // SAFETY: as for `set_hook`; it was one of this Lua's.
        unsafe { (self.instance().watch().hooks.set)(self.raw(), hook, mask, count) };
    }

    /// Instructions left until the hook, where this Lua tells.
    pub(crate) fn left(self) -> Option<c_int> {
        let outside = self.instance().watch().hooks.outside.as_ref()?;
        // SAFETY: this thread's, of this Lua.
        Some(unsafe { (outside.left)(self.raw()) })
    }

    /// Before the hook raises: the message handler, which runs while the hook does, has hooks, too.
    pub(crate) fn allow_hooks(self) {
        let watch = self.instance().watch();
        if let Some(outside) = &watch.hooks.outside {
            // SAFETY: as for `set_hook`.
            watch.locked(|_| unsafe { (outside.allow)(self.raw()) });
        }
    }
}

/// Gives `work` the watch of the Lua that this thread works on.
#[inline(always)]
fn of_thread<R>(work: impl FnOnce(&Watch) -> R) -> Option<R> {
    let watch = Thread::this().instance().cast::<Arc<Watch>>();
    // SAFETY: an instance is there at least as long as a thread works on it, and begins with a share of its watch.
    unsafe { watch.as_ref() }.map(|watch| work(watch))
}

/// Takes the lock for Lua itself; the C functions of `lua-build/c` call this.
#[unsafe(no_mangle)]
extern "C" fn lupa_lock() {
    of_thread(Watch::lock);
}

/// Gives the lock back.
#[unsafe(no_mangle)]
extern "C" fn lupa_unlock() {
    of_thread(Watch::unlock);
}

/// The main state is about to be freed.
#[unsafe(no_mangle)]
extern "C" fn lupa_closing() {
    // SAFETY: there is none any more.
    of_thread(|watch| unsafe { watch.set_running(null_mut()) });
}

/// A coroutine is about to be freed; the lock is held, by `lupa_lock`.
#[unsafe(no_mangle)]
extern "C" fn lupa_forget(state: *mut lua_State) {
    of_thread(|watch| {
        watch.guarded.borrow_mut().forget(state);
        let order = (Ordering::Release, Ordering::Relaxed);
        let _ = watch.running.compare_exchange(state, null_mut(), order.0, order.1);
    });
}

/// A script sets a hook, and Lua holds the lock, by `lupa_lock`: 1 if it is kept because ours is set.
#[unsafe(no_mangle)]
unsafe extern "C" fn lupa_keep(
    state: *mut lua_State,
    hook: lua_Hook,
    mask: c_int,
    count: c_int,
) -> c_int {
    let kept = of_thread(|watch| {
        // SAFETY: the state that sets the hook.
        let is_ours = unsafe { watch.is_ours(state) };
        if is_ours {
            let kept = Kept { state: watch.key(state), hook, mask, count, new: true };
            watch.guarded.borrow_mut().keep(kept);
        }
        is_ours
    });
    c_int::from(kept == Some(true))
}

/// A hook that a script has set begins or ends.
#[unsafe(no_mangle)]
extern "C" fn lupa_hooking(state: *mut lua_State, on: c_int) {
    of_thread(|watch| {
        let state = if on != 0 { state } else { null_mut() };
        watch.in_hook.store(state, Ordering::Relaxed);
        watch.hooks_begun.fetch_add(1, Ordering::Relaxed);
    });
}

/// The watch of the Lua that this thread works on, or null, for Lua itself.
#[unsafe(no_mangle)]
extern "C" fn lupa_watch() -> *const Watch {
    of_thread(core::ptr::from_ref).unwrap_or(null())
}

/// A coroutine runs after another one, and goes on with its hook if that is ours.
#[unsafe(no_mangle)]
unsafe extern "C" fn lupa_hand_on(from: *mut lua_State, to: *mut lua_State) {
    of_thread(|watch| {
        let hand_on = watch.hooks.outside.as_ref().and_then(|outside| outside.hand_on);
        let both = from != to && !from.is_null() && !to.is_null();
        let Some(hand_on) = hand_on.filter(|_| both) else { return };
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
    });
}

/// A function of Lua's libraries may be about to wait.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn lupa_wait() {
    if let Some(Some(hook)) = of_thread(|watch| watch.hook) {
        // SAFETY: this is what `WAIT` is for.
        unsafe { hook(null_mut(), WAIT) };
    }
}

/// From now on this Lua may run code that does not say when it waits.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn lupa_foreign() {
    of_thread(|watch| watch.unannounced.store(true, Ordering::Relaxed));
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
    let found = of_thread(|watch| {
        let state = if state.is_null() { watch.running.load(Ordering::Relaxed) } else { state };
        if state.is_null() || watch.hooks.outside.is_none() {
            return None;
        }
        // SAFETY: as the caller promises. A hook that counts instructions does not count here.
        let at_once = unsafe { watch.is_ours(state) && (watch.hooks.count)(state) == 1 };
        watch.hook.filter(|_| at_once).map(|hook| (hook, state))
    });
    if let Some(Some((hook, state))) = found {
        // SAFETY: as the caller promises; nothing here owns anything.
        unsafe { hook(state, given) };
    }
}
