//! Functions of Python's standard library that are restricted.
#![forbid(unsafe_code)]

use crate::rights::restrict::kind::{Kind, Verdict};

const CALLS: Verdict = Verdict::new(Kind::Calls, "calls what it gets only if Lua code may");
const OPENS: Verdict = Verdict::refused("opens or changes files, or uses the network");
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
/// No names are all names. A dot at the end of a package's name adds the modules in it.
const MODULES: &[(&str, &[&str], Verdict)] = &[
    ("_frozen_importlib", &[], IMPORTS),
    ("_frozen_importlib_external", &[], IMPORTS),
    ("_imp", &[], IMPORTS),
    ("imp", &[], IMPORTS),
    ("importlib.", &[], IMPORTS),
    ("modulefinder", &[], IMPORTS),
    ("pkgutil", &[], IMPORTS),
    ("pyclbr", &[], IMPORTS),
    ("pydoc", &[], IMPORTS),
    ("zipimport", &[], IMPORTS),
    ("logging.config", &[], IMPORTS),
    ("_sitebuiltins", &[], Verdict::refused("is for a person at a terminal")),
    // Python code.
    ("annotationlib", &[], RUNS),
    ("bdb", &[], RUNS),
    ("cProfile", &[], RUNS),
    ("code", &["interact", "push", "runcode", "runsource"], RUNS),
    ("codeop", &["compile_command", "CommandCompiler", "Compile"], RUNS),
    ("compileall", &[], RUNS),
    ("doctest", &[], RUNS),
    ("ensurepip.", &[], RUNS),
    ("marshal", &["load", "loads"], RUNS),
    ("pdb", &[], RUNS),
    ("pickle", &["load", "loads", "_load", "_loads", "Unpickler", "_Unpickler"], RUNS),
    ("_pickle", &["load", "loads", "Unpickler"], RUNS),
    ("profile", &[], RUNS),
    ("py_compile", &[], RUNS),
    ("rlcompleter", &[], RUNS),
    ("runpy", &[], RUNS),
    ("site", &[], RUNS),
    ("timeit", &[], RUNS),
    ("trace", &[], RUNS),
    ("typing", &["get_type_hints", "_evaluate", "evaluate_forward_ref"], RUNS),
    ("unittest.", &[], RUNS),
    ("venv.", &[], RUNS),
    ("_interpreters", &[], RUNS),
    ("_xxsubinterpreters", &[], RUNS),
    ("concurrent.interpreters", &[], RUNS),
    // Other programs, and code of other languages.
    ("os", PROCESSES, STARTS),
    ("posix", PROCESSES, STARTS),
    ("nt", PROCESSES, STARTS),
    ("_ctypes", &[], RUNS),
    ("ctypes.", &[], RUNS),
    ("_posixsubprocess", &[], STARTS),
    ("_winapi", &[], STARTS),
    ("asyncio.subprocess", &["create_subprocess_exec", "create_subprocess_shell"], STARTS),
    ("distutils.", &[], STARTS),
    ("multiprocessing.context", &["Process", "Pool", "Manager"], STARTS),
    ("pipes", &[], STARTS),
    ("pty", &[], STARTS),
    ("subprocess", SUBPROCESS, STARTS),
    ("webbrowser", &[], STARTS),
    // The process itself.
    ("sys", SYSTEM, WATCHES),
    ("_thread", &["exit", "exit_thread", "interrupt_main"], ENDS),
    ("faulthandler", &[], ENDS),
    ("resource", &["setrlimit", "prlimit"], ENDS),
    ("signal", &[], ENDS),
    ("_signal", &[], ENDS),
    // Files, and the network.
    ("os", FILES, OPENS),
    ("posix", FILES, OPENS),
    ("nt", FILES, OPENS),
    ("_dbm", &["open"], OPENS),
    ("_gdbm", &["open"], OPENS),
    ("_pyio", &["open", "open_code", "FileIO"], OPENS),
    ("_socket", &["socket", "SocketType", "fromfd"], OPENS),
    ("_sqlite3", &["connect"], OPENS),
    ("asyncio.streams", &["open_connection", "start_server", "open_unix_connection"], OPENS),
    ("bz2", &["open", "BZ2File"], OPENS),
    ("configparser", &["read"], OPENS),
    ("dbm", &["open"], OPENS),
    ("fileinput", &[], OPENS),
    ("ftplib", &["FTP", "FTP_TLS"], OPENS),
    ("gzip", &["open", "GzipFile"], OPENS),
    ("http.client", &["HTTPConnection", "HTTPSConnection"], OPENS),
    ("imaplib", &["IMAP4", "IMAP4_SSL", "IMAP4_stream"], OPENS),
    ("linecache", &[], OPENS),
    ("logging", &["FileHandler", "basicConfig"], OPENS),
    ("logging.handlers", &[], OPENS),
    ("lzma", &["open", "LZMAFile"], OPENS),
    ("mailbox", &[], OPENS),
    ("mmap", &["mmap"], OPENS),
    ("netrc", &["netrc"], OPENS),
    ("pathlib", PATHS, OPENS),
    ("pathlib._local", PATHS, OPENS),
    ("poplib", &["POP3", "POP3_SSL"], OPENS),
    ("readline", &[], OPENS),
    ("shelve", &["open", "DbfilenameShelf"], OPENS),
    ("shutil", &[], OPENS),
    ("smtplib", &["SMTP", "SMTP_SSL", "LMTP"], OPENS),
    ("socket", &["socket", "create_connection", "create_server", "socketpair", "fromfd"], OPENS),
    ("socketserver", &[], OPENS),
    ("sqlite3", &["connect"], OPENS),
    ("tarfile", &["open", "TarFile"], OPENS),
    ("tempfile", &[], OPENS),
    ("tokenize", &["open"], OPENS),
    ("urllib.request", &[], OPENS),
    ("wave", &["open", "Wave_read", "Wave_write"], OPENS),
    ("xml.dom", &["parse"], OPENS),
    ("xml.dom.minidom", &["parse"], OPENS),
    ("xml.etree.ElementTree", &["parse", "iterparse"], OPENS),
    ("xml.sax", &["parse", "make_parser"], OPENS),
    ("xmlrpc.", &[], OPENS),
    ("zipfile", &["ZipFile", "PyZipFile", "Path"], OPENS),
    // Attributes and objects of others.
    ("gc", &["get_objects", "get_referrers", "get_referents"], READS),
    (
        "inspect",
        &["getattr_static", "getmembers", "getmembers_static", "getclosurevars", "getsource"],
        READS,
    ),
    ("string", &["format", "vformat", "get_field"], READS),
    ("dataclasses", &["make_dataclass"], MAKES_CLASSES),
];

