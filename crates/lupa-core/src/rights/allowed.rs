//! [`Rights`]: what a host allows Lua code to do with an object; and `exposed`, which marks classes.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use crate::rights::routine::is_routine;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::base::imported::is_function;
use crate::base::vectors;

/// The attribute in which `exposed` leaves its mark: of functions their `id()`, else None, and the
/// keyword arguments. The modules of all Luas know each other's.
const MARK: &std::ffi::CStr = c"__lupa_exposed__";

/// The rights of Lua code on an object.
#[derive(Debug, Default)]
pub(crate) struct Rights {
    /// The attributes that can be read. An object that is read so has rights of its own; but a method of the object's class
    /// under such a name can be called.
    pub(crate) attributes: HashSet<String>,
    /// The attributes that can be set.
    pub(crate) writable: HashSet<String>,
    pub(crate) call: bool,
    pub(crate) items: bool,
    pub(crate) writable_items: bool,
    pub(crate) iterate: bool,
    /// `tostring` gives what `str()` does.
    pub(crate) text: bool,
    /// Of a class: it itself can be called. All else is about its instances.
    pub(crate) construct: bool,
}

impl Rights {
    /// The rights that the keyword arguments of `expose` give on an object. For a function, no arguments mean `call=True`.
    pub(crate) fn parse(
        object: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let mut rights = Rights::default();
        let Some(options) = options.filter(|options| !options.is_empty()) else {
            if !is_routine(object) {
                return Err(fallible::error::<PyTypeError>(
                    "say what Lua code may do with this object, as in attributes=['name']; \
                     only functions have a default, call=True",
                ));
            }
            rights.call = true;
            return Ok(rights);
        };
        for (name, value) in options.iter() {
            let flag = match name.cast::<PyString>()?.to_str()? {
                "attributes" => {
                    rights.attributes = names("attributes", &value)?;
                    continue;
                }
                "writable" => {
                    rights.writable = names("writable", &value)?;
                    continue;
                }
                "call" => &mut rights.call,
                "items" => &mut rights.items,
                "writable_items" => &mut rights.writable_items,
                "iterate" => &mut rights.iterate,
                "text" => &mut rights.text,
                "construct" => &mut rights.construct,
                name => {
                    let message = format!("'{name}' is not an option of expose()");
                    return Err(fallible::error::<PyTypeError>(message));
                }
            };
            *flag = value.is_truthy()?;
        }
        if rights.construct && !object.is_instance_of::<PyType>() {
            return Err(fallible::error::<PyTypeError>("construct=True is for classes"));
        }
        Ok(rights)
    }

    /// The rights that [`exposed`] has given to a class or a function.
    pub(crate) fn of_mark(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = object.py();
        // Not by an attribute of the object: a subclass would inherit the mark.
        let own = own_dict(object)?;
        let mark = own.method1(c"get", (fallible::name(py, MARK)?,))?;
        let Ok((id, options)) = mark.extract::<(Option<usize>, Bound<'_, PyDict>)>() else {
            return Ok(None);
        };
        // `functools.wraps` copies it to other functions, which nobody has marked.
        if id.is_some_and(|id| id != object.as_ptr() as usize) {
            return Ok(None);
        }
        Rights::parse(object, Some(&options)).map(Some)
    }

    /// As keyword arguments again.
    fn to_options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let options = fallible::dict(py)?;
        for (name, names) in [("attributes", &self.attributes), ("writable", &self.writable)] {
            let mut list = vectors::with_room(names.len())?;
            for name in names {
                list.push(fallible::string(py, name)?.into_any());
            }
            options.set_item(fallible::string(py, name)?, fallible::tuple(py, list)?)?;
        }
        let flags = [
            ("call", self.call),
            ("items", self.items),
            ("writable_items", self.writable_items),
            ("iterate", self.iterate),
            ("text", self.text),
            ("construct", self.construct),
        ];
        for (name, flag) in flags {
            options.set_item(fallible::string(py, name)?, flag)?;
        }
        Ok(options)
    }
}

/// The `__dict__` of a class or a function. That of a class is read by the descriptor of `type`, since a metaclass of somebody's own
/// could run code where an attribute is read.
fn own_dict<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if !object.is_instance_of::<PyType>() {
        return object.attribute(c"__dict__");
    }
    let py = object.py();
    let of_types = py.get_type::<PyType>().as_any().attribute(c"__dict__")?;
    let descriptor = of_types.method1(c"get", (fallible::name(py, c"__dict__")?,))?;
    descriptor.method1(c"__get__", (object,))
}

/// A list of attribute names. Python's own, `__class__` and the like, lead anywhere and are refused.
fn names(parameter: &str, value: &Bound<'_, PyAny>) -> PyResult<HashSet<String>> {
    if value.is_instance_of::<PyString>() {
        let message = format!("{parameter} must be a list of names, not a string");
        return Err(fallible::error::<PyTypeError>(message));
    }
    let mut names = HashSet::new();
    for name in value.try_iter()? {
        let name: String = name?.extract()?;
        if name.starts_with("__") && name.ends_with("__") {
            let message = format!("{parameter}: {name} is Python's own, and cannot be exposed");
            return Err(fallible::error::<PyValueError>(message));
        }
        names.insert(name);
    }
    Ok(names)
}

/// Mark a class, or a function, as exposed to every sandbox.
///
/// The keyword arguments are those of ``LuaRuntime.expose()``. With them alone it is a decorator:
///
/// >>> @exposed(attributes=['name', 'greet'])
/// ... class Person:
/// ...     def __init__(self, name): self.name, self.secret = name, 'secret'
/// ...     def greet(self): return f'I am {self.name}'
/// >>> lua = LuaRuntime(sandbox=True)
/// >>> lua.eval('(...):greet()', Person('Ann'))
/// 'I am Ann'
/// >>> try:
/// ...     lua.eval('(...).secret', Person('Ann'))
/// ... except LuaSandboxError as error:
/// ...     print(str(error).partition(':')[0])
/// Lua code may not read 'secret' of this 'Person'
#[pyfunction]
#[pyo3(pass_module, signature = (obj=None, /, **rights))]
pub(crate) fn exposed<'py>(
    module: &Bound<'py, PyModule>,
    obj: Option<Bound<'py, PyAny>>,
    rights: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(obj) = obj else {
        return partial(&module.attribute(c"exposed")?, rights);
    };
    let id = if is_function(&obj) {
        Some(obj.as_ptr() as usize)
    } else if obj.is_instance_of::<PyType>() {
        None
    } else {
        let message = "exposed() marks classes and Python functions; lua.expose() takes any object";
        return Err(fallible::error::<PyTypeError>(message));
    };
    let options = Rights::parse(&obj, rights)?.to_options(module.py())?;
    let py = module.py();
    let id = match id {
        Some(address) => fallible::unsigned(py, address)?,
        None => py.None().into_bound(py),
    };
    let mark = fallible::tuple(py, [id, options.into_any()])?;
    obj.set_attribute(MARK, mark)?;
    Ok(obj)
}

/// A function that waits for the object to expose: a decorator.
pub(crate) fn partial<'py>(
    function: &Bound<'py, PyAny>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let functools = fallible::import(py, c"functools")?;
    functools.attribute(c"partial")?.call((function,), options)
}
