//! Fixes for the end of memory: where a stack cannot grow for want of it, Lua collects garbage and
//! tries again, and then says that there is not enough memory.

use crate::fixes::Fix;

/// From 5.4 on, no garbage is collected in the middle of a stack that moves: it is before.
pub(crate) const STACKS: &[Fix] = &[Fix {
    file: "ldo.c",
    place: "int luaD_growstack (lua_State *L, int n, int raiseerror) {",
    before: "static int lupa_reallocstack (lua_State *L, int newsize, int raiseerror);\n\
             #define luaD_reallocstack lupa_reallocstack\n\n",
}];

/// `lua_checkstack` says nothing of the reason. (`S` may be another coroutine than the one that runs, `L`.)
macro_rules! room {
    ($($file:literal at $place:literal),+) => {
        &[$(Fix {
            file: $file,
            place: $place,
            before: "extern int lupa_checkstack (lua_State *L, lua_State *of, int n);\n\
                     #undef lua_checkstack\n\
                     #define lua_checkstack(S,n) lupa_checkstack(L,S,n)\n",
        }),+]
    };
}
pub(crate) const ROOM_OF_51: &[Fix] = room!(
    "lauxlib.c" at "LUALIB_API void luaL_checkstack (",
    "lbaselib.c" at "#include \"lualib.h\""
);
/// Of 5.2 and later.
pub(crate) const ROOM: &[Fix] = room!(
    "lauxlib.c" at "LUALIB_API void luaL_checkstack (",
    "lcorolib.c" at "#include \"lualib.h\"",
    "ltablib.c" at "#include \"lualib.h\""
);

/// In LuaJIT 2.1, the error of a stack that could not grow is where it was. 2.0 raises it.
macro_rules! reason {
    ($file:literal, $place:literal) => {
        Fix {
            file: $file,
            place: $place,
            before: "    if (tvisstr(L->top) && strV(L->top) == lj_err_str(L, LJ_ERR_ERRMEM))\n      \
                     lj_err_mem(L);\n    else\n",
        }
    };
}
pub(crate) const ROOM_OF_21: &[Fix] = &[
    reason!("src/lj_api.c", "    lj_err_callerv(L, LJ_ERR_STKOVM, msg);"),
    reason!("src/lib_base.c", "    lj_err_caller(L, LJ_ERR_UNPACK);"),
];

/// In LuaJIT 2.0, an allocation that fails inside of an instruction leaves the error message at an old
/// stack top, and the process crashes. LuaJIT 2.1 sets the top first, so we do. C functions have theirs, and so have
/// protected calls of C code in them, which go back to it. Compiled code keeps its base elsewhere.
pub(crate) const ALLOCATIONS_OF_20: &[Fix] = &[Fix {
    file: "src/lj_err.c",
    place: "  setstrV(L, L->top++, lj_err_str(L, LJ_ERR_ERRMEM));",
    before: "  if (obj2gco(L) == gcref(G(L)->jit_L)) L->base = mref(G(L)->jit_base, TValue);\n  \
             if (curr_funcisL(L)) L->top = curr_topL(L);\n  \
             else if (L->top < L->base) L->top = L->base;\n",
}];

/// In LuaJIT 2.1, library functions written in assembler do not set the top of the stack; an allocation that fails in
/// one writes its message to an old top, which may be the frame that is unwound next.
pub(crate) const ALLOCATIONS_OF_21: &[Fix] = &[Fix {
    file: "src/lj_err.c",
    place: "  setstrV(L, L->top++, lj_err_str(L, LJ_ERR_ERRMEM));",
    before: "  if (!curr_funcisL(L) && L->top < L->base) L->top = L->base;\n",
}];

