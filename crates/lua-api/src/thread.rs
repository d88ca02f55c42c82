//! [`Thread`]: what there is once for each thread: the instance that it works on, and the end of its stack.

use core::cell::Cell;
use core::ops::Deref;
use core::ptr::{NonNull, null};

use crate::backend::LuaBackend;
use crate::instance::Instance;
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
pub(crate) const LEAST_MARGIN: usize = 32 << 10;

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
        let here = (&raw const here).addr();
        if !watch.knows_room_at(here) {
            // SAFETY: as the caller promises.
            unsafe { self.tell_room_at(watch, here) };
        }
    }

    /// # Safety
    /// As for [`Thread::tell_room`].
    #[cold]
    unsafe fn tell_room_at(&self, watch: &Watch, here: usize) {
        let limit = self.stack_limit.get();
        let soft = limit.max(here.saturating_sub(MOST_NESTING));
        let coroutines = limit.max(here.saturating_sub(MOST_NESTING / 2));
        let reserve = limit.saturating_sub(self.stack_end.get()) / 2;
        // SAFETY: as the caller promises.
        unsafe { watch.set_room(here, soft, soft.saturating_sub(reserve), coroutines) };
    }

    /// Whether this is the thread that handles signals, if that is known: [`Thread::set_main`].
    pub fn is_main(&self) -> Option<bool> {
        self.main.get()
    }

    /// Notes whether this is the thread that handles signals.
    pub fn set_main(&self, main: bool) {
        self.main.set(Some(main));
    }

    /// The address of the instance that this thread works on, or null.
    #[inline(always)]
    pub fn instance(&self) -> *const () {
        self.instance.get()
    }

    /// What this thread has worked on before, and may go on with: below, or by C code that calls functions of Lua.
    ///
    /// # Safety
    /// The address of an instance that this thread is inside of.
    pub unsafe fn go_back_to(&self, instance: *const ()) {
        self.instance.set(instance);
    }

    /// This thread works on no instance, until Lua runs again.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.instance.set(null());
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
