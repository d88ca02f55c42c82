//! The operations of an array in Lua, with all their cases, and its methods.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, Ref, State, value};
use pyo3::exceptions::{PyAttributeError, PyTypeError};

use super::layout::Layout;
use super::memory::{Array, Elements, OnStack};
use super::{create, element, object, userdata, values};
use crate::base::error::Error;
use crate::base::fallible;
use crate::calls::callback::{Callback, Failure, Outcome};
use crate::convert::lua_error::raised;
use crate::convert::prepared::Prepared;
use crate::convert::to_lua::push_protected;
use crate::runtime::account::Work;
use crate::runtime::entry::Entry;

/// The array that a method is of.
pub(super) fn this<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
) -> Result<Array<'py>, Failure> {
    Array::at(entry.runtime(), entry.py, state, 1).ok_or_else(|| {
        fallible::error::<PyTypeError>("an array is expected here, and one that was not released")
            .into()
    })
}

/// Pushes an array.
pub(super) fn push_array<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    array: &Array<'_>,
) -> Outcome {
    userdata::push_protected(entry, state, array.elements())?;
    Ok(1)
}

/// Pushes an array of some of the memory of another one.
pub(super) fn push_view<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    of: &Array<'_>,
    layout: Layout,
) -> Outcome {
    push_array(entry, state, &of.view(layout))
}

/// Pushes a string.
pub(super) fn push_text<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    text: &str,
) -> Outcome {
    push_protected(entry, state, Prepared::Bytes(text.as_bytes()))?;
    Ok(1)
}

/// Pushes a sequence of integers as a table.
pub(super) fn push_integers<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    integers: &[isize],
) -> Outcome {
    let pushed = state.protect_values(|raising| {
        raising.new_table(integers.len() as i32, 0);
        for (&integer, place) in integers.iter().zip(1..) {
            raising.push_integer(integer as i64);
            raising.raw_seti(-2, place);
        }
        1
    });
    pushed.map_err(|failure| raised(entry, state, failure).into())
}

/// `a[key]`: an element, a row or an attribute.
pub(super) struct Index;

impl<B: LuaBackend> Callback<B> for Index {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        // The name stays where it is.
        let attribute =
            state.with_bytes(2, |name| name.map(|name| attribute(entry, state, &array, name)));
        if let Some(attribute) = attribute {
            return attribute;
        }
        let dims = array.layout().dims();
        let Some(dim) = dims.first() else {
            let message = "an array without dimensions has no a[i], but a:get() and a:set(value)";
            return Err(fallible::error::<PyTypeError>(message).into());
        };
        if dims.len() > 1 {
            let position = values::position(entry, state, 2, dim.len)?;
            return push_view(entry, state, &array, array.layout().row(position));
        }
        let at = values::element(entry, state, array.elements(), 2, 1)?;
        values::push(entry, state, element::load(at))
    }
}

fn attribute<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    array: &Array<'_>,
    name: &[u8],
) -> Outcome {
    let layout = array.layout();
    let dims = layout.dims();
    let number = |number: usize| {
        state.push_integer(number as i64);
        Ok(1)
    };
    match name {
        b"ndim" => number(dims.len()),
        b"size" => number(layout.count()),
        b"nbytes" => number(layout.bytes()),
        b"itemsize" => number(layout.header.kind.size()),
        b"dtype" => push_text(entry, state, &object::dtype_name(layout)),
        b"readonly" => {
            state.push_bool(layout.header.readonly);
            Ok(1)
        }
        b"shape" => {
            let lens: Vec<_> = dims.iter().map(|dim| dim.len).collect();
            push_integers(entry, state, &lens)
        }
        b"strides" => {
            let strides: Vec<_> = dims.iter().map(|dim| dim.stride).collect();
            push_integers(entry, state, &strides)
        }
        b"real" | b"imag" if layout.header.kind.is_complex() => {
            match layout.part(isize::from(name == b"imag")) {
                Some(part) => push_view(entry, state, array, part),
                None => Ok(0),
            }
        }
        b"real" | b"imag" => {
            let kind = layout.header.kind.name();
            let message = format!("only complex arrays have real and imag, not {kind}");
            Err(fallible::error::<PyAttributeError>(message).into())
        }
        b"data" => Err(super::jit::no_pointer::<B>(layout).into()),
        _ => {
            let name = String::from_utf8_lossy(name);
            Err(fallible::error::<PyAttributeError>(format!("an array has no field '{name}'"))
                .into())
        }
    }
}

/// `a[i] = value`
pub(super) struct NewIndex;

impl<B: LuaBackend> Callback<B> for NewIndex {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        if state.type_of(2) == value::STRING {
            let message = "the fields of an array cannot be set";
            return Err(fallible::error::<PyAttributeError>(message).into());
        }
        let layout = array.layout();
        if layout.dims().len() != 1 {
            let message = format!(
                "a[i] = value is for arrays of one dimension; this has {}: a:set(i, ..., value)",
                layout.dims().len()
            );
            return Err(fallible::error::<PyTypeError>(message).into());
        }
        let at = values::element(entry, state, array.elements(), 2, 1)?;
        let value = values::read(entry, state, 3, layout.header.kind)?;
        values::write(at, value)?;
        Ok(0)
    }
}

/// `a:get(i, j, ...)`
pub(super) struct Get;

impl<B: LuaBackend> Callback<B> for Get {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let at = values::element(entry, state, array.elements(), 2, state.top() - 1)?;
        values::push(entry, state, element::load(at))
    }
}

/// `a:set(i, j, ..., value)`
pub(super) struct Set;

impl<B: LuaBackend> Callback<B> for Set {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let count = (state.top() - 2).max(0);
        let at = values::element(entry, state, array.elements(), 2, count)?;
        let value = values::read(entry, state, state.top(), at.kind())?;
        values::write(at, value)?;
        Ok(0)
    }
}

