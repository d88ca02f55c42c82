//! Code with bare pointers: the C types that every Lua shares, which the generated bindings import from here, and
//! the C functions that Lua calls for this crate. Each of these makes safe values of its arguments.
#![allow(non_camel_case_types)]

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::marker::PhantomData;
use core::ptr::null_mut;

use crate::MIN_ROOM;
use crate::alloc::Memory;
use crate::backend::{LuaBackend, NewState, OK, value};
use crate::entries::{Place, TableEntry};
use crate::fence::{Raising, enter};
use crate::instance::{Instance, thread_instance};
use crate::references::Ref;
use crate::state::State;
use crate::traceback;
use crate::warn::Warnings;

/// A Lua thread (`lua_State`); only ever seen behind a pointer.
#[repr(C)]
pub struct lua_State {
    _private: [u8; 0],
}

/// A C function that Lua can call. It may be left by a Lua error, hence `C-unwind`.
pub type lua_CFunction = Option<unsafe extern "C-unwind" fn(*mut lua_State) -> c_int>;

/// A memory allocator (manual, `lua_Alloc`).
pub type lua_Alloc =
    Option<unsafe extern "C-unwind" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void>;

/// A hook (manual, `lua_Hook`); what it is told of the event differs between versions.
pub type lua_Hook = Option<unsafe extern "C-unwind" fn(*mut lua_State, *mut c_void)>;

/// Reads up to so many entries of the table at index 1 from a place on, and moves that. Gives their number, or
/// a negative one when the table has been rebuilt since: then the place means nothing any more.
///
/// Keys and values that are wanted and are no numbers are pushed, in turn. Keys that are no numbers are
/// put into a table at index 2, too, by the number of their entry from 1; it is made if there is nil.
///
/// Raises when there is no memory for that. Twice as many values as entries, and one more, must fit on the stack.
pub type ReadEntries = unsafe extern "C-unwind" fn(
    l: *mut lua_State,
    place: *mut Place,
    wanted: c_int,
    most: c_int,
    entries: *mut TableEntry,
) -> c_int;

/// One level of the call stack, for tracebacks.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    // `short_src`, zero-terminated.
    source: [c_char; 60],
    // Zero-terminated, or null.
    texts: [*const c_char; 4],
    lua: PhantomData<&'a [u8]>,
    /// The current line, or -1.
    pub line: c_int,
    /// The line where the function's definition begins, or -1.
    pub line_defined: c_int,
    /// The line where it ends, or -1.
    pub last_line_defined: c_int,
    /// The C function of this level, if it is one.
    pub c_function: lua_CFunction,
}

impl<'a> Frame<'a> {
    /// `texts` are the fields `what`, `name`, `namewhat` and `source`; `lines` are those of the call and of the definition.
    ///
    /// # Safety
    /// The texts are zero-terminated, or null, and stay as they are for `'a`.
    pub unsafe fn new(
        source: [c_char; 60],
        texts: [*const c_char; 4],
        lines: (c_int, c_int, c_int),
        c_function: lua_CFunction,
    ) -> Self {
        let (line, line_defined, last_line_defined) = lines;
        Frame { source, texts, lua: PhantomData, line, line_defined, last_line_defined, c_function }
    }

    /// The name of the chunk, shortened.
    pub fn source(&self) -> &[u8] {
        let length = self.source.iter().position(|&c| c == 0).unwrap_or(self.source.len());
        // SAFETY: bytes of the field.
        unsafe { core::slice::from_raw_parts(self.source.as_ptr().cast(), length) }
    }

    /// `Lua`, `C`, `main` or (5.1) `tail`.
    pub fn what(&self) -> &'a [u8] {
        self.text(0)
    }

    /// A name for the function, or nothing.
    pub fn name(&self) -> &'a [u8] {
        self.text(1)
    }

    /// The kind of the name: `global`, `local`, `method`, `field`, `upvalue`, or empty.
    pub fn name_kind(&self) -> &'a [u8] {
        self.text(2)
    }

    /// The whole name of the chunk, with the mark of its kind.
    pub fn chunk_name(&self) -> &'a [u8] {
        self.text(3)
    }

    fn text(&self, which: usize) -> &'a [u8] {
        let start = self.texts[which];
        // SAFETY: as was promised to `new`.
        if start.is_null() { b"" } else { unsafe { CStr::from_ptr(start) }.to_bytes() }
    }
}

/// A function for Lua: the layer that is called by Lua and may raise. While it may, its frame owns nothing; what
/// does is called by it, and has gone before. It does not panic.
pub trait Function<B: LuaBackend>: 'static {
    /// Says how many values on top of the stack are results.
    fn call(raising: Raising<'_, B>) -> c_int;
}

