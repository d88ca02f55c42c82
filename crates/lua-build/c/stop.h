/*
** What is added to a Lua so that another thread can stop what it runs; `lua_api::watch` has the
** whole story and the other half: these functions are Rust.
*/
#ifndef lupa_stop_h
#define lupa_stop_h

#include <stddef.h>

#include "lua.h"

/* Nobody writes to a state from another thread while this lock is held. */
void lupa_lock (void);
void lupa_unlock (void);

/* Before a coroutine is freed, with the lock held. */
void lupa_forget (lua_State *L);

/* The state is about to be freed, and runs nothing any more. */
void lupa_closing (void);

/* The beginning of the watch of the Lua that this thread works on, in Rust. */
struct lupa_watch {
  lua_State *running;
  unsigned char hands_on;
};

/* That watch, or NULL. */
struct lupa_watch *lupa_watch (void);

/*
** In the middle of a C function that may take long: if the hook has been set to be called at once, it is
** called now. NULL is the state that runs, not so in LuaJIT. May raise, may run Lua, may move the stack.
*/
void lupa_answer (lua_State *L);

/* The same where no Lua may run, that of a signal's handler included: raises, or does nothing. */
void lupa_stop (lua_State *L);

/* Both, where they have to cost nothing; need lstate.h. */
#define lupa_look(L) ((L)->hookmask ? lupa_answer(L) : (void)0)
#define lupa_quick(L) ((L)->hookmask ? lupa_stop(L) : (void)0)

/* Hands the hook of a coroutine on to the one that runs after it. */
void lupa_hand_on (lua_State *from, lua_State *to);

#if defined(__GNUC__)
#define lupa_load(place) __atomic_load_n(place, __ATOMIC_RELAXED)
#define lupa_store(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
#else  /* MSVC: volatile is as strong */
#define lupa_load(place) (*(volatile unsigned char *)(place))
#define lupa_store(place, value) (*(lua_State *volatile *)(place) = (value))
#endif

/* Notes that `to` runs from now on, after `from`. */
#define lupa_switch(watch, from, to) \
  do { \
    lupa_store(&(watch)->running, to); \
    if (lupa_load(&(watch)->hands_on)) lupa_hand_on(from, to); \
  } while (0)

/* Runs what gives a status for `L`, noting that it does. */
#define lupa_run(status, L, run) \
  do { \
    struct lupa_watch *watch = lupa_watch(); \
    if (watch == NULL) \
      status = run; \
    else { \
      lua_State *before = watch->running; \
      lupa_switch(watch, before, L); \
      status = run; \
      lupa_switch(watch, L, before); \
    } \
  } while (0)

/* A script sets a hook, with the lock held: whether it was kept for later, since ours is set. */
int lupa_keep (lua_State *L, lua_Hook hook, int mask, int count);

#endif
