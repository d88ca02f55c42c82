//! Values, from Python to Lua and back.

pub(crate) mod arguments;
pub(crate) mod coroutine;
pub(crate) mod everyday;
pub(crate) mod from_lua;
pub(crate) mod lua_error;
pub(crate) mod plain;
pub(crate) mod prepared;
pub(crate) mod protocol;
pub(crate) mod quick;
pub(crate) mod to_lua;
pub(crate) mod walk;
pub(crate) mod weight;
pub(crate) mod wrapper;
