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

#define table_t Table
#define first_key 1
#define node_size(t) ((size_t)sizenode(t))
#define nodes(t) ((const void *)(t)->node)

static int get_slot (lua_State *L, const Table *t, size_t i, TValue *value) {
  (void)L;
#if LUA_VERSION_NUM >= 505
  if (tagisempty(*getArrTag(t, i))) return 0;
  arr2obj(t, i, value);
#else
  if (is_absent(&t->array[i])) return 0;
  setobj(L, value, &t->array[i]);
#endif
  return 1;
}

static int get_node (lua_State *L, const Table *t, size_t i, TValue *key, TValue *value) {
  Node *node = gnode(t, i);
  (void)L;
  if (is_absent(gval(node))) return 0;
  setobj(L, value, gval(node));
#if LUA_VERSION_NUM >= 504
  getnodekey(L, key, node);
#elif LUA_VERSION_NUM >= 502
  setobj(L, key, gkey(node));
#else
  setobj(L, key, key2tval(node));
#endif
  return 1;
}

static int get_number (const TValue *o, struct lupa_item *item) {
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
  return 0;
}

/* There is room for it. */
static void to_stack (lua_State *L, const TValue *o) {
  setobj2s(L, TOP(L), o);
  TOP(L)++;
}

#include "read_entries.h"
