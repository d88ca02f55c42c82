//! The rights of Lua code on Python objects: the exposures of a sandbox's host, and functions that would get around a filter.
//!
//! Uses [`crate::base`] and [`crate::types`], and knows no Lua. Begin with [`exposure`] for sandboxes, and with
//! [`restrict`] for `attribute_filter` and `attribute_handlers`. The questions come from
//! [`crate::calls::permission`].

pub(crate) mod allowed;
pub(crate) mod exposure;
pub(crate) mod restrict;
pub(crate) mod routine;
