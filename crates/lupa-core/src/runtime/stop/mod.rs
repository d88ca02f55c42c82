//! Stopping Lua, and limits.

pub(crate) mod alarm;
pub(crate) mod deadline;
pub(crate) mod due;
pub(crate) mod limits;
pub(crate) mod monitor;
pub(crate) mod scope;
pub(crate) mod stops;
