//! `lua_type`.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::base::fallible;
use crate::classes::engine;

/// The name of the Lua type of a wrapped Lua object, as Lua's own ``type()`` gives it; None for
/// any other object.
///
/// >>> lua = LuaRuntime()
/// >>> lua_type(lua.eval('{}')), lua_type(lua.eval('print')), lua_type([])
/// ('table', 'function', None)
#[pyfunction]
pub(crate) fn lua_type<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyString>>> {
    let name = engine::get().type_name(obj)?;
    name.map(|name| fallible::string(obj.py(), name)).transpose()
}
