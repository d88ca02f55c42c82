//! The Python types that are made from specs: wrappers of Lua values and the runtime's owner.
//!
//! `#[pyclass]` can neither be generic over the backend nor be called through vectorcall (PEP 590),
//! which saves a tuple for each call. This file knows how such a type is made; what its slots do is
//! written beside the struct that it describes.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::sync::OnceLock;

use lua_api::{LuaBackend, Thread};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::array::object as array;
use crate::coroutine::Coroutine;
use crate::function;
use crate::iterator::TableIterator;
use crate::object::{self, LuaObject};
use crate::owner::RuntimeObject;
use crate::table;

/// The types of this module; made once, never freed.
pub(crate) struct Types {
    pub(crate) runtime: *mut ffi::PyTypeObject,
    pub(crate) object: *mut ffi::PyTypeObject,
    pub(crate) table: *mut ffi::PyTypeObject,
    pub(crate) function: *mut ffi::PyTypeObject,
    pub(crate) coroutine_function: *mut ffi::PyTypeObject,
    pub(crate) coroutine: *mut ffi::PyTypeObject,
    pub(crate) iterator: *mut ffi::PyTypeObject,
    pub(crate) array: *mut ffi::PyTypeObject,
}

// SAFETY: the pointers are to immortal type objects.
unsafe impl Send for Types {}
// SAFETY: as above.
unsafe impl Sync for Types {}

static TYPES: OnceLock<Types> = OnceLock::new();

/// The types of this module, which were made before anything could need them.
#[inline(always)]
pub(crate) fn get() -> &'static Types {
    TYPES.get().expect("the module is initialised")
}

/// Makes the types (once) and adds the public ones to the module.
pub(crate) fn init<B: LuaBackend>(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if TYPES.get().is_none() {
        let wrapper = size_of::<LuaObject>();
        let object = make::<B>(
            py,
            "_LuaObject",
            object::DOC,
            wrapper,
            Role::Wrapper(None),
            object::slots::<B>(),
        )?;
        let under = |name, doc, size, slots| {
            make::<B>(py, name, doc, size, Role::Wrapper(Some(object)), slots)
        };
        let function = under("_LuaFunction", function::DOC, wrapper, function::slots::<B>())?;
        let types = Types {
            runtime: make::<B>(
                py,
                "_LuaState",
                c"Owns a Lua state.",
                size_of::<RuntimeObject<B>>(),
                Role::Other,
                RuntimeObject::<B>::slots(),
            )?,
            object,
            table: under("_LuaTable", table::DOC, wrapper, table::slots::<B>())?,
            function,
            coroutine_function: make::<B>(
                py,
                "_LuaCoroutineFunction",
                function::COROUTINE_DOC,
                wrapper,
                Role::Wrapper(Some(function)),
                Vec::new(),
            )?,
            coroutine: under(
                "_LuaThread",
                crate::coroutine::DOC,
                size_of::<Coroutine>(),
                crate::coroutine::slots::<B>(),
            )?,
            iterator: make::<B>(
                py,
                "_LuaIter",
                crate::iterator::DOC,
                size_of::<TableIterator>(),
                Role::Other,
                TableIterator::slots::<B>(),
            )?,
            array: make::<B>(
                py,
                "_LuaArray",
                array::DOC,
                size_of::<array::ArrayObject>(),
                Role::Other,
                array::slots(),
            )?,
        };
        // A second thread that was here at the same time has made types of its own; one set wins.
        let _ = TYPES.set(types);
    }
    let types = get();
    // Each has the name that lupa has always given it, and one for annotations and `isinstance`.
    for (name, public, kind) in [
        ("_LuaObject", "LuaObject", types.object),
        ("_LuaTable", "LuaTable", types.table),
        ("_LuaFunction", "LuaFunction", types.function),
        ("_LuaCoroutineFunction", "LuaCoroutineFunction", types.coroutine_function),
        ("_LuaThread", "LuaCoroutine", types.coroutine),
        ("_LuaIter", "LuaIterator", types.iterator),
        ("_LuaArray", "LuaArray", types.array),
    ] {
        // SAFETY: attached; an immortal type.
        let kind = unsafe { Bound::from_borrowed_ptr(py, kind.cast()) };
        module.add(name, &kind)?;
        module.add(public, kind)?;
    }
    Ok(())
}

/// What a type is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Its memory begins as a [`LuaObject`]: it can be called. With a base, of the same role.
    Wrapper(Option<*mut ffi::PyTypeObject>),
    /// Anything else.
    Other,
}

fn make<B: LuaBackend>(
    py: Python<'_>,
    name: &str,
    doc: &'static CStr,
    size: usize,
    role: Role,
    mut slots: Vec<ffi::PyType_Slot>,
) -> PyResult<*mut ffi::PyTypeObject> {
    let name = CString::new(format!("lupa.{}.{name}", B::NAME))?;
    slots.push(slot(ffi::Py_tp_doc, doc.as_ptr().cast_mut().cast()));
    slots.push(slot(ffi::Py_tp_new, refuse_new as *mut c_void));
    if let Role::Wrapper(base) = role {
        for common in object::common_slots::<B>() {
            if slots.iter().all(|own| own.slot != common.slot) {
                slots.push(common);
            }
        }
        if let Some(base) = base {
            slots.push(slot(ffi::Py_tp_base, base.cast()));
        }
    }
    slots.push(slot(0, std::ptr::null_mut()));
    let mut flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC;
    if role != Role::Other {
        flags |= ffi::Py_TPFLAGS_HAVE_VECTORCALL;
    }
    if name.to_bytes().ends_with(b"Object") || name.to_bytes().ends_with(b"Function") {
        flags |= ffi::Py_TPFLAGS_BASETYPE;
    }
    #[cfg(Py_3_10)]
    {
        flags |= ffi::Py_TPFLAGS_IMMUTABLETYPE;
    }
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: flags as c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: attached; the spec is complete, its slots end with a null slot, and their functions
    // have the types that the C-API asks for. Python may keep the name, so it is leaked.
    unsafe {
        let made = ffi::PyType_FromSpec(&raw mut spec);
        std::mem::forget(name);
        Bound::from_owned_ptr_or_err(py, made).map(|made| made.into_ptr().cast())
    }
}

