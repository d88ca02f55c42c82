/* Goes behind LuaJIT's lj_api.c: `lupa_read`, `lupa_reads_for_tail_call`. */

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

#ifndef LJ_FR2
#define LJ_FR2 0 /* of 2.0 */
#endif

/* Whether the metamethod `__index` that runs was called by `return object:name(...)`. The call itself has no frame of its
** caller any more that would tell. As in lj_debug.c, a method is known by the copy of the object before it is read. */
int lupa_reads_for_tail_call(lua_State *L)
{
  cTValue *frame = L->base - 1, *caller;
  const BCIns *pc, *end;
  const GCproto *pt;
  BCIns get, move;
  if (!frame_iscont(frame))
    return 0;
  caller = frame_prevd(frame);
  if (!isluafunc(frame_func(caller)))
    return 0;
  pt = funcproto(frame_func(caller));
  pc = frame_contpc(frame);
  end = proto_bc(pt) + pt->sizebc;
  if (pc - 2 <= proto_bc(pt) || pc >= end)
    return 0;
  get = pc[-1];
  move = pc[-2];
  if (bc_op(get) != BC_TGETS || bc_op(move) != BC_MOV || bc_a(move) != bc_a(get) + 1 + LJ_FR2 || bc_d(move) != bc_b(get))
    return 0;
  for (; pc < end; pc++) {
    BCOp op = bc_op(*pc);
    if (bc_a(*pc) != bc_a(get))
      continue;
    if (op == BC_CALLT || op == BC_CALLMT)
      return 1;
    if (op == BC_CALL || op == BC_CALLM)
      return 0;
  }
  return 0;
}
