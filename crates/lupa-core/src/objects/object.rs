//! `_LuaObject`: the wrapper of a Lua value, and the base of the other wrappers.
//!
//! A wrapper remembers its runtime and a reference into it, never a coroutine: what it is used on
//! is the coroutine that runs at that time.
#![forbid(unsafe_code)]

use std::ffi::{CStr, c_int};

use lua_api::{LuaBackend, Ref, value};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use smallvec::SmallVec;

use crate::base::error::{Error, Result, type_error};
use crate::base::fallible;
use crate::base::vectors;
use crate::calls::call::{self, Arguments};
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::quick;
use crate::convert::to_lua::{prepare, push_plain};
use crate::convert::wrapper::{LuaObject, WrapperKind};
use crate::objects::length;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::heap_type::This;
use crate::types::operations::{Binary, Call, GetAttribute, Length, Truth, Unary};
use crate::types::slots::Spec;

pub(crate) const DOC: &CStr = c"A Lua object that Python has by reference.\n\n\
    The base class of tables, functions and coroutines, and what userdata of Lua's libraries is (an open\n\
    file, say). To call it, to index it and to ask for its length is what Lua does with it, metamethods included:\n\n\
    >>> lua = LuaRuntime()\n\
    >>> type(lua.eval('io.stdout')) is LuaObject\n\
    True\n\
    >>> isinstance(lua.eval('print'), LuaObject)\n\
    True\n\n\
    It belongs to its runtime, and can't be passed into another.";

/// The description of the type `_LuaObject`. The other wrappers inherit all of it but calls.
pub(crate) fn spec<B: LuaBackend>() -> Spec<LuaObject<B>> {
    Spec::new("_LuaObject", DOC)
        .call::<CallValue>()
        .methods(crate::objects::methods::object())
        .repr::<Repr>()
        .str::<Str>()
        .attribute::<Attribute>()
        .iter::<RefuseIter>()
        .item::<Item>()
        .mapping_length::<Len>()
        .truth::<IsTrue>()
}

/// Calls the value.
pub(crate) struct CallValue;

impl<B: LuaBackend> Call<LuaObject<B>> for CallValue {
    #[inline(always)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        arguments: &'py [Alive<'py>],
        keywords: usize,
    ) -> Result<Bound<'py, PyAny>> {
        let args = positional(arguments, keywords)?;
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        match call::quick(&entry, this.reference(), args) {
            Some(result) => result,
            None => call_prepared(&entry, this.reference(), args),
        }
    }
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

/// References to the arguments of a call.
pub(crate) type Own<'py> = SmallVec<[Bound<'py, PyAny>; call::INLINE_ARGUMENTS]>;

/// References of our own to arguments: for as long as Python code runs that may have their owner let go.
pub(crate) fn hold<'py>(py: Python<'py>, args: &[Alive<'_>]) -> Result<Own<'py>> {
    let mut held = vectors::few(args.len())?;
    held.extend(args.iter().map(|arg| arg.borrow(py).to_owned()));
    Ok(held)
}

/// The arguments of a call; Lua functions take no keywords.
#[inline(always)]
pub(crate) fn positional<'a>(
    arguments: &'a [Alive<'a>],
    keywords: usize,
) -> Result<&'a [Alive<'a>]> {
    if keywords > 0 {
        return Err(type_error("Lua functions take no keyword arguments"));
    }
    Ok(arguments)
}

struct IsTrue;

impl<B: LuaBackend> Truth<LuaObject<B>> for IsTrue {
    fn run<'py>(_: Python<'py>, _: This<'py, LuaObject<B>>) -> Result<bool> {
        Ok(true)
    }
}

struct RefuseIter;

impl<B: LuaBackend> Unary<LuaObject<B>> for RefuseIter {
    fn run<'py>(_: Python<'py>, _: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        Err(type_error("iteration is only supported for tables"))
    }
}

struct Len;

impl<B: LuaBackend> Length<LuaObject<B>> for Len {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<isize> {
        let entry = this.runtime().enter(py)?;
        length::of(&entry, this.reference())
    }
}

