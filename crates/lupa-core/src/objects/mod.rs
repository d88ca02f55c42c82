//! The wrappers of Lua values: what Python can do with them.

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
