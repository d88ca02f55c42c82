//! The functions in the slots of our types, which Python calls; each is generic over its operation ([`crate::types::operations`]).
//!
//! Python calls a slot attached, with an object of the type that has the slot or of a derived one, and with arguments that the
//! caller holds until it returns. A [`Spec`] puts functions only into slots of their own signature, of a type whose objects
//! have the content that they are for: each function here builds on this, and no more.

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::marker::PhantomData;
use std::ptr::{NonNull, null_mut};

use lua_api::LuaBackend;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::base::error::{Result, type_error};
use crate::base::guard::caught;
use crate::types::alive::Alive;
use crate::types::compat;
use crate::types::heap_type::{Begins, Memory, This, Type};
use crate::types::heap_type::{Garbage, Visit};
use crate::types::methods::Method;
use crate::types::operations::{
    Assign, Binary, Call, Clear, Content, Finalize, GetAttribute, Identity, Keywords, Length, Read,
    SavedError, SetAttribute, Step, Truth, Unary, Variadic,
};

type Object = *mut ffi::PyObject;
type Text = &'static CStr;

/// The memory of an object, for the buffer protocol.
pub(crate) struct Exported {
    pub(crate) start: *mut u8,
    pub(crate) bytes: usize,
    /// Of one element: how it is named in the `struct` module, and its bytes.
    pub(crate) format: Text,
    pub(crate) item: usize,
    pub(crate) readonly: bool,
    /// The number of elements for each dimension, and then the bytes from one to the next.
    pub(crate) shape_and_strides: Box<[isize]>,
}

/// An object with the buffer protocol.
///
/// # Safety
/// What it exports is memory that is there as long as the object, with elements of this size at the places that shape and
/// strides name; of so many dimensions as it says at any time.
pub(crate) unsafe trait Buffer: Content {
    fn export(&self, flags: c_int) -> PyResult<Exported>;

    fn dimensions(&self) -> usize;
}

/// Does the work of a slot; where that fails, an exception is set.
///
/// # Safety
/// Attached, with an object that has such a content, for the time of this.
#[inline(always)]
unsafe fn run<T: Content, R>(
    object: Object,
    failed: R,
    work: impl for<'py> FnOnce(Python<'py>, This<'py, T>) -> Result<R>,
) -> R {
    // SAFETY: as the caller promises.
    let (py, this) = unsafe { (Python::assume_attached(), This::from_ptr(object)) };
    caught(py, || work(py, this), failed)
}

/// # Safety
/// As for all functions here; null, or an argument.
#[inline(always)]
unsafe fn optional<'a>(object: Object) -> Option<Alive<'a>> {
    // SAFETY: as the caller promises.
    (!object.is_null()).then(|| unsafe { Alive::from_ptr(object) })
}

