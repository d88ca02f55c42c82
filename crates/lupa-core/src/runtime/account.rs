//! Limits come first: an operation asks for the memory that it takes outside of Lua, and for the work that it does in
//! Rust, before it begins.
//!
//! [`Entry::make_room`] asks the memory account. A loop whose length a script can choose counts its turns by [`Work`],
//! which checks the limits now and then. [`Weight`] is what a box adds to the account as long as the box exists.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering;

use lua_api::{Gc, LuaBackend};
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple,
};

use crate::base::attribute::Attributes as _;
use crate::base::error::{LuaMemoryError, Result};
use crate::base::fallible;
use crate::runtime::entry::Entry;
use crate::runtime::place::where_called;
use crate::runtime::runtime::Runtime;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;

/// The estimated size of an object that was made for Lua, if no more is known of it; bytes.
const OBJECT: usize = 256;

/// Without a limit, a collection is started after so many bytes.
const MUCH: usize = 32 << 20;

/// How many steps a loop may take between two looks.
const STEPS: usize = 1024;

impl<B: LuaBackend> Runtime<B> {
    /// Whether boxes count for what is in them.
    #[inline(always)]
    pub(crate) fn weighs(&self) -> bool {
        let memory = self.instance.memory();
        memory.is_limited() || memory.is_counted()
    }

    /// A box is made that counts for so much.
    #[inline]
    pub(crate) fn load(&self, weight: Weight) {
        self.instance.memory().outside().fetch_add(weight.bytes(), Ordering::Relaxed);
    }

    /// It is no more.
    #[inline]
    pub(crate) fn lift(&self, weight: Weight) {
        self.instance.memory().outside().fetch_sub(weight.bytes(), Ordering::Relaxed);
    }
}

impl<'py, B: LuaBackend> Entry<'py, B> {
    /// Asks whether so many bytes may be taken outside of Lua's memory; collects garbage before it says no, and
    /// now and then, for Lua's collector sees only how small its boxes are.
    ///
    /// # Errors
    /// `LuaMemoryError`.
    #[inline]
    pub(crate) fn make_room(&self, bytes: usize) -> Result<()> {
        let memory = self.instance.memory();
        let grown =
            memory.outside().load(Ordering::Relaxed).saturating_sub(self.arrays.settled.get());
        if grown.saturating_add(bytes) <= self.much() && memory.has_room(bytes) {
            return Ok(());
        }
        self.collect_for(bytes)
    }

    fn much(&self) -> usize {
        let limit = self.instance.memory().tightest();
        let much = if limit == 0 { MUCH } else { (limit / 4).min(MUCH) };
        much.max(self.arrays.settled.get() / 2)
    }

    #[cold]
    #[inline(never)]
    fn collect_for(&self, bytes: usize) -> Result<()> {
        let state = self.state();
        if state.protect(|raising| raising.gc(Gc::Collect)).is_err() {
            // A finalizer has raised, and the collection has ended early: that is all there is to do.
            state.pop(1);
        }
        self.runtime().drop_dead(self.py);
        let memory = self.instance.memory();
        self.arrays.settled.set(memory.outside().load(Ordering::Relaxed));
        if memory.has_room(bytes) {
            return Ok(());
        }
        memory.note_refusal();
        let text = format!(
            "not enough memory: {bytes} bytes more are asked for, and {} of {} are in use{}",
            memory.used(),
            memory.tightest(),
            where_called(self.state()),
        );
        Err(fallible::error::<LuaMemoryError>(text).into())
    }

    /// The weight that the box of an object will have.
    pub(crate) fn weight_of_new(&self, object: Alive<'_>) -> Weight {
        if object.is_held_once() {
            Weight::with_box(size_of_object(&object.borrow(self.py)))
        } else {
            Weight::of_box()
        }
    }
}

/// The estimated size of an object without the objects that it refers to; bytes. Runs only CPython's own code.
pub(crate) fn size_of_object(object: &Bound<'_, PyAny>) -> usize {
    /// Of Python's collector and allocator.
    const BESIDES: usize = 32;
    let knows = object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyBytes>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyTuple>()
        || object.is_exact_instance_of::<PyList>()
        || object.is_exact_instance_of::<PyDict>()
        || object.is_exact_instance_of::<PyByteArray>()
        || object.is_exact_instance_of::<PySet>()
        || object.is_exact_instance_of::<PyFrozenSet>();
    if !knows {
        return OBJECT;
    }
    let size = fallible::name(object.py(), c"__sizeof__").and_then(|name| object.method0(name));
    let size = size.and_then(|size| size.extract::<usize>());
    size.map_or(OBJECT, |size| size.saturating_add(BESIDES))
}

/// A loop whose length a script has chosen.
pub(crate) struct Work<'e, 'py, B: LuaBackend> {
    entry: &'e Entry<'py, B>,
    left: usize,
    bytes: usize,
}

impl<'e, 'py, B: LuaBackend> Work<'e, 'py, B> {
    pub(crate) fn new(entry: &'e Entry<'py, B>) -> Self {
        Work { entry, left: STEPS, bytes: 0 }
    }

    /// One step more.
    ///
    /// # Errors
    /// What Lua is stopped with, what a handler of a signal raises, or `LuaMemoryError`.
    #[inline(always)]
    pub(crate) fn step(&mut self) -> Result<()> {
        self.left -= 1;
        if self.left == 0 { self.look() } else { Ok(()) }
    }

    /// So many steps were made.
    ///
    /// # Errors
    /// As [`Work::step`].
    pub(crate) fn pass(&mut self, steps: usize) -> Result<()> {
        match self.left.checked_sub(steps).filter(|&left| left > 0) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.look(),
        }
    }

    /// Adds bytes that the operation has allocated, for as long as it lasts.
    ///
    /// # Errors
    /// `LuaMemoryError`.
    #[inline(always)]
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        /// Up to so many bytes, the account is only asked together with the next bytes.
        const UNCHECKED_BYTES: usize = 1 << 16;
        self.bytes = self.bytes.saturating_add(bytes);
        if bytes > UNCHECKED_BYTES { self.entry.make_room(self.bytes) } else { Ok(()) }
    }

    /// All that was taken.
    pub(crate) fn taken(&self) -> usize {
        self.bytes
    }

    #[cold]
    fn look(&mut self) -> Result<()> {
        self.left = STEPS;
        self.entry.look(STEPS)?;
        self.entry.make_room(self.bytes)
    }
}
