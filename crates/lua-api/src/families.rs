//! Method bodies of the trait that the crates of a family of versions share, beyond the common
//! functions. Each is used inside `unsafe impl LuaBackend for ...`.

/// Methods that are one function of the bindings each: `name(arguments) -> type = function(values);`.
#[doc(hidden)]
#[macro_export]
macro_rules! forward_to {
    ($bindings:ident; $($name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ident)? = $function:ident($($value:expr),*);)*) => {
        $(#[inline(always)]
        unsafe fn $name(l: *mut lua_State $(, $arg: $ty)*) $(-> $ret)? {
            // SAFETY: the caller keeps the manual's rules for this function; references and positions fit.
            $crate::forward_to!([$($ret)?] unsafe { $bindings::$function(l $(, $value)*) })
        })*
    };
    ([] $call:expr) => { { $call; } };
    ([bool] $call:expr) => { $call != 0 };
    ([$ret:ident] $call:expr) => { $call };
}

/// The methods whose bodies are the same in all versions.
#[macro_export]
macro_rules! shared_methods {
    ($bindings:ident) => {
        fn lua_pushnil_address() -> *mut c_void {
            $bindings::lua_pushnil as *mut c_void
        }

        $crate::forward_to! { $bindings;
            raw_get(index: c_int) = lua_rawget(index);
            raw_geti(index: c_int, n: i64) = lua_rawgeti(index, n as _);
            raw_seti(index: c_int, n: i64) = lua_rawseti(index, n as _);
            get_table(index: c_int) = lua_gettable(index);
            get_field(index: c_int, name: &CStr) = lua_getfield(index, name.as_ptr());
            push_bytes(bytes: *const c_char, len: usize) = lua_pushlstring(bytes, len);
            push_integer(n: i64) = lua_pushinteger(n as _);
            checkstack(n: c_int) -> bool = lua_checkstack(n);
        }

        unsafe fn has_frame(l: *mut lua_State, level: c_int) -> bool {
            let mut debug: core::mem::MaybeUninit<$bindings::lua_Debug> =
                core::mem::MaybeUninit::uninit();
            // SAFETY: the caller keeps the manual's rules; only filled, not read.
            unsafe { $bindings::lua_getstack(l, level, debug.as_mut_ptr()) != 0 }
        }

        unsafe fn frame<'a>(l: *mut lua_State, level: c_int) -> Option<$crate::Frame<'a>> {
            $crate::stack_frame!($bindings, l, level)
        }
    };
}

/// Lua before 5.4, LuaJIT included.
#[doc(hidden)]
#[macro_export]
macro_rules! methods_before_54 {
    ($bindings:ident) => {
        $crate::forward_to! { $bindings;
            gc(what: $crate::Gc) -> c_int = lua_gc(what as c_int, 0);
        }

        #[inline(always)]
        unsafe fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void {
            // SAFETY: the caller keeps the manual's rules for this function.
            unsafe { $bindings::lua_newuserdata(l, size) }
        }
    };
}

/// Lua before 5.3, LuaJIT included: there are no integers, and `lua_rawgeti` takes an `int` and gives no type;
/// `lua_insert` and `lua_remove` are functions.
#[macro_export]
macro_rules! methods_before_53 {
    ($bindings:ident) => {
        const POSITION_RANGE: (i64, i64) = (c_int::MIN as i64, c_int::MAX as i64);

        $crate::forward_to! { $bindings;
            insert(index: c_int) = lua_insert(index);
            remove(index: c_int) = lua_remove(index);
        }

        #[inline(always)]
        unsafe fn to_integer(_l: *mut lua_State, _index: c_int) -> Option<i64> {
            None
        }

        #[inline(always)]
        unsafe fn raw_get_type(l: *mut lua_State, index: c_int) -> c_int {
            // SAFETY: the caller keeps the manual's rules for these functions.
            unsafe {
                $bindings::lua_rawget(l, index);
                $bindings::lua_type(l, -1)
            }
        }

        #[inline(always)]
        unsafe fn raw_geti_type(l: *mut lua_State, index: c_int, n: i64) -> c_int {
            // SAFETY: the caller keeps the manual's rules; references and positions fit.
            unsafe {
                $bindings::lua_rawgeti(l, index, n as _);
                $bindings::lua_type(l, -1)
            }
        }
    };
}

