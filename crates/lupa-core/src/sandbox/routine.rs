//! What is a function, and what is a method of an object: types are asked, which cannot lie, and of
//! which there are no subclasses.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyFunction, PyModule, PyType};

static METHOD: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static DESCRIPTOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CLASS_DESCRIPTOR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static STATIC: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// Whether an object is of a type that Python has under this name.
fn is_a(
    object: &Bound<'_, PyAny>,
    cell: &'static PyOnceLock<Py<PyType>>,
    module: &'static str,
    name: &'static str,
) -> bool {
    cell.import(object.py(), module, name).is_ok_and(|kind| object.get_type().is(kind))
}

fn is_bound_method(object: &Bound<'_, PyAny>) -> bool {
    is_a(object, &METHOD, "types", "MethodType")
}

/// Whether an object is a function or a bound method, of Python or built in.
pub(super) fn is_routine(object: &Bound<'_, PyAny>) -> bool {
    object.is_exact_instance_of::<PyFunction>()
        || object.is_instance_of::<PyCFunction>()
        || is_bound_method(object)
}

/// Whether what was read as an attribute is a method of the object's class, or a function of a module.
///
/// Nothing else will do: an attribute of the instance, or a property, may hold a function that Lua code
/// has handed over, and could not call before.
pub(super) fn is_method_of(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    if !is_routine(value) {
        return Ok(false);
    }
    if object.is_exact_instance_of::<PyModule>() {
        return Ok(true);
    }
    let Some(own) = class_attribute(&object.get_type(), name)? else { return Ok(false) };
    let py = object.py();
    let instance = || value.getattr(intern!(py, "__self__"));
    if own.is_exact_instance_of::<PyFunction>() {
        return Ok(is_bound_method(value)
            && function_of(value)?.is(&own)
            && instance()?.is(object));
    }
    if is_a(&own, &STATIC, "builtins", "staticmethod") {
        return Ok(function_of(&own)?.is(value));
    }
    if is_a(&own, &CLASS, "builtins", "classmethod") {
        return Ok(is_bound_method(value) && function_of(value)?.is(&function_of(&own)?));
    }
    if is_a(&own, &DESCRIPTOR, "types", "MethodDescriptorType") {
        return Ok(value.is_instance_of::<PyCFunction>() && instance()?.is(object));
    }
    if is_a(&own, &CLASS_DESCRIPTOR, "types", "ClassMethodDescriptorType") {
        return Ok(value.is_instance_of::<PyCFunction>() && instance()?.is(object.get_type()));
    }
    Ok(false)
}

/// What a method is made of.
fn function_of<'py>(method: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    method.getattr(intern!(method.py(), "__func__"))
}

/// What a class has under a name, as it is there.
fn class_attribute<'py>(
    class: &Bound<'py, PyType>,
    name: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = class.py();
    for base in class.mro().iter() {
        let own = base.getattr(intern!(py, "__dict__"))?;
        if own.contains(name)? {
            return own.get_item(name).map(Some);
        }
    }
    Ok(None)
}
