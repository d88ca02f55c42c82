//! Python types that are made from specs, and Python objects as they are borrowed.

pub(crate) mod alive;
pub(crate) mod compat;
pub(crate) mod drops;
pub(crate) mod heap_type;
pub(crate) mod operations;
pub(crate) mod slots;
