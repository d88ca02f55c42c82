/*
** `lupa_read`, for a Lua that has said before what its tables are like:
**   table_t                   their type
**   first_key                 the key of the first slot of the array
**   array_size(t), node_size(t), nodes(t)  how large the two parts are, and where the second one is
**   get_slot(L, t, i, value)  a slot of the array: whether there is something
**   get_node(L, t, i, key, value)  the same of a node
**   get_number(o, item)       whether it is a number
**   to_stack(L, o)            pushes it
*/

static int lupa_is_same (const table_t *t, const struct lupa_place *place) {
  return array_size(t) == place->array && node_size(t) == place->nodes && nodes(t) == place->node;
}

/* Whether it is a number; else it is pushed if it is wanted. */
static int lupa_give (lua_State *L, const TValue *o, int wanted, struct lupa_item *item) {
  if (get_number(o, item)) return 1;
  item->kind = wanted ? LUPA_PUSHED : LUPA_UNWANTED;
  if (wanted) to_stack(L, o);
  return 0;
}

/* The key goes into the table of keys; that is made if need be, which may run Lua. */
static void lupa_keep_key (lua_State *L, const TValue *key, int number, int most) {
  to_stack(L, key);
  if (lua_isnil(L, 2)) {
    lua_createtable(L, most, 0);
    lua_replace(L, 2);
  }
  lua_rawseti(L, 2, number);
}

int lupa_read (lua_State *L, struct lupa_place *place, int wanted, int most, struct lupa_entry *entries) {
  const table_t *t = (const table_t *)lua_topointer(L, 1);
  size_t next, end;
  int count = 0;
  if (place->node == NULL) {
    place->next = 0;
    place->array = array_size(t);
    place->nodes = node_size(t);
    place->node = nodes(t);
  }
  else if (!lupa_is_same(t, place))
    return -1;
  end = place->array + place->nodes;
  for (next = place->next; count < most && next < end; next++) {
    struct lupa_entry *entry = &entries[count];
    TValue key, value;
    int is_number = 1;
    if (next < place->array) {
      if (!get_slot(L, t, next, &value)) continue;
      entry->key.kind = LUPA_INTEGER;
      entry->key.as.integer = (int64_t)next + first_key;
    }
    else {
      if (!get_node(L, t, next - place->array, &key, &value)) continue;
      is_number = lupa_give(L, &key, wanted & LUPA_WANTS_KEYS, &entry->key);
    }
    lupa_give(L, &value, wanted & LUPA_WANTS_VALUES, &entry->value);
    entry->next = next + 1;
    count++;
    if (!is_number) {
      lupa_keep_key(L, &key, count, most);
      /* A finalizer may have run. */
      if (!lupa_is_same(t, place)) end = 0;
    }
  }
  place->next = next;
  return count;
}
