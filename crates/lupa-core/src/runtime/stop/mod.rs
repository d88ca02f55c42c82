//! Stopping Lua: limits of time, instructions and memory, `interrupt()`, and signals.
//!
//! ```text
//!            limits begin, or end                 the hook sees a reason
//!   free ──────────────────────────▶ limited ──────────────────────────▶ stopping
//!    ▲  ◀──────────────────────────   │   ▲                                 │
//!    │                                │   │ a callback ends                 │ Lua is left
//!    │        a callback begins       ▼   │                                 │
//!    │                             suspended                                │
//!    └──────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! *Limited*: what holds is in [`limits`]: the time of the entry, and the scopes ([`scope`]) in the context of who has entered. The
//! earliest [`deadline`] is in the [`alarm`], where the [`monitor`], a thread, sees it; instructions are counted by Lua. *Suspended*:
//! Lua has called out, and others may enter under limits of their own. *Stopping*: [`crate::calls::hook`] raises what
//! [`stops`] holds, again at each instruction, so that no `pcall` keeps it; who leaves Lua takes it out
//! (`Entry::take_stop`). [`pending`] has the flags by which the fast path of an entry knows that there is anything of this to do.

pub(crate) mod alarm;
pub(crate) mod deadline;
pub(crate) mod limits;
pub(crate) mod monitor;
pub(crate) mod pending;
pub(crate) mod scope;
pub(crate) mod stops;
