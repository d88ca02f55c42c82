//! The Python module `lupa.lua53`: Lua 5.3.
#![forbid(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::Library;
use lua_api::bindings::lua53 as bindings;
use lua_api::raw::{lua_CFunction, lua_State};
use pyo3::prelude::*;

/// Lua 5.3.
#[derive(Clone, Copy)]
struct Lua53;

lua_api::backend! {
    Lua53 by bindings;

    const NAME: &'static str = "lua53";
    const VERSION: (u8, u8) = (5, 3);
    const INSTALLED: bool = !cfg!(lupa_bundled);
    const JIT_VERSION: Option<(u8, u8)> = None;
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
    lua_api::middle_methods!(bindings);
    lua_api::new_state!(bindings, plain);
}

/// Lua 5.3 inside Python.
#[pymodule(name = "lua53")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<Lua53>(module)
}
