//! [`RuntimeObject`]: the hidden Python object that owns a [`Runtime`], and closes it; `LuaRuntime` and
//! every wrapper keep it alive.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

use lua_api::LuaBackend;
use pyo3::prelude::*;

use crate::rights::exposure::Sandbox;
use crate::runtime::owned::OwnedRuntime;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;
use crate::types::heap_type::{Garbage, Visit, Visited};
use crate::types::heap_type::{Place, This};
use crate::types::operations::{Clear, Content, Finalize};
use crate::types::slots::Spec;

/// The type of such objects.
pub(crate) static TYPE: Place = Place::new();

/// The content of the Python object that owns a [`Runtime`].
pub(crate) struct RuntimeObject<B: LuaBackend> {
    runtime: OwnedRuntime<B>,
    /// Whether the finalizer has run.
    finalized: AtomicBool,
}

impl<B: LuaBackend> RuntimeObject<B> {
    /// Wraps a runtime. The result is tracked by Python's collector.
    pub(crate) fn create(py: Python<'_>, runtime: Box<Runtime<B>>) -> PyResult<Bound<'_, PyAny>> {
        let runtime = OwnedRuntime::new(runtime);
        let content = RuntimeObject { runtime, finalized: AtomicBool::new(false) };
        let object = TYPE.get().create(py, content)?;
        if let Some(this) = Self::of(Alive::of(&object)) {
            this.introduce();
        }
        Ok(object)
    }

    /// An object, if it is of this kind.
    #[inline(always)]
    pub(crate) fn of(object: Alive<'_>) -> Option<This<'_, Self>> {
        TYPE.get().of(object)
    }

    /// The runtime.
    #[inline(always)]
    pub(crate) fn runtime(&self) -> &Runtime<B> {
        self.runtime.get()
    }
}

pub(crate) fn spec<B: LuaBackend>() -> Spec<RuntimeObject<B>> {
    Spec::new("_LuaState", c"Owns a Lua state.").finalize().clear()
}

impl<B: LuaBackend> Content for RuntimeObject<B> {
    fn visit(&self, visit: &Visit) -> Visited {
        let options = &self.runtime().options;
        let handlers =
            [&options.attribute_filter, &options.attribute_getter, &options.attribute_setter];
        for handler in handlers.into_iter().flatten() {
            visit.object(handler)?;
        }
        for exposure in options.sandbox.iter().flat_map(Sandbox::held) {
            visit.object(exposure)?;
        }
        self.runtime().boxes.visit(visit)
    }

    fn end(self, _: Python<'_>) {
        if self.runtime().instance.is_open() && self.runtime().owner.is_known() {
            // Only when `finalize` and `clear` both came too early for an array over Lua's
            // memory. Lua's finalizers need an owner that is whole: better a leak.
            self.runtime.leak();
        }
        // Without an owner, as where there was no memory for one, there are no finalizers of Python objects yet.
    }
}

/// Lua's finalizers may call Python, which may take new references to this object, so
/// Lua is closed while the object is still whole.
impl<B: LuaBackend> Finalize for RuntimeObject<B> {
    fn finalize(&self, py: Python<'_>) {
        self.finalized.store(true, Ordering::Relaxed);
        // An array outside, part of the same garbage, may use Lua's memory, and others may still
        // read it: then Lua is closed by `clear`, when that is over.
        if !self.runtime().arrays.are_pinned() {
            self.runtime().close_guarded(py);
        }
    }

    #[cfg(Py_LIMITED_API)]
    fn is_finalized(&self) -> bool {
        self.finalized.load(Ordering::Relaxed)
    }
}

impl<B: LuaBackend> Clear for RuntimeObject<B> {
    fn clear(&self, garbage: &Garbage<'_>) {
        let py = garbage.py();
        self.runtime().boxes.drop_all(py);
        if self.runtime().instance.is_open() && !self.runtime().arrays.are_pinned() {
            self.runtime().close_guarded(py);
        }
        if let Some(sandbox) = &self.runtime().options.sandbox {
            sandbox.clear(py);
        }
    }
}
