//! Python objects inside Lua: the userdata that stands for one, and the list of all of them.
//!
//! A box owns one reference to its object, through its slot in [`Boxes`]. The identity cache (two
//! weak tables of Lua, one a view) only borrows: Lua clears a weak entry before it runs the
//! finalizer, so for a while two boxes of one object can exist, and neither knows of the other.
//!
//! A finalizer runs wherever Lua allocates, without the GIL, so it touches no Python object: it
//! notes its slot as dead, and the reference is dropped when the runtime is next at a safe place.
//! The garbage collector of Python, which may look at the slots at any time while attached, sees
//! an object until then.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ptr::null_mut;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::alive::Alive;
use crate::slots::{Visit, Visited};
use crate::types::drop_object;

/// How an object looks from Lua; the bits are those of lupa's documentation of its flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct View(pub u8);

impl View {
    /// `obj[key]` reads attributes.
    pub(crate) const ATTRIBUTES: View = View(0);
    /// `obj[key]` reads items.
    pub(crate) const ITEMS: View = View(1);
    /// An iterator whose tuples become several values.
    pub(crate) const UNPACK: View = View(2);
    /// An iterator that counts.
    pub(crate) const ENUMERATE: View = View(4);
    /// No object, but an array ([`crate::array`]).
    pub(crate) const ARRAY: View = View(8);
    /// A function that a sandbox may call ([`crate::sandbox`]).
    pub(crate) const CALL: View = View(16);
    /// An iterator that a sandbox may step.
    pub(crate) const NEXT: View = View(32);

    pub(crate) fn has(self, other: View) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn with(self, other: View) -> View {
        View(self.0 | other.0)
    }
}

/// The memory of the userdata. It names a slot and owns nothing, so that it does no harm when Lua
/// frees it unseen (a script can remove the finalizer).
///
/// A script with `debug.setmetatable` can give it the metatable of a file, whose functions then read
/// its first two words: to all of them, null there is a closed file.
#[repr(C)]
pub(crate) struct PyBox {
    closed_file: [usize; 2],
    /// Which use of the slot this is.
    stamp: u64,
    slot: u32,
    view: View,
    /// What the object counts for in Lua's memory ([`crate::sandbox`]), in KiB.
    weight: u16,
}

struct Slot {
    /// The object, owned; null in a free slot.
    object: *mut ffi::PyObject,
    /// The stamp of the box that the object is in; 0 when there is none any more. The one field that
    /// a finalizer changes, while Python's collector may look at the others.
    stamp: Cell<u64>,
    /// Where that box is. Only compared.
    home: usize,
}

/// All boxes of one runtime.
///
/// `slots` changes only while its thread holds the runtime's lock and is attached to Python, so
/// that Python's collector, which is attached but does not hold the lock, can walk it.
#[derive(Default)]
pub(crate) struct Boxes {
    slots: UnsafeCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    dead: RefCell<Vec<u32>>,
    dead_count: Cell<usize>,
    stamps: Cell<u64>,
}

impl Boxes {
    /// Makes sure that the next `count` times of [`Boxes::fill`] and every finalizer need no memory.
    pub(crate) fn reserve(&self, count: usize) -> bool {
        // SAFETY: attached, and the lock is held: nobody else looks at the slots.
        let slots = unsafe { &mut *self.slots.get() };
        let total = slots.len() + count;
        let roomy = |list: &mut Vec<u32>| {
            list.capacity() >= total || list.try_reserve(total * 2 - list.len()).is_ok()
        };
        slots.try_reserve(count).is_ok()
            && roomy(&mut self.free.borrow_mut())
            && roomy(&mut self.dead.borrow_mut())
    }

