//! The data that a runtime keeps for its arrays, and the functions of [`crate::array`] that conversions call.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lua_api::{LuaBackend, Raising, Ref, State};
use pyo3::prelude::*;

use crate::base::error::Result;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;

/// The value in Lua of an object that is an array, or a number of NumPy's.
pub(crate) enum Arriving<'py> {
    Array(Bound<'py, PyAny>),
    /// An `int`.
    Integer(Bound<'py, PyAny>),
    Float(f64),
    Bool(bool),
}

/// `prepare` of [`ArrayHooks`].
type Prepare<B> = for<'py> fn(&Entry<'py, B>, &Bound<'py, PyAny>) -> Result<Option<Arriving<'py>>>;

/// `to_python` of [`ArrayHooks`].
type ToPython<B> =
    for<'py> fn(&Runtime<B>, Python<'py>, State<'_, B>, i32) -> Result<Option<Bound<'py, PyAny>>>;

/// How conversions, on which arrays build, reach them.
pub(crate) struct ArrayHooks<B: LuaBackend> {
    /// Converts an object that is an array or such a number, if the runtime's options ask for it; `None` for others.
    pub(crate) prepare: Prepare<B>,
    /// Pushes a `_LuaArray`; see [`crate::convert::to_lua::push`] for what has to be done before.
    pub(crate) push: fn(&Runtime<B>, Raising<'_, B>, Alive<'_>),
    /// The Python object for the array at an index, if there is one.
    pub(crate) to_python: ToPython<B>,
}

/// The data that a runtime keeps for its arrays; all of it is empty until the first array.
pub(crate) struct Arrays<B: LuaBackend> {
    pub(crate) hooks: ArrayHooks<B>,
    /// The metatable, and its address.
    pub(crate) metatable: Cell<Option<Ref>>,
    pub(crate) address: Cell<usize>,
    /// The functions that need the ffi, where there is one.
    pub(crate) ffi: Cell<Option<Ref>>,
    /// The number of arrays outside of Lua that use memory of Lua values. While there are any, no finalizer closes Lua, since
    /// other objects of the same garbage may still read that memory.
    pub(crate) pins: Arc<AtomicUsize>,
    /// Lua is being closed: its memory is no longer given away.
    pub(crate) closing: Cell<bool>,
    /// Bytes that were held outside of Lua's memory after the last full collection for their sake.
    pub(crate) settled: Cell<usize>,
}

impl<B: LuaBackend> Arrays<B> {
    pub(crate) fn new(hooks: ArrayHooks<B>) -> Self {
        Arrays {
            hooks,
            metatable: Cell::default(),
            address: Cell::default(),
            ffi: Cell::default(),
            pins: Arc::default(),
            closing: Cell::default(),
            settled: Cell::default(),
        }
    }

    /// Whether Lua's memory is in use outside of Lua.
    pub(crate) fn are_pinned(&self) -> bool {
        self.pins.load(Ordering::Acquire) > 0
    }

    /// From now on no array can be made over memory of Lua: finalizers that run while it is closed
    /// would leave it dangling.
    pub(crate) fn end_adoption(&self) {
        self.closing.set(true);
    }
}
