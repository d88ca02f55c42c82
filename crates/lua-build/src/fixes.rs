//! Fixes to the copies of Lua's sources that are compiled, grouped by purpose.
//!
//! Most of it is for stopping (`lua_api::watch` has the whole story): loops of Lua's C code that a script
//! can make as long as it likes look whether somebody has set a hook, or are made shorter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::luajit;
use crate::version::{Kind, Version};

/// A place of a release, and what is put before it.
#[derive(Clone, Copy, Debug)]
pub struct Fix {
    /// The file, below the source folder.
    pub file: &'static str,
    /// The text as it is; it must be there once.
    pub place: &'static str,
    /// The text that is put before it.
    pub before: &'static str,
}

impl Fix {
    /// The text of the file with this fix in it.
    ///
    /// # Errors
    /// A message with the file and the anchor, if the anchor is not found exactly once.
    fn apply(&self, text: &str) -> Result<String, String> {
        match text.matches(self.place).count() {
            1 => Ok(text.replace(self.place, &format!("{}{}", self.before, self.place))),
            found => Err(format!(
                "{}: patch anchor found {found} times instead of once: {:?}",
                self.file, self.place
            )),
        }
    }
}

impl Version {
    /// All fixes of this release.
    pub(crate) fn fixes(&self) -> impl Iterator<Item = &'static Fix> {
        self.fixes.iter().copied().flatten()
    }

    /// Applies the fixes of one file to a copy of that file.
    ///
    /// # Panics
    /// If an anchor is not found exactly once: the file is of another release than the fixes were made for.
    pub(crate) fn mend(&self, file: &Path) {
        let mut text = fs::read_to_string(file).expect("a source file can be read");
        for fix in self.fixes().filter(|fix| file.ends_with(fix.file)) {
            text = fix.apply(&text).unwrap_or_else(|misfit| panic!("{misfit}"));
        }
        fs::write(file, text).expect("a source file can be written");
    }

    /// Tries all fixes on the sources in a folder, and compiles nothing: a message for each that does not fit.
    pub fn misfits(&self, source: &Path) -> Vec<String> {
        let mut texts = BTreeMap::new();
        let mut misfits = Vec::new();
        for fix in self.fixes() {
            let text = texts
                .entry(fix.file)
                .or_insert_with(|| fs::read_to_string(source.join(fix.file)).unwrap_or_default());
            match fix.apply(text) {
                Ok(applied) => *text = applied,
                Err(misfit) => misfits.push(misfit),
            }
        }
        if let Kind::LuaJit { .. } = self.kind {
            misfits.extend(luajit::misfits(source));
        }
        misfits
    }
}

/// The includes that a check of the hook needs in the other Luas, and the text after them.
macro_rules! looking {
    ($text:literal) => {
        concat!("#include \"lstate.h\"\n#include \"stop.h\"\n", $text)
    };
}

/// A look at the hook in LuaJIT, for which nothing has to be included.
macro_rules! look {
    ($state:literal) => {
        concat!(
            "  { extern void lupa_answer(lua_State *L);\n",
            "    if (G(",
            $state,
            ")->hookmask & LUA_MASKCOUNT) lupa_answer(",
            $state,
            "); }\n"
        )
    };
}

/// A search by the C library, which takes at worst a time in proportion to the two lengths.
macro_rules! search {
    ($condition:literal, $arguments:literal) => {
        concat!(
            "#ifdef __linux__\n",
            "    { extern void *memmem(const void *, size_t, const void *, size_t);\n",
            "      if (",
            $condition,
            ") return (const char *)memmem(",
            $arguments,
            "); }\n#endif\n"
        )
    };
}

/// Loops look at the hook itself, which another thread may set, and not only at their frame's flag,
/// which no other thread can set safely: the frame may be another function's by then.
pub(crate) const HOOKS_IN_LOOPS: &[Fix] = &[Fix {
    file: "lvm.c",
    place: "#define updatebase(ci)",
    before: "#undef updatetrap\n#define updatetrap(ci) (trap = ci->u.l.trap | L->hookmask)\n\n",
}];

