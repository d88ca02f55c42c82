//! Arrays where Lua has an ffi: a chunk of Lua reads and writes elements through typed pointers, so
//! that a loop over them is compiled; and pointers for scripts, and arrays over their memory.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;

use lua_api::{LuaBackend, MULTRET, OK, Ref, State, value};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::account::Pin;
use super::dtype::Kind;
use super::element::Value;
use super::layout::Layout;
use super::memory::{Array, Owned};
use super::{access, create, methods, userdata};
use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::calls::callback::{Callback, Failure, Outcome};
use crate::calls::steps::{field, step};
use crate::convert::lua_error::raised;
use crate::convert::wrapper::{self, WrapperKind};
use crate::runtime::entry::Entry;

const CHUNK: &[u8] = include_bytes!("jit.lua");

/// Whether the value at `index` is a cdata: of no type that a Lua without ffi has.
pub(super) fn is_cdata<B: LuaBackend>(state: State<B>, index: i32) -> bool {
    B::HAS_FFI && state.type_of(index) > value::THREAD
}

/// Lets the chunk change the metatable, if the ffi is there to be had.
pub(super) fn install<B: LuaBackend>(entry: &Entry<'_, B>, metatable: Ref) -> Result<()> {
    let runtime = entry.runtime();
    let base = runtime.options.array_base;
    let found = Cell::new(false);
    let there = &found;
    step(entry, |raising| {
        // Not what a script has put in the place of `require`.
        raising.get_field(B::REGISTRY_INDEX, c"_LOADED");
        raising.get_field(-1, c"ffi");
        if raising.type_of(-1) == value::NIL {
            raising.get_field(B::REGISTRY_INDEX, c"_PRELOAD");
            raising.get_field(-1, c"ffi");
            if raising.type_of(-1) == value::NIL {
                return 0;
            }
            raising.push_bytes(b"ffi");
            raising.call(1, 1);
        }
        let ffi = raising.top();
        if raising.load(CHUNK, c"=lupa array", None) != OK {
            raising.raise();
        }
        raising.push_value(ffi);
        raising.push_ref(metatable);
        raising.new_table(0, 3);
        field::<B, Describe>(raising, c"describe");
        field::<B, Adopt>(raising, c"adopt");
        field::<B, NoPointer>(raising, c"no_pointer");
        raising.push_integer(base);
        raising.call(4, 1);
        there.set(true);
        1
    })?;
    if found.get() {
        let state = entry.state();
        let kept = entry.instance.take_ref(state);
        runtime.arrays.ffi.set(Some(kept.map_err(|failure| raised(entry, state, failure))?));
    }
    Ok(())
}

/// Calls a function of the chunk with the values at these indices; leaves its results.
pub(super) fn call<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    name: &CStr,
    arguments: &[i32],
) -> Outcome {
    let Some(functions) = entry.runtime().arrays.ffi.get() else {
        return Err(fallible::error::<PyRuntimeError>("this Lua has no ffi").into());
    };
    let mut held = Vec::with_capacity(arguments.len());
    for &index in arguments {
        state.push_value(index);
        match entry.instance.take_ref(state) {
            Ok(reference) => held.push(reference),
            Err(failure) => return Err(raised(entry, state, failure).into()),
        }
    }
    let references = held.as_slice();
    let called = state.protect_values(|raising| {
        raising.push_ref(functions);
        raising.get_field(-1, name);
        for &reference in references {
            raising.push_ref(reference);
        }
        raising.call(references.len() as i32, MULTRET);
        raising.top() - 1
    });
    for reference in held {
        entry.instance.release(reference);
    }
    called.map_err(|failure| raised(entry, state, failure).into())
}

/// The number that the cdata at `index` is.
pub(super) fn number<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    index: i32,
) -> std::result::Result<Option<Value>, Failure> {
    userdata::ensure(entry)?;
    let base = state.top();
    let count = call(entry, state, c"number", &[index])?;
    let value = state.with_bytes(base + 1, |text| match (count, text) {
        // As the ffi writes 64-bit integers: `-5LL`, `5ULL`.
        (1, Some(text)) => {
            let text = String::from_utf8_lossy(text);
            let digits = text.trim_end_matches(['L', 'U']);
            let integer = digits.parse::<i64>().map(Value::Integer);
            integer.or_else(|_| digits.parse::<u64>().map(Value::Large)).ok()
        }
        (1, None) => access::plain_value(state, base + 1),
        (2, _) => Some(Value::Complex(state.to_number(base + 1), state.to_number(base + 2))),
        _ => None,
    });
    state.set_top(base);
    Ok(value)
}

