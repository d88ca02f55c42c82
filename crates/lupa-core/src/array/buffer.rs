//! The buffer protocol, both ways: what a Python object exports, and what an array of ours does.

use std::ffi::{CStr, c_int};

use pyo3::ffi;
use pyo3::prelude::*;

use super::export::Description;
use super::object::{ArrayObject, refuse};
use crate::types::heap_type::{Visit, Visited, drop_object};
use crate::types::slots::{Buffer, Exported};

/// A buffer that a Python object has exported; released when dropped, which has to be attached.
///
/// In a box, since exporters may point into the struct itself.
pub(crate) struct Export(Box<ffi::Py_buffer>);

impl Export {
    /// Asks an object for its buffer, with its format and its strides.
    pub(super) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: attached; released by `drop`, if it was given.
        let status = unsafe {
            ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, ffi::PyBUF_RECORDS_RO)
        };
        if status < 0 { Err(PyErr::fetch(object.py())) } else { Ok(Export(view)) }
    }

    /// For `tp_traverse`.
    pub(super) fn visit(&self, visit: &Visit) -> Visited {
        // SAFETY: null, or held by the buffer.
        unsafe { visit.pointer(self.0.obj) }
    }

    /// The exporter's description of the memory.
    pub(super) fn description(&self) -> Description<'_> {
        let view = &*self.0;
        let ndim = view.ndim as usize;
        // SAFETY: the exporter gives a zero-terminated string, and a length and a stride for each dimension; null for
        // what there is not.
        let (format, [shape, strides]) = unsafe {
            let format = (!view.format.is_null()).then(|| CStr::from_ptr(view.format).to_bytes());
            let numbers = [view.shape, view.strides]
                .map(|start| (!start.is_null()).then(|| std::slice::from_raw_parts(start, ndim)));
            (format, numbers)
        };
        Description {
            data: view.buf.cast(),
            format,
            readonly: view.readonly != 0,
            item_size: view.itemsize,
            bytes: view.len,
            ndim,
            shape,
            strides,
            is_indirect: !view.suboffsets.is_null(),
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // SAFETY: attached; the buffer was given, and is released once. Its exporter is dropped after that.
        unsafe {
            let exporter = self.0.obj;
            ffi::Py_XINCREF(exporter);
            ffi::PyBuffer_Release(&raw mut *self.0);
            drop_object(exporter);
        }
    }
}

// SAFETY: the layout is that of the memory which the object owns, or whose owner it holds, and never changes.
unsafe impl Buffer for ArrayObject {
    fn export(&self, flags: c_int) -> PyResult<Exported> {
        refuse(self.layout(), flags)?;
        let (header, dims) = (self.layout().header, self.layout().dims());
        let lens = dims.iter().map(|dim| dim.len);
        Ok(Exported {
            start: header.data.cast(),
            bytes: self.layout().bytes(),
            format: header.kind.format(header.swapped),
            item: header.kind.size(),
            readonly: header.readonly,
            shape_and_strides: lens.chain(dims.iter().map(|dim| dim.stride)).collect(),
        })
    }

    fn dimensions(&self) -> usize {
        self.layout().dims().len()
    }
}
