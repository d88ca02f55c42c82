//! The object that stands for a function of Python in the hands of Lua code.
#![forbid(unsafe_code)]

use pyo3::exceptions::{PyPermissionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::rights::restrict::attributes::{Rules, found, is_attribute_error};
use crate::rights::restrict::format;
use crate::rights::restrict::kind::{Kind, Verdict};

/// A function, or a class, of Python in the hands of Lua code.
#[pyclass(name = "_RestrictedFunction", module = "lupa", frozen, weakref)]
pub(crate) struct Restricted {
    verdict: Verdict,
    function: Py<PyAny>,
    rules: Rules,
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
        let kwargs = kwargs.filter(|kwargs| !kwargs.is_empty());
        match self.verdict.kind {
            Kind::Refused | Kind::Never | Kind::Class => Err(self.refuse(py)),
            Kind::Format => {
                format::check(function, args)?;
                function.call(args, kwargs)
            }
            Kind::Calls => {
                let (args, kwargs) = self.rules.judged_arguments(args, kwargs)?;
                function.call(args, kwargs.as_ref())
            }
            Kind::CallSlot => match args.get_item(0) {
                Ok(callee) => {
                    self.rules.judged(callee)?.call(args.get_slice(1, args.len()), kwargs)
                }
                Err(_) => function.call(args, kwargs),
            },
            Kind::Compares => {
                let args = args.iter().map(|argument| compared(&argument));
                function.call(fallible::tuple(py, args.collect::<PyResult<Vec<_>>>()?)?, kwargs)
            }
            Kind::Type => match (args.get_item(0), args.len(), kwargs) {
                (Ok(object), 1, None) => self.class_of(&object),
                _ => Err(self.refuse(py)),
            },
            Kind::Print => {
                if let Some(file) = kwargs.and_then(|kwargs| kwargs.get_item("file").transpose())
                    && let file = file?
                    && !file.is_none()
                {
                    self.rules.get_path(&file, "write")?;
                }
                function.call(args, kwargs)
            }
            Kind::AttributeGetter => self.get_attributes(args, kwargs),
            Kind::MethodCaller => self.call_method(args, kwargs),
            _ => {
                if kwargs.is_some() {
                    let name = self.name(py);
                    let message = format!("{name}() takes no keyword arguments");
                    return Err(fallible::error::<PyTypeError>(message));
                }
                self.access(args)
            }
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let repr = self.function.bind(py).repr()?;
        Ok(match self.verdict.kind {
            Kind::Class => repr.to_string(),
            _ => format!("<restricted {repr}>"),
        })
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.function.bind(other.py()).eq(Self::bare(other))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.function.bind(py).hash()
    }

    /// So that what stands for a class does so in `isinstance`.
    fn __instancecheck__(&self, object: &Bound<'_, PyAny>) -> PyResult<bool> {
        object.is_instance(self.function.bind(object.py()))
    }

    fn __subclasscheck__(&self, class: &Bound<'_, PyAny>) -> PyResult<bool> {
        let builtins = fallible::import(class.py(), c"builtins")?;
        let answer = builtins
            .attribute("issubclass")?
            .call1((Self::bare(class), self.function.bind(class.py())))?;
        answer.is_truthy()
    }

    #[getter]
    fn __name__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).attribute("__name__")
    }

    #[getter]
    fn __qualname__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.function.bind(py).attribute("__qualname__")
    }

    fn __traverse__(
        &self,
        visit: pyo3::PyVisit<'_>,
    ) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.function)?;
        let rules = &self.rules;
        for held in [&rules.filter, &rules.getter, &rules.setter].into_iter().flatten() {
            visit.call(held)?;
        }
        Ok(())
    }
}

impl Restricted {
    pub(crate) fn new(verdict: Verdict, function: Py<PyAny>, rules: Rules) -> Self {
        Restricted { verdict, function, rules }
    }

