//! The Python module `lupa.lua55`: Lua 5.5.

mod bindings;

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Gc, Library, LuaBackend, NewState};
use pyo3::prelude::*;

/// Lua 5.5.
#[derive(Clone, Copy)]
struct Lua55;

lua_api::forward_common_api!(Lua55, bindings);

// SAFETY: the constants are those of this Lua's headers and manual.
unsafe impl LuaBackend for Lua55 {
    const NAME: &'static str = "lua55";
    const VERSION: (u8, u8) = (5, 5);
    const REGISTRY_INDEX: c_int = -(c_int::MAX / 2 + 1000);
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
        Library::new("debug", c"debug", Some(bindings::luaopen_debug)),
        Library::new("io", c"io", Some(bindings::luaopen_io)),
        Library::new("math", c"math", Some(bindings::luaopen_math)),
        Library::new("os", c"os", Some(bindings::luaopen_os)),
        Library::new("string", c"string", Some(bindings::luaopen_string)),
        Library::new("table", c"table", Some(bindings::luaopen_table)),
        Library::new("utf8", c"utf8", Some(bindings::luaopen_utf8)),
    ];

    lua_api::modern_methods!(bindings);
    lua_api::hooks!(bindings, puc);

    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State {
        // SAFETY: the allocator and the data of the warnings outlive the state.
        unsafe {
            let seed = host.seed.unwrap_or_else(|| bindings::luaL_makeseed(core::ptr::null_mut()));
            let state = bindings::lua_newstate(host.allocator, host.allocator_data, seed);
            if !state.is_null() {
                let data = (&raw const *host.warnings).cast_mut().cast();
                bindings::lua_setwarnf(state, Some(lua_api::warn), data);
            }
            state
        }
    }

    unsafe fn open_libs(l: *mut lua_State) {
        // SAFETY: the caller keeps the manual's rules. All libraries, none only preloaded.
        unsafe { bindings::luaL_openselectedlibs(l, !0, 0) };
    }

    unsafe fn resume(co: *mut lua_State, from: *mut lua_State, nargs: c_int) -> (c_int, c_int) {
        let mut results = 0;
        // SAFETY: the caller keeps the manual's rules.
        let status = unsafe { bindings::lua_resume(co, from, nargs, &mut results) };
        (status, results)
    }

    #[inline(always)]
    unsafe fn new_userdata(l: *mut lua_State, size: usize) -> *mut c_void {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::lua_newuserdatauv(l, size, 0) }
    }

    unsafe fn gc(l: *mut lua_State, what: Gc) -> c_int {
        // SAFETY: the caller keeps the manual's rules; these commands have no further arguments.
        unsafe { bindings::lua_gc(l, what as c_int) }
    }
}

/// Lua 5.5 inside Python.
#[pymodule(name = "lua55")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua55>(module)
}