/// Matching looks where it goes down, for a pattern can be made to need hours, and in a long set of
/// characters. So does a search for a long text, and formatting at each character of the format.
pub(crate) const STRINGS: &[Fix] = &[
    Fix {
        file: "lstrlib.c",
        place: "#include \"lualib.h\"",
        before: looking!("#if LUA_VERSION_NUM < 505\n#undef MAX_SIZE\n#endif\n"),
    },
    Fix { file: "lstrlib.c", place: "  init: /* using goto", before: "  lupa_look(ms->L);\n" },
    Fix {
        file: "lstrlib.c",
        place: "  if (*(p+1) == '^') {",
        before: "  if (ec - p > 15) lupa_answer(NULL);\n",
    },
    Fix {
        file: "lstrlib.c",
        place: "      init++;   /* 1st char is already checked */",
        before: "      if (l2 > 63) lupa_answer(NULL);\n",
    },
    Fix { file: "lstrlib.c", place: "    if (*strfrmt != L_ESC)", before: "    lupa_look(L);\n" },
];

/// The iterators of `gmatch` must not be disturbed by what runs where matching looks.
pub(crate) const ITERATORS: &[Fix] = &[
    Fix {
        file: "lstrlib.c",
        place: "static int gmatch_aux (lua_State *L) {",
        before: "#include \"gmatch.h\"\n\n",
    },
    Fix {
        file: "lstrlib.c",
        place: "static int gmatch (lua_State *L) {",
        before: "#undef match\n\n",
    },
];

/// Nothing, repeated any number of times, takes no time. 5.5 knows.
pub(crate) const REPETITIONS: &[Fix] = &[Fix {
    file: "lstrlib.c",
    place: "    while (n-- > 1) {  /* first n-1 copies (followed by separator) */",
    before: "    if (totallen == 0) n = 1;\n",
}];

/// The same in 5.1, where memory for a long result is asked for first, too: so a limit is reached before the work is done, and
/// not after most of it.
pub(crate) const REPETITIONS_OF_51: &[Fix] = &[Fix {
    file: "lstrlib.c",
    place: "  while (n-- > 0)\n    luaL_addlstring(&b, s, l);",
    before: "  if (l == 0) n = 0;\n  \
             if (n > 1 && (size_t)n > LUAL_BUFFERSIZE / l) {\n    \
               extern void *luaM_realloc_ (lua_State *, void *, size_t, size_t);\n    \
               size_t all = l * (size_t)n;\n    \
               if (all / l != (size_t)n) return luaL_error(L, \"resulting string too large\");\n    \
               luaM_realloc_(L, luaM_realloc_(L, NULL, 0, all), all, 0);\n  \
             }\n",
}];

/// A number may be a long text, and a function may take many of them. The function that asks for a number may be in the middle of an operation
/// (on a file, on the level of a stack), so no code may run there.
pub(crate) const ARGUMENTS: &[Fix] = &[Fix {
    file: "lauxlib.c",
    place: "LUALIB_API lua_Number luaL_checknumber (",
    before: looking!(
        "#if LUA_VERSION_NUM >= 502\n\
         #define lua_tonumberx(L,i,p) (lupa_quick(L), lua_tonumberx(L,i,p))\n\
         #define lua_tointegerx(L,i,p) (lupa_quick(L), lua_tointegerx(L,i,p))\n\
         #define lua_tounsignedx(L,i,p) (lupa_quick(L), lua_tounsignedx(L,i,p))\n\
         #else\n\
         #define lua_tonumber(L,i) (lupa_quick(L), lua_tonumber(L,i))\n\
         #define lua_tointeger(L,i) (lupa_quick(L), lua_tointeger(L,i))\n\
         #endif\n\n"
    ),
}];

/// The same, in the name of an object.
pub(crate) const NAMES: &[Fix] = &[Fix {
    file: "lauxlib.c",
    place: "LUALIB_API const char *luaL_tolstring (",
    before: "#define luaL_callmeta(L,i,e) (lupa_quick(L), luaL_callmeta(L,i,e))\n\n",
}];

/// From 5.3 on, `math.max` and `math.min` compare whatever they are given.
pub(crate) const COMPARISONS: &[Fix] = &[Fix {
    file: "lmathlib.c",
    place: "#include \"lualib.h\"",
    before: looking!("#define lua_compare(L,a,b,o) (lupa_look(L), lua_compare(L,a,b,o))\n"),
}];

