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

#if LUA_VERSION_NUM < 503

/*
** The array part has grown, the hash part is not made yet, and there may be no memory for it. What belongs
** into the array moves there before, or it would not be found any more. 5.3 makes the array small again.
*/
static void lupa_move (lua_State *L, Table *t, int oldasize) {
  int i;
  (void)L;
  if (t->sizearray <= oldasize)
    return;
  for (i = 0; i < sizenode(t); i++) {
    Node *node = gnode(t, i);
    int key;
    if (ttisnil(gval(node)))
      continue;
#if LUA_VERSION_NUM == 501
    key = arrayindex(key2tval(node));
#else
    key = arrayindex(gkey(node));
#endif
    if (oldasize < key && key <= t->sizearray) {
      setobjt2t(L, &t->array[key - 1], gval(node));
      setnilvalue(gval(node));
    }
  }
}

#endif

#endif

#define luaH_set lupa_reinsert
