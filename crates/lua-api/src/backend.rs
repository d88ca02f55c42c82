//! [`LuaBackend`]: a Lua version as the rest of the workspace sees it, as one trait.
//!
//! The functions that have one prototype in the headers of all seven versions are listed once, in
//! [`with_common_api!`]; the list is expanded into trait methods here and, by
//! [`forward_common_api!`], into calls of a version's generated bindings, so that a prototype that
//! has changed does not compile. Differences between versions are written out as further methods
//! and constants, with the manual's tag `[-o, +p, x]`: pops, pushes, and whether it can raise
//! (`-` never, `m` on memory, `e` any error, `v` on purpose).

use core::ffi::{CStr, c_char, c_int, c_void};

use crate::libraries::Library;
use crate::raw::{Frame, Hooks, ReadEntries, lua_Alloc, lua_CFunction, lua_State};
use crate::warn::Warnings;

/// The result of `lua_type` and the other small numbers that are the same in every Lua.
pub mod value {
    use core::ffi::c_int;
    /// No value at this index.
    pub const NONE: c_int = -1;
    /// `nil`.
    pub const NIL: c_int = 0;
    /// A boolean.
    pub const BOOLEAN: c_int = 1;
    /// A bare pointer.
    pub const LIGHTUSERDATA: c_int = 2;
    /// A number of either subtype.
    pub const NUMBER: c_int = 3;
    /// A string.
    pub const STRING: c_int = 4;
    /// A table.
    pub const TABLE: c_int = 5;
    /// A Lua or C function.
    pub const FUNCTION: c_int = 6;
    /// A full userdata.
    pub const USERDATA: c_int = 7;
    /// A coroutine.
    pub const THREAD: c_int = 8;
}

/// Accept all results of a call (`LUA_MULTRET`).
pub const MULTRET: c_int = -1;
/// Status: no error.
pub const OK: c_int = 0;
/// Status: the coroutine is suspended in a yield.
pub const YIELD: c_int = 1;
/// Status: a runtime error; the message handler has run.
pub const ERRRUN: c_int = 2;
/// Status: a syntax error, from loading only.
pub const ERRSYNTAX: c_int = 3;
/// Status: an allocation failed; the message handler has not run.
pub const ERRMEM: c_int = 4;

/// A command for [`LuaBackend::gc`]; the numbers are the same in every Lua.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Gc {
    /// Stop the collector.
    Stop = 0,
    /// Start it again.
    Restart = 1,
    /// Run a full cycle.
    Collect = 2,
    /// Memory in use, in KiB.
    Count = 3,
    /// The rest of [`Gc::Count`], in bytes.
    CountBytes = 4,
}

/// The arguments of a new state.
pub struct NewState<'a> {
    /// The allocator, for a Lua that takes one (all but LuaJIT 2.0).
    pub allocator: lua_Alloc,
    /// The data of the allocator.
    pub allocator_data: *mut c_void,
    /// The seed of the hash of strings (5.5).
    pub seed: Option<u32>,
    /// Where warnings are seen to (5.4 and later).
    pub warnings: &'a Warnings,
}

