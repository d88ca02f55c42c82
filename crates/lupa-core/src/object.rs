//! `_LuaObject`: the wrapper of a Lua value, and the base of the other wrappers.
//!
//! A wrapper remembers its runtime and a reference into it, never a coroutine: what it is used on
//! is the coroutine that runs at that time.

use std::ffi::{CStr, c_int, c_void};
use std::ptr::null_mut;

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::alive::Alive;
use crate::call::{self, Arguments};
use crate::engine;
use crate::entry::Entry;
use crate::error::{Error, Result, type_error};
use crate::fallible;
use crate::guard::{guard, guard_int};
use crate::length;
use crate::owner::RuntimeObject;
use crate::quick;
use crate::runtime::Runtime;
use crate::to_lua::{Mode, Prepared, Ready, prepare, push_plain};
use crate::types::{self, slot};

pub(crate) const DOC: &CStr = c"A Lua object that Python has by reference.\n\n\
    The base class of tables, functions and coroutines, and what userdata of Lua's libraries is (an open\n\
    file, say). To call it, to index it and to ask for its length is what Lua does with it, metamethods included:\n\n\
    >>> lua = LuaRuntime()\n\
    >>> type(lua.eval('io.stdout')) is LuaObject\n\
    True\n\
    >>> isinstance(lua.eval('print'), LuaObject)\n\
    True\n\n\
    It belongs to its runtime, and can't be passed into another.";

/// The memory of every wrapper begins like this.
#[repr(C)]
pub(crate) struct LuaObject {
    base: ffi::PyObject,
    vectorcall: Option<ffi::vectorcallfunc>,
    owner: *mut ffi::PyObject,
    reference: Ref,
}

/// Wraps the value at `index` in a new object of the type `kind`.
#[inline]
pub(crate) fn wrap<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: c_int,
    kind: *mut ffi::PyTypeObject,
) -> Result<Bound<'py, PyAny>> {
    state.push_value(index);
    let Ok(reference) = runtime.instance.take_ref(state) else {
        state.pop(1);
        return Err(Error::Memory);
    };
    // SAFETY: attached; `kind` is one of the wrapper types of this module.
    unsafe {
        let object = ffi::PyType_GenericAlloc(kind, 0);
        if object.is_null() {
            runtime.instance.release(reference);
            return Err(PyErr::fetch(py).into());
        }
        let wrapper = object.cast::<LuaObject>();
        (*wrapper).vectorcall = Some(if kind == types::get().coroutine_function {
            crate::function::start::<B>
        } else {
            vectorcall::<B>
        });
        (*wrapper).owner = runtime.owner();
        ffi::Py_INCREF((*wrapper).owner);
        (*wrapper).reference = reference;
        Ok(Bound::from_owned_ptr(py, object))
    }
}

/// Whether an object is a wrapper of this module.
///
/// # Safety
/// A live object.
#[inline]
pub(crate) unsafe fn is_lua_object(object: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises. Subclasses made in Python cannot have instances.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        let types = types::get();
        kind == types.table
            || kind == types.function
            || kind == types.coroutine
            || kind == types.coroutine_function
            || kind == types.object
    }
}

/// The reference of a wrapper, for use in the runtime of `owner`.
///
/// # Safety
/// [`is_lua_object`] holds.
#[inline]
pub(crate) unsafe fn reference_in(
    object: *mut ffi::PyObject,
    owner: *mut ffi::PyObject,
) -> Result<Ref> {
    // SAFETY: as the caller promises.
    unsafe {
        let wrapper = object.cast::<LuaObject>();
        if (*wrapper).owner == owner { Ok((*wrapper).reference) } else { Err(Error::OtherRuntime) }
    }
}

/// The runtime and the reference of a wrapper.
///
/// # Safety
/// [`is_lua_object`] holds, and the object outlives the result.
#[inline(always)]
pub(crate) unsafe fn parts<'a, B: LuaBackend>(object: *mut ffi::PyObject) -> (&'a Runtime<B>, Ref) {
    // SAFETY: as the caller promises; the owner is a runtime object of this module.
    unsafe {
        let wrapper = object.cast::<LuaObject>();
        (RuntimeObject::<B>::runtime((*wrapper).owner), (*wrapper).reference)
    }
}

/// The same, of an object that may be anything: `None` for others, and for those of another backend.
pub(crate) fn of<'a, B: LuaBackend>(object: &'a Bound<'_, PyAny>) -> Option<(&'a Runtime<B>, Ref)> {
    // SAFETY: alive for that time, and checked.
    unsafe {
        let right = is_lua_object(object.as_ptr()) && engine::is_of::<B>();
        right.then(|| parts(object.as_ptr()))
    }
}