/// Why an array has no pointer that C code could use.
pub(super) fn no_pointer<B: LuaBackend>(layout: &Layout) -> PyErr {
    if !B::HAS_FFI {
        return fallible::error::<PyRuntimeError>(
            "this Lua has no ffi, so an array has no data pointer",
        );
    }
    let problem = if layout.header.swapped {
        "its byte order is not this machine's"
    } else if !layout.is_aligned() {
        "its elements are not aligned"
    } else if !layout.is_c_contiguous() {
        "it has gaps, or is not in C order (python.cdata(a) gives pointer and strides)"
    } else {
        return fallible::error::<PyRuntimeError>(
            "the ffi was not open when the first array was made",
        );
    };
    fallible::error::<PyValueError>(format!(
        "the array has no data pointer: {problem}; a:copy() has one"
    ))
}

/// `describe(a)`: what the chunk wants to know of an array: the C type of its elements, the address,
/// whether it is read-only and in C order, the number of dimensions, and for the first two their
/// lengths and strides, in elements. Instead of the C type there is nil where memory is not as C has
/// it.
struct Describe;

impl<B: LuaBackend> Callback<B> for Describe {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let Some(array) = Array::at(entry.runtime(), entry.py, state, 1) else {
            let message = "an array is expected here, and one that was not released";
            return Err(fallible::error::<PyTypeError>(message).into());
        };
        let layout = array.layout();
        let header = layout.header;
        let size = header.kind.size() as isize;
        let plain = !header.swapped
            && layout.is_aligned()
            && layout.dims().iter().all(|dim| dim.len < 2 || dim.stride % size == 0);
        state.set_top(1);
        if plain {
            methods::push_text(entry, state, header.kind.c_type())?;
        } else {
            state.push_nil();
        }
        state.push_integer(header.data as usize as i64);
        state.push_bool(header.readonly);
        state.push_bool(layout.is_c_contiguous());
        methods::push_text(entry, state, header.kind.name())?;
        state.push_integer(i64::from(header.ndim));
        for number in 0..2 {
            let dim = layout.dims().get(number).copied().unwrap_or_default();
            state.push_integer(dim.len as i64);
            state.push_integer((dim.stride / size) as i64);
        }
        Ok(10)
    }
}

/// `no_pointer(a)` raises what is wrong.
struct NoPointer;

impl<B: LuaBackend> Callback<B> for NoPointer {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        match Array::at(entry.runtime(), entry.py, state, 1) {
            Some(array) => Err(no_pointer::<B>(array.layout()).into()),
            None => Err(Error::LostReference.into()),
        }
    }
}

/// `adopt(cdata, address, type, bytes, readonly, shape)`: an array over the memory of a cdata, which
/// it keeps alive. `bytes` is how much memory there is, or negative if nobody knows.
struct Adopt;

impl<B: LuaBackend> Callback<B> for Adopt {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let name = state
            .with_bytes(3, |name| String::from_utf8_lossy(name.unwrap_or_default()).into_owned());
        let Some(kind) = Kind::from_ffi_name(&name) else {
            let message = format!("an array cannot hold elements of the C type '{name}'");
            return Err(fallible::error::<PyTypeError>(message).into());
        };
        let lens = create::lens(state, 6, "array", false)?;
        let too_large = || fallible::error::<PyValueError>("an array cannot be that large");
        let mut layout = Layout::contiguous(kind, &lens).ok_or_else(too_large)?;
        let known = state.to_number(4);
        if known >= 0.0 && layout.bytes() as f64 > known {
            let message = format!(
                "{} elements of {} do not fit into the {known} bytes of the cdata",
                layout.count(),
                kind.name()
            );
            return Err(fallible::error::<PyValueError>(message).into());
        }
        layout.header.readonly = state.to_bool(5);
        let runtime = entry.runtime();
        if runtime.arrays.closing.get() {
            return Err(Error::Closed.into());
        }
        let holder = wrapper::wrap(runtime, entry.py, state, 1, WrapperKind::Object)?;
        let holder = (holder.unbind().into(), Pin::new(&runtime.arrays.pins));
        let owned = Owned::adopted(state, 1, layout, holder).ok_or(Error::LostReference)?;
        methods::push_array(entry, state, &Array::new(entry.py, owned)?)
    }
}
