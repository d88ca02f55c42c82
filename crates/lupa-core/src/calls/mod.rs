//! Calls, out and in.

pub(crate) mod argument;
pub(crate) mod call;
pub(crate) mod callback;
pub(crate) mod hook;
pub(crate) mod permission;
pub(crate) mod steps;
