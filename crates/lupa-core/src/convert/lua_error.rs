//! Errors of Lua become Python exceptions.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use lua_api::{ERRMEM, ERRRUN, ERRSYNTAX, Gc, LuaBackend, Raised, State, Thread, value};
use memchr::memmem::Finder;
use pyo3::exceptions::{PyBaseException, PyStopAsyncIteration, PyStopIteration};
use pyo3::prelude::*;

use crate::base::attribute::Attributes as _;
use crate::base::error::{Error, Result, classes, too_deep};
use crate::base::fallible;
use crate::base::vectors;
use crate::convert::frames;
use crate::convert::from_lua::from_lua;
use crate::convert::text::{self, Said};
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

/// The operation that raised an error. It decides on the exception's class and on the words before the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Running code, with the traceback that the message handler has noted.
    Call,
    /// Resuming a coroutine: there is no traceback.
    Resume,
    /// A `__tostring`, for Python's `str`.
    Text,
    /// Loading code, by `eval` and `execute`.
    Load,
    /// Loading code, by `compile`.
    Compile,
}

/// Turns the error value on top of the stack into a Python exception, and pops it. Its traceback has the frames of the Lua
/// functions that were running.
#[cold]
pub(crate) fn from_stack<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    raised: Raised,
    origin: Origin,
) -> PyErr {
    let frames = entry.instance.take_frames();
    let error = exception(entry, state, raised, origin);
    let has_run = raised.0 == ERRRUN && matches!(origin, Origin::Call | Origin::Resume);
    if frames.is_empty() || !has_run { error } else { frames::attach(entry, error, &frames) }
}

fn exception<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    raised: Raised,
    origin: Origin,
) -> PyErr {
    let py = entry.py;
    let Raised(status) = raised;
    if let Some(stop) = entry.take_stop() {
        state.pop(1);
        return stop;
    }
    // The handler has run for runtime errors only; what it left for an earlier one is not ours.
    let mut traceback = entry.instance.take_traceback();
    if status != lua_api::ERRRUN || origin != Origin::Call {
        traceback.clear();
    }
    if status == ERRMEM {
        state.pop(1);
        recover_memory(state);
        return Error::Memory.into();
    }
    if matches!(origin, Origin::Load | Origin::Compile)
        && status != ERRSYNTAX
        && state.with_bytes(-1, |text| text.is_some_and(|text| text.ends_with(b"stack overflow")))
        && !Thread::this().has_room_to_compile()
    {
        state.pop(1);
        return too_deep();
    }
    let value = from_lua(entry.runtime(), py, state, -1).or_else(|_| {
        state.with_bytes(-1, |bytes| match bytes {
            Some(bytes) => fallible::bytes(py, bytes).map(Bound::into_any),
            None => Ok(py.None().into_bound(py)),
        })
    });
    let value = value.unwrap_or_else(|_| py.None().into_bound(py));
    if value.is_instance_of::<PyBaseException>() {
        state.pop(1);
        let exception = PyErr::from_value(value);
        return if origin == Origin::Resume { no_end(py, exception) } else { exception };
    }
    // Lua's message for want of memory is a string, which scripts catch, and raise again with other words around it.
    let is_memory = entry.may_have_lacked_memory()
        && state.with_bytes(-1, |bytes| bytes.is_some_and(|text| NO_MEMORY.find(text).is_some()));
    let classes = classes(py);
    let (class, before) = match origin {
        _ if is_memory => (&classes.memory, ""),
        Origin::Load => (&classes.syntax, "error loading code: "),
        Origin::Compile => (&classes.syntax, ""),
        Origin::Call | Origin::Resume | Origin::Text => (&classes.error, ""),
    };
    let message = match text_of_object(entry, state, &value, origin) {
        Err(stop) => {
            state.pop(1);
            return stop.into();
        }
        Ok(Some(text)) => Ok(text),
        Ok(None) => message(entry, state, before, &traceback),
    };
    state.pop(1);
    if is_memory {
        recover_memory(state);
    }
    let made = message.and_then(|message| {
        let error = class.bind(py).call1((message,))?;
        error.set_attribute(c"value", value)?;
        Ok(error)
    });
    made.map_or_else(|failed| failed, PyErr::from_value)
}

/// What a coroutine raises instead of `StopIteration`, which would end the loop over it (PEP 479).
fn no_end(py: Python<'_>, exception: PyErr) -> PyErr {
    let ends = exception.is_instance_of::<PyStopIteration>(py)
        || exception.is_instance_of::<PyStopAsyncIteration>(py);
    if !ends {
        return exception;
    }
    let name = if exception.is_instance_of::<PyStopIteration>(py) {
        "coroutine raised StopIteration"
    } else {
        "coroutine raised StopAsyncIteration"
    };
    let error = fallible::error_of(classes(py).stop_iteration.bind(py).clone(), name);
    error.set_cause(py, Some(exception));
    error
}

