//! Lua without Python: a version as a trait, the stack, the fence between Lua's errors and Rust.
//!
//! A Lua error is a `longjmp` (in LuaJIT on x86-64: a foreign unwind). These rules keep it away from
//! Rust's frames, and everything above this crate relies on them:
//!
//! 1. **Two kinds of operation.** [`State`] has those that never raise. Those that may raise are
//!    methods of [`Raising`], a token that exists inside [`State::protect`] and in a [`Function`] that
//!    Lua called, and nowhere else.
//! 2. **Frames under a `Raising` own nothing.** The captures of a protected closure must not need
//!    dropping (checked when compiling); its locals must not need it while it raises, and the closure must not panic.
//! 3. **A C function has two layers.** The inner one is ordinary Rust, returns an outcome and is
//!    gone before the outer one, which has only plain values, pushes results or raises.
//! 4. **Room.** The holder of a [`State`] has at least [`MIN_ROOM`] free stack slots, and leaves the
//!    stack as high as it was.
//! 5. **One thread at a time.** An [`Instance`] and all its states belong to the thread that holds
//!    the lock of the layer above, and that has said so ([`Instance::enter`]). Neither is `Sync`.
//!
//! # Invariants that types enforce
//!
//! A [`State`] borrows its [`Instance`], which is open (its end is [`Instance::close`], which is unsafe, or that it is
//! dropped). It stands for a coroutine that is alive as long as the borrow lasts: the one that runs, or one on whose stack a closure works
//! ([`State::with_coroutine`]). States of another Lua are refused where two meet.
//!
//! ```compile_fail,E0505
//! # fn f<B: lua_api::LuaBackend>(instance: Box<lua_api::Instance<B>>) {
//! let state = instance.state();
//! drop(instance);
//! state.push_nil();
//! # }
//! ```
//!
//! A [`Raising`] does not leave the call that catches its errors, nor does a state that it gives:
//!
//! ```compile_fail
//! # fn f<B: lua_api::LuaBackend>(state: lua_api::State<B>) {
//! let mut kept = None;
//! let _ = state.protect(|raising| kept = Some(raising));
//! # }
//! ```
//!
//! ```compile_fail
//! # fn f<B: lua_api::LuaBackend>(state: lua_api::State<B>) {
//! let kept = core::cell::Cell::new(None);
//! let _ = state.protect(|raising| kept.set(Some(raising.state())));
//! # }
//! ```
//!
//! A protected closure owns nothing, as an error would leave it behind. It may borrow:
//!
//! ```no_run
//! # lua_api::stub_backend!(Lua);
//! # fn f(state: lua_api::State<Lua>) {
//! let text = String::from("text");
//! let bytes = text.as_bytes();
//! let _ = state.protect(|raising| raising.push_bytes(bytes));
//! # }
//! # let _ = f as fn(lua_api::State<'_, Lua>);
//! ```
//!
//! ```compile_fail,E0080
//! # lua_api::stub_backend!(Lua);
//! # fn f(state: lua_api::State<Lua>) {
//! let text = String::from("text");
//! let _ = state.protect(move |raising| raising.push_bytes(text.as_bytes()));
//! # }
//! # let _ = f as fn(lua_api::State<'_, Lua>);
//! ```
//!
//! Memory of Lua is lent to a closure: the bytes of a string ([`State::with_bytes`]), the names in a frame
//! ([`State::with_frame`]), another coroutine's stack. A [`Ref`] is a key of the registry that is present, so that to
//! assign to it never allocates; [`State::replace`] looks for a key before it assigns. The calling thread is a value that
//! cannot be sent to another ([`Thread`]). The host of an instance has its type ([`Instance::host`]); to say what it is is
//! unsafe, for it must stay where it is.
//!
//! # Invariants that types do not enforce
//!
//! - **The stack**: the type of the value at an index, free room, and that a value whose memory is lent stays on the stack meanwhile. Builds
//!   with debug assertions check that indices are in use and tables are tables; Lua itself checks more (`LUA_USE_APICHECK`).
//! - **Locals under a `Raising`** (2).
//! - **Scripts with `debug`**, and bytecode, can make anything of a Lua.
//!
//! Rust is compiled with `panic = "unwind"` and all of Lua's functions are `C-unwind`: with `abort`
//! or plain `C`, an error in LuaJIT would end the process.

#[cfg(panic = "abort")]
compile_error!("lupa needs panic = \"unwind\": LuaJIT raises errors by unwinding");

mod alloc;
mod backend;
pub mod bindings;
mod chunk_mode;
pub mod dl;
mod entries;
mod families;
mod fence;
mod hooks;
mod installed;
mod instance;
mod jobs;
mod kept;
mod libraries;
mod pool;
pub mod raw;
mod references;
mod stacks;
mod state;
mod thread;
mod traceback;
mod warn;
mod watch;

pub use alloc::Memory;
pub use backend::{
    CommonApi, ERRMEM, ERRRUN, ERRSYNTAX, Gc, LuaBackend, MULTRET, NewState, OK, YIELD, value,
};
pub use entries::{Item, Place, Read, TableEntry, WANTS_KEYS, WANTS_VALUES};
pub use fence::{Raised, Raising};
pub use installed::check_installed;
pub use instance::{Instance, Reentered};
pub use libraries::{Library, Opening, Selection};
pub use raw::{Frame, Function, Hook, Hooks, Outside, ReadEntries, Room, warn};
pub use references::Ref;
pub use stacks::OwnStack;
pub use state::State;
pub use thread::Thread;
pub use traceback::{NotedFrame, note_frames_of};
pub use warn::Warnings;
pub use watch::Watch;

/// Free stack slots that a C function starts with (`LUA_MINSTACK`, 20), less what this crate uses
/// itself for one operation.
pub const MIN_ROOM: i32 = 12;
