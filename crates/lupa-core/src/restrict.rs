//! What keeps Lua code from walking around `attribute_filter` and `attribute_handlers`.
//!
//! Some of Python's own functions reach attributes, or run code. Where access is restricted, Lua code
//! never gets hold of these: whenever one is called from Lua, or goes from Lua to Python (also inside
//! of a table, or to be called by another function), a [`Restricted`] takes its place, which asks the
//! filter or the handlers, or refuses.

use pyo3::exceptions::{PyAttributeError, PyPermissionError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::compat;
use crate::fallible;
use crate::runtime::Options;

/// What a function does that is not left to itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Get,
    Set,
    Delete,
    Has,
    Vars,
    Dir,
    /// `str.format` and `str.format_map`, which know attributes: `'{0.__class__}'`.
    Format,
    /// Runs code, or reaches further than attributes do.
    Code,
    /// Any of these in a sandbox.
    Never,
}

const ACCESS: [(&str, Kind); 6] = [
    ("getattr", Kind::Get),
    ("setattr", Kind::Set),
    ("delattr", Kind::Delete),
    ("hasattr", Kind::Has),
    ("vars", Kind::Vars),
    ("dir", Kind::Dir),
];

const CODE: [&str; 9] =
    ["eval", "exec", "compile", "__import__", "open", "breakpoint", "input", "globals", "locals"];

struct Known {
    function: Py<PyAny>,
    kind: Kind,
    /// What all built-in methods with this code have in common; 0 for others.
    code: usize,
}

/// The functions that are restricted in one runtime. They are Python's own, part of no cycle.
pub(crate) struct Restrictions(Vec<Known>);

impl Restrictions {
    /// Those of a runtime with a filter or handlers. The flags say what was asked for expressly.
    pub(crate) fn new(py: Python<'_>, eval: bool, builtins: bool) -> PyResult<Self> {
        Self::list(py, false, eval, builtins)
    }

    /// Those of a sandbox, which has none of them.
    pub(crate) fn of_sandbox(py: Python<'_>) -> PyResult<Self> {
        Self::list(py, true, false, false)
    }

    fn list(py: Python<'_>, never: bool, eval: bool, builtins: bool) -> PyResult<Self> {
        let module = fallible::import(py, c"builtins")?;
        let mut known = Vec::new();
        let mut add = |function: Bound<'_, PyAny>, kind| {
            // SAFETY: a live object.
            let code = unsafe { compat::method_identity(function.as_ptr()) };
            let code = code.map_or(0, |(code, _)| code);
            let kind = if never && kind != Kind::Format { Kind::Never } else { kind };
            known.push(Known { function: function.unbind(), kind, code });
        };
        for (name, kind) in ACCESS {
            add(module.getattr(fallible::string(py, name)?)?, kind);
        }
        for name in CODE {
            let asked_for = builtins || (eval && name == "eval");
            if !asked_for {
                add(module.getattr(fallible::string(py, name)?)?, Kind::Code);
            }
        }
        for name in ["format", "format_map"] {
            let name = fallible::string(py, name)?;
            add(py.get_type::<PyString>().getattr(&name)?, Kind::Format);
            add(fallible::string(py, "")?.getattr(&name)?, Kind::Format);
        }
        Ok(Restrictions(known))
    }

    fn find(&self, object: *mut ffi::PyObject) -> Option<&Known> {
        // SAFETY: a live object.
        let code = unsafe { compat::method_identity(object) }.map_or(0, |(code, _)| code);
        self.0
            .iter()
            .find(|known| known.function.as_ptr() == object || (code != 0 && known.code == code))
    }
}

impl Options {
    /// The object itself, or what takes its place where access is restricted.
    #[inline]
    pub(crate) fn restrict<'py>(&self, object: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.restrictions {
            None => Ok(object),
            Some(restrictions) => match restrictions.find(object.as_ptr()) {
                None => Ok(object),
                Some(known) => self.restricted(object, known.kind),
            },
        }
    }

    #[cold]
    fn restricted<'py>(
        &self,
        function: Bound<'py, PyAny>,
        kind: Kind,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let copy = |handler: &Option<Py<PyAny>>| handler.as_ref().map(|held| held.clone_ref(py));
        let restricted = Restricted {
            kind,
            filter: copy(&self.attribute_filter),
            getter: copy(&self.attribute_getter),
            setter: copy(&self.attribute_setter),
            function: function.unbind(),
        };
        Ok(Bound::new(py, restricted)?.into_any())
    }
}

