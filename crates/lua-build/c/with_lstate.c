/*
** Lua's lstate.c, with states that are not freed while another thread may write to them, and
** `lua_closethread`, which runs code of a coroutine, noting that it does.
*/

#define lstate_c
#define LUA_CORE
#include "lua.h"
#include "lgc.h"
#include "stop.h"

/* All is freed, after the last finalizer has run (in 5.1 they run before). */
#if LUA_VERSION_NUM >= 502
static void free_all (lua_State *L) {
  luaC_freeallobjects(L);
  lupa_closing();
}
#define luaC_freeallobjects free_all
#else
static void free_all (lua_State *L) {
  lupa_closing();
  luaC_freeall(L);
}
#define luaC_freeall free_all
#endif

#undef lstate_c
#undef LUA_CORE

#define luaE_freethread lupa_raw_freethread
#define lua_closethread lupa_raw_closethread
#define lua_resetthread lupa_raw_resetthread
#include "lstate.c"
#undef luaE_freethread
#undef lua_closethread
#undef lua_resetthread

void luaE_freethread (lua_State *L, lua_State *L1) {
  lupa_lock();
  lupa_forget(L1);
  lupa_raw_freethread(L, L1);
  lupa_unlock();
}

#if LUA_VERSION_NUM >= 504

LUA_API int lua_closethread (lua_State *L, lua_State *from) {
  lua_State *before = lupa_switch(L);
  int status = lupa_raw_closethread(L, from);
  lupa_switch(before);
  return status;
}

LUA_API int lua_resetthread (lua_State *L) {
  return lua_closethread(L, NULL);
}

#endif