/// `#a` of what has no length.
pub(super) struct NoLength;

impl<B: LuaBackend> Callback<B> for NoLength {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        this(entry, state)?;
        Err(fallible::error::<PyTypeError>("an array without dimensions has no length").into())
    }
}

/// `tostring(a)`
pub(super) struct ToString;

impl<B: LuaBackend> Callback<B> for ToString {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        // Also what was released has to be printable.
        match Array::at(entry.runtime(), entry.py, state, 1) {
            Some(array) => push_text(entry, state, &object::describe(array.layout())),
            None => push_text(entry, state, "array (released)"),
        }
    }
}

/// `a:copy()`: the same elements in new memory, in C order and native byte order.
pub(super) struct Copy;

impl<B: LuaBackend> Callback<B> for Copy {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let layout = array.layout();
        let lens: Vec<_> = layout.dims().iter().map(|dim| dim.len).collect();
        let copy = create::zeros(entry, layout.header.kind, &lens)?;
        let mut work = Work::new(entry);
        for (from, to) in array.elements().places().zip(copy.elements().places()) {
            work.step()?;
            element::copy(from, to);
        }
        push_array(entry, state, &copy)
    }
}

/// `a:fill(value)`
pub(super) struct Fill;

impl<B: LuaBackend> Callback<B> for Fill {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let header = array.layout().header;
        let value = values::read(entry, state, 2, header.kind)?;
        let mut work = Work::new(entry);
        for place in array.elements().places() {
            work.step()?;
            values::write(place, value)?;
        }
        if header.readonly {
            return Err(values::read_only().into());
        }
        Ok(0)
    }
}

/// `a:release()`: the array is no array any more, and what it was of is free if it was the last.
pub(super) struct Release;

impl<B: LuaBackend> Callback<B> for Release {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        OnStack(entry.runtime(), state).release(1);
        Ok(0)
    }
}

/// `a:totable()`: the elements in nested tables.
pub(super) struct ToTable;

impl<B: LuaBackend> Callback<B> for ToTable {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        to_table(&mut Work::new(entry), entry, state, array.elements())
    }
}

/// The number of elements that are read between two checks of the limits.
const MANY: isize = 1024;

fn to_table<B: LuaBackend>(
    work: &mut Work<'_, '_, B>,
    entry: &Entry<'_, B>,
    state: State<B>,
    elements: Elements<'_>,
) -> Outcome {
    let layout = elements.layout();
    let Some(dim) = layout.dims().first() else {
        // The one element of the array.
        return match elements.place(&[]) {
            Some(at) => values::push(entry, state, element::load(at)),
            None => Ok(0),
        };
    };
    let (len, flat) = (dim.len, layout.dims().len() == 1);
    let room = i32::try_from(len).map_err(|_| Error::Memory)?;
    let few = if flat { len.min(MANY) } else { 0 };
    let made = state.protect_values(|raising| {
        raising.reserve(lua_api::MIN_ROOM + 4);
        raising.new_table(room, 0);
        set_elements(raising, elements, 0, few);
        1
    });
    if let Err(failure) = made {
        return Err(raised(entry, state, failure).into());
    }
    // Elements that are plain values, then what is left: others, and rows.
    let mut first = if flat { state.raw_len(-1) as isize } else { 0 };
    if flat && first == few && first < len {
        state.push_value(-1);
        let whole = entry.instance.take_ref(state);
        let whole = whole.map_err(|failure| raised(entry, state, failure))?;
        let set = set_more(work, entry, state, elements, whole, first);
        entry.instance.release(whole);
        first = set?;
    }
    for position in first..len {
        work.step()?;
        elements.with_row(position, |row| to_table(work, entry, state, row))?;
        let table = entry.instance.take_ref(state);
        let item = table.map_err(|failure| raised(entry, state, failure))?;
        state.push_value(-1);
        let whole = entry.instance.take_ref(state);
        let whole = whole.map_err(|failure| raised(entry, state, failure))?;
        let set = state.protect(|raising| {
            raising.push_ref(whole);
            raising.push_ref(item);
            raising.raw_seti(-2, position as i64 + 1);
        });
        entry.instance.release(item);
        entry.instance.release(whole);
        set.map_err(|failure| raised(entry, state, failure))?;
    }
    Ok(1)
}

/// Sets the elements from `first` on of the table `whole`; gives the position of the first that is no plain value.
fn set_more<B: LuaBackend>(
    work: &mut Work<'_, '_, B>,
    entry: &Entry<'_, B>,
    state: State<B>,
    elements: Elements<'_>,
    whole: Ref,
    mut first: isize,
) -> Result<isize, Failure> {
    let len = elements.layout().dims().first().map_or(0, |dim| dim.len);
    while first < len {
        work.pass(MANY as usize)?;
        let end = len.min(first + MANY);
        let set = state.protect(|raising| {
            raising.push_ref(whole);
            raising.expect_table(1);
            set_elements(raising, elements, first, end)
        });
        first = set.map_err(|failure| raised(entry, state, failure))?;
        if first < end {
            break;
        }
    }
    Ok(first)
}

/// Sets elements of the table on top, those from `first` on and before `end`, up to one that is no plain value; gives
/// its position.
fn set_elements<B: LuaBackend>(
    raising: Raising<'_, B>,
    elements: Elements<'_>,
    first: isize,
    end: isize,
) -> isize {
    for position in first..end {
        let value = elements.place(&[position]).map(element::load);
        let is_plain =
            value.is_some_and(|value| super::access::push_plain_value(raising.state(), value));
        if !is_plain {
            return position;
        }
        raising.raw_seti(-2, position as i64 + 1);
    }
    end
}