/// The function for a slot of each signature, over what does the work. Further arguments are alive for the time of the call.
macro_rules! functions {
    ($(
        $(#[$doc:meta])*
        fn $name:ident<$trait:ident>($($argument:ident),*) -> $result:ty, or $failed:expr;
        |$object:ident, $py:ident, $this:ident| $work:expr
    )*) => {
        $($(#[$doc])*
        pub(super) unsafe extern "C" fn $name<T: Content, F: $trait<T>>(
            $object: Object,
            $($argument: Object),*
        ) -> $result {
            // SAFETY: called by Python (see above), `variadic` with a tuple, and `keywords` with a tuple and null or a dict. Python's own functions set an
            // exception where they fail.
            unsafe { run($object, $failed, |$py, $this: This<'_, T>| $work) }
        })*
    };
}

functions! {
    fn unary<Unary>() -> Object, or null_mut();
    |object, py, this| F::run(py, this).map(Bound::into_ptr)
    fn without<Unary>(_nothing) -> Object, or null_mut();
    |object, py, this| F::run(py, this).map(Bound::into_ptr)
    fn binary<Binary>(argument) -> Object, or null_mut();
    |object, py, this| F::run(py, this, Alive::from_ptr(argument)).map(Bound::into_ptr)
    fn variadic<Variadic>(arguments) -> Object, or null_mut();
    |object, py, this| {
        let arguments = Bound::from_borrowed_ptr(py, arguments).cast_into_unchecked::<PyTuple>();
        F::run(py, this, arguments).map(Bound::into_ptr)
    }
    fn keywords<Keywords>(arguments, names) -> Object, or null_mut();
    |object, py, this| {
        let arguments = Bound::from_borrowed_ptr(py, arguments).cast_into_unchecked::<PyTuple>();
        let names = Bound::from_borrowed_ptr_or_opt(py, names);
        let names = names.map(|names| names.cast_into_unchecked::<PyDict>());
        F::run(py, this, arguments, names).map(Bound::into_ptr)
    }
    fn length<Length>() -> ffi::Py_ssize_t, or -1;
    |object, py, this| F::run(py, this)
    fn truth<Truth>() -> c_int, or -1;
    |object, py, this| F::run(py, this).map(c_int::from)
    fn hash<Identity>() -> ffi::Py_hash_t, or -1;
    |object, _py, this| Ok(match F::hash(this) { -1 => -2, hash => hash })
    fn assign<Assign>(key, value) -> c_int, or -1;
    |object, py, this| F::run(py, this, Alive::from_ptr(key), optional(value)).map(|()| 0)
    fn get_attribute<GetAttribute>(name) -> Object, or null_mut();
    |object, py, this| match F::run(py, this, Alive::from_ptr(name))? {
        Some(found) => Ok(found.into_ptr()),
        None => Ok(ffi::PyObject_GenericGetAttr(object, name)),
    }
    fn set_attribute<SetAttribute>(name, value) -> c_int, or -1;
    |object, py, this| match F::run(py, this, Alive::from_ptr(name), optional(value))? {
        Some(()) => Ok(0),
        None => Ok(ffi::PyObject_GenericSetAttr(object, name, value)),
    }
}

unsafe extern "C" fn call<T: Content, F: Call<T>>(
    object: Object,
    arguments: *const Object,
    nargsf: usize,
    names: Object,
) -> Object {
    // SAFETY: called by Python, with so many arguments, and null or a tuple of names.
    unsafe {
        run(object, null_mut(), |py, this| {
            let count = ffi::PyVectorcall_NARGS(nargsf as _) as usize;
            let keywords = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) as usize };
            let arguments = Alive::slice(arguments, count);
            F::run(py, this, arguments, keywords).map(Bound::into_ptr)
        })
    }
}

unsafe extern "C" fn compare<T: Content, F: Identity<T>>(
    object: Object,
    other: Object,
    operation: c_int,
) -> Object {
    // SAFETY: called by Python. Its singletons live for ever.
    unsafe {
        run(object, null_mut(), |_, this: This<'_, T>| {
            let asks = matches!(operation, ffi::Py_EQ | ffi::Py_NE);
            let equal = if asks { F::equals(this, Alive::from_ptr(other)) } else { None };
            let result = match equal {
                None => ffi::Py_NotImplemented(),
                Some(equal) if equal == (operation == ffi::Py_EQ) => ffi::Py_True(),
                Some(_) => ffi::Py_False(),
            };
            ffi::Py_INCREF(result);
            Ok(result)
        })
    }
}

unsafe extern "C" fn step<T: Content, F: Step<T>>(object: Object) -> Object {
    // SAFETY: called by Python.
    unsafe {
        let py = Python::assume_attached();
        if let Some(result) = F::at_hand(py, This::from_ptr(object)) {
            return match result {
                Ok(result) => result.into_ptr(),
                Err(error) => caught(py, || Err(error.into()), null_mut()),
            };
        }
        run(
            object,
            null_mut(),
            |py, this| Ok(F::run(py, this)?.map_or(null_mut(), Bound::into_ptr)),
        )
    }
}

unsafe extern "C" fn get<T: Content>(object: Object, read: *mut c_void) -> Object {
    // SAFETY: called by Python, with what `Spec::getters` has set.
    unsafe {
        let read = std::mem::transmute::<*mut c_void, Read<T>>(read);
        run(object, null_mut(), |py, this| Ok(read(py, this)?.into_ptr()))
    }
}

unsafe extern "C" fn get_buffer<T: Buffer>(
    object: Object,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> c_int {
    // SAFETY: called by Python, with a buffer to fill. Its memory is there as long as the object, which it holds.
    unsafe {
        (*view).obj = null_mut();
        run(object, -1, |_, this: This<'_, T>| {
            let memory = this.export(flags)?;
            // Shape and strides have to stay where they are until the buffer is released.
            let dims = memory.shape_and_strides.len() / 2;
            let numbers = Box::into_raw(memory.shape_and_strides).cast::<isize>();
            let wants = |flag| flags & flag == flag;
            let wanted = |flag, numbers| if wants(flag) { numbers } else { null_mut() };
            let format = memory.format.as_ptr().cast_mut();
            view.write(ffi::Py_buffer {
                buf: memory.start.cast(),
                obj: object,
                len: memory.bytes as ffi::Py_ssize_t,
                itemsize: memory.item as ffi::Py_ssize_t,
                readonly: memory.readonly.into(),
                ndim: dims as c_int,
                format: if wants(ffi::PyBUF_FORMAT) { format } else { null_mut() },
                shape: wanted(ffi::PyBUF_ND, numbers),
                strides: wanted(ffi::PyBUF_STRIDES, numbers.wrapping_add(dims)),
                internal: numbers.cast(),
                ..ffi::Py_buffer::new()
            });
            ffi::Py_INCREF(object);
            Ok(0)
        })
    }
}

unsafe extern "C" fn release_buffer<T: Buffer>(object: Object, view: *mut ffi::Py_buffer) {
    // SAFETY: called by Python, with a buffer that `get_buffer` has filled for this object.
    unsafe {
        let count = 2 * This::<T>::from_ptr(object).dimensions();
        let numbers = std::ptr::slice_from_raw_parts_mut((*view).internal.cast::<isize>(), count);
        drop(Box::from_raw(numbers));
    }
}

unsafe extern "C" fn refuse_new(_: *mut ffi::PyTypeObject, _: Object, _: Object) -> Object {
    // SAFETY: called by Python.
    let py = unsafe { Python::assume_attached() };
    caught(py, || Err(type_error("Type cannot be instantiated manually")), null_mut())
}

unsafe extern "C" fn traverse<T: Content>(
    object: Object,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: called by Python's collector. From 3.9 on, objects of heap types hold their type.
    unsafe {
        let visit = Visit { visit, argument };
        let mut visited = visit.pointer(ffi::Py_TYPE(object).cast());
        if visited.is_continue() {
            visited = This::<T>::from_ptr(object).visit(&visit);
        }
        visited.break_value().unwrap_or(0)
    }
}

unsafe extern "C" fn clear<T: Clear>(object: Object) -> c_int {
    // SAFETY: called by Python's collector, when nothing outside can use the object any more.
    unsafe {
        let memory = object.addr()..object.addr() + size_of::<Memory<T>>();
        This::<T>::from_ptr(object).clear(&Garbage(Python::assume_attached(), memory));
    }
    0
}

unsafe extern "C" fn dealloc<T: Content>(object: Object) {
    // SAFETY: called by Python for the last reference. These types are made with HAVE_GC and the standard allocator.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        Memory::<T>::take(object).end(Python::assume_attached());
        let kind = ffi::Py_TYPE(object);
        ffi::PyObject_GC_Del(object.cast());
        ffi::Py_DECREF(kind.cast());
    }
}

