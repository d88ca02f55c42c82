//! Elements on their way to and from Lua, every case: complex numbers, integers beyond what Lua's
//! numbers can tell apart, Python numbers in boxes; and positions, with what is wrong with them.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State, value};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex};

use super::access::{integer, plain_value, push_plain_value};
use super::dtype::Kind;
use super::element::{Misfit, Value, store};
use super::layout::MAX_DIMS;
use super::memory::{Elements, Place};
use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::calls::callback::{Failure, Outcome};
use crate::convert::from_lua::from_lua;
use crate::convert::lua_error::raised;
use crate::convert::to_lua;
use crate::runtime::entry::Entry;

/// Pushes what an element holds. A complex number is a table with `re` and `im`.
pub(super) fn push<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, value: Value) -> Outcome {
    if push_plain_value(state, value) {
        return Ok(1);
    }
    match value {
        Value::Complex(re, im) => push_complex(entry, state, re, im),
        Value::Integer(integer) => push_large(entry, state, integer.into_bound_py_any(entry.py)?),
        Value::Large(integer) => push_large(entry, state, integer.into_bound_py_any(entry.py)?),
        Value::Float(_) | Value::Bool(_) => Ok(0),
    }
}

fn push_complex<B: LuaBackend>(entry: &Entry<'_, B>, state: State<B>, re: f64, im: f64) -> Outcome {
    let pushed = state.protect_values(|raising| {
        raising.new_table(0, 2);
        raising.push_number(re);
        raising.set_field(-2, c"re");
        raising.push_number(im);
        raising.set_field(-2, c"im");
        1
    });
    pushed.map_err(|failure| raised(entry, state, failure).into())
}

/// Pushes what the overflow handler makes of an integer that Lua has no exact number for.
fn push_large<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    integer: Bound<'_, PyAny>,
) -> Outcome {
    let Some(ready) = to_lua::overflow_handler(entry, &integer)? else {
        let message = format!("{integer} cannot be a number of this Lua without losing digits");
        return Err(fallible::error::<PyOverflowError>(message).into());
    };
    to_lua::push_protected(entry, state, ready.value())?;
    Ok(1)
}

/// The element value at `index`.
pub(super) fn read<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
    kind: Kind,
) -> Result<Value, Failure> {
    if let Some(value) = plain_value(state, index) {
        return Ok(value);
    }
    if state.type_of(index) == value::TABLE && kind.is_complex() {
        return Ok(read_complex(entry, state, index)?);
    }
    if entry.boxes.find(state, index).is_some() {
        let object = from_lua(entry.runtime(), entry.py, state, index)?;
        crate::calls::permission::check_number(entry, &object)?;
        return Ok(from_python(&object)?);
    }
    if super::jit::is_cdata(state, index)
        && let Some(value) = super::jit::number(entry, state, index)?
    {
        return Ok(value);
    }
    let got = format!("{}, not {}", Misfit::Type.message(kind), state.type_name(index));
    Err(fallible::error::<PyTypeError>(got).into())
}

/// The value of a Python number: that of a box, which is there for what is too large for Lua.
pub(super) fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    if object.is_instance_of::<PyBool>() {
        return Ok(Value::Bool(object.is_truthy()?));
    }
    if let Ok(complex) = object.cast::<PyComplex>() {
        return Ok(Value::Complex(complex.real(), complex.imag()));
    }
    if object.has_attribute(c"__index__")? {
        return match object.extract::<i64>() {
            Ok(integer) => Ok(Value::Integer(integer)),
            Err(_) => object.extract::<u64>().map(Value::Large),
        };
    }
    object.extract::<f64>().map(Value::Float)
}

fn read_complex<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
) -> Result<Value, crate::base::error::Error> {
    let names = state.protect_values(|raising| {
        raising.push_bytes(b"re");
        raising.push_bytes(b"im");
        2
    });
    if let Err(failure) = names {
        return Err(raised(entry, state, failure));
    }
    let base = state.top() - 2;
    let mut parts = [None; 2];
    for (part, name) in parts.iter_mut().zip(base + 1..) {
        state.push_value(name);
        state.raw_get(index);
        if state.type_of(-1) == value::NUMBER {
            *part = Some(state.to_number(-1));
        }
        state.pop(1);
    }
    state.set_top(base);
    match parts {
        [Some(re), Some(im)] => Ok(Value::Complex(re, im)),
        _ => {
            let message = "a table for a complex number has the fields re and im, both numbers";
            Err(fallible::error::<PyTypeError>(message).into())
        }
    }
}

/// Writes to an element.
pub(super) fn write(at: Place<'_>, value: Value) -> PyResult<()> {
    if at.is_readonly() {
        return Err(read_only());
    }
    store(at, value).map_err(|misfit| {
        let message = misfit.message(at.kind());
        match misfit {
            Misfit::Range => fallible::error::<PyOverflowError>(message),
            Misfit::Fraction => fallible::error::<PyValueError>(message),
            Misfit::Type | Misfit::Complex => fallible::error::<PyTypeError>(message),
        }
    })
}

pub(super) fn read_only() -> PyErr {
    fallible::error::<PyValueError>("the array is read-only")
}

/// The position, from 0 on, that the value at `index` names in a dimension.
pub(super) fn position<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
    len: isize,
) -> Result<isize, Failure> {
    let base = entry.options.array_base;
    let Some(number) = integer(state, index) else {
        let found = match state.type_of(index) {
            value::NUMBER => "a number with a fraction",
            value::NONE => "nothing",
            _ => state.type_name(index),
        };
        return Err(fallible::error::<PyTypeError>(format!(
            "an index must be an integer, not {found}"
        ))
        .into());
    };
    let position = number.wrapping_sub(base);
    if (0..len as i64).contains(&position) {
        return Ok(position as isize);
    }
    let bounds = match len {
        0 => "there are none".to_owned(),
        _ => format!("they go from {base} to {}", len as i64 - 1 + base),
    };
    Err(fallible::error::<PyIndexError>(format!("index {number} is out of bounds: {bounds}"))
        .into())
}

/// The element that the values from `first` on name; they must be as many as the array has
/// dimensions.
pub(super) fn element<'a, B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    elements: Elements<'a>,
    first: i32,
    count: i32,
) -> Result<Place<'a>, Failure> {
    let dims = elements.layout().dims();
    if count as usize != dims.len() {
        let message = format!("an element has {} indices here, not {count}", dims.len());
        return Err(fallible::error::<PyIndexError>(message).into());
    }
    let mut positions = [0; MAX_DIMS];
    for ((place, dim), index) in positions.iter_mut().zip(dims).zip(first..) {
        *place = position(entry, state, index, dim.len)?;
    }
    let place = elements.place(&positions[..dims.len()]);
    place.ok_or_else(|| fallible::error::<PyIndexError>("there is no such element").into())
}
