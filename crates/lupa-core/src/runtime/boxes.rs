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

use lua_api::{LuaBackend, Raising, Ref, State, value};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::runtime::weight::Weight;
use crate::types::alive::Alive;
use crate::types::compat;
use crate::types::heap_type::drop_object;
use crate::types::heap_type::{Visit, Visited};

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
    /// A function that a sandbox may call ([`crate::python_lib::sandbox`]).
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
    /// The weight of the object in Lua's memory account.
    weight: Weight,
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

/// All boxes of one runtime. A thread that has a reference to this has the lock of the runtime: neither can be sent
/// to another one.
///
/// `slots` changes only while that thread is attached to Python, too, so that Python's collector, which is attached
/// but does not hold the lock, can walk it. Nothing runs while it is borrowed here.
#[derive(Default)]
pub(crate) struct Boxes {
    slots: UnsafeCell<Vec<Slot>>,
    free: RefCell<Vec<u32>>,
    dead: RefCell<Vec<u32>>,
    stamps: Cell<u64>,
}

/// A new box for an object.
#[derive(Clone, Copy)]
pub(crate) struct NewBox<'a> {
    pub(crate) object: Alive<'a>,
    pub(crate) view: View,
    pub(crate) weight: Weight,
    /// The table that the box is kept in, and its key there.
    pub(crate) cache: Option<(Ref, i64)>,
}