    /// Turns fresh memory into a box that owns `object`.
    ///
    /// # Safety
    /// Attached, with the lock held, after [`Boxes::reserve`]; `home` is a new userdata of the size
    /// of a [`PyBox`].
    pub(crate) unsafe fn fill(&self, home: *mut PyBox, object: Alive<'_>, view: View) {
        let object = object.as_ptr();
        // SAFETY: as the caller promises.
        unsafe {
            ffi::Py_INCREF(object);
            let slots = &mut *self.slots.get();
            let stamp = self.stamps.get() + 1;
            self.stamps.set(stamp);
            let slot = Slot { object, stamp: Cell::new(stamp), home: home as usize };
            let number = match self.free.borrow_mut().pop() {
                Some(number) => {
                    slots[number as usize] = slot;
                    number
                }
                None => {
                    slots.push(slot);
                    slots.len() as u32 - 1
                }
            };
            home.write(PyBox { closed_file: [0; 2], stamp, slot: number, view, weight: 0 });
        }
    }

    /// Notes what the object of a new box counts for.
    ///
    /// # Safety
    /// `home` was given to [`Boxes::fill`] just now.
    pub(crate) unsafe fn weigh(&self, home: *mut PyBox, weight: u16) {
        // SAFETY: as the caller promises.
        unsafe { (*home).weight = weight };
    }

    /// The object and the view of a box; `None` once it was finalized, or if this is no box at all
    /// but a userdata that a script has dressed up with `debug.setmetatable`.
    ///
    /// `candidate` is a full userdata of the size of a [`PyBox`].
    #[inline]
    pub(crate) fn look_up(&self, candidate: *mut PyBox) -> Option<(*mut ffi::PyObject, View)> {
        // SAFETY: large enough, and aligned as all userdata; the slots are only read.
        unsafe {
            let slot = (&*self.slots.get()).get((*candidate).slot as usize)?;
            let genuine = slot.home == candidate as usize
                && slot.stamp.get() == (*candidate).stamp
                && slot.stamp.get() != 0
                && !slot.object.is_null();
            genuine.then(|| (slot.object, (*candidate).view))
        }
    }

    /// The finalizer's part: gives the box up, and gives its weight. No Python, no allocation.
    ///
    /// # Safety
    /// The lock is held; `candidate` is as for [`Boxes::look_up`].
    pub(crate) unsafe fn bury(&self, candidate: *mut PyBox) -> u16 {
        if self.look_up(candidate).is_none() {
            return 0;
        }
        // SAFETY: a genuine box; the stamp of its slot is read by nobody without the lock.
        unsafe {
            let number = (*candidate).slot;
            (&*self.slots.get())[number as usize].stamp.set(0);
            self.dead.borrow_mut().push(number);
            self.dead_count.set(self.dead_count.get() + 1);
            (*candidate).weight
        }
    }

    /// Whether finalizers have left something to [`Boxes::take_dead`].
    #[inline(always)]
    pub(crate) fn has_dead(&self) -> bool {
        self.dead_count.get() > 0
    }

    /// Takes one object that no box owns any more; the reference is now the caller's.
    pub(crate) fn take_dead(&self) -> Option<*mut ffi::PyObject> {
        let number = self.dead.borrow_mut().pop()?;
        self.dead_count.set(self.dead_count.get() - 1);
        // SAFETY: attached, with the lock held.
        let slot = unsafe { &mut (&mut *self.slots.get())[number as usize] };
        let object = std::mem::replace(&mut slot.object, null_mut());
        self.free.borrow_mut().push(number);
        Some(object)
    }

    /// For `tp_traverse`: visits every object that Lua holds.
    pub(crate) fn visit(&self, visit: &Visit) -> Visited {
        // SAFETY: see the type's documentation.
        for slot in unsafe { &*self.slots.get() } {
            // SAFETY: null, or owned by the slot.
            unsafe { visit.pointer(slot.object)? };
        }
        Visited::Continue(())
    }

    /// For `tp_clear` and closing: every box loses its object. Runs Python code.
    pub(crate) fn drop_all(&self, _: Python<'_>) {
        // SAFETY: attached; the runtime is garbage or closed, so nobody holds its lock.
        let slots = std::mem::take(unsafe { &mut *self.slots.get() });
        self.free.borrow_mut().clear();
        self.dead.borrow_mut().clear();
        self.dead_count.set(0);
        for slot in slots {
            // SAFETY: attached; null, or a reference that came from the slot.
            unsafe { drop_object(slot.object) };
        }
    }
}
