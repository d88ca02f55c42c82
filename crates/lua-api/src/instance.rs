//! [`Instance`]: one Lua with all its coroutines, and the references that Rust holds into it.

use core::any::TypeId;
use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::Arc;

use crate::MIN_ROOM;
use crate::alloc::Memory;
use crate::backend::{Gc, LuaBackend, NewState, OK, value};
use crate::fence::{JobHead, Raising};
use crate::jobs::Jobs;
use crate::raw::{self, Hook, lua_CFunction, lua_State};
use crate::references::{Ref, References};
use crate::stacks::Stacks;
use crate::state::State;
use crate::thread::Thread;
use crate::traceback::NotedFrame;
use crate::warn::Warnings;
use crate::watch::Watch;

/// The coroutine that was the current one before [`Instance::enter_again`], and the number of its Lua.
#[must_use]
pub struct Reentered(*mut lua_State, u64);

/// A coroutine that a Lua keeps until it is closed: where nobody removes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lasting {
    raw: *mut lua_State,
    // The number of that Lua.
    lua: u64,
}

/// How many Luas there have been.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// One Lua: its main state, its account of memory and its references.
#[repr(C)]
pub struct Instance<B: LuaBackend> {
    // First: what knows no backend finds it at the address of the instance.
    watch: Arc<Watch>,
    // Any thread may ask whether it is null; who has Lua to itself sets it.
    main: AtomicPtr<lua_State>,
    current: Cell<*mut lua_State>,
    // No other one that was opened has it.
    number: u64,
    // Its coroutines are there that are to last: see `Lasting`.
    keeps: Cell<bool>,
    // That of the thread which works on this.
    thread: Cell<Option<Thread>>,
    pub(crate) stacks: Stacks,
    // The message handler and the function that protected calls enter by.
    entry_refs: Cell<(Ref, Ref)>,
    pub(crate) jobs: Jobs<JobHead<B>>,
    debug_names: Cell<(Ref, Ref)>,
    host: Cell<Option<(TypeId, NonNull<()>)>>,
    memory: Memory,
    warnings: Warnings,
    pub(crate) refs: References,
    traceback: RefCell<Vec<u8>>,
    // Those of the last error, and whether they are noted.
    frames: RefCell<Vec<NotedFrame>>,
    notes_frames: Cell<bool>,
    // The C functions that Rust has given to Lua.
    hosts: RefCell<Vec<usize>>,
    backend: PhantomData<B>,
}

/// Why a Lua could not be set up.
#[derive(Debug)]
pub struct OpenError;

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not enough memory for a new Lua state")
    }
}

impl core::error::Error for OpenError {}

impl<B: LuaBackend> Instance<B> {
    /// Opens a Lua without libraries. `seed` is for the hash of strings (5.5); `H` runs when a
    /// [`Watch`] wants Lua to stop.
    ///
    /// # Errors
    /// [`OpenError`] when there is no memory for it.
    pub fn open<H: Hook<B>>(seed: Option<u32>, count_memory: bool) -> Result<Box<Self>, OpenError> {
        let instance = Box::new(Instance::<B> {
            watch: Arc::new(Watch::new(&B::HOOKS, Some(raw::hook::<B, H>))),
            main: AtomicPtr::default(),
            current: Cell::new(null_mut()),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
            keeps: Cell::new(true),
            thread: Cell::new(None),
            stacks: Stacks::default(),
            entry_refs: Cell::new((Ref(0), Ref(0))),
            jobs: Jobs::default(),
            debug_names: Cell::new((Ref(0), Ref(0))),
            host: Cell::new(None),
            memory: Memory::default(),
            warnings: Warnings::default(),
            refs: References::default(),
            traceback: RefCell::new(Vec::new()),
            frames: RefCell::default(),
            notes_frames: Cell::new(false),
            hosts: RefCell::default(),
            backend: PhantomData,
        });
        let (allocator, allocator_data) = instance.memory.allocator();
        let warnings = &instance.warnings;
        // SAFETY: the box keeps everything at its address until the state is closed.
        let main = unsafe { B::new_state(&NewState { allocator, allocator_data, seed, warnings }) };
        if main.is_null() {
            return Err(OpenError);
        }
        instance.main.store(main, Ordering::Relaxed);
        instance.current.set(main);
        let address = (&raw const *instance).cast_mut();
        // SAFETY: a fresh state; `set_up` gets the address of the boxed, so immovable, instance.
        let status = unsafe {
            instance.watch.set_running(main);
            B::lua_atpanic(main, Some(raw::panic::<B>));
            B::cpcall(main, Some(raw::set_up::<B>), address.cast())
        };
        // SAFETY: a status other than OK leaves one error value.
        unsafe { B::lua_settop(main, 0) };
        if status != OK {
            return Err(OpenError);
        }
        if count_memory {
            instance.count_memory();
            instance.memory.set_counted();
        }
        Ok(instance)
    }

