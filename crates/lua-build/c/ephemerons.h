/*
** Part of lgc.c: what it does with weak keys whose values keep other keys, when finding out which ones
** live would take the square of their number.
*/

/* So many entries looked at, in all passes of one collection, are enough: about a tenth of a second. */
#define LUPA_ENOUGH 10000000

#if LUA_VERSION_NUM >= 505
#define lupa_array_size(h) ((h)->asize)
#elif LUA_VERSION_NUM >= 504
#define lupa_array_size(h) luaH_realasize(h)
#else
#define lupa_array_size(h) ((h)->sizearray)
#endif

/* How many entries a pass over these tables looks at. */
static size_t lupa_entries (GCObject *list) {
  size_t entries = 0;
  for (; list != NULL; list = gco2t(list)->gclist)
    entries += (size_t)sizenode(gco2t(list)) + (size_t)lupa_array_size(gco2t(list));
  return entries;
}

/* Keeps what all keys stand for until the next collection, as Lua 5.1 always does. */
static void lupa_keep_values (global_State *g) {
  GCObject *w, *done = NULL;
  while ((w = g->ephemeron) != NULL) {
    Table *h = gco2t(w);
    Node *n, *limit = gnode(h, sizenode(h));
    g->ephemeron = h->gclist;
    for (n = gnode(h, 0); n < limit; n++)
      markvalue(g, gval(n));
    h->gclist = done;
    done = w;
    propagateall(g);  /* may add tables to the list */
  }
  g->ephemeron = done;
}
