//! [`RuntimeObject`]: the hidden Python object that owns a [`Runtime`], and closes it; `LuaRuntime` and
//! every wrapper keep it alive.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;

use lua_api::LuaBackend;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::engine;
use crate::runtime::Runtime;
use crate::sandbox::Sandbox;
use crate::types;

/// The Python object that owns a [`Runtime`].
#[repr(C)]
pub(crate) struct RuntimeObject<B: LuaBackend> {
    base: ffi::PyObject,
    runtime: *mut Runtime<B>,
    /// Whether the finalizer has run.
    finalized: bool,
}

impl<B: LuaBackend> RuntimeObject<B> {
    /// Wraps a runtime. The result is tracked by Python's collector.
    pub(crate) fn create(py: Python<'_>, runtime: Box<Runtime<B>>) -> PyResult<Bound<'_, PyAny>> {
        // SAFETY: attached; the type's basic size is that of this struct.
        unsafe {
            let object = ffi::PyType_GenericAlloc(types::get().runtime, 0);
            let object = Bound::from_owned_ptr_or_err(py, object)?;
            runtime.owner.set(object.as_ptr());
            let runtime = Box::into_raw(runtime);
            // It has the instance, and stays where it is.
            (*runtime).instance.set_host(&*runtime);
            (*object.as_ptr().cast::<Self>()).runtime = runtime;
            Ok(object)
        }
    }

    /// The runtime of such an object.
    ///
    /// # Safety
    /// `object` is alive, and a runtime object of this backend.
    #[inline(always)]
    pub(crate) unsafe fn runtime<'a>(object: *mut ffi::PyObject) -> &'a Runtime<B> {
        // SAFETY: set when the object was created, and until it is freed.
        unsafe { &*(*object.cast::<Self>()).runtime }
    }

    /// The runtime of an object, which keeps it; `None` if it is none of this module, or there is another backend.
    pub(crate) fn of<'a>(object: &'a Bound<'_, PyAny>) -> Option<&'a Runtime<B>> {
        // SAFETY: alive for that time; the type is checked, and the objects of it are of the one backend there is.
        unsafe {
            let right = ffi::Py_TYPE(object.as_ptr()) == types::get().runtime;
            (right && engine::is_of::<B>()).then(|| Self::runtime(object.as_ptr()))
        }
    }

    /// The slots of the type.
    pub(crate) fn slots() -> Vec<ffi::PyType_Slot> {
        use types::slot;
        vec![
            slot(ffi::Py_tp_finalize, Self::finalize as *mut c_void),
            slot(ffi::Py_tp_dealloc, Self::dealloc as *mut c_void),
            slot(ffi::Py_tp_traverse, Self::traverse as *mut c_void),
            slot(ffi::Py_tp_clear, Self::clear as *mut c_void),
        ]
    }

    /// PEP 442: Lua's finalizers may call Python, which may take new references to this object, so
    /// Lua is closed while the object is still whole.
    unsafe extern "C" fn finalize(object: *mut ffi::PyObject) {
        // SAFETY: called by Python with a live object; an exception that is on its way is kept.
        unsafe {
            (*object.cast::<Self>()).finalized = true;
            let runtime = (*object.cast::<Self>()).runtime;
            if runtime.is_null() {
                return;
            }
            let saved = types::SavedError::take();
            let runtime = &*runtime;
            // An array outside, part of the same garbage, may use Lua's memory, and others may still
            // read it: then Lua is closed by `clear`, when that is over.
            if !runtime.arrays.are_pinned() {
                runtime.close_guarded(Python::assume_attached());
            }
            saved.restore();
        }
    }

    unsafe extern "C" fn dealloc(object: *mut ffi::PyObject) {
        // SAFETY: called by Python for the last reference; the order is that of the C-API's docs.
        unsafe {
            let finalized = (*object.cast::<Self>()).finalized;
            if types::finalize_first(object, Self::finalize, finalized) {
                return;
            }
            ffi::PyObject_GC_UnTrack(object.cast());
            let runtime = std::mem::replace(&mut (*object.cast::<Self>()).runtime, null_mut());
            if !runtime.is_null() {
                let runtime = Box::from_raw(runtime);
                if runtime.instance.is_open() {
                    // Only when `finalize` and `clear` both came too early for an array over Lua's
                    // memory. Lua's finalizers need an owner that is whole: better a leak.
                    std::mem::forget(runtime);
                } else {
                    drop(runtime);
                }
            }
            types::free(object);
        }
    }

    unsafe extern "C" fn traverse(
        object: *mut ffi::PyObject,
        visit: ffi::visitproc,
        arg: *mut c_void,
    ) -> c_int {
        // SAFETY: called by Python's collector with a live object.
        unsafe {
            let result = types::visit_type(object, visit, arg);
            let runtime = (*object.cast::<Self>()).runtime;
            if result != 0 || runtime.is_null() {
                return result;
            }
            let runtime = &*runtime;
            let options = &runtime.options;
            let handlers =
                [&options.attribute_filter, &options.attribute_getter, &options.attribute_setter];
            let handlers = handlers.into_iter().flatten().map(Py::as_ptr);
            let exposures = options.sandbox.iter().flat_map(Sandbox::held).map(Py::as_ptr);
            for held in handlers.chain(exposures) {
                let result = visit(held, arg);
                if result != 0 {
                    return result;
                }
            }
            runtime.boxes.traverse(visit, arg)
        }
    }

    unsafe extern "C" fn clear(object: *mut ffi::PyObject) -> c_int {
        // SAFETY: called by Python's collector when nothing outside can use the object any more.
        unsafe {
            let runtime = (*object.cast::<Self>()).runtime;
            if !runtime.is_null() {
                let runtime = &*runtime;
                runtime.boxes.drop_all(Python::assume_attached());
                if runtime.instance.is_open() && !runtime.arrays.are_pinned() {
                    runtime.close_guarded(Python::assume_attached());
                }
                if let Some(sandbox) = &runtime.options.sandbox {
                    sandbox.clear(Python::assume_attached());
                }
            }
        }
        0
    }
}
