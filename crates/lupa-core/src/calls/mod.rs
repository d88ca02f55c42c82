//! Calls, out and in.

pub(crate) mod call;
pub(crate) mod callback;
