//! The Python types that are made from specs, and the memory of their objects.
//!
//! `#[pyclass]` can neither be generic over the backend nor be called through vectorcall (PEP 590),
//! which saves a tuple for each call. What Python calls is in [`crate::types::slots`]; what that does is
//! written beside the struct that the objects of a type have as their [`Content`].
//!
//! A [`Type`] makes such objects and knows them, which gives [`This`]; [`Hold`] keeps one. Both lead to the content, that
//! threads share. What they must not share is [`Locked`].

use std::any::TypeId;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::OnceLock;

use lua_api::{LuaBackend, State};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::array::object::ArrayObject;
use crate::convert::walk::Walk;
use crate::objects::coroutine::Coroutine;
use crate::objects::iterator::TableIterator;
use crate::objects::object::LuaObject;
use crate::runtime::entry::Entry;
use crate::runtime::owner::RuntimeObject;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;
use crate::types::drops;
use crate::types::operations::Content;
use crate::types::slots::{Garbage, Visit, Visited};

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

/// What is, or begins as, an `A`.
///
/// # Safety
/// So does a [`Memory`] of it, where `FITS` can be evaluated.
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
    /// What a call of it is, if it can be called.
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

    /// What is in it.
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

/// What of an object belongs to the thread that has the lock of a runtime; with a GIL, to the one that is attached.
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

// SAFETY: references and addresses, that are only used with the lock of the runtime.
unsafe impl Send for Walk {}

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

// SAFETY: objects, memory and counters that no thread owns; nothing of an array changes before its end.
unsafe impl Send for ArrayObject {}
// SAFETY: as above.
unsafe impl Sync for ArrayObject {}

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
        runtime.owner.0.set(Some(self.0.cast()));
        // SAFETY: the instance is the runtime's own, and that is in an `OwnedRuntime`, where it stays until its end.
        unsafe { runtime.instance.set_host(runtime) };
    }

    /// The owner of a runtime whose Lua is open, as the state says.
    #[inline(always)]
    pub(crate) fn owner_of(runtime: &'a Runtime<B>, state: State<'a, B>) -> Self {
        assert!(std::ptr::eq(state.instance(), &*runtime.instance), "a state of another Lua");
        let owner = runtime.owner.0.get().expect("a runtime that has an owner");
        // It is alive as long as Lua is open: who frees it has closed Lua, or leaked the runtime.
        This(owner.cast(), PhantomData)
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

/// The types of this module: for contents of its backend, or of none, which has the same layout.
#[repr(C)]
pub(crate) struct Types<R, W, C, I> {
    pub(crate) runtime: Type<R>,
    pub(crate) object: Type<W>,
    pub(crate) table: Type<W>,
    pub(crate) function: Type<W>,
    pub(crate) coroutine_function: Type<W>,
    pub(crate) coroutine: Type<C>,
    pub(crate) iterator: Type<I>,
    pub(crate) array: Type<ArrayObject>,
}

pub(crate) type TypesOf<B> = Types<RuntimeObject<B>, LuaObject<B>, Coroutine<B>, TableIterator<B>>;
type AnyTypes = Types<(), (), (), ()>;

/// The types, and the backend that they are for; made once, never freed.
static TYPES: OnceLock<(TypeId, AnyTypes)> = OnceLock::new();

/// Whether there are types already.
pub(crate) fn are_made() -> bool {
    TYPES.get().is_some()
}

/// The types of this module, which were made before anything could need them.
#[inline(always)]
pub(crate) fn get<B: LuaBackend>() -> &'static TypesOf<B> {
    let (backend, types) = TYPES.get().expect("the module is initialised");
    assert!(*backend == TypeId::of::<B>(), "the types are for another Lua");
    // SAFETY: they are for this one; the layout is the same by `repr(C)`.
    unsafe { &*std::ptr::from_ref(types).cast() }
}

/// The same, where it does not matter what there is in an object.
#[inline(always)]
pub(crate) fn any() -> &'static AnyTypes {
    &TYPES.get().expect("the module is initialised").1
}

impl<R, W, C, I> Types<R, W, C, I> {
    /// Whether an object is a wrapper of a Lua value.
    #[inline(always)]
    pub(crate) fn has_wrapper(&self, object: Alive<'_>) -> bool {
        self.table.has(object)
            || self.function.has(object)
            || self.coroutine.has(object)
            || self.coroutine_function.has(object)
            || self.object.has(object)
    }
}

impl<'a, B: LuaBackend> This<'a, LuaObject<B>> {
    /// An object, if it is a wrapper of a Lua value.
    #[inline(always)]
    pub(crate) fn wrapper(object: Alive<'a>) -> Option<Self> {
        // SAFETY: alive; all wrappers are or begin as this.
        get::<B>().has_wrapper(object).then(|| unsafe { This::from_ptr(object.as_ptr()) })
    }
}

/// Has the types for the whole time of the process. A second thread that is here at the same time has made types of its
/// own; one set wins.
pub(crate) fn set<B: LuaBackend>(types: &TypesOf<B>) {
    // SAFETY: the layout is the same by `repr(C)`, and all of it can be copied.
    let types = unsafe { std::ptr::from_ref(types).cast::<AnyTypes>().read() };
    let _ = TYPES.set((TypeId::of::<B>(), types));
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

/// A reference to an object that may hold another one of its kind: see [`drops`]. It is given back at once
/// when this is dropped, attached, as whoever frees an object of Python is. `Py` would put it off: it does not know of
/// threads that are attached other than through PyO3.
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
