//! The Python types that are made from specs, and the memory of their objects.
//!
//! `#[pyclass]` can neither be generic over the backend nor be called through vectorcall (PEP 590),
//! which saves a tuple for each call. The functions that Python calls are in
//! [`crate::types::slots`]; the operations behind them are written beside the struct that is the [`Content`] of a type.
//!
//! A [`Type`] makes such objects and recognises them, which gives [`This`]; [`Hold`] keeps one. Both lead to the content, which
//! threads share. Data that threads must not share is in [`crate::runtime::owned::Locked`].

use std::any::TypeId;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ops::{ControlFlow, Range};
use std::ptr::NonNull;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

use crate::types::alive::Alive;
use crate::types::drops;
use crate::types::operations::Content;

/// A content that begins as another one, so that slots for that one are right for it, too.
#[repr(C)]
pub(crate) struct With<A, M> {
    first: A,
    pub(crate) more: M,
}

impl<A: Content, M: Content> With<A, M> {
    #[inline(always)]
    pub(crate) fn new(first: A, more: M) -> Self {
        const { <Self as Begins<A>>::FITS };
        With { first, more }
    }
}

impl<A: Content, M: Content> Content for With<A, M> {
    fn visit(&self, visit: &Visit) -> Visited {
        self.first.visit(visit)?;
        self.more.visit(visit)
    }

    fn end(self, py: Python<'_>) {
        self.more.end(py);
        self.first.end(py);
    }
}

/// A content that is, or begins with, an `A`.
///
/// # Safety
/// The [`Memory`] of such a content begins with that of an `A`, where `FITS` can be evaluated.
pub(crate) unsafe trait Begins<A>: Content {
    const FITS: () = ();
}

// SAFETY: it is one.
unsafe impl<T: Content> Begins<T> for T {}
// SAFETY: by `repr(C)`, if the content of both begins at the same place.
unsafe impl<A: Content, M: Content> Begins<A> for With<A, M> {
    const FITS: () = assert!(align_of::<Self>() == align_of::<A>());
}

/// The memory of an object.
#[repr(C)]
pub(crate) struct Memory<T> {
    head: ffi::PyObject,
    /// The vectorcall function, if objects of the type can be called.
    pub(crate) vectorcall: Option<ffi::vectorcallfunc>,
    content: T,
}

impl<T> Memory<T> {
    /// Takes the content of an object out.
    ///
    /// # Safety
    /// It has one, and nobody uses that any more.
    pub(crate) unsafe fn take(object: *mut ffi::PyObject) -> T {
        // SAFETY: as the caller promises.
        unsafe { (&raw const (*object.cast::<Self>()).content).read() }
    }
}

/// An object with such a content, alive for `'a`.
pub(crate) struct This<'a, T>(NonNull<Memory<T>>, PhantomData<&'a T>);

impl<T> Clone for This<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for This<'_, T> {}

impl<'a, T> This<'a, T> {
    /// # Safety
    /// Not null; alive for `'a`, with such a content.
    #[inline(always)]
    pub(crate) unsafe fn from_ptr(object: *mut ffi::PyObject) -> Self {
        // SAFETY: as the caller promises.
        This(unsafe { NonNull::new_unchecked(object.cast()) }, PhantomData)
    }

    /// The content of the object.
    #[inline(always)]
    pub(crate) fn content(self) -> &'a T {
        // SAFETY: alive, with such a content, of which there are only shared references.
        unsafe { &(*self.0.as_ptr()).content }
    }

    /// The object.
    #[inline(always)]
    pub(crate) fn object(self) -> Alive<'a> {
        // SAFETY: alive for that time.
        unsafe { Alive::from_ptr(self.0.as_ptr().cast()) }
    }
}

impl<T> Deref for This<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.content()
    }
}

impl<'a, A: Content, M: Content> This<'a, With<A, M>> {
    /// The same object, as what it begins as.
    #[inline(always)]
    pub(crate) fn first(self) -> This<'a, A> {
        const { <With<A, M> as Begins<A>>::FITS };
        This(self.0.cast(), PhantomData)
    }
}

/// A reference to an object with such a content.
pub(crate) struct Hold<T: Content>(Link, PhantomData<T>);

impl<T: Content> Hold<T> {
    #[inline(always)]
    pub(crate) fn new(py: Python<'_>, this: This<'_, T>) -> Self {
        Hold(this.object().borrow(py).to_owned().unbind().into(), PhantomData)
    }

    /// The object.
    pub(crate) fn object(&self) -> &Py<PyAny> {
        &self.0
    }
}

impl<T: Content> Deref for Hold<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: made from an object with such a content, which it keeps alive as long as it is.
        unsafe { This::<T>::from_ptr(self.0.as_ptr()) }.content()
    }
}

