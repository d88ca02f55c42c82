//! Errors: one enum inside, Python exceptions at the edge; and what an error of Lua becomes.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use lua_api::{ERRMEM, ERRSYNTAX, Gc, LuaBackend, Raised, State, Thread, value};
use memchr::memmem::Finder;
use pyo3::exceptions::{
    PyException, PyMemoryError, PyPermissionError, PyTimeoutError, PyTypeError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::calls::callback::too_deep;
use crate::convert::from_lua::from_lua;
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;

/// What can go wrong between Python and Lua.
#[derive(Debug)]
pub(crate) enum Error {
    /// An exception of Python, on its way. Elsewhere, so that results are small.
    Python(Box<PyErr>),
    /// The runtime was closed.
    Closed,
    /// The runtime is to be closed in the middle of a use.
    Busy,
    /// The runtime is to be closed while Python uses memory of Lua.
    Pinned,
    /// A Lua object was given to another runtime than its own.
    OtherRuntime,
    /// There is no memory in Lua, or its limit is reached.
    Memory,
    /// The value behind a wrapper is gone.
    LostReference,
    /// Lua runs below in a way that it cannot be used here.
    Compiled,
    /// Another greenlet is in the middle of something that does not bear others.
    Switched,
    /// Threads wait for each other.
    Deadlock,
    /// Another thread was inside when this process was forked off.
    Lost,
}

/// The result of an operation.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl From<PyErr> for Error {
    fn from(error: PyErr) -> Self {
        Error::Python(Box::new(error))
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        let lua_error = |text: &'static str| fallible::error::<LuaError>(text);
        match error {
            Error::Python(error) => *error,
            Error::Closed => lua_error("the Lua runtime is closed"),
            Error::Busy => lua_error("the Lua runtime cannot be closed while it is running"),
            Error::Pinned => lua_error(
                "the Lua runtime cannot be closed while arrays outside of it use its memory: \
                 release them first",
            ),
            Error::OtherRuntime => lua_error("cannot mix objects from different Lua runtimes"),
            Error::LostReference => lua_error("lost reference"),
            Error::Compiled => lua_error(
                "the Lua runtime cannot be used here: compiled code of LuaJIT has called the C function \
                 that has called Python (jit.off() for the Lua function allows it)",
            ),
            Error::Switched => lua_error(
                "the Lua runtime cannot be used here: another greenlet was switched away from in the middle of \
                 a finalizer or of C code",
            ),
            Error::Deadlock => lua_error(
                "deadlock: the Lua runtime is used by a thread that waits for one which this thread uses",
            ),
            Error::Lost => lua_error(
                "the Lua runtime is lost: the thread that was inside of it has ended, or was left behind when this process was forked",
            ),
            Error::Memory => fallible::error::<LuaMemoryError>("not enough memory"),
        }
    }
}

