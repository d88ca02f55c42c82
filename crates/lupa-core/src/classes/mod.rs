//! The classes that a program makes or calls by name.

pub(crate) mod creation;
pub(crate) mod engine;
pub(crate) mod engine_of;
pub(crate) mod fast_rlock;
pub(crate) mod lua_limits;
pub(crate) mod lua_runtime;
pub(crate) mod lua_type;
pub(crate) mod nogc;
pub(crate) mod parameters;
