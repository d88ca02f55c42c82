//! Makes the types of a module, each from what its file says of it, and adds the public ones to the module.
#![forbid(unsafe_code)]

use lua_api::LuaBackend;
use pyo3::prelude::*;

use crate::array::object as array;
use crate::objects::coroutine;
use crate::objects::function;
use crate::objects::iterator;
use crate::objects::object::{self, LuaObject};
use crate::objects::table;
use crate::runtime::owner;
use crate::types::heap_type::{self, Type, Types, TypesOf};

fn make<B: LuaBackend>(py: Python<'_>) -> PyResult<TypesOf<B>> {
    let object: Type<LuaObject<B>> = object::spec().make::<B>(py)?;
    let function = function::spec().under(object).make::<B>(py)?;
    Ok(Types {
        runtime: owner::spec().make::<B>(py)?,
        object,
        table: table::spec().under(object).make::<B>(py)?,
        function,
        coroutine_function: function::coroutine_spec().under(function).make::<B>(py)?,
        coroutine: coroutine::spec::<B>().under(object).make::<B>(py)?,
        iterator: iterator::spec().make::<B>(py)?,
        array: array::spec().make::<B>(py)?,
    })
}

/// Makes the types (once) and adds the public ones to the module.
pub(crate) fn init<B: LuaBackend>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if !heap_type::are_made() {
        heap_type::set(&make::<B>(py)?);
    }
    let types = heap_type::get::<B>();
    // Each has the name that lupa has always given it, and one for annotations and `isinstance`.
    for (name, public, kind) in [
        ("_LuaObject", "LuaObject", types.object.object(py)),
        ("_LuaTable", "LuaTable", types.table.object(py)),
        ("_LuaFunction", "LuaFunction", types.function.object(py)),
        ("_LuaCoroutineFunction", "LuaCoroutineFunction", types.coroutine_function.object(py)),
        ("_LuaThread", "LuaCoroutine", types.coroutine.object(py)),
        ("_LuaIter", "LuaIterator", types.iterator.object(py)),
        ("_LuaArray", "LuaArray", types.array.object(py)),
    ] {
        module.add(name, &kind)?;
        module.add(public, kind)?;
    }
    Ok(())
}
