//! [`Alive`]: a Python object that somebody keeps alive for a lifetime.
//!
//! A borrowed pointer to an object is good until its owner lets go of it, which any Python code may have it do, and
//! so may any allocation in Lua, for it may run finalizers. So what is borrowed has a lifetime here: of the
//! [`Bound`] that holds it, or of the call of a slot whose caller holds it.

use std::marker::PhantomData;
use std::ptr::NonNull;

use pyo3::prelude::*;
use pyo3::{Borrowed, ffi};

/// A Python object that lives at least as long as `'a`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Alive<'a>(NonNull<ffi::PyObject>, PhantomData<&'a ffi::PyObject>);

impl<'a> Alive<'a> {
    /// An object that is held for that time.
    #[inline(always)]
    pub(crate) fn of<T>(object: &'a Bound<'_, T>) -> Self {
        // SAFETY: a reference to an object, which it keeps alive, is never null.
        Alive(unsafe { NonNull::new_unchecked(object.as_ptr()) }, PhantomData)
    }

    /// An object that is held for that time, by a reference that knows no thread.
    #[inline(always)]
    pub(crate) fn held<T>(object: &'a Py<T>) -> Self {
        // SAFETY: as above.
        Alive(unsafe { NonNull::new_unchecked(object.as_ptr()) }, PhantomData)
    }

    /// # Safety
    /// Not null, and alive for `'a`: an argument of a slot for the time of its call, or what somebody holds.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr(object: *mut ffi::PyObject) -> Self {
        // SAFETY: as the caller promises.
        Alive(unsafe { NonNull::new_unchecked(object) }, PhantomData)
    }

    /// The arguments of a vectorcall.
    ///
    /// # Safety
    /// So many objects are there, alive for `'a`, in memory that does not change.
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

    /// Whether nobody else has a reference to it than one who holds it for that time.
    #[inline(always)]
    pub(crate) fn is_held_once(self) -> bool {
        // SAFETY: alive; attached, as whoever holds an object is.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) == 1 }
    }

    /// The object as PyO3 has what is borrowed.
    #[inline(always)]
    pub(crate) fn borrow<'py>(self, py: Python<'py>) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: alive for that time; attached, as the token says.
        unsafe { Borrowed::from_ptr(py, self.as_ptr()) }
    }
}
