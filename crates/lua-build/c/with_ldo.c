/* Lua's ldo.c, what is done at the end of the stack, and a `lua_resume` that notes which coroutine runs. */

#define lua_resume lupa_raw_resume
#include "ldo.c"
#undef lua_resume

#include "stop.h"

#if LUA_VERSION_NUM >= 504
#define is_in_c(func) (ttislcf(s2v((StkId)(func))) || ttisCclosure(s2v((StkId)(func))))
#elif LUA_VERSION_NUM >= 502
#define is_in_c(func) (ttislcf((StkId)(func)) || ttisCclosure((StkId)(func)))
#else
#define is_in_c(func) iscfunction((StkId)(func))
#endif

struct lupa_room *lupa_room (lua_State *L) {
  return &G(L)->room;
}

/*
** There is no room: raises, unless `func` is a function in C, which may not go far, and there is room left for
** those. While a message handler has what is left for it, the error is one in error handling.
*/
void lupa_overflow (lua_State *L, const void *func) {
  struct lupa_room *room = &G(L)->room;
  if (func != NULL && is_in_c(func) && lupa_here() > room->hard)
    return;
#if LUA_VERSION_NUM >= 504
  luaD_checkstack(L, 1);  /* a call may have used what is there for errors */
#endif
  if (room->limit != room->soft) {
#if LUA_VERSION_NUM >= 504
    luaD_errerr(L);
#else
    luaD_throw(L, LUA_ERRERR);
#endif
  }
  room->limit = room->hard;
  luaG_runerror(L, "C stack overflow");
}

/* Throws what a failed allocation does. */
static void no_memory (lua_State *L) {
  luaD_throw(L, LUA_ERRMEM);
}

#if LUA_VERSION_NUM >= 504

#undef luaD_reallocstack

/*
** While a stack moves, no garbage is collected, so that one that grows in a full memory would fail as long as
** nothing else makes Lua collect. An emergency collection leaves all stacks where they are.
*/
static int lupa_reallocstack (lua_State *L, int newsize, int raiseerror) {
  global_State *g = G(L);
  if (luaD_reallocstack(L, newsize, 0))
    return 1;
  if (newsize > stacksize(L) && completestate(g) && !g->gcstopem) {
    luaC_fullgc(L, 1);
    if (luaD_reallocstack(L, newsize, 0))
      return 1;
  }
  if (raiseerror)
    no_memory(L);
  return 0;
}

#endif

/* Whether so many values more are not too many for a stack. */
static int may_hold (lua_State *L, int n) {
#if LUA_VERSION_NUM >= 505
  return stacksize(L) <= MAXSTACK && n < MAXSTACK && L->top.p - L->stack.p <= MAXSTACK - n;
#elif LUA_VERSION_NUM >= 504
  return stacksize(L) <= LUAI_MAXSTACK && n < LUAI_MAXSTACK && L->top.p - L->stack.p <= LUAI_MAXSTACK - n;
#elif LUA_VERSION_NUM >= 502
  return L->top - L->stack + EXTRA_STACK <= LUAI_MAXSTACK - n;
#else
  return n <= LUAI_MAXCSTACK && L->top - L->base <= LUAI_MAXCSTACK - n;
#endif
}

/*
** `lua_checkstack` for `of`, which may be another coroutine than `L`, which runs: raises on that if it is memory
** that is missing, so that nobody takes it for too many values.
*/
int lupa_checkstack (lua_State *L, lua_State *of, int n) {
  if (lua_checkstack(of, n))
    return 1;
  if (may_hold(of, n))
    no_memory(L);
  return 0;
}

#if LUA_VERSION_NUM == 504

/*
** `lupa_answer` on the way to the `__call` of what is at `func`: there may be no room, the registers
** of a Lua function reach beyond the top, and the stack may be moved.
*/
static StkId lupa_answer_call (lua_State *L, StkId func) {
  CallInfo *ci = L->ci;
  ptrdiff_t called = savestack(L, func);
  ptrdiff_t top = savestack(L, L->top.p);
  ptrdiff_t limit = savestack(L, ci->top.p);
  luaD_checkstack(L, LUA_MINSTACK);
  if (isLua(ci) && L->top.p < ci->top.p) L->top.p = ci->top.p;
  if (ci->top.p < L->top.p + LUA_MINSTACK) ci->top.p = L->top.p + LUA_MINSTACK;
  lupa_answer(L);
  ci->top.p = restorestack(L, limit);
  L->top.p = restorestack(L, top);
  return restorestack(L, called);
}

#endif

#if LUA_VERSION_NUM >= 504

LUA_API int lua_resume (lua_State *L, lua_State *from, int nargs, int *nresults) {
  int status;
  lupa_run(status, L, lupa_raw_resume(L, from, nargs, nresults));
  return status;
}

#elif LUA_VERSION_NUM >= 502

LUA_API int lua_resume (lua_State *L, lua_State *from, int nargs) {
  int status;
  lupa_run(status, L, lupa_raw_resume(L, from, nargs));
  return status;
}

#else

LUA_API int lua_resume (lua_State *L, int nargs) {
  int status;
  lupa_run(status, L, lupa_raw_resume(L, nargs));
  return status;
}

#endif
