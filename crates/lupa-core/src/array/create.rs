//! The functions of Lua's `python` table that make arrays.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, State, value};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};

use super::account::Block;
use super::dtype::Kind;
use super::layout::Layout;
use super::memory::{Array as Made, Elements, OnStack, Owned, Place};
use super::{access, jit, methods, numpy, object, userdata, values};
use crate::base::error::Error;
use crate::base::fallible;
use crate::calls::argument::python_argument;
use crate::calls::callback::{Callback, Failure, Outcome};
use crate::calls::steps::field;
use crate::runtime::account::Work;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// Adds the functions to the table on top; a sandbox has no pointers.
pub(crate) fn library<B: LuaBackend>(raising: Raising<'_, B>, sandboxed: bool) {
    field::<B, Array>(raising, c"array");
    field::<B, Zeros>(raising, c"zeros");
    field::<B, ArrayFrom>(raising, c"array_from");
    if !sandboxed {
        field::<B, CData>(raising, c"cdata");
    }
}

/// An array of new memory, all zeros.
pub(super) fn zeros<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    kind: Kind,
    lens: &[isize],
) -> Result<Made<'py>, Failure> {
    let too_large = || fallible::error::<PyValueError>("an array cannot be that large");
    let layout = Layout::contiguous(kind, lens).ok_or_else(too_large)?;
    entry.make_room(Block::cost(layout.bytes()).saturating_add(object::SIZE))?;
    let account = entry.runtime().instance.memory().outside();
    let owned = Owned::zeros(layout, account).ok_or(Error::Memory)?;
    Ok(Made::new(entry.py, owned)?)
}

/// The lengths of a shape: the integers from `first` on, or those of the one table there. With
/// `open`, -1 may be among them.
pub(super) fn lens<B: LuaBackend>(
    state: State<B>,
    first: i32,
    function: &'static str,
    open: bool,
) -> Result<Vec<isize>, Failure> {
    let least = if open { -1 } else { 0 };
    let wrong = |index| {
        Failure::argument(
            index,
            function,
            "a shape consists of integers that are not negative".into(),
        )
    };
    let too_large = || fallible::error::<PyValueError>("an array cannot be that large");
    let valid = |number: Option<i64>, index| {
        let number = number.filter(|&number| number >= least).ok_or_else(|| wrong(index))?;
        isize::try_from(number).map_err(|_| Failure::from(too_large()))
    };
    let mut lens = Vec::new();
    if state.type_of(first) == value::TABLE {
        for place in 1..=state.raw_len(first).min(super::layout::MAX_DIMS + 1) {
            state.raw_geti(first, place as i64);
            let number = access::integer(state, -1);
            state.pop(1);
            lens.push(valid(number, first)?);
        }
    } else {
        // One more than there may be is one too many.
        for index in (first..=state.top()).take(super::layout::MAX_DIMS + 1) {
            lens.push(valid(access::integer(state, index), index)?);
        }
    }
    Ok(lens)
}

/// The element type that the string at `index` names; doubles if there is none.
fn kind<B: LuaBackend>(
    state: State<B>,
    index: i32,
    function: &'static str,
) -> Result<Kind, Failure> {
    state.with_bytes(index, |name| match name {
        Some(name) => Kind::from_name(&String::from_utf8_lossy(name))
            .map_err(|problem| Failure::argument(index, function, problem.into())),
        None if matches!(state.type_of(index), value::NIL | value::NONE) => Ok(Kind::F64),
        None => Err(Failure::argument(index, function, "the name of a dtype expected".into())),
    })
}

/// `python.zeros(shape, dtype)`
struct Zeros;

impl<B: LuaBackend> Callback<B> for Zeros {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let kind = kind(state, 2, "zeros")?;
        state.set_top(1);
        let lens = lens(state, 1, "zeros", false)?;
        methods::push_array(entry, state, &zeros(entry, kind, &lens)?)
    }
}

/// The most levels of tables that an array is made from.
const MOST_LEVELS: usize = 8;

/// `python.array_from(table, dtype)`
struct ArrayFrom;