/// The C function of a [`Function`].
pub(crate) unsafe extern "C-unwind" fn function<B: LuaBackend, F: Function<B>>(
    l: *mut lua_State,
) -> c_int {
    // SAFETY: called by Lua, which runs only where a thread works on an instance; this frame owns nothing.
    match unsafe { Raising::<B>::of_thread(l) } {
        Some(raising) => F::call(raising),
        None => 0,
    }
}

/// The largest number of entries that are read at a time.
const MOST_ENTRIES: usize = 1 << 16;

impl<B: LuaBackend> Raising<'_, B> {
    /// Pushes a function of Rust with `n` upvalues.
    #[inline(always)]
    pub fn push_function<F: Function<B>>(self, n: c_int) {
        // SAFETY: Lua may call it with anything.
        unsafe { self.push_closure(Some(function::<B, F>), n) };
    }

    /// Pushes a C function with `n` upvalues.
    ///
    /// # Safety
    /// It is one that Lua may call whenever it runs for this thread, with any arguments and these upvalues.
    #[inline(always)]
    pub unsafe fn push_closure(self, f: lua_CFunction, n: c_int) {
        self.instance().note_host_function(f);
        // SAFETY: as for the other operations.
        unsafe { B::lua_pushcclosure(self.raw(), f, n) }
    }

    /// Runs the C function at `index` in the frame of the function that Lua has called, with what is on the stack.
    /// `None`, and nothing has happened, if there is another value, or a function that has something of its own:
    /// upvalues, or (in 5.1 and LuaJIT) other globals.
    pub fn pass_on(self, index: c_int) -> Option<c_int> {
        let function = self.to_c_function(index)?;
        if self.push_upvalue(index, 1) {
            self.pop(1);
            return None;
        }
        // SAFETY: as for the plain operations.
        let has_environment = unsafe { B::push_environment(self.raw(), index) };
        if has_environment {
            self.push_globals();
            let same = self.raw_equal(-1, -2);
            self.pop(2);
            if !same {
                return None;
            }
        }
        // SAFETY: Lua has called it before, or could: for all that it can tell, it does so now.
        Some(unsafe { function(self.raw()) })
    }

    /// Reads entries of the table at 1 from a place on, and moves that; gives how many there were room for, or
    /// `None` when the table has been rebuilt since, or this Lua does not read so: then the place means nothing.
    ///
    /// Keys and values that are `wanted` ([`crate::WANTS_KEYS`], [`crate::WANTS_VALUES`]) and are no numbers are pushed, in turn.
    /// Keys that are no numbers are put into a table at 2, too, by the number of their entry from 1; it is made if
    /// there is nil.
    pub fn read_entries(
        self,
        place: &mut Place,
        wanted: c_int,
        entries: &mut [TableEntry],
    ) -> Option<usize> {
        let read = B::READ_ENTRIES?;
        let most = c_int::try_from(entries.len().min(MOST_ENTRIES)).unwrap_or(0);
        self.expect_table(1);
        if self.type_of(2) != value::NIL {
            self.expect_table(2);
        }
        self.reserve(2 * most + MIN_ROOM);
        // SAFETY: as for the other operations: tables at 1 and 2, or nil, and room for so many values and entries.
        let count = unsafe { read(self.raw(), place, wanted, most, entries.as_mut_ptr()) };
        usize::try_from(count).ok()
    }

    /// Pushes a new coroutine, and gives `work` its stack. It leaves the coroutine where it is.
    pub fn with_new_coroutine<R>(self, work: impl for<'c> FnOnce(State<'c, B>) -> R) -> R {
        let raw = self.new_thread();
        // SAFETY: a new coroutine of this instance, which has room, and is on the stack as long as `work` runs.
        work(unsafe { self.with_raw(raw) })
    }

    /// Takes a new reference to the value on top, and pops it.
    pub(crate) fn new_ref(self) -> Ref {
        // SAFETY: as for the other operations; it is one more key of the registry, which stays.
        Ref(unsafe { B::luaL_ref(self.raw(), B::REGISTRY_INDEX) })
    }
}

/// The code that runs when a [`crate::Watch`] wants Lua to stop. It does not panic.
pub trait Hook<B: LuaBackend>: 'static {
    /// This thread may be about to wait for something outside of Lua. No Lua is run here.
    fn wait(instance: &Instance<B>);
    /// Whether there is something to do, for which the stack may move; `may_run` is false where no Lua may be run
    /// unless that is left.
    fn is_wanted(instance: &Instance<B>, may_run: bool) -> bool;
    /// Does it. True when there is an error to raise on top of the stack.
    fn run(state: State<'_, B>, may_run: bool) -> bool;
}

