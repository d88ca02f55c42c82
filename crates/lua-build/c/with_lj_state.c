/*
** Goes behind LuaJIT's lj_state.c, in which `lj_gc_freeall` has another name: before all is freed,
** when the finalizers have run, it is noted that nothing runs any more.
*/

#undef lj_gc_freeall

#include "stop.h"

LJ_FUNC void lj_gc_freeall(global_State *g);

#if LJ_HASFFI
#include "lj_ctype.h"
#endif
#include "lj_trace.h"

/*
** C code below Lua comes back to use this Lua, on a coroutine that is known to be alive; which one runs, LuaJIT
** does not know for sure (`cur_L` is outdated after a C function has resumed one). NULL in compiled code, from which
** nothing may be called. As at LuaJIT's own callbacks, nothing is recorded across this, and the C function is not
** called from compiled code any more.
*/
lua_State *lupa_reenter(lua_State *known)
{
  global_State *g = G(known);
#if LUAJIT_VERSION_NUM >= 20100
  if (tvref(g->jit_base))
    return NULL;
#else
  if (gcref(g->jit_L))
    return NULL;
#endif
  lj_trace_abort(g);
#if LJ_HASFFI
  if (ctype_ctsG(g) != NULL)
    ctype_ctsG(g)->cb.slot = 0;
#endif
  return known;
}

void lupa_gc_freeall(global_State *g)
{
  lupa_closing();
  lj_gc_freeall(g);
}