/// The buffers that strings are made in take memory past Lua's collector.
macro_rules! buffers {
    ($place:literal) => {
        &[Fix {
            file: "lauxlib.c",
            place: $place,
            before: "  if (temp == NULL && newsize > 0) {\n    \
                     lua_gc(L, LUA_GCCOLLECT, 0);\n    \
                     temp = allocf(ud, box->box, box->bsize, newsize);\n  }\n",
        }]
    };
}
pub(crate) const BUFFERS_OF_53: &[Fix] =
    buffers!("  if (temp == NULL && newsize > 0) {  /* allocation error? */");
/// Of 5.4 and later.
pub(crate) const BUFFERS: &[Fix] =
    buffers!("  if (l_unlikely(temp == NULL && newsize > 0)) {  /* allocation error? */");

/// In LuaJIT 2.0, a coroutine that has no memory to take what it is resumed with raises on itself, where nobody
/// catches it, and the process ends.
pub(crate) const RESUMPTION_OF_20: &[Fix] = &[
    Fix {
        file: "src/lib_base.c",
        place: "static int ffh_resume(lua_State *L, lua_State *co, int wrap)",
        before: "#include \"lj_vm.h\"\n\n\
                 static TValue *lupa_grow(lua_State *co, lua_CFunction dummy, void *need)\n{\n  \
                 UNUSED(dummy);\n  \
                 lj_state_growstack(co, *(MSize *)need);\n  \
                 return NULL;\n}\n\n",
    },
    Fix {
        file: "src/lib_base.c",
        place: "  lj_state_growstack(co, (MSize)(L->top - L->base));",
        before: "  {\n    \
                 MSize need = (MSize)(L->top - L->base);\n    \
                 ptrdiff_t top = savestack(co, co->top), base = savestack(co, co->base);\n    \
                 uint8_t status = co->status;\n    \
                 int error = lj_vm_cpcall(co, NULL, &need, lupa_grow);\n    \
                 if (error != 0) {\n      \
                 co->top = restorestack(co, top);\n      \
                 co->base = restorestack(co, base);\n      \
                 co->status = status;\n      \
                 if (error == LUA_ERRMEM) lj_err_mem(L);\n      \
                 lj_err_caller(L, LJ_ERR_STKOV);\n    }\n  }\n  \
                 if (0)\n",
    },
];

/// In LuaJIT, an ffi that could not be opened for want of memory leaves tables to the collector that its state still
/// refers to. The process crashed when that Lua was closed. So the new state is taken back.
pub(crate) const OPENING_FFI: &[Fix] = &[Fix {
    file: "src/lib_ffi.c",
    place: "LUALIB_API int luaopen_ffi(lua_State *L)",
    before: "LUALIB_API int lupa_open_ffi(lua_State *L);\n\n\
             LUALIB_API int luaopen_ffi(lua_State *L)\n{\n  \
             global_State *g = G(L);\n  \
             CTState *before = ctype_ctsG(g);\n  \
             lua_pushcfunction(L, lupa_open_ffi);\n  \
             if (lua_pcall(L, 0, 1, 0) != 0) {\n    \
             if (ctype_ctsG(g) != before) {\n      \
             lj_ctype_freestate(g);\n      \
             setmref(g->ctype_state, before);\n    }\n    \
             lua_error(L);\n  }\n  \
             return 1;\n}\n\n\
             #define luaopen_ffi lupa_open_ffi\n",
}];

/// In LuaJIT, a trace that could not begin for want of memory was blamed on the instruction at which the one before had
/// begun, or on none: the tenth attempt or so crashed the process, or switched another function's compilation off.
pub(crate) const BEGINNING_TRACES: &[Fix] = &[
    Fix {
        file: "src/lj_trace.c",
        place: "  /* Get a new trace number. */",
        before: "  memset(&J->cur, 0, sizeof(GCtrace));\n\n",
    },
    Fix {
        file: "src/lj_trace.c",
        place: "  if (J->parent == 0 && !bc_isret(bc_op(J->cur.startins)))",
        before: "  if (mref(J->cur.startpc, BCIns) == NULL)\n    \
                 ;  /* Nothing has been recorded. */\n  else\n",
    },
];
