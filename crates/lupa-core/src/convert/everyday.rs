//! Objects of everyday types: what they are to a runtime, and those in lists and dicts, which are pushed as they are read.

use lua_api::{LuaBackend, Ref, State};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::convert::prepared::Mode;
use crate::convert::quick;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::{Alive, Items, Pairs, integer};
use crate::types::compat;

/// The kind of an object of one of the everyday types (not of a subclass), with its value, unless the value is memory of the
/// object.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// An `int` that Lua has room for.
    Int(i64),
    /// A `str` at this address.
    Str(usize),
    Float(f64),
    None,
    Bool(bool),
    /// The wrapper of a Lua value of this runtime.
    Wrapper(Ref),
    Bytes,
    Other,
}

impl Alive<'_> {
    /// The kind of the object for this runtime.
    #[inline(always)]
    pub(crate) fn kind<B: LuaBackend>(self, runtime: &Runtime<B>) -> Kind {
        let object = self.as_ptr();
        // SAFETY: attached, alive; the exact type is looked at before the value.
        unsafe {
            let kind = ffi::Py_TYPE(object);
            if kind == &raw mut ffi::PyLong_Type {
                integer::<B>(object).map_or(Kind::Other, Kind::Int)
            } else if kind == &raw mut ffi::PyUnicode_Type {
                Kind::Str(self.address())
            } else if kind == &raw mut ffi::PyFloat_Type {
                Kind::Float(compat::float_value(object))
            } else if object == ffi::Py_None() {
                Kind::None
            } else if object == ffi::Py_True() {
                Kind::Bool(true)
            } else if object == ffi::Py_False() {
                Kind::Bool(false)
            } else if let Some(reference) = self.reference(runtime) {
                reference.map_or(Kind::Other, Kind::Wrapper)
            } else if kind == &raw mut ffi::PyBytes_Type {
                Kind::Bytes
            } else {
                Kind::Other
            }
        }
    }
}

impl Items<'_> {
    /// Pushes the item, if there are so many, and if that makes nothing run; else gives it.
    #[inline(always)]
    pub(crate) fn push_known<'py, B: LuaBackend>(
        self,
        entry: &Entry<'py, B>,
        state: State<B>,
        index: usize,
    ) -> Option<Option<Bound<'py, PyAny>>> {
        // SAFETY: alive, for nothing runs here.
        let item = unsafe { Alive::from_ptr(self.borrowed(index)?) };
        let known = quick::push_known(entry, state, item, Mode::Value);
        Some((!known).then(|| item.borrow(entry.py).to_owned()))
    }
}

type Rest<'py> = (Option<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

impl Pairs<'_> {
    /// Pushes the key at a position, and the value if the key was pushed, where that makes nothing run; gives those that
    /// were not pushed, and the position after the pair.
    #[inline(always)]
    pub(crate) fn push_known<'py, B: LuaBackend>(
        self,
        entry: &Entry<'py, B>,
        state: State<B>,
        position: isize,
    ) -> Option<(Rest<'py>, isize)> {
        let push = |key: Alive<'_>, value: Alive<'_>| {
            let hold = |object: Alive<'_>| Some(object.borrow(entry.py).to_owned());
            if !quick::push_known(entry, state, key, Mode::NotNil) {
                (hold(key), hold(value))
            } else if !quick::push_known(entry, state, value, Mode::Value) {
                (None, hold(value))
            } else {
                (None, None)
            }
        };
        // SAFETY: what is known already is pushed without running anything.
        unsafe { self.read(position, push) }
    }
}
