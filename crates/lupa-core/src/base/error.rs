//! Errors: one enum inside, Python exceptions at the edge.
#![forbid(unsafe_code)]

use pyo3::exceptions::{
    PyException, PyMemoryError, PyPermissionError, PyRecursionError, PyRuntimeError, PySyntaxError,
    PyTimeoutError, PyTypeError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyString, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;

/// An error at the border between Python and Lua.
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
    pub(crate) stop_iteration: Py<PyType>,
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
              The text is the error message of Lua with its stack traceback, innermost call last; ``message`` and\n\
              ``lua_traceback`` are the two parts. The error value itself, which need not be a string, is ``value``.\n\
              ``lua_frames`` are the Lua functions that were running, outermost first, each with ``source``, ``line`` and ``name``;\n\
              ``filename`` and ``lineno`` are the place of the last one.\n\n\
              >>> try:\n\
              ...     LuaRuntime().execute('error({code = 404})')\n\
              ... except LuaError as error:\n\
              ...     print(error.value.code)\n\
              404",
            base.as_any(),
        )?;
        error.set_attribute(c"value", py.None().into_bound(py))?;
        let copying = fallible::import(py, c"lupa._errors")?;
        for (name, function) in
            [(c"__reduce__", c"reduce"), (c"__copy__", c"copied"), (c"__deepcopy__", c"copied")]
        {
            error.set_attribute(name, copying.attribute(function)?)?;
        }
        for item in copying.attribute(c"ATTRIBUTES")?.method0(c"items")?.try_iter()? {
            let (name, computed): (Bound<'_, PyString>, Bound<'_, PyAny>) = item?.extract()?;
            error.set_attribute(name, computed)?;
        }
        let bases = fallible::tuple(
            py,
            [error.clone().into_any(), py.get_type::<PySyntaxError>().into_any()],
        )?;
        let syntax = make(
            "LuaSyntaxError",
            c"Lua code that does not compile; a ``SyntaxError`` too.\n\n\
              ``msg``, ``filename``, ``lineno``, ``text`` and ``offset`` say what is wrong where, as far as Lua tells;\n\
              ``incomplete`` is true where more code might make it right.\n\n\
              >>> try:\n\
              ...     LuaRuntime().execute('x =')\n\
              ... except LuaSyntaxError as error:\n\
              ...     print(error.lineno, error.incomplete, error.text)\n\
              1 True x =",
            bases.as_any(),
        )?;
        syntax.set_attribute(c"incomplete", py.get_type::<PyBool>().call1((false,))?)?;
        for name in [c"filename", c"lineno"] {
            syntax.set_attribute(name, py.get_type::<PySyntaxError>().attribute(name)?)?;
        }
        // That of SyntaxError adds the place.
        syntax.set_attribute(c"__str__", py.get_type::<PyException>().attribute(c"__str__")?)?;
        let bases = fallible::tuple(
            py,
            [error.clone().into_any(), py.get_type::<PyRuntimeError>().into_any()],
        )?;
        let stop_iteration = make(
            "LuaStopIterationError",
            c"Python code that a Lua coroutine has called raised ``StopIteration``, or ``StopAsyncIteration``; a ``RuntimeError``\n\
              too, as with generators (PEP 479). The exception is its ``__cause__``.",
            bases.as_any(),
        )?;
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
            c"Lua code in a sandbox tried something that the host has not allowed.",
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
                stop_iteration: stop_iteration.unbind(),
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
    module.add("LuaStopIterationError", &classes.stop_iteration)?;
    module.add("LuaMemoryError", &classes.memory)?;
    module.add("LuaSandboxError", &classes.sandbox)?;
    module.add("LuaTimeoutError", &classes.timeout)?;
    module.add("LuaInstructionLimitError", &classes.instructions)?;
    module.add("LuaInterruptedError", &classes.interrupted)
}

/// `TypeError`.
pub(crate) fn type_error(message: &'static str) -> Error {
    fallible::error::<PyTypeError>(message).into()
}

/// `RecursionError`, where it is the system's stack that has an end.
#[cold]
pub(crate) fn too_deep() -> PyErr {
    fallible::error::<PyRecursionError>(
        "maximum recursion depth exceeded: the stack of this thread is full",
    )
}
