//! `_LuaArray`: an array as a Python object, with the buffer protocol and `__array_interface__`.
//!
//! It owns the memory, or what does ([`Source`]). The userdata of an array in Lua owns one of these.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::{IntoPyObjectExt, ffi};

use super::layout::Layout;
use super::memory::{Owned, Source};
use crate::error::Result;
use crate::fallible;
use crate::guard::{guard, guard_int, guard_status};
use crate::types::{self, slot};

pub(crate) const DOC: &CStr = c"An array that Lua code sees (see ``as_array()``), or has made.\n\n\
    It has the buffer protocol and __array_interface__, so memoryview(array) and\n\
    numpy.asarray(array) share its memory, and keep it alive.\n\n\
    >>> made = LuaRuntime().eval('python.array_from({{1, 2, 3}, {4, 5, 6}}, \"int32\")')\n\
    >>> made\n\
    <Lua array int32 [2 x 3]>\n\
    >>> memoryview(made).tolist()\n\
    [[1, 2, 3], [4, 5, 6]]";

/// The memory of a `_LuaArray`.
#[repr(C)]
pub(crate) struct ArrayObject {
    base: ffi::PyObject,
    source: Option<Source>,
    layout: Layout,
}

/// What such an object takes, with what Python's collector and allocator have beside it.
pub(crate) const SIZE: usize = size_of::<ArrayObject>() + 48;

/// Makes an array.
pub(crate) fn create<'py>(py: Python<'py>, owned: Owned) -> PyResult<Bound<'py, PyAny>> {
    let (source, mut layout) = owned.into_parts();
    layout.header.whole = true;
    // SAFETY: attached; the type's basic size is that of the struct. Between the allocation
    // and the two writes nothing is called, so the collector does not come.
    unsafe {
        let object = ffi::PyType_GenericAlloc(types::get().array, 0);
        let object = Bound::from_owned_ptr_or_err(py, object)?;
        let array = object.as_ptr().cast::<ArrayObject>();
        (&raw mut (*array).layout).write(layout);
        (&raw mut (*array).source).write(Some(source));
        Ok(object)
    }
}

/// Whether an object is a `_LuaArray`.
///
/// # Safety
/// A live object.
#[inline]
pub(crate) unsafe fn is_array(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises; the type has no subclasses.
    unsafe { ffi::Py_TYPE(object) == types::get().array }
}

/// The layout of an array.
///
/// # Safety
/// [`is_array`] holds; it lives as long as the result.
pub(crate) unsafe fn layout<'a>(object: *mut ffi::PyObject) -> &'a Layout {
    // SAFETY: as the caller promises.
    unsafe { &(*object.cast::<ArrayObject>()).layout }
}

/// Whose an array's memory is.
///
/// # Safety
/// As for [`layout`].
pub(crate) unsafe fn source<'a>(object: *mut ffi::PyObject) -> Option<&'a Source> {
    // SAFETY: as the caller promises.
    unsafe { (*object.cast::<ArrayObject>()).source.as_ref() }
}

/// `array float64 [2 x 3]`
pub(crate) fn describe(layout: &Layout) -> String {
    let lens: Vec<_> = layout.dims().iter().map(|dim| dim.len.to_string()).collect();
    format!("array {} [{}]", dtype_name(layout), lens.join(" x "))
}

/// The name of the element type, as NumPy's `dtype` takes it.
pub(crate) fn dtype_name(layout: &Layout) -> String {
    if layout.header.swapped {
        layout.header.kind.type_string(true)
    } else {
        layout.header.kind.name().to_owned()
    }
}

/// The slots of the type.
pub(crate) fn slots() -> Vec<ffi::PyType_Slot> {
    vec![
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_repr, repr as *mut c_void),
        slot(ffi::Py_tp_getset, getters().cast()),
        slot(ffi::Py_sq_length, length as *mut c_void),
        slot(ffi::Py_bf_getbuffer, get_buffer as *mut c_void),
        slot(ffi::Py_bf_releasebuffer, release_buffer as *mut c_void),
    ]
}

unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
    // SAFETY: called by Python for the last reference. What is held may run Python code when it is
    // dropped, so an exception that is on its way is kept.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        let saved = types::SavedError::take();
        drop((*object.cast::<ArrayObject>()).source.take());
        saved.restore();
        types::free(object);
    }
}

unsafe extern "C" fn traverse(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by Python's collector with a live object.
    unsafe {
        let result = types::visit_type(object, visit, arg);
        match &(*object.cast::<ArrayObject>()).source {
            Some(source) if result == 0 => {
                let held = source.held().into_iter().filter(|held| !held.is_null());
                held.map(|held| visit(held, arg)).find(|&result| result != 0).unwrap_or(0)
            }
            _ => result,
        }
    }
}

unsafe extern "C" fn repr(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live array.
        let layout = unsafe { layout(object) };
        Ok(fallible::string(py, &format!("<Lua {}>", describe(layout)))?.into_any())
    })
}

unsafe extern "C" fn length(object: *mut ffi::PyObject) -> ffi::Py_ssize_t {
    // SAFETY: called by Python with a live array.
    guard_int(|_| match unsafe { layout(object) }.dims().first() {
        Some(dim) => Ok(dim.len),
        None => {
            Err(fallible::error::<PyTypeError>("an array without dimensions has no length").into())
        }
    })
}

/// What getters read.
type Read = for<'py> fn(Python<'py>, &Layout) -> PyResult<Bound<'py, PyAny>>;

unsafe extern "C" fn get(object: *mut ffi::PyObject, read: *mut c_void) -> *mut ffi::PyObject {
    guard(|py| -> Result<Bound<'_, PyAny>> {
        // SAFETY: called by Python with a live array, and with what `getters` has set.
        unsafe {
            let read = std::mem::transmute::<*mut c_void, Read>(read);
            Ok(read(py, layout(object))?)
        }
    })
}

fn getters() -> *mut ffi::PyGetSetDef {
    const READERS: [(&CStr, Read, &CStr); 8] = [
        (c"shape", |py, l| shape(py, l), c"The number of elements in each dimension."),
        (
            c"strides",
            |py, l| strides(py, l),
            c"The bytes from one element to the next in each dimension.",
        ),
        (
            c"dtype",
            |py, l| Ok(fallible::string(py, &dtype_name(l))?.into_any()),
            c"The name of the element type, as NumPy's.",
        ),
        (c"ndim", |py, l| fallible::unsigned(py, l.dims().len()), c"The number of dimensions."),
        (c"size", |py, l| fallible::unsigned(py, l.count()), c"The number of elements."),
        (
            c"nbytes",
            |py, l| fallible::unsigned(py, l.bytes()),
            c"The bytes that the elements take.",
        ),
        (
            c"readonly",
            |py, l| l.header.readonly.into_bound_py_any(py),
            c"Whether the memory may not be written.",
        ),
        (
            c"__array_interface__",
            |py, l| interface(py, l),
            c"NumPy's description of the memory, version 3.",
        ),
    ];
    let mut getters: Vec<_> = READERS
        .iter()
        .map(|(name, read, doc)| ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get),
            set: None,
            doc: doc.as_ptr(),
            closure: *read as *mut c_void,
        })
        .collect();
    getters.push(ffi::PyGetSetDef::default());
    // The type keeps the pointer, and lives for ever.
    Box::leak(getters.into_boxed_slice()).as_mut_ptr()
}

fn shape<'py>(py: Python<'py>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    numbers(py, layout, |dim| dim.len)
}

fn strides<'py>(py: Python<'py>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    numbers(py, layout, |dim| dim.stride)
}

fn numbers<'py>(
    py: Python<'py>,
    layout: &Layout,
    number: fn(&crate::array::layout::Dim) -> isize,
) -> PyResult<Bound<'py, PyAny>> {
    let mut numbers = fallible::with_room(layout.dims().len())?;
    for dim in layout.dims() {
        numbers.push(fallible::integer(py, number(dim))?);
    }
    Ok(fallible::tuple(py, numbers)?.into_any())
}

