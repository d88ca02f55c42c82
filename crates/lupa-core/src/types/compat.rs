//! Differences between versions and builds of Python.

use std::ffi::c_int;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::types::alive::Alive;
use crate::types::heap_type::{Keep, Link};
use crate::types::heap_type::{Visit, Visited};

#[cfg(any(Py_LIMITED_API, PyPy, GraalPy, windows))]
use crate::base::imported::{Imported, Name};

/// The type code of `__vectorcalloffset__`; the name is public from 3.12 on.
pub(crate) const T_PYSSIZET: c_int = 19;
/// The flag of a read-only member.
pub(crate) const READONLY: c_int = 1;

/// The value of an `int` of one digit, without a call.
///
/// The layouts are those of the headers, which inline functions there make part of the binary
/// interface: `Include/cpython/longintrepr.h`, from 3.12 on for `PyUnstable_Long_CompactValue`.
/// A digit has 30 bits unless Python was built otherwise: [`check`].
///
/// # Safety
/// A live `int`.
#[inline(always)]
pub(crate) unsafe fn compact_int(object: *mut ffi::PyObject) -> Option<i64> {
    #[cfg(all(target_pointer_width = "64", not(any(Py_3_12, Py_LIMITED_API, PyPy, GraalPy))))]
    // SAFETY: as the caller promises; the digit of zero is there, though its value is not.
    unsafe {
        #[repr(C)]
        struct Int {
            head: ffi::PyVarObject,
            digit: u32,
        }
        let int = object.cast::<Int>();
        match (*int).head.ob_size {
            1 => Some(i64::from((*int).digit)),
            0 => Some(0),
            -1 => Some(-i64::from((*int).digit)),
            _ => None,
        }
    }
    #[cfg(all(
        target_pointer_width = "64",
        Py_3_12,
        not(any(Py_3_15, Py_LIMITED_API, PyPy, GraalPy))
    ))]
    // SAFETY: as above.
    unsafe {
        #[repr(C)]
        struct Int {
            head: ffi::PyObject,
            tag: usize,
            digit: u32,
        }
        let int = object.cast::<Int>();
        let tag = (*int).tag;
        (tag < 2 << 3).then(|| (1 - (tag & 3) as i64) * i64::from((*int).digit))
    }
    #[cfg(any(not(target_pointer_width = "64"), Py_3_15, Py_LIMITED_API, PyPy, GraalPy))]
    {
        let _ = object;
        None
    }
}

/// Refuses a Python whose objects are not laid out as this file has it.
///
/// # Errors
/// `ImportError`, which says what differs.
pub(crate) fn check(py: Python<'_>) -> PyResult<()> {
    let info = fallible::import(py, c"sys")?.attribute(c"int_info")?;
    let bits = info.attribute(c"bits_per_digit")?.extract::<u32>()?;
    if bits != 30 && cfg!(all(target_pointer_width = "64", not(any(Py_LIMITED_API, PyPy, GraalPy))))
    {
        let message =
            format!("the integers of this Python have digits of {bits} bits; lupa needs 30");
        return Err(fallible::error::<PyImportError>(message));
    }
    let fits = |number: i64| -> PyResult<bool> {
        let object = fallible::int64(py, number)?;
        // SAFETY: a live `int`.
        Ok(unsafe { compact_int(object.as_ptr()) }.is_none_or(|found| found == number))
    };
    let mut right = true;
    for number in [0, 1, -1, (1 << 30) - 1, 1 - (1 << 30), 1 << 30, -(1 << 30), i64::MAX] {
        right &= fits(number)?;
    }
    let float = py.get_type::<PyFloat>().call1((fallible::string(py, "1.5")?,))?;
    // SAFETY: a live `float`.
    right &= unsafe { float_value(float.as_ptr()) } == 1.5;
    if let Some(text) = ascii_string(py, b"lupa") {
        right &= text?.cast::<PyString>()?.to_str()? == "lupa";
    }
    let dict = fallible::dict(py)?;
    for view in [c"keys", c"values", c"items"] {
        let view = dict.method0(view)?;
        right &= dict_part(&view).is_none_or(|(found, _)| found.is(&dict));
    }
    let method = dict.attribute(c"get")?;
    let identity = method_identity(Alive::of(&method));
    right &= identity.is_some_and(|(_, instance)| instance == dict.as_ptr() as usize);
    if right {
        return Ok(());
    }
    let message =
        "the objects of this Python are not laid out as in the one that lupa was built for";
    Err(fallible::error::<PyImportError>(message))
}

