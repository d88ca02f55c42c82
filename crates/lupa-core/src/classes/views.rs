//! `as_mapping` and `as_sequence`: tables as collections. The classes are in `lupa/_data.py`, which few programs need.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

use crate::base::imported::Imported;

/// A Lua table as a ``MutableMapping``: a view, which has what the table has at any time.
///
/// What is read and written is the raw table, without its metatable.
///
/// >>> table = LuaRuntime().eval('{name = "wolf", legs = 4}')
/// >>> view = as_mapping(table)
/// >>> view['legs'], 'wings' in view, len(view), dict(view) == {'name': 'wolf', 'legs': 4}
/// (4, False, 2, True)
/// >>> view.update(wings=0)
/// >>> table.wings
/// 0
#[pyfunction]
#[pyo3(signature = (table, /))]
pub(crate) fn as_mapping<'py>(table: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: Imported = Imported::new(c"lupa._data", c"LuaMapping");
    CLASS.get(table.py())?.call1((table,))
}

/// A Lua table as a ``MutableSequence``: a view of its items 1 to ``#table``, with indices from 0 on.
///
/// What is read and written is the raw table, without its metatable.
///
/// >>> table = LuaRuntime().eval('{10, 20, 30}')
/// >>> view = as_sequence(table)
/// >>> view[0], view[-1], view[1:], len(view)
/// (10, 30, [20, 30], 3)
/// >>> view.append(40); view.insert(0, 5)
/// >>> list(table.values())
/// [5, 10, 20, 30, 40]
#[pyfunction]
#[pyo3(signature = (table, /))]
pub(crate) fn as_sequence<'py>(table: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: Imported = Imported::new(c"lupa._data", c"LuaSequence");
    CLASS.get(table.py())?.call1((table,))
}
