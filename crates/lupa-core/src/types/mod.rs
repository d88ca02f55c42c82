//! Python types that are made from specs, and Python objects as they are borrowed.
//!
//! Uses [`crate::base`]. Begin with [`alive`]: an object that somebody keeps alive for a lifetime. [`heap_type`] has the
//! memory of our own objects; [`slots`] the functions that Python calls, and [`operations`] the traits behind them;
//! these know each other. [`compat`] is where the memory of Python's own objects is read, as each version of Python has it.

pub(crate) mod alive;
pub(crate) mod compat;
pub(crate) mod drops;
pub(crate) mod heap_type;
pub(crate) mod methods;
pub(crate) mod operations;
pub(crate) mod slots;
