//! Tells whether an object is a function, or a method of an object, by exact types: these cannot lie and have no
//! subclasses.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyModule, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::imported::{Imported, is_function};

static METHOD: Imported = Imported::new(c"types", c"MethodType");
static DESCRIPTOR: Imported = Imported::new(c"types", c"MethodDescriptorType");
static CLASS_DESCRIPTOR: Imported = Imported::new(c"types", c"ClassMethodDescriptorType");
static STATIC: Imported = Imported::new(c"builtins", c"staticmethod");
static CLASS: Imported = Imported::new(c"builtins", c"classmethod");

/// Whether an object is of this type.
fn is_a(object: &Bound<'_, PyAny>, kind: &'static Imported) -> bool {
    kind.get(object.py()).is_ok_and(|kind| object.get_type().is(&kind))
}

fn is_bound_method(object: &Bound<'_, PyAny>) -> bool {
    is_a(object, &METHOD)
}

/// Whether an object is a function or a bound method, of Python or built in.
pub(crate) fn is_routine(object: &Bound<'_, PyAny>) -> bool {
    is_function(object) || object.is_instance_of::<PyCFunction>() || is_bound_method(object)
}

/// Whether what was read as an attribute is a method of the object's class, or a function of a module.
///
/// Nothing else will do: an attribute of the instance, or a property, may hold a function that Lua code
/// has handed over, and could not call before.
pub(crate) fn is_method_of(
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
    let instance = || value.attribute(c"__self__");
    if is_function(&own) {
        return Ok(is_bound_method(value)
            && function_of(value)?.is(&own)
            && instance()?.is(object));
    }
    if is_a(&own, &STATIC) {
        return Ok(function_of(&own)?.is(value));
    }
    if is_a(&own, &CLASS) {
        return Ok(is_bound_method(value) && function_of(value)?.is(&function_of(&own)?));
    }
    if is_a(&own, &DESCRIPTOR) {
        return Ok(value.is_instance_of::<PyCFunction>() && instance()?.is(object));
    }
    if is_a(&own, &CLASS_DESCRIPTOR) {
        return Ok(value.is_instance_of::<PyCFunction>() && instance()?.is(object.get_type()));
    }
    Ok(false)
}

/// The function of a method.
fn function_of<'py>(method: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    method.attribute(c"__func__")
}

/// The raw attribute of a class, without descriptors.
fn class_attribute<'py>(
    class: &Bound<'py, PyType>,
    name: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    for base in class.mro().iter() {
        let own = base.attribute(c"__dict__")?;
        if own.contains(name)? {
            return own.get_item(name).map(Some);
        }
    }
    Ok(None)
}
