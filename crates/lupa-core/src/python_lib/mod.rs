//! What Lua code finds: the table `python`, and how Python objects behave.

pub(crate) mod equal;
pub(crate) mod functions;
pub(crate) mod metamethods;
pub(crate) mod os_exit;
pub(crate) mod read_ahead;
pub(crate) mod sandbox;
pub(crate) mod setup;
