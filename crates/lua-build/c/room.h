/*
** The end of the system's stack. Wherever C functions of Lua nest, they look whether there is room: the
** numbers of calls that Lua counts say nothing about a thread whose stack is small, and LuaJIT counts none.
*/
#ifndef lupa_room_h
#define lupa_room_h

#include <stddef.h>

/* Part of the global state. Whoever enters Lua sets it for its thread; 0 is no limit. */
struct lupa_room {
  size_t limit;  /* nothing nests below this address; it is one of the two below */
  size_t soft;   /* where the error is raised */
  size_t hard;   /* until where its message handler, and functions in C, may go on */
  size_t coroutines;  /* where LuaJIT resumes none: it takes little for one, so there would be too many */
};

#if defined(__GNUC__)
#define lupa_here() ((size_t)__builtin_frame_address(0))
#else
#include <intrin.h>
#define lupa_here() ((size_t)_AddressOfReturnAddress())
#endif

#define lupa_full(L) (lupa_here() < G(L)->room.limit)

/* What was lowered for a message handler is as before, once the error is thrown. */
#define lupa_thrown(L) (G(L)->room.limit = G(L)->room.soft)

#endif
