//! Calls, out and in.
//!
//! Uses [`crate::convert`] and what is below. Begin with [`call`] (Python calls Lua) and [`callback`] (Lua calls Python: the shape
//! of every C function of ours). [`hook`] is what Lua calls when it may have to stop, [`permission`] what a sandbox asks.

pub(crate) mod argument;
pub(crate) mod call;
pub(crate) mod callback;
pub(crate) mod hook;
pub(crate) mod main_chunk;
pub(crate) mod permission;
pub(crate) mod steps;