/// The slots that every wrapper type needs as its own: a type from a spec does not inherit them as
/// one would want.
pub(crate) fn common_slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
    vec![
        slot(ffi::Py_tp_dealloc, dealloc::<B> as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void),
        slot(ffi::Py_tp_members, members().cast()),
    ]
}

/// The slots of `_LuaObject`, which the other wrappers inherit.
pub(crate) fn slots<B: LuaBackend>() -> Vec<ffi::PyType_Slot> {
    vec![
        slot(ffi::Py_tp_methods, crate::methods::object::<B>().cast()),
        slot(ffi::Py_tp_repr, repr::<B> as *mut c_void),
        slot(ffi::Py_tp_str, str::<B> as *mut c_void),
        slot(ffi::Py_tp_getattro, getattro::<B> as *mut c_void),
        slot(ffi::Py_tp_iter, refuse_iter as *mut c_void),
        slot(ffi::Py_mp_subscript, subscript::<B> as *mut c_void),
        slot(ffi::Py_mp_length, length::<B> as *mut c_void),
        slot(ffi::Py_nb_bool, truth as *mut c_void),
    ]
}

fn members() -> *mut ffi::PyMemberDef {
    let members = Box::new([
        ffi::PyMemberDef {
            name: c"__vectorcalloffset__".as_ptr(),
            type_code: crate::compat::T_PYSSIZET,
            offset: std::mem::offset_of!(LuaObject, vectorcall) as ffi::Py_ssize_t,
            flags: crate::compat::READONLY,
            doc: std::ptr::null(),
        },
        ffi::PyMemberDef::default(),
    ]);
    // The type keeps the pointer, and lives for ever.
    Box::leak(members).as_mut_ptr()
}

/// Gives back what every wrapper holds.
///
/// # Safety
/// Called from `tp_dealloc`, with the object untracked.
pub(crate) unsafe fn release<B: LuaBackend>(object: *mut ffi::PyObject) {
    // SAFETY: as the caller promises.
    unsafe {
        let wrapper = object.cast::<LuaObject>();
        let owner = std::mem::replace(&mut (*wrapper).owner, null_mut());
        if !owner.is_null() {
            RuntimeObject::<B>::runtime(owner).drop_ref((*wrapper).reference);
            types::drop_object(owner);
        }
    }
}

unsafe extern "C" fn dealloc<B: LuaBackend>(object: *mut ffi::PyObject) {
    // SAFETY: called by Python for the last reference.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        release::<B>(object);
        types::free(object);
    }
}

pub(crate) unsafe extern "C" fn traverse(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by Python's collector with a live object.
    unsafe {
        let result = types::visit_type(object, visit, arg);
        let owner = (*object.cast::<LuaObject>()).owner;
        if result != 0 || owner.is_null() { result } else { visit(owner, arg) }
    }
}

pub(crate) unsafe extern "C" fn vectorcall<B: LuaBackend>(
    object: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python; the arguments are alive for the time of the call.
        unsafe {
            let args = positional(args, nargsf, kwnames)?;
            let (runtime, reference) = parts::<B>(object);
            let entry = runtime.enter(py)?;
            match call::quick(&entry, reference, args) {
                Some(result) => result,
                None => call_prepared(&entry, reference, args),
            }
        }
    })
}

#[inline(never)]
fn call_prepared<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    args: &[Alive<'_>],
) -> Result<Bound<'py, PyAny>> {
    let args = hold(entry.py, args)?;
    let arguments = Arguments::prepare(entry, &args)?;
    call::call(entry, reference, &arguments)
}

/// References of our own to arguments: for as long as Python code runs that may have their owner let go.
pub(crate) fn hold<'py>(py: Python<'py>, args: &[Alive<'_>]) -> Result<Vec<Bound<'py, PyAny>>> {
    let mut held = Vec::new();
    held.try_reserve_exact(args.len()).map_err(|_| Error::Memory)?;
    held.extend(args.iter().map(|arg| arg.borrow(py).to_owned()));
    Ok(held)
}

/// The arguments of a vectorcall; Lua functions take no keywords.
///
/// # Safety
/// The arguments of a vectorcall, alive for `'a`.
pub(crate) unsafe fn positional<'a>(
    args: *const *mut ffi::PyObject,
    nargsf: usize,
    kwnames: *mut ffi::PyObject,
) -> Result<&'a [Alive<'a>]> {
    // SAFETY: as the caller promises.
    unsafe {
        if !kwnames.is_null() && ffi::PyTuple_Size(kwnames) > 0 {
            return Err(type_error("Lua functions take no keyword arguments"));
        }
        let count = ffi::PyVectorcall_NARGS(nargsf as _) as usize;
        Ok(Alive::slice(args, count))
    }
}

