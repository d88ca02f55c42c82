//! Attributes and methods of Python objects by name, for where memory may be missing: PyO3's own methods make a
//! `str` of the name, and panic without memory for it. `clippy.toml` forbids those.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::base::fallible;

/// The name of an attribute.
pub(crate) trait Name<'py> {
    /// The name as Python has it.
    fn object(self, py: Python<'py>) -> PyResult<Bound<'py, PyString>>;
}

/// A name of ours, which is interned.
impl<'py> Name<'py> for &CStr {
    #[inline]
    fn object(self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        fallible::name(py, self)
    }
}

/// A name that is a parameter.
impl<'py> Name<'py> for &str {
    #[inline]
    fn object(self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        fallible::string(py, self)
    }
}

impl<'py> Name<'py> for Bound<'py, PyString> {
    #[inline]
    fn object(self, _: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(self)
    }
}

/// Reading, writing and calling the attributes of an object.
pub(crate) trait Attributes<'py> {
    /// The attribute.
    ///
    /// # Errors
    /// `AttributeError`, what a property raises, or `MemoryError`.
    fn attribute(&self, name: impl Name<'py>) -> PyResult<Bound<'py, PyAny>>;

    /// Whether there is one.
    ///
    /// # Errors
    /// As [`attribute`](Self::attribute), but for `AttributeError`.
    fn has_attribute(&self, name: impl Name<'py>) -> PyResult<bool>;

    /// Sets the attribute.
    ///
    /// # Errors
    /// `AttributeError`, what a property raises, or `MemoryError`.
    fn set_attribute<V>(&self, name: impl Name<'py>, value: Bound<'py, V>) -> PyResult<()>;

    /// The result of a method without arguments.
    ///
    /// # Errors
    /// As [`attribute`](Self::attribute), and what the method raises.
    fn method0(&self, name: impl Name<'py>) -> PyResult<Bound<'py, PyAny>>;

    /// The result of a method.
    ///
    /// # Errors
    /// As [`attribute`](Self::attribute), and what the method raises.
    fn method1(
        &self,
        name: impl Name<'py>,
        args: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>>;
}

#[expect(clippy::disallowed_methods, reason = "their names are objects here")]
impl<'py, T> Attributes<'py> for Bound<'py, T> {
    #[inline]
    fn attribute(&self, name: impl Name<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_any().getattr(name.object(self.py())?)
    }

    #[inline]
    fn has_attribute(&self, name: impl Name<'py>) -> PyResult<bool> {
        self.as_any().hasattr(name.object(self.py())?)
    }

    fn set_attribute<V>(&self, name: impl Name<'py>, value: Bound<'py, V>) -> PyResult<()> {
        self.as_any().setattr(name.object(self.py())?, value.as_any())
    }

    #[inline]
    fn method0(&self, name: impl Name<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.as_any().call_method0(name.object(self.py())?)
    }

    #[inline]
    fn method1(
        &self,
        name: impl Name<'py>,
        args: impl PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.as_any().call_method1(name.object(self.py())?, args)
    }
}
