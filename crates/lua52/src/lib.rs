//! The Python module `lupa.lua52`: Lua 5.2.

mod bindings;

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Gc, Library, LuaBackend, NewState};
use pyo3::prelude::*;

/// Lua 5.2.
#[derive(Clone, Copy)]
struct Lua52;

lua_api::forward_common_api!(Lua52, bindings);

// SAFETY: the constants are those of this Lua's headers and manual.
unsafe impl LuaBackend for Lua52 {
    const NAME: &'static str = "lua52";
    const VERSION: (u8, u8) = (5, 2);
    const REGISTRY_INDEX: c_int = bindings::LUA_REGISTRYINDEX;
    const HAS_INTEGERS: bool = false;
    const INTEGER_RANGE: (i64, i64) =
        (bindings::lua_Integer::MIN as i64, bindings::lua_Integer::MAX as i64);
    const TABLE_HAS_LEN: bool = true;
    const HAS_FFI: bool = false;
    const TRACEBACK_NAMES_KIND: bool = false;
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
        Library::new("bit32", c"bit32", Some(bindings::luaopen_bit32)),
        Library::new("math", c"math", Some(bindings::luaopen_math)),
        Library::new("debug", c"debug", Some(bindings::luaopen_debug)),
    ];

    lua_api::later_methods!(bindings);
    lua_api::hooks!(bindings, puc);
    lua_api::untyped_get_methods!(bindings);

    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State {
        // SAFETY: the allocator outlives the state.
        unsafe { bindings::lua_newstate(host.allocator, host.allocator_data) }
    }

    #[inline(always)]
    unsafe fn to_integer(_l: *mut lua_State, _index: c_int) -> Option<i64> {
        None
    }

    #[inline(always)]
    unsafe fn insert(l: *mut lua_State, index: c_int) {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::lua_insert(l, index) };
    }

    #[inline(always)]
    unsafe fn remove(l: *mut lua_State, index: c_int) {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::lua_remove(l, index) };
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

/// Lua 5.2 inside Python.
#[pymodule(name = "lua52")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua52>(module)
}