/// The C function of a [`Hook`].
pub(crate) unsafe extern "C-unwind" fn hook<B: LuaBackend, H: Hook<B>>(
    l: *mut lua_State,
    given: *mut c_void,
) {
    // SAFETY: called by Lua, which runs only where a thread works on an instance, and with a coroutine unless it is for
    // `WAIT`; this frame owns nothing.
    unsafe {
        let Some(instance) = thread_instance::<B>() else { return };
        if given == WAIT {
            H::wait(instance);
            return;
        }
        let raising = Raising::in_callback(l, instance);
        // A module may run a Lua of its own in this thread.
        let ours = instance.main_state().to_pointer(B::REGISTRY_INDEX);
        if raising.to_pointer(B::REGISTRY_INDEX) != ours {
            raising.put_back_hook();
            return;
        }
        let may_run = given != RUN_NOTHING;
        // Lua makes room for a hook, not so the C functions that call it.
        if !H::is_wanted(instance, may_run) || !B::checkstack(l, MIN_ROOM) {
            return;
        }
        if H::run(raising.state(), may_run) {
            raising.allow_hooks();
            raising.raise();
        }
    }
}

/// Functions of a Lua that set hooks.
pub struct Hooks {
    /// `lua_sethook`, in a bundled Lua without the lock.
    pub set: unsafe extern "C-unwind" fn(*mut lua_State, lua_Hook, c_int, c_int),
    /// `lua_gethook`.
    pub get: unsafe extern "C-unwind" fn(*mut lua_State) -> lua_Hook,
    /// `lua_gethookmask`.
    pub mask: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
    /// `lua_gethookcount`.
    pub count: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
    /// Further functions that only a bundled Lua has.
    pub outside: Option<Outside>,
}

/// Functions of a bundled Lua.
pub struct Outside {
    /// Sets a count hook from any thread; it runs in finalizers and hooks, too.
    pub now: unsafe extern "C-unwind" fn(*mut lua_State, lua_Hook, c_int),
    /// Lets the hook run in finalizers and hooks.
    pub allow: unsafe extern "C-unwind" fn(*mut lua_State),
    /// Instructions left until the hook.
    pub left: unsafe extern "C-unwind" fn(*mut lua_State) -> c_int,
    /// Where the global state says how much of the system's stack there is.
    pub room: unsafe extern "C-unwind" fn(*mut lua_State) -> *mut Room,
    /// Hands hook and count on from one coroutine to another; `None` where all have one (LuaJIT).
    pub hand_on: Option<unsafe extern "C-unwind" fn(*mut lua_State, *mut lua_State)>,
}

/// The end of the system's stack, as Lua itself looks at it where its C functions nest: `struct lupa_room`
/// of `lua-build/c/room.h`.
#[repr(C)]
#[derive(Debug)]
pub struct Room {
    pub(crate) limit: Cell<usize>,
    pub(crate) soft: Cell<usize>,
    pub(crate) hard: Cell<usize>,
    pub(crate) coroutines: Cell<usize>,
}

/// The argument of a hook in the place of the debug information where the hook may raise, but run no Lua.
pub const RUN_NOTHING: *mut c_void = core::ptr::without_provenance_mut(1);

/// The argument of a hook when its thread may be about to wait for something outside of Lua. There is no
/// state then, and the hook does not raise.
pub const WAIT: *mut c_void = core::ptr::without_provenance_mut(2);

/// The message handler of every protected call: notes a traceback, leaves the error value as it is.
pub(crate) unsafe extern "C-unwind" fn handle<B: LuaBackend>(l: *mut lua_State) -> c_int {
    // SAFETY: Lua runs this in a protected call of ours; the frame owns nothing when it returns, and
    // nothing in it raises.
    if let Some(raising) = unsafe { Raising::<B>::of_thread(l) } {
        raising.set_top(1);
        traceback::note(raising.state());
    }
    1
}

/// `lua_WarnFunction`; its data is a [`Warnings`] that outlives the state.
///
/// # Safety
/// Called by Lua.
pub unsafe extern "C-unwind" fn warn(ud: *mut c_void, message: *const c_char, continues: c_int) {
    // SAFETY: `ud` is the data given to the state; the message is zero-terminated.
    let (warnings, message) = unsafe { (&*ud.cast::<Warnings>(), CStr::from_ptr(message)) };
    warnings.show(message.to_bytes(), continues != 0);
}

/// A new Lua whose version is not known yet, in a protected call: what there is to call means the same in all.
pub(crate) struct Unknown<'f, B: LuaBackend> {
    l: *mut lua_State,
    // As in `Raising`, so that it is not kept.
    scope: PhantomData<fn(&'f ()) -> &'f ()>,
    backend: PhantomData<B>,
}

