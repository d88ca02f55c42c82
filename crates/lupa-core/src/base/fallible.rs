//! Allocation that reports failure: constructors of Python objects that return an error where PyO3's panic, texts of
//! exceptions, and a reserve of memory for small Rust allocations.
//!
//! `clippy.toml` forbids PyO3's own constructors, so that all code uses these.

use std::alloc::{GlobalAlloc, Layout, System};
use std::borrow::Cow;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyStopIteration, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::{PyErrArguments, PyTypeInfo, ffi};

/// The object behind what a constructor of Python's has given.
///
/// # Safety
/// Attached; a new reference to an object of the type `T`, or null with an exception.
unsafe fn made<T>(py: Python<'_>, object: *mut ffi::PyObject) -> PyResult<Bound<'_, T>> {
    // SAFETY: as the caller promises.
    unsafe { Ok(Bound::from_owned_ptr_or_err(py, object)?.cast_into_unchecked()) }
}

/// A length as Python has it. No slice is longer than that.
fn size(length: usize) -> ffi::Py_ssize_t {
    ffi::Py_ssize_t::try_from(length).unwrap_or(ffi::Py_ssize_t::MAX)
}

/// A `str`.
pub(crate) fn string<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: attached; pointer and length are of one slice, which is UTF-8.
    unsafe { made(py, ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), size(text.len()))) }
}

/// `bytes`.
pub(crate) fn bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    // SAFETY: attached; pointer and length are of one slice.
    unsafe { made(py, ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), size(bytes.len()))) }
}

/// A `str` that has each byte as the character of that number.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: as above.
    unsafe {
        let start = bytes.as_ptr().cast();
        made(py, ffi::PyUnicode_DecodeLatin1(start, size(bytes.len()), std::ptr::null()))
    }
}

/// Decodes bytes by a codec, or as UTF-8 if none is named.
#[inline]
pub(crate) fn decode<'py>(
    py: Python<'py>,
    bytes: &[u8],
    codec: Option<&std::ffi::CStr>,
) -> PyResult<Bound<'py, PyAny>> {
    let (start, len) = (bytes.as_ptr().cast(), size(bytes.len()));
    // SAFETY: attached; pointer and length are of one slice; zero-terminated.
    unsafe {
        let object = match codec {
            None => ffi::PyUnicode_DecodeUTF8(start, len, std::ptr::null()),
            Some(codec) => ffi::PyUnicode_Decode(start, len, codec.as_ptr(), std::ptr::null()),
        };
        made(py, object)
    }
}

/// Encodes a `str` by a codec.
pub(crate) fn encode<'py>(
    text: &Bound<'py, PyString>,
    codec: &std::ffi::CStr,
) -> PyResult<Bound<'py, PyBytes>> {
    let errors = std::ptr::null();
    // SAFETY: attached; a live `str`; zero-terminated. Python refuses codecs that give no `bytes`.
    unsafe {
        let object = ffi::PyUnicode_AsEncodedString(text.as_ptr(), codec.as_ptr(), errors);
        made(text.py(), object)
    }
}

/// An empty dict.
pub(crate) fn dict(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    // SAFETY: attached.
    unsafe { made(py, ffi::PyDict_New()) }
}

/// An empty list.
pub(crate) fn list(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    // SAFETY: attached.
    unsafe { made(py, ffi::PyList_New(0)) }
}

/// A list of the items of an iterable.
pub(crate) fn list_of<'py>(items: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
    // SAFETY: attached; a live object.
    unsafe { made(items.py(), ffi::PySequence_List(items.as_ptr())) }
}

/// A tuple.
pub(crate) fn tuple<'py, I>(py: Python<'py>, items: I) -> PyResult<Bound<'py, PyTuple>>
where
    I: IntoIterator<Item = Bound<'py, PyAny>, IntoIter: ExactSizeIterator>,
{
    let mut items = items.into_iter();
    let ended = || error::<PyRuntimeError>("an iterator is shorter than it says");
    tuple_with(py, items.len(), |_| items.next().ok_or_else(ended))
}