/// Lua 5.1 and both LuaJITs, but for `load`.
#[macro_export]
macro_rules! classic_methods {
    ($bindings:ident) => {
        $crate::shared_methods!($bindings);
        $crate::methods_before_53!($bindings);
        $crate::methods_before_54!($bindings);

        #[inline(always)]
        fn upvalue_index(n: c_int) -> c_int {
            $bindings::LUA_GLOBALSINDEX - n
        }

        unsafe fn open_library(l: *mut lua_State, name: &CStr, open: lua_CFunction) {
            // SAFETY: the caller keeps the manual's rules; these functions make globals of the libraries themselves.
            unsafe {
                $bindings::lua_pushcclosure(l, open, 0);
                $bindings::lua_pushstring(l, name.as_ptr());
                $bindings::lua_call(l, 1, 0);
            }
        }

        $crate::forward_to! { $bindings;
            open_libs() = luaL_openlibs();
            cpcall(f: lua_CFunction, ud: *mut c_void) -> c_int = lua_cpcall(f, ud);
            call(nargs: c_int, nresults: c_int) = lua_call(nargs, nresults);
            pcall(nargs: c_int, nresults: c_int, handler: c_int) -> c_int = lua_pcall(nargs, nresults, handler);
            raw_len(index: c_int) -> usize = lua_objlen(index);
            push_globals() = lua_pushvalue($bindings::LUA_GLOBALSINDEX);
            to_number(index: c_int) -> f64 = lua_tonumber(index);
        }

        unsafe fn resume(
            co: *mut lua_State,
            _from: *mut lua_State,
            nargs: c_int,
        ) -> (c_int, c_int) {
            // SAFETY: the caller keeps the manual's rules. The results of a coroutine are all values on its stack.
            unsafe {
                let status = $bindings::lua_resume(co, nargs);
                (status, $bindings::lua_gettop(co))
            }
        }

        #[inline(always)]
        unsafe fn push_environment(l: *mut lua_State, function: c_int) -> bool {
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::lua_getfenv(l, function) };
            true
        }
    };
}

/// Lua 5.2 and later: what does not go with the integers of 5.3.
#[macro_export]
macro_rules! later_methods {
    ($bindings:ident) => {
        $crate::shared_methods!($bindings);

        #[inline(always)]
        fn upvalue_index(n: c_int) -> c_int {
            Self::REGISTRY_INDEX - n
        }

        unsafe fn open_library(l: *mut lua_State, name: &CStr, open: lua_CFunction) {
            // SAFETY: the caller keeps the manual's rules for these functions.
            unsafe {
                $bindings::luaL_requiref(l, name.as_ptr(), open, 1);
                $bindings::lua_settop(l, -2);
            }
        }

        unsafe fn cpcall(l: *mut lua_State, f: lua_CFunction, ud: *mut c_void) -> c_int {
            // SAFETY: the caller keeps the manual's rules; these two pushes do not allocate.
            unsafe {
                $bindings::lua_pushcclosure(l, f, 0);
                $bindings::lua_pushlightuserdata(l, ud);
                Self::pcall(l, 1, 0, 0)
            }
        }

        $crate::forward_to! { $bindings;
            call(nargs: c_int, nresults: c_int) = lua_callk(nargs, nresults, 0, None);
            pcall(nargs: c_int, nresults: c_int, handler: c_int) -> c_int
                = lua_pcallk(nargs, nresults, handler, 0, None);
            to_number(index: c_int) -> f64 = lua_tonumberx(index, core::ptr::null_mut());
        }

        unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int {
            let mode = mode.map_or(core::ptr::null(), CStr::as_ptr);
            let start = code.as_ptr().cast::<c_char>();
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::luaL_loadbufferx(l, start, code.len(), name.as_ptr(), mode) }
        }

        #[inline(always)]
        unsafe fn raw_len(l: *mut lua_State, index: c_int) -> usize {
            // SAFETY: the caller keeps the manual's rules.
            unsafe { usize::try_from($bindings::lua_rawlen(l, index)) }.unwrap_or(usize::MAX)
        }

        #[inline(always)]
        unsafe fn push_globals(l: *mut lua_State) {
            // SAFETY: the caller keeps the manual's rules.
            unsafe {
                let globals = $bindings::LUA_RIDX_GLOBALS as _;
                $bindings::lua_rawgeti(l, Self::REGISTRY_INDEX, globals);
            }
        }

        #[inline(always)]
        unsafe fn push_environment(l: *mut lua_State, function: c_int) -> bool {
            // SAFETY: the caller keeps the manual's rules. It is the first upvalue, `_ENV`.
            unsafe { !$bindings::lua_getupvalue(l, function, 1).is_null() }
        }
    };
}

