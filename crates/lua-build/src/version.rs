//! The table of versions: one row for each Lua.

use crate::fixes::{self, Fix};
use crate::memory;
use crate::stack;

/// How a Lua is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The reference implementation: a handful of C files.
    Puc,
    /// LuaJIT, by its own makefile. It comes with programs that are made, not used as found.
    LuaJit {
        /// The file, beside the source folder, that says which commit this is; if there is one.
        release: Option<&'static str>,
    },
}

/// A Lua that there is a crate for.
#[derive(Clone, Copy, Debug)]
pub struct Version {
    /// The name of the Python module and of the crate's folder.
    pub name: &'static str,
    /// The folder of its C files below the pinned sources.
    pub source: &'static str,
    /// How it is built.
    pub kind: Kind,
    /// The names that pkg-config may know it by.
    pub packages: &'static [&'static str],
    /// The version that pkg-config must report at least, and must stay below.
    pub range: (&'static str, &'static str),
    /// The headers that bindings are made of.
    pub headers: &'static [&'static str],
    /// The fixes to the copy of this release that is compiled, grouped by purpose.
    pub fixes: &'static [&'static [Fix]],
}

const PUC_HEADERS: &[&str] = &["lua.h", "lauxlib.h", "lualib.h"];
const JIT_HEADERS: &[&str] = &["lua.h", "lauxlib.h", "lualib.h", "luajit.h"];

