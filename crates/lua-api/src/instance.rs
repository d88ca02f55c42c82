//! [`Instance`]: one Lua with all its coroutines, and the references that Rust holds into it.

use core::any::TypeId;
use core::cell::{Cell, RefCell};
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::{NonNull, null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};
use std::sync::Arc;

use crate::alloc::Memory;
use crate::backend::{Gc, LuaBackend, NewState, OK};
use crate::fence::Jobs;
use crate::raw::{self, Hook, lua_State};
use crate::references::{Ref, References};
use crate::state::State;
use crate::warn::Warnings;
use crate::watch::Watch;

/// What there is once for each thread. Its address tells threads apart.
///
/// C functions find their instance here. An upvalue would be simpler, but scripts can change
/// upvalues (`debug.setupvalue`).
pub struct Thread {
    instance: Cell<*const ()>,
    // Below this address the stack is for what does not recurse; 0 until it is asked for.
    stack_limit: Cell<usize>,
    // Its last address.
    stack_end: Cell<usize>,
    // Whether this is the main thread of Python.
    main: Cell<Option<bool>>,
}

thread_local! {
    static THREAD: Thread =
        const {
            Thread {
                instance: Cell::new(null()),
                stack_limit: Cell::new(0),
                stack_end: Cell::new(0),
                main: Cell::new(None),
            }
        };
}

/// How much of a thread's stack is left to whatever does not ask for it, in bytes: at most.
const STACK_MARGIN: usize = 192 << 10;

/// What that is at least: most of it is for buffers of 8 KiB, of which a function of Lua's libraries may have two.
const LEAST_MARGIN: usize = 32 << 10;

/// What the compiler takes at most, for 200 levels.
const MOST_TO_COMPILE: usize = 256 << 10;

/// How much of a stack Lua takes in one go, callbacks not counted; coroutines of LuaJIT take half. On a large stack these
/// would nest so deep that an error, to which each adds its place, takes minutes to come out.
const MOST_NESTING: usize = 2 << 20;

impl Thread {
    /// That of the calling thread.
    #[inline(always)]
    pub fn this() -> Here {
        THREAD.with(|thread| Here(NonNull::from(thread)))
    }

    /// Whether there is room on the system's stack for one more step of a recursion through Lua and
    /// whatever called it.
    #[inline(always)]
    pub fn has_room(&self) -> bool {
        let here = 0_u8;
        let here = (&raw const here).addr();
        let limit = self.stack_limit.get();
        if limit == 0 {
            return self.find_limit(here);
        }
        here > limit
    }

    /// Whether there is room for code that is as deep as Lua allows, so that not to compile it is the code's fault.
    pub fn has_room_to_compile(&self) -> bool {
        let here = 0_u8;
        self.has_room() && (&raw const here).addr() - self.stack_limit.get() > MOST_TO_COMPILE
    }

    #[cold]
    #[inline(never)]
    fn find_limit(&self, here: usize) -> bool {
        // Where the system does not tell, there is no limit.
        let left = stacker::remaining_stack().unwrap_or(here);
        let end = here.saturating_sub(left);
        let margin = (left / 4).clamp(LEAST_MARGIN, STACK_MARGIN);
        self.stack_end.set(end);
        self.stack_limit.set(end.saturating_add(margin).max(1));
        here > self.stack_limit.get()
    }

    /// Tells a Lua, which is about to run, how far it may go down this thread's stack. It raises errors where
    /// [`Thread::has_room`] says no, or before, and has half of what is below that for handling them.
    ///
    /// # Safety
    /// The calling thread's, which has that Lua to itself.
    #[inline(always)]
    pub(crate) unsafe fn tell_room(&self, watch: &Watch) {
        let here = 0_u8;
        let limit = self.stack_limit.get();
        let here = (&raw const here).addr();
        let soft = limit.max(here.saturating_sub(MOST_NESTING));
        let coroutines = limit.max(here.saturating_sub(MOST_NESTING / 2));
        let reserve = limit.saturating_sub(self.stack_end.get()) / 2;
        // SAFETY: as the caller promises.
        unsafe { watch.set_room(soft, soft.saturating_sub(reserve), coroutines) };
    }

    /// Whether this is the thread that handles signals, if that is known: [`Thread::set_main`].
    pub fn is_main(&self) -> Option<bool> {
        self.main.get()
    }

    /// Notes whether this is the thread that handles signals.
    pub fn set_main(&self, main: bool) {
        self.main.set(Some(main));
    }

    /// The instance that this thread works on, or null.
    #[inline(always)]
    pub(crate) fn instance(&self) -> *const () {
        self.instance.get()
    }

    /// Makes an instance the one that this thread works on; gives the one before, to be put back.
    #[inline(always)]
    pub(crate) fn set_instance(&self, instance: *const ()) -> *const () {
        self.instance.replace(instance)
    }
}

