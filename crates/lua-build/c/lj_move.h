/*
** Part of lj_tab.c, for where a table is resized: the array part has grown, the hash part is not made yet, and there may
** be no memory for it. What belongs into the array moves there before, or it would not be found any more.
** `lupa_move` in reinsert.h does so in Lua 5.1 and 5.2.
*/
static void lupa_move (lua_State *L, GCtab *t, Node *node, uint32_t hmask, uint32_t oldasize) {
  uint32_t i;
  UNUSED(L);
  /* Without a hash part there is one node for all such tables. */
  if (t->asize <= oldasize || hmask == 0)
    return;
  for (i = 0; i <= hmask; i++) {
    Node *n = &node[i];
    int32_t k;
    if (tvisnil(&n->val))
      continue;
    if (tvisint(&n->key))
      k = intV(&n->key);
    else if (tvisnum(&n->key)) {
      k = lj_num2int(numV(&n->key));
      if ((lua_Number)k != numV(&n->key))
        continue;
    } else
      continue;
    if (oldasize <= (uint32_t)k && (uint32_t)k < t->asize) {
      copyTV(L, arrayslot(t, k), &n->val);
      setnilV(&n->val);
    }
  }
}