/// Hands the list of common functions to a macro: `with_common_api!([macro] extra)`.
#[macro_export]
#[doc(hidden)]
macro_rules! with_common_api {
    ([$($callback:tt)*] $extra:tt) => {
        $($callback)* ! { $extra
            /// `[-0, +0, -]` Closes the state; runs all finalizers, and swallows their errors.
            fn lua_close(l: *mut lua_State);
            /// `[-0, +1, m]` A new coroutine.
            fn lua_newthread(l: *mut lua_State) -> *mut lua_State;
            /// `[-0, +0, -]` Sets the last-resort handler.
            fn lua_atpanic(l: *mut lua_State, f: lua_CFunction) -> lua_CFunction;
            /// `[-0, +0, -]` The number of values in the current frame.
            fn lua_gettop(l: *mut lua_State) -> c_int;
            /// `[-?, +?, -]` Sets the number of values in the current frame.
            fn lua_settop(l: *mut lua_State, index: c_int);
            /// `[-0, +1, -]` Pushes a copy.
            fn lua_pushvalue(l: *mut lua_State, index: c_int);
            /// `[-n, +n, -]` Moves `n` values to the stack of another coroutine.
            fn lua_xmove(from: *mut lua_State, to: *mut lua_State, n: c_int);
            /// `[-0, +0, -]` Whether the value is a C function.
            fn lua_iscfunction(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-0, +0, -]` The type of a value.
            fn lua_type(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-0, +0, -]` The name of a type.
            fn lua_typename(l: *mut lua_State, t: c_int) -> *const c_char;
            /// `[-0, +0, -]` Anything but `nil` and `false`.
            fn lua_toboolean(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-0, +0, m]` The bytes of a string; converts a number in place (that may raise).
            fn lua_tolstring(l: *mut lua_State, index: c_int, len: *mut usize) -> *const c_char;
            /// `[-0, +0, -]` The C function at this index, or null.
            fn lua_tocfunction(l: *mut lua_State, index: c_int) -> lua_CFunction;
            /// `[-0, +0, -]` The address of a userdata, or null.
            fn lua_touserdata(l: *mut lua_State, index: c_int) -> *mut c_void;
            /// `[-0, +0, -]` The coroutine at this index, or null.
            fn lua_tothread(l: *mut lua_State, index: c_int) -> *mut lua_State;
            /// `[-0, +0, -]` An address that identifies an object.
            fn lua_topointer(l: *mut lua_State, index: c_int) -> *const c_void;
            /// `[-0, +0, -]` Primitive equality.
            fn lua_rawequal(l: *mut lua_State, a: c_int, b: c_int) -> c_int;
            /// `[-0, +1, -]`
            fn lua_pushnil(l: *mut lua_State);
            /// `[-0, +1, -]`
            fn lua_pushnumber(l: *mut lua_State, n: f64);
            /// `[-n, +1, m]` Before 5.2 and in LuaJIT also `n = 0` allocates.
            fn lua_pushcclosure(l: *mut lua_State, f: lua_CFunction, n: c_int);
            /// `[-0, +1, -]`
            fn lua_pushboolean(l: *mut lua_State, b: c_int);
            /// `[-0, +1, m]`
            fn lua_createtable(l: *mut lua_State, narr: c_int, nrec: c_int);
            /// `[-0, +(0|1), -]` Pushes the metatable if there is one.
            fn lua_getmetatable(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-1, +0, -]`
            fn lua_setmetatable(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-2, +0, e]` `t[k] = v`, with metamethods.
            fn lua_settable(l: *mut lua_State, index: c_int);
            /// `[-1, +0, e]`
            fn lua_setfield(l: *mut lua_State, index: c_int, k: *const c_char);
            /// `[-2, +0, m]` Raises too for a `nil` or NaN key. A key that is present never allocates.
            fn lua_rawset(l: *mut lua_State, index: c_int);
            /// `[-0, +0, -]` `OK`, `YIELD` or the error that killed the coroutine.
            fn lua_status(l: *mut lua_State) -> c_int;
            /// `[-1, +0, v]` Raises the value on top.
            fn lua_error(l: *mut lua_State) -> c_int;
            /// `[-1, +(2|0), v]` Raises when the key is not in the table.
            fn lua_next(l: *mut lua_State, index: c_int) -> c_int;
            /// `[-0, +0, -]`
            fn lua_getallocf(l: *mut lua_State, ud: *mut *mut c_void) -> lua_Alloc;
            /// `[-0, +0, -]`
            fn lua_setallocf(l: *mut lua_State, f: lua_Alloc, ud: *mut c_void);
            /// `[-0, +(0|1), -]` Pushes an upvalue and gives its name, or null.
            fn lua_getupvalue(l: *mut lua_State, function: c_int, n: c_int) -> *const c_char;
            /// `[-1, +0, m]` Takes a reference to the value on top in table `t`.
            fn luaL_ref(l: *mut lua_State, t: c_int) -> c_int;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __declare_common_api {
    ({} $($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        /// The functions whose prototype is the same in every Lua.
        ///
        /// # Safety
        /// Each method calls the C function of its name: the manual's rules for it apply, and one
        /// that can raise may only be called from frames that own nothing (see the crate's docs).
        /// An implementation must forward to a Lua of the version that it claims to be.
        #[allow(missing_docs, non_snake_case, clippy::missing_safety_doc)]
        pub unsafe trait CommonApi {
            $($(#[$doc])* unsafe fn $name($($arg: $ty),*) $(-> $ret)?;)*
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __forward_common_api {
    ({$backend:ty, $bindings:ident} $($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        // SAFETY: plain forwarding to the bindings of this very Lua.
        #[allow(non_snake_case)]
        unsafe impl $crate::CommonApi for $backend {
            $(#[inline(always)]
            unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller keeps the manual's rules for this function.
                unsafe { $bindings::$name($($arg),*) }
            })*
        }
    };
}

/// Implements [`CommonApi`] for a backend from its generated bindings:
/// `forward_common_api!(Lua54, bindings);`.
#[macro_export]
macro_rules! forward_common_api {
    ($backend:ty, $bindings:ident) => {
        const _: () = {
            use core::ffi::{c_char, c_int, c_void};
            use $crate::raw::{lua_Alloc, lua_CFunction, lua_State};
    $crate::with_common_api!([$crate::__forward_common_api] {$backend, $bindings});
        };
    };
}

with_common_api!([crate::__declare_common_api] {});

/// A Lua version: the common functions and what differs between versions.
///
/// # Safety
/// As for [`CommonApi`]; and the constants must describe the Lua that the functions call.
#[allow(clippy::missing_safety_doc)]
pub unsafe trait LuaBackend: CommonApi + Copy + 'static {
    /// The name of the module: `lua54`, `luajit21`.
    const NAME: &'static str;
    /// The version of the language, `(5, 4)`.
    const VERSION: (u8, u8);
    /// Whether this is a Lua that the system has, instead of one that was compiled for this module:
    /// any build of this version, and it may have changed since.
    const INSTALLED: bool;
    /// The version of LuaJIT, if it is one.
    const JIT_VERSION: Option<(u8, u8)>;
    /// The pseudo-index of the registry.
    const REGISTRY_INDEX: c_int;
    /// Numbers have an integer subtype (5.3 and later).
    const HAS_INTEGERS: bool;
    /// The smallest and the largest `lua_Integer`.
    const INTEGER_RANGE: (i64, i64);
    /// The smallest and the largest position that `raw_geti` and `raw_seti` take.
    const POSITION_RANGE: (i64, i64);
    /// `#t` asks a table's `__len` (5.2 and later, not LuaJIT).
    const TABLE_HAS_LEN: bool;
    /// There is an `ffi` module, as LuaJIT has it.
    const HAS_FFI: bool;
    /// Tracebacks of this Lua say what a name is (`in field 'f'`, 5.3 and later).
    const TRACEBACK_NAMES_KIND: bool;
    /// A traceback is also made for `error(nil)` (5.2 and later, not LuaJIT).
    const TRACEBACK_FOR_NIL: bool;
    /// An allocation that fails is tried again after a full collection (5.2 and later, not LuaJIT).
    const COLLECTS_WHEN_FULL: bool;
    /// `lua_checkstack` may raise instead of returning false (5.1 and LuaJIT 2.0).
    const CHECKSTACK_RAISES: bool;
    /// Loading protects the compiler only: a finalizer may raise after it (LuaJIT).
    const LOAD_RAISES: bool;
    /// How hooks are set.
    const HOOKS: Hooks;
    /// How entries of a table are read, many at a time; `None` for an installed Lua.
    const READ_ENTRIES: Option<ReadEntries>;
    /// Loading can be restricted to source or to bytecode (not in 5.1; then [`crate::State::load`]
    /// does it).
    const LOAD_HAS_MODE: bool;

    /// The standard libraries, in the order in which they are opened.
    const LIBRARIES: &'static [Library];

    /// The address of this Lua's `lua_pushnil`, to tell Luas of one process apart.
    fn lua_pushnil_address() -> *mut c_void;
    /// The pseudo-index of an upvalue of the running C function.
    fn upvalue_index(n: c_int) -> c_int;
    /// A new state, or null, that outlives neither what `host` points to nor its allocator. Whether it
    /// has taken that allocator is up to the Lua.
    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State;
    /// `[-0, +0, e]` Opens all standard libraries.
    unsafe fn open_libs(l: *mut lua_State);
    /// `[-0, +0, e]` Opens a library as a global and a loaded module.
    unsafe fn open_library(l: *mut lua_State, name: &CStr, open: lua_CFunction);
    /// Calls `f` in protected mode with `ud` as its only argument; works in a fresh state.
    unsafe fn cpcall(l: *mut lua_State, f: lua_CFunction, ud: *mut c_void) -> c_int;
    /// `[-0, +0, -|m]` Makes room for `n` more values. See [`LuaBackend::CHECKSTACK_RAISES`].
    unsafe fn checkstack(l: *mut lua_State, n: c_int) -> bool;
    /// `[-(n+1), +r, e]`
    unsafe fn call(l: *mut lua_State, nargs: c_int, nresults: c_int);
    /// `[-(n+1), +(r|1), -]`
    unsafe fn pcall(l: *mut lua_State, nargs: c_int, nresults: c_int, handler: c_int) -> c_int;
    /// `[-?, +?, -]` Resumes `co`; gives the status and how many results are on its stack.
    unsafe fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int);
    /// `[-0, +1, -]` Loads a chunk; `mode` has no effect in 5.1. Pushes the function or an error.
    unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int;
    /// `[-0, +0, -]` Length without metamethods.
    unsafe fn raw_len(l: *mut lua_State, index: c_int) -> usize;
    /// `[-1, +1, -]`
    unsafe fn raw_get(l: *mut lua_State, index: c_int);
    /// `[-0, +1, -]`
    unsafe fn raw_geti(l: *mut lua_State, index: c_int, n: i64);
    /// `[-1, +1, -]` As `raw_get`; gives the type of what it has pushed.
    unsafe fn raw_get_type(l: *mut lua_State, index: c_int) -> c_int;
    /// `[-0, +1, -]` As `raw_geti`; gives the type of what it has pushed.
    unsafe fn raw_geti_type(l: *mut lua_State, index: c_int, n: i64) -> c_int;
    /// `[-1, +0, m]` Does not allocate when the key is present.
    unsafe fn raw_seti(l: *mut lua_State, index: c_int, n: i64);
    /// `[-1, +1, e]` `t[k]`, with metamethods.
    unsafe fn get_table(l: *mut lua_State, index: c_int);
    /// `[-0, +1, e]`
    unsafe fn get_field(l: *mut lua_State, index: c_int, name: &CStr);
    /// `[-0, +1, -]` The table of globals.
    unsafe fn push_globals(l: *mut lua_State);
    /// `[-0, +(0|1), -]` Pushes what a chunk that was loaded from source has for its globals.
    unsafe fn push_environment(l: *mut lua_State, function: c_int) -> bool;
    /// `[-0, +1, m]`
    unsafe fn push_bytes(l: *mut lua_State, bytes: *const c_char, len: usize);
    /// `[-0, +1, -]` An integer where there is that subtype, else a float.
    unsafe fn push_integer(l: *mut lua_State, n: i64);
    /// `[-0, +0, -]` The integer at this index, if the number is of that subtype.
    unsafe fn to_integer(l: *mut lua_State, index: c_int) -> Option<i64>;
    /// `[-0, +0, -]` The number at this index, or 0.
    unsafe fn to_number(l: *mut lua_State, index: c_int) -> f64;
    /// `[-1, +1, -]` Moves the top value down to `index`.
    unsafe fn insert(l: *mut lua_State, index: c_int);
    /// `[-1, +0, -]` Removes the value at `index`.
    unsafe fn remove(l: *mut lua_State, index: c_int);
    /// `[-0, +1, m]`
    unsafe fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void;
    /// `[-0, +0, e]` Runs a collector command.
    unsafe fn gc(l: *mut lua_State, what: Gc) -> c_int;
    /// `[-0, +0, v]` Switches LuaJIT's compiler on or off; says whether it was on. There is none in other
    /// Luas. Raises in finalizers.
    unsafe fn compiler(_l: *mut lua_State, _on: bool) -> bool {
        false
    }
    /// `[-0, +0, -]` Whether the metamethod `__index` that runs was called by `return object:name(...)`, in LuaJIT: there
    /// the function that is called then cannot be told from its frames to be a method. Other Luas tell by the frame.
    unsafe fn reads_for_tail_call(_l: *mut lua_State) -> bool {
        false
    }
    /// `[-0, +0, -]` C code below Lua comes back to use this Lua: gives the coroutine to use, or null where that
    /// cannot be. `known` is the one that ran when Lua was last entered, or called out; `noted` is the
    /// one that runs, as a bundled Lua has noted it, or null.
    unsafe fn reenter(known: *mut lua_State, noted: *mut lua_State) -> *mut lua_State {
        if noted.is_null() { known } else { noted }
    }
    /// `[-0, +0, -]` Whether the call stack has a frame at `level`.
    unsafe fn has_frame(l: *mut lua_State, level: c_int) -> bool;
    /// `[-0, +0, -]` The frame at `level` (0 is the running function), or `None` above the base.
    /// Its texts are there until Lua runs again.
    unsafe fn frame<'a>(l: *mut lua_State, level: c_int) -> Option<Frame<'a>>;
}

/// Fills a [`Frame`] from a version's own `lua_Debug`: the fields are the same, their places not.
#[macro_export]
macro_rules! stack_frame {
    ($bindings:ident, $l:expr, $level:expr) => {{
        let l: *mut $crate::raw::lua_State = $l;
        let mut debug: core::mem::MaybeUninit<$bindings::lua_Debug> =
            core::mem::MaybeUninit::zeroed();
        // SAFETY: the caller gives a live state, and does with the frame what it says of it; `lua_getstack`
        // and `lua_getinfo` with these
        // letters fill the fields that are read, and leave one function on the stack, popped here.
        unsafe {
            if $bindings::lua_getstack(l, $level, debug.as_mut_ptr()) == 0 {
                None
            } else {
                $bindings::lua_getinfo(l, c"Slnf".as_ptr(), debug.as_mut_ptr());
                let c_function = $bindings::lua_tocfunction(l, -1);
                $bindings::lua_settop(l, -2);
                let debug = debug.assume_init();
                Some($crate::Frame::new(
                    debug.short_src,
                    [debug.what, debug.name, debug.namewhat, debug.source],
                    (debug.currentline, debug.linedefined, debug.lastlinedefined),
                    c_function,
                ))
            }
        }
    }};
}

/// A type that stands for a Lua in examples that do not run: each of its functions panics.
#[doc(hidden)]
#[macro_export]
macro_rules! stub_backend {
    ($name:ident) => {
        #[derive(Clone, Copy)]
        struct $name;
        const _: () = {
            use core::ffi::{CStr, c_char, c_int, c_void};
            use $crate::raw::{lua_Alloc, lua_CFunction, lua_State};
            $crate::with_common_api!([$crate::stub_backend] {CommonApi $name {}});
            $crate::stub_backend! {{LuaBackend $name {
                const NAME: &'static str = "stub";
                const VERSION: (u8, u8) = (5, 4);
                const INSTALLED: bool = false;
                const JIT_VERSION: Option<(u8, u8)> = None;
                const REGISTRY_INDEX: c_int = -10000;
                const HAS_INTEGERS: bool = true;
                const INTEGER_RANGE: (i64, i64) = (0, 0);
                const POSITION_RANGE: (i64, i64) = (0, 0);
                const TABLE_HAS_LEN: bool = true;
                const HAS_FFI: bool = false;
                const TRACEBACK_NAMES_KIND: bool = true;
                const TRACEBACK_FOR_NIL: bool = true;
                const COLLECTS_WHEN_FULL: bool = true;
                const CHECKSTACK_RAISES: bool = false;
                const LOAD_RAISES: bool = false;
                const HOOKS: $crate::Hooks = unimplemented!();
                const READ_ENTRIES: Option<$crate::ReadEntries> = None;
                const LOAD_HAS_MODE: bool = true;
                const LIBRARIES: &'static [$crate::Library] = &[];
                fn lua_pushnil_address() -> *mut c_void { unimplemented!() }
                fn upvalue_index(_: c_int) -> c_int { unimplemented!() }
                unsafe fn new_state(_: &$crate::NewState<'_>) -> *mut lua_State { unimplemented!() }
                unsafe fn frame<'a>(_: *mut lua_State, _: c_int) -> Option<$crate::Frame<'a>> { None }
            }}
                fn open_libs(l: *mut lua_State);
                fn open_library(l: *mut lua_State, name: &CStr, open: lua_CFunction);
                fn cpcall(l: *mut lua_State, f: lua_CFunction, ud: *mut c_void) -> c_int;
                fn checkstack(l: *mut lua_State, n: c_int) -> bool;
                fn call(l: *mut lua_State, nargs: c_int, nresults: c_int);
                fn pcall(l: *mut lua_State, nargs: c_int, nresults: c_int, handler: c_int) -> c_int;
                fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int);
                fn load(l: *mut lua_State, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int;
                fn raw_len(l: *mut lua_State, index: c_int) -> usize;
                fn raw_get(l: *mut lua_State, index: c_int);
                fn raw_geti(l: *mut lua_State, index: c_int, n: i64);
                fn raw_get_type(l: *mut lua_State, index: c_int) -> c_int;
                fn raw_geti_type(l: *mut lua_State, index: c_int, n: i64) -> c_int;
                fn raw_seti(l: *mut lua_State, index: c_int, n: i64);
                fn get_table(l: *mut lua_State, index: c_int);
                fn get_field(l: *mut lua_State, index: c_int, name: &CStr);
                fn push_globals(l: *mut lua_State);
                fn push_environment(l: *mut lua_State, function: c_int) -> bool;
                fn push_bytes(l: *mut lua_State, bytes: *const c_char, len: usize);
                fn push_integer(l: *mut lua_State, n: i64);
                fn to_integer(l: *mut lua_State, index: c_int) -> Option<i64>;
                fn to_number(l: *mut lua_State, index: c_int) -> f64;
                fn insert(l: *mut lua_State, index: c_int);
                fn remove(l: *mut lua_State, index: c_int);
                fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void;
                fn gc(l: *mut lua_State, what: $crate::Gc) -> c_int;
                fn has_frame(l: *mut lua_State, level: c_int) -> bool;
            }
        };
    };
    ({$trait:ident $name:ident {$($items:tt)*}} $($(#[$doc:meta])* fn $f:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)?;)*) => {
        // SAFETY: there is no Lua: none of this returns.
        #[allow(non_snake_case)]
        unsafe impl $crate::$trait for $name {
            $($items)*
            $(unsafe fn $f($(_: $ty),*) $(-> $ret)? { unimplemented!() })*
        }
    };
}

/// Exports Lua's API from the module that has it, for binary Lua modules.
///
/// On ELF systems rustc hands the linker a version script with the names that a crate exports, and says that all
/// else is local. Names of C functions are not in it, and only lld takes a second script. But names there may be
/// patterns, and rustc writes down whatever a symbol is called: so there is one that is called `lua_*`. On macOS the linker takes
/// patterns beside rustc's list (`link.rs` of `lua-build`), and on Windows Lua's own sources say what is exported.
#[macro_export]
macro_rules! export_lua {
    () => {
        #[cfg(all(
            lupa_bundled,
            unix,
            not(any(target_vendor = "apple", target_os = "emscripten"))
        ))]
        mod exports {
            // SAFETY: nobody else's symbols have such names.
            #[unsafe(export_name = "lua_*")]
            pub static API: u8 = 0;
            // SAFETY: as above.
            #[unsafe(export_name = "luaL_*")]
            pub static AUXILIARY: u8 = 0;
            // SAFETY: as above.
            #[unsafe(export_name = "luaopen_*")]
            pub static LIBRARIES: u8 = 0;
            // SAFETY: as above.
            #[unsafe(export_name = "luaJIT_*")]
            pub static JIT: u8 = 0;
        }
    };
}
