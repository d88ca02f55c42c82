/*
** Goes behind LuaJIT's lj_dispatch.c, in which `lj_dispatch_update` has another name and
** `lua_sethook` is not used: the table of instructions and the hook are changed under a lock, so that
** another thread can set a hook.
*/

#undef lua_sethook

#include "stop.h"

#if LUAJIT_VERSION_NUM >= 20100
#define FAST LJ_FASTCALL
#define NOLOCK , int nolock
#define WITH_NOLOCK , nolock
#define WITHOUT_NOLOCK , 0
#else
#define FAST
#define NOLOCK
#define WITH_NOLOCK
#define WITHOUT_NOLOCK
#endif

void FAST lj_dispatch_update(global_State *g NOLOCK)
{
  lupa_lock();
  lupa_raw_dispatch_update(g WITH_NOLOCK);
  lupa_unlock();
}

#if defined(__GNUC__)
#define swapped(place, old, new) \
  __atomic_compare_exchange_n(place, &(old), new, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#else
#include <intrin.h>
#define swapped(place, old, new) \
  ((uint8_t)_InterlockedCompareExchange8((volatile char *)(place), (char)(new), (char)(old)) == (old))
#endif

/* The flags change in one step: the thread that runs Lua has some of its own among them. */
static void change_mask(global_State *g, uint8_t without, uint8_t with)
{
  uint8_t old;
  do {
    old = *(volatile uint8_t *)&g->hookmask;
  } while (!swapped(&g->hookmask, old, (uint8_t)((old & ~without) | with)));
}

/* Sets a hook in the thread that runs Lua, with the lock held. */
void lupa_hook_set(lua_State *L, lua_Hook hook, int mask, int count)
{
  global_State *g = G(L);
  mask &= HOOK_EVENTMASK;
  if (hook == NULL || mask == 0) { mask = 0; hook = NULL; }
  g->hookf = hook;
  g->hookcount = g->hookcstart = (int32_t)count;
  change_mask(g, HOOK_EVENTMASK, (uint8_t)mask);
  lj_trace_abort(g);
  lupa_raw_dispatch_update(g WITHOUT_NOLOCK);
}

LUA_API int lua_sethook(lua_State *L, lua_Hook hook, int mask, int count)
{
  lupa_lock();
  if (!lupa_keep(L, hook, mask, count))
    lupa_hook_set(L, hook, mask, count);
  lupa_unlock();
  return 1;
}

/*
** Sets a count hook from whatever thread, also where hooks are off: in finalizers, and in hooks.
** A trace that is being recorded ends at the hook; see callhook.
*/
void lupa_hook_now(lua_State *L, lua_Hook hook, int count)
{
  global_State *g = G(L);
  g->hookf = hook;
  g->hookcount = g->hookcstart = (int32_t)count;
  change_mask(g, HOOK_EVENTMASK|HOOK_ACTIVE, LUA_MASKCOUNT);
  lupa_raw_dispatch_update(g WITHOUT_NOLOCK);
}

/* Lets a hook that is set run in finalizers and hooks, too. */
void lupa_hook_allow(lua_State *L)
{
  change_mask(G(L), HOOK_ACTIVE, 0);
}

/* How many instructions are left until the count hook. */
int lupa_hook_count(lua_State *L)
{
  return (int)*(volatile int32_t *)&G(L)->hookcount;
}

/* Switches the compiler on or off, off without its traces; says whether it was on. */
int lupa_compiler(lua_State *L, int on)
{
#if LJ_HASJIT
  int was = (G2J(G(L))->flags & JIT_F_ON) != 0;
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | (on ? LUAJIT_MODE_ON : LUAJIT_MODE_OFF));
  if (!on)
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
  return was;
#else
  (void)L; (void)on;
  return 0;
#endif
}
