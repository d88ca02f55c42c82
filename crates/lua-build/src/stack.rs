//! Fixes for the end of the C stack (`c/room.h`): where C functions of Lua nest, they check
//! whether there is room, and raise the error that this Lua has for too many of them.

use crate::fixes::Fix;

/// In every Lua of the reference implementation: the limit is part of the global state, no error leaves it
/// lowered, a coroutine is not resumed, and a pattern does not recurse, where there is no room.
pub(crate) const ROOM: &[Fix] = &[
    Fix { file: "lstate.h", place: "#include \"lobject.h\"", before: "#include \"room.h\"\n" },
    Fix { file: "lstate.h", place: "} global_State;", before: "  struct lupa_room room;\n" },
    Fix {
        file: "lstate.h",
        place: "#define G(L)",
        before: "void lupa_overflow (lua_State *L, const void *func);\n\n",
    },
    Fix {
        file: "lstate.c",
        place: "  g->frealloc = f;",
        before: "  g->room.limit = g->room.soft = g->room.hard = g->room.coroutines = 0;\n",
    },
    Fix {
        file: "lstrlib.c",
        place: "  init: /* using goto",
        before: "  if (lupa_full(ms->L)) lupa_overflow(ms->L, NULL);\n",
    },
];

/// Where an error is thrown, and where a function is called.
macro_rules! calls {
    ($throw:literal, $call:literal) => {
        &[
            Fix { file: "ldo.c", place: $throw, before: "  lupa_thrown(L);\n" },
            Fix {
                file: "ldo.c",
                place: $call,
                before: "  if (lupa_full(L)) lupa_overflow(L, func);\n",
            },
        ]
    };
}
pub(crate) const CALLS_OF_51: &[Fix] =
    calls!("  if (L->errorJmp) {", "  if (++L->nCcalls >= LUAI_MAXCCALLS)");
/// Of 5.2 and 5.3.
pub(crate) const CALLS_OF_52: &[Fix] = calls!(
    "  if (L->errorJmp) {  /* thread has an error handler? */",
    "  if (++L->nCcalls >= LUAI_MAXCCALLS)"
);
/// Of 5.4 and later.
pub(crate) const CALLS_OF_54: &[Fix] =
    calls!("  if (L->errorJmp) {  /* thread has an error handler? */", "  L->nCcalls += inc;");

/// The compiler, where it goes down.
pub(crate) const COMPILER_OF_51: &[Fix] = &[Fix {
    file: "lparser.c",
    place: "  if (++ls->L->nCcalls > LUAI_MAXCCALLS)",
    before: "  if (lupa_full(ls->L)) lupa_overflow(ls->L, NULL);\n",
}];
/// Of 5.2 and 5.3.
pub(crate) const COMPILER_OF_52: &[Fix] = &[Fix {
    file: "lparser.c",
    place: "  ++L->nCcalls;\n  checklimit",
    before: "  if (lupa_full(L)) lupa_overflow(L, NULL);\n",
}];
/// Of 5.4 and later.
pub(crate) const COMPILER_OF_54: &[Fix] = &[Fix {
    file: "lstate.c",
    place: "  L->nCcalls++;",
    before: "  if (lupa_full(L)) lupa_overflow(L, NULL);\n",
}];

/// A coroutine is not resumed where there is no room. That is an error like others of `coroutine.resume`.
macro_rules! coroutines {
    ($file:literal) => {
        &[
            Fix { file: $file, place: "#include \"lualib.h\"", before: "#include \"lstate.h\"\n" },
            Fix {
                file: $file,
                place: "  lua_xmove(L, co, narg);",
                before: "  if (lupa_full(L)) {\n    \
                         lua_pushliteral(L, \"C stack overflow\");\n    \
                         return -1;\n  }\n",
            },
        ]
    };
}
pub(crate) const COROUTINES_OF_51: &[Fix] = coroutines!("lbaselib.c");
pub(crate) const COROUTINES: &[Fix] = coroutines!("lcorolib.c");

/// Functions in functions of precompiled code, which may be made up. In 5.1 their number is limited.
macro_rules! functions {
    ($load:literal, $dump:literal) => {
        &[
            Fix {
                file: "lundump.c",
                place: $load,
                before: "  if (lupa_full(S->L)) lupa_overflow(S->L, NULL);\n",
            },
            Fix {
                file: "ldump.c",
                place: $dump,
                before: "  if (lupa_full(D->L)) lupa_overflow(D->L, NULL);\n",
            },
        ]
    };
}
pub(crate) const FUNCTIONS_OF_52: &[Fix] =
    functions!(" f->linedefined=LoadInt(S);", " DumpInt(f->linedefined,D);");
pub(crate) const FUNCTIONS_OF_53: &[Fix] =
    functions!("  f->linedefined = LoadInt(S);", "  DumpInt(f->linedefined, D);");
pub(crate) const FUNCTIONS_OF_54: &[Fix] =
    functions!("  f->linedefined = loadInt(S);", "  dumpInt(D, f->linedefined);");

