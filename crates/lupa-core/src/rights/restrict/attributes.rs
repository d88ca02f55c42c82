//! Attributes as a filter or handlers give them, for functions of Python that reach attributes.
#![forbid(unsafe_code)]

use std::sync::Arc;

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::rights::restrict::exact_name;
use crate::rights::restrict::judge::Restrictions;
use crate::rights::restrict::kind::Verdict;
use crate::rights::restrict::restricted::Restricted;

/// The restrictions of a runtime, with its filter or handlers.
pub(crate) struct Rules {
    pub(crate) restrictions: Arc<Restrictions>,
    pub(crate) filter: Option<Py<PyAny>>,
    pub(crate) getter: Option<Py<PyAny>>,
    pub(crate) setter: Option<Py<PyAny>>,
}

impl Rules {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        let copy = |handler: &Option<Py<PyAny>>| handler.as_ref().map(|held| held.clone_ref(py));
        Rules {
            restrictions: self.restrictions.clone(),
            filter: copy(&self.filter),
            getter: copy(&self.getter),
            setter: copy(&self.setter),
        }
    }

    /// Wraps a function.
    pub(crate) fn wrap<'py>(
        self,
        function: &Bound<'py, PyAny>,
        verdict: Verdict,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        Ok(Bound::new(py, Restricted::new(verdict, function.clone().unbind(), self))?.into_any())
    }

    /// An object itself, or what stands for it.
    pub(crate) fn judged<'py>(&self, object: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let wrap = |function: &Bound<'py, PyAny>, verdict: Verdict| {
            self.clone_ref(py).wrap(function, verdict)
        };
        Ok(self.restrictions.replace(&object, &wrap)?.unwrap_or(object))
    }

    /// The arguments of a function that may call them.
    pub(crate) fn judged_arguments<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let py = args.py();
        let list = args.iter().map(|argument| self.judged(argument));
        let args = fallible::tuple(py, list.collect::<PyResult<Vec<_>>>()?)?;
        let Some(given) = kwargs else { return Ok((args, None)) };
        let kwargs = fallible::dict(py)?;
        for (name, value) in given.iter() {
            kwargs.set_item(name, self.judged(value)?)?;
        }
        Ok((args, Some(kwargs)))
    }

    /// The object that Lua code gets in the place of a class or a function.
    pub(crate) fn shown<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        verdict: Verdict,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.clone_ref(object.py()).wrap(object, verdict)
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

    pub(crate) fn get<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        name: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.restrictions.check_attribute(object, false)?;
        let name = exact_name(name)?;
        let value = match &self.getter {
            Some(getter) => getter.bind(object.py()).call1((object, name))?,
            None => {
                let name = self.filtered(object, name, false)?;
                object.attribute(name.cast_into::<PyString>()?)?
            }
        };
        self.judged(value)
    }

    /// As [`Rules::get`], for a name with dots.
    pub(crate) fn get_path<'py>(
        &self,
        object: &Bound<'py, PyAny>,
        path: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut object = object.clone();
        for name in path.split('.') {
            object = self.get(&object, fallible::string(object.py(), name)?.into_any())?;
        }
        Ok(object)
    }

    /// By `setattr`, which is `function`.
    pub(crate) fn set<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
        name: Bound<'py, PyAny>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        self.restrictions.check_attribute(object, true)?;
        let name = exact_name(name)?;
        match &self.setter {
            Some(setter) => setter.bind(object.py()).call1((object, name, value))?,
            None => function.call1((object, self.filtered(object, name, true)?, value))?,
        };
        Ok(())
    }

    /// By `delattr`, which is `function`.
    pub(crate) fn delete<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
        name: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        if self.setter.is_some() {
            return Err(fallible::error::<PyAttributeError>(
                "attribute_handlers have no way to delete an attribute",
            ));
        }
        self.restrictions.check_attribute(object, true)?;
        let name = exact_name(name)?;
        function.call1((object, self.filtered(object, name, true)?))?;
        Ok(())
    }

    /// A copy of the attributes that Lua code may read, by `vars`, which is `function`.
    pub(crate) fn vars<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let all = fallible::dict(py)?;
        all.update(function.call1((object,))?.cast::<PyMapping>()?)?;
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
                visible.set_item(name, self.judged(value)?)?;
            }
        }
        Ok(visible.into_any())
    }

    /// The names that Lua code may read, by `dir`, which is `function`.
    pub(crate) fn dir<'py>(
        &self,
        function: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = object.py();
        let visible = fallible::list(py)?;
        for name in function.call1((object,))?.try_iter()? {
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

pub(crate) fn is_attribute_error(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyAttributeError>(py)
}

/// The attribute that was found; `None` for an `AttributeError`.
pub(crate) fn found<T>(py: Python<'_>, result: PyResult<T>) -> PyResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_attribute_error(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}