fn interface<'py>(py: Python<'py>, layout: &Layout) -> PyResult<Bound<'py, PyAny>> {
    let header = layout.header;
    let result = fallible::dict(py)?;
    let name = |name| fallible::name(py, name);
    result.set_item(name(c"shape")?, shape(py, layout)?)?;
    result.set_item(name(c"strides")?, strides(py, layout)?)?;
    let typestr = header.kind.type_string(header.swapped);
    result.set_item(name(c"typestr")?, fallible::string(py, &typestr)?)?;
    let address = fallible::unsigned(py, header.data as usize)?;
    result.set_item(name(c"data")?, (address, header.readonly))?;
    result.set_item(name(c"version")?, 3)?;
    Ok(result.into_any())
}

unsafe extern "C" fn get_buffer(
    object: *mut ffi::PyObject,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> c_int {
    guard_status(|_| {
        // SAFETY: called by Python with a live array and a buffer to fill.
        unsafe {
            (*view).obj = null_mut();
            let layout = layout(object);
            let header = layout.header;
            refuse(layout, flags)?;
            // Shape and strides have to stay where they are until the buffer is released.
            let dims = layout.dims();
            let numbers: Box<[isize]> =
                dims.iter().map(|dim| dim.len).chain(dims.iter().map(|dim| dim.stride)).collect();
            let numbers = Box::into_raw(numbers).cast::<isize>();
            let wants = |flag| flags & flag == flag;
            view.write(ffi::Py_buffer {
                buf: header.data.cast(),
                obj: object,
                len: layout.bytes() as ffi::Py_ssize_t,
                itemsize: header.kind.size() as ffi::Py_ssize_t,
                readonly: header.readonly.into(),
                ndim: header.ndim as c_int,
                format: optional(
                    wants(ffi::PyBUF_FORMAT),
                    header.kind.format(header.swapped).as_ptr().cast_mut(),
                ),
                shape: optional(wants(ffi::PyBUF_ND), numbers),
                strides: optional(wants(ffi::PyBUF_STRIDES), numbers.wrapping_add(dims.len())),
                suboffsets: null_mut(),
                internal: numbers.cast(),
            });
            ffi::Py_INCREF(object);
        }
        Ok(0)
    })
}

/// A pointer that a consumer may not want.
fn optional<T>(wanted: bool, pointer: *mut T) -> *mut T {
    if wanted { pointer } else { null_mut() }
}

/// Refuses what a consumer asks for and the array is not.
fn refuse(layout: &Layout, flags: c_int) -> PyResult<()> {
    let wants = |flag| flags & flag == flag;
    let (c, fortran) = (layout.is_c_contiguous(), layout.is_fortran_contiguous());
    let problem = if wants(ffi::PyBUF_WRITABLE) && layout.header.readonly {
        "the array is read-only"
    } else if wants(ffi::PyBUF_C_CONTIGUOUS) && !c {
        "the array is not contiguous in C order"
    } else if wants(ffi::PyBUF_F_CONTIGUOUS) && !fortran {
        "the array is not contiguous in Fortran order"
    } else if wants(ffi::PyBUF_ANY_CONTIGUOUS) && !c && !fortran || !wants(ffi::PyBUF_STRIDES) && !c
    {
        "the array is not contiguous"
    } else {
        return Ok(());
    };
    Err(fallible::error::<PyBufferError>(problem))
}

unsafe extern "C" fn release_buffer(object: *mut ffi::PyObject, view: *mut ffi::Py_buffer) {
    // SAFETY: called by Python with a buffer that `get_buffer` has filled.
    unsafe {
        let count = 2 * layout(object).dims().len();
        let numbers = std::ptr::slice_from_raw_parts_mut((*view).internal.cast::<isize>(), count);
        drop(Box::from_raw(numbers));
    }
}