    /// Has the account be true from now on, if it is not yet.
    pub fn count_memory(&self) {
        let main = self.main();
        // SAFETY: a live state; the account lives in the box, until `close` detaches it. These commands
        // run nothing.
        unsafe {
            let kib = B::gc(main, Gc::Count);
            let bytes = B::gc(main, Gc::CountBytes);
            let used =
                usize::try_from(kib).unwrap_or(0) * 1024 + usize::try_from(bytes).unwrap_or(0);
            self.memory.count::<B>(main, used);
        }
    }

    /// The coroutine that called out of Lua last, or the main one: what comes back to Lua works on this, unless
    /// [`Instance::is_mixed`].
    ///
    /// # Panics
    /// When this is closed.
    #[inline(always)]
    pub fn state(&self) -> State<'_, B> {
        let current = self.current.get();
        assert!(!current.is_null(), "the Lua is closed");
        // SAFETY: the current coroutine of this instance, alive because it runs; the thread has
        // the instance to itself (crate docs, 5).
        unsafe { State::new(current, self) }
    }

    /// The main coroutine, for what is asked of any.
    ///
    /// # Panics
    /// When this is closed.
    pub fn main_state(&self) -> State<'_, B> {
        assert!(self.is_open(), "the Lua is closed");
        // SAFETY: a live coroutine of this instance; the thread has it to itself.
        unsafe { State::new(self.main(), self) }
    }

    /// A coroutine that never runs, so that its stack is as one expects: for what needs one anywhere.
    #[inline(always)]
    pub(crate) fn resting(&self) -> State<'_, B> {
        match self.stacks.shelf() {
            Some(shelf) if self.stacks.is_mixed() => self.state_of(shelf),
            _ => self.state(),
        }
    }

    /// Whether this is a coroutine of this Lua, which is open.
    #[inline(always)]
    pub(crate) fn keeps(&self, coroutine: Lasting) -> bool {
        coroutine.lua == self.number && self.keeps.get()
    }

    /// The stack of a coroutine that this keeps.
    ///
    /// # Panics
    /// When this is closed, or another Lua.
    #[inline(always)]
    pub(crate) fn state_of(&self, coroutine: Lasting) -> State<'_, B> {
        assert!(self.keeps(coroutine), "a coroutine of another Lua");
        // SAFETY: no other Lua has had this number, and this one keeps its coroutines; the thread has it to itself.
        unsafe { State::new(coroutine.raw, self) }
    }

    /// The calling thread works on this, until it leaves; Lua is told how much of a stack it has.
    #[inline(always)]
    pub fn enter(&self, thread: Thread) {
        self.thread.set(Some(thread));
        thread.tell_room(self);
    }

    /// Lua is about to run on a coroutine, or to go on with it after a callback: the calling thread works on this.
    #[inline(always)]
    pub(crate) fn settle(&self, state: State<'_, B>) {
        if let Some(thread) = self.thread.get() {
            thread.set_instance((&raw const *self).cast());
            if self.stacks.is_mixed() {
                self.settle_mixed(thread, state);
            }
        }
    }

    /// Others have run on other coroutines meanwhile, and not ended.
    #[cold]
    fn settle_mixed(&self, thread: Thread, state: State<'_, B>) {
        self.watch.note_running(state.raw());
        thread.tell_room(self);
    }

    /// Ends an entry: this thread works on no instance any more.
    #[inline(always)]
    pub fn leave(&self) {
        if let Some(thread) = self.thread.get() {
            thread.leave();
        }
    }

    /// Makes a coroutine the current one while Lua calls out.
    #[inline(always)]
    pub fn with_current<R>(&self, state: State<'_, B>, work: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a Cell<*mut lua_State>, *mut lua_State);
        impl Drop for Restore<'_> {
            #[inline(always)]
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        state.expect_of(self);
        let _restore = Restore(&self.current, self.current.replace(state.raw()));
        work()
    }

    /// The main coroutine is the current one.
    pub(crate) fn reset_current(&self) {
        self.current.set(self.main());
    }

    /// C code that Lua has called comes back to use this Lua: makes the coroutine that runs the current
    /// one, with room on its stack. Gives what has to be put back ([`Instance::leave_again`]); `None` where
    /// Lua cannot be used.
    #[cold]
    pub fn enter_again(&self) -> Option<Reentered> {
        let known = self.current.get();
        // SAFETY: the thread has the instance to itself, and Lua runs below, in a C function.
        let running = unsafe { B::reenter(known, self.watch.running()) };
        if running.is_null() {
            return None;
        }
        // SAFETY: it runs.
        if !unsafe { State::new(running, self) }.grow(2 * MIN_ROOM) {
            return None;
        }
        self.current.set(running);
        Some(Reentered(known, self.number))
    }

    /// Ends what [`Instance::enter_again`] has begun, unless this has been closed meanwhile.
    pub fn leave_again(&self, before: Reentered) {
        assert!(before.1 == self.number, "another Lua");
        if self.is_open() {
            self.current.set(before.0);
        }
    }

    /// The main state, null when closed.
    #[inline(always)]
    pub fn main(&self) -> *mut lua_State {
        self.main.load(Ordering::Relaxed)
    }

    /// Tells Lua where the stack of this thread, which has it to itself, ends; see [`Watch::set_room`].
    pub(crate) fn set_room(&self, at: usize, soft: usize, hard: usize, coroutines: usize) {
        // SAFETY: an instance is not `Sync`, so it is this thread's; and the watch is that of its Lua.
        unsafe { self.watch.set_room(at, soft, hard, coroutines) };
    }

    /// Whether the Lua is still there.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        !self.main().is_null()
    }

    /// Notes what this instance is part of, for [`Instance::host`].
    ///
    /// # Safety
    /// It is there, at its address, as long as this instance is.
    pub unsafe fn set_host<T: 'static>(&self, host: &T) {
        self.host.set(Some((TypeId::of::<T>(), NonNull::from(host).cast())));
    }

    /// The host of this instance, if one was noted and is a `T`.
    #[inline(always)]
    pub fn host<T: 'static>(&self) -> Option<&T> {
        let (kind, host) = self.host.get()?;
        // SAFETY: a `T`, which is there as long as this is.
        (kind == TypeId::of::<T>()).then(|| unsafe { host.cast().as_ref() })
    }

    /// How it is stopped.
    #[inline(always)]
    pub fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The account of memory.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    #[inline(always)]
    pub(crate) fn entry_refs(&self) -> (Ref, Ref) {
        self.entry_refs.get()
    }

    /// The references to `debug` and `traceback`, the names.
    pub(crate) fn debug_names(&self) -> (Ref, Ref) {
        self.debug_names.get()
    }

    /// Notes what was made when the Lua was.
    pub(crate) fn set_up(&self, entry: (Ref, Ref), debug_names: (Ref, Ref)) {
        self.entry_refs.set(entry);
        self.debug_names.set(debug_names);
    }

    pub(crate) fn set_traceback(&self, text: Vec<u8>) {
        *self.traceback.borrow_mut() = text;
    }

    /// The traceback of the last error that reached the message handler; empty if none was made.
    pub fn take_traceback(&self) -> Vec<u8> {
        self.traceback.take()
    }

    /// Has the frames of errors noted from now on, or not.
    pub fn note_frames(&self, on: bool) {
        self.notes_frames.set(on);
    }

    pub(crate) fn notes_frames(&self) -> bool {
        self.notes_frames.get()
    }

    pub(crate) fn set_frames(&self, frames: Vec<NotedFrame>) {
        *self.frames.borrow_mut() = frames;
    }

    /// The frames of Lua functions of the last error that was noted, the innermost first, up to where Lua was called.
    pub fn take_frames(&self) -> Vec<NotedFrame> {
        self.frames.take()
    }

    /// Notes a C function that Lua is given, by which a call of the host is known in a call stack.
    pub(crate) fn note_host_function(&self, function: lua_CFunction) {
        let address = function.map_or(0, |function| function as usize);
        let mut hosts = self.hosts.borrow_mut();
        if !hosts.contains(&address) && hosts.try_reserve(1).is_ok() {
            hosts.push(address);
        }
    }

    pub(crate) fn is_host_function(&self, function: lua_CFunction) -> bool {
        function.is_some_and(|function| self.hosts.borrow().contains(&(function as usize)))
    }

    /// Gives the Lua up as it is, since nobody can go on with what it is in the middle of: it counts as closed,
    /// and its memory is not freed.
    pub fn abandon(&self) {
        self.main.store(null_mut(), Ordering::Relaxed);
        self.current.set(null_mut());
        self.forget();
    }

    /// Forgets the values that were kept, since the state that held them is closed.
    fn forget(&self) {
        self.keeps.set(false);
        self.forget_stacks();
    }

    /// Closes the Lua: runs all finalizers and frees everything. Does nothing the second time.
    ///
    /// # Safety
    /// Who has a [`State`] of this does not use it any more.
    pub unsafe fn close(&self) {
        let main = self.main();
        if main.is_null() {
            return;
        }
        self.current.set(main);
        let thread = Thread::this();
        let before = thread.instance();
        thread.set_instance((&raw const *self).cast());
        thread.has_room();
        thread.tell_room(self);
        // The main coroutine's stack keeps nothing from here on.
        self.forget();
        // SAFETY: the state is live; the finalizers that run may still use this instance, which
        // counts as open until they are done.
        unsafe {
            B::lua_settop(main, 0);
            self.memory.detach::<B>(main);
            B::lua_close(main);
            self.watch.set_running(null_mut());
        }
        thread.set_instance(before);
        self.main.store(null_mut(), Ordering::Relaxed);
        self.current.set(null_mut());
    }
}