impl Boxes {
    /// Makes sure that the next `count` boxes and every finalizer need no memory of ours.
    pub(crate) fn reserve(&self, _: Python<'_>, count: usize) -> bool {
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

    /// Pushes a new box that owns an object, after [`Boxes::reserve`]. `metatable` is that of boxes, with its address.
    pub(crate) fn push<B: LuaBackend>(
        &self,
        raising: Raising<'_, B>,
        new: NewBox<'_>,
        metatable: (Option<Ref>, usize),
    ) {
        let home = raising.new_userdata(size_of::<PyBox>()).cast::<PyBox>();
        // Until it is filled, the box has no finalizer and is in no list, so an error may come.
        if let Some((cache, key)) = new.cache {
            raising.push_ref(cache);
            if raising.type_of(-1) == value::TABLE {
                raising.push_integer(key);
                raising.push_value(-3);
                raising.raw_set(-3);
            }
            raising.pop(1);
        }
        let (Some(metatable), address) = metatable else {
            raising.error(c"the metatable of Python objects is gone");
        };
        raising.push_ref(metatable);
        if raising.to_pointer(-1) as usize != address {
            raising.error(c"the metatable of Python objects is gone");
        }
        // SAFETY: the new userdata, of this size, which is on the stack below the metatable.
        unsafe { self.fill(home, new.object, new.view, new.weight) };
        raising.set_metatable(-2);
    }

    /// Turns fresh memory into a box that owns `object`.
    ///
    /// # Safety
    /// `home` is a new userdata, of the size of a [`PyBox`] at least.
    pub(crate) unsafe fn fill(
        &self,
        home: *mut PyBox,
        object: Alive<'_>,
        view: View,
        weight: Weight,
    ) {
        let object = object.hold().into_ptr();
        let stamp = self.stamps.get() + 1;
        self.stamps.set(stamp);
        let slot = Slot { object, stamp: Cell::new(stamp), home: home as usize };
        // SAFETY: attached, as who has the object is, and the lock is held.
        let slots = unsafe { &mut *self.slots.get() };
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
        let filled = PyBox { closed_file: [0; 2], stamp, slot: number, view, weight };
        // SAFETY: as the caller promises.
        unsafe { home.write(filled) };
    }

    /// The userdata at `index`, if it has the size of a box.
    #[inline(always)]
    fn candidate<B: LuaBackend>(state: State<B>, index: i32) -> Option<*mut PyBox> {
        let memory = state.to_userdata(index);
        // A light one has no length.
        (!memory.is_null() && state.raw_len(index) == size_of::<PyBox>()).then(|| memory.cast())
    }

    /// The object and the view of a box; `None` once it was finalized, or if this is no box at all
    /// but a userdata that a script has dressed up with `debug.setmetatable`. The object is alive until anything
    /// runs.
    ///
    /// # Safety
    /// `candidate` is a full userdata of the size of a [`PyBox`] at least, which Lua has not freed.
    #[inline(always)]
    pub(crate) unsafe fn look_up(
        &self,
        candidate: *mut PyBox,
    ) -> Option<(*mut ffi::PyObject, View)> {
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

    /// The content of the box at `index`, if that value is a box that was not finalized: the address of the object, and the view.
    ///
    /// The metatable is not checked: a userdata that a slot of the list refers to is a box, and stays one with
    /// whatever metatable a script gives it by `debug.setmetatable`.
    #[inline(always)]
    pub(crate) fn find<B: LuaBackend>(&self, state: State<B>, index: i32) -> Option<(usize, View)> {
        let candidate = Self::candidate(state, index)?;
        // SAFETY: of that size, and on the stack.
        unsafe { self.look_up(candidate) }.map(|(object, view)| (object as usize, view))
    }

    /// As [`Boxes::find`], but gives the object.
    #[inline(always)]
    pub(crate) fn get<'py, B: LuaBackend>(
        &self,
        py: Python<'py>,
        state: State<B>,
        index: i32,
    ) -> Option<(Bound<'py, PyAny>, View)> {
        let candidate = Self::candidate(state, index)?;
        // SAFETY: of that size, and on the stack. The object is alive, as its box owns it and nothing has run since.
        unsafe {
            let (object, view) = self.look_up(candidate)?;
            Some((Bound::from_borrowed_ptr(py, object), view))
        }
    }

    /// As [`Boxes::find`], for a method: what equal ones have in common.
    #[inline(always)]
    pub(crate) fn find_method<B: LuaBackend>(
        &self,
        _: Python<'_>,
        state: State<B>,
        index: i32,
    ) -> Option<(usize, usize)> {
        let candidate = Self::candidate(state, index)?;
        // SAFETY: as above.
        unsafe {
            let (object, _) = self.look_up(candidate)?;
            compat::method_identity(Alive::from_ptr(object))
        }
    }

    /// Gives the box at `index` up, if it is one, as a finalizer does; gives its weight. No Python, no allocation.
    pub(crate) fn give_up<B: LuaBackend>(&self, state: State<B>, index: i32) -> Weight {
        // SAFETY: of that size, and on the stack.
        Self::candidate(state, index)
            .map_or(Weight::default(), |candidate| unsafe { self.bury(candidate) })
    }

    /// The finalizer's part: gives the box up, and gives its weight. No Python, no allocation.
    ///
    /// # Safety
    /// As for [`Boxes::look_up`].
    pub(crate) unsafe fn bury(&self, candidate: *mut PyBox) -> Weight {
        // SAFETY: as the caller promises; a genuine box, then. The stamp of its slot is read by nobody without the
        // lock.
        unsafe {
            if self.look_up(candidate).is_none() {
                return Weight::default();
            }
            let number = (*candidate).slot;
            (&*self.slots.get())[number as usize].stamp.set(0);
            self.dead.borrow_mut().push(number);
            (*candidate).weight
        }
    }

    /// Drops the objects that no box owns any more. Runs Python code.
    #[cold]
    pub(crate) fn drop_dead(&self, py: Python<'_>) {
        while let Some(object) = self.take_dead(py) {
            // SAFETY: attached; the reference came from the slot.
            unsafe { drop_object(object) };
        }
    }

    /// Takes one object that no box owns any more; the reference is now the caller's.
    fn take_dead(&self, _: Python<'_>) -> Option<*mut ffi::PyObject> {
        let number = self.dead.borrow_mut().pop()?;
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
        for slot in slots {
            // SAFETY: attached; null, or a reference that came from the slot.
            unsafe { drop_object(slot.object) };
        }
    }
}