/// A type whose objects have such a content. It lives for ever.
#[repr(C)]
pub(crate) struct Type<T> {
    object: NonNull<ffi::PyTypeObject>,
    vectorcall: Option<ffi::vectorcallfunc>,
    content: PhantomData<fn(T) -> T>,
}

impl<T> Clone for Type<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Type<T> {}

// SAFETY: type objects are for all threads.
unsafe impl<T> Send for Type<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Type<T> {}

impl<T: 'static> Type<T> {
    /// With what its contents are; see [`Type::with_name`].
    fn named(self) -> Named {
        let Type { object, vectorcall, .. } = self;
        (TypeId::of::<T>(), Type { object, vectorcall, content: PhantomData })
    }

    /// The type again. Its contents are of a generic type, of which there are others.
    #[inline(always)]
    fn with_name(named: &Named) -> Self {
        assert!(named.0 == TypeId::of::<T>(), "the type is for another Lua");
        let Type { object, vectorcall, .. } = named.1;
        Type { object, vectorcall, content: PhantomData }
    }
}

impl<T> Type<T> {
    /// # Safety
    /// A type that lives for ever, of the size of a [`Memory`], whose slots are for such contents.
    pub(crate) unsafe fn new(
        object: NonNull<ffi::PyTypeObject>,
        vectorcall: Option<ffi::vectorcallfunc>,
    ) -> Self {
        Type { object, vectorcall, content: PhantomData }
    }

    pub(crate) fn as_ptr(self) -> *mut ffi::PyTypeObject {
        self.object.as_ptr()
    }

    /// The type object.
    pub(crate) fn object(self, py: Python<'_>) -> Bound<'_, PyAny> {
        // SAFETY: attached; a type that lives for ever.
        unsafe { Bound::from_borrowed_ptr(py, self.as_ptr().cast()) }
    }

    /// Whether this is the type of an object. Subclasses made in Python cannot have instances.
    #[inline(always)]
    pub(crate) fn has(self, object: Alive<'_>) -> bool {
        // SAFETY: alive.
        unsafe { ffi::Py_TYPE(object.as_ptr()) == self.as_ptr() }
    }

    /// An object, if it is of this type.
    #[inline(always)]
    pub(crate) fn of(self, object: Alive<'_>) -> Option<This<'_, T>> {
        // SAFETY: alive, and of that type.
        self.has(object).then(|| unsafe { This::from_ptr(object.as_ptr()) })
    }

    /// A new object. Without memory for it, the content comes to its end.
    #[inline(always)]
    pub(crate) fn create(self, py: Python<'_>, content: T) -> PyResult<Bound<'_, PyAny>>
    where
        T: Content,
    {
        // SAFETY: attached. The memory is all zeros; until it is filled, nothing is called, so the collector does not
        // come.
        unsafe {
            let object = ffi::PyType_GenericAlloc(self.as_ptr(), 0);
            if object.is_null() {
                let error = PyErr::fetch(py);
                content.end(py);
                return Err(error);
            }
            let memory = object.cast::<Memory<T>>();
            (&raw mut (*memory).vectorcall).write(self.vectorcall);
            (&raw mut (*memory).content).write(content);
            Ok(Bound::from_owned_ptr(py, object))
        }
    }
}

/// Where a type of this module is kept, which is made once and never freed.
pub(crate) struct Place(OnceLock<Named>);

/// A type, with what its contents are.
type Named = (TypeId, Type<()>);

impl Place {
    pub(crate) const fn new() -> Self {
        Place(OnceLock::new())
    }

    /// Keeps a type. A second thread that is here at the same time has made one of its own; one of them wins.
    pub(crate) fn set<T: Content>(&self, made: Type<T>) {
        let _ = self.0.set(made.named());
    }

    /// The type, which was made before anything could need it.
    #[inline(always)]
    pub(crate) fn get<T: Content>(&self) -> Type<T> {
        Type::with_name(self.0.get().expect("the module is initialised"))
    }
}

/// A type whose contents are, or begin as, an `A`.
pub(crate) struct Member<A>(Named, PhantomData<fn(A) -> A>);

impl<A> Member<A> {
    pub(crate) fn of<T: Begins<A>>(made: Type<T>) -> Self {
        const { T::FITS };
        Member(made.named(), PhantomData)
    }
}

/// Types of this module whose contents are, or begin as, one and the same.
pub(crate) struct Family<const N: usize>(OnceLock<(TypeId, [Named; N])>);

impl<const N: usize> Family<N> {
    pub(crate) const fn new() -> Self {
        Family(OnceLock::new())
    }

    /// Whether there are types already.
    pub(crate) fn is_made(&self) -> bool {
        self.0.get().is_some()
    }

    /// Keeps the types; as [`Place::set`].
    pub(crate) fn set<A: Content>(&self, members: [Member<A>; N]) {
        let _ = self.0.set((TypeId::of::<A>(), members.map(|member| member.0)));
    }

    #[inline(always)]
    fn members(&self) -> &(TypeId, [Named; N]) {
        self.0.get().expect("the module is initialised")
    }

    /// One of the types.
    #[inline(always)]
    pub(crate) fn get<T: Content>(&self, index: usize) -> Type<T> {
        Type::with_name(&self.members().1[index])
    }

    /// Whether an object is of one of them.
    #[inline(always)]
    pub(crate) fn has(&self, object: Alive<'_>) -> bool {
        self.members().1.iter().any(|(_, member)| member.has(object))
    }

    /// Whether an object is of this one.
    #[inline(always)]
    pub(crate) fn has_at(&self, index: usize, object: Alive<'_>) -> bool {
        self.members().1[index].1.has(object)
    }

    /// An object, if it is of one of them.
    #[inline(always)]
    pub(crate) fn find<'a, A: Content>(&self, object: Alive<'a>) -> Option<This<'a, A>> {
        let (first, members) = self.members();
        assert!(*first == TypeId::of::<A>(), "the types are for another Lua");
        let found = members.iter().any(|(_, member)| member.has(object));
        // SAFETY: alive; of a type whose contents are or begin as this, as `Member::of` sees to.
        found.then(|| unsafe { This::from_ptr(object.as_ptr()) })
    }
}

/// Gives up what a wrapper or a runtime holds: see [`drops`]; for null there is nothing to do.
///
/// # Safety
/// Attached; the reference is the caller's.
#[inline(always)]
pub(crate) unsafe fn drop_object(object: *mut ffi::PyObject) {
    // SAFETY: as the caller promises. Where others have the object too, nothing is freed.
    unsafe {
        if !object.is_null() && ffi::Py_REFCNT(object) > 1 {
            ffi::Py_DECREF(object);
        } else if !object.is_null() {
            drops::drop_last(Bound::from_owned_ptr(Python::assume_attached(), object));
        }
    }
}

/// A reference to an object that may hold another one of its kind: see [`drops`]. Dropping it releases the reference at once,
/// since a thread that frees a Python object is attached. `Py` would postpone that: it does not know of threads that are
/// attached by other means than PyO3.
pub(crate) struct Link<T = PyAny>(ManuallyDrop<Py<T>>);

impl<T> Link<T> {
    /// The reference itself.
    pub(crate) fn into_bound(self, py: Python<'_>) -> Bound<'_, T> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `drop` of this is not called.
        unsafe { ManuallyDrop::take(&mut this.0) }.into_bound(py)
    }
}

impl<T> From<Py<T>> for Link<T> {
    #[inline(always)]
    fn from(object: Py<T>) -> Self {
        Link(ManuallyDrop::new(object))
    }
}

impl<T> Deref for Link<T> {
    type Target = Py<T>;

