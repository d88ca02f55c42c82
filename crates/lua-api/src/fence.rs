//! The fence: [`State::protect`] and the operations that may raise, on [`Raising`].

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::mem::{MaybeUninit, needs_drop};
use core::ops::Deref;

use crate::backend::{Gc, LuaBackend, MULTRET, OK};
use crate::instance::{Instance, thread_instance};
use crate::raw::{lua_CFunction, lua_State};
use crate::references::Ref;
use crate::state::State;

/// The status of a protected call that has failed, other than [`OK`]. The error
/// value is on top of the stack, and the caller has to pop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised(pub c_int);

/// A [`State`] under protection: here one may raise.
///
/// A method of this type does not return when it raises; the frames up to the protected call are
/// left without running destructors. So nothing that owns may be alive around it.
pub struct Raising<'f, B: LuaBackend> {
    state: State<'f, B>,
    scope: PhantomData<fn(&'f ()) -> &'f ()>,
}

impl<B: LuaBackend> Clone for Raising<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: LuaBackend> Copy for Raising<'_, B> {}

impl<'f, B: LuaBackend> Deref for Raising<'f, B> {
    type Target = State<'f, B>;

    #[inline(always)]
    fn deref(&self) -> &State<'f, B> {
        &self.state
    }
}

/// The work of one [`State::run`]. It waits in that function's frame, in the list of [`Jobs`].
#[repr(C)]
struct Job<B: LuaBackend, F, R> {
    head: JobHead<B>,
    work: MaybeUninit<F>,
    result: Option<R>,
}