/// A tuple of so many items, which `item` makes one after the other.
///
/// # Errors
/// What that gives.
#[inline]
pub(crate) fn tuple_with<'py, E: From<PyErr>>(
    py: Python<'py>,
    length: usize,
    mut item: impl FnMut(usize) -> Result<Bound<'py, PyAny>, E>,
) -> Result<Bound<'py, PyTuple>, E> {
    // SAFETY: attached; the tuple takes each reference, refuses a place that it does not have, and may be
    // dropped half full.
    unsafe {
        let tuple: Bound<'py, PyTuple> = made(py, ffi::PyTuple_New(size(length)))?;
        for index in 0..length {
            if ffi::PyTuple_SetItem(tuple.as_ptr(), size(index), item(index)?.into_ptr()) < 0 {
                return Err(PyErr::fetch(py).into());
            }
        }
        Ok(tuple)
    }
}

/// An interned `str`, for the name of an attribute.
pub(crate) fn name<'py>(py: Python<'py>, text: &std::ffi::CStr) -> PyResult<Bound<'py, PyString>> {
    // SAFETY: attached; zero-terminated.
    unsafe { made(py, ffi::PyUnicode_InternFromString(text.as_ptr())) }
}

/// A module.
pub(crate) fn import<'py>(py: Python<'py>, name: &std::ffi::CStr) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; zero-terminated.
    unsafe { made(py, ffi::PyImport_ImportModule(name.as_ptr())) }
}

/// A module of this name.
pub(crate) fn import_named<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let name = string(py, name)?;
    // SAFETY: attached; a `str`.
    unsafe { made(py, ffi::PyImport_Import(name.as_ptr())) }
}

/// An `int`.
pub(crate) fn integer(py: Python<'_>, number: isize) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached.
    unsafe { made(py, ffi::PyLong_FromSsize_t(number)) }
}

/// An `int`: a size, or an address.
pub(crate) fn unsigned(py: Python<'_>, number: usize) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached.
    unsafe { made(py, ffi::PyLong_FromSize_t(number)) }
}

/// An `int`.
#[inline(always)]
pub(crate) fn int64(py: Python<'_>, number: i64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyLong_FromLongLong(number)) }
}

/// A `float`.
#[inline(always)]
pub(crate) fn float(py: Python<'_>, number: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: attached.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyFloat_FromDouble(number)) }
}

/// The text of an exception. PyO3 makes a `str` of it when the exception is raised, where a panic ends the
/// process; without memory for that, the text is what Python says about it.
struct Text(Cow<'static, str>);

impl PyErrArguments for Text {
    fn arguments(self, py: Python<'_>) -> Py<PyAny> {
        match string(py, &self.0) {
            Ok(text) => text.into_any().unbind(),
            Err(error) => error.into_value(py).into_any(),
        }
    }
}

/// An exception.
#[cold]
pub(crate) fn error<T: PyTypeInfo>(text: impl Into<Cow<'static, str>>) -> PyErr {
    PyErr::new::<T, _>(Text(text.into()))
}

/// An exception of a class.
#[cold]
pub(crate) fn error_of(class: Bound<'_, PyType>, text: impl Into<Cow<'static, str>>) -> PyErr {
    #[expect(clippy::disallowed_methods, reason = "with such a text it does not panic")]
    PyErr::from_type(class, Text(text.into()))
}

/// An exception class that a module makes, and has from the beginning on.
pub(crate) trait Class: 'static {
    /// The class.
    fn class(py: Python<'_>) -> &'static Py<PyType>;
}

/// A class for [`error`].
pub(crate) struct Made<C>(PhantomData<C>);

// SAFETY: a class, which is kept for ever. Nothing is said of its instances.
unsafe impl<C: Class> PyTypeInfo for Made<C> {
    fn type_object_raw(py: Python<'_>) -> *mut ffi::PyTypeObject {
        C::class(py).as_ptr().cast()
    }
}

/// A new exception class; `base` is a class, or a tuple of classes.
pub(crate) fn exception_class<'py>(
    py: Python<'py>,
    name: &std::ffi::CStr,
    doc: &std::ffi::CStr,
    base: &Bound<'_, PyAny>,
) -> PyResult<Bound<'py, PyType>> {
    let (name, doc) = (name.as_ptr(), doc.as_ptr());
    // SAFETY: attached; zero-terminated; a live object. Python refuses what is no class.
    let class = unsafe {
        let class = ffi::PyErr_NewExceptionWithDoc(name, doc, base.as_ptr(), null_mut());
        Bound::from_owned_ptr_or_err(py, class)?
    };
    Ok(class.cast_into::<PyType>()?)
}

