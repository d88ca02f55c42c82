//! `LuaRuntime(sandbox=True)`: safe libraries only, and Python objects that are opaque unless the host
//! exposes them.
//!
//! What Lua code has of its own is cut down once, when the runtime is made ([`libraries`]). What it can
//! do with Python objects is decided by [`wall`], whose metamethods take the place of the usual ones, so
//! that a runtime without a sandbox does not pay for it. Who was exposed to do what is in [`crate::rights`].

use crate::runtime::stop::deadline::Seconds;

mod libraries;
mod wall;

pub(crate) use libraries::{install, selection};
pub(crate) use wall::metamethods;

/// The limit of Lua's memory, in bytes, unless `max_memory` says otherwise.
pub(crate) const SANDBOX_MEMORY: usize = 64 << 20;

/// The seconds that each use of a sandbox may take, unless `timeout` says otherwise.
pub(crate) const SANDBOX_TIMEOUT: Seconds = Seconds(5.0);
