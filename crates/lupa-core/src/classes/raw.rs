//! `rawget` and its like: what Lua code does with the functions of these names, for Python.
#![forbid(unsafe_code)]

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::classes::engine;
use crate::objects::raw::{Metatable, Raw};

/// ``array_mt``: stands for ``python.array_mt`` of any runtime, the metatable that marks lists.
#[pyclass(name = "ArrayMark", module = "lupa", frozen)]
pub(crate) struct ArrayMark;

#[pymethods]
impl ArrayMark {
    fn __repr__(&self) -> &'static str {
        "lupa.array_mt"
    }

    fn __reduce__(&self) -> &'static str {
        "array_mt"
    }
}

/// Whether an object is the mark of lists, of this module or another one of lupa.
fn is_mark(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    let class = object.get_type();
    Ok(object.is_instance_of::<ArrayMark>()
        || class.attribute(c"__name__")?.eq("ArrayMark")?
            && class.attribute(c"__module__")?.str()?.to_string_lossy().starts_with("lupa."))
}

/// Runs an operation on the value behind a wrapper of this module.
fn run<'py>(object: &Bound<'py, PyAny>, raw: &Raw<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    match engine::get().raw(object, raw)? {
        Some(result) => Ok(result),
        None => {
            let kind = object.get_type().attribute(c"__name__")?;
            let text =
                format!("an object of this module is needed, such as a LuaTable, not {kind}");
            Err(fallible::error::<PyTypeError>(text))
        }
    }
}

/// The field of a table, without its metatable; ``default`` if there is none.
///
/// >>> table = LuaRuntime().execute('return setmetatable({x = 1}, {__index = function() return 7 end})')
/// >>> table.x, table.y, rawget(table, 'x'), rawget(table, 'y')
/// (1, 7, 1, None)
#[pyfunction]
#[pyo3(signature = (table, key, default=None, /))]
pub(crate) fn rawget<'py>(
    table: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    default: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let none = || table.py().None().into_bound(table.py());
    Ok(run(table, &Raw::Get(key))?.or(default).unwrap_or_else(none))
}

/// Set a field of a table, without its metatable; None deletes it.
///
/// >>> table = LuaRuntime().execute('return setmetatable({}, {__newindex = error})')
/// >>> rawset(table, 'x', 1)
/// >>> table.x
/// 1
#[pyfunction]
#[pyo3(signature = (table, key, value, /))]
pub(crate) fn rawset<'py>(
    table: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    run(table, &Raw::Set(key, value)).map(drop)
}

/// The length of a table or of userdata, without its metatable.
///
/// >>> rawlen(LuaRuntime().execute('return setmetatable({1, 2}, {__len = function() return 7 end})'))
/// 2
#[pyfunction]
#[pyo3(signature = (table, /))]
pub(crate) fn rawlen<'py>(table: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    run(table, &Raw::Length)
}

/// The metatable of a Lua value, or None; as ``debug.getmetatable`` gives it, whatever ``__metatable`` says.
///
/// >>> getmetatable(LuaRuntime().execute('return setmetatable({}, {x = 1, __metatable = false})')).x
/// 1
#[pyfunction]
#[pyo3(signature = (object, /))]
pub(crate) fn getmetatable<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    run(object, &Raw::Metatable)
}

/// Give a table a metatable, or with None take it away. ``array_mt`` marks it as a list, for ``to_python()``. Gives the table.
///
/// >>> lua = LuaRuntime()
/// >>> setmetatable(lua.table(), lua.eval('{__index = {x = 1}}')).x
/// 1
/// >>> to_python(setmetatable(lua.table(), array_mt))
/// []
#[pyfunction]
#[pyo3(signature = (table, metatable, /))]
pub(crate) fn setmetatable<'py>(
    table: &Bound<'py, PyAny>,
    metatable: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let metatable =
        if is_mark(metatable)? { Metatable::ArrayMark } else { Metatable::Given(metatable) };
    run(table, &Raw::SetMetatable(metatable))?;
    Ok(table.clone())
}

/// Call a method of a table or of userdata, as ``obj:name(...)`` in Lua: the object is the first argument.
///
/// >>> account = LuaRuntime().execute('return {n = 5, add = function(self, n) self.n = self.n + n return self.n end}')
/// >>> call_method(account, 'add', 2)
/// 7
#[pyfunction]
#[pyo3(signature = (obj, name, /, *args))]
pub(crate) fn call_method<'py>(
    obj: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
) -> PyResult<Bound<'py, PyAny>> {
    let method = obj.get_item(name)?;
    if method.is_none() {
        let text = format!("the Lua object has no method {}", name.repr()?.to_string_lossy());
        return Err(fallible::error::<PyAttributeError>(text));
    }
    let all = fallible::list(obj.py())?;
    all.append(obj)?;
    for argument in args.iter() {
        all.append(argument)?;
    }
    method.call1(all.to_tuple())
}

/// For copies of tables: one with the same fields and metatable.
#[pyfunction]
pub(crate) fn _copy_table<'py>(table: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    run(table, &Raw::Copy)
}
