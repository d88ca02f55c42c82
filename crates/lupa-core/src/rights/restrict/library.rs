//! Functions of Python's standard library that are restricted.
#![forbid(unsafe_code)]

use crate::rights::restrict::kind::{Kind, Verdict};

const CALLS: Verdict = Verdict::new(Kind::Calls, "calls what it gets only if Lua code may");
const OPENS: Verdict = Verdict::refused("opens files");
const MAKES_CLASSES: Verdict = Verdict::refused("makes classes");
const MAKES_FUNCTIONS: Verdict = Verdict::refused("makes functions of any code");
const READS: Verdict = Verdict::refused("reads attributes of any object");

/// Functions and classes that are known by identity. Those that a Python does not have are left out.
pub(crate) const OBJECTS: &[(&str, &str, Verdict)] = &[
    ("operator", "attrgetter", READS),
    ("operator", "call", CALLS),
    ("functools", "reduce", CALLS),
    ("functools", "cmp_to_key", CALLS),
    ("functools", "lru_cache", CALLS),
    ("functools", "cache", CALLS),
    ("functools", "singledispatch", CALLS),
    ("itertools", "accumulate", CALLS),
    ("itertools", "dropwhile", CALLS),
    ("itertools", "filterfalse", CALLS),
    ("itertools", "groupby", CALLS),
    ("itertools", "starmap", CALLS),
    ("itertools", "takewhile", CALLS),
    ("collections", "defaultdict", CALLS),
    ("io", "open", OPENS),
    ("io", "open_code", OPENS),
    ("io", "FileIO", OPENS),
    ("codecs", "open", OPENS),
    ("types", "CodeType", MAKES_FUNCTIONS),
    ("types", "FunctionType", MAKES_FUNCTIONS),
    ("types", "new_class", MAKES_CLASSES),
];

/// Functions and classes that are known by the name of their module, which may be imported later.
/// No names are all names.
const MODULES: &[(&str, &[&str], Verdict)] = &[
    ("_frozen_importlib", &[], IMPORTS),
    ("_frozen_importlib_external", &[], IMPORTS),
    ("_imp", &[], IMPORTS),
    ("imp", &[], IMPORTS),
    ("importlib", &[], IMPORTS),
    ("importlib._bootstrap", &[], IMPORTS),
    ("importlib._bootstrap_external", &[], IMPORTS),
    ("importlib.abc", &[], IMPORTS),
    ("importlib.util", &[], IMPORTS),
    ("pkgutil", &[], IMPORTS),
    ("pydoc", &[], IMPORTS),
    ("zipimport", &[], IMPORTS),
    ("_sitebuiltins", &[], Verdict::refused("is for a person at a terminal")),
    ("bdb", &[], RUNS),
    ("pdb", &[], RUNS),
    ("runpy", &[], RUNS),
    ("timeit", &[], RUNS),
    ("code", &["interact", "push", "runcode", "runsource"], RUNS),
    ("codeop", &["compile_command", "CommandCompiler", "Compile"], RUNS),
    ("pickle", &["load", "loads", "_load", "_loads", "Unpickler", "_Unpickler"], RUNS),
    ("_pickle", &["load", "loads", "Unpickler"], RUNS),
    ("inspect", &["getattr_static", "getmembers", "getmembers_static", "getclosurevars"], READS),
    ("string", &["format", "vformat", "get_field"], READS),
    ("dataclasses", &["make_dataclass"], MAKES_CLASSES),
];

const IMPORTS: Verdict = Verdict::refused("imports modules, or reads their files");
const RUNS: Verdict = Verdict::refused("runs code");

/// The verdict on a function or a class of a module.
pub(crate) fn of_module(module: &str, name: impl FnOnce() -> Option<String>) -> Option<Verdict> {
    let (_, names, verdict) = MODULES.iter().find(|(known, ..)| *known == module)?;
    let meant = names.is_empty() || name().is_some_and(|name| names.contains(&name.as_str()));
    meant.then_some(*verdict)
}

/// Special methods of Python's own classes that read or write attributes by name, or bind functions.
const ACCESS: [&str; 7] = [
    "__getattribute__",
    "__getattr__",
    "__setattr__",
    "__delattr__",
    "__get__",
    "__set__",
    "__delete__",
];

/// The verdict on a slot of a class in C, such as `object.__getattribute__`.
pub(crate) fn of_slot(name: &str) -> Option<Verdict> {
    ACCESS.contains(&name).then_some(READS)
}