unsafe extern "C" fn finalize<T: Finalize>(object: Object) {
    // SAFETY: called by Python; an exception that is on its way is kept.
    unsafe {
        let py = Python::assume_attached();
        let saved = SavedError::take(py);
        This::<T>::from_ptr(object).finalize(py);
        saved.restore(py);
    }
}

/// [`dealloc`] where there is a finalizer, which is run if it has not been; the object may live on, then.
unsafe extern "C" fn finalize_and_dealloc<T: Finalize>(object: Object) {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: called by Python for the last reference, and the first that is done.
    let done = unsafe { ffi::PyObject_CallFinalizerFromDealloc(object) < 0 };
    // The same with what the stable ABI has: the last reference is given up a second time, which comes
    // back here unless the finalizer has let somebody take a new one.
    #[cfg(Py_LIMITED_API)]
    // SAFETY: as above.
    let done = unsafe {
        let finalized = This::<T>::from_ptr(object).is_finalized();
        if !finalized {
            ffi::Py_INCREF(object);
            finalize::<T>(object);
            ffi::Py_DECREF(object);
        }
        !finalized
    };
    if !done {
        // SAFETY: as above.
        unsafe { dealloc::<T>(object) };
    }
}

/// The description from which a type is made whose objects have such a content.
pub(crate) struct Spec<T> {
    name: &'static str,
    slots: Vec<ffi::PyType_Slot>,
    vectorcall: Option<ffi::vectorcallfunc>,
    content: PhantomData<fn(T)>,
}