/// Lua 5.3 and later.
#[macro_export]
macro_rules! modern_methods {
    ($bindings:ident) => {
        $crate::later_methods!($bindings);

        const POSITION_RANGE: (i64, i64) = (i64::MIN, i64::MAX);

        $crate::forward_to! { $bindings;
            raw_get_type(index: c_int) -> c_int = lua_rawget(index);
            raw_geti_type(index: c_int, n: i64) -> c_int = lua_rawgeti(index, n);
            insert(index: c_int) = lua_rotate(index, 1);
        }

        #[inline(always)]
        unsafe fn to_integer(l: *mut lua_State, index: c_int) -> Option<i64> {
            // SAFETY: the caller keeps the manual's rules for these functions.
            unsafe {
                ($bindings::lua_isinteger(l, index) != 0)
                    .then(|| $bindings::lua_tointegerx(l, index, core::ptr::null_mut()) as i64)
            }
        }

        #[inline(always)]
        unsafe fn remove(l: *mut lua_State, index: c_int) {
            // SAFETY: the caller keeps the manual's rules.
            unsafe {
                $bindings::lua_rotate(l, index, -1);
                $bindings::lua_settop(l, -2);
            }
        }
    };
}

/// The functions that a bundled Lua is given: how hooks are set and entries are read, and in LuaJIT how the compiler is switched;
/// `hooks!(bindings, puc)` or `hooks!(bindings, luajit)`.
#[macro_export]
macro_rules! hooks {
    ($bindings:ident, puc) => {
        $crate::hooks!(@common $bindings, {
            unsafe extern "C-unwind" {
                #[link_name = "lupa_hook_move"]
                fn hand_on(from: *mut lua_State, to: *mut lua_State);
            }
            Some(hand_on)
        });
    };
    ($bindings:ident, luajit) => {
        $crate::hooks!(@common $bindings, { None });

        #[cfg(lupa_bundled)]
        unsafe fn reenter(known: *mut lua_State, _noted: *mut lua_State) -> *mut lua_State {
            unsafe extern "C-unwind" {
                fn lupa_reenter(known: *mut lua_State) -> *mut lua_State;
            }
            // SAFETY: the caller keeps the rules of this function.
            unsafe { lupa_reenter(known) }
        }

        /// An installed LuaJIT does not tell whether compiled code runs.
        #[cfg(not(lupa_bundled))]
        unsafe fn reenter(_known: *mut lua_State, _noted: *mut lua_State) -> *mut lua_State {
            core::ptr::null_mut()
        }

        #[cfg(lupa_bundled)]
        unsafe fn reads_for_tail_call(l: *mut lua_State) -> bool {
            unsafe extern "C-unwind" {
                fn lupa_reads_for_tail_call(l: *mut lua_State) -> c_int;
            }
            // SAFETY: looks at the frames of the function that runs.
            unsafe { lupa_reads_for_tail_call(l) != 0 }
        }

        #[cfg(lupa_bundled)]
        unsafe fn compiler(l: *mut lua_State, on: bool) -> bool {
            unsafe extern "C-unwind" {
                fn lupa_compiler(l: *mut lua_State, on: c_int) -> c_int;
            }
            // SAFETY: the caller keeps the manual's rules.
            unsafe { lupa_compiler(l, c_int::from(on)) != 0 }
        }
    };
    (@common $bindings:ident, $hand_on:block) => {
        #[cfg(lupa_bundled)]
        const READ_ENTRIES: Option<$crate::ReadEntries> = {
            unsafe extern "C-unwind" {
                fn lupa_read(
                    l: *mut lua_State,
                    place: *mut $crate::Place,
                    wanted: c_int,
                    most: c_int,
                    entries: *mut $crate::TableEntry,
                ) -> c_int;
            }
            Some(lupa_read)
        };
        #[cfg(not(lupa_bundled))]
        const READ_ENTRIES: Option<$crate::ReadEntries> = None;

        const HOOKS: $crate::Hooks = {
            use $crate::raw::lua_Hook;
            #[cfg(lupa_bundled)]
            unsafe extern "C-unwind" {
                #[link_name = "lupa_hook_set"]
                fn set(l: *mut lua_State, hook: lua_Hook, mask: c_int, count: c_int);
                #[link_name = "lupa_hook_now"]
                fn now(l: *mut lua_State, hook: lua_Hook, count: c_int);
                #[link_name = "lupa_hook_allow"]
                fn allow(l: *mut lua_State);
                #[link_name = "lupa_room"]
                fn room(l: *mut lua_State) -> *mut $crate::Room;
                #[link_name = "lupa_hook_count"]
                fn left(l: *mut lua_State) -> c_int;
            }
            #[cfg(not(lupa_bundled))]
            unsafe extern "C-unwind" fn set(
                l: *mut lua_State,
                hook: lua_Hook,
                mask: c_int,
                count: c_int,
            ) {
                // SAFETY: the caller keeps the manual's rules. A hook is told of the event by a pointer
                // to a `lua_Debug`, of which ours knows only that it is one.
                unsafe {
                    $bindings::lua_sethook(l, core::mem::transmute(hook), mask, count);
                }
            }
            unsafe extern "C-unwind" fn get(l: *mut lua_State) -> lua_Hook {
                // SAFETY: the caller keeps the manual's rules.
                unsafe { core::mem::transmute($bindings::lua_gethook(l)) }
            }
            $crate::Hooks {
                set,
                get,
                mask: $bindings::lua_gethookmask,
                count: $bindings::lua_gethookcount,
                #[cfg(lupa_bundled)]
                outside: Some($crate::Outside { now, allow, left, room, hand_on: $hand_on }),
                #[cfg(not(lupa_bundled))]
                outside: None,
            }
        };
    };
}

