/* Lua's ldebug.c, with hooks that another thread can set. */

#define lua_sethook lupa_raw_sethook
#include "ldebug.c"
#undef lua_sethook

#include "stop.h"

#if LUA_VERSION_NUM >= 503
#define RESULT void
#define DONE
#else
#define RESULT int
#define DONE return 1
#endif

LUA_API RESULT lua_sethook (lua_State *L, lua_Hook hook, int mask, int count) {
  lupa_lock();
  if (!lupa_keep(L, hook, mask, count))
    lupa_raw_sethook(L, hook, mask, count);
  lupa_unlock();
  DONE;
}

/* Sets a hook in the thread that runs Lua. */
void lupa_hook_set (lua_State *L, lua_Hook hook, int mask, int count) {
  lupa_raw_sethook(L, hook, mask, count);
}

/*
** Sets a count hook from whatever thread, also where hooks are off: in finalizers, and in hooks. The
** mask comes last; without it, the others are not looked at.
*/
void lupa_hook_now (lua_State *L, lua_Hook hook, int count) {
  *(volatile lua_Hook *)&L->hook = hook;
  *(volatile int *)&L->basehookcount = count;
  *(volatile int *)&L->hookcount = count;
  *(volatile lu_byte *)&L->allowhook = 1;
#if LUA_VERSION_NUM >= 503
  *(volatile l_signalT *)&L->hookmask = LUA_MASKCOUNT;
#else
  *(volatile lu_byte *)&L->hookmask = LUA_MASKCOUNT;
#endif
}

/* Lets a hook that is set run in finalizers and hooks, too. */
void lupa_hook_allow (lua_State *L) {
  *(volatile lu_byte *)&L->allowhook = 1;
}

/* How many instructions are left until the count hook. */
int lupa_hook_count (lua_State *L) {
  return *(volatile int *)&L->hookcount;
}

/* `from` has run and `to` runs now: it goes on with the count of the same hook. */
void lupa_hook_move (lua_State *from, lua_State *to) {
  int left = from->hookcount;
  lupa_raw_sethook(to, from->hook, from->hookmask, from->basehookcount);
  to->hookcount = left;
}