/// Declares a class of this module for [`fallible::error`], which is there from the beginning on.
macro_rules! class {
    ($name:ident, $class:ident, $field:ident) => {
        pub(crate) struct $class;

        impl fallible::Class for $class {
            fn class(py: Python<'_>) -> &'static Py<PyType> {
                &classes(py).$field
            }
        }

        pub(crate) type $name = fallible::Made<$class>;
    };
}

class!(LuaError, ErrorClass, error);
class!(LuaMemoryError, MemoryClass, memory);

/// The exception classes of this module.
pub(crate) struct Classes {
    pub(crate) error: Py<PyType>,
    pub(crate) syntax: Py<PyType>,
    pub(crate) memory: Py<PyType>,
    pub(crate) sandbox: Py<PyType>,
    pub(crate) timeout: Py<PyType>,
    pub(crate) instructions: Py<PyType>,
    pub(crate) interrupted: Py<PyType>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

pub(crate) fn classes(py: Python<'_>) -> &'static Classes {
    CLASSES.get(py).expect("the module is initialised")
}

/// Whether this is one of ours for Lua code that is stopped.
pub(crate) fn is_stop(py: Python<'_>, error: &PyErr) -> bool {
    let classes = classes(py);
    let ours = [&classes.timeout, &classes.instructions, &classes.interrupted];
    ours.iter().any(|class| error.is_instance(py, class.bind(py)))
}

/// Makes the exception classes and adds them to the module.
pub(crate) fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let name = module.name()?;
    let make = |class: &str, doc: &std::ffi::CStr, base: &Bound<'_, PyAny>| {
        let full = std::ffi::CString::new(format!("{name}.{class}"))?;
        fallible::exception_class(py, &full, doc, base)
    };
    if CLASSES.get(py).is_none() {
        let base = py.get_type::<PyException>();
        let error = make(
            "LuaError",
            c"An error raised by Lua code; the base class of the errors of a Lua runtime.\n\n\
              The message is the error message of Lua with its stack traceback, innermost call last. \
              The error value itself, which need not be a string, is the attribute ``value``.\n\n\
              >>> try:\n\
              ...     LuaRuntime().execute('error({code = 404})')\n\
              ... except LuaError as error:\n\
              ...     print(error.value.code)\n\
              404",
            base.as_any(),
        )?;
        error.set_attribute(c"value", py.None().into_bound(py))?;
        let syntax = make("LuaSyntaxError", c"Lua code that does not compile.", error.as_any())?;
        let bases = fallible::tuple(
            py,
            [error.clone().into_any(), py.get_type::<PyMemoryError>().into_any()],
        )?;
        let memory = make(
            "LuaMemoryError",
            c"Lua has no memory left, or has reached the limit set for it; a ``MemoryError`` too.",
            bases.as_any(),
        )?;
        let permission = py.get_type::<PyPermissionError>();
        let bases = fallible::tuple(py, [error.clone().into_any(), permission.into_any()])?;
        let sandbox = make(
            "LuaSandboxError",
            c"Lua code in a sandbox has tried what the host has not allowed.",
            bases.as_any(),
        )?;
        let bases = fallible::tuple(
            py,
            [error.clone().into_any(), py.get_type::<PyTimeoutError>().into_any()],
        )?;
        let timeout = make(
            "LuaTimeoutError",
            c"Lua code ran for longer than it may: see ``timeout`` and ``LuaRuntime.limits()``.",
            bases.as_any(),
        )?;
        let instructions = make(
            "LuaInstructionLimitError",
            c"Lua code ran more instructions than it may: see ``LuaRuntime.limits()``.",
            error.as_any(),
        )?;
        let interrupted = make(
            "LuaInterruptedError",
            c"Lua code was stopped by ``LuaRuntime.interrupt()``.",
            error.as_any(),
        )?;
        let _ = CLASSES.set(
            py,
            Classes {
                error: error.unbind(),
                syntax: syntax.unbind(),
                memory: memory.unbind(),
                sandbox: sandbox.unbind(),
                timeout: timeout.unbind(),
                instructions: instructions.unbind(),
                interrupted: interrupted.unbind(),
            },
        );
    }
    let classes = classes(py);
    module.add("LuaError", &classes.error)?;
    module.add("LuaSyntaxError", &classes.syntax)?;
    module.add("LuaMemoryError", &classes.memory)?;
    module.add("LuaSandboxError", &classes.sandbox)?;
    module.add("LuaTimeoutError", &classes.timeout)?;
    module.add("LuaInstructionLimitError", &classes.instructions)?;
    module.add("LuaInterruptedError", &classes.interrupted)
}

/// Where a function of the call stack is, as Lua says it before a message; empty for C functions.
pub(crate) fn place<B: LuaBackend>(state: State<B>, level: i32) -> String {
    state.with_frame(level, |frame| match frame {
        Some(frame) if frame.line > 0 => {
            format!("{}:{}: ", String::from_utf8_lossy(frame.source()), frame.line)
        }
        _ => String::new(),
    })
}

/// Where Lua code has called what runs now, as the end of a message; empty where no Lua code has.
pub(crate) fn where_called<B: LuaBackend>(state: State<B>) -> String {
    let place = (0..3).map(|level| place(state, level)).find(|place| !place.is_empty());
    place.map_or_else(String::new, |place| format!(" (at {})", place.trim_end_matches(": ")))
}

/// What an error was raised by: this decides on the class and on the words before the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Running code, with the traceback that the message handler has noted.
    Call,
    /// Resuming a coroutine: there is no traceback.
    Resume,
    /// Loading code, by `eval` and `execute`.
    Load,
    /// Loading code, by `compile`.
    Compile,
}

/// Turns the error value on top of the stack into a Python exception, and pops it.
#[cold]
pub(crate) fn from_stack<B: LuaBackend>(
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
    if value.is_instance_of::<pyo3::exceptions::PyBaseException>() {
        state.pop(1);
        return PyErr::from_value(value);
    }
    let is_memory =
        state.with_bytes(-1, |bytes| bytes.is_some_and(|text| NO_MEMORY.find(text).is_some()));
    let classes = classes(py);
    let (class, before) = match origin {
        _ if is_memory => (&classes.memory, ""),
        Origin::Load => (&classes.syntax, "error loading code: "),
        Origin::Compile => (&classes.syntax, ""),
        Origin::Call | Origin::Resume => (&classes.error, ""),
    };
    let message = message(entry, state, before, &traceback);
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

/// Finds what Lua says when it has no memory.
static NO_MEMORY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("not enough memory"));

/// What an exception says: the text of the value on top, and the traceback below it.
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
            let mut whole = fallible::with_room(parts.iter().map(|part| part.len()).sum()).ok()?;
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

/// `TypeError`.
pub(crate) fn type_error(message: &'static str) -> Error {
    fallible::error::<PyTypeError>(message).into()
}
