//! [`Instance`]: one Lua with all its coroutines, and the references that Rust holds into it.

use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::marker::PhantomData;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

use crate::alloc::Memory;
use crate::backend::{Gc, LuaBackend, NewState, OK, value};
use crate::fence::{Jobs, Raised, Raising, enter};
use crate::raw::{lua_Hook, lua_State};
use crate::stacks::Stacks;
use crate::state::State;
use crate::thread::Thread;
use crate::traceback;
use crate::warn::Warnings;
use crate::watch::Watch;

/// A reference to a Lua value: a key of the registry. The value lives until the reference is
/// given back to [`Instance::release`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Ref(pub c_int);

/// The coroutine that was the current one before [`Instance::enter_again`].
pub struct Reentered(*mut lua_State);

/// How many references are reserved at a time; and at first, when most runtimes need few: the registry
/// of an idle one stays small.
const BATCH: usize = 32;
const FIRST_BATCH: usize = 8;

/// One Lua: its main state, its account of memory and its references.
#[repr(C)]
pub struct Instance<B: LuaBackend> {
    // First: what knows no backend finds it at the address of the instance.
    watch: Arc<Watch>,
    // Any thread may ask whether it is null; who has Lua to itself sets it.
    main: AtomicPtr<lua_State>,
    current: Cell<*mut lua_State>,
    // That of the thread which works on this.
    thread: Cell<*const Thread>,
    pub(crate) stacks: Stacks,
    handler: Cell<c_int>,
    entry: Cell<c_int>,
    pub(crate) jobs: Jobs<B>,
    debug_names: Cell<(c_int, c_int)>,
    host: Cell<*const ()>,
    memory: Memory,
    warnings: Warnings,
    // Keys of the registry that are reserved and free. Each is present there with the value
    // `false`: assigning a present key never allocates, so taking a reference never raises.
    free: RefCell<Vec<c_int>>,
    reserved: Cell<usize>,
    traceback: RefCell<Vec<u8>>,
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
    /// Opens a Lua without libraries. `seed` is for the hash of strings (5.5); `hook` runs when a
    /// [`Watch`] wants Lua to stop.
    ///
    /// # Errors
    /// [`OpenError`] when there is no memory for it.
    pub fn open(
        seed: Option<u32>,
        count_memory: bool,
        hook: lua_Hook,
    ) -> Result<Box<Self>, OpenError> {
        let instance = Box::new(Instance::<B> {
            watch: Arc::new(Watch::new(&B::HOOKS, hook)),
            main: AtomicPtr::default(),
            current: Cell::new(null_mut()),
            thread: Cell::new(null()),
            stacks: Stacks::default(),
            handler: Cell::new(0),
            entry: Cell::new(0),
            jobs: Jobs::default(),
            debug_names: Cell::new((0, 0)),
            host: Cell::new(null()),
            memory: Memory::default(),
            warnings: Warnings::default(),
            free: RefCell::new(Vec::new()),
            reserved: Cell::new(0),
            traceback: RefCell::new(Vec::new()),
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
        instance.watch.set_running(main);
        let address = (&raw const *instance).cast_mut();
        // SAFETY: a fresh state; `set_up` gets the address of the boxed, so immovable, instance.
        let status = unsafe {
            B::lua_atpanic(main, Some(panic::<B>));
            B::cpcall(main, Some(set_up::<B>), address.cast())
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
    #[inline(always)]
    pub fn state(&self) -> State<B> {
        // SAFETY: the current coroutine of this instance, alive because it runs; the thread has
        // the instance to itself (crate docs, 5).
        unsafe { State::new(self.current.get(), NonNull::from(self)) }
    }

    /// The main coroutine, for what is asked of any. The Lua is open.
    pub fn main_state(&self) -> State<B> {
        // SAFETY: a live coroutine of this instance; the thread has it to itself.
        unsafe { State::new(self.main(), NonNull::from(self)) }
    }

    /// A coroutine that never runs, so that its stack is as one expects: for what needs one anywhere.
    #[inline(always)]
    fn resting(&self) -> State<B> {
        if self.stacks.is_mixed() {
            // SAFETY: alive as long as this Lua is: see `Stacks`.
            return unsafe { State::new(self.stacks.shelf(), NonNull::from(self)) };
        }
        self.state()
    }

    /// Notes the thread that works on this from now on.
    #[inline(always)]
    pub fn set_thread(&self, thread: NonNull<Thread>) {
        self.thread.set(thread.as_ptr());
    }

    /// Lua is about to run on the coroutine `l`, or to go on with it after a callback.
    #[inline(always)]
    pub fn settle(&self, l: *mut lua_State) {
        // SAFETY: null, or the calling thread's, which has entered.
        if let Some(thread) = unsafe { self.thread.get().as_ref() } {
            thread.set_instance((&raw const *self).cast());
            if self.stacks.is_mixed() {
                self.settle_mixed(thread, l);
            }
        }
    }

    /// Whoever has entered leaves.
    #[inline(always)]
    pub fn leave(&self) {
        // SAFETY: null, or the calling thread's, which has entered.
        if let Some(thread) = unsafe { self.thread.get().as_ref() } {
            thread.leave();
        }
    }

    /// Others have run on other coroutines meanwhile, and not ended.
    #[cold]
    fn settle_mixed(&self, thread: &Thread, l: *mut lua_State) {
        self.watch.note_running(l);
        // SAFETY: the calling thread's, which has this Lua to itself.
        unsafe { thread.tell_room(&self.watch) };
    }

    /// Makes `l` the current coroutine and gives the one before: for the time of a call out of Lua.
    #[inline(always)]
    pub fn set_current(&self, l: *mut lua_State) -> *mut lua_State {
        self.current.replace(l)
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
        // SAFETY: the thread has the instance to itself, and Lua runs below, in a C function; the account
        // is lenient, so that the stack can grow without an error, but for the system's.
        unsafe {
            let running = B::reenter(known, self.watch.running());
            if running.is_null() {
                return None;
            }
            let lenient = self.memory.set_lenient(true);
            let fits = B::checkstack(running, 2 * crate::MIN_ROOM);
            self.memory.set_lenient(lenient);
            if !fits {
                return None;
            }
            self.current.set(running);
        }
        Some(Reentered(known))
    }

    /// Ends what [`Instance::enter_again`] has begun.
    pub fn leave_again(&self, before: Reentered) {
        self.current.set(before.0);
    }

    /// The main state, null when closed.
    #[inline(always)]
    pub fn main(&self) -> *mut lua_State {
        self.main.load(Ordering::Relaxed)
    }

    /// Whether the Lua is still there.
    #[inline(always)]
    pub fn is_open(&self) -> bool {
        !self.main().is_null()
    }

    /// Notes what this instance is part of, for [`Instance::host`].
    pub fn set_host(&self, host: *const ()) {
        self.host.set(host);
    }

    /// What this instance is part of.
    #[inline(always)]
    pub fn host(&self) -> *const () {
        self.host.get()
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
        (Ref(self.handler.get()), Ref(self.entry.get()))
    }

    /// Takes a reference to the value on top of `state`, and pops it.
    ///
    /// # Errors
    /// [`Raised`] (on a full registry and no memory); the value is then replaced by the error.
    #[inline]
    pub fn take_ref(&self, state: State<B>) -> Result<Ref, Raised> {
        let key = self.free.borrow_mut().pop();
        let key = match key {
            Some(key) => key,
            None => match self.reserve(state) {
                Ok(key) => key,
                Err(raised) => {
                    state.remove(-2);
                    return Err(raised);
                }
            },
        };
        // SAFETY: the key is reserved, so present.
        unsafe { state.raw_seti_present(B::REGISTRY_INDEX, i64::from(key)) };
        Ok(Ref(key))
    }

    /// Makes a reference stand for the value on top of `state` instead, and pops it.
    #[inline]
    pub fn replace_ref(&self, state: State<B>, reference: Ref) {
        // SAFETY: the reference was given out by `take_ref`, so its key is present.
        unsafe { state.raw_seti_present(B::REGISTRY_INDEX, i64::from(reference.0)) };
    }

    #[cold]
    fn reserve(&self, state: State<B>) -> Result<c_int, Raised> {
        // Room for every key ever reserved, so that `release` never allocates.
        let batch = if self.reserved.get() == 0 { FIRST_BATCH } else { BATCH };
        let total = self.reserved.get() + batch;
        if self.free.borrow_mut().try_reserve(total).is_err() {
            state.push_nil();
            return Err(Raised(crate::ERRMEM));
        }
        let keys = Cell::new([0; BATCH]);
        let made = Cell::new(0_usize);
        let result = state.protect(|raising| {
            let slots = keys.as_ptr();
            while made.get() < batch {
                raising.push_bool(false);
                // SAFETY: takes the value just pushed; `slots` outlives the protected call.
                unsafe {
                    (*slots)[made.get()] = B::luaL_ref(raising.raw(), B::REGISTRY_INDEX);
                }
                made.set(made.get() + 1);
            }
        });
        self.reserved.set(self.reserved.get() + made.get());
        let mut free = self.free.borrow_mut();
        free.extend(keys.get()[..made.get()].iter().rev());
        match (free.pop(), result) {
            (Some(key), Ok(())) => Ok(key),
            (Some(key), Err(_)) => {
                state.pop(1);
                Ok(key)
            }
            (None, Err(raised)) => Err(raised),
            (None, Ok(())) => Err(Raised(crate::ERRMEM)),
        }
    }

    /// Gives a reference back.
    #[inline]
    pub fn release(&self, reference: Ref) {
        if !self.is_open() {
            return;
        }
        let state = self.resting();
        state.push_bool(false);
        // SAFETY: the reference was given out by `take_ref`, so its key is present.
        unsafe { state.raw_seti_present(B::REGISTRY_INDEX, i64::from(reference.0)) };
        self.free.borrow_mut().push(reference.0);
    }

    pub(crate) fn set_traceback(&self, text: Vec<u8>) {
        *self.traceback.borrow_mut() = text;
    }

    /// The traceback of the last error that reached the message handler; empty if none was made.
    pub fn take_traceback(&self) -> Vec<u8> {
        self.traceback.take()
    }

    /// Whether the globals have `debug.traceback`: a script that removes it wants no traceback.
    pub(crate) fn has_traceback_function(&self, state: State<B>) -> bool {
        let base = state.top();
        let (debug, traceback) = self.debug_names.get();
        state.push_globals();
        let is_table = state.type_of(-1) == value::TABLE;
        // What a script can reach with `debug.getregistry` is not trusted.
        let found = is_table
            && {
                state.push_ref(Ref(debug));
                state.raw_get_type(-2) == value::TABLE
            }
            && {
                state.push_ref(Ref(traceback));
                state.raw_get(-2);
                state.type_of(-1) == value::FUNCTION
            };
        state.set_top(base);
        found
    }

    /// Gives the Lua up as it is, since nobody can go on with what it is in the middle of: it counts as closed,
    /// and its memory is not freed.
    pub fn abandon(&self) {
        self.main.store(null_mut(), Ordering::Relaxed);
        self.current.set(null_mut());
        self.forget_stacks();
    }

    /// Closes the Lua: runs all finalizers and frees everything. Does nothing the second time.
    pub fn close(&self) {
        let main = self.main();
        if main.is_null() {
            return;
        }
        self.current.set(main);
        // SAFETY: the calling thread's.
        let thread = unsafe { Thread::this().as_ref() };
        let before = thread.set_instance((&raw const *self).cast());
        thread.has_room();
        // SAFETY: the calling thread's, and nobody else uses what is closed.
        unsafe { thread.tell_room(&self.watch) };
        // SAFETY: the state is live; the finalizers that run may still use this instance, which
        // counts as open until they are done.
        unsafe {
            B::lua_settop(main, 0);
            self.memory.detach::<B>(main);
            B::lua_close(main);
        }
        self.watch.set_running(null_mut());
        self.forget_stacks();
        thread.set_instance(before);
        self.main.store(null_mut(), Ordering::Relaxed);
        self.current.set(null_mut());
    }
}

impl<B: LuaBackend> Drop for Instance<B> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Runs once in a fresh state, protected: makes what later protected calls are made with.
unsafe extern "C-unwind" fn set_up<B: LuaBackend>(l: *mut lua_State) -> c_int {
    // SAFETY: called by `Instance::open` with the instance as the one argument; the frame owns
    // nothing while it raises.
    unsafe {
        let address = B::lua_touserdata(l, 1).cast::<Instance<B>>();
        let instance = NonNull::new_unchecked(address);
        let raising = Raising::<B>::in_callback(l, instance);
        let instance = instance.as_ref();
        raising.push_closure(Some(traceback::handle::<B>), 0);
        instance.handler.set(B::luaL_ref(l, B::REGISTRY_INDEX));
        raising.push_closure(Some(enter::<B>), 0);
        instance.entry.set(B::luaL_ref(l, B::REGISTRY_INDEX));
        raising.push_bytes(b"debug");
        let debug = B::luaL_ref(l, B::REGISTRY_INDEX);
        raising.push_bytes(b"traceback");
        instance.debug_names.set((debug, B::luaL_ref(l, B::REGISTRY_INDEX)));
    }
    0
}

/// The last resort, never to be reached: says what happened before Lua ends the process.
unsafe extern "C-unwind" fn panic<B: LuaBackend>(_: *mut lua_State) -> c_int {
    eprintln!(
        "lupa.{}: an error of Lua reached a place where nothing can catch it; this is a bug in lupa",
        B::NAME
    );
    0
}