/// A name as what it is: of a subclass of `str` or `bytes`, whose methods could tell a filter anything,
/// the text alone.
pub(crate) fn exact_name<'py>(name: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if name.is_instance_of::<PyString>() && !name.is_exact_instance_of::<PyString>() {
        // SAFETY: attached; a `str`, of which this makes an exact one.
        return unsafe {
            Bound::from_owned_ptr_or_err(name.py(), ffi::PyUnicode_FromObject(name.as_ptr()))
        };
    }
    match name.cast::<PyBytes>() {
        Ok(bytes) if !name.is_exact_instance_of::<PyBytes>() => {
            Ok(fallible::bytes(name.py(), bytes.as_bytes())?.into_any())
        }
        _ => Ok(name),
    }
}

/// A function of Python in the hands of Lua code.
#[pyclass(name = "_RestrictedFunction", module = "lupa", frozen)]
pub(crate) struct Restricted {
    kind: Kind,
    function: Py<PyAny>,
    filter: Option<Py<PyAny>>,
    getter: Option<Py<PyAny>>,
    setter: Option<Py<PyAny>>,
}

#[pymethods]
impl Restricted {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let function = self.function.bind(py);
        match self.kind {
            Kind::Code | Kind::Never => return Err(self.refuse(py)),
            Kind::Format => {
                let template = match args.get_item(0) {
                    Ok(first) if is_descriptor(function) => first,
                    _ => fallible::name(py, c"__self__")
                        .and_then(|name| function.getattr(name))
                        .unwrap_or_else(|_| function.clone()),
                };
                if let Ok(template) = template.cast::<PyString>()
                    && reaches_attributes(template.to_string_lossy().as_bytes())
                {
                    return Err(fallible::error::<PyAttributeError>(
                        "a format string cannot read attributes where Lua's access to them is restricted",
                    ));
                }
                return function.call(args, kwargs);
            }
            _ => {}
        }
        if kwargs.is_some_and(|kwargs| !kwargs.is_empty()) {
            let name = self.name(py);
            return Err(fallible::error::<PyTypeError>(format!(
                "{name}() takes no keyword arguments"
            )));
        }
        let arguments: Vec<_> = args.iter().collect();
        match (self.kind, arguments.as_slice()) {
            (Kind::Get, [object, name]) => self.get(object, name.clone()),
            (Kind::Get, [object, name, default]) => match self.get(object, name.clone()) {
                Err(error) if is_attribute_error(py, &error) => Ok(default.clone()),
                result => result,
            },
            (Kind::Has, [object, name]) => {
                let found = found(py, self.get(object, name.clone()))?.is_some();
                Ok(found.into_pyobject(py)?.to_owned().into_any())
            }
            (Kind::Set, [object, name, value]) => {
                let name = exact_name(name.clone())?;
                if let Some(setter) = &self.setter {
                    setter.bind(py).call1((object, name, value))?;
                } else {
                    function.call1((object, self.filtered(object, name, true)?, value))?;
                }
                Ok(py.None().into_bound(py))
            }
            (Kind::Delete, [object, name]) => {
                if self.setter.is_some() {
                    return Err(fallible::error::<PyAttributeError>(
                        "attribute_handlers have no way to delete an attribute",
                    ));
                }
                let name = exact_name(name.clone())?;
                function.call1((object, self.filtered(object, name, true)?))
            }
            (Kind::Vars | Kind::Dir, []) => Err(self.refuse(py)),
            (Kind::Vars, [object]) => self.vars(object),
            (Kind::Dir, [object]) => self.dir(object),
            // A wrong number of arguments: Python says what is wrong with it.
            _ => function.call1(args),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<restricted {}>", self.function.bind(py).repr()?))
    }