/// The value of a `float`.
///
/// # Safety
/// A live `float`.
#[inline(always)]
pub(crate) unsafe fn float_value(object: *mut ffi::PyObject) -> f64 {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    // SAFETY: as the caller promises.
    unsafe {
        (*object.cast::<ffi::PyFloatObject>()).ob_fval
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    // SAFETY: as the caller promises.
    unsafe {
        ffi::PyFloat_AsDouble(object)
    }
}

/// The `str` of bytes that are ASCII, made without a look at each by Python; `None` for others, or where
/// there is no such way.
#[inline(always)]
pub(crate) fn ascii_string<'py>(
    py: Python<'py>,
    bytes: &[u8],
) -> Option<PyResult<Bound<'py, PyAny>>> {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    {
        // Python has the shortest ones ready.
        if bytes.len() < 2 || !bytes.is_ascii() {
            return None;
        }
        // SAFETY: attached. A `str` for characters up to 127 has one byte for each, and nobody else has
        // seen it.
        Some(unsafe {
            let text = ffi::PyUnicode_New(bytes.len() as ffi::Py_ssize_t, 127);
            Bound::from_owned_ptr_or_err(py, text).inspect(|text| {
                let data = ffi::PyUnicode_DATA(text.as_ptr()).cast::<u8>();
                data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            })
        })
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    {
        let _ = (py, bytes);
        None
    }
}

/// The tuple that [`pair`] returned the first time, for the thread that has the lock.
#[derive(Default)]
pub(crate) struct LastPair(Keep<PyTuple>);

impl LastPair {
    pub(crate) fn visit(&self, visit: &Visit) -> Visited {
        visit.keep(&self.0)
    }
}

/// A tuple of two objects.
///
/// If nobody else has the tuple of the first time any more, it is given
/// again with other items, as Python's own iterators do it: loops and `dict()` take such a pair apart at once.
#[inline(always)]
pub(crate) fn pair<'py>(
    last: &LastPair,
    first: Bound<'py, PyAny>,
    second: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = first.py();
    let (first, second) = (first.into_ptr(), second.into_ptr());
    // Python's collector finds out by itself that a tuple of numbers and strings cannot be part of
    // a cycle; it has less to do if it is told.
    // SAFETY: attached; live objects.
    let atomic = unsafe { !may_be_collected(first) && !may_be_collected(second) };
    // From 3.14 on, tuples remember their hash, and no function makes one forget it.
    #[cfg(not(any(Py_3_14, Py_GIL_DISABLED, Py_LIMITED_API, PyPy, GraalPy)))]
    // SAFETY: a tuple of two, that was made here, and whose one reference is ours: until another one is given away, nobody
    // sees that it changes. Its old items go last, and may change the place, which is not borrowed any more.
    unsafe {
        let again = (*last.0.as_ptr()).as_ref().map_or(std::ptr::null_mut(), |last| last.as_ptr());
        if !again.is_null() && ffi::Py_REFCNT(again) == 1 {
            let old = (ffi::PyTuple_GET_ITEM(again, 0), ffi::PyTuple_GET_ITEM(again, 1));
            let given = Bound::from_borrowed_ptr(py, again);
            ffi::PyTuple_SET_ITEM(again, 0, first);
            ffi::PyTuple_SET_ITEM(again, 1, second);
            match (atomic, ffi::PyObject_GC_IsTracked(again) != 0) {
                (true, true) => ffi::PyObject_GC_UnTrack(again.cast()),
                (false, false) => ffi::PyObject_GC_Track(again.cast()),
                _ => {}
            }
            ffi::Py_DECREF(old.0);
            ffi::Py_DECREF(old.1);
            return Ok(given);
        }
    }
    // SAFETY: the new tuple takes both references, and nobody uses it before.
    let pair = unsafe {
        let pair = ffi::PyTuple_New(2);
        if pair.is_null() {
            let error = PyErr::fetch(py);
            ffi::Py_DECREF(first);
            ffi::Py_DECREF(second);
            return Err(error);
        }
        #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
        {
            ffi::PyTuple_SET_ITEM(pair, 0, first);
            ffi::PyTuple_SET_ITEM(pair, 1, second);
        }
        #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
        {
            ffi::PyTuple_SetItem(pair, 0, first);
            ffi::PyTuple_SetItem(pair, 1, second);
        }
        if atomic {
            ffi::PyObject_GC_UnTrack(pair.cast());
        }
        Bound::from_owned_ptr(py, pair)
    };
    #[cfg(not(any(Py_3_14, Py_GIL_DISABLED, Py_LIMITED_API, PyPy, GraalPy)))]
    {
        let kept = last.0.take();
        let first_time = || Link::from(pair.clone().cast_into::<PyTuple>().ok()?.unbind()).into();
        last.0.set(kept.or_else(first_time));
    }
    #[cfg(any(Py_3_14, Py_GIL_DISABLED, Py_LIMITED_API, PyPy, GraalPy))]
    let _ = last;
    Ok(pair)
}

