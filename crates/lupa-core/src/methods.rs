//! The methods of the wrapper types, as tables for their specs.

use std::ffi::CStr;

use lua_api::LuaBackend;
use pyo3::exceptions::PyAttributeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::arguments;
use crate::coroutine;
use crate::error::Result;
use crate::fallible;
use crate::function;
use crate::guard::guard;
use crate::iterator::TableIterator;
use crate::object;
use crate::walk::Wanted;

type Method = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

fn method(
    name: &'static CStr,
    function: Method,
    flags: i32,
    doc: &'static CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: doc.as_ptr(),
    }
}

/// A table of methods for a type, which keeps it for ever.
fn table_of(mut methods: Vec<ffi::PyMethodDef>) -> *mut ffi::PyMethodDef {
    methods.push(ffi::PyMethodDef::zeroed());
    Box::leak(methods.into_boxed_slice()).as_mut_ptr()
}

pub(crate) fn object<B: LuaBackend>() -> *mut ffi::PyMethodDef {
    table_of(vec![method(
        c"__getattr__",
        getattr::<B>,
        ffi::METH_O,
        c"__getattr__($self, name, /)\n--\n\nThe field of this name, as Lua finds it.",
    )])
}

pub(crate) fn table<B: LuaBackend>() -> *mut ffi::PyMethodDef {
    table_of(vec![
        method(
            c"keys",
            keys,
            ffi::METH_NOARGS,
            c"keys($self, /)\n--\n\nAn iterator over the keys of the table, as ``iter(table)`` is.",
        ),
        method(
            c"values",
            values,
            ffi::METH_NOARGS,
            c"values($self, /)\n--\n\nAn iterator over the values of the table.",
        ),
        method(
            c"items",
            items,
            ffi::METH_NOARGS,
            c"items($self, /)\n--\n\nAn iterator over the (key, value) pairs of the table.",
        ),
        method(
            c"__lua_args__",
            lua_args::<B>,
            ffi::METH_NOARGS,
            c"__lua_args__($self, /)\n--\n\n\
              The table as ``(args, kwargs)`` of a call: its sequence and its string keys.",
        ),
    ])
}

pub(crate) fn function<B: LuaBackend>() -> *mut ffi::PyMethodDef {
    table_of(vec![method(
        c"coroutine",
        start_coroutine::<B>,
        ffi::METH_VARARGS,
        c"coroutine($self, /, *args)\n--\n\n\
          A new coroutine of this function; it gets the arguments when it is first resumed.",
    )])
}

pub(crate) fn coroutine<B: LuaBackend>() -> *mut ffi::PyMethodDef {
    table_of(vec![method(
        c"send",
        send::<B>,
        ffi::METH_O,
        c"send($self, value, /)\n--\n\n\
          Resume the coroutine: the value (of a tuple: the values) is what its yield gives.",
    )])
}

pub(crate) fn iterator() -> *mut ffi::PyMethodDef {
    table_of(vec![method(
        c"__class_getitem__",
        ffi::Py_GenericAlias,
        ffi::METH_O | ffi::METH_CLASS,
        c"For annotations: ``LuaIterator[str]`` gives strings.",
    )])
}

unsafe extern "C" fn getattr<B: LuaBackend>(
    this: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live wrapper and argument.
        unsafe {
            let name = Bound::from_borrowed_ptr(py, name);
            if let Ok(text) = name.extract::<String>()
                && text.starts_with("__")
                && text.ends_with("__")
            {
                return Err(fallible::error::<PyAttributeError>(text).into());
            }
            object::get_attribute::<B>(py, this, &name)
        }
    })
}

unsafe fn iterate(this: *mut ffi::PyObject, yields: Wanted) -> *mut ffi::PyObject {
    // SAFETY: called by Python with a live table.
    guard(|py| unsafe { TableIterator::create(py, this, yields) })
}

unsafe extern "C" fn keys(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by Python.
    unsafe { iterate(this, Wanted::Keys) }
}

unsafe extern "C" fn values(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by Python.
    unsafe { iterate(this, Wanted::Values) }
}

unsafe extern "C" fn items(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: called by Python.
    unsafe { iterate(this, Wanted::Both) }
}

unsafe extern "C" fn lua_args<B: LuaBackend>(
    this: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live table.
        let (runtime, reference) = unsafe { object::parts::<B>(this) };
        let entry = runtime.enter(py)?;
        let arguments::Unpacked { args, kwargs, .. } = arguments::unpack(&entry, reference)?;
        Ok(fallible::tuple(py, [args.into_any(), kwargs.into_any()])?.into_any())
    })
}

unsafe extern "C" fn start_coroutine<B: LuaBackend>(
    this: *mut ffi::PyObject,
    args: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live function and a tuple.
        unsafe {
            let args = Bound::from_borrowed_ptr(py, args).cast_into_unchecked::<PyTuple>();
            function::new_coroutine::<B>(py, this, args)
        }
    })
}

unsafe extern "C" fn send<B: LuaBackend>(
    this: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| -> Result<Bound<'_, PyAny>> {
        // SAFETY: called by Python with a live coroutine and argument.
        unsafe {
            let value = Bound::from_borrowed_ptr(py, value);
            match coroutine::send::<B>(py, this, &value)? {
                Some(result) => Ok(result),
                None => Err(coroutine::stop_iteration().into()),
            }
        }
    })
}