/// The work of [`Unknown::look`]. It owns nothing while an error may be raised.
type Look<B, R> = for<'f> fn(Unknown<'f, B>, &mut R);

impl<B: LuaBackend> Unknown<'_, B> {
    /// Has `look` look at a new Lua.
    ///
    /// # Errors
    /// A message, when it cannot be made, or raises something.
    pub(crate) fn look<R>(look: Look<B, R>, found: &mut R) -> Result<(), String> {
        let memory = Memory::default();
        let warnings = Warnings::default();
        let (allocator, allocator_data) = memory.allocator();
        let mut job = (look, found);
        // SAFETY: what is passed outlives the state; `look_at` gets its job.
        unsafe {
            let host = NewState { allocator, allocator_data, seed: Some(0), warnings: &warnings };
            let l = B::new_state(&host);
            if l.is_null() {
                return Err("it makes no new state".to_owned());
            }
            let status = B::cpcall(l, Some(look_at::<B, R>), (&raw mut job).cast());
            let problem = (status != OK).then(|| Unknown::<B>::new(l).text());
            B::lua_close(l);
            match problem {
                None => Ok(()),
                Some(problem) => Err(problem.unwrap_or_else(|| format!("error {status}"))),
            }
        }
    }

    /// # Safety
    /// A live state, and what errors leave there is in a protected call.
    unsafe fn new(l: *mut lua_State) -> Self {
        Unknown { l, scope: PhantomData, backend: PhantomData }
    }

    /// Opens a library, by the place of its name in [`LuaBackend::LIBRARIES`], and pushes its first result.
    pub(crate) fn open(&self, library: usize) {
        let Some((_, open)) = B::LIBRARIES[library].opening.function() else { return };
        // SAFETY: a live state, in a protected call; a library of this Lua, as the backend promises.
        unsafe {
            B::lua_pushcclosure(self.l, open, 0);
            B::call(self.l, 0, 1);
        }
    }

    /// Pushes the table of globals.
    pub(crate) fn push_globals(&self) {
        // SAFETY: a live state.
        unsafe { B::push_globals(self.l) };
    }

    /// Pushes a field of the value on top.
    pub(crate) fn push_field(&self, name: &CStr) {
        // SAFETY: a live state, in a protected call; there is a value.
        unsafe { B::get_field(self.l, -1, name) };
    }

    /// The number on top, or 0.
    pub(crate) fn number(&self) -> f64 {
        // SAFETY: a live state.
        unsafe { B::to_number(self.l, -1) }
    }

    /// The string on top.
    pub(crate) fn text(&self) -> Option<String> {
        // SAFETY: a live state; what Lua gives for a string is zero-terminated, and it is copied at once.
        unsafe {
            if B::lua_type(self.l, -1) != value::STRING {
                return None;
            }
            let text = CStr::from_ptr(B::lua_tolstring(self.l, -1, null_mut()));
            Some(text.to_string_lossy().into_owned())
        }
    }
}

unsafe extern "C-unwind" fn look_at<B: LuaBackend, R>(l: *mut lua_State) -> c_int {
    // SAFETY: called by `Unknown::look`, with the job that waits there; the frame owns nothing.
    unsafe {
        let (look, found) = &mut *B::lua_touserdata(l, 1).cast::<(Look<B, R>, &mut R)>();
        look(Unknown::new(l), found);
    }
    0
}

/// Runs once in a fresh state, protected: makes what later protected calls are made with.
pub(crate) unsafe extern "C-unwind" fn set_up<B: LuaBackend>(l: *mut lua_State) -> c_int {
    // SAFETY: called by `Instance::open` with the instance as the one argument; the frame owns nothing while it raises.
    unsafe {
        let instance = &*B::lua_touserdata(l, 1).cast::<Instance<B>>();
        let raising = Raising::<B>::in_callback(l, instance);
        raising.push_closure(Some(handle::<B>), 0);
        let handler = raising.new_ref();
        raising.push_closure(Some(enter::<B>), 0);
        let entry = raising.new_ref();
        raising.push_bytes(b"debug");
        let debug = raising.new_ref();
        raising.push_bytes(b"traceback");
        instance.set_up((handler, entry), (debug, raising.new_ref()));
    }
    0
}

/// The last resort, never to be reached: says what happened before Lua ends the process.
pub(crate) unsafe extern "C-unwind" fn panic<B: LuaBackend>(_: *mut lua_State) -> c_int {
    eprintln!(
        "lupa.{}: an error of Lua reached a place where nothing can catch it; this is a bug in lupa",
        B::NAME
    );
    0
}
