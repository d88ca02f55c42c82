//! `LuaRuntime(sandbox=True)`: safe libraries only, and Python objects that are opaque unless the host
//! exposes them.
//!
//! Unsafe functions of Lua are left out once, when the runtime is made ([`libraries`]). Operations on
//! Python objects go through [`wall`], whose metamethods take the place of the usual ones, so
//! that a runtime without a sandbox does not pay for it. The rights that a host has given are in [`crate::rights`].

use crate::runtime::stop::deadline::Seconds;

mod libraries;
mod wall;

pub(crate) use libraries::{install, selection};
pub(crate) use wall::metamethods;

/// The limit of Lua's memory, in bytes, unless `max_memory` says otherwise.
pub(crate) const SANDBOX_MEMORY: usize = 64 << 20;

/// The seconds that each use of a sandbox may take, unless `timeout` says otherwise.
pub(crate) const SANDBOX_TIMEOUT: Seconds = Seconds(5.0);