/// The [`Thread`] of the thread that has this: it cannot be sent to another.
///
/// ```compile_fail
/// let here = lua_api::Thread::this();
/// std::thread::spawn(move || here.has_room());
/// ```
#[derive(Clone, Copy)]
pub struct Here(NonNull<Thread>);

impl Here {
    /// A number that no other thread has.
    #[inline(always)]
    pub fn id(self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl Deref for Here {
    type Target = Thread;

    #[inline(always)]
    fn deref(&self) -> &Thread {
        // SAFETY: a pointer is not `Send`, so this is the thread that it was made in; what that has for itself has no
        // destructor, and is there until it ends.
        unsafe { self.0.as_ref() }
    }
}

/// The calling thread works on an instance, until this is dropped; then on the one before.
pub struct Entered<'l, B: LuaBackend> {
    thread: Here,
    before: *const (),
    instance: PhantomData<&'l Instance<B>>,
}

impl<B: LuaBackend> Drop for Entered<'_, B> {
    #[inline(always)]
    fn drop(&mut self) {
        self.thread.set_instance(self.before);
    }
}

/// The instance that this thread works on.
///
/// # Safety
/// Called from a C function that Lua runs: so an instance of this backend is being worked on. `'a` ends with that.
#[inline(always)]
pub(crate) unsafe fn thread_instance<'a, B: LuaBackend>() -> Option<&'a Instance<B>> {
    let instance = THREAD.with(|thread| thread.instance.get());
    // SAFETY: as the caller promises; nothing of it is changed but what is in cells.
    unsafe { instance.cast::<Instance<B>>().as_ref() }
}

/// The coroutine that was the current one before [`Instance::enter_again`], and its instance.
#[must_use]
pub struct Reentered(*mut lua_State, *const ());

/// One Lua: its main state, its account of memory and its references.
#[repr(C)]
pub struct Instance<B: LuaBackend> {
    // First: what knows no backend finds it at the address of the instance.
    watch: Arc<Watch>,
    // Any thread may ask whether it is null; who has Lua to itself sets it.
    main: AtomicPtr<lua_State>,
    current: Cell<*mut lua_State>,
    // The message handler and the function that protected calls enter by.
    entry_refs: Cell<(Ref, Ref)>,
    pub(crate) jobs: Jobs<B>,
    debug_names: Cell<(Ref, Ref)>,
    host: Cell<Option<(TypeId, NonNull<()>)>>,
    memory: Memory,
    warnings: Warnings,
    pub(crate) refs: References,
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
            entry_refs: Cell::new((Ref(0), Ref(0))),
            jobs: Jobs::default(),
            debug_names: Cell::new((Ref(0), Ref(0))),
            host: Cell::new(None),
            memory: Memory::default(),
            warnings: Warnings::default(),
            refs: References::default(),
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

    /// The coroutine that runs, or the main one: the only one that new work may be put on.
    #[inline(always)]
    pub fn state(&self) -> State<'_, B> {
        let current = self.current.get();
        assert!(!current.is_null(), "the Lua is closed");
        // SAFETY: the current coroutine of this instance, alive because it runs; the thread has
        // the instance to itself (crate docs, 5).
        unsafe { State::new(current, self) }
    }

    /// Makes this the instance that the calling thread works on, and tells Lua how much of a stack that has.
    #[inline(always)]
    pub fn enter(&self, thread: Here) -> Entered<'_, B> {
        let before = thread.set_instance((&raw const *self).cast());
        // SAFETY: this thread has the Lua to itself, for an instance is not `Sync`.
        unsafe { thread.tell_room(&self.watch) };
        Entered { thread, before, instance: PhantomData }
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
        Some(Reentered(known, (&raw const *self).cast()))
    }

    /// Ends what [`Instance::enter_again`] has begun.
    pub fn leave_again(&self, before: Reentered) {
        assert!(core::ptr::eq(before.1, (&raw const *self).cast()), "another Lua");
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
    ///
    /// # Safety
    /// It is there, at its address, as long as this instance is.
    pub unsafe fn set_host<T: 'static>(&self, host: &T) {
        self.host.set(Some((TypeId::of::<T>(), NonNull::from(host).cast())));
    }

    /// What this instance is part of, if that was noted and is a `T`.
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
            self.watch.set_running(null_mut());
        }
        thread.set_instance(before);
        self.main.store(null_mut(), Ordering::Relaxed);
        self.current.set(null_mut());
    }
}

impl<B: LuaBackend> Drop for Instance<B> {
    fn drop(&mut self) {
        // SAFETY: they have borrowed this.
        unsafe { self.close() };
        // Whoever has forgotten to leave.
        let thread = Thread::this();
        if thread.instance() == (&raw const *self).cast() {
            thread.set_instance(null());
        }
    }
}
