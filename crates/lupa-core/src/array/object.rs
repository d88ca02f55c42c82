//! `_LuaArray`: an array as a Python object, with the buffer protocol and `__array_interface__`.
//!
//! It owns the memory, or what does ([`Source`]). The userdata of an array in Lua owns one of these.
#![forbid(unsafe_code)]

use std::ffi::{CStr, c_int};

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::{IntoPyObjectExt, ffi};

use super::layout::Layout;
use super::memory::{Owned, Source};
use super::python;
use crate::base::error::Result;
use crate::base::fallible;
use crate::base::vectors;
use crate::types::alive::Alive;
use crate::types::heap_type::{Place, This};
use crate::types::heap_type::{Visit, Visited};
use crate::types::operations::{Content, Length, Read, SavedError, Unary};
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"An array that Lua code sees (see ``as_array()``), or has made.\n\n\
    It has the buffer protocol and __array_interface__, so memoryview(array) and\n\
    numpy.asarray(array) share its memory, and keep it alive.\n\n\
    >>> made = LuaRuntime().eval('python.array_from({{1, 2, 3}, {4, 5, 6}}, \"int32\")')\n\
    >>> made\n\
    <Lua array int32 [2 x 3]>\n\
    >>> made[0, 1], made[1].tolist(), made[:, ::2].tolist()\n\
    (2, [4, 5, 6], [[1, 3], [4, 6]])\n\
    >>> memoryview(made).tolist()\n\
    [[1, 2, 3], [4, 5, 6]]\n\n\
    Indices count from 0 here. A slice or a row is an array of the same memory.";

/// The type of such objects.
pub(crate) static TYPE: Place = Place::new();

/// The content of a `_LuaArray`. It never changes.
pub(crate) struct ArrayObject {
    source: Source,
    layout: Layout,
}

/// The memory that such an object takes, with the overhead of Python's collector and allocator.
pub(crate) const SIZE: usize = size_of::<ArrayObject>() + 48;

/// Makes an array.
pub(crate) fn create<'py>(py: Python<'py>, owned: Owned) -> PyResult<Bound<'py, PyAny>> {
    let (source, mut layout) = owned.into_parts();
    layout.header.whole = true;
    TYPE.get().create(py, ArrayObject { source, layout })
}

/// An object, if it is a `_LuaArray`.
#[inline]
pub(crate) fn of(object: Alive<'_>) -> Option<This<'_, ArrayObject>> {
    TYPE.get().of(object)
}

impl ArrayObject {
    /// Where the elements are.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whose the memory is.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }
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

pub(crate) fn spec() -> Spec<ArrayObject> {
    Spec::new("_LuaArray", DOC)
        .repr::<Repr>()
        .getters(GETTERS)
        .mapping_length::<Len>()
        .sequence_length::<Len>()
        .item::<python::Item>()
        .set_item::<python::SetItem>()
        .iter::<python::Iter>()
        .methods(python::methods())
        .buffer()
}

impl Content for ArrayObject {
    fn visit(&self, visit: &Visit) -> Visited {
        self.source.visit(visit)
    }

    /// Dropping the held objects may run Python code, so the current exception is saved meanwhile.
    fn end(self, py: Python<'_>) {
        let saved = SavedError::take(py);
        drop(self.source);
        saved.restore(py);
    }
}

struct Repr;

impl Unary<ArrayObject> for Repr {
    fn run<'py>(py: Python<'py>, this: This<'py, ArrayObject>) -> Result<Bound<'py, PyAny>> {
        Ok(fallible::string(py, &format!("<Lua {}>", describe(this.layout())))?.into_any())
    }
}

struct Len;

impl Length<ArrayObject> for Len {
    fn run<'py>(_: Python<'py>, this: This<'py, ArrayObject>) -> Result<isize> {
        match this.layout().dims().first() {
            Some(dim) => Ok(dim.len),
            None => {
                let message = "an array without dimensions has no length";
                Err(fallible::error::<PyTypeError>(message).into())
            }
        }
    }
}

const GETTERS: &[(&CStr, Read<ArrayObject>, &CStr)] = &[
    (c"shape", |py, a| shape(py, a.layout()), c"The number of elements in each dimension."),
    (
        c"strides",
        |py, a| strides(py, a.layout()),
        c"The bytes from one element to the next in each dimension.",
    ),
    (
        c"dtype",
        |py, a| Ok(fallible::string(py, &dtype_name(a.layout()))?.into_any()),
        c"The name of the element type, as NumPy's.",
    ),
    (
        c"ndim",
        |py, a| fallible::unsigned(py, a.layout().dims().len()),
        c"The number of dimensions.",
    ),
    (c"size", |py, a| fallible::unsigned(py, a.layout().count()), c"The number of elements."),
    (
        c"nbytes",
        |py, a| fallible::unsigned(py, a.layout().bytes()),
        c"The bytes that the elements take.",
    ),
    (
        c"readonly",
        |py, a| a.layout().header.readonly.into_bound_py_any(py),
        c"Whether the memory may not be written.",
    ),
    (
        c"__array_interface__",
        |py, a| interface(py, a.layout()),
        c"NumPy's description of the memory, version 3.",
    ),
];

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
    let mut numbers = vectors::with_room(layout.dims().len())?;
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

/// Refuses what a consumer of the buffer asks for and the array is not.
pub(crate) fn refuse(layout: &Layout, flags: c_int) -> PyResult<()> {
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
