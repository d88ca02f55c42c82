//! Python as Lua code sees it: the table `python`, and the behaviour of Python objects in Lua.
//!
//! Uses all rooms below. Begin with [`setup`], which fills a new Lua. [`functions`] are those of the table, [`metamethods`]
//! those of Python objects, for which [`sandbox`] has others.

pub(crate) mod colon;
pub(crate) mod equal;
pub(crate) mod functions;
pub(crate) mod metamethods;
pub(crate) mod os_exit;
pub(crate) mod read_ahead;
pub(crate) mod sandbox;
pub(crate) mod setup;
