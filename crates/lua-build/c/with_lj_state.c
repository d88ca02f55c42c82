/*
** Goes behind LuaJIT's lj_state.c, in which `lj_gc_freeall` has another name: before all is freed,
** when the finalizers have run, it is noted that nothing runs any more.
*/

#undef lj_gc_freeall

#include "stop.h"

LJ_FUNC void lj_gc_freeall(global_State *g);

void lupa_gc_freeall(global_State *g)
{
  lupa_closing();
  lj_gc_freeall(g);
}
