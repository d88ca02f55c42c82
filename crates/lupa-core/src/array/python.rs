//! An array as a sequence of Python: indices from 0 on, slices, iteration, `tolist`.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyEllipsis, PySlice, PyTuple};
use pyo3::{IntoPyObjectExt, PyTypeInfo};

use super::element::{self, Value};
use super::layout::{Dim, Layout, Pick, Range};
use super::memory::{Array, Elements};
use super::object::ArrayObject;
use super::values;
use crate::base::attribute::Attributes as _;
use crate::base::error::{Result, type_error};
use crate::base::fallible;
use crate::base::imported::Imported;
use crate::base::vectors;
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::methods::Method;
use crate::types::operations::{Assign, Binary, Unary};

pub(super) fn methods() -> [Method<ArrayObject>; 1] {
    const DOC: &CStr =
        c"tolist($self, /)\n--\n\nThe elements, in lists of lists for more than one dimension.";
    [Method::without::<ToList>(c"tolist", DOC)]
}

/// The array behind an object that is one.
fn array<'py>(py: Python<'py>, this: This<'py, ArrayObject>) -> Result<Array<'py>> {
    let object = this.object().borrow(py).to_owned();
    Array::of(&object).ok_or_else(|| type_error("not an array"))
}

/// `array[key]`: an element, or a view of the same memory.
pub(super) struct Item;

impl Binary<ArrayObject> for Item {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, ArrayObject>,
        key: Alive<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let array = array(py, this)?;
        let picks = picks(array.layout(), &key.borrow(py).to_owned())?;
        let view = array.layout().view(&picks);
        if view.dims().is_empty() {
            return only_element(py, array.view(view).elements());
        }
        Ok(array.view(view).into_python()?)
    }
}

/// `array[key] = value`, for one element, or the same value for all of a slice.
pub(super) struct SetItem;

impl Assign<ArrayObject> for SetItem {
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, ArrayObject>,
        key: Alive<'py>,
        value: Option<Alive<'py>>,
    ) -> Result<()> {
        let array = array(py, this)?;
        let Some(value) = value else {
            return Err(type_error("the elements of an array cannot be deleted"));
        };
        let value = value.borrow(py).to_owned();
        let picks = picks(array.layout(), &key.borrow(py).to_owned())?;
        let number = values::from_python(&value)?;
        if array.layout().header.readonly {
            return Err(values::read_only().into());
        }
        let part = array.view(array.layout().view(&picks));
        for place in part.elements().places() {
            values::write(place, number)?;
        }
        Ok(())
    }
}

/// `iter(array)`
pub(super) struct Iter;

impl Unary<ArrayObject> for Iter {
    fn run<'py>(py: Python<'py>, this: This<'py, ArrayObject>) -> Result<Bound<'py, PyAny>> {
        static MAP: Imported = Imported::new(c"builtins", c"map");
        static RANGE: Imported = Imported::new(c"builtins", c"range");
        let Some(dim) = this.layout().dims().first() else {
            return Err(type_error("iteration over an array without dimensions"));
        };
        let length = fallible::integer(py, dim.len)?;
        let object = this.object().borrow(py).to_owned();
        let indices = RANGE.get(py)?.call1((length,))?;
        Ok(MAP.get(py)?.call1((object.attribute(c"__getitem__")?, indices))?)
    }
}

struct ToList;

impl Unary<ArrayObject> for ToList {
    fn run<'py>(py: Python<'py>, this: This<'py, ArrayObject>) -> Result<Bound<'py, PyAny>> {
        to_list(py, array(py, this)?.elements())
    }
}

fn to_list<'py>(py: Python<'py>, elements: Elements<'_>) -> Result<Bound<'py, PyAny>> {
    let dims = elements.layout().dims();
    let Some(dim) = dims.first() else { return only_element(py, elements) };
    let list = fallible::list(py)?;
    if dims.len() == 1 {
        for place in elements.places() {
            list.append(object(py, element::load(place))?)?;
        }
    } else {
        for position in 0..dim.len {
            list.append(elements.with_row(position, |row| to_list(py, row))?)?;
        }
    }
    Ok(list.into_any())
}

/// The element of an array without dimensions.
fn only_element<'py>(py: Python<'py>, elements: Elements<'_>) -> Result<Bound<'py, PyAny>> {
    match elements.place(&[]) {
        Some(place) => object(py, element::load(place)),
        None => Err(fallible::error::<PyIndexError>("there is no such element").into()),
    }
}

fn object(py: Python<'_>, value: Value) -> Result<Bound<'_, PyAny>> {
    Ok(match value {
        Value::Bool(truth) => truth.into_bound_py_any(py)?,
        Value::Integer(number) => fallible::int64(py, number)?,
        Value::Large(number) => number.into_bound_py_any(py)?,
        Value::Float(number) => fallible::float(py, number)?,
        Value::Complex(re, im) => PyComplex::type_object(py).call1((re, im))?,
    })
}

/// The parts of the dimensions that a key names: an integer, a slice, `...`, or a tuple of such.
fn picks<'py>(layout: &Layout, key: &Bound<'py, PyAny>) -> Result<Vec<Pick>> {
    let mut picks = vectors::with_room(layout.dims().len())?;
    let keys: Vec<Bound<'py, PyAny>> = match key.cast::<PyTuple>() {
        Ok(keys) => keys.iter().collect(),
        Err(_) => vec![key.clone()],
    };
    let is_rest = |key: &&Bound<'py, PyAny>| key.is_instance_of::<PyEllipsis>();
    let named = keys.len() - keys.iter().filter(is_rest).count();
    let left = layout.dims().len().checked_sub(named).ok_or_else(|| {
        let text = format!("too many indices: the array has {} dimensions", layout.dims().len());
        fallible::error::<PyIndexError>(text)
    })?;
    let mut left = Some(left);
    let mut dims = layout.dims().iter();
    for key in &keys {
        if is_rest(&key) {
            let Some(left) = left.take() else {
                return Err(fallible::error::<PyIndexError>("an index has one '...' only").into());
            };
            let whole = |dim: &Dim| Pick::Range(Range { first: 0, count: dim.len, step: 1 });
            picks.extend(dims.by_ref().take(left).map(whole));
        } else if let Some(dim) = dims.next() {
            picks.push(pick(key, dim.len)?);
        }
    }
    Ok(picks)
}

fn pick(key: &Bound<'_, PyAny>, length: isize) -> Result<Pick> {
    if let Ok(slice) = key.cast::<PySlice>() {
        let indices = slice.indices(length)?;
        let count = isize::try_from(indices.slicelength).unwrap_or(0);
        // With one element or none the step has no meaning, and might not fit the address space.
        let step = if count < 2 { 1 } else { indices.step };
        return Ok(Pick::Range(Range { first: indices.start, count, step }));
    }
    let Ok(index) = fallible::index(key) else {
        let kind = key.get_type().attribute(c"__name__")?;
        let text = format!("an index of an array must be an integer or a slice, not {kind}");
        return Err(fallible::error::<PyTypeError>(text).into());
    };
    let out_of_range = || {
        let text = format!("index {index} is out of bounds: there are {length}");
        fallible::error::<PyIndexError>(text)
    };
    let number: isize = index.extract().map_err(|_| out_of_range())?;
    let position = if number < 0 { number.saturating_add(length) } else { number };
    if (0..length).contains(&position) {
        Ok(Pick::One(position))
    } else {
        Err(out_of_range().into())
    }
}
