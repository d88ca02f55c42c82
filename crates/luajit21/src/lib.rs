//! The Python module `lupa.luajit21`: LuaJIT 2.1.

mod bindings;

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Library, LuaBackend, NewState, Opening};
use pyo3::prelude::*;

/// LuaJIT 2.1.
#[derive(Clone, Copy)]
struct LuaJit21;

lua_api::forward_common_api!(LuaJit21, bindings);

// SAFETY: the constants are those of this Lua's headers and manual.
unsafe impl LuaBackend for LuaJit21 {
    const NAME: &'static str = "luajit21";
    const VERSION: (u8, u8) = (5, 1);
    const REGISTRY_INDEX: c_int = bindings::LUA_REGISTRYINDEX;
    const HAS_INTEGERS: bool = false;
    const INTEGER_RANGE: (i64, i64) =
        (bindings::lua_Integer::MIN as i64, bindings::lua_Integer::MAX as i64);
    const TABLE_HAS_LEN: bool = false;
    const HAS_FFI: bool = true;
    const TRACEBACK_NAMES_KIND: bool = false;
    const TRACEBACK_FOR_NIL: bool = false;
    const COLLECTS_WHEN_FULL: bool = false;
    const CHECKSTACK_RAISES: bool = false;
    const LOAD_RAISES: bool = true;
    const LOAD_HAS_MODE: bool = true;
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
        Library::new("bit", c"bit", Some(bindings::luaopen_bit)),
        Library {
            name: "jit",
            opening: Opening::Always(c"jit", Some(bindings::luaopen_jit)),
            needs: &[],
        },
        Library {
            name: "ffi",
            opening: Opening::Preload(c"ffi", Some(bindings::luaopen_ffi)),
            needs: &["base", "package", "string"],
        },
        Library { name: "string.buffer", opening: Opening::Part, needs: &["package", "string"] },
    ];

    lua_api::classic_methods!(bindings);
    lua_api::hooks!(bindings, luajit);

    unsafe fn new_state(host: &NewState<'_>) -> *mut lua_State {
        // SAFETY: the allocator outlives the state. A build without GC64 (not the default of 2.1) takes
        // only its own.
        unsafe {
            let state = bindings::lua_newstate(host.allocator, host.allocator_data);
            if state.is_null() { bindings::luaL_newstate() } else { state }
        }
    }

    unsafe fn load(l: *mut lua_State, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int {
        let mode = mode.map_or(core::ptr::null(), CStr::as_ptr);
        let start = code.as_ptr().cast();
        // SAFETY: the caller keeps the manual's rules.
        unsafe { bindings::luaL_loadbufferx(l, start, code.len(), name.as_ptr(), mode) }
    }
}

/// LuaJIT 2.1 inside Python.
#[pymodule(name = "luajit21")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<LuaJit21>(module)
}
