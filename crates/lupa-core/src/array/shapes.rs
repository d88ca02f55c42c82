//! Methods of arrays that give other views of the same memory: `slice`, `reshape`, `transpose`.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State, value};
use pyo3::exceptions::{PyTypeError, PyValueError};

use super::layout::{Pick, Range};
use super::methods::{push_view, this};
use super::{create, values};
use crate::base::fallible;
use crate::calls::callback::{Callback, Failure, Outcome};
use crate::runtime::entry::Entry;

/// `a:slice(first, last, step)`, or for each dimension `{first, last, step}`, `true` or an index.
pub(super) struct Slice;

impl<B: LuaBackend> Callback<B> for Slice {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let layout = array.layout();
        let top = state.top();
        let dims = layout.dims();
        let by_dimension =
            (2..=top).any(|index| matches!(state.type_of(index), value::TABLE | value::BOOLEAN));
        let mut picks = Vec::new();
        if !by_dimension {
            let Some(dim) = dims.first() else {
                let message = "an array without dimensions cannot be sliced";
                return Err(fallible::error::<PyTypeError>(message).into());
            };
            if top > 4 {
                return Err(Failure::argument(4, "slice", "too many arguments".into()));
            }
            state.set_top(4);
            picks.push(Pick::Range(range(entry, state, 2, dim.len)?));
        } else {
            if (top - 1) as usize > dims.len() {
                let message = format!("the array has only {} dimensions", dims.len());
                return Err(Failure::argument(top - 1, "slice", message.into()));
            }
            for (dim, index) in dims.iter().zip(2..=top) {
                picks.push(pick(entry, state, index, dim.len)?);
            }
        }
        push_view(entry, state, &array, layout.view(&picks))
    }
}

/// Applies the index at `index` to a dimension.
fn pick<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
    len: isize,
) -> Result<Pick, Failure> {
    match state.type_of(index) {
        value::BOOLEAN if state.to_bool(index) => {
            Ok(Pick::Range(Range { first: 0, count: len, step: 1 }))
        }
        value::TABLE => {
            let base = state.top();
            for place in 1..=3 {
                state.raw_geti(index, place);
            }
            let range = range(entry, state, base + 1, len);
            state.set_top(base);
            Ok(Pick::Range(range?))
        }
        _ => Ok(Pick::One(values::position(entry, state, index, len)?)),
    }
}

/// The range that the three values from `index` on describe: first and last, both included, and the
/// step. A negative position counts from the end; what is out of bounds is cut off, as in
/// `string.sub`.
fn range<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
    len: isize,
) -> Result<Range, Failure> {
    let optional = |index: i32| match state.type_of(index) {
        value::NIL | value::NONE => Ok(None),
        _ => super::access::integer(state, index).map(Some).ok_or_else(|| {
            Failure::from(fallible::error::<PyTypeError>(
                "the arguments of a slice must be integers",
            ))
        }),
    };
    let step = optional(index + 2)?.unwrap_or(1);
    if step == 0 {
        return Err(fallible::error::<PyValueError>("the step of a slice cannot be 0").into());
    }
    let len = len as i64;
    let (from, to) = if step > 0 { (0, len - 1) } else { (len - 1, 0) };
    // Whatever a script gives, a place is at most one beyond either end: what is computed with it fits.
    let place = |given: Option<i64>, default: i64| {
        let place = match given {
            None => default,
            Some(number) if number < 0 => number.saturating_add(len),
            Some(number) => number.saturating_sub(entry.options.array_base),
        };
        place.clamp(-1, len)
    };
    let (mut first, mut last) = (place(optional(index)?, from), place(optional(index + 1)?, to));
    if step > 0 {
        (first, last) = (first.max(0), last.min(len - 1));
    } else {
        (first, last) = (first.min(len - 1), last.max(0));
    }
    let distance = if step > 0 { last - first } else { first - last };
    let count = u64::try_from(distance).map_or(0, |distance| distance / step.unsigned_abs() + 1);
    // With one element or none the step has no meaning, and might not fit the address space.
    let step = if count < 2 { 1 } else { step };
    Ok(Range { first: first as isize, count: count as isize, step: step as isize })
}

/// `a:reshape(n, m, ...)` or `a:reshape{n, m, ...}`; one of them may be -1.
pub(super) struct Reshape;

impl<B: LuaBackend> Callback<B> for Reshape {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        let layout = array.layout();
        let mut lens = create::lens(state, 2, "reshape", true)?;
        let count = layout.count() as isize;
        let known = lens
            .iter()
            .filter(|&&len| len != -1)
            .try_fold(1_isize, |product, &len| product.checked_mul(len));
        let known = known.unwrap_or(0);
        if let Some(open) = lens.iter().position(|&len| len == -1)
            && known > 0
            && count % known == 0
        {
            lens[open] = count / known;
        }
        let product: Option<isize> =
            lens.iter().try_fold(1_isize, |product, &len| product.checked_mul(len));
        if product != Some(count) || lens.contains(&-1) {
            let message = format!("{} elements cannot have this shape", layout.count());
            return Err(fallible::error::<PyValueError>(message).into());
        }
        if !layout.is_c_contiguous() {
            let message = "only an array in C order without gaps can be reshaped; a:copy() is one";
            return Err(fallible::error::<PyValueError>(message).into());
        }
        match layout.reshaped(&lens) {
            Some(view) => push_view(entry, state, &array, view),
            None => Err(fallible::error::<PyValueError>("too many dimensions").into()),
        }
    }
}

/// `a:transpose()`
pub(super) struct Transpose;

impl<B: LuaBackend> Callback<B> for Transpose {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let array = this(entry, state)?;
        push_view(entry, state, &array, array.layout().transposed())
    }
}
