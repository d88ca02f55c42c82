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