/// In 5.1, `print` takes texts of any number and length, and the end of a long traceback is looked for
/// level by level, of which calls that are long gone count as some.
pub(crate) const LEVELS_OF_51: &[Fix] = &[
    Fix { file: "lbaselib.c", place: "#include \"lualib.h\"", before: "#include \"stop.h\"\n" },
    Fix { file: "lbaselib.c", place: "    fputs(s, stdout);", before: "    lupa_stop(L);\n" },
    Fix {
        file: "ldblib.c",
        place: "#include \"lualib.h\"",
        before: "#include \"stop.h\"\n\
                 #define lua_getstack(L,n,ar) (lupa_answer(NULL), lua_getstack(L,n,ar))\n",
    },
];

/// Functions that may wait for something outside of Lua announce that.
macro_rules! waiting {
    ($($file:literal),+) => {
        &[$(Fix {
            file: $file,
            place: "#include \"lauxlib.h\"",
            before: "#include \"wait.h\"\n",
        }),+]
    };
}
pub(crate) const WAITING: &[Fix] =
    waiting!("lauxlib.c", "lbaselib.c", "ldblib.c", "liolib.c", "loadlib.c", "loslib.c");
pub(crate) const WAITING_OF_LUAJIT: &[Fix] = waiting!(
    "src/lib_base.c",
    "src/lib_debug.c",
    "src/lib_io.c",
    "src/lib_os.c",
    "src/lib_package.c",
    "src/lj_load.c"
);

/// A hook of a script says when it runs: if it has to be stopped, it is not put back.
macro_rules! hooking {
    ($file:literal) => {
        &[Fix {
            file: $file,
            place: "    lua_call(L, 2, 0);",
            before: "    { extern void lupa_hooking(lua_State *L, int on);\n\
                      lupa_hooking(L, 1); lua_call(L, 2, 0); lupa_hooking(L, 0); }\n\
                     if (0)\n",
        }]
    };
}
pub(crate) const SCRIPT_HOOKS: &[Fix] = hooking!("ldblib.c");
pub(crate) const SCRIPT_HOOKS_OF_LUAJIT: &[Fix] = hooking!("src/lib_debug.c");

/// Functions that somebody else has written, which LuaJIT's FFI calls, do not say whether they wait.
pub(crate) const FOREIGN_FUNCTIONS: &[Fix] = &[
    Fix {
        file: "src/lj_ccall.c",
        place: "int lj_ccall_func(",
        before: "extern void lupa_foreign(void);\n",
    },
    Fix {
        file: "src/lj_ccall.c",
        place: "    lj_vm_ffi_call(&cc);",
        before: "    lupa_foreign();\n",
    },
    // They may call a callback, too, from anywhere.
    Fix {
        file: "src/lj_ccallback.c",
        place: "void *lj_ccallback_new(",
        before: "extern void lupa_foreign(void);\n",
    },
    Fix {
        file: "src/lj_ccallback.c",
        place: "  if (ct) {\n    MSize slot = callback_slot_new(cts, ct);",
        before: "  lupa_foreign();\n",
    },
];

/// A table that grows does not look for what it has. 5.5 knows.
macro_rules! reinsertion {
    ($first:literal, $last:literal) => {
        &[
            Fix { file: "ltable.c", place: $first, before: "#include \"reinsert.h\"\n\n" },
            Fix { file: "ltable.c", place: $last, before: "#undef luaH_set\n" },
        ]
    };
}
pub(crate) const REINSERTION_OF_51: &[Fix] =
    reinsertion!("static void resize (", "TValue *luaH_set (");
/// Of 5.2 and 5.3.
pub(crate) const REINSERTION_OF_52: &[Fix] =
    reinsertion!("void luaH_resize (", "TValue *luaH_set (");
pub(crate) const REINSERTION_OF_54: &[Fix] =
    reinsertion!("static void reinsert (", "void luaH_set (");

/// In 5.1 and 5.2, a table that has no memory to grow loses nothing.
pub(crate) const GROWTH: &[Fix] = &[Fix {
    file: "ltable.c",
    place: "  /* create new hash part with appropriate size */",
    before: "  lupa_move(L, t, oldasize);\n",
}];

/// Functions that go through a table check the hook at each element: `__len` can tell of more elements than there are.
pub(crate) const TABLES: &[Fix] = &[Fix {
    file: "ltablib.c",
    place: "#include \"lualib.h\"",
    before: looking!(
        "#if LUA_VERSION_NUM >= 503\n\
         #define lua_geti(L,i,n) (lupa_look(L), lua_geti(L,i,n))\n\
         #else\n\
         #define lua_rawgeti(L,i,n) (lupa_look(L), lua_rawgeti(L,i,n))\n\
         #endif\n"
    ),
}];

