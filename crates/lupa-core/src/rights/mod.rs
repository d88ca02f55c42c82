//! Who may do what with Python objects: what a sandbox's host has exposed, and what stands in the way of a filter.
//!
//! Uses [`crate::base`] and [`crate::types`], and knows no Lua. Begin with [`exposure`] for sandboxes, and with
//! [`restrict`] for `attribute_filter` and `attribute_handlers`. Who asks is [`crate::calls::permission`].

pub(crate) mod allowed;
pub(crate) mod exposure;
pub(crate) mod restrict;
pub(crate) mod routine;