impl<B: LuaBackend> State<'_, B> {
    /// The coroutine on top of the main one, outside of any function, moves to the bottom of its stack, where it stays.
    ///
    /// # Panics
    /// When this is another one, or runs.
    pub(crate) fn keep_at_bottom(self) -> Lasting {
        let instance = self.instance();
        let here = self.raw() == instance.main() && !self.has_frame(0);
        assert!(here && self.type_of(-1) == value::THREAD, "no coroutine to keep");
        self.insert(1);
        Lasting { raw: self.to_thread(1), lua: instance.number }
    }
}

impl<B: LuaBackend> Raising<'_, B> {
    /// A new coroutine, on top of the stack of one that is kept and never runs: there it stays.
    pub(crate) fn new_lasting(self, keeper: Lasting) -> Lasting {
        let instance = self.instance();
        let keeper = instance.state_of(keeper);
        let raw = self.new_thread();
        self.reserve_on(keeper, MIN_ROOM);
        // Nothing fails from here on.
        self.move_to(keeper, 1);
        Lasting { raw, lua: instance.number }
    }
}

impl Thread {
    /// Makes the instance that this thread worked on before the current one again: an entry below goes on, or C code calls Lua.
    ///
    /// # Safety
    /// The address of an instance that this thread is inside of.
    pub unsafe fn go_back_to(self, instance: *const ()) {
        self.set_instance(instance);
    }
}

/// The instance that this thread works on.
///
/// # Safety
/// Called from a C function that Lua runs: so an instance of this backend is being worked on. `'a` ends with that.
#[inline(always)]
pub(crate) unsafe fn thread_instance<'a, B: LuaBackend>() -> Option<&'a Instance<B>> {
    // SAFETY: as the caller promises; nothing of it is changed but what is in cells.
    unsafe { Thread::this().instance().cast::<Instance<B>>().as_ref() }
}

impl<B: LuaBackend> Drop for Instance<B> {
    fn drop(&mut self) {
        // SAFETY: they have borrowed this.
        unsafe { self.close() };
        // This thread still works on the instance that is dropped.
        let thread = Thread::this();
        if thread.instance() == (&raw const *self).cast() {
            thread.set_instance(null());
        }
    }
}
