//! Frames of Lua functions in the traceback of a Python exception.
//!
//! Each is a frame of Python whose code object has the file, the line and the name of the Lua function, and nothing else. Code
//! objects are kept, for errors come again and again from the same places.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use lua_api::{LuaBackend, NotedFrame};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::fallible;
use crate::base::imported::Imported;
use crate::base::vectors;
use crate::runtime::entry::Entry;

/// How many code objects are kept.
const MOST: usize = 4096;

/// Code objects by file, function and line.
static CODES: Mutex<Option<HashMap<Vec<u8>, Py<PyAny>>>> = Mutex::new(None);

/// Adds frames to the traceback of an exception, the innermost first; gives the exception. Where one cannot be made, those
/// behind it are left out.
#[cold]
pub(crate) fn attach<B: LuaBackend>(
    entry: &Entry<'_, B>,
    error: PyErr,
    frames: &[NotedFrame],
) -> PyErr {
    let py = entry.py;
    let mut codes = Vec::new();
    for frame in frames {
        if frame.is_gap
            && let Ok(code) = gap(py)
        {
            let _ = vectors::push(&mut codes, code);
        }
        let Ok(code) = code(entry, frame) else { break };
        if vectors::push(&mut codes, code).is_err() {
            break;
        }
    }
    let Ok(globals) = globals(py) else { return error };
    fallible::with_frames(py, error, &codes, &globals)
}

/// The globals of such frames: they say that the language is Lua.
fn globals(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    static GLOBALS: Imported = Imported::new(c"lupa._frames", c"GLOBALS");
    Ok(GLOBALS.get(py)?.cast_into()?)
}

/// The code object for frames that are left out.
fn gap(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GAP: Imported = Imported::new(c"lupa._frames", c"GAP");
    GAP.get(py)
}

/// The code object for a frame.
fn code<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    frame: &NotedFrame,
) -> PyResult<Bound<'py, PyAny>> {
    static MAKE: Imported = Imported::new(c"lupa._frames", c"code");
    let py = entry.py;
    let is_file = frame.chunk_name.starts_with(b"@");
    let depth = entry.vitals.lock.depth();
    // For one place as long as no other text is run, and then for one place of a text.
    let (generation, running) = if is_file { (0, 0) } else { entry.texts.state(py, frame, depth) };
    let number = |number: u64| number.to_ne_bytes();
    let place = key(
        frame,
        &[
            &number(entry.id as u64),
            &number(generation),
            &number(running as u64),
            &number(u64::from(frame.is_main)),
            &number(frame.line_defined as u64),
            &number(frame.last_line_defined as u64),
        ],
    )?;
    if let Some(found) = find(py, &place) {
        return Ok(found);
    }
    let text = if is_file { None } else { entry.texts.find(py, frame, depth) };
    let whole = key(frame, &[b"text", text.as_deref().unwrap_or("\0").as_bytes()])?;
    if let Some(found) = find(py, &whole) {
        keep(place, &found);
        return Ok(found);
    }
    let name = if frame.is_main {
        "main chunk".to_owned()
    } else if frame.name.is_empty() {
        format!("function at line {}", frame.line_defined)
    } else {
        String::from_utf8_lossy(&frame.name).into_owned()
    };
    let source = if is_file { &frame.chunk_name[1..] } else { &frame.source[..] };
    let chunk = String::from_utf8_lossy(&frame.chunk_name);
    let source = String::from_utf8_lossy(source);
    let arguments = (
        fallible::string(py, &source)?,
        fallible::string(py, &chunk)?,
        fallible::string(py, &name)?,
        fallible::unsigned(py, usize::try_from(frame.line).unwrap_or(1))?,
        text.map(|text| fallible::string(py, &text)).transpose()?,
    );
    let made = MAKE.get(py)?.call1(arguments)?;
    keep(place, &made);
    keep(whole, &made);
    Ok(made)
}

/// The key for a place: what is in the frame, and more.
fn key(frame: &NotedFrame, more: &[&[u8]]) -> PyResult<Vec<u8>> {
    let line = frame.line.to_ne_bytes();
    let first = [&frame.chunk_name[..], b"\0", &frame.name, b"\0", &line];
    let parts = || first.iter().copied().chain(more.iter().copied());
    let mut key = Vec::new();
    key.try_reserve_exact(parts().map(<[u8]>::len).sum()).map_err(|_| fallible::no_memory())?;
    parts().for_each(|part| key.extend_from_slice(part));
    Ok(key)
}

fn find<'py>(py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyAny>> {
    let known = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    Some(known.as_ref()?.get(key)?.clone_ref(py).into_bound(py))
}

fn keep(key: Vec<u8>, code: &Bound<'_, PyAny>) {
    let mut known = CODES.lock().unwrap_or_else(PoisonError::into_inner);
    let map = known.get_or_insert_default();
    // Dropped when nobody holds the lock: to free an object may run any code.
    let old = if map.len() >= MOST { std::mem::take(map) } else { HashMap::new() };
    if map.try_reserve(1).is_ok() {
        map.insert(key, code.clone().unbind());
    }
    drop(known);
    drop(old);
}
