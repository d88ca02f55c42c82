//! The table of versions: one row for each Lua.

use std::fs;
use std::path::Path;

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
    /// What pkg-config may call it.
    pub packages: &'static [&'static str],
    /// The version that pkg-config must report at least, and must stay below.
    pub range: (&'static str, &'static str),
    /// The headers that bindings are made of.
    pub headers: &'static [&'static str],
    /// What of this release is mended in the copy that is compiled.
    pub fixes: &'static [Fix],
}

/// One line of a release that is replaced before it is compiled.
#[derive(Clone, Copy, Debug)]
pub struct Fix {
    /// The file, below the source folder.
    pub file: &'static str,
    /// The line as it is; it must be there once.
    pub line: &'static str,
    /// What comes before it.
    pub before: &'static str,
}

impl Version {
    /// Mends a copy of one of this release's files.
    ///
    /// # Panics
    /// When the release is another one than the fixes were made for.
    pub(crate) fn mend(&self, file: &Path) {
        let mut text = fs::read_to_string(file).expect("a source file can be read");
        for fix in self.fixes.iter().filter(|fix| file.ends_with(fix.file)) {
            let places = text.matches(fix.line).count();
            assert_eq!(places, 1, "{}: the line to mend is not there once: {}", fix.file, fix.line);
            text = text.replace(fix.line, &format!("{}{}", fix.before, fix.line));
        }
        fs::write(file, text).expect("a source file can be written");
    }
}

/// Loops look at the hook itself, which another thread may set, and not only at their frame's flag,
/// which no other thread can set safely: the frame may be another function's by then.
const HOOKS_IN_LOOPS: Fix = Fix {
    file: "lvm.c",
    line: "#define updatebase(ci)",
    before: "#undef updatetrap\n#define updatetrap(ci) (trap = ci->u.l.trap | L->hookmask)\n\n",
};

/// Matching looks whether it is to stop where it goes down: a pattern can be made to need hours.
const PATTERNS: Fix = Fix {
    file: "lstrlib.c",
    line: "  init: /* using goto",
    before: "  if (ms->L->hookmask) lupa_answer(ms->L);\n",
};

/// So does a search for a long text.
const SEARCHES: Fix = Fix {
    file: "lstrlib.c",
    line: "      init++;   /* 1st char is already checked */",
    before: "      if (l2 > 63) lupa_answer(NULL);\n",
};

/// A finalizer that collects garbage while Lua is closed finds none of them due, for ever.
const FINALIZERS: Fix = Fix {
    file: "lgc.c",
    line: "  for (i = 0; g->tobefnz && i < g->gcfinnum; i++)",
    before: "  if (g->gcfinnum == 0) g->gcfinnum = 1;\n",
};

/// What these need.
const STATES: Fix = Fix {
    file: "lstrlib.c",
    line: "#include \"lualib.h\"",
    before: "#include \"lstate.h\"\n#include \"stop.h\"\n\
             #if LUA_VERSION_NUM < 505\n#undef MAX_SIZE\n#endif\n",
};

/// The same in LuaJIT, where searches may run in compiled code, which cannot be left there.
const PATTERNS_OF_LUAJIT: Fix = Fix {
    file: "src/lib_string.c",
    line: "  init: /* using goto",
    before: "  { extern void lupa_answer(lua_State *L);\n    \
                if (G(ms->L)->hookmask & LUA_MASKCOUNT) lupa_answer(ms->L); }\n",
};

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
        fixes: &[PATTERNS, SEARCHES, STATES],
    },
    Version {
        name: "lua52",
        source: "lua-src/lua-5.2.4",
        kind: Kind::Puc,
        packages: &["lua5.2", "lua-5.2", "lua52"],
        range: ("5.2", "5.3"),
        headers: PUC_HEADERS,
        fixes: &[PATTERNS, SEARCHES, STATES],
    },
    Version {
        name: "lua53",
        source: "lua-src/lua-5.3.6",
        kind: Kind::Puc,
        packages: &["lua5.3", "lua-5.3", "lua53"],
        range: ("5.3", "5.4"),
        headers: PUC_HEADERS,
        fixes: &[PATTERNS, SEARCHES, STATES, FINALIZERS],
    },
    Version {
        name: "lua54",
        source: "lua-src/lua-5.4.9",
        kind: Kind::Puc,
        packages: &["lua5.4", "lua-5.4", "lua54"],
        range: ("5.4", "5.5"),
        headers: PUC_HEADERS,
        fixes: &[HOOKS_IN_LOOPS, PATTERNS, SEARCHES, STATES],
    },
    Version {
        name: "lua55",
        source: "lua-src/lua-5.5.1",
        kind: Kind::Puc,
        packages: &["lua5.5", "lua-5.5", "lua55"],
        range: ("5.5", "5.6"),
        headers: PUC_HEADERS,
        fixes: &[HOOKS_IN_LOOPS, PATTERNS, SEARCHES, STATES],
    },
    Version {
        name: "luajit20",
        source: "lua-jit-sys/src/LuaJIT-2.0.5",
        kind: Kind::LuaJit { release: None },
        packages: &["luajit"],
        range: ("2.0", "2.1.0-alpha"),
        headers: JIT_HEADERS,
        fixes: &[
            PATTERNS_OF_LUAJIT,
            Fix {
                // An allocation that fails inside of an instruction leaves the error message at an old
                // stack top, and the process crashes. LuaJIT 2.1 sets the top first, so we do.
                file: "src/lj_err.c",
                line: "  setstrV(L, L->top++, lj_err_str(L, LJ_ERR_ERRMEM));",
                before: "  L->top = L->base;\n",
            },
        ],
    },
    Version {
        name: "luajit21",
        source: "luajit-src/luajit2",
        kind: Kind::LuaJit { release: Some("luajit_relver.txt") },
        packages: &["luajit"],
        range: ("2.1.0-alpha", "2.2"),
        headers: JIT_HEADERS,
        fixes: &[PATTERNS_OF_LUAJIT],
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