#[repr(C)]
pub(crate) struct JobHead<B: LuaBackend> {
    run: unsafe fn(*mut JobHead<B>, Raising<'_, B>) -> c_int,
}

/// The C function that every protected call enters by, with a ticket as its argument; tracebacks leave
/// it out.
pub(crate) unsafe extern "C-unwind" fn enter<B: LuaBackend>(l: *mut lua_State) -> c_int {
    // SAFETY: Lua runs it, so an instance is being worked on. The frame owns nothing.
    unsafe {
        let Some(instance) = thread_instance::<B>() else { return 0 };
        let raising = Raising::in_callback(l, instance);
        instance.memory().set_lenient(false);
        let job = instance.jobs.take(raising.to_number(1) as u64, l);
        raising.set_top(0);
        if job.is_null() {
            // Called by a script, or the job was done already when a script had called it.
            raising.error(c"this function is not for scripts");
        }
        ((*job).run)(job, raising)
    }
}

/// Whether a function of a traceback is the one that protected calls enter by.
pub(crate) fn is_entry<B: LuaBackend>(function: lua_CFunction) -> bool {
    let entry: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int = enter::<B>;
    function.is_some_and(|function| core::ptr::fn_addr_eq(function, entry))
}

unsafe fn run_job<B, F, R>(job: *mut JobHead<B>, raising: Raising<'_, B>) -> c_int
where
    B: LuaBackend,
    F: for<'f> FnOnce(Raising<'f, B>) -> (R, c_int),
{
    // SAFETY: `job` is the head of a `Job<B, F, R>` that waits in `State::run`; its work is taken
    // once. Nothing here needs dropping, so an error may leave this frame.
    unsafe {
        let job = job.cast::<Job<B, F, R>>();
        let work = (*job).work.assume_init_read();
        let (result, count) = work(raising);
        (*job).result = Some(result);
        count
    }
}

/// How many results leave room enough: a C function has room for 20 values, and what a call gives
/// takes the place of its frame.
const UNCHECKED_RESULTS: c_int = 6;

impl<B: LuaBackend> State<'_, B> {
    /// Runs `work` in a protected call, in a stack frame of its own.
    ///
    /// # Errors
    /// [`Raised`] when something in it raised: the error value is then on top of the stack.
    #[inline]
    pub fn protect<R: Copy>(
        self,
        work: impl for<'f> FnOnce(Raising<'f, B>) -> R,
    ) -> Result<R, Raised> {
        let base = self.top();
        let result = self.run(0, move |raising| (work(raising), 0));
        match result {
            Ok(_) => self.set_top(base),
            Err(_) => self.remove(base + 1),
        }
        result
    }

    /// As [`State::protect`]; the values that `work` leaves on top of its frame, as many as it
    /// says, come to the caller's stack, and there is room for [`crate::MIN_ROOM`] more.
    ///
    /// # Errors
    /// As for [`State::protect`].
    #[inline]
    pub fn protect_values(
        self,
        work: impl for<'f> FnOnce(Raising<'f, B>) -> c_int,
    ) -> Result<c_int, Raised> {
        let base = self.top();
        let result = self.protect_above(work);
        self.remove(base + 1);
        result
    }

    /// As [`State::protect_values`], but leaves one value more below the results or the error: the
    /// caller, who will cut the stack down anyway, finds them above `top + 1`.
    ///
    /// # Errors
    /// As for [`State::protect`].
    #[inline]
    pub fn protect_above(
        self,
        work: impl for<'f> FnOnce(Raising<'f, B>) -> c_int,
    ) -> Result<c_int, Raised> {
        self.run(MULTRET, move |raising| {
            let count = work(raising);
            if count > UNCHECKED_RESULTS {
                raising.reserve(crate::MIN_ROOM);
            }
            (count, count)
        })
    }

    /// [`State::load`], where loading raises errors of memory.
    pub(crate) fn load_protected(self, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int {
        let status = Cell::new(OK);
        let status_in = &status;
        let loaded = self.protect_values(|raising| {
            // SAFETY: a live state, in a protected call.
            status_in.set(unsafe { B::load(raising.raw(), code, name, mode) });
            1
        });
        loaded.map_or_else(|raised| raised.0, |_| status.get())
    }

    /// Begins a call of the value behind a reference: pushes the message handler and the value. The
    /// caller then pushes arguments that [`State`] can push, and calls [`State::end_call`].
    #[inline(always)]
    pub fn begin_call(self, function: Ref) {
        self.begin_load();
        self.push_ref(function);
    }

    /// As [`State::begin_call`], for a function that the caller is about to push.
    #[inline(always)]
    pub fn begin_load(self) {
        self.push_ref(self.instance().entry_refs().0);
    }

    /// Calls the function that has been pushed with the arguments above it, in protected mode; the
    /// handler is at `base + 1`. Gives the number of results, which are above that, with room for
    /// [`crate::MIN_ROOM`] more.
    ///
    /// # Errors
    /// [`Raised`], and the error value is on top of the stack.
    #[inline(always)]
    pub fn end_call(self, base: c_int, nargs: c_int) -> Result<c_int, Raised> {
        self.settle();
        // SAFETY: handler, function and arguments are on the stack; an error ends in the status.
        let status = unsafe { B::pcall(self.raw(), nargs, MULTRET, base + 1) };
        if status != OK {
            return Err(Raised(status));
        }
        let count = self.top() - base - 1;
        if count > UNCHECKED_RESULTS {
            self.make_room()?;
        }
        Ok(count)
    }

    /// Makes room for [`crate::MIN_ROOM`] values in this frame.
    #[cold]
    fn make_room(self) -> Result<(), Raised> {
        if B::CHECKSTACK_RAISES {
            // These Luas keep the room that a stack was given, as long as a quarter of it is in use.
            return self.protect(|raising| raising.reserve(crate::MIN_ROOM));
        }
        // SAFETY: it does not raise. If there is no room, the result on top stands for the error.
        let fits = unsafe { B::checkstack(self.raw(), crate::MIN_ROOM) };
        if fits { Ok(()) } else { Err(Raised(crate::ERRMEM)) }
    }

    /// Leaves the handler, and above it the results or the error value.
    #[inline]
    fn run<F, R>(self, results: c_int, work: F) -> Result<R, Raised>
    where
        R: Copy,
        F: for<'f> FnOnce(Raising<'f, B>) -> (R, c_int),
    {
        const { assert!(!needs_drop::<F>(), "a protected closure must own nothing") };
        let instance = self.instance();
        let (handler, entry) = instance.entry_refs();
        let base = self.top();
        self.push_ref(handler);
        self.push_ref(entry);
        // A script can put something else there, with `debug.getregistry`.
        if !is_entry::<B>(self.to_c_function(-1)) {
            self.set_top(base + 1);
            self.push_nil();
            return Err(Raised(crate::ERRRUN));
        }
        let jobs = &instance.jobs;
        let mut job = Job {
            head: JobHead { run: run_job::<B, F, R> },
            work: MaybeUninit::new(work),
            result: None,
        };
        let Some(waiting) = jobs.put(self.raw(), (&raw mut job).cast()) else {
            self.set_top(base + 1);
            self.push_nil();
            return Err(Raised(crate::ERRMEM));
        };
        self.push_number(waiting.ticket() as f64);
        // A frame for the entry function is not refused, or nothing could be deleted any more once
        // a limit is reached; the limit is back before the work begins.
        instance.memory().set_lenient(true);
        self.settle();
        // SAFETY: the three values just pushed are the handler, the entry function, which takes the
        // job, and its argument; an error ends in the status.
        let status = unsafe { B::pcall(self.raw(), 1, results, base + 1) };
        instance.memory().set_lenient(false);
        drop(waiting);
        match job.result {
            Some(result) if status == OK => Ok(result),
            _ => Err(Raised(status)),
        }
    }
}