/// `MemoryError`, for which Python needs no memory.
#[cold]
pub(crate) fn no_memory() -> PyErr {
    PyErr::new::<PyMemoryError, _>(())
}

/// `getattr(object, name)`. Unlike PyO3's, this takes names of any type, and leaves it to Python what it makes of them.
pub(crate) fn get_attribute<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; live objects.
    unsafe { made(object.py(), ffi::PyObject_GetAttr(object.as_ptr(), name.as_ptr())) }
}

/// `setattr(object, name, value)`, in the same way.
pub(crate) fn set_attribute(
    object: &Bound<'_, PyAny>,
    name: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    // SAFETY: attached; live objects.
    let status = unsafe { ffi::PyObject_SetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) };
    if status < 0 { Err(PyErr::fetch(object.py())) } else { Ok(()) }
}

/// The next item of an iterator; `None` at its end.
///
/// # Errors
/// `TypeError` for what is no iterator, and what it raises.
pub(crate) fn next<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = iterator.py();
    // SAFETY: attached; `PyIter_Next` needs an iterator, so that is checked first.
    let item = unsafe {
        if ffi::PyIter_Check(iterator.as_ptr()) == 0 {
            let kind = iterator.get_type().name()?;
            return Err(error::<PyTypeError>(format!("'{kind}' object is not an iterator")));
        }
        Bound::from_owned_ptr_or_opt(py, ffi::PyIter_Next(iterator.as_ptr()))
    };
    if item.is_none()
        && let Some(error) = PyErr::take(py)
        && !error.is_instance_of::<PyStopIteration>(py)
    {
        return Err(error);
    }
    Ok(item)
}

/// How many bytes one place of the reserve has.
const PLACE: usize = 512;

/// How many places there are: one for each bit.
const PLACES: usize = 64;

/// Rust ends the process where the system has no memory for a box or a short list, such as an exception needs. This
/// reserve serves those allocations. Code that allocates large blocks calls `try_reserve` first and never gets here.
struct Reserve {
    used: AtomicU64,
    places: UnsafeCell<Places>,
}

#[repr(align(64))]
struct Places(#[expect(dead_code, reason = "used by address")] [u8; PLACE * PLACES]);

// SAFETY: a place is handed out only to the one thread that has set the place's bit, so no two threads share one.
unsafe impl Sync for Reserve {}

impl Reserve {
    const fn new() -> Self {
        Reserve { used: AtomicU64::new(0), places: UnsafeCell::new(Places([0; PLACE * PLACES])) }
    }

    /// A free place, or null.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        if layout.size() > PLACE || layout.align() > align_of::<Places>() {
            return null_mut();
        }
        let mut used = self.used.load(Ordering::Relaxed);
        while used != u64::MAX {
            let place = used.trailing_ones();
            let more = used | 1 << place;
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.used.compare_exchange_weak(used, more, order.0, order.1) {
                Ok(_) => {
                    return self.places.get().cast::<u8>().wrapping_add(place as usize * PLACE);
                }
                Err(now) => used = now,
            }
        }
        null_mut()
    }

    /// Which place this is, if it is one.
    #[inline(always)]
    fn find(&self, memory: *mut u8) -> Option<usize> {
        let offset = memory.addr().wrapping_sub(self.places.get().addr());
        (offset < PLACE * PLACES).then_some(offset / PLACE)
    }

    #[cold]
    fn give_back(&self, place: usize) {
        self.used.fetch_and(!(1 << place), Ordering::Release);
    }
}

