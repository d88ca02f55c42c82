/* `lupa_read` for the reference implementation. */

#define LUA_CORE

#include "lua.h"
#if LUA_VERSION_NUM >= 503
#include "lprefix.h"
#endif

#include "lobject.h"
#include "lstate.h"
#include "ltable.h"

#include "entries.h"

#if LUA_VERSION_NUM >= 504
#define TOP(L) ((L)->top.p)
#define is_absent(o) isempty(o)
#else
#define TOP(L) ((L)->top)
#define is_absent(o) ttisnil(o)
#endif

#if LUA_VERSION_NUM >= 505
#define array_size(t) ((size_t)(t)->asize)
#elif LUA_VERSION_NUM == 504
#define array_size(t) ((size_t)luaH_realasize(t))
#else
#define array_size(t) ((size_t)(t)->sizearray)
#endif

#define is_same(t, place) \
  (array_size(t) == (place)->array && (size_t)sizenode(t) == (place)->nodes && (const void *)(t)->node == (place)->node)

/* There is room for it. */
static void to_stack (lua_State *L, const TValue *o) {
  setobj2s(L, TOP(L), o);
  TOP(L)++;
}

/* Whether it is a number; else it is pushed if it is wanted. */
static int give (lua_State *L, const TValue *o, int wanted, struct lupa_item *item) {
#if LUA_VERSION_NUM >= 503
  if (ttisinteger(o)) {
    item->kind = LUPA_INTEGER;
    item->as.integer = ivalue(o);
    return 1;
  }
  if (ttisfloat(o)) {
    item->kind = LUPA_FLOAT;
    item->as.number = fltvalue(o);
    return 1;
  }
#else
  if (ttisnumber(o)) {
    item->kind = LUPA_FLOAT;
    item->as.number = nvalue(o);
    return 1;
  }
#endif
  item->kind = wanted ? LUPA_PUSHED : LUPA_UNWANTED;
  if (wanted) to_stack(L, o);
  return 0;
}

int lupa_read (lua_State *L, struct lupa_place *place, int wanted, int most, struct lupa_entry *entries) {
  const Table *t = (const Table *)lua_topointer(L, 1);
  size_t next, end;
  int count = 0;
  if (place->node == NULL) {
    place->next = 0;
    place->array = array_size(t);
    place->nodes = (size_t)sizenode(t);
    place->node = t->node;
  }
  else if (!is_same(t, place))
    return -1;
  end = place->array + place->nodes;
  for (next = place->next; count < most && next < end; next++) {
    struct lupa_entry *entry = &entries[count];
    TValue value;
    if (next < place->array) {
#if LUA_VERSION_NUM >= 505
      if (tagisempty(*getArrTag(t, next)))
        continue;
      arr2obj(t, next, &value);
#else
      if (is_absent(&t->array[next]))
        continue;
      setobj(L, &value, &t->array[next]);
#endif
      entry->key.kind = LUPA_INTEGER;
      entry->key.as.integer = (int64_t)next + 1;
      give(L, &value, wanted & LUPA_WANTS_VALUES, &entry->value);
    }
    else {
      Node *node = gnode(t, next - place->array);
      TValue key;
      int is_number;
      if (is_absent(gval(node)))
        continue;
      setobj(L, &value, gval(node));
#if LUA_VERSION_NUM >= 504
      getnodekey(L, &key, node);
#elif LUA_VERSION_NUM >= 502
      setobj(L, &key, gkey(node));
#else
      setobj(L, &key, key2tval(node));
#endif
      is_number = give(L, &key, wanted & LUPA_WANTS_KEYS, &entry->key);
      give(L, &value, wanted & LUPA_WANTS_VALUES, &entry->value);
      if (!is_number) {
        to_stack(L, &key);
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
