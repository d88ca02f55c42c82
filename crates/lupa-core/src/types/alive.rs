//! [`Alive`]: a Python object that somebody keeps alive for a lifetime, and what is read of it without running any code.
//!
//! A borrowed pointer to an object is good until its owner lets go of it, which any Python code may have it do, and
//! so may any allocation in Lua, for it may run finalizers. So what is borrowed has a lifetime here: of the
//! [`Bound`] that holds it, or of the call of a slot whose caller holds it.
//!
//! What a container has is not borrowed at all: [`Items`] and [`Pairs`] give a reference of one's own, or push it in the
//! step in which it is read, where that makes nothing run ([`crate::convert::everyday`]).

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use lua_api::LuaBackend;
#[cfg(not(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy)))]
use pyo3::ffi::{
    PyList_GET_ITEM as list_item, PyList_GET_SIZE as list_size, PyTuple_GET_ITEM as tuple_item,
    PyTuple_GET_SIZE as tuple_size,
};
#[cfg(any(Py_LIMITED_API, Py_GIL_DISABLED, PyPy, GraalPy))]
use pyo3::ffi::{
    PyList_GetItem as list_item, PyList_Size as list_size, PyTuple_GetItem as tuple_item,
    PyTuple_Size as tuple_size,
};
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::PyDict;
use pyo3::{Borrowed, ffi};

use crate::types::compat;

/// A Python object that lives at least as long as `'a`. The thread that made this value was attached to Python, and stays so for
/// that time.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Alive<'a>(NonNull<ffi::PyObject>, PhantomData<(&'a ffi::PyObject, Python<'a>)>);

impl<'a> Alive<'a> {
    /// An object that is held for that time.
    #[inline(always)]
    pub(crate) fn of<T>(object: &'a Bound<'_, T>) -> Self {
        // SAFETY: a reference to an object, which it keeps alive, is never null; it is of an attached thread.
        Alive(unsafe { NonNull::new_unchecked(object.as_ptr()) }, PhantomData)
    }

    /// An object that is held for that time, by a reference that knows no thread.
    #[inline(always)]
    pub(crate) fn held<T>(_: Python<'a>, object: &'a Py<T>) -> Self {
        // SAFETY: as above; attached, as the token says.
        Alive(unsafe { NonNull::new_unchecked(object.as_ptr()) }, PhantomData)
    }

    /// # Safety
    /// Attached; not null, and alive for `'a`: an argument of a slot for the time of its call, or what somebody holds.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr(object: *mut ffi::PyObject) -> Self {
        // SAFETY: as the caller promises.
        Alive(unsafe { NonNull::new_unchecked(object) }, PhantomData)
    }

    /// The arguments of a vectorcall.
    ///
    /// # Safety
    /// Attached; so many objects are there, alive for `'a`, in memory that does not change.
    #[inline(always)]
    pub(crate) unsafe fn slice(objects: *const *mut ffi::PyObject, count: usize) -> &'a [Self] {
        if count == 0 {
            return &[];
        }
        // SAFETY: as the caller promises; this type is a pointer that is not null.
        unsafe { std::slice::from_raw_parts(objects.cast(), count) }
    }

    /// The bare pointer.
    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// The object's identity while it lives: its address.
    #[inline(always)]
    pub(crate) fn address(self) -> usize {
        self.0.as_ptr() as usize
    }

    /// The thread that has made this is attached.
    #[inline(always)]
    pub(crate) fn py(self) -> Python<'a> {
        // SAFETY: see the type.
        unsafe { Python::assume_attached() }
    }

    /// Whether nobody else has a reference to it than one who holds it for that time.
    #[inline(always)]
    pub(crate) fn is_held_once(self) -> bool {
        // SAFETY: the object is alive, and the thread is attached, as the type says.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) == 1 }
    }

    /// The object as PyO3 has what is borrowed.
    #[inline(always)]
    pub(crate) fn borrow<'py>(self, py: Python<'py>) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: alive for that time; attached, as the token says.
        unsafe { Borrowed::from_ptr(py, self.as_ptr()) }
    }

    /// A reference of one's own.
    #[inline(always)]
    pub(crate) fn hold(self) -> Bound<'a, PyAny> {
        self.borrow(self.py()).to_owned()
    }

    /// The number of references to the object. Callers use it for speed only.
    #[inline(always)]
    pub(crate) fn references(self) -> isize {
        // SAFETY: alive.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) }
    }

    /// The value of an `int`, of a derived class perhaps, that Lua has room for.
    #[inline]
    pub(crate) fn integer<B: LuaBackend>(self) -> Option<i64> {
        // SAFETY: attached, alive; the type is checked.
        unsafe {
            (ffi::PyLong_Check(self.as_ptr()) != 0).then(|| integer::<B>(self.as_ptr())).flatten()
        }
    }

    /// The UTF-8 form of a `str`, which lives as long as it does; `None` where there is none, as of lone
    /// surrogates, or no memory for it, and for other objects.
    #[inline(always)]
    pub(crate) fn utf8(self) -> Option<&'a [u8]> {
        let mut len = 0;
        // SAFETY: attached, alive. Of anything but a `str` Python gives an error; a `str` keeps this form and never
        // changes it.
        unsafe {
            let start = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &raw mut len);
            if start.is_null() {
                ffi::PyErr_Clear();
                return None;
            }
            Some(std::slice::from_raw_parts(start.cast(), len as usize))
        }
    }

    /// The content of a `bytes` object; `None` for other objects.
    #[inline(always)]
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        let object = self.as_ptr();
        // SAFETY: attached, alive; the type is checked. Such an object never changes.
        unsafe {
            if ffi::PyBytes_Check(object) == 0 {
                return None;
            }
            let start = ffi::PyBytes_AsString(object);
            Some(std::slice::from_raw_parts(start.cast(), ffi::PyBytes_Size(object) as usize))
        }
    }
}

