//! The classes and functions of a module that users call by name.
//!
//! The highest room. Begin with [`lua_runtime`]. Classes of PyO3 cannot be generic, so they reach the backend by a trait
//! object, [`engine`].

pub(crate) mod creation;
pub(crate) mod data;
pub(crate) mod engine;
pub(crate) mod engine_of;
pub(crate) mod fast_rlock;
pub(crate) mod lua_limits;
pub(crate) mod lua_runtime;
pub(crate) mod lua_type;
pub(crate) mod nogc;
pub(crate) mod output;
pub(crate) mod parameters;
pub(crate) mod raw;
pub(crate) mod views;
