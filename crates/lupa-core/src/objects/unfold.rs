//! Objects that stand for data, as data: what `to_lua` takes beyond lists and mappings.
//!
//! Each is recognised by its own protocol, and no library is imported for it.
#![forbid(unsafe_code)]

use lua_api::LuaBackend;
use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::error::Result;
use crate::base::fallible;
use crate::base::imported::{Imported, Name};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::compat::optional_attribute;

/// The keyword arguments of `to_lua`.
#[derive(Default)]
pub(crate) struct Unfolding<'py> {
    /// None inside of containers becomes `python.none`.
    pub(crate) none: bool,
    /// What makes data of objects that are not known here.
    pub(crate) default: Option<Bound<'py, PyAny>>,
}

/// How often in a row an object may say that another one is its data.
const MOST_STEPS: usize = 100;

/// The data that an object stands for: the object itself, if it stands for none.
///
/// # Errors
/// What attributes and functions of the object and of the caller raise.
#[inline(never)]
pub(crate) fn unfold<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    unfolding: &Unfolding<'py>,
) -> Result<Bound<'py, PyAny>> {
    let mut object = object.clone();
    for _ in 0..MOST_STEPS {
        match step(entry, &object, unfolding)? {
            Some(next) if !next.is(&object) => object = next,
            _ => return Ok(object),
        }
    }
    let text = "an object of `default` stands for another one, again and again";
    Err(fallible::error::<PyRecursionError>(text).into())
}

static FIELDS: Name = Name::new(c"_fields");
static DATACLASS: Name = Name::new(c"__dataclass_fields__");
static ATTRS: Name = Name::new(c"__attrs_attrs__");
static MODEL: Name = Name::new(c"model_fields");
static DUMP: Name = Name::new(c"model_dump");
static OLD_MODEL: Name = Name::new(c"__fields__");
static FIELDS_SET: Name = Name::new(c"__fields_set__");
static TOLIST: Name = Name::new(c"tolist");
static NUMPY: Name = Name::new(c"__array_interface__");

fn step<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    unfolding: &Unfolding<'py>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    let wrapper = Alive::of(object);
    if wrapper.is_wrapper() {
        let is_own = matches!(wrapper.reference(entry.runtime()), Some(Ok(_)));
        return if is_own || !wrapper.is_table() { Ok(None) } else { from_other(py, object) };
    }
    if object.is_instance(&ENUM.get(py)?)? {
        return Ok(Some(object.attribute(c"value")?));
    }
    let class = object.get_type();
    let has = |name: &Name| optional_attribute(class.as_any(), &name.get(py)?);
    if object.is_instance_of::<PyTuple>() {
        return match has(&FIELDS)? {
            Some(names) => fields(object, &names).map(Some),
            None => Ok(None),
        };
    }
    if object.is_instance_of::<PyType>() {
        return by_default(object, unfolding);
    }
    if let Some(known) = has(&DATACLASS)?
        && known.is_instance_of::<PyDict>()
    {
        let names = fallible::list(py)?;
        let functions = DATACLASS_FIELDS.get(py)?;
        for field in functions.call1((object,))?.try_iter()? {
            names.append(field?.attribute(c"name")?)?;
        }
        return fields(object, names.as_any()).map(Some);
    }
    if let Some(known) = has(&ATTRS)?
        && known.is_instance_of::<PyTuple>()
    {
        let names = fallible::list(py)?;
        for field in known.try_iter()? {
            names.append(field?.attribute(c"name")?)?;
        }
        return fields(object, names.as_any()).map(Some);
    }
    if let Some(known) = has(&MODEL)?
        && known.is_instance_of::<PyDict>()
        && has(&DUMP)?.is_some()
    {
        return fields(object, &known).map(Some);
    }
    if let Some(known) = has(&OLD_MODEL)?
        && known.is_instance_of::<PyDict>()
        && has(&FIELDS_SET)?.is_some()
    {
        return fields(object, &known).map(Some);
    }
    // An array of NumPy's, or a number: where arrays are shared with Lua, they go there as they are.
    if !entry.options.convert_arrays && has(&NUMPY)?.is_some() && has(&TOLIST)?.is_some() {
        return Ok(Some(object.method0(c"tolist")?));
    }
    if is_foreign_table(&class)? {
        return from_other(py, object);
    }
    by_default(object, unfolding)
}

static ENUM: Imported = Imported::new(c"enum", c"Enum");
static DATACLASS_FIELDS: Imported = Imported::new(c"dataclasses", c"fields");

/// The attributes of these names, as a dict.
fn fields<'py>(object: &Bound<'py, PyAny>, names: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
    let data = fallible::dict(object.py())?;
    for name in names.try_iter()? {
        let name = name?;
        data.set_item(&name, fallible::get_attribute(object, &name)?)?;
    }
    Ok(data.into_any())
}

/// What the caller makes of an object; lists and mappings are known anyway.
fn by_default<'py>(
    object: &Bound<'py, PyAny>,
    unfolding: &Unfolding<'py>,
) -> Result<Option<Bound<'py, PyAny>>> {
    match &unfolding.default {
        Some(default) if !crate::objects::nested::becomes_table(object)? => {
            Ok(Some(default.call1((object,))?))
        }
        _ => Ok(None),
    }
}

/// Whether a class is that of tables in another module of lupa.
fn is_foreign_table(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let is_table = class.attribute(c"__name__")?.eq("_LuaTable")?;
    Ok(is_table && class.attribute(c"__module__")?.str()?.to_string_lossy().starts_with("lupa."))
}

/// The data of a table of another runtime.
fn from_other<'py>(
    py: Python<'py>,
    table: &Bound<'py, PyAny>,
) -> Result<Option<Bound<'py, PyAny>>> {
    let name = table.get_type().attribute(c"__module__")?;
    let module = fallible::modules(py).get_item(name)?;
    Ok(Some(module.method1(c"to_python", (table,))?))
}