/// The value of an `int` that Lua has room for.
///
/// # Safety
/// Attached; a live `int`.
#[inline(always)]
pub(crate) unsafe fn integer<B: LuaBackend>(object: *mut ffi::PyObject) -> Option<i64> {
    // SAFETY: as the caller promises.
    unsafe {
        if let Some(number) = compat::compact_int(object) {
            return Some(number);
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
        let (least, most) = B::INTEGER_RANGE;
        (overflow == 0 && (least..=most).contains(&number)).then_some(number)
    }
}

/// A list or a tuple. Without a GIL a tuple only, for other threads might change a list between two lines here.
#[derive(Clone, Copy)]
pub(crate) struct Items<'a> {
    object: Alive<'a>,
    is_list: bool,
}

impl<'a> Items<'a> {
    /// The items of an object, if it is a list or tuple, of no derived class.
    #[inline(always)]
    pub(crate) fn of(object: Alive<'a>) -> Option<Self> {
        // SAFETY: attached, alive.
        let (is_list, is_tuple) = unsafe {
            let object = object.as_ptr();
            (ffi::PyList_CheckExact(object) != 0, ffi::PyTuple_CheckExact(object) != 0)
        };
        let right = is_tuple || is_list && cfg!(not(Py_GIL_DISABLED));
        right.then_some(Items { object, is_list })
    }

    /// How many there are at this moment.
    pub(crate) fn len(self) -> usize {
        // SAFETY: attached; a list or tuple.
        unsafe { ffi::PySequence_Size(self.object.as_ptr()) as usize }
    }

    /// The item, if there are so many.
    #[inline(always)]
    pub(crate) fn get<'py>(self, py: Python<'py>, index: usize) -> Option<Bound<'py, PyAny>> {
        // SAFETY: alive: nothing runs between the two.
        self.borrowed(index).map(|item| unsafe { Bound::from_borrowed_ptr(py, item) })
    }

    /// The item, if there are so many. It is alive until anything runs.
    #[inline(always)]
    pub(crate) fn borrowed(self, index: usize) -> Option<*mut ffi::PyObject> {
        let index = ffi::Py_ssize_t::try_from(index).ok()?;
        let source = self.object.as_ptr();
        // SAFETY: attached; a list that no other thread changes, or a tuple; the index is checked against the length
        // of this moment.
        unsafe {
            let item = match self.is_list {
                true if index < list_size(source) => list_item(source, index),
                false if index < tuple_size(source) => tuple_item(source, index),
                _ => return None,
            };
            (!item.is_null()).then_some(item)
        }
    }
}

/// The pairs of a dict. A position is 0, or the one after a pair that was returned. With any other number, `PyDict_Next`
/// returns some pair or none.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'a>(&'a Bound<'a, PyDict>);

impl<'a> Pairs<'a> {
    pub(crate) fn of(dict: &'a Bound<'a, PyDict>) -> Self {
        Pairs(dict)
    }

