//! The Python module `lupa.lua51`: Lua 5.1.
#![forbid(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::bindings::lua51 as bindings;
use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Library, Opening};
use pyo3::prelude::*;

/// Lua 5.1.
#[derive(Clone, Copy)]
struct Lua51;

lua_api::backend! {
    Lua51 by bindings;

    const NAME: &'static str = "lua51";
    const VERSION: (u8, u8) = (5, 1);
    const INSTALLED: bool = !cfg!(lupa_bundled);
    const JIT_VERSION: Option<(u8, u8)> = None;
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
    lua_api::new_state!(bindings, plain);
    lua_api::classic_load!(bindings, without_mode);
}

/// Lua 5.1 inside Python.
#[pymodule(name = "lua51")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua51>(module)
}