/// Whether Python's collector looks at objects of this kind.
///
/// # Safety
/// Attached; a live object.
#[inline(always)]
unsafe fn may_be_collected(object: *mut ffi::PyObject) -> bool {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    // SAFETY: as the caller promises.
    unsafe {
        ffi::PyObject_IS_GC(object) != 0
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    // SAFETY: as the caller promises. Some objects of such a type may be without: that is not asked.
    unsafe {
        ffi::PyType_GetFlags(ffi::Py_TYPE(object)) & ffi::Py_TPFLAGS_HAVE_GC != 0
    }
}

/// Whether the type of an object has the subscript slot, so surely a `__getitem__`.
#[inline]
pub(crate) fn type_has_subscript(object: &Bound<'_, PyAny>) -> bool {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: a live object; types are complete while they have instances.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        let mapping = (*kind).tp_as_mapping;
        !mapping.is_null() && (*mapping).mp_subscript.is_some()
    }
    #[cfg(Py_LIMITED_API)]
    {
        let _ = object;
        false
    }
}

/// Whether the type of an object has items, by its slots: no code of the object runs, also none of a `__getattr__`.
pub(crate) fn type_has_items(object: &Bound<'_, PyAny>) -> bool {
    #[cfg(not(Py_LIMITED_API))]
    // SAFETY: a live object; types are complete while they have instances.
    unsafe {
        let sequence = (*ffi::Py_TYPE(object.as_ptr())).tp_as_sequence;
        type_has_subscript(object) || !sequence.is_null() && (*sequence).sq_item.is_some()
    }
    #[cfg(Py_LIMITED_API)]
    // SAFETY: a live object. From Python 3.10 on any type may be asked, and our floor is above that.
    unsafe {
        let kind = ffi::Py_TYPE(object.as_ptr());
        [ffi::Py_mp_subscript, ffi::Py_sq_item]
            .into_iter()
            .any(|slot| !ffi::PyType_GetSlot(kind, slot).is_null())
    }
}

// A function that pyo3 does not declare can be linked where the linker asks for no import library: not on Windows.
#[cfg(not(any(Py_3_13, Py_LIMITED_API, PyPy, GraalPy, windows)))]
unsafe extern "C" {
    // The later PyObject_GetOptionalAttr.
    #[link_name = "_PyObject_LookupAttr"]
    fn PyObject_GetOptionalAttr(
        object: *mut ffi::PyObject,
        name: *mut ffi::PyObject,
        result: *mut *mut ffi::PyObject,
    ) -> c_int;
}

#[cfg(Py_3_13)]
use ffi::PyObject_GetOptionalAttr;

/// An attribute, if there is one; without the cost of an exception where there is none.
pub(crate) fn optional_attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    #[cfg(any(Py_3_13, not(any(Py_LIMITED_API, PyPy, GraalPy, windows))))]
    {
        let mut found = std::ptr::null_mut();
        // SAFETY: attached; live objects.
        let status =
            unsafe { PyObject_GetOptionalAttr(object.as_ptr(), name.as_ptr(), &raw mut found) };
        match status {
            // SAFETY: gives a new reference.
            1 => Ok(Some(unsafe { Bound::from_owned_ptr(object.py(), found) })),
            0 => Ok(None),
            _ => Err(PyErr::fetch(object.py())),
        }
    }
    #[cfg(all(not(Py_3_13), any(Py_LIMITED_API, PyPy, GraalPy, windows)))]
    {
        object.getattr_opt(name)
    }
}

/// The part of a dict that an iteration gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DictPart {
    Keys,
    #[cfg_attr(any(Py_LIMITED_API, PyPy, GraalPy), expect(dead_code))]
    Values,
    #[cfg_attr(any(Py_LIMITED_API, PyPy, GraalPy), expect(dead_code))]
    Items,
}

