//! Values, from Python to Lua and back.
//!
//! Uses [`crate::runtime`] and what is below. Begin with [`to_lua`] and [`from_lua`]. Common values take the fast path
//! ([`quick`], [`everyday`]); [`plain`] puts whole lists and dicts into tables, and [`walk`] reads tables. [`wrapper`] makes the
//! Python objects that stand for tables, functions and coroutines; [`lua_error`] makes exceptions of errors.
//! Arrays, which build on all this, are reached by [`crate::runtime::arrays::ArrayHooks`].

pub(crate) mod arguments;
pub(crate) mod coroutine;
pub(crate) mod everyday;
pub(crate) mod frames;
pub(crate) mod from_lua;
pub(crate) mod lua_error;
pub(crate) mod plain;
pub(crate) mod prepared;
pub(crate) mod protocol;
pub(crate) mod quick;
pub(crate) mod syntax_error;
pub(crate) mod text;
pub(crate) mod to_lua;
pub(crate) mod walk;
pub(crate) mod weight;
pub(crate) mod wrapper;