impl<B: LuaBackend> Callback<B> for ArrayFrom {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let kind = kind(state, 2, "array_from")?;
        if state.type_of(1) != value::TABLE {
            let problem = format!("table expected, got {}", state.type_name(1));
            return Err(Failure::argument(1, "array_from", problem.into()));
        }
        state.set_top(1);
        let lens = shape_of_tables(entry, state, kind)?;
        let array = zeros(entry, kind, &lens)?;
        fill(&mut Work::new(entry), entry, state, &lens, &mut array.elements().places())?;
        methods::push_array(entry, state, &array)
    }
}

/// The shape that nested tables have, by the first of each.
fn shape_of_tables<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    kind: Kind,
) -> Result<Vec<isize>, Failure> {
    let mut lens = Vec::new();
    state.push_value(1);
    while state.type_of(-1) == value::TABLE {
        let len = state.raw_len(-1);
        let index = state.top();
        if !lens.is_empty()
            && len == 0
            && kind.is_complex()
            && values::read(entry, state, index, kind).is_ok()
        {
            break;
        }
        lens.push(len as isize);
        if lens.len() > MOST_LEVELS {
            let problem = format!("more than {MOST_LEVELS} levels of tables");
            return Err(Failure::argument(1, "array_from", problem.into()));
        }
        state.raw_geti(-1, 1);
        state.remove(-2);
    }
    state.set_top(1);
    Ok(lens)
}

/// Fills elements from the table on top, whose shape begins with `lens`.
fn fill<'a, B: LuaBackend>(
    work: &mut Work<'_, '_, B>,
    entry: &Entry<'_, B>,
    state: State<B>,
    lens: &[isize],
    places: &mut impl Iterator<Item = Place<'a>>,
) -> Result<(), Failure> {
    let Some((&len, inner)) = lens.split_first() else { return Ok(()) };
    for place in 1..=len {
        work.step()?;
        state.raw_geti(-1, place as i64);
        let index = state.top();
        if inner.is_empty() {
            // There are as many as the shape says.
            let Some(at) = places.next() else { return Ok(()) };
            let value = values::read(entry, state, index, at.kind())?;
            values::write(at, value)?;
        } else if state.type_of(index) == value::TABLE && state.raw_len(index) as isize == inner[0]
        {
            fill(work, entry, state, inner, places)?;
        } else {
            let problem = "the tables inside are not all of the same shape";
            return Err(fallible::error::<PyValueError>(problem).into());
        }
        state.pop(1);
    }
    Ok(())
}

/// `python.array(object)`; with an ffi also `python.array(cdata, count)`.
struct Array;

impl<B: LuaBackend> Callback<B> for Array {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        if OnStack(entry.runtime(), state).is_there(1) {
            state.set_top(1);
            return Ok(1);
        }
        if jit::is_cdata(state, 1) {
            userdata::ensure(entry)?;
            let arguments: Vec<_> = (1..=state.top().min(3)).collect();
            return jit::call(entry, state, c"adopt", &arguments);
        }
        if state.type_of(1) == value::TABLE {
            let problem = "a Lua table is made an array by python.array_from";
            return Err(Failure::argument(1, "array", problem.into()));
        }
        let (source, _) = python_argument(entry, state, 1, "array")?;
        crate::calls::permission::check_array(entry, &source)?;
        let options = &entry.options;
        if options.attribute_getter.is_some() || options.attribute_setter.is_some() {
            // These do all access to Python objects, items included.
            let message = "python.array is not available with attribute_handlers; the host can pass as_array(obj)";
            return Err(fallible::error::<PyTypeError>(message).into());
        }
        let array = numpy::array(&source)?;
        let elements = Elements::of(Alive::of(&array)).ok_or(Error::LostReference)?;
        userdata::push_protected(entry, state, elements)?;
        Ok(1)
    }
}

/// `python.cdata(array)`: its pointer, shape, and strides counted in elements.
struct CData;

impl<B: LuaBackend> Callback<B> for CData {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        if !OnStack(entry.runtime(), state).is_there(1) {
            return Err(fallible::error::<PyTypeError>("python.cdata needs an array").into());
        }
        if entry.runtime().arrays.ffi.get().is_none() {
            return Err(fallible::error::<PyRuntimeError>("this Lua has no ffi").into());
        }
        jit::call(entry, state, c"cdata", &[1])
    }
}
