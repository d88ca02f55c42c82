//! How long a runtime is there: who owns it, what of an object belongs to who has its lock, and its end.

use std::cell::Cell;
use std::ptr::NonNull;

use lua_api::{LuaBackend, State, Thread};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::runtime::entry::Entry;
use crate::runtime::greenlets;
use crate::runtime::owner::RuntimeObject;
use crate::runtime::runtime::Runtime;
use crate::runtime::waiting;
use crate::types::heap_type::This;
use crate::types::heap_type::{Garbage, Visit};

/// Data of an object that only the thread with the lock of a runtime may use; with a GIL, the attached thread.
pub(crate) struct Locked<T> {
    /// The address of the runtime.
    of: usize,
    value: T,
}

// SAFETY: who gets at the value is alone, as the lock, the GIL or Python's collector sees to.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    pub(crate) fn new<B: LuaBackend>(runtime: &Runtime<B>, value: T) -> Self {
        Locked { of: std::ptr::from_ref(runtime).addr(), value }
    }

    /// For who has the lock.
    #[inline(always)]
    pub(crate) fn get<'a, B: LuaBackend>(&'a self, entry: &'a Entry<'_, B>) -> &'a T {
        assert!(self.of == std::ptr::from_ref(entry.runtime()).addr(), "of another runtime");
        &self.value
    }

    /// For who is attached, where there is a GIL that keeps others away.
    #[cfg(not(Py_GIL_DISABLED))]
    #[inline(always)]
    pub(crate) fn attached<'a>(&'a self, _: Python<'a>) -> &'a T {
        &self.value
    }

    /// For Python's collector, while no other thread changes anything.
    pub(crate) fn visited<'a>(&'a self, _: &'a Visit) -> &'a T {
        &self.value
    }

    /// For garbage, which no other thread can use.
    pub(crate) fn garbage<'a>(&'a self, garbage: &'a Garbage<'_>) -> &'a T {
        assert!(garbage.has(self), "of another object");
        &self.value
    }

    /// For the end, too.
    pub(crate) fn into_inner(self) -> T {
        self.value
    }
}

/// A runtime that stays where it is until its end, which is that of this: Lua knows its address.
pub(crate) struct OwnedRuntime<B: LuaBackend>(NonNull<Runtime<B>>);

// SAFETY: what a thread may do with a runtime, and that all else is for who has its lock, is in ARCHITECTURE.md ("GIL,
// lock, threads").
unsafe impl<B: LuaBackend> Send for OwnedRuntime<B> {}
// SAFETY: as above.
unsafe impl<B: LuaBackend> Sync for OwnedRuntime<B> {}

impl<B: LuaBackend> OwnedRuntime<B> {
    pub(crate) fn new(runtime: Box<Runtime<B>>) -> Self {
        OwnedRuntime(NonNull::from(Box::leak(runtime)))
    }

    #[inline(always)]
    pub(crate) fn get(&self) -> &Runtime<B> {
        // SAFETY: it came from a box, and is freed by `drop` only. There are only shared references to it.
        unsafe { self.0.as_ref() }
    }

    /// It is never freed, and its owner may go.
    pub(crate) fn leak(self) {
        self.get().owner.0.set(None);
        std::mem::forget(self);
    }
}

impl<B: LuaBackend> Drop for OwnedRuntime<B> {
    fn drop(&mut self) {
        // SAFETY: from a box, and not freed before; who has borrowed it has borrowed this.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

/// Where a runtime finds the object that owns it, if there is one already.
#[derive(Default)]
pub(crate) struct OwnerPlace(Cell<Option<NonNull<ffi::PyObject>>>);

impl OwnerPlace {
    /// Whether there is.
    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }
}

impl<'a, B: LuaBackend> This<'a, RuntimeObject<B>> {
    /// Makes this known to the runtime that it has.
    pub(crate) fn introduce(self) {
        let runtime = self.content().runtime();
        runtime.owner.0.set(NonNull::new(self.object().as_ptr()));
        // SAFETY: the instance is the runtime's own, and that is in an `OwnedRuntime`, where it stays until its end.
        unsafe { runtime.instance.set_host(runtime) };
    }

    /// The owner of a runtime whose Lua is open, as the state says.
    #[inline(always)]
    pub(crate) fn owner_of(runtime: &'a Runtime<B>, state: State<'a, B>) -> Self {
        assert!(std::ptr::eq(state.instance(), &*runtime.instance), "a state of another Lua");
        let owner = runtime.owner.0.get().expect("a runtime that has an owner");
        // SAFETY: of such an object (see `introduce`), which is alive as long as Lua is open: who frees it has closed
        // Lua, or leaked the runtime.
        unsafe { This::from_ptr(owner.as_ptr()) }
    }
}

impl<B: LuaBackend> Runtime<B> {
    /// Closes Lua, running its finalizers, and drops every Python object that it held.
    pub(crate) fn close(&self, py: Python<'_>) {
        self.change();
        self.arrays.end_adoption();
        if self.instance.is_open() {
            self.be_watched();
            self.closing.set(true);
            // SAFETY: the closing thread is the only one with the lock, and holds no `State`. Finalizers get their own meanwhile.
            unsafe { self.instance.close() };
            self.closing.set(false);
        }
        self.strings.clear(py);
        self.chunks.clear(py);
        self.texts.clear();
        self.boxes.drop_all(py);
    }
}

/// Returns to the instance that this thread worked on before; with greenlets it may have been closed meanwhile.
pub(crate) fn go_back(before: *const ()) {
    if greenlets::are_there() && !waiting::is_inside(before.addr()) {
        return;
    }
    // SAFETY: the calling thread's. Without greenlets, who has entered before leaves later; with them, it was found to
    // be there.
    unsafe { Thread::this().go_back_to(before) };
}