    fn __traverse__(
        &self,
        visit: pyo3::PyVisit<'_>,
    ) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.function)?;
        for held in [&self.filter, &self.getter, &self.setter].into_iter().flatten() {
            visit.call(held)?;
        }
        Ok(())
    }
}

impl Restricted {
    fn name(&self, py: Python<'_>) -> String {
        let name =
            fallible::name(py, c"__name__").and_then(|name| self.function.bind(py).getattr(name));
        let name = name.and_then(|name| name.extract());
        name.unwrap_or_else(|_| "this function".into())
    }

    #[cold]
    fn refuse(&self, py: Python<'_>) -> PyErr {
        let name = self.name(py);
        if self.kind == Kind::Never {
            let message = format!("Lua code cannot use {name}() in a sandbox");
            return fallible::error::<PyPermissionError>(message);
        }
        let cure = match (self.kind, name.as_str()) {
            (Kind::Code, "eval") => "; register_eval=True or register_builtins=True allows it",
            (Kind::Code, _) => "; register_builtins=True allows it",
            _ => " without an argument",
        };
        fallible::error::<PyPermissionError>(format!(
            "Lua code cannot use {name}() where its access to attributes is restricted{cure}"
        ))
    }

    /// The name that the filter gives, if there is one.
    fn filtered<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        name: Bound<'py, PyAny>,
        setting: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        match &self.filter {
            Some(filter) => filter.bind(object.py()).call1((object, name, setting)),
            None => Ok(name),
        }
    }

    fn get<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        name: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = exact_name(name)?;
        match &self.getter {
            Some(getter) => getter.bind(object.py()).call1((object, name)),
            None => {
                let name = self.filtered(object, name, false)?;
                object.getattr(name.cast_into::<PyString>()?)
            }
        }
    }

    /// A copy of the attributes that Lua code may read.
    fn vars<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let all = fallible::dict(py)?;
        all.update(self.function.bind(py).call1((object,))?.cast::<pyo3::types::PyMapping>()?)?;
        let visible = fallible::dict(py)?;
        for name in all.keys() {
            let value = match &self.getter {
                Some(_) => found(py, self.get(object, name.clone()))?,
                None => match found(py, self.filtered(object, exact_name(name.clone())?, false))? {
                    Some(name) => all.get_item(name)?,
                    None => None,
                },
            };
            if let Some(value) = value {
                visible.set_item(name, value)?;
            }
        }
        Ok(visible.into_any())
    }

    /// The names that Lua code may read.
    fn dir<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let visible = fallible::list(py)?;
        for name in self.function.bind(py).call1((object,))?.try_iter()? {
            let name = name?;
            let allowed = match &self.getter {
                Some(_) => found(py, self.get(object, name.clone()))?,
                None => found(py, self.filtered(object, exact_name(name.clone())?, false))?,
            };
            if allowed.is_some() {
                visible.append(name)?;
            }
        }
        Ok(visible.into_any())
    }
}

fn is_attribute_error(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyAttributeError>(py)
}

/// What was found; `None` for an `AttributeError`.
fn found<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_attribute_error(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a function is `str.format` itself, and not that of one string.
fn is_descriptor(function: &Bound<'_, PyAny>) -> bool {
    // SAFETY: a live object.
    unsafe { compat::method_identity(function.as_ptr()) }.is_none()
}

/// Whether a format string reads attributes of what it formats: `{0.name}`.
///
/// It is read as `str.format` reads it; braces and dots are single bytes in UTF-8.
fn reaches_attributes(template: &[u8]) -> bool {
    let mut bytes = template.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'{' || bytes.next_if_eq(&b'{').is_some() {
            continue;
        }
        while let Some(&byte) = bytes.peek() {
            match byte {
                b'.' => return true,
                b'[' => while bytes.next().is_some_and(|byte| byte != b']') {},
                b'}' | b':' | b'!' | b'{' => break,
                _ => {
                    bytes.next();
                }
            }
        }
    }
    false
}