// SAFETY: what the system gives goes back to the system, what the reserve gives to the reserve, which has no
// memory of the system's; a place is as large and as aligned as was asked for.
unsafe impl GlobalAlloc for Reserve {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() { self.take(layout) } else { memory }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match self.find(memory) {
            Some(place) => self.give_back(place),
            // SAFETY: as the caller promises; it is the system's.
            None => unsafe { System.dealloc(memory, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let place = self.find(memory);
        if place.is_none() {
            // SAFETY: as the caller promises; it is the system's.
            let larger = unsafe { System.realloc(memory, layout, size) };
            if !larger.is_null() {
                return larger;
            }
        } else if size <= PLACE {
            return memory;
        }
        // SAFETY: the caller promises that the new size is one of a layout; both blocks have room for what
        // is copied, and the old one is not used after.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(memory, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            new
        }
    }
}

#[global_allocator]
static RESERVE: Reserve = Reserve::new();

/// `slice(end)`.
pub(crate) fn slice(py: Python<'_>, end: usize) -> PyResult<Bound<'_, PyAny>> {
    let end = integer(py, size(end))?;
    // SAFETY: attached; a live object, and null for what is left out.
    unsafe { made(py, ffi::PySlice_New(null_mut(), end.as_ptr(), null_mut())) }
}

/// An exception with a frame more in its traceback for each of these code objects, the innermost first. Without memory for
/// them it is as it was.
pub(crate) fn with_frames<'py>(
    py: Python<'py>,
    error: PyErr,
    codes: &[Bound<'py, PyAny>],
    globals: &Bound<'py, PyDict>,
) -> PyErr {
    #[cfg(not(any(Py_LIMITED_API, PyPy, GraalPy)))]
    {
        error.restore(py);
        for code in codes {
            // SAFETY: attached; a code object and a dict. A frame that runs nothing is made, added and given up; where
            // there is none, the exception is the error that says why.
            unsafe {
                let (code, globals) = (code.as_ptr().cast(), globals.as_ptr());
                let frame = ffi::PyFrame_New(ffi::PyThreadState_Get(), code, globals, null_mut());
                if frame.is_null() {
                    break;
                }
                ffi::PyTraceBack_Here(frame);
                ffi::Py_DECREF(frame.cast());
            }
        }
        PyErr::fetch(py)
    }
    #[cfg(any(Py_LIMITED_API, PyPy, GraalPy))]
    {
        let add = import(py, c"lupa._frames").and_then(|module| {
            let add = module.getattr(name(py, c"add")?)?;
            let list = list(py)?;
            codes.iter().try_for_each(|code| list.append(code))?;
            add.call1((error.value(py), list, globals))
        });
        drop(add);
        error
    }
}

/// The dict of all modules that have been imported.
pub(crate) fn modules(py: Python<'_>) -> Bound<'_, PyAny> {
    // SAFETY: attached; gives a borrowed reference, and there is such a dict as long as Python runs.
    unsafe { Bound::from_borrowed_ptr(py, ffi::PyImport_GetModuleDict()) }
}

/// The `int` that an object is, by `__index__`.
pub(crate) fn index<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: attached; a live object.
    unsafe { made(object.py(), ffi::PyNumber_Index(object.as_ptr())) }
}

/// Whether an object has the buffer protocol.
pub(crate) fn has_buffer(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: attached; a live object.
    unsafe { ffi::PyObject_CheckBuffer(object.as_ptr()) != 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_has_an_end_and_takes_back() {
        let layout = Layout::new::<[u64; 8]>();
        let reserve = Reserve::new();
        let taken: Vec<_> = (0..PLACES).map(|_| reserve.take(layout)).collect();
        let place = |memory: &*mut u8| reserve.find(*memory);
        assert!(taken.iter().map(place).eq((0..PLACES).map(Some)));
        assert!(reserve.take(layout).is_null());
        reserve.give_back(7);
        assert_eq!(reserve.take(layout), taken[7]);
        let large = Layout::new::<[u8; PLACE + 1]>();
        assert!(Reserve::new().take(large).is_null());
        assert_eq!(reserve.find(null_mut()), None);
    }
}
