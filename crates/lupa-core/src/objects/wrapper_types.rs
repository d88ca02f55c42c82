//! Makes the types of a module, each from what its file says of it, and adds the public ones to the module.
#![forbid(unsafe_code)]

use lua_api::LuaBackend;
use pyo3::prelude::*;

use crate::array::object as array;
use crate::array::object::ArrayObject;
use crate::convert::coroutine::Coroutine;
use crate::convert::wrapper::LuaObject;
use crate::convert::wrapper::{WRAPPERS, WrapperKind};
use crate::objects::coroutine;
use crate::objects::function;
use crate::objects::iterator;
use crate::objects::iterator::TableIterator;
use crate::objects::object::{self};
use crate::objects::table;
use crate::runtime::owner;
use crate::types::heap_type::{Member, Type};

/// Makes the types (once) and adds the public ones to the module.
pub(crate) fn init<B: LuaBackend>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if !WRAPPERS.is_made() {
        let object: Type<LuaObject<B>> = object::spec().make::<B>(py)?;
        let table = table::spec().under(object).make::<B>(py)?;
        let function = function::spec().under(object).make::<B>(py)?;
        let coroutine_function = function::coroutine_spec().under(function).make::<B>(py)?;
        let coroutine = coroutine::spec::<B>().under(object).make::<B>(py)?;
        owner::TYPE.set(owner::spec::<B>().make::<B>(py)?);
        iterator::TYPE.set(iterator::spec::<B>().make::<B>(py)?);
        array::TYPE.set(array::spec().make::<B>(py)?);
        WRAPPERS.set([
            Member::of(object),
            Member::of(table),
            Member::of(function),
            Member::of(coroutine_function),
            Member::of(coroutine),
        ]);
    }
    let wrapper = |kind: WrapperKind| kind.of_backend::<B>().object(py);
    let coroutine: Type<Coroutine<B>> = WRAPPERS.get(WrapperKind::Coroutine as usize);
    // Each has the name that lupa has always given it, and one for annotations and `isinstance`.
    for (name, public, kind) in [
        ("_LuaObject", "LuaObject", wrapper(WrapperKind::Object)),
        ("_LuaTable", "LuaTable", wrapper(WrapperKind::Table)),
        ("_LuaFunction", "LuaFunction", wrapper(WrapperKind::Function)),
        ("_LuaCoroutineFunction", "LuaCoroutineFunction", wrapper(WrapperKind::CoroutineFunction)),
        ("_LuaThread", "LuaCoroutine", coroutine.object(py)),
        ("_LuaIter", "LuaIterator", iterator::TYPE.get::<TableIterator<B>>().object(py)),
        ("_LuaArray", "LuaArray", array::TYPE.get::<ArrayObject>().object(py)),
    ] {
        module.add(name, &kind)?;
        module.add(public, kind)?;
    }
    Ok(())
}
