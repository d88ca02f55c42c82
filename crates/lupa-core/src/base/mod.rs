//! What needs Python, but no Lua: errors, memory that may be missing, locks.

pub(crate) mod attribute;
pub(crate) mod error;
pub(crate) mod fallible;
pub(crate) mod gil;
pub(crate) mod guard;
pub(crate) mod imported;
pub(crate) mod lock;
pub(crate) mod vectors;