    /// How many there are at this moment.
    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    /// The key at a position, and the position after it.
    #[inline(always)]
    pub(crate) fn key<'py>(
        self,
        py: Python<'py>,
        position: isize,
    ) -> Option<(Bound<'py, PyAny>, isize)> {
        // SAFETY: a reference is counted, and nothing runs.
        unsafe { self.read(position, |key, _| key.borrow(py).to_owned()) }
    }

    /// The value at a position, and the position after it.
    #[inline(always)]
    pub(crate) fn value<'py>(
        self,
        py: Python<'py>,
        position: isize,
    ) -> Option<(Bound<'py, PyAny>, isize)> {
        // SAFETY: as above.
        unsafe { self.read(position, |_, value| value.borrow(py).to_owned()) }
    }

    /// The pair at a position, and the position after it.
    #[inline(always)]
    pub(crate) fn get<'py>(
        self,
        py: Python<'py>,
        position: isize,
    ) -> Option<(Bound<'py, PyAny>, Bound<'py, PyAny>, isize)> {
        let hold = |key: Alive<'_>, value: Alive<'_>| {
            (key.borrow(py).to_owned(), value.borrow(py).to_owned())
        };
        // SAFETY: as above.
        unsafe { self.read(position, hold) }.map(|((key, value), after)| (key, value, after))
    }

    /// Reads the pair at a position.
    ///
    /// # Safety
    /// `read` runs nothing that could change the dict: no Python code, and nothing that allocates in Lua.
    #[inline(always)]
    pub(crate) unsafe fn read<R>(
        self,
        position: isize,
        read: impl for<'x> FnOnce(Alive<'x>, Alive<'x>) -> R,
    ) -> Option<(R, isize)> {
        with_critical_section(self.0, || {
            let (mut key, mut value, mut after) = (null_mut(), null_mut(), position);
            // SAFETY: attached; a dict, which no other thread changes meanwhile: so what it gives is alive until
            // anything runs.
            unsafe {
                let dict = self.0.as_ptr();
                let more =
                    ffi::PyDict_Next(dict, &raw mut after, &raw mut key, &raw mut value) != 0;
                more.then(|| (read(Alive::from_ptr(key), Alive::from_ptr(value)), after))
            }
        })
    }
}

/// Objects that are held during a protected call by its caller, so that a Lua error does not leak them.
pub(crate) struct Held<'py>(RefCell<Vec<Bound<'py, PyAny>>>);

impl<'py> Held<'py> {
    /// Room for so many objects; `None` when there is no memory.
    pub(crate) fn new(_: Python<'py>, most: usize) -> Option<Self> {
        let mut objects = Vec::new();
        objects.try_reserve_exact(most).ok()?;
        Some(Held(RefCell::new(objects)))
    }

    /// Holds an object while `work` runs, or until a Lua error has left it and this is dropped; `None` if there are
    /// too many.
    #[inline(always)]
    pub(crate) fn with<R>(
        &self,
        object: Bound<'py, PyAny>,
        work: impl for<'x> FnOnce(Alive<'x>) -> R,
    ) -> Option<R> {
        let pointer = object.as_ptr();
        let before = {
            let mut objects = self.0.borrow_mut();
            let before = objects.len();
            if before == objects.capacity() {
                return None;
            }
            objects.push(object);
            before
        };
        // SAFETY: attached, as `'py` says; in the list until `release`: what is done with the list meanwhile, by
        // this function alone, leaves what was there before.
        let result = work(unsafe { Alive::from_ptr(pointer) });
        self.release(before);
        Some(result)
    }

    /// Lets go of all but the first ones.
    #[inline(always)]
    fn release(&self, before: usize) {
        loop {
            let mut objects = self.0.borrow_mut();
            let last = if objects.len() > before { objects.pop() } else { None };
            let done = objects.len() <= before;
            // Dropping objects may run any code.
            drop((objects, last));
            if done {
                return;
            }
        }
    }
}

/// A place for a `str` that is found by its UTF-8 form.
pub(crate) struct KeptStr {
    object: Cell<*mut ffi::PyObject>,
    // Of that object; an empty place has a length that no string has.
    start: Cell<NonNull<u8>>,
    len: Cell<usize>,
}

impl KeptStr {
    pub(crate) const fn empty() -> Self {
        KeptStr {
            object: Cell::new(null_mut()),
            start: Cell::new(NonNull::dangling()),
            len: Cell::new(usize::MAX),
        }
    }

    /// The `str`, if it has this form.
    #[inline(always)]
    pub(crate) fn find<'py>(&self, py: Python<'py>, bytes: &[u8]) -> Option<Bound<'py, PyAny>> {
        if self.len.get() != bytes.len() {
            return None;
        }
        // SAFETY: not empty, as no slice is so long; so that is the form of the `str`, which is owned by this.
        unsafe {
            let kept = std::slice::from_raw_parts(self.start.get().as_ptr(), bytes.len());
            (kept == bytes).then(|| Bound::from_borrowed_ptr(py, self.object.get()))
        }
    }

    /// Keeps this `str` instead, if it is one and has the form.
    pub(crate) fn keep(&self, text: &Bound<'_, PyAny>) {
        let Some(bytes) = Alive::of(text).utf8() else { return };
        self.start.set(NonNull::from(bytes).cast());
        self.len.set(bytes.len());
        let old = self.object.replace(text.clone().into_ptr());
        // SAFETY: attached; null, or a reference that was this place's.
        unsafe { ffi::Py_XDECREF(old) };
    }

    /// Keeps nothing.
    pub(crate) fn clear(&self, _: Python<'_>) {
        self.len.set(usize::MAX);
        let old = self.object.replace(null_mut());
        // SAFETY: as above.
        unsafe { ffi::Py_XDECREF(old) };
    }
}
