//! [`Source`]: whose the memory of an array is, and how it is given back.

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;

use super::dtype::Kind;
use super::layout::{Dim, Header, Layout};
use crate::fallible;
use crate::slots::{Visit, Visited};
use crate::types::drop_object;

/// A block of zeros from the system's allocator, counted in the account of the runtime that it was
/// made for. It outlives that runtime if it has to.
pub(crate) struct Block {
    start: *mut u8,
    layout: std::alloc::Layout,
    account: Arc<AtomicUsize>,
}

/// What all elements are aligned to, for the sake of vector instructions.
const ALIGNMENT: usize = 64;

impl Block {
    /// A block of so many bytes; `None` if there is no memory for it.
    pub(crate) fn zeroed(bytes: usize, account: &Arc<AtomicUsize>) -> Option<Self> {
        let layout = std::alloc::Layout::from_size_align(bytes.max(1), ALIGNMENT).ok()?;
        // SAFETY: the size is not 0.
        let start = unsafe { std::alloc::alloc_zeroed(layout) };
        if start.is_null() {
            return None;
        }
        account.fetch_add(layout.size(), Ordering::Relaxed);
        Some(Block { start, layout, account: Arc::clone(account) })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.account.fetch_sub(self.layout.size(), Ordering::Relaxed);
        // SAFETY: allocated with this layout, and not freed before.
        unsafe { std::alloc::dealloc(self.start, self.layout) };
    }
}

/// A buffer that a Python object has exported; released when dropped, which has to be attached.
///
/// In a box, since exporters may point into the struct itself.
pub(crate) struct Export(Box<ffi::Py_buffer>);

impl Export {
    /// Asks an object for its buffer, with its format and its strides.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: attached; released by `drop`, if it was given.
        let status = unsafe {
            ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, ffi::PyBUF_RECORDS_RO)
        };
        if status < 0 { Err(PyErr::fetch(object.py())) } else { Ok(Export(view)) }
    }

    /// Where the elements are.
    pub(crate) fn layout(&self) -> PyResult<Layout> {
        let view = &*self.0;
        let format = if view.format.is_null() {
            b"B"
        } else {
            // SAFETY: the exporter gives a zero-terminated string.
            unsafe { std::ffi::CStr::from_ptr(view.format) }.to_bytes()
        };
        let Some((kind, swapped)) = Kind::from_format(format, view.itemsize as usize) else {
            let format = String::from_utf8_lossy(format);
            return Err(fallible::error::<PyTypeError>(format!(
                "a Lua array cannot hold elements of the format '{format}' ({} bytes each); pass \
                 the object itself, with as_itemgetter(obj) or as_attrgetter(obj)",
                view.itemsize
            )));
        };
        let header = Header {
            data: view.buf.cast(),
            kind,
            swapped,
            readonly: view.readonly != 0,
            whole: true,
            ndim: 0,
        };
        let ndim = view.ndim as usize;
        if !view.suboffsets.is_null() {
            return Err(fallible::error::<PyBufferError>("a Lua array cannot follow suboffsets"));
        }
        // SAFETY: so many dimensions are described, if they are.
        let described = unsafe {
            let read = |start: *mut ffi::Py_ssize_t| {
                (!start.is_null()).then(|| std::slice::from_raw_parts(start, ndim))
            };
            (read(view.shape), read(view.strides))
        };
        let layout = match described {
            (Some(shape), Some(strides)) if ndim > 0 => {
                let dims = shape.iter().zip(strides);
                Layout::new(header, dims.map(|(&len, &stride)| Dim { len, stride }))
            }
            (Some(shape), None) if ndim > 0 => Layout::contiguous(kind, shape)
                .and_then(|plain| Layout::new(header, plain.dims().iter().copied())),
            _ if ndim == 0 => Layout::new(header, []),
            _ => {
                let len = view.len / view.itemsize.max(1);
                Layout::new(header, [Dim { len, stride: view.itemsize }])
            }
        };
        layout.ok_or_else(|| {
            fallible::error::<PyBufferError>(format!("a Lua array cannot have {ndim} dimensions"))
        })
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

/// Something that must outlive the runtime's finalization: see [`super::Arrays::pins`].
pub(crate) struct Pin(Arc<AtomicUsize>);

impl Pin {
    pub(crate) fn new(pins: &Arc<AtomicUsize>) -> Self {
        pins.fetch_add(1, Ordering::Relaxed);
        Pin(Arc::clone(pins))
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        // After the last access to the memory, which is freed by whoever sees this.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A reference that is given back at once when dropped, which has to be attached. `Py` would put it
/// off: it does not know of threads that are attached other than through PyO3.
pub(crate) struct Held(NonNull<ffi::PyObject>);

impl Held {
    pub(crate) fn new(object: &Bound<'_, PyAny>) -> Self {
        let pointer = object.clone().into_ptr();
        // SAFETY: an object is nowhere near null.
        Held(unsafe { NonNull::new_unchecked(pointer) })
    }

    pub(crate) fn bind<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: attached, as the token says; alive for as long as this.
        unsafe { Bound::from_borrowed_ptr(py, self.0.as_ptr()) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: attached; the reference is ours.
        unsafe { drop_object(self.0.as_ptr()) };
    }
}

/// Whose the memory is.
pub(crate) enum Source {
    /// Of a Python object, `origin`, which came as it is.
    Export { export: Export, origin: Held },
    /// Our own.
    Block { _block: Block },
    /// Of a Lua value, which this wrapper keeps alive.
    Lua { holder: Held, _pin: Pin },
    /// Of another array.
    View { base: Held },
}

impl Source {
    /// For `tp_traverse`.
    pub(crate) fn visit(&self, visit: &Visit) -> Visited {
        let (first, second) = match self {
            Source::Export { export, origin } => (export.0.obj, origin.0.as_ptr()),
            Source::Block { .. } => (null_mut(), null_mut()),
            Source::Lua { holder, .. } => (holder.0.as_ptr(), null_mut()),
            Source::View { base } => (base.0.as_ptr(), null_mut()),
        };
        // SAFETY: null, or held by this.
        unsafe {
            visit.pointer(first)?;
            visit.pointer(second)
        }
    }
}

/// Memory with whoever keeps it, for a new `_LuaArray`.
pub(crate) struct Owned(Source, Layout);

impl Owned {
    /// # Safety
    /// The elements of the layout are there as long as the source.
    pub(crate) unsafe fn new(source: Source, layout: Layout) -> Self {
        Owned(source, layout)
    }

    /// The parts, for the object that has them from now on, and never changes the layout.
    pub(crate) fn into_parts(self) -> (Source, Layout) {
        (self.0, self.1)
    }
}