/// The text of an error value that is neither string nor number: by its `__tostring`, or as `lua` describes it, with the first
/// entries of a table. `None` for strings, numbers and nil.
fn text_of_object<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    value: &Bound<'py, PyAny>,
    origin: Origin,
) -> Result<Option<Bound<'py, PyAny>>> {
    let kind = state.type_of(-1);
    if matches!(kind, value::STRING | value::NUMBER | value::NIL) {
        return Ok(None);
    }
    let mut inside = String::new();
    if let Some(object) = Alive::of(value).wrapper::<B>() {
        // An error in `__tostring` is not the one to report.
        let said = if origin == Origin::Text {
            Ok(Said::Nothing)
        } else {
            text::tostring(entry, object.reference())
        };
        match said {
            Ok(Said::Text(text)) => return Ok(Some(text.into_any())),
            Ok(Said::Raised(_)) => state.pop(1),
            Ok(Said::Nothing | Said::NoText) => {}
            Err(stop) => return Err(stop),
        }
        entry.check_stop()?;
        if Alive::of(value).is_table()
            && let Ok(entries) = text::first_entries(entry, object.reference())
        {
            inside = text::of_entries::<B>(entry.py, &entries, true)?;
        }
    }
    let kind = state.type_name(-1);
    let between = if inside.is_empty() { "" } else { ": " };
    let text = format!("(error object is a {kind} value{between}{inside})");
    Ok(Some(fallible::string(entry.py, &text)?.into_any()))
}

/// Finds what Lua says when it has no memory.
static NO_MEMORY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("not enough memory"));

/// The message of an exception: the text of the value on top of the stack, and the traceback below it.
fn message<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    before: &'static str,
    traceback: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let (py, encoding) = (entry.py, &entry.options.encoding);
    let kind = state.type_of(-1);
    let between: &str = if traceback.is_empty() || kind == value::NIL { "" } else { "\n" };
    if matches!(encoding, Encoding::Utf8) && kind == value::STRING {
        // All in one piece, if it is what it should be.
        let whole = state.with_bytes(-1, |text| {
            let parts = [before.as_bytes(), text?, between.as_bytes(), traceback];
            let mut whole = vectors::with_room(parts.iter().map(|part| part.len()).sum()).ok()?;
            parts.iter().for_each(|part| whole.extend_from_slice(part));
            encoding.decode(py, &whole).ok()
        });
        if let Some(whole) = whole {
            return Ok(whole);
        }
    }
    let mut message = text(entry, state)?;
    if !before.is_empty() {
        message = fallible::string(py, before)?.add(message)?;
    }
    if !traceback.is_empty() {
        message = message.add(fallible::string(py, between)?)?;
        message = message.add(encoding.decode_lossy(py, traceback)?)?;
    }
    Ok(message)
}

/// The text of a string or number; other values have none.
fn text<'py, B: LuaBackend>(entry: &Entry<'py, B>, state: State<B>) -> PyResult<Bound<'py, PyAny>> {
    let decode =
        |bytes: &[u8]| entry.options.encoding.decode_lossy(entry.py, bytes).map(Bound::into_any);
    if let Some(text) = state.with_bytes(-1, |bytes| bytes.map(decode)) {
        return text;
    }
    if state.type_of(-1) != value::NUMBER {
        return decode(b"");
    }
    let (integer, float) = (state.to_integer(-1), state.to_number(-1));
    let converted = state.protect_values(|raising| {
        match integer {
            Some(integer) => raising.push_integer(integer),
            None => raising.push_number(float),
        }
        raising.convert_to_string(-1);
        1
    });
    let text = match converted {
        Ok(_) => state.with_bytes(-1, |bytes| decode(bytes.unwrap_or_default())),
        Err(_) => decode(b""),
    };
    state.pop(1);
    text
}

/// After a failed allocation: frees what can be freed, so that the runtime can be used again.
fn recover_memory<B: LuaBackend>(state: State<B>) {
    if !B::COLLECTS_WHEN_FULL && state.protect(|raising| raising.gc(Gc::Collect)).is_err() {
        // A finalizer has raised, and the collection has ended early: that is all there is to do.
        state.pop(1);
    }
}

/// Turns a failed protected call of our own into an exception.
#[cold]
pub(crate) fn raised<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    raised: Raised,
) -> Error {
    from_stack(entry, state, raised, Origin::Call).into()
}
