//! Lua without Python: a version as a trait, the stack, the fence between Lua's errors and Rust.
//!
//! A Lua error is a `longjmp` (in LuaJIT on x86-64: a foreign unwind). What keeps it away from
//! Rust's frames, and what everything above this crate relies on:
//!
//! 1. **Two kinds of operation.** [`State`] has those that never raise. Those that may raise are
//!    methods of [`Raising`], a token that exists inside [`State::protect`] and in C functions that
//!    Lua called, and nowhere else.
//! 2. **Frames under a `Raising` own nothing.** What a protected closure captures must not need
//!    dropping (checked when compiling); the same is asked of its locals while it raises.
//! 3. **A C function has two layers.** The inner one is ordinary Rust, returns an outcome and is
//!    gone before the outer one, which has only plain values, pushes results or raises.
//! 4. **Room.** Whoever holds a [`State`] has at least [`MIN_ROOM`] free stack slots, and leaves the
//!    stack as high as it was.
//! 5. **One thread at a time.** An [`Instance`] and all its states belong to the thread that holds
//!    the lock of the layer above, and that has said so ([`Thread::set_instance`]).
//!
//! Rust is compiled with `panic = "unwind"` and all of Lua's functions are `C-unwind`: with `abort`
//! or plain `C`, an error in LuaJIT would end the process.
#![allow(clippy::not_unsafe_ptr_arg_deref)]

#[cfg(panic = "abort")]
compile_error!("lupa needs panic = \"unwind\": LuaJIT raises errors by unwinding");

mod alloc;
mod backend;
pub mod dl;
mod entries;
mod families;
mod fence;
mod installed;
mod instance;
mod libraries;
mod pool;
pub mod raw;
mod references;
mod state;
mod traceback;
mod warn;
mod watch;

pub use alloc::Memory;
pub use backend::{
    CommonApi, ERRMEM, ERRRUN, ERRSYNTAX, Frame, Gc, LuaBackend, MULTRET, NewState, OK, YIELD,
    value,
};
pub use entries::{Item, Place, Read, TableEntry, WANTS_KEYS, WANTS_VALUES};
pub use fence::{Raised, Raising};
pub use installed::check_installed;
pub use instance::{Entered, Here, Instance, Reentered, Thread};
pub use libraries::{Library, Opening, Selection};
pub use raw::{Function, Hook, Hooks, Outside, ReadEntries, Room, warn};
pub use references::Ref;
pub use state::State;
pub use warn::Warnings;
pub use watch::Watch;

/// Free stack slots that a C function starts with (`LUA_MINSTACK`, 20), less what this crate uses
/// itself for one operation.
pub const MIN_ROOM: i32 = 12;
