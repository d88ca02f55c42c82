//! Code that needs Python, but neither Lua nor our own types: errors, constructors that report missing memory, locks.
//!
//! Uses no other room. Begin with [`error`], the one enum of errors. [`fallible`] has replacements for PyO3's
//! constructors, which panic without memory. [`lock`] and [`gil`] say which thread may use a runtime. [`guard`] is where
//! panics end. `error` and `fallible` use each other, since `error` makes exceptions with the texts of `fallible`.

pub(crate) mod attribute;
pub(crate) mod error;
pub(crate) mod fallible;
pub(crate) mod gil;
pub(crate) mod guard;
pub(crate) mod imported;
pub(crate) mod lock;
pub(crate) mod vectors;
pub(crate) mod zeros;