/// Methods of [`Spec`] for slots that take a function of some signature.
macro_rules! slots {
    ($($name:ident: $trait:ident => $slot:ident = $function:ident;)*) => {
        $(pub(crate) fn $name<F: $trait<T>>(self) -> Self {
            self.slot(ffi::$slot, $function::<T, F> as *mut c_void)
        })*
    };
}

impl<T: Content> Spec<T> {
    pub(crate) fn new(name: &'static str, doc: Text) -> Self {
        Spec { name, slots: Vec::new(), vectorcall: None, content: PhantomData }
            .slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast())
            .slot(ffi::Py_tp_new, refuse_new as *mut c_void)
            .slot(ffi::Py_tp_traverse, traverse::<T> as *mut c_void)
    }

    fn slot(mut self, slot: c_int, pfunc: *mut c_void) -> Self {
        self.slots.push(ffi::PyType_Slot { slot, pfunc });
        self
    }

    slots! {
        repr: Unary => Py_tp_repr = unary;
        str: Unary => Py_tp_str = unary;
        iter: Unary => Py_tp_iter = unary;
        next: Step => Py_tp_iternext = step;
        item: Binary => Py_mp_subscript = binary;
        set_item: Assign => Py_mp_ass_subscript = assign;
        mapping_length: Length => Py_mp_length = length;
        sequence_length: Length => Py_sq_length = length;
        truth: Truth => Py_nb_bool = truth;
        attribute: GetAttribute => Py_tp_getattro = get_attribute;
        set_attribute: SetAttribute => Py_tp_setattro = set_attribute;
    }

    /// Objects are equal, and have one hash, by what they stand for.
    pub(crate) fn identity<F: Identity<T>>(self) -> Self {
        self.slot(ffi::Py_tp_richcompare, compare::<T, F> as *mut c_void)
            .slot(ffi::Py_tp_hash, hash::<T, F> as *mut c_void)
    }

    /// An iterator is its own.
    pub(crate) fn iter_self(self) -> Self {
        self.slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
    }

    /// Its objects can be called.
    pub(crate) fn call<F: Call<T>>(mut self) -> Self {
        self.vectorcall = Some(call::<T, F>);
        let member = ffi::PyMemberDef {
            name: c"__vectorcalloffset__".as_ptr(),
            type_code: compat::T_PYSSIZET,
            offset: std::mem::offset_of!(Memory<T>, vectorcall) as ffi::Py_ssize_t,
            flags: compat::READONLY,
            ..Default::default()
        };
        let members = for_ever(vec![member, ffi::PyMemberDef::default()]);
        self.slot(ffi::Py_tp_members, members.cast())
            .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)
    }

    pub(crate) fn clear(self) -> Self
    where
        T: Clear,
    {
        self.slot(ffi::Py_tp_clear, clear::<T> as *mut c_void)
    }

    pub(crate) fn finalize(self) -> Self
    where
        T: Finalize,
    {
        self.slot(ffi::Py_tp_finalize, finalize::<T> as *mut c_void)
            .slot(ffi::Py_tp_dealloc, finalize_and_dealloc::<T> as *mut c_void)
    }

    pub(crate) fn methods(self, methods: impl IntoIterator<Item = Method<T>>) -> Self {
        let mut methods: Vec<_> = methods.into_iter().map(|method| method.0).collect();
        methods.push(ffi::PyMethodDef::zeroed());
        self.slot(ffi::Py_tp_methods, for_ever(methods).cast())
    }

    pub(crate) fn getters(self, getters: &[(Text, Read<T>, Text)]) -> Self {
        let getter = |&(name, read, doc): &(&CStr, Read<T>, &CStr)| ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get::<T>),
            doc: doc.as_ptr(),
            closure: read as *mut c_void,
            ..Default::default()
        };
        let mut getters: Vec<_> = getters.iter().map(getter).collect();
        getters.push(ffi::PyGetSetDef::default());
        self.slot(ffi::Py_tp_getset, for_ever(getters).cast())
    }

    /// Derived from a type whose slots are right for these objects, too.
    pub(crate) fn under<A>(self, base: Type<A>) -> Self
    where
        T: Begins<A>,
    {
        const { T::FITS };
        self.slot(ffi::Py_tp_base, base.as_ptr().cast())
    }

    /// Makes the type, which is never freed.
    pub(crate) fn make<B: LuaBackend>(mut self, py: Python<'_>) -> PyResult<Type<T>> {
        if self.slots.iter().all(|slot| slot.slot != ffi::Py_tp_dealloc) {
            self = self.slot(ffi::Py_tp_dealloc, dealloc::<T> as *mut c_void);
        }
        self = self.slot(0, null_mut());
        let name = CString::new(format!("lupa.{}.{}", B::NAME, self.name))?;
        let mut flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC;
        if self.vectorcall.is_some() {
            flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL;
        }
        if self.name.ends_with("Object") || self.name.ends_with("Function") {
            flags |= ffi::Py_TPFLAGS_BASETYPE;
        }
        #[cfg(Py_3_10)]
        {
            flags |= ffi::Py_TPFLAGS_IMMUTABLETYPE;
        }
        let mut spec = ffi::PyType_Spec {
            name: name.as_ptr(),
            basicsize: size_of::<Memory<T>>() as c_int,
            itemsize: 0,
            flags: flags as c_uint,
            slots: self.slots.as_mut_ptr(),
        };
        // SAFETY: attached; the spec is complete, its slots end with a null slot, and their functions
        // have the types that the C-API asks for. Python may keep the name, so it is leaked.
        unsafe {
            let made = ffi::PyType_FromSpec(&raw mut spec);
            std::mem::forget(name);
            let made = Bound::from_owned_ptr_or_err(py, made)?.into_ptr();
            Ok(Type::new(NonNull::new_unchecked(made.cast()), self.vectorcall))
        }
    }
}

impl<T: Buffer> Spec<T> {
    /// The buffer protocol.
    pub(crate) fn buffer(self) -> Self {
        self.slot(ffi::Py_bf_getbuffer, get_buffer::<T> as *mut c_void)
            .slot(ffi::Py_bf_releasebuffer, release_buffer::<T> as *mut c_void)
    }
}

/// A table for a type, which keeps it for ever.
fn for_ever<D>(table: Vec<D>) -> *mut D {
    Box::leak(table.into_boxed_slice()).as_mut_ptr()
}