macro_rules! raising {
    ($(
        $(#[$doc:meta])*
        $name:ident = $function:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $(where $check:ident($checked:expr))?;
    )*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(self, $($arg: $ty),*) $(-> $ret)? {
            $(debug_assert!(self.$check($checked), concat!(stringify!($name), ": no such value"));)?
            // SAFETY: as for the plain operations; and an error is caught by the protected call
            // that this token stands for.
            unsafe { B::$function(self.raw(), $($arg),*) }
        })*
    };
}

impl<'f, B: LuaBackend> Raising<'f, B> {
    /// The token for a C function that Lua has called.
    ///
    /// # Safety
    /// As for [`State::new`]; and the calling frame is one that a Lua error may leave: it and the
    /// frames up to Lua's own hold nothing with a destructor.
    #[inline(always)]
    pub(crate) unsafe fn in_callback(l: *mut lua_State, instance: &'f Instance<B>) -> Self {
        // SAFETY: the caller's promise.
        Raising { state: unsafe { State::new(l, instance) }, scope: PhantomData }
    }

    /// The token for a C function that Lua has called, with the instance that this thread works on.
    ///
    /// # Safety
    /// As for [`Raising::in_callback`].
    #[inline(always)]
    pub unsafe fn of_thread(l: *mut lua_State) -> Option<Self> {
        // SAFETY: the caller's promise.
        unsafe { Some(Self::in_callback(l, thread_instance::<B>()?)) }
    }

    raising! {
        /// Replaces the key on top by `t[k]`, with metamethods.
        get = get_table(index: c_int) where has(index);
        /// Pushes `t[name]`, with metamethods.
        get_field = get_field(index: c_int, name: &CStr) where has(index);
        /// Pops a value and a key below it, and sets `t[k] = v`, with metamethods.
        set = lua_settable(index: c_int) where has(index);
        /// The same without metamethods.
        raw_set = lua_rawset(index: c_int) where has_table(index);
        /// Pops a value and sets `t[n]`, without metamethods.
        raw_seti = raw_seti(index: c_int, n: i64) where has_table(index);
        /// Pushes a new table.
        new_table = lua_createtable(array: c_int, hash: c_int);
        /// Pushes a new userdata.
        new_userdata = new_userdata(size: usize) -> *mut c_void;
        /// Calls the function below its arguments.
        call = call(nargs: c_int, nresults: c_int);
        /// Calls the function below its arguments in protected mode, with the message handler at an index; gives the status.
        call_handled = pcall(nargs: c_int, nresults: c_int, handler: c_int) -> c_int where has(handler);
        /// Pushes a new coroutine.
        new_thread = lua_newthread() -> *mut lua_State;
        /// Runs a collector command.
        collect = gc(what: Gc) -> c_int;
        /// Switches LuaJIT's compiler; says whether it was on.
        compiler = compiler(on: bool) -> bool;
    }

    /// Opens all standard libraries.
    pub(crate) fn open_all(self) {
        // SAFETY: as for `raising!`.
        unsafe { B::open_libs(self.raw()) };
    }

