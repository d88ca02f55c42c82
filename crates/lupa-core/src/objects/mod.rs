//! The wrappers of Lua values: what Python can do with a table, a function, a coroutine.
//!
//! Uses [`crate::calls`] and what is below. Begin with [`object`], which all others build on. [`methods`] lists the methods of
//! all of them, so it and they know each other. [`wrapper_types`] makes the types when a module is imported.

pub(crate) mod arguments;
pub(crate) mod coroutine;
pub(crate) mod function;
pub(crate) mod iterator;
pub(crate) mod length;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod table;
pub(crate) mod table_from;
pub(crate) mod wrapper_types;
