/* Lua's ldo.c, and a `lua_resume` that notes which coroutine runs. */

#define lua_resume lupa_raw_resume
#include "ldo.c"
#undef lua_resume

#include "stop.h"

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
