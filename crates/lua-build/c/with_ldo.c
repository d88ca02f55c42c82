/* Lua's ldo.c, and a `lua_resume` that notes which coroutine runs. */

#define lua_resume lupa_raw_resume
#include "ldo.c"
#undef lua_resume

#include "stop.h"

#if LUA_VERSION_NUM >= 504

LUA_API int lua_resume (lua_State *L, lua_State *from, int nargs, int *nresults) {
  lua_State *before = lupa_switch(L);
  int status = lupa_raw_resume(L, from, nargs, nresults);
  lupa_switch(before);
  return status;
}

#elif LUA_VERSION_NUM >= 502

LUA_API int lua_resume (lua_State *L, lua_State *from, int nargs) {
  lua_State *before = lupa_switch(L);
  int status = lupa_raw_resume(L, from, nargs);
  lupa_switch(before);
  return status;
}

#else

LUA_API int lua_resume (lua_State *L, int nargs) {
  lua_State *before = lupa_switch(L);
  int status = lupa_raw_resume(L, nargs);
  lupa_switch(before);
  return status;
}

#endif
