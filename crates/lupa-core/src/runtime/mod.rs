//! One Lua with its lock, its options and the Python objects in it.
//!
//! Uses the rooms below: no value is converted here. Begin with [`runtime`], then [`entry`]: the right to work on one, which all
//! operations begin with. These two, and what a runtime consists of, know each other. [`boxes`] are the Python objects in
//! Lua; [`stop`] is how Lua is stopped, and limits.

pub(crate) mod account;
pub(crate) mod ahead;
pub(crate) mod arrays;
pub(crate) mod boxes;
pub(crate) mod chunks;
pub(crate) mod cursor;
pub(crate) mod encoding;
pub(crate) mod entry;
pub(crate) mod greenlets;
pub(crate) mod options;
pub(crate) mod owned;
pub(crate) mod owner;
pub(crate) mod place;
#[expect(clippy::module_inception)]
pub(crate) mod runtime;
pub(crate) mod stop;
pub(crate) mod strings;
pub(crate) mod texts;
pub(crate) mod waiting;
pub(crate) mod weight;