unsafe extern "C" fn truth(_: *mut ffi::PyObject) -> c_int {
    1
}

unsafe extern "C" fn refuse_iter(_: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: attached.
    unsafe {
        ffi::PyErr_SetString(
            ffi::PyExc_TypeError,
            c"iteration is only supported for tables".as_ptr(),
        );
    }
    null_mut()
}

unsafe extern "C" fn length<B: LuaBackend>(object: *mut ffi::PyObject) -> ffi::Py_ssize_t {
    guard_int(|py| {
        // SAFETY: called by Python with a live wrapper.
        let (runtime, reference) = unsafe { parts::<B>(object) };
        let entry = runtime.enter(py)?;
        length::of(&entry, reference)
    })
}

unsafe extern "C" fn repr<B: LuaBackend>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live wrapper.
        let (runtime, reference) = unsafe { parts::<B>(object) };
        let entry = runtime.enter(py)?;
        Ok(fallible::string(py, &plain_repr(&entry, reference))?.into_any())
    })
}

/// `<Lua table at 0x...>`.
pub(crate) fn plain_repr<B: LuaBackend>(entry: &Entry<'_, B>, reference: Ref) -> String {
    let state = entry.state();
    state.push_ref(reference);
    let name = state.type_name(-1);
    let address = match state.type_of(-1) {
        value::USERDATA | value::LIGHTUSERDATA => state.to_userdata(-1).cast_const(),
        value::TABLE | value::FUNCTION | value::THREAD => state.to_pointer(-1),
        _ => std::ptr::null(),
    };
    state.pop(1);
    if address.is_null() { format!("<Lua {name}>") } else { format!("<Lua {name} at {address:p}>") }
}

unsafe extern "C" fn str<B: LuaBackend>(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live wrapper.
        let (runtime, reference) = unsafe { parts::<B>(object) };
        let entry = runtime.enter(py)?;
        Ok(to_string(&entry, reference)?.into_any())
    })
}

/// What `__tostring` gives; without that, the plain representation.
fn to_string<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
) -> Result<Bound<'py, PyString>> {
    let plain = || Ok(fallible::string(entry.py, &plain_repr(entry, reference))?);
    let state = entry.state();
    state.push_ref(reference);
    let has_metatable = state.push_metatable(-1);
    state.pop(1 + c_int::from(has_metatable));
    if !has_metatable {
        return plain();
    }
    let runtime = entry.runtime();
    let base = state.top();
    let outcome = state.protect_values(|raising| {
        raising.push_ref(reference);
        raising.push_metatable(-1);
        raising.push_bytes(b"__tostring");
        raising.raw_get(-2);
        if raising.type_of(-1) == value::NIL {
            return 0;
        }
        raising.push_ref(reference);
        runtime.detach();
        raising.call(1, 1);
        runtime.attach();
        if raising.type_of(-1) == value::NUMBER {
            raising.convert_to_string(-1);
        }
        1
    });
    entry.attach();
    if let (Ok(_), Err(stop)) = (outcome, entry.check_stop()) {
        state.set_top(base);
        return Err(stop);
    }
    let text = match outcome {
        Ok(0) => plain(),
        Ok(_) => {
            let encoding = match &entry.options.encoding {
                crate::encoding::Encoding::Bytes => &crate::encoding::Encoding::Utf8,
                encoding => encoding,
            };
            let text = state
                .with_bytes(-1, |bytes| bytes.map(|bytes| encoding.decode_lossy(entry.py, bytes)));
            match text {
                Some(text) => text.map_err(Error::from),
                None => Err(type_error("__tostring returned non-string object")),
            }
        }
        Err(raised) => {
            let origin = crate::error::Origin::Resume;
            Err(crate::error::from_stack(entry, state, raised, origin).into())
        }
    };
    state.set_top(base);
    text
}

unsafe extern "C" fn getattro<B: LuaBackend>(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: called by Python with a live wrapper and a `str`.
    unsafe {
        if is_own_name(object, name) {
            return ffi::PyObject_GenericGetAttr(object, name);
        }
    }
    guard(|py| {
        // SAFETY: as above.
        let name = unsafe { Bound::from_borrowed_ptr(py, name) };
        // SAFETY: as above.
        unsafe { get_attribute::<B>(py, object, &name) }
    })
}