struct Repr;

impl<B: LuaBackend> Unary<LuaObject<B>> for Repr {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        Ok(fallible::string(py, &plain_repr(&entry, this.reference()))?.into_any())
    }
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

struct Str;

impl<B: LuaBackend> Unary<LuaObject<B>> for Str {
    fn run<'py>(py: Python<'py>, this: This<'py, LuaObject<B>>) -> Result<Bound<'py, PyAny>> {
        let this = this.content();
        let entry = this.runtime().enter(py)?;
        Ok(to_string(&entry, this.reference())?.into_any())
    }
}

/// The result of `__tostring`, or the plain representation without it.
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
                crate::runtime::encoding::Encoding::Bytes => {
                    &crate::runtime::encoding::Encoding::Utf8
                }
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
            let origin = crate::convert::lua_error::Origin::Resume;
            Err(crate::convert::lua_error::from_stack(entry, state, raised, origin).into())
        }
    };
    state.set_top(base);
    text
}

struct Attribute;

impl<B: LuaBackend> GetAttribute<LuaObject<B>> for Attribute {
    #[inline(always)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        name: Alive<'py>,
    ) -> Result<Option<Bound<'py, PyAny>>> {
        if is_own_name(this, name, py) {
            return Ok(None);
        }
        let name = name.borrow(py).to_owned();
        get_attribute(py, this.content(), &name).map(Some)
    }
}

/// Whether a name is Python's business: `__dunder__`, or a method of the wrapper.
pub(crate) fn is_own_name<B: LuaBackend>(
    this: This<'_, LuaObject<B>>,
    name: Alive<'_>,
    py: Python<'_>,
) -> bool {
    let name = name.borrow(py);
    let Ok(name) = name.cast::<PyString>() else { return true };
    let Ok(name) = name.to_str() else { return false };
    if name.starts_with("__") && name.ends_with("__") {
        return true;
    }
    let is = |kind| this.object().is_wrapper_of(kind);
    if is(WrapperKind::Table) {
        matches!(name, "keys" | "values" | "items")
    } else if is(WrapperKind::Function) || is(WrapperKind::CoroutineFunction) {
        name == "coroutine"
    } else {
        is(WrapperKind::Coroutine) && name == "send"
    }
}

/// Attribute access that goes to Lua: the name is a string there, whatever the encoding.
pub(crate) fn get_attribute<'py, B: LuaBackend>(
    py: Python<'py>,
    this: &'py LuaObject<B>,
    name: &Bound<'py, PyAny>,
) -> Result<Bound<'py, PyAny>> {
    let reference = this.reference();
    let entry = this.runtime().enter(py)?;
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
    if let (crate::runtime::encoding::Encoding::Utf8, crate::runtime::encoding::Encoding::Utf8) =
        (&entry.options.encoding, &entry.options.source_encoding)
    {
        return prepare(entry, name, Mode::NotNil);
    }
    let Ok(text) = name.cast::<PyString>() else {
        return prepare(entry, name, Mode::NotNil);
    };
    Ok(Ready::Bytes(entry.options.source_encoding.encode(text)?))
}

struct Item;

impl<B: LuaBackend> Binary<LuaObject<B>> for Item {
    #[inline(always)]
    fn run<'py>(
        py: Python<'py>,
        this: This<'py, LuaObject<B>>,
        key: Alive<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let reference = this.reference();
        let entry = this.content().runtime().enter(py)?;
        let is_table = this.object().is_table();
        let mode = if is_table { Mode::NotNil } else { Mode::Value };
        if let Some(found) = quick::get(&entry, reference, key, mode) {
            return found;
        }
        let key = key.borrow(py).to_owned();
        let key = prepare(&entry, &key, mode)?;
        get(&entry, reference, key.value(), false)
    }
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
                let result = crate::convert::from_lua::from_lua(runtime, entry.py, state, -1);
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
        crate::convert::to_lua::push(runtime, raising, key);
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
