/*
** How the entries of a table are read, many at a time, in the order of `lua_next`; `lua_api::entries` is the
** other half. With `lua_next`, each of them is looked up to find the one after it.
*/
#ifndef lupa_entries_h
#define lupa_entries_h

#include <stddef.h>
#include <stdint.h>

#include "lua.h"

/* A key or a value: a number, or something that has been pushed onto the stack. */
enum lupa_kind { LUPA_PUSHED, LUPA_INTEGER, LUPA_FLOAT, LUPA_UNWANTED };

struct lupa_item {
  int kind;
  union {
    int64_t integer;
    double number;
  } as;
};

struct lupa_entry {
  struct lupa_item key, value;
  size_t next;  /* the place behind it */
};

/* Where in a table, and how large its two parts are, and where: with others, the place is another one. */
struct lupa_place {
  size_t next;
  size_t array;
  size_t nodes;
  const void *node;  /* NULL before the first entry */
};

enum { LUPA_WANTS_KEYS = 1, LUPA_WANTS_VALUES = 2 };

/*
** Reads up to `most` entries of the table at 1, from a place on; gives their number, or -1 if the place is in
** another table by now. Keys and values that are wanted and are no numbers are pushed; keys that are none
** are also put into a table at 2, by their number, which is made if there is nil. It is called protected, with room for
** all of this on the stack (which the reference implementation keeps; LuaJIT does not).
*/
int lupa_read (lua_State *L, struct lupa_place *place, int wanted, int most, struct lupa_entry *entries);

#endif
