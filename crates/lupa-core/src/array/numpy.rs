//! Arrays from Python objects; what NumPy's own objects become. NumPy is imported only where
//! nothing but NumPy can do it.
#![forbid(unsafe_code)]

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use lua_api::LuaBackend;

use super::buffer::Export;
use super::memory::{Elements, Owned};
use super::object::create;
use super::userdata;
use crate::base::attribute::Attributes as _;
use crate::base::error::Result;
use crate::base::fallible;
use crate::runtime::arrays::Arriving;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// Classes of NumPy.
struct Classes {
    array: Py<PyType>,
    scalar: Py<PyType>,
    boolean: Py<PyType>,
    integer: Py<PyType>,
    floating: Py<PyType>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

/// NumPy's classes, if it has been imported: else no object can be of them.
fn classes(py: Python<'_>) -> Option<&'static Classes> {
    if let Some(classes) = CLASSES.get(py) {
        return Some(classes);
    }
    let numpy = imported(py, "numpy")?;
    let class = |name: &str| {
        numpy
            .attribute(fallible::string(py, name).ok()?)
            .ok()?
            .cast_into::<PyType>()
            .ok()
            .map(Bound::unbind)
    };
    // While it is being imported, some may be missing.
    let found = Classes {
        array: class("ndarray")?,
        scalar: class("generic")?,
        boolean: class("bool_")?,
        integer: class("integer")?,
        floating: class("floating")?,
    };
    let _ = CLASSES.set(py, found);
    CLASSES.get(py)
}

/// A module that somebody has imported.
fn imported<'py>(py: Python<'py>, name: &str) -> Option<Bound<'py, PyAny>> {
    let modules = fallible::modules(py);
    modules.get_item(fallible::string(py, name).ok()?).ok().filter(|module| !module.is_none())
}

/// With `convert_arrays`: NumPy's arrays are arrays in Lua, and its scalars are numbers and
/// booleans.
pub(super) fn prepare<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
) -> Result<Option<Arriving<'py>>> {
    let py = entry.py;
    let Some(classes) = classes(py) else { return Ok(None) };
    if object.is_instance(classes.array.bind(py))? {
        let array = array(object)?;
        userdata::ensure(entry)?;
        return Ok(Some(Arriving::Array(array)));
    }
    if object.is_instance(classes.scalar.bind(py))? {
        return scalar(object, classes);
    }
    Ok(None)
}

/// A number or a boolean of NumPy; others, as dates and complex numbers, stay objects, and so do
/// floats of more precision than Lua's.
fn scalar<'py>(object: &Bound<'py, PyAny>, classes: &Classes) -> Result<Option<Arriving<'py>>> {
    let py = object.py();
    if object.is_instance(classes.boolean.bind(py))? {
        return Ok(Some(Arriving::Bool(object.is_truthy()?)));
    }
    if object.is_instance(classes.integer.bind(py))? {
        return Ok(Some(Arriving::Integer(fallible::index(object)?)));
    }
    if object.is_instance(classes.floating.bind(py))?
        && object.attribute(c"itemsize")?.extract::<usize>()? <= size_of::<f64>()
    {
        return Ok(Some(Arriving::Float(object.extract()?)));
    }
    Ok(None)
}

/// The array over an object's memory.
///
/// # Errors
/// `TypeError` for what has no memory to share, or of elements that no array can have.
pub(super) fn array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    if Elements::of(Alive::of(object)).is_some() {
        return Ok(object.clone());
    }
    refuse_masked(object)?;
    let export = if fallible::has_buffer(object) {
        Export::of(object).map_err(|error| explain(object, error))?
    } else {
        Export::of(&through_numpy(object)?)?
    };
    create(py, Owned::exported(export, object)?)
}

/// Why an object that has the buffer protocol gives no buffer.
fn explain(object: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = object.py();
    let numpys = classes(py)
        .is_some_and(|classes| object.is_instance(classes.array.bind(py)).unwrap_or(false));
    if !numpys || !error.is_instance_of::<pyo3::exceptions::PyValueError>(py) {
        return error;
    }
    // NumPy, of a dtype that has no format: dates, and others.
    let dtype = fallible::name(py, c"dtype").and_then(|name| object.attribute(name));
    let dtype = dtype.map(|dtype| dtype.to_string()).unwrap_or_default();
    let explained = fallible::error::<PyTypeError>(format!(
        "a Lua array cannot hold elements of the dtype {dtype}; pass the object itself, with \
         as_itemgetter(obj) or as_attrgetter(obj)"
    ));
    explained.set_cause(py, Some(error));
    explained
}

/// An array whose memory is not all of it.
fn refuse_masked(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = object.py();
    let Some(classes) = classes(py) else { return Ok(()) };
    if object.get_type().is(classes.array.bind(py))
        || !object.is_instance(classes.array.bind(py))?
    {
        return Ok(());
    }
    let Some(masked) = imported(py, "numpy.ma") else { return Ok(()) };
    if object.is_instance(&masked.attribute(c"MaskedArray")?)? {
        let message = "a Lua array cannot hold a mask; pass array.filled() or array.data";
        return Err(fallible::error::<PyTypeError>(message));
    }
    Ok(())
}

/// NumPy's array over the memory of an object that has another protocol for that.
fn through_numpy<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = object.py();
    let has = |name| object.has_attribute(name);
    let described = has(c"__array_interface__")? || has(c"__array_struct__")?;
    if !described && !has(c"__dlpack__")? {
        let kind = object.get_type().name()?;
        return Err(fallible::error::<PyTypeError>(format!(
            "'{kind}' object cannot be a Lua array: it has neither the buffer protocol nor \
             __array_interface__ nor __dlpack__"
        )));
    }
    let numpy = fallible::import(py, c"numpy").map_err(|error| {
        let message = "numpy is needed for an object with __array_interface__ or __dlpack__ \
                       (pip install lupa[numpy])";
        let explained = fallible::error::<PyImportError>(message);
        explained.set_cause(py, Some(error));
        explained
    })?;
    let convert = if described { c"asarray" } else { c"from_dlpack" };
    numpy.method1(convert, (object,))
}

/// The memory of an object for Lua: where it is passed to Lua, it arrives as an array that shares
/// the memory.
///
/// This takes anything with the buffer protocol, as NumPy's arrays, ``array.array``, ``bytearray``
/// and ``memoryview``; and, through NumPy, what has ``__array_interface__`` or ``__dlpack__``.
///
/// >>> numbers = bytearray([1, 2, 3])
/// >>> lua = LuaRuntime()
/// >>> lua.execute('local a = ...; a[1] = a[2] + a[3]', as_array(numbers))
/// >>> numbers[0]
/// 5
#[pyfunction]
pub(crate) fn as_array<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    array(obj)
}