/// In LuaJIT, wherever C code calls Lua; in patterns, in the compiler and before a coroutine is resumed.
pub(crate) const ROOM_OF_LUAJIT: &[Fix] = &[
    Fix { file: "src/lj_obj.h", place: "#include \"lua.h\"", before: "#include \"room.h\"\n" },
    Fix { file: "src/lj_obj.h", place: "} global_State;", before: "  struct lupa_room room;\n" },
    Fix {
        file: "src/lj_vm.h",
        place: "/* Start of the ASM code. */",
        before: "/* Calls from C code look whether there is room on its stack. */\n\
                 void lupa_overflow(lua_State *L);\n\
                 void lupa_call(lua_State *L, TValue *base, int nres1);\n\
                 int lupa_pcall(lua_State *L, TValue *base, int nres1, ptrdiff_t ef);\n\
                 #define lj_vm_call(L, base, n) \\\n  \
                 (lupa_full(L) ? lupa_call(L, base, n) : lj_vm_call(L, base, n))\n\
                 #define lj_vm_pcall(L, base, n, ef) \\\n  \
                 (lupa_full(L) ? lupa_pcall(L, base, n, ef) : lj_vm_pcall(L, base, n, ef))\n\n",
    },
    Fix { file: "src/lj_err.c", place: "  lj_trace_abort(g);", before: "  lupa_thrown(L);\n" },
    // So that these messages need no memory. `coroutine.resume` makes the last two when its frame is overwritten already.
    Fix {
        file: "src/lj_state.c",
        place: "  fixstring(lj_err_str(L, LJ_ERR_ERRMEM));",
        before: "  fixstring(lj_err_str(L, LJ_ERR_STKOV));\n  \
                 fixstring(lj_err_str(L, LJ_ERR_ERRERR));\n  \
                 fixstring(lj_err_str(L, LJ_ERR_CORUN));\n  \
                 fixstring(lj_err_str(L, LJ_ERR_CODEAD));\n",
    },
    Fix {
        file: "src/lib_string.c",
        place: "#include \"lj_obj.h\"",
        before: "void lupa_overflow(lua_State *L);\n",
    },
    Fix {
        file: "src/lib_string.c",
        place: "  init: /* using goto",
        before: "  if (lupa_full(ms->L)) lupa_overflow(ms->L);\n",
    },
    Fix {
        file: "src/lj_parse.c",
        place: "  if (++ls->level >= LJ_MAX_XLEVEL)",
        before: "  if (lupa_full(ls->L)) lupa_overflow(ls->L);\n",
    },
    Fix {
        file: "src/lj_cparse.c",
        place: "  cp_expr_unary(cp, k);\n  cp_expr_infix(cp, k, pri);",
        before: "  if (lupa_full(cp->L)) cp_err(cp, LJ_ERR_XLEVELS);\n",
    },
    Fix {
        file: "src/lj_ccallback.c",
        place: "  lj_state_checkstack(L, LUA_MINSTACK);  /* May throw. */",
        before: "  if (lupa_full(L)) lupa_overflow(L);\n",
    },
];

/// A coroutine that is resumed nests, too, with a limit of its own. The assembler code asks this function
/// where there is no room.
macro_rules! resumption {
    ($two:literal) => {
        Fix {
            file: "src/lib_base.c",
            place: "  if (co->cframe != NULL || co->status > LUA_YIELD ||",
            before: concat!(
                "  if (lupa_here() < G(L)->room.coroutines) {\n",
                "    if (wrap) lj_err_caller(L, LJ_ERR_STKOV);\n",
                "    setboolV(L->base-1-",
                $two,
                ", 0);\n    setstrV(L, L->base-",
                $two,
                ", lj_err_str(L, LJ_ERR_STKOV));\n    return FFH_RES(2);\n  }\n"
            ),
        }
    };
}

/// The assembler code for x86, which is that for x86-64 in 2.0.
const RESUMPTION_ON_X86: Fix = Fix {
    file: "src/vm_x86.dasc",
    place: "  |  cmp aword L:RB->cframe, 0; jne ->fff_fallback",
    before: "  |.if X64\n  \
             |  cmp rsp, qword [DISPATCH+DISPATCH_GL(room.coroutines)]; jb ->fff_fallback\n  \
             |.else\n  \
             |  cmp esp, dword [DISPATCH+DISPATCH_GL(room.coroutines)]; jb ->fff_fallback\n  \
             |.endif\n",
};
pub(crate) const RESUMPTION_OF_20: &[Fix] = &[resumption!("0"), RESUMPTION_ON_X86];
pub(crate) const RESUMPTION_OF_21: &[Fix] = &[
    resumption!("LJ_FR2"),
    RESUMPTION_ON_X86,
    Fix {
        file: "src/vm_x64.dasc",
        place: "  |  cmp aword L:RB->cframe, 0; jne ->fff_fallback",
        before: "  |  cmp rsp, [DISPATCH+DISPATCH_GL(room.coroutines)]; jb ->fff_fallback\n",
    },
    Fix {
        file: "src/vm_arm64.dasc",
        place: "  |   ldr PC, [BASE, FRAME_PC]\n  |     str BASE, L->base\n  |  ldp RB, CARG2, L:CARG1->base",
        before: "  |  ldr TMP0, GL->room.coroutines\n  \
                 |  mov TMP1, sp\n  \
                 |  cmp TMP1, TMP0\n  \
                 |  blo ->fff_fallback\n",
    },
];
