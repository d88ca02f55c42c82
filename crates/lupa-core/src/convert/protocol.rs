//! `as_attrgetter` and `as_itemgetter`: objects with the protocol by which Lua indexes them.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

use crate::runtime::boxes::View;
use crate::types::alive::Alive;
use crate::types::heap_type::Link;

/// An object with the protocol by which Lua indexes it.
#[pyclass(name = "_PyProtocolWrapper", module = "lupa", frozen)]
pub(crate) struct ProtocolWrapper {
    object: Link,
    view: View,
}

impl ProtocolWrapper {
    /// The object and its view.
    pub(crate) fn parts<'a>(&'a self, py: Python<'a>) -> (Alive<'a>, View) {
        (Alive::held(py, &self.object), self.view)
    }
}

#[pymethods]
impl ProtocolWrapper {
    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&*self.object)
    }
}

/// Wrap an object for Lua so that indexing it reads and writes its attributes.
///
/// >>> lua = LuaRuntime()
/// >>> get = lua.eval('function(obj) return obj.get end')
/// >>> get(as_attrgetter({'get': 'an item'}))('get')
/// 'an item'
#[pyfunction]
pub(crate) fn as_attrgetter(obj: Py<PyAny>) -> ProtocolWrapper {
    ProtocolWrapper { object: obj.into(), view: View::ATTRIBUTES }
}

/// Wrap an object for Lua so that indexing it reads and writes its items.
///
/// >>> lua = LuaRuntime()
/// >>> get = lua.eval('function(obj) return obj.get end')
/// >>> get(as_itemgetter({'get': 'an item'}))
/// 'an item'
#[pyfunction]
pub(crate) fn as_itemgetter(obj: Py<PyAny>) -> ProtocolWrapper {
    ProtocolWrapper { object: obj.into(), view: View::ITEMS }
}
