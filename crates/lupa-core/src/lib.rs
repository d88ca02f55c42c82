//! Python over any Lua backend: [`init`] fills the module of one version.
//!
//! Files are in rooms, low to high, each of which uses those below it and none above (`cargo xtask tidy` checks that):
//! `base`, `types`, `rights`, `runtime`, `convert`, `calls`, `array`, `objects`, `python_lib`, `classes`. The `mod.rs` of
//! a room says what lives there, and where to begin.
//!
//! How it hangs together: a [`runtime::runtime::Runtime`] owns a Lua and is owned by a hidden Python object,
//! which `LuaRuntime` and all wrappers keep alive. Work begins with [`runtime::runtime::Runtime::enter`],
//! which takes the lock. Python objects are turned into plain values first ([`convert::to_lua::prepare`],
//! runs Python code) and pushed then ([`convert::to_lua::push`], runs none). Calls from Lua come in through
//! [`calls::callback::outer`].
//!
//! No version of Lua is named here: what differs is a constant of [`lua_api::LuaBackend`].

#[cfg(panic = "abort")]
compile_error!("lupa needs panic = \"unwind\": LuaJIT raises errors by unwinding");

mod array;
mod base;
mod calls;
mod classes;
mod convert;
mod objects;
mod python_lib;
mod rights;
mod runtime;
mod types;

use std::sync::atomic::{AtomicI64, Ordering};

use lua_api::LuaBackend;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use crate::base::attribute::Attributes as _;

/// The names that `from lupa.lua54 import *` gives.
const ALL: [&str; 36] = [
    "LUA_VERSION",
    "LUA_MAXINTEGER",
    "LUA_MININTEGER",
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaStopIterationError",
    "LuaMemoryError",
    "LuaSandboxError",
    "LuaTimeoutError",
    "LuaInstructionLimitError",
    "LuaInterruptedError",
    "LuaObject",
    "LuaTable",
    "LuaFunction",
    "LuaCoroutineFunction",
    "LuaCoroutine",
    "LuaIterator",
    "LuaArray",
    "as_itemgetter",
    "as_attrgetter",
    "array_mt",
    "as_array",
    "as_mapping",
    "as_sequence",
    "call_method",
    "exposed",
    "getmetatable",
    "lua_type",
    "rawget",
    "rawlen",
    "rawset",
    "setmetatable",
    "to_python",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
];

/// Fills the module of a backend.
///
/// # Errors
/// `ImportError` in a second interpreter of the process: types are shared between all of them; and
/// where an installed Lua is not the one that this was built for.
pub fn init<B: LuaBackend>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    only_one_interpreter(py, B::NAME)?;
    lua_api::check_installed::<B>().map_err(base::fallible::error::<PyImportError>)?;
    let package_name = format!("lupa.{}", B::NAME);
    module.set_attribute(c"__name__", base::fallible::string(py, &package_name)?)?;
    module.set_attribute(c"__doc__", base::fallible::string(py, &module_doc::<B>())?)?;
    types::compat::check(py)?;
    classes::engine_of::init::<B>();
    #[cfg(unix)]
    lua_api::dl::register(B::lua_pushnil_address());
    base::error::init(module)?;
    base::gil::init();
    runtime::greenlets::init(py)?;
    runtime::stop::scope::init(py)?;
    runtime::stop::monitor::init(py)?;
    runtime::waiting::init(py)?;
    objects::wrapper_types::init::<B>(module)?;
    module.add("LUA_VERSION", B::VERSION)?;
    module.add("_INSTALLED_LUA", B::INSTALLED)?;
    module.add("LUA_MININTEGER", B::INTEGER_RANGE.0)?;
    module.add("LUA_MAXINTEGER", B::INTEGER_RANGE.1)?;
    module.add_class::<classes::lua_runtime::LuaRuntime>()?;
    module.add_class::<classes::fast_rlock::FastRLock>()?;
    for class in [
        py.get_type::<classes::lua_runtime::LuaRuntime>(),
        py.get_type::<classes::nogc::LuaNoGc>(),
        py.get_type::<classes::lua_limits::LuaLimits>(),
        py.get_type::<classes::fast_rlock::FastRLock>(),
        py.get_type::<classes::raw::ArrayMark>(),
        py.get_type::<convert::protocol::ProtocolWrapper>(),
        py.get_type::<convert::arguments::PyArguments>(),
        py.get_type::<runtime::cursor::Cursor>(),
        py.get_type::<rights::restrict::Restricted>(),
    ] {
        class.set_attribute(c"__module__", base::fallible::string(py, &package_name)?)?;
    }
    module.add_function(wrap_pyfunction!(convert::protocol::as_attrgetter, module)?)?;
    module.add_function(wrap_pyfunction!(convert::protocol::as_itemgetter, module)?)?;
    module.add_function(wrap_pyfunction!(array::as_array, module)?)?;
    module.add_function(wrap_pyfunction!(classes::lua_type::lua_type, module)?)?;
    module.add_function(wrap_pyfunction!(classes::data::to_python, module)?)?;
    module.add_function(wrap_pyfunction!(rights::allowed::exposed, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::rawget, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::rawset, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::rawlen, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::getmetatable, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::setmetatable, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::call_method, module)?)?;
    module.add_function(wrap_pyfunction!(classes::raw::_copy_table, module)?)?;
    let decorators = base::fallible::import(py, c"lupa._decorators")?;
    for name in ["unpacks_lua_table", "unpacks_lua_table_method"] {
        module.add(name, decorators.attribute(name)?)?;
    }
    module.add_function(wrap_pyfunction!(classes::views::as_mapping, module)?)?;
    module.add_function(wrap_pyfunction!(classes::views::as_sequence, module)?)?;
    module.add("array_mt", Bound::new(py, classes::raw::ArrayMark)?)?;
    module.add_function(wrap_pyfunction!(_promote, module)?)?;
    module.add_function(wrap_pyfunction!(rights::restrict::_verdicts_on_builtins, module)?)?;
    module.add("__all__", ALL)
}

fn module_doc<B: LuaBackend>() -> String {
    let (major, minor) = B::VERSION;
    format!(
        "Lua inside Python: this module is ``lupa.{}``, and its language is Lua {major}.{minor}.\n\n\
         A ``LuaRuntime`` runs code:\n\n\
         >>> lua = LuaRuntime()\n\
         >>> lua.eval('1 + 1')\n\
         2\n\n\
         Tables, functions and coroutines come to Python as objects of the classes ``LuaTable``, ``LuaFunction``\n\
         and ``LuaCoroutine``; errors of Lua are ``LuaError``. All Luas have the same names in their modules, and\n\
         each has classes of its own: an error of one is not a ``LuaError`` of another.",
        B::NAME
    )
}

/// Make the Lua symbols of this module global, as binary Lua modules need them. True if they are;
/// False if those of another Lua are, or the system has no such thing.
#[pyfunction]
fn _promote() -> bool {
    #[cfg(unix)]
    {
        lua_api::dl::promote() == lua_api::dl::Provider::Own
    }
    #[cfg(not(unix))]
    {
        false
    }
}

/// Refuses a second interpreter, which some Pythons would let in.
fn only_one_interpreter(py: Python<'_>, name: &str) -> PyResult<()> {
    static FIRST: AtomicI64 = AtomicI64::new(-1);
    let id = types::compat::interpreter(py);
    match FIRST.compare_exchange(-1, id, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => Ok(()),
        Err(first) if first == id => Ok(()),
        Err(_) => Err(base::fallible::error::<PyImportError>(format!(
            "lupa.{name} can be used in one interpreter of a process only"
        ))),
    }
}
