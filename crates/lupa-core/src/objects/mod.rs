//! The wrappers of Lua values: what Python can do with a table, a function, a coroutine.
//!
//! Uses [`crate::calls`] and what is below. Begin with [`object`], which all others build on. [`methods`] lists the methods of
//! all of them, so it and they know each other. [`wrapper_types`] makes the types when a module is imported.

pub(crate) mod arguments;
pub(crate) mod array_mark;
pub(crate) mod building;
pub(crate) mod coroutine;
pub(crate) mod function;
pub(crate) mod iterator;
pub(crate) mod length;
pub(crate) mod methods;
pub(crate) mod names;
pub(crate) mod nested;
pub(crate) mod object;
pub(crate) mod paths;
pub(crate) mod raw;
pub(crate) mod table;
pub(crate) mod table_from;
pub(crate) mod text;
pub(crate) mod to_python;
pub(crate) mod unfold;
pub(crate) mod wishes;
pub(crate) mod wrapper_types;
