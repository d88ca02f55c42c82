//! The table of Python's builtins: what Lua code may do with each where attributes are restricted.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::fallible;
use crate::rights::restrict::kind::{Kind, Verdict};

/// Builtins that are treated alike. Without a kind they are allowed as they are.
struct Row {
    kind: Option<Kind>,
    why: &'static str,
    /// Separated by spaces.
    names: &'static str,
}

impl Row {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.names.split_ascii_whitespace()
    }
}

const fn allowed(why: &'static str, names: &'static str) -> Row {
    Row { kind: None, why, names }
}

const fn obeys(kind: Kind, why: &'static str, names: &'static str) -> Row {
    Row { kind: Some(kind), why, names }
}

const fn refused(why: &'static str, names: &'static str) -> Row {
    Row { kind: Some(Kind::Refused), why, names }
}

const OBEYS: &str = "obeys the filter or the handlers";

/// Every builtin of Python 3.9 to 3.15.
const ROWS: &[Row] = &[
    allowed(
        "computes something of its arguments, by their special methods",
        "abs aiter all anext any ascii bin callable chr divmod format hash hex id len next \
         oct ord pow repr round sum",
    ),
    allowed("calls its key= only, which is judged when Lua code passes it", "max min sorted"),
    allowed(
        "is a class of plain data or of an iterator over its arguments",
        "bool bytearray bytes complex dict enumerate float frozendict frozenset int list \
         memoryview object range reversed sentinel set slice str tuple zip",
    ),
    allowed(
        "is a constant, or text about the module",
        "Ellipsis False None NotImplemented True __debug__ __doc__ __name__ __package__ \
         __spec__",
    ),
    allowed("is a class of exceptions", EXCEPTIONS),
    obeys(Kind::Get, OBEYS, "getattr"),
    obeys(Kind::Set, OBEYS, "setattr"),
    obeys(Kind::Delete, OBEYS, "delattr"),
    obeys(Kind::Has, OBEYS, "hasattr"),
    obeys(Kind::Vars, OBEYS, "vars"),
    obeys(Kind::Dir, OBEYS, "dir"),
    obeys(Kind::Print, "asks for the attributes of its file=", "print"),
    obeys(Kind::Calls, "calls what it gets only if Lua code may", "filter iter map"),
    obeys(Kind::Compares, "looks at classes, and calls none", "isinstance issubclass"),
    obeys(Kind::Type, "makes classes; with one argument it gives a class to look at", "type"),
    refused("runs code", "eval exec compile breakpoint"),
    refused("makes classes", "__build_class__"),
    refused("imports modules", "__import__ __lazy_import__ __loader__ help"),
    refused("opens files", "open"),
    refused("reads the standard input", "input"),
    refused("reaches the variables of a program", "globals locals"),
    refused("reads attributes of any object", "property super"),
    refused("is of use in classes only, and Lua code makes none", "classmethod staticmethod"),
    refused("ends the process", "exit quit"),
    refused("reads files, and waits for a key", "copyright credits license"),
];

const EXCEPTIONS: &str = "ArithmeticError AssertionError AttributeError BaseException BaseExceptionGroup \
         BlockingIOError BrokenPipeError BufferError BytesWarning ChildProcessError \
         ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError \
         DeprecationWarning EOFError EncodingWarning EnvironmentError Exception \
         ExceptionGroup FileExistsError FileNotFoundError FloatingPointError FutureWarning \
         GeneratorExit IOError ImportCycleError ImportError ImportWarning IndentationError \
         IndexError InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError \
         MemoryError ModuleNotFoundError NameError NotADirectoryError NotImplementedError \
         OSError OverflowError PendingDeprecationWarning PermissionError ProcessLookupError \
         PythonFinalizationError RecursionError ReferenceError ResourceWarning RuntimeError \
         RuntimeWarning StopAsyncIteration StopIteration SyntaxError SyntaxWarning \
         SystemError SystemExit TabError TimeoutError TypeError UnboundLocalError \
         UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError \
         UnicodeWarning UserWarning ValueError Warning WindowsError ZeroDivisionError \
         _IncompleteInputError";

/// The verdict of the table on a builtin: `None` if the table lacks it, `Some(None)` if it is allowed.
pub(crate) fn look_up(name: &str) -> Option<Option<Verdict>> {
    let row = ROWS.iter().find(|row| row.names().any(|known| known == name))?;
    Some(row.kind.map(|kind| Verdict::new(kind, row.why)))
}

/// The verdict on a builtin that the table does not know, since Python is newer than it.
pub(crate) const UNKNOWN: Verdict = Verdict::refused("is newer than this version of lupa");

/// The table, for a test that compares it with the Python at hand: from a name to ``(verdict, reason)``.
#[pyfunction]
pub(crate) fn _verdicts_on_builtins(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = fallible::dict(py)?;
    for row in ROWS {
        let verdict = match row.kind {
            None => "allowed",
            Some(Kind::Refused) => "refused",
            Some(_) => "obeys",
        };
        for name in row.names() {
            all.set_item(name, (verdict, row.why))?;
        }
    }
    Ok(all)
}
