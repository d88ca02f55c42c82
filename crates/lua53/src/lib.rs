//! The Python module `lupa.lua53`: Lua 5.3.

mod bindings;

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Gc, Library, LuaBackend, NewState};
use pyo3::prelude::*;

/// Lua 5.3.
#[derive(Clone, Copy)]
struct Lua53;

lua_api::forward_common_api!(Lua53, bindings);

// SAFETY: the constants are those of this Lua's headers and manual.
unsafe impl LuaBackend for Lua53 {
    const NAME: &'static str = "lua53";
    const VERSION: (u8, u8) = (5, 3);
    const REGISTRY_INDEX: c_int = bindings::LUA_REGISTRYINDEX;
    const HAS_INTEGERS: bool = true;
    const INTEGER_RANGE: (i64, i64) = (bindings::lua_Integer::MIN, bindings::lua_Integer::MAX);
    const TABLE_HAS_LEN: bool = true;
    const HAS_FFI: bool = false;
    const TRACEBACK_NAMES_KIND: bool = true;
    const TRACEBACK_FOR_NIL: bool = true;
    const COLLECTS_WHEN_FULL: bool = true;
    const CHECKSTACK_RAISES: bool = false;
    const LOAD_RAISES: bool = false;
    const LOAD_HAS_MODE: bool = true;
    const LIBRARIES: &'static [Library] = &[
        Library::new("base", c"_G", Some(bindings::luaopen_base)),
        Library::new("package", c"package", Some(bindings::luaopen_package)),
        Library::new("coroutine", c"coroutine", Some(bindings::luaopen_coroutine)),
        Library::new("table", c"table", Some(bindings::luaopen_table)),
        Library::new("io", c"io", Some(bindings::luaopen_io)),
        Library::new("os", c"os", Some(bindings::luaopen_os)),
        Library::new("string", c"string", Some(bindings::luaopen_string)),
        Library::new("math", c"math", Some(bindings::luaopen_math)),
        Library::new("utf8", c"utf8", Some(bindings::luaopen_utf8)),
        Library::new("debug", c"debug", Some(bindings::luaopen_debug)),
    ];

    lua_api::modern_methods!(bindings);
    lua_api::hooks!(bindings, puc);

    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State {
        // SAFETY: the allocator outlives the state.
        unsafe { bindings::lua_newstate(host.allocator, host.allocator_data) }
    }

    unsafe fn open_libs(l: *mut lua_State) {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::luaL_openlibs(l) };
    }

    unsafe fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int) {
        // SAFETY: the caller keeps the manual's rules. What it gives is all that is on its stack.
        unsafe {
            let status = bindings::lua_resume(co, from, nargs);
            (status, bindings::lua_gettop(co))
        }
    }

    #[inline(always)]
    unsafe fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::lua_newuserdata(l, size) }
    }

    unsafe fn gc(l: *mut lua_State, what: Gc) -> c_int {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::lua_gc(l, what as c_int, 0) }
    }
}

/// Lua 5.3 inside Python.
#[pymodule(name = "lua53")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua53>(module)
}