/// The dict that an object is, or is a view of, and what one goes over; `None` for other objects.
pub(crate) fn dict_part<'py>(object: &Bound<'py, PyAny>) -> Option<(Bound<'py, PyDict>, DictPart)> {
    if let Ok(dict) = object.cast_exact::<PyDict>() {
        return Some((dict.clone(), DictPart::Keys));
    }
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    // SAFETY: attached; exact types are checked, whose layout is in the headers
    // (`Include/cpython/dictobject.h`). A view may be of a subclass of dict, which is refused.
    unsafe {
        #[repr(C)]
        struct View {
            head: ffi::PyObject,
            dict: *mut ffi::PyObject,
        }
        let kind = ffi::Py_TYPE(object.as_ptr());
        let part = if kind == &raw mut ffi::PyDictItems_Type {
            DictPart::Items
        } else if kind == &raw mut ffi::PyDictValues_Type {
            DictPart::Values
        } else if kind == &raw mut ffi::PyDictKeys_Type {
            DictPart::Keys
        } else {
            return None;
        };
        let dict = (*object.as_ptr().cast::<View>()).dict;
        let dict = Bound::from_borrowed_ptr_or_opt(object.py(), dict)?;
        dict.cast_into_exact::<PyDict>().ok().map(|dict| (dict, part))
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    {
        None
    }
}

#[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy, windows)))]
unsafe extern "C" {
    static mut PyMethod_Type: ffi::PyTypeObject;
    fn PyMethod_Function(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
    fn PyMethod_Self(method: *mut ffi::PyObject) -> *mut ffi::PyObject;
}

/// The function and the instance of a bound method, which it never changes.
#[inline]
pub(crate) fn bound_method(object: Alive<'_>) -> Option<(Alive<'_>, Alive<'_>)> {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy, windows)))]
    // SAFETY: attached, alive; checked to be a bound method, which keeps both alive.
    unsafe {
        let object = object.as_ptr();
        if ffi::Py_TYPE(object) == &raw mut PyMethod_Type {
            let (function, instance) = (PyMethod_Function(object), PyMethod_Self(object));
            Some((Alive::from_ptr(function), Alive::from_ptr(instance)))
        } else {
            None
        }
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy, windows))]
    // SAFETY: as above.
    unsafe {
        let (py, object) = (object.py(), object.as_ptr());
        if ffi::Py_TYPE(object) != method_type(py)? {
            return None;
        }
        let part = |name| {
            let found = ffi::PyObject_GetAttr(object, name);
            if found.is_null() {
                ffi::PyErr_Clear();
            } else {
                ffi::Py_DECREF(found);
            }
            (!found.is_null()).then(|| Alive::from_ptr(found))
        };
        let function = part(FUNCTION.get(py).ok()?.as_ptr())?;
        Some((function, part(INSTANCE.get(py).ok()?.as_ptr())?))
    }
}

#[cfg(any(Py_LIMITED_API, PyPy, GraalPy, windows))]
static FUNCTION: Name = Name::new(c"__func__");
#[cfg(any(Py_LIMITED_API, PyPy, GraalPy, windows))]
static INSTANCE: Name = Name::new(c"__self__");

/// The type of bound methods.
#[cfg(any(Py_LIMITED_API, PyPy, GraalPy, windows))]
fn method_type(py: Python<'_>) -> Option<*mut ffi::PyTypeObject> {
    static TYPE: Imported = Imported::new(c"types", c"MethodType");
    TYPE.get(py).ok().map(|found| found.as_ptr().cast())
}

/// The function and the instance of a method that was just made and that nobody else has: one that is
/// equal to it can take its place.
///
/// Without a GIL the number of references may be outdated. That is not worth more: it costs a method
/// that somebody else has as well its identity, and an equal one is as good.
#[inline(always)]
pub(crate) fn fresh_method(object: Alive<'_>) -> Option<(usize, usize)> {
    if object.references() != 1 {
        return None;
    }
    method_identity(object)
}

/// The identity of a bound method: the addresses of its function and of its instance. Equal methods have the same.
#[inline(always)]
pub(crate) fn method_identity(object: Alive<'_>) -> Option<(usize, usize)> {
    if let Some((function, instance)) = bound_method(object) {
        return Some((function.address(), instance.address()));
    }
    // SAFETY: attached, alive; the type is checked.
    unsafe {
        let object = object.as_ptr();
        #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
        if ffi::PyCFunction_CheckExact(object) != 0 {
            let function = object.cast::<ffi::PyCFunctionObject>();
            return Some(((*function).m_ml as usize, (*function).m_self as usize));
        }
        // By what Python itself compares such methods.
        #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
        if ffi::Py_TYPE(object) == &raw mut ffi::PyCFunction_Type {
            let function = ffi::PyCFunction_GetFunction(object)?;
            return Some((function as usize, ffi::PyCFunction_GetSelf(object) as usize));
        }
        None
    }
}

/// The address of a method's code, which all methods of that code share; `None` for other objects.
pub(crate) fn method_code(object: &Bound<'_, PyAny>) -> Option<usize> {
    method_identity(Alive::of(object)).map(|(code, _)| code)
}

/// The text alone of a `str`, or of an instance of a subclass.
pub(crate) fn exact_str<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; a live object. Anything but a `str` is a `TypeError`.
    unsafe { Bound::from_owned_ptr_or_err(text.py(), ffi::PyUnicode_FromObject(text.as_ptr())) }
}

/// The number of the interpreter that the thread is attached to.
pub(crate) fn interpreter(_: Python<'_>) -> i64 {
    // SAFETY: attached.
    unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) }
}
