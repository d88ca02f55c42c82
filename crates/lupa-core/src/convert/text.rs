//! Lua values as text: what their `__tostring` says, and the first entries of a table.
#![forbid(unsafe_code)]

use std::ffi::c_int;

use lua_api::{LuaBackend, Raised, Ref, TableEntry, value};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString};

use crate::base::error::Result;
use crate::base::fallible;
use crate::base::vectors;
use crate::convert::walk::{Walk, Wanted};
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// How many entries of a table are shown.
const SHOWN: usize = 8;

/// How many characters of a text are shown.
const LONGEST: usize = 80;

/// The result of `__tostring`.
pub(crate) enum Said<'py> {
    /// The value has no such metamethod.
    Nothing,
    Text(Bound<'py, PyString>),
    /// It gave something that is no string.
    NoText,
    /// It has raised; the error value is on top of the stack.
    Raised(Raised),
}

/// Asks a value's `__tostring`.
///
/// # Errors
/// What Lua was stopped with, and what the codec raises.
pub(crate) fn tostring<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: Ref,
) -> Result<Said<'py>> {
    let state = entry.state();
    state.push_ref(object);
    let has_metatable = state.push_metatable(-1);
    state.pop(1 + c_int::from(has_metatable));
    if !has_metatable {
        return Ok(Said::Nothing);
    }
    let runtime = entry.runtime();
    let base = state.top();
    let outcome = state.protect_values(|raising| {
        raising.push_ref(object);
        raising.push_metatable(-1);
        raising.push_bytes(b"__tostring");
        raising.raw_get(-2);
        if raising.type_of(-1) == value::NIL {
            return 0;
        }
        raising.push_ref(object);
        runtime.detach();
        raising.call(1, 1);
        runtime.attach();
        if raising.type_of(-1) == value::NUMBER {
            raising.convert_to_string(-1);
        }
        1
    });
    entry.attach();
    let said = match outcome {
        Err(failure) => return Ok(Said::Raised(failure)),
        Ok(count) => entry.check_stop().and_then(|()| {
            if count == 0 {
                return Ok(Said::Nothing);
            }
            let encoding = match &entry.options.encoding {
                Encoding::Bytes => &Encoding::Utf8,
                encoding => encoding,
            };
            let text = state
                .with_bytes(-1, |bytes| bytes.map(|bytes| encoding.decode_lossy(entry.py, bytes)));
            match text {
                Some(text) => text.map(Said::Text).map_err(Into::into),
                None => Ok(Said::NoText),
            }
        }),
    };
    state.set_top(base);
    said
}

/// The first entries of a table, not all of which may be there any more.
pub(crate) type Entries<'py> = Vec<(Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>)>;

/// Reads the first entries of a raw table: a key or value that cannot be decoded is `None`.
///
/// # Errors
/// [`Error::Memory`](crate::base::error::Error::Memory), and what Lua was stopped with.
pub(crate) fn first_entries<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    table: Ref,
) -> Result<Entries<'py>> {
    let state = entry.state();
    let base = state.top();
    let mut walk = Walk::default();
    let mut room = [TableEntry::EMPTY; SHOWN + 1];
    let read = walk.read(entry, table, 0, Wanted::Both, &mut room);
    let entries = read.and_then(|mut batch| {
        let mut entries = vectors::with_room(batch.len())?;
        while let Some((key, value)) = batch.next() {
            entries.push((key.object(entry, state).ok(), value.object(entry, state).ok()));
        }
        Ok(entries)
    });
    state.set_top(base);
    walk.end(entry.runtime());
    entries
}

/// Entries as text, such as `1=10, name='wolf'`. The `repr` of Python objects is asked for unless they are `opaque`.
///
/// # Errors
/// An exception of a `repr` that is no `Exception`.
pub(crate) fn of_entries<B: LuaBackend>(
    py: Python<'_>,
    entries: &Entries<'_>,
    opaque: bool,
) -> Result<String> {
    let mut text = String::new();
    for (key, value) in entries.iter().take(SHOWN) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&of_key::<B>(py, key.as_ref(), opaque)?);
        text.push('=');
        text.push_str(&of_value::<B>(py, value.as_ref(), opaque)?);
    }
    if entries.len() > SHOWN {
        text.push_str(", ...");
    }
    Ok(text)
}

/// A key: a name or an integer as it is, others in brackets.
fn of_key<B: LuaBackend>(
    py: Python<'_>,
    key: Option<&Bound<'_, PyAny>>,
    opaque: bool,
) -> Result<String> {
    if let Some(key) = key {
        if let Ok(name) = key.cast_exact::<PyString>()
            && let Ok(name) = name.to_str()
            && is_identifier(name)
            && name.len() <= LONGEST
        {
            return Ok(name.to_owned());
        }
        if key.is_exact_instance_of::<PyInt>() {
            return of_value::<B>(py, Some(key), opaque);
        }
    }
    Ok(format!("[{}]", of_value::<B>(py, key, opaque)?))
}

/// Whether a name is one in Lua and in Python, without letters beyond ASCII.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic())
        && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// A value's own `repr`, cut off. Of an `opaque` one that is no plain data the type is named.
fn of_value<B: LuaBackend>(
    py: Python<'_>,
    value: Option<&Bound<'_, PyAny>>,
    opaque: bool,
) -> Result<String> {
    let Some(value) = value else { return Ok("?".to_owned()) };
    if let Some(wrapper) = Alive::of(value).wrapper::<B>() {
        return Ok(wrapper.identity().to_string());
    }
    let is_text =
        value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>();
    let is_plain = is_text
        || value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>();
    if opaque && !is_plain {
        return Ok("<Python object>".to_owned());
    }
    let shown = if is_text && value.len()? > LONGEST {
        let slice = fallible::slice(py, LONGEST)?;
        value.get_item(slice)?.repr().map(|text| (text, true))
    } else {
        value.repr().map(|text| (text, false))
    };
    let (text, is_cut) = match shown {
        Ok(shown) => shown,
        Err(error) if error.is_instance_of::<PyException>(py) => {
            return Ok("<Python object without a repr>".to_owned());
        }
        Err(error) => return Err(error.into()),
    };
    let text = text.to_string_lossy();
    let mut short: String = text.chars().take(LONGEST).collect();
    if is_cut || short.len() < text.len() {
        short.push_str("...");
    }
    Ok(short)
}