/// A table whose `__call` is a table is called by a loop, for minutes if it is the table itself. Other Luas
/// than 5.4 refuse it, or limit the number of turns.
pub(crate) const CALLS: &[Fix] = &[
    Fix {
        file: "ldo.c",
        place: "static StkId tryfuncTM (lua_State *L, StkId func) {",
        before: "static StkId lupa_answer_call (lua_State *L, StkId func);\n\n",
    },
    Fix {
        file: "ldo.c",
        place: "  checkstackGCp(L, 1, func);  /* space for metamethod */",
        before: "  if (l_unlikely(L->hookmask)) func = lupa_answer_call(L, func);\n",
    },
];

/// Compiling looks at each token, and where a list of jumps gets longer, which is walked through each time.
pub(crate) const COMPILING: &[Fix] = &[
    Fix { file: "llex.c", place: "#include \"llex.h\"", before: "#include \"stop.h\"\n" },
    Fix {
        file: "llex.c",
        place: "  ls->lastline = ls->linenumber;",
        before: "  lupa_look(ls->L);\n",
    },
    Fix { file: "lcode.c", place: "#include \"lcode.h\"", before: "#include \"stop.h\"\n" },
    Fix {
        file: "lcode.c",
        place: "    while ((next = getjump(fs, list)) != NO_JUMP)  /* find last element */",
        before: "    lupa_look(fs->ls->L);\n",
    },
];

/// Collecting garbage cannot be stopped. Where weak keys would make it take the square of their number, it
/// is content with less.
pub(crate) const WEAK_KEYS: &[Fix] = &[
    Fix {
        file: "lgc.c",
        place: "static void convergeephemerons (global_State *g) {",
        before: "#include \"ephemerons.h\"\n\n",
    },
    Fix { file: "lgc.c", place: "  int changed;", before: "  size_t work = 0;\n" },
    Fix {
        file: "lgc.c",
        place: "    while ((w = next) != NULL) {",
        before: "    work += lupa_entries(next);\n",
    },
    Fix {
        file: "lgc.c",
        place: "  } while (changed);",
        before: "    if (changed && work > LUPA_ENOUGH) lupa_keep_values(g);\n",
    },
];

/// In 5.3, a finalizer that collects garbage while Lua is closed finds none of them due, for ever.
pub(crate) const FINALIZERS_OF_53: &[Fix] = &[Fix {
    file: "lgc.c",
    place: "  for (i = 0; g->tobefnz && i < g->gcfinnum; i++)",
    before: "  if (g->gcfinnum == 0) g->gcfinnum = 1;\n",
}];

/// In LuaJIT, the same places look. Its searches may run in compiled code, which cannot be left there. Functions
/// that use the global string buffer can be left by an error, but no Lua code may run there meanwhile.
pub(crate) const LUAJIT: &[Fix] = &[
    Fix { file: "src/lib_string.c", place: "  init: /* using goto", before: look!("ms->L") },
    Fix {
        file: "src/lib_string.c",
        place: "static const char *max_expand(",
        before: "extern void lupa_answer(lua_State *L);\n\
                 #define singlematch(c,p,ep) \\\n  \
                 (((ep) - (p) > 15 && (G(ms->L)->hookmask & LUA_MASKCOUNT) \\\n    \
                 ? lupa_answer(ms->L) : (void)0), singlematch(c,p,ep))\n\n",
    },
    Fix {
        file: "src/lib_table.c",
        place: "  if (!lua_isnil(L, 2)) {  /* function? */",
        before: look!("L"),
    },
    Fix {
        file: "src/lib_table.c",
        place: "      /* The set may invalidate the get pointer, so need to do it first! */",
        before: look!("L"),
    },
    Fix { file: "src/lj_lex.c", place: "  ls->lastline = ls->linenumber;", before: look!("ls->L") },
    Fix {
        file: "src/lj_parse.c",
        place: "    while ((next = jmp_next(fs, list)) != NO_JMP)  /* Find last element. */",
        before: look!("fs->L"),
    },
    Fix {
        file: "src/lj_lib.c",
        place: "#if LJ_DUALNUM\nvoid lj_lib_checknumber(",
        before: "extern void lupa_stop(lua_State *L);\n\
                 #define lj_strscan_num(s,o) (lupa_stop(L), lj_strscan_num(s,o))\n\
                 #define lj_strscan_numberobj(o) \\\n  \
                 ((tvisstr(o) ? lupa_stop(L) : (void)0), lj_strscan_numberobj(o))\n\n",
    },
    Fix {
        file: "src/lib_base.c",
        place: "    if (i)\n      putchar('\\t');",
        before: "    { extern void lupa_stop(lua_State *L); lupa_stop(L); }\n",
    },
];