/// All versions, oldest first.
pub const TABLE: &[Version] = &[
    Version {
        name: "lua51",
        source: "lua-src/lua-5.1.5",
        kind: Kind::Puc,
        packages: &["lua5.1", "lua-5.1", "lua51"],
        range: ("5.1", "5.2"),
        headers: PUC_HEADERS,
        fixes: &[
            fixes::WAITING,
            fixes::SCRIPT_HOOKS,
            fixes::STRINGS,
            fixes::REPETITIONS_OF_51,
            fixes::ARGUMENTS,
            fixes::TABLES,
            fixes::LEVELS_OF_51,
            fixes::COMPILING,
            fixes::REINSERTION_OF_51,
            fixes::GROWTH,
            memory::ROOM_OF_51,
            stack::ROOM,
            stack::CALLS_OF_51,
            stack::COMPILER_OF_51,
            stack::COROUTINES_OF_51,
        ],
    },
    Version {
        name: "lua52",
        source: "lua-src/lua-5.2.4",
        kind: Kind::Puc,
        packages: &["lua5.2", "lua-5.2", "lua52"],
        range: ("5.2", "5.3"),
        headers: PUC_HEADERS,
        fixes: &[
            fixes::WAITING,
            fixes::SCRIPT_HOOKS,
            fixes::STRINGS,
            fixes::REPETITIONS,
            fixes::ARGUMENTS,
            fixes::NAMES,
            fixes::TABLES,
            fixes::COMPILING,
            fixes::REINSERTION_OF_52,
            fixes::GROWTH,
            fixes::WEAK_KEYS,
            fixes::TOKENS_OF_52,
            memory::ROOM,
            stack::ROOM,
            stack::CALLS_OF_52,
            stack::COMPILER_OF_52,
            stack::COROUTINES,
            stack::FUNCTIONS_OF_52,
        ],
    },
    Version {
        name: "lua53",
        source: "lua-src/lua-5.3.6",
        kind: Kind::Puc,
        packages: &["lua5.3", "lua-5.3", "lua53"],
        range: ("5.3", "5.4"),
        headers: PUC_HEADERS,
        fixes: &[
            fixes::WAITING,
            fixes::SCRIPT_HOOKS,
            fixes::STRINGS,
            fixes::ITERATORS,
            fixes::REPETITIONS,
            fixes::ARGUMENTS,
            fixes::COMPARISONS,
            fixes::NAMES,
            fixes::TABLES,
            fixes::COMPILING,
            fixes::REINSERTION_OF_52,
            fixes::WEAK_KEYS,
            fixes::FINALIZERS_OF_53,
            memory::ROOM,
            memory::BUFFERS_OF_53,
            stack::ROOM,
            stack::CALLS_OF_52,
            stack::COMPILER_OF_52,
            stack::COROUTINES,
            stack::FUNCTIONS_OF_53,
        ],
    },
    Version {
        name: "lua54",
        source: "lua-src/lua-5.4.9",
        kind: Kind::Puc,
        packages: &["lua5.4", "lua-5.4", "lua54"],
        range: ("5.4", "5.5"),
        headers: PUC_HEADERS,
        fixes: &[
            fixes::HOOKS_IN_LOOPS,
            fixes::WAITING,
            fixes::SCRIPT_HOOKS,
            fixes::STRINGS,
            fixes::ITERATORS,
            fixes::REPETITIONS,
            fixes::ARGUMENTS,
            fixes::COMPARISONS,
            fixes::NAMES,
            fixes::TABLES,
            fixes::COMPILING,
            fixes::CALLS,
            fixes::REINSERTION_OF_54,
            fixes::WEAK_KEYS,
            memory::STACKS,
            memory::ROOM,
            memory::BUFFERS,
            stack::ROOM,
            stack::CALLS_OF_54,
            stack::COMPILER_OF_54,
            stack::COROUTINES,
            stack::FUNCTIONS_OF_54,
        ],
    },
    Version {
        name: "lua55",
        source: "lua-src/lua-5.5.1",
        kind: Kind::Puc,
        packages: &["lua5.5", "lua-5.5", "lua55"],
        range: ("5.5", "5.6"),
        headers: PUC_HEADERS,
        fixes: &[
            fixes::HOOKS_IN_LOOPS,
            fixes::WAITING,
            fixes::SCRIPT_HOOKS,
            fixes::STRINGS,
            fixes::ITERATORS,
            fixes::ARGUMENTS,
            fixes::COMPARISONS,
            fixes::NAMES,
            fixes::TABLES,
            fixes::COMPILING,
            fixes::WEAK_KEYS,
            memory::STACKS,
            memory::ROOM,
            memory::BUFFERS,
            stack::ROOM,
            stack::CALLS_OF_54,
            stack::COMPILER_OF_54,
            stack::COROUTINES,
            stack::FUNCTIONS_OF_54,
        ],
    },
    Version {
        name: "luajit20",
        source: "lua-jit-sys/src/LuaJIT-2.0.5",
        kind: Kind::LuaJit { release: None },
        packages: &["luajit"],
        range: ("2.0", "2.1.0-alpha"),
        headers: JIT_HEADERS,
        fixes: &[
            fixes::LUAJIT,
            fixes::WAITING_OF_LUAJIT,
            fixes::SCRIPT_HOOKS_OF_LUAJIT,
            fixes::FOREIGN_FUNCTIONS,
            fixes::GROWTH_OF_LUAJIT,
            fixes::TABLES_OF_20,
            fixes::SEARCHES_OF_20,
            memory::ALLOCATIONS_OF_20,
            fixes::HANDLERS_OF_20,
            fixes::DIGITS_OF_20,
            memory::RESUMPTION_OF_20,
            memory::OPENING_FFI,
            memory::BEGINNING_TRACES,
            stack::ROOM_OF_LUAJIT,
            stack::RESUMPTION_OF_20,
        ],
    },
    Version {
        name: "luajit21",
        source: "luajit-src/luajit2",
        kind: Kind::LuaJit { release: Some("luajit_relver.txt") },
        packages: &["luajit"],
        range: ("2.1.0-alpha", "2.2"),
        headers: JIT_HEADERS,
        fixes: &[
            fixes::LUAJIT,
            fixes::WAITING_OF_LUAJIT,
            fixes::SCRIPT_HOOKS_OF_LUAJIT,
            fixes::FOREIGN_FUNCTIONS,
            fixes::GROWTH_OF_LUAJIT,
            fixes::ARGUMENTS_OF_21,
            fixes::SEARCHES_OF_21,
            memory::ROOM_OF_21,
            memory::ALLOCATIONS_OF_21,
            memory::OPENING_FFI,
            memory::BEGINNING_TRACES,
            stack::ROOM_OF_LUAJIT,
            stack::RESUMPTION_OF_21,
        ],
    },
];

/// The row of this name.
///
/// # Panics
/// When there is none: the names are written in build scripts.
pub fn find(name: &str) -> &'static Version {
    TABLE
        .iter()
        .find(|version| version.name == name)
        .unwrap_or_else(|| panic!("no Lua is called {name}; see lua_build::version::TABLE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<_> = TABLE.iter().map(|version| version.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }

    #[test]
    fn every_source_has_its_headers() {
        for version in TABLE {
            let mut folder = crate::source(version);
            if folder.join("src").is_dir() {
                folder = folder.join("src");
            }
            for header in version.headers {
                // LuaJIT 2.1 makes luajit.h when it is built.
                let made = folder.join("luajit_rolling.h").is_file() && *header == "luajit.h";
                assert!(made || folder.join(header).is_file(), "{}: {header}", version.name);
            }
        }
    }
}
