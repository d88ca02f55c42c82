//! The Python module `lupa.luajit20`: LuaJIT 2.0.
#![forbid(unsafe_code)]

use core::ffi::{CStr, c_char, c_int, c_void};

use lua_api::bindings::luajit20 as bindings;
use lua_api::raw::{lua_CFunction, lua_State};
use lua_api::{Library, Opening};
use pyo3::prelude::*;

/// LuaJIT 2.0.
#[derive(Clone, Copy)]
struct LuaJit20;

lua_api::backend! {
    LuaJit20 by bindings;

    const NAME: &'static str = "luajit20";
    const VERSION: (u8, u8) = (5, 1);
    const INSTALLED: bool = !cfg!(lupa_bundled);
    const JIT_VERSION: Option<(u8, u8)> = Some((2, 0));
    const REGISTRY_INDEX: c_int = bindings::LUA_REGISTRYINDEX;
    const HAS_INTEGERS: bool = false;
    const INTEGER_RANGE: (i64, i64) =
        (bindings::lua_Integer::MIN as i64, bindings::lua_Integer::MAX as i64);
    const TABLE_HAS_LEN: bool = false;
    const HAS_FFI: bool = true;
    const TRACEBACK_NAMES_KIND: bool = false;
    const TRACEBACK_FOR_NIL: bool = false;
    const COLLECTS_WHEN_FULL: bool = false;
    const CHECKSTACK_RAISES: bool = true;
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
    ];

    lua_api::classic_methods!(bindings);
    lua_api::hooks!(bindings, luajit);
    lua_api::new_state!(bindings, own);
    lua_api::classic_load!(bindings, with_mode);
}

/// LuaJIT 2.0 inside Python.
#[pymodule(name = "luajit20")]
fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    lupa_core::init::<LuaJit20>(module)
}