    #[inline(always)]
    fn deref(&self) -> &Py<T> {
        &self.0
    }
}

impl<T> Drop for Link<T> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: attached (see above); the reference is this one, and is not used again.
        unsafe { drop_object(self.0.as_ptr()) };
    }
}

/// A place for such a reference.
pub(crate) type Keep<T = PyAny> = Cell<Option<Link<T>>>;

/// Whether the collector wants to see more.
pub(crate) type Visited = ControlFlow<c_int>;

/// The visitor of Python's collector while it looks for garbage; see [`Content::visit`].
pub(crate) struct Visit {
    pub(super) visit: ffi::visitproc,
    pub(super) argument: *mut c_void,
}

impl Visit {
    /// # Safety
    /// Null, or an object that is held by what is shown.
    #[inline(always)]
    pub(crate) unsafe fn pointer(&self, object: *mut ffi::PyObject) -> Visited {
        if object.is_null() {
            return Visited::Continue(());
        }
        // SAFETY: the collector's own function, on a live object.
        match unsafe { (self.visit)(object, self.argument) } {
            0 => Visited::Continue(()),
            result => Visited::Break(result),
        }
    }

    pub(crate) fn object<T>(&self, object: &Py<T>) -> Visited {
        // SAFETY: a reference that somebody has.
        unsafe { self.pointer(object.as_ptr()) }
    }

    pub(crate) fn keep<T>(&self, keep: &Keep<T>) -> Visited {
        // SAFETY: as what is shown says, nobody else is there who could change the place.
        let held = unsafe { &*keep.as_ptr() };
        held.as_ref().map_or(Visited::Continue(()), |held| self.object(held))
    }
}

/// An object that Python's collector clears: nobody else can use what it has in its memory, which is at these addresses.
pub(crate) struct Garbage<'a>(pub(super) Python<'a>, pub(super) Range<usize>);

impl<'a> Garbage<'a> {
    pub(crate) fn py(&self) -> Python<'a> {
        self.0
    }

    pub(crate) fn has<T>(&self, part: &T) -> bool {
        self.1.contains(&std::ptr::from_ref(part).addr())
    }
}
