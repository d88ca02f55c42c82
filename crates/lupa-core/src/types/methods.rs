//! [`Method`]: a method of a type that is made from a spec.
#![forbid(unsafe_code)]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;

use pyo3::ffi;

use crate::types::operations::{Binary, Content, Keywords, Unary, Variadic};
use crate::types::slots;

type Text = &'static CStr;

/// A method of a type whose objects have such a content.
pub(crate) struct Method<T>(pub(super) ffi::PyMethodDef, PhantomData<fn(T)>);

impl<T: Content> Method<T> {
    fn new(name: Text, pointer: ffi::PyCFunction, flags: c_int, doc: Text) -> Self {
        Method::of(name, ffi::PyMethodDefPointer { PyCFunction: pointer }, flags, doc)
    }

    fn of(name: Text, ml_meth: ffi::PyMethodDefPointer, ml_flags: c_int, doc: Text) -> Self {
        let (ml_name, ml_doc) = (name.as_ptr(), doc.as_ptr());
        Method(ffi::PyMethodDef { ml_name, ml_meth, ml_flags, ml_doc }, PhantomData)
    }

    pub(crate) fn without<F: Unary<T>>(name: Text, doc: Text) -> Self {
        Method::new(name, slots::without::<T, F>, ffi::METH_NOARGS, doc)
    }

    pub(crate) fn with_one<F: Binary<T>>(name: Text, doc: Text) -> Self {
        Method::new(name, slots::binary::<T, F>, ffi::METH_O, doc)
    }

    pub(crate) fn with_any<F: Variadic<T>>(name: Text, doc: Text) -> Self {
        Method::new(name, slots::variadic::<T, F>, ffi::METH_VARARGS, doc)
    }

    pub(crate) fn with_keywords<F: Keywords<T>>(name: Text, doc: Text) -> Self {
        let pointer = ffi::PyMethodDefPointer { PyCFunctionWithKeywords: slots::keywords::<T, F> };
        Method::of(name, pointer, ffi::METH_VARARGS | ffi::METH_KEYWORDS, doc)
    }

    /// `__class_getitem__`, for annotations.
    pub(crate) fn generic_alias(doc: Text) -> Self {
        Method::new(c"__class_getitem__", ffi::Py_GenericAlias, ffi::METH_O | ffi::METH_CLASS, doc)
    }
}