/// A slot of a spec.
pub(crate) fn slot(number: c_int, value: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot: number, pfunc: value }
}

unsafe extern "C" fn refuse_new(
    _: *mut ffi::PyTypeObject,
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: attached; sets an exception.
    unsafe {
        ffi::PyErr_SetString(
            ffi::PyExc_TypeError,
            c"Type cannot be instantiated manually".as_ptr(),
        );
    }
    std::ptr::null_mut()
}

/// What `tp_dealloc` begins with where there is a finalizer, which is run if it has not been: whether
/// there is nothing left to do, as the object lives on, or is freed already.
///
/// # Safety
/// The first step of `tp_dealloc`; `finalize` is the type's `tp_finalize`, which notes that it has run.
pub(crate) unsafe fn finalize_first(
    object: *mut ffi::PyObject,
    finalize: ffi::destructor,
    finalized: bool,
) -> bool {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: as the caller promises.
    unsafe {
        let _ = (finalize, finalized);
        ffi::PyObject_CallFinalizerFromDealloc(object) < 0
    }
    // The same with what the stable ABI has: the last reference is given up a second time, which comes
    // back here unless the finalizer has let somebody take a new one.
    #[cfg(Py_LIMITED_API)]
    // SAFETY: as the caller promises.
    unsafe {
        if !finalized {
            ffi::Py_INCREF(object);
            finalize(object);
            ffi::Py_DECREF(object);
        }
        !finalized
    }
}

/// Frees the memory of an object of a heap type, and drops its reference to the type.
///
/// # Safety
/// The last step of `tp_dealloc`.
pub(crate) unsafe fn free(object: *mut ffi::PyObject) {
    // SAFETY: these types are made with HAVE_GC and the standard allocator.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        ffi::PyObject_GC_Del(object.cast());
        ffi::Py_DECREF(kind.cast());
    }
}

/// The part of `tp_traverse` that all objects of heap types share: the type itself (from 3.9 on).
///
/// # Safety
/// Called from `tp_traverse`.
pub(crate) unsafe fn visit_type(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: a live object.
    unsafe { visit(ffi::Py_TYPE(object).cast(), arg) }
}

/// How deep objects of ours may be dropped within each other.
const MOST_DROPS: usize = 4;

/// What one thread is about to drop.
struct Drops {
    depth: Cell<usize>,
    later: Cell<Vec<*mut ffi::PyObject>>,
}

thread_local! {
    static DROPS: Drops =
        const { Drops { depth: Cell::new(0), later: Cell::new(Vec::new()) } };
}

/// Gives up what a wrapper or a runtime holds; for null there is nothing to do. Such objects can hold each other
/// in a chain of any length, and each frees the next one inside of its own `tp_dealloc`. So where that goes deep,
/// or the stack is nearly full, the outermost of them does it, when it has done its own.
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
            drop_last(object);
        }
    }
}

/// [`drop_object`] for what seems to be the last reference.
///
/// # Safety
/// As for that.
unsafe fn drop_last(object: *mut ffi::PyObject) {
    let dropped = DROPS.try_with(|drops| {
        let depth = drops.depth.get();
        let deep = depth >= MOST_DROPS || !Thread::this().has_room();
        if depth > 0 && deep {
            let mut later = drops.later.take();
            later.push(object);
            drops.later.set(later);
            return;
        }
        drops.depth.set(depth + 1);
        let mut next = Some(object);
        while let Some(object) = next {
            // SAFETY: as the caller promises, or as a caller above has promised.
            unsafe { ffi::Py_DECREF(object) };
            // Counted, not put back: greenlets end in any order.
            next = if drops.depth.get() > 1 { None } else { drops.next() };
        }
        drops.depth.set(drops.depth.get() - 1);
    });
    if dropped.is_err() {
        // The thread is at its end.
        // SAFETY: as the caller promises.
        unsafe { ffi::Py_DECREF(object) };
    }
}

impl Drops {
    fn next(&self) -> Option<*mut ffi::PyObject> {
        let mut later = self.later.take();
        let next = later.pop();
        // What is dropped may come back here only after this.
        self.later.set(later);
        next
    }
}

/// The reference of a `#[pyclass]` to an object that may hold another one of its kind: see [`drop_object`].
pub(crate) struct Link<T = PyAny>(Option<Py<T>>);

impl<T> From<Py<T>> for Link<T> {
    fn from(object: Py<T>) -> Self {
        Link(Some(object))
    }
}

impl<T> std::ops::Deref for Link<T> {
    type Target = Py<T>;

    fn deref(&self) -> &Py<T> {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Link<T> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            // SAFETY: attached, as whoever frees an object of Python is.
            unsafe { drop_object(object.into_ptr()) };
        }
    }
}

/// An exception that is on its way while a destructor runs Python code.
pub(crate) struct SavedError(Option<PyErr>);

impl SavedError {
    pub(crate) fn take() -> Self {
        // SAFETY: destructors run attached.
        SavedError(PyErr::take(unsafe { Python::assume_attached() }))
    }

    pub(crate) fn restore(self) {
        if let Some(error) = self.0 {
            // SAFETY: as above.
            error.restore(unsafe { Python::assume_attached() });
        }
    }
}
