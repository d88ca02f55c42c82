/*
** What is added to a Lua so that another thread can stop what it runs; `lua_api::watch` has the
** whole story and the other half: these functions are Rust.
*/
#ifndef lupa_stop_h
#define lupa_stop_h

#include "lua.h"

/* Nobody writes to a state from another thread while this lock is held. */
void lupa_lock (void);
void lupa_unlock (void);

/* Before a coroutine is freed, with the lock held. */
void lupa_forget (lua_State *L);

/* The state is about to be freed, and runs nothing any more. */
void lupa_closing (void);

/* Notes that `to` runs from now on, and gives the one before; NULL changes nothing. */
lua_State *lupa_switch (lua_State *to);

/* A script sets a hook, with the lock held: whether it was kept for later, since ours is set. */
int lupa_keep (lua_State *L, lua_Hook hook, int mask, int count);

#endif
