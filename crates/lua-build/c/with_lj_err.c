/* Goes behind LuaJIT's lj_err.c: what is done where the system's stack has no room; see room.h. */

#ifndef LJ_FR2
#define LJ_FR2 0
#endif

struct lupa_room *lupa_room(lua_State *L)
{
  return &G(L)->room;
}

/*
** Raises. While a message handler has what is left for it, the error is one in error handling.
*/
void lupa_overflow(lua_State *L)
{
  struct lupa_room *room = &G(L)->room;
  if (room->limit != room->soft) {
    setstrV(L, L->top++, lj_err_str(L, LJ_ERR_ERRERR));
    lj_err_throw(L, LUA_ERRERR);
  }
  room->limit = room->hard;
  lj_err_msg(L, LJ_ERR_STKOV);
}

/*
** A function that is not in Lua may not go far, so it gets the room that is left; and so does a message
** handler, with all that it calls, until its error is thrown.
*/
static int may_call(lua_State *L, TValue *base)
{
  struct lupa_room *room = &G(L)->room;
  TValue *func = base-1-LJ_FR2;
  if (lupa_here() <= room->hard)
    return 0;
  if (L->status == LUA_ERRERR)
    room->limit = room->hard;
  else if (!tvisfunc(func) || isluafunc(funcV(func)))
    return 0;
  return 1;
}

/* Calls where there is no room. */
void lupa_call(lua_State *L, TValue *base, int nres1)
{
  if (!may_call(L, base))
    lupa_overflow(L);
  (lj_vm_call)(L, base, nres1);
}

/* The same in protected mode. The error takes the place of the function, as an error in the call would. */
int lupa_pcall(lua_State *L, TValue *base, int nres1, ptrdiff_t ef)
{
  if (may_call(L, base))
    return (lj_vm_pcall)(L, base, nres1, ef);
  L->top = base-1-LJ_FR2;
  setstrV(L, L->top++, lj_err_str(L, LJ_ERR_STKOV));
  return LUA_ERRRUN;
}