/// In LuaJIT too, a table that has no memory to grow loses nothing.
pub(crate) const GROWTH_OF_LUAJIT: &[Fix] = &[
    Fix {
        file: "src/lj_tab.c",
        place: "/* Resize a table to fit the new array/hash part sizes. */",
        before: "#include \"lj_move.h\"\n\n",
    },
    Fix {
        file: "src/lj_tab.c",
        place: "  /* Create new (empty) hash part. */",
        before: "  lupa_move(L, t, oldnode, oldhmask, oldasize);\n",
    },
];

/// The numbers of LuaJIT 2.1 that may be of 64 bits.
pub(crate) const ARGUMENTS_OF_21: &[Fix] = &[Fix {
    file: "src/lj_carith.c",
    place: "uint64_t lj_carith_check64(",
    before: "extern void lupa_stop(lua_State *L);\n\
             #if LJ_DUALNUM\n\
             #define lj_strscan_number(s,o) (lupa_stop(L), lj_strscan_number(s,o))\n\
             #else\n\
             #define lj_strscan_num(s,o) (lupa_stop(L), lj_strscan_num(s,o))\n\
             #endif\n\n",
}];

/// Some functions that are Lua code in 2.1 are C code in LuaJIT 2.0.
pub(crate) const TABLES_OF_20: &[Fix] = &[Fix {
    file: "src/lib_table.c",
    place: "    cTValue *src = lj_tab_getint(t, pos+1);",
    before: look!("L"),
}];

/// Searches of LuaJIT 2.1.
pub(crate) const SEARCHES_OF_21: &[Fix] = &[Fix {
    file: "src/lj_str.c",
    place: "    if (plen == 0) {",
    before: search!("plen > 63", "s, slen, p, plen"),
}];

/// Searches of LuaJIT 2.0.
pub(crate) const SEARCHES_OF_20: &[Fix] = &[Fix {
    file: "src/lib_string.c",
    place: "    l2--;  /* 1st char will be checked by `memchr' */",
    before: search!("l2 > 63", "s1, l1, s2, l2"),
}];

/// In LuaJIT 2.0, `bit.tohex(1, -2^31)` has no end: that number is its own negative.
pub(crate) const DIGITS_OF_20: &[Fix] =
    &[Fix { file: "src/lib_bit.c", place: "  if (n > 8) n = 8;", before: "  if (n < 0) n = 8;\n" }];

/// In LuaJIT 2.0, looking for the message handler of an error in a finalizer takes one C frame for another, whose
/// handler was never set. LuaJIT 2.1 goes on to the next one, as we do.
pub(crate) const HANDLERS_OF_20: &[Fix] = &[Fix {
    file: "src/lj_err.c",
    place: "      if (cframe_errfunc(cf) >= 0)\n\treturn cframe_errfunc(cf);\n      frame = frame_prevd(frame);",
    before: "      if (cframe_errfunc(cf) < 0) {\n\t\
             cf = cframe_prev(cf);\n\t\
             frame = frame_prevd(frame);\n\t\
             break;\n      }\n",
}];

/// In 5.2, the token behind a function goes from the strings of that function to those of the one around it. Of a
/// long string that is a copy, and the parser went on with the other, which the collector frees.
pub(crate) const TOKENS_OF_52: &[Fix] = &[Fix {
    file: "lparser.c",
    place: "  if (ls->t.token == TK_NAME || ls->t.token == TK_STRING) {",
    before: "  if (ls->t.token == TK_NAME || ls->t.token == TK_STRING) {\n    \
             TString *token = ls->t.seminfo.ts;\n    \
             ls->t.seminfo.ts = luaX_newstring(ls, getstr(token), token->tsv.len);\n    \
             return;\n  }\n",
}];