/// Whether a name is Python's business: `__dunder__`, or a method of the wrapper.
///
/// # Safety
/// A live wrapper and a live object.
pub(crate) unsafe fn is_own_name(object: *mut ffi::PyObject, name: *mut ffi::PyObject) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        if ffi::PyUnicode_Check(name) == 0 {
            return true;
        }
        let mut len = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(name, &raw mut len);
        if start.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let name = std::slice::from_raw_parts(start.cast::<u8>(), len as usize);
        if name.starts_with(b"__") && name.ends_with(b"__") {
            return true;
        }
        let kind = ffi::Py_TYPE(object);
        let types = types::get();
        if kind == types.table {
            matches!(name, b"keys" | b"values" | b"items")
        } else if kind == types.function || kind == types.coroutine_function {
            name == b"coroutine"
        } else {
            kind == types.coroutine && name == b"send"
        }
    }
}

/// Attribute access that goes to Lua: the name is a string there, whatever the encoding.
///
/// # Safety
/// A live wrapper.
pub(crate) unsafe fn get_attribute<'py, B: LuaBackend>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
    name: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>> {
    // SAFETY: as the caller promises.
    let (runtime, reference) = unsafe { parts::<B>(object) };
    let entry = runtime.enter(py)?;
    // Where strings are UTF-8, an attribute is an item; else there are no strings at hand.
    if let Some(found) = quick::get(&entry, reference, Alive::of(name), Mode::NotNil) {
        return found;
    }
    let key = attribute_key(&entry, name)?;
    get(&entry, reference, key.value(), true)
}

/// The key for an attribute: the name in the source encoding.
pub(crate) fn attribute_key<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    name: &'a Bound<'py, PyAny>,
) -> Result<Ready<'a, 'py>> {
    if let (crate::encoding::Encoding::Utf8, crate::encoding::Encoding::Utf8) =
        (&entry.options.encoding, &entry.options.source_encoding)
    {
        return prepare(entry, name, Mode::NotNil);
    }
    let Ok(text) = name.cast::<PyString>() else {
        return prepare(entry, name, Mode::NotNil);
    };
    Ok(Ready::Bytes(entry.options.source_encoding.encode(text)?))
}

unsafe extern "C" fn subscript<B: LuaBackend>(
    object: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guard(|py| {
        // SAFETY: called by Python with a live wrapper and key.
        unsafe {
            let (runtime, reference) = parts::<B>(object);
            let entry = runtime.enter(py)?;
            let mode =
                if ffi::Py_TYPE(object) == types::get().table { Mode::NotNil } else { Mode::Value };
            let key = Alive::from_ptr(key);
            if let Some(found) = quick::get(&entry, reference, key, mode) {
                return found;
            }
            let key = key.borrow(py).to_owned();
            let key = prepare(&entry, &key, mode)?;
            get(&entry, reference, key.value(), false)
        }
    })
}

/// `value[key]`, as Lua has it.
#[inline(never)]
fn get<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    key: Prepared<'_>,
    attribute: bool,
) -> Result<Bound<'py, PyAny>> {
    let state = entry.state();
    let runtime = entry.runtime();
    state.push_ref(reference);
    match state.type_of(-1) {
        value::TABLE if push_plain(runtime, state, key) => {
            state.raw_get(-2);
            let found = state.type_of(-1) != value::NIL || !state.push_metatable(-2);
            if found {
                let result = crate::from_lua::from_lua(runtime, entry.py, state, -1);
                state.pop(2);
                return result;
            }
            state.pop(3);
        }
        value::FUNCTION | value::THREAD => {
            state.pop(1);
            let message = "item/attribute access not supported on functions";
            return Err(if attribute {
                fallible::error::<PyAttributeError>(message).into()
            } else {
                fallible::error::<PyTypeError>(message).into()
            });
        }
        _ => state.pop(1),
    }
    if key.needs_box() && !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    call::run(entry, |raising| {
        raising.push_ref(reference);
        crate::to_lua::push(runtime, raising, key);
        if raising.type_of(1) == value::TABLE {
            // With no metamethod in the way nothing runs, and the GIL can stay.
            raising.push_value(2);
            raising.raw_get(1);
            if raising.type_of(-1) != value::NIL || !raising.push_metatable(1) {
                return 1;
            }
            raising.set_top(2);
        }
        runtime.detach();
        raising.get(1);
        runtime.attach();
        1
    })
}