    /// Opens a library, by its place in [`LuaBackend::LIBRARIES`], as a global and a loaded module.
    pub(crate) fn open_library(self, library: usize) {
        if let Some((name, open)) = B::LIBRARIES[library].opening.function() {
            // SAFETY: as for `raising!`; a function of this Lua, as the backend promises.
            unsafe { B::open_library(self.raw(), name, open) };
        }
    }

    /// Pushes the function that opens a library, by its place in [`LuaBackend::LIBRARIES`], or nil if none does.
    pub(crate) fn push_opener(self, library: usize) {
        match B::LIBRARIES[library].opening.function() {
            // SAFETY: as above.
            Some((_, open)) => unsafe { B::lua_pushcclosure(self.raw(), open, 0) },
            None => self.push_nil(),
        }
    }

    /// `lua_gc`. Finalizers are called beyond the limit, for they are what makes room: where most of what is in use is
    /// in memory of ours, it is theirs to give it back. An error that leaves this ends that, as any protected call does.
    pub fn gc(self, what: Gc) -> c_int {
        let memory = self.instance().memory();
        let before = memory.set_lenient(true);
        let result = self.collect(what);
        memory.set_lenient(before);
        result
    }

    /// Makes room for `n` more values.
    #[inline(always)]
    pub fn reserve(self, n: c_int) {
        let refusals = self.instance().memory().refusals();
        // SAFETY: as for `raising!`.
        if !unsafe { B::checkstack(self.raw(), n) } {
            self.no_room(refusals, c"stack overflow (too many values)");
        }
    }

    /// A stack has not grown; `refusals` is the number of before.
    #[cold]
    fn no_room(self, refusals: u64, overflow: &CStr) -> ! {
        if self.instance().memory().refusals() == refusals {
            self.error(overflow)
        }
        self.error(c"not enough memory")
    }

    /// Makes room for `n` more values on another coroutine, without an error of its own.
    pub fn reserve_on(self, other: State<'_, B>, n: c_int) {
        let memory = self.instance().memory();
        // An error on a coroutine that does not run would have nobody to catch it, so on the Luas
        // that raise here the limit is not looked at for this one allocation.
        let refusals = memory.refusals();
        let before = memory.set_lenient(B::CHECKSTACK_RAISES);
        // SAFETY: as for `raising!`; with the limit off, only the system can refuse.
        let fits = unsafe { B::checkstack(other.raw(), n) };
        memory.set_lenient(before);
        if !fits {
            self.no_room(refusals, c"stack overflow (too many values for a coroutine)");
        }
    }

    /// Pushes a string.
    #[inline(always)]
    pub fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: as for `raising!`.
        unsafe { B::push_bytes(self.raw(), bytes.as_ptr().cast::<c_char>(), bytes.len()) }
    }

    /// Raises unless there is a table at `index`, where a reference to one has been pushed: a script
    /// can change what references stand for (`debug.getregistry`).
    #[inline]
    pub fn expect_table(self, index: c_int) {
        if self.type_of(index) != crate::value::TABLE {
            self.error(c"lost reference");
        }
    }

    /// Turns the number at `index` into a string, in place.
    pub fn convert_to_string(self, index: c_int) {
        // SAFETY: as for `raising!`.
        unsafe { B::lua_tolstring(self.raw(), index, core::ptr::null_mut()) };
    }

    /// Pops a value and sets `t[name]`, with metamethods.
    pub fn set_field(self, index: c_int, name: &CStr) {
        // SAFETY: as for `raising!`.
        unsafe { B::lua_setfield(self.raw(), index, name.as_ptr()) }
    }

    /// Pops a key and pushes the next key and its value; false (and nothing pushed) at the end.
    pub fn next(self, index: c_int) -> bool {
        debug_assert!(self.has_table(index), "next: no table");
        // SAFETY: as for `raising!`.
        unsafe { B::lua_next(self.raw(), index) != 0 }
    }

    /// Raises the value on top.
    pub fn raise(self) -> ! {
        // SAFETY: as for `raising!`; it does not return.
        unsafe { B::lua_error(self.raw()) };
        unreachable!("lua_error returned")
    }

    /// Raises a message.
    pub fn error(self, message: &CStr) -> ! {
        self.push_bytes(message.to_bytes());
        self.raise()
    }

    /// The state, for what never raises.
    #[inline(always)]
    pub fn state(self) -> State<'f, B> {
        self.state
    }
}