/// Implements a backend: its constants, and which of these families it is of.
#[macro_export]
macro_rules! backend {
    ($backend:ident by $bindings:ident; $($items:tt)*) => {
        $crate::export_lua!();
        $crate::forward_common_api!($backend, $bindings);

        // SAFETY: the constants are those of this Lua's headers and manual.
        unsafe impl $crate::LuaBackend for $backend { $($items)* }
    };
}

/// How a state is made.
#[macro_export]
macro_rules! new_state {
    ($bindings:ident, plain) => {
        unsafe fn new_state(host: &$crate::NewState<'_>) -> *mut lua_State {
            // SAFETY: the allocator outlives the state.
            unsafe { $bindings::lua_newstate(host.allocator, host.allocator_data) }
        }
    };
    // A build without GC64 (not the default of 2.1) takes only its own allocator.
    ($bindings:ident, or_own) => {
        unsafe fn new_state(host: &$crate::NewState<'_>) -> *mut lua_State {
            // SAFETY: the allocator outlives the state.
            unsafe {
                let state = $bindings::lua_newstate(host.allocator, host.allocator_data);
                if state.is_null() { $bindings::luaL_newstate() } else { state }
            }
        }
    };
    ($bindings:ident, own) => {
        unsafe fn new_state(_host: &$crate::NewState<'_>) -> *mut lua_State {
            // SAFETY: no precondition.
            unsafe { $bindings::luaL_newstate() }
        }
    };
    ($bindings:ident, warning($host:ident, $($seed:expr)?)) => {
        unsafe fn new_state($host: &$crate::NewState<'_>) -> *mut lua_State {
            // SAFETY: the allocator and the data of the warnings outlive the state.
            unsafe {
                let state =
                    $bindings::lua_newstate($host.allocator, $host.allocator_data $(, $seed)?);
                if !state.is_null() {
                    let data = (&raw const *$host.warnings).cast_mut().cast();
                    $bindings::lua_setwarnf(state, Some($crate::warn), data);
                }
                state
            }
        }
    };
}

/// Loading in 5.1 and in LuaJIT.
#[macro_export]
macro_rules! classic_load {
    ($bindings:ident, without_mode) => {
        unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, _mode: Option<&CStr>) -> c_int {
            let start = code.as_ptr().cast();
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::luaL_loadbuffer(l, start, code.len(), name.as_ptr()) }
        }
    };
    ($bindings:ident, with_mode) => {
        unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int {
            let mode = mode.map_or(core::ptr::null(), CStr::as_ptr);
            let start = code.as_ptr().cast();
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::luaL_loadbufferx(l, start, code.len(), name.as_ptr(), mode) }
        }
    };
}

/// Opening all libraries, from 5.2 on.
#[macro_export]
macro_rules! later_libraries {
    ($bindings:ident, $function:ident($($argument:expr),*)) => {
        unsafe fn open_libs(l: *mut lua_State) {
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::$function(l $(, $argument)*) };
        }
    };
}

/// Method bodies that 5.2 and 5.3 share.
#[macro_export]
macro_rules! middle_methods {
    ($bindings:ident) => {
        $crate::methods_before_54!($bindings);
        $crate::later_libraries!($bindings, luaL_openlibs());

        unsafe fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int) {
            // SAFETY: the caller keeps the manual's rules. Its results are all values on its stack.
            unsafe {
                let status = $bindings::lua_resume(co, from, nargs);
                (status, $bindings::lua_gettop(co))
            }
        }
    };
}

/// 5.4 and later.
#[macro_export]
macro_rules! latest_methods {
    ($bindings:ident) => {
        unsafe fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int) {
            let mut results = 0;
            // SAFETY: the caller keeps the manual's rules.
            let status = unsafe { $bindings::lua_resume(co, from, nargs, &mut results) };
            (status, results)
        }

        $crate::forward_to! { $bindings;
            gc(what: $crate::Gc) -> c_int = lua_gc(what as c_int);
        }

        #[inline(always)]
        unsafe fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void {
            // SAFETY: the caller keeps the manual's rules.
            unsafe { $bindings::lua_newuserdatauv(l, size, 0) }
        }
    };
}
