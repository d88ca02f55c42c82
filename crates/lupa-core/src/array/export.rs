//! [`Description`]: what an exporter of memory says about it, and the layout that this is.
#![forbid(unsafe_code)]

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;

use super::dtype::Kind;
use super::layout::{Dim, Header, Layout};
use crate::base::fallible;

/// The fields of a `Py_buffer`.
pub(super) struct Description<'a> {
    /// The first element.
    pub(super) data: *mut u8,
    pub(super) format: Option<&'a [u8]>,
    pub(super) readonly: bool,
    /// How many bytes an element has, and all of them.
    pub(super) item_size: isize,
    pub(super) bytes: isize,
    pub(super) ndim: usize,
    pub(super) shape: Option<&'a [isize]>,
    pub(super) strides: Option<&'a [isize]>,
    /// There are pointers to what there is.
    pub(super) is_indirect: bool,
}

impl Description<'_> {
    /// Where the elements are.
    pub(super) fn layout(&self) -> PyResult<Layout> {
        let (format, size) = (self.format.unwrap_or(b"B"), self.item_size);
        let Some((kind, swapped)) = Kind::from_format(format, size as usize) else {
            let format = String::from_utf8_lossy(format);
            return Err(fallible::error::<PyTypeError>(format!(
                "a Lua array cannot hold elements of the format '{format}' ({size} bytes each); pass \
                 the object itself, with as_itemgetter(obj) or as_attrgetter(obj)"
            )));
        };
        let header = Header {
            data: self.data,
            kind,
            swapped,
            readonly: self.readonly,
            whole: true,
            ndim: 0,
        };
        if self.is_indirect {
            return Err(fallible::error::<PyBufferError>("a Lua array cannot follow suboffsets"));
        }
        let ndim = self.ndim;
        let layout = match (self.shape, self.strides) {
            (Some(shape), Some(strides)) if ndim > 0 => {
                let dims = shape.iter().zip(strides);
                Layout::new(header, dims.map(|(&len, &stride)| Dim { len, stride }))
            }
            (Some(shape), None) if ndim > 0 => Layout::contiguous(kind, shape)
                .and_then(|plain| Layout::new(header, plain.dims().iter().copied())),
            _ if ndim == 0 => Layout::new(header, []),
            _ => Layout::new(header, [Dim { len: self.bytes / size.max(1), stride: size }]),
        };
        layout.ok_or_else(|| {
            fallible::error::<PyBufferError>(format!("a Lua array cannot have {ndim} dimensions"))
        })
    }
}
