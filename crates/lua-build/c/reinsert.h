/*
** Part of ltable.c: how entries go into a table that has grown. They are not looked for there, as they
** cannot be there yet: with keys that collide in the new size only, that would take the square of
** their number, in one instruction.
*/

#if LUA_VERSION_NUM >= 504

static void luaH_newkey (lua_State *L, Table *t, const TValue *key, TValue *value);

static void lupa_reinsert (lua_State *L, Table *t, const TValue *key, TValue *value) {
  if (ttisinteger(key) && l_castS2U(ivalue(key)) - 1u < t->alimit) {
    setobj2t(L, &t->array[ivalue(key) - 1], value);
  }
  else
    luaH_newkey(L, t, key, value);
}

#else

#if LUA_VERSION_NUM == 501
#define luaH_newkey newkey
static TValue *newkey (lua_State *L, Table *t, const TValue *key);
#endif

static TValue *lupa_reinsert (lua_State *L, Table *t, const TValue *key) {
  int i = (int)arrayindex(key);
  if (0 < i && (unsigned int)i <= (unsigned int)t->sizearray)
    return &t->array[i - 1];
  return luaH_newkey(L, t, key);
}

#undef luaH_newkey

#endif

#define luaH_set lupa_reinsert
