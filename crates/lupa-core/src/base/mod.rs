//! What needs Python, but neither Lua nor our own types: errors, constructors that bear a want of memory, locks.
//!
//! Uses no other room. Begin with [`error`], the one enum of errors; [`fallible`] has what to call in the place of PyO3's
//! constructors, which panic without memory. [`lock`] and [`gil`] are what a runtime is held by; [`guard`] is the edge
//! where panics end. `error` and `fallible` know each other, as an exception is made by the one of the texts of the other.

pub(crate) mod attribute;
pub(crate) mod error;
pub(crate) mod fallible;
pub(crate) mod gil;
pub(crate) mod guard;
pub(crate) mod imported;
pub(crate) mod lock;
pub(crate) mod vectors;
