/* Goes behind LuaJIT's lj_api.c: `lupa_read`. */

#include "entries.h"

#define is_same(t, place) \
  ((t)->asize == (place)->array && (size_t)(t)->hmask + 1 == (place)->nodes && \
   (const void *)noderef((t)->node) == (place)->node)

/* A collection makes the stack smaller again, whatever room there was: so each value makes its own. */
static void push(lua_State *L, cTValue *o)
{
  copyTV(L, L->top, o);
  incr_top(L);
}

/* Whether it is a number; else it is pushed if it is wanted. */
static int give(lua_State *L, cTValue *o, int wanted, struct lupa_item *item)
{
  if (tvisint(o)) {
    item->kind = LUPA_INTEGER;
    item->as.integer = intV(o);
    return 1;
  }
  if (tvisnum(o)) {
    item->kind = LUPA_FLOAT;
    item->as.number = numV(o);
    return 1;
  }
  item->kind = wanted ? LUPA_PUSHED : LUPA_UNWANTED;
  if (wanted)
    push(L, o);
  return 0;
}

int lupa_read(lua_State *L, struct lupa_place *place, int wanted, int most, struct lupa_entry *entries)
{
  const GCtab *t = (const GCtab *)lua_topointer(L, 1);
  size_t next, end;
  int count = 0;
  if (place->node == NULL) {
    place->next = 0;
    place->array = t->asize;
    place->nodes = (size_t)t->hmask + 1;
    place->node = noderef(t->node);
  } else if (!is_same(t, place)) {
    return -1;
  }
  end = place->array + place->nodes;
  for (next = place->next; count < most && next < end; next++) {
    struct lupa_entry *entry = &entries[count];
    TValue value;
    if (next < place->array) {
      cTValue *slot = arrayslot(t, next);
      if (tvisnil(slot))
        continue;
      entry->key.kind = LUPA_INTEGER;
      entry->key.as.integer = (int64_t)next;
      give(L, slot, wanted & LUPA_WANTS_VALUES, &entry->value);
    } else {
      Node *node = &noderef(t->node)[next - place->array];
      TValue key;
      int is_number;
      if (tvisnil(&node->val))
        continue;
      copyTV(L, &key, &node->key);
      copyTV(L, &value, &node->val);
      is_number = give(L, &key, wanted & LUPA_WANTS_KEYS, &entry->key);
      give(L, &value, wanted & LUPA_WANTS_VALUES, &entry->value);
      if (!is_number) {
        push(L, &key);
        lupa_keep_key(L, count + 1, most);
        /* A finalizer may have run. */
        if (!is_same(t, place)) end = 0;
      }
    }
    entry->next = next + 1;
    count++;
  }
  place->next = next;
  return count;
}