    /// The function behind a restricted one, or the object itself.
    pub(crate) fn bare<'py>(object: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        match object.cast_exact::<Restricted>() {
            Ok(restricted) => restricted.get().function.bind(object.py()).clone(),
            Err(_) => object.clone(),
        }
    }

    /// Reads or writes an attribute by the filter or the handlers.
    fn access<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        let (function, rules) = (self.function.bind(py), &self.rules);
        let none = || Ok(py.None().into_bound(py));
        let arguments: Vec<_> = args.iter().collect();
        match (self.verdict.kind, arguments.as_slice()) {
            (Kind::Get, [object, name]) => rules.get(object, name.clone()),
            (Kind::Get, [object, name, default]) => match rules.get(object, name.clone()) {
                Err(error) if is_attribute_error(py, &error) => Ok(default.clone()),
                result => result,
            },
            (Kind::Has, [object, name]) => {
                let found = found(py, rules.get(object, name.clone()))?.is_some();
                Ok(found.into_pyobject(py)?.to_owned().into_any())
            }
            (Kind::Set, [object, name, value]) => {
                rules.set(function, object, name.clone(), value)?;
                none()
            }
            (Kind::Delete, [object, name]) => {
                rules.delete(function, object, name.clone())?;
                none()
            }
            (Kind::Vars | Kind::Dir, []) => Err(self.refuse(py)),
            (Kind::Vars, [object]) => rules.vars(function, object),
            (Kind::Dir, [object]) => rules.dir(function, object),
            // A wrong number of arguments: Python says what is wrong with it.
            _ => function.call1(args),
        }
    }

    /// The class of an object, as something to look at.
    fn class_of<'py>(&self, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let class = Self::bare(object).get_type().into_any();
        self.rules.shown(&class, Verdict::new(Kind::Class, "comes from type()"))
    }

    /// `operator.attrgetter('a', 'b.c')(object)`.
    fn get_attributes<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = self.function.bind(args.py());
        let (1, None) = (args.len(), kwargs) else { return function.call(args, kwargs) };
        let object = args.get_item(0)?;
        let (_, names): (Bound<'py, PyAny>, Vec<String>) =
            function.method0("__reduce__")?.extract()?;
        let values = names.iter().map(|name| self.rules.get_path(&object, name));
        let mut values = values.collect::<PyResult<Vec<_>>>()?;
        match values.len() {
            1 => Ok(values.remove(0)),
            _ => Ok(fallible::tuple(args.py(), values)?.into_any()),
        }
    }

    /// `operator.methodcaller('name', ...)(object)`.
    fn call_method<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = self.function.bind(args.py());
        let (1, None) = (args.len(), kwargs) else { return function.call(args, kwargs) };
        let (maker, rest): (Bound<'py, PyAny>, Bound<'py, PyTuple>) =
            function.method0("__reduce__")?.extract()?;
        // With keywords, a partial has them and the name.
        let (name, first, keywords) = match maker.attribute("keywords") {
            Ok(keywords) => {
                let name = maker.attribute("args")?.get_item(0)?;
                (name, 0, Some(keywords.cast_into::<PyDict>()?))
            }
            Err(_) => (rest.get_item(0)?, 1, None),
        };
        let method = self.rules.get(&args.get_item(0)?, name)?;
        method.call(rest.get_slice(first, rest.len()), keywords.as_ref())
    }

    fn name(&self, py: Python<'_>) -> String {
        let function = self.function.bind(py);
        let name = function.attribute("__name__").or_else(|_| function.attribute("name"));
        let name = name.and_then(|name| name.extract());
        name.or_else(|_| function.get_type().name().and_then(|name| name.extract()))
            .unwrap_or_else(|_| "this function".into())
    }

    #[cold]
    fn refuse(&self, py: Python<'_>) -> PyErr {
        let name = self.name(py);
        let why = self.verdict.why;
        if self.verdict.kind == Kind::Never {
            let message = format!("Lua code cannot use {name}() in a sandbox");
            return fallible::error::<PyPermissionError>(message);
        }
        let cure = match (self.verdict.kind, name.as_str()) {
            (Kind::Vars | Kind::Dir, _) => " without an argument".into(),
            (_, "eval") => {
                format!(", for it {why}; register_eval=True or register_builtins=True allows it")
            }
            _ => format!(", for it {why}; register_builtins=True allows it"),
        };
        fallible::error::<PyPermissionError>(format!(
            "Lua code cannot use {name}() where its access to attributes is restricted{cure}"
        ))
    }
}

/// An argument of `isinstance` or `issubclass`: what it stands for, in a tuple of classes too.
fn compared<'py>(argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match argument.cast_exact::<PyTuple>() {
        Ok(several) => {
            let several = several.iter().map(|one| compared(&one));
            let several = several.collect::<PyResult<Vec<_>>>()?;
            Ok(fallible::tuple(argument.py(), several)?.into_any())
        }
        Err(_) => Ok(Restricted::bare(argument)),
    }
}