const PROCESSES: &[&str] = &[
    "system",
    "popen",
    "execl",
    "execle",
    "execlp",
    "execlpe",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "spawnl",
    "spawnle",
    "spawnlp",
    "spawnlpe",
    "spawnv",
    "spawnve",
    "spawnvp",
    "spawnvpe",
    "posix_spawn",
    "posix_spawnp",
    "fork",
    "fork1",
    "forkpty",
    "startfile",
    "register_at_fork",
    "_exit",
    "abort",
    "kill",
    "killpg",
];

const SUBPROCESS: &[&str] =
    &["Popen", "run", "call", "check_call", "check_output", "getoutput", "getstatusoutput"];

const FILES: &[&str] = &[
    "open",
    "fdopen",
    "openpty",
    "remove",
    "unlink",
    "rename",
    "renames",
    "replace",
    "rmdir",
    "removedirs",
    "link",
    "symlink",
    "truncate",
    "mkdir",
    "makedirs",
    "mkfifo",
    "mknod",
    "chmod",
    "chown",
    "lchown",
    "chroot",
    "chdir",
    "write",
    "sendfile",
    "pwrite",
    "dup2",
    "close",
    "putenv",
    "unsetenv",
    "add_dll_directory",
    "memfd_create",
];

const PATHS: &[&str] = &[
    "open",
    "read_bytes",
    "read_text",
    "write_bytes",
    "write_text",
    "unlink",
    "rmdir",
    "rename",
    "replace",
    "mkdir",
    "touch",
    "chmod",
    "lchmod",
    "symlink_to",
    "hardlink_to",
    "link_to",
    "copy",
    "copy_into",
    "move",
    "move_into",
];

const SYSTEM: &[&str] = &[
    "settrace",
    "setprofile",
    "_getframe",
    "_current_frames",
    "_current_exceptions",
    "call_tracing",
    "breakpointhook",
    "addaudithook",
    "exit",
    "_debugmallocstats",
    "remote_exec",
    "setrecursionlimit",
    "activate_stack_trampoline",
    "set_asyncgen_hooks",
    "set_coroutine_origin_tracking_depth",
    "setdlopenflags",
    "setswitchinterval",
];

const ENDS: Verdict = Verdict::refused("can end or stop the process");
const IMPORTS: Verdict = Verdict::refused("imports modules, or reads their files");
const RUNS: Verdict = Verdict::refused("runs code");
const STARTS: Verdict = Verdict::refused("starts or ends processes");
const WATCHES: Verdict = Verdict::refused("acts on the whole interpreter");

/// The verdict on a function or a class of a module.
pub(crate) fn of_module(module: &str, name: impl FnOnce() -> Option<String>) -> Option<Verdict> {
    let mut rows = MODULES.iter().filter(|(known, ..)| match known.strip_suffix('.') {
        Some(package) => module == package || module.starts_with(known),
        None => *known == module,
    });
    let first = rows.next()?;
    let name = name();
    let is_meant = |names: &&[&str]| {
        names.is_empty() || name.as_deref().is_some_and(|name| names.contains(&name))
    };
    std::iter::once(first)
        .chain(rows)
        .find(|(_, names, _)| is_meant(names))
        .map(|(_, _, verdict)| *verdict)
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
