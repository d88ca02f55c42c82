//! The Python module `lupa.lua51`: Lua 5.1.

mod bindings;

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Library, LuaBackend, NewState, Opening};
use pyo3::prelude::*;

/// Lua 5.1.
#[derive(Clone, Copy)]
struct Lua51;

lua_api::forward_common_api!(Lua51, bindings);

// SAFETY: the constants are those of this Lua's headers and manual.
unsafe impl LuaBackend for Lua51 {
    const NAME: &'static str = "lua51";
    const VERSION: (u8, u8) = (5, 1);
    const REGISTRY_INDEX: c_int = bindings::LUA_REGISTRYINDEX;
    const HAS_INTEGERS: bool = false;
    const INTEGER_RANGE: (i64, i64) =
        (bindings::lua_Integer::MIN as i64, bindings::lua_Integer::MAX as i64);
    const TABLE_HAS_LEN: bool = false;
    const HAS_FFI: bool = false;
    const TRACEBACK_NAMES_KIND: bool = false;
    const TRACEBACK_FOR_NIL: bool = false;
    const COLLECTS_WHEN_FULL: bool = false;
    const CHECKSTACK_RAISES: bool = true;
    const LOAD_RAISES: bool = false;
    const LOAD_HAS_MODE: bool = false;
    const LIBRARIES: &'static [Library] = &[
        Library::new("base", c"", Some(bindings::luaopen_base)),
        Library { name: "coroutine", opening: Opening::Part, needs: &[] },
        Library::new("package", c"package", Some(bindings::luaopen_package)),
        Library::new("table", c"table", Some(bindings::luaopen_table)),
        Library::new("io", c"io", Some(bindings::luaopen_io)),
        Library::new("os", c"os", Some(bindings::luaopen_os)),
        Library::new("string", c"string", Some(bindings::luaopen_string)),
        Library::new("math", c"math", Some(bindings::luaopen_math)),
        Library::new("debug", c"debug", Some(bindings::luaopen_debug)),
    ];

    lua_api::classic_methods!(bindings);
    lua_api::hooks!(bindings, puc);

    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State {
        // SAFETY: the allocator outlives the state.
        unsafe { bindings::lua_newstate(host.allocator, host.allocator_data) }
    }

    unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, _mode: Option<&CStr>) -> c_int {
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::luaL_loadbuffer(l, code.as_ptr().cast(), code.len(), name.as_ptr()) }
    }
}

/// Lua 5.1 inside Python.
#[pymodule(name = "lua51")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua51>(module)
}
