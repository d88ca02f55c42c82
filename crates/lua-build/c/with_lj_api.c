/* Goes behind LuaJIT's lj_api.c: `lupa_read`. */

#include "entries.h"

#define table_t GCtab
#define first_key 0
#define array_size(t) ((size_t)(t)->asize)
#define node_size(t) ((size_t)(t)->hmask + 1)
#define nodes(t) ((const void *)noderef((t)->node))

static int get_slot(lua_State *L, const GCtab *t, size_t i, TValue *value)
{
  cTValue *slot = arrayslot(t, i);
  if (tvisnil(slot))
    return 0;
  copyTV(L, value, slot);
  return 1;
}

static int get_node(lua_State *L, const GCtab *t, size_t i, TValue *key, TValue *value)
{
  Node *node = &noderef(t->node)[i];
  if (tvisnil(&node->val))
    return 0;
  copyTV(L, key, &node->key);
  copyTV(L, value, &node->val);
  return 1;
}

static int get_number(cTValue *o, struct lupa_item *item)
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
  return 0;
}

/* A collection makes the stack smaller again, whatever room there was: so each value makes its own. */
static void to_stack(lua_State *L, cTValue *o)
{
  copyTV(L, L->top, o);
  incr_top(L);
}

#include "read_entries.h"
