//! `_LuaObject`: the wrapper of a Lua value, and the base of the other wrappers.
//!
//! A wrapper remembers its runtime and a reference into it, never a coroutine: what it is used on
//! is the coroutine that runs at that time.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use lua_api::{LuaBackend, Ref, value};
use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString};
use smallvec::SmallVec;

use crate::base::error::{Error, Result, type_error};
use crate::base::fallible;
use crate::base::imported::Name;
use crate::base::vectors;
use crate::calls::call::{self, Arguments};
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::quick;
use crate::convert::to_lua::{prepare, prepare_plain, push_plain};
use crate::convert::wrapper::{LuaObject, WrapperKind};
use crate::objects::length;
use crate::objects::text::{Repr, Str};
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;
use crate::types::compat::optional_attribute;
use crate::types::heap_type::This;
use crate::types::operations::{Binary, Call, GetAttribute, Identity, Length, Truth, Unary};
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
        .identity::<ByValue>()
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

/// Two wrappers are equal if they stand for one Lua value, as in `rawequal`. Nothing runs for that.
struct ByValue;

impl<B: LuaBackend> Identity<LuaObject<B>> for ByValue {
    fn equals(this: This<'_, LuaObject<B>>, other: Alive<'_>) -> Option<bool> {
        Some(this.is(other.wrapper::<B>()?.content()))
    }

    fn hash(this: This<'_, LuaObject<B>>) -> isize {
        this.identity().hash()
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
        if is_probe(&name) && this.object().is_table() && !has_field(py, this.content(), &name)? {
            return Ok(None);
        }
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

/// Names that tools ask any object for, to show or complete it. A table that has no such field itself has no such attribute,
/// where other names are `None`: the tools would call that.
fn is_probe(name: &Bound<'_, PyAny>) -> bool {
    let Ok(name) = name.cast::<PyString>() else { return false };
    let Ok(name) = name.to_str() else { return false };
    name.starts_with('_')
        && (name.ends_with('_')
            && ["_repr_", "_ipython_", "_mime_"].iter().any(|start| name.starts_with(start))
            || name == "_ipython_canary_method_should_not_exist_"
            || name == "_typ" // of pandas
            || name == "_fields" // of named tuples
            || name == "_asdict")
}

/// Whether a table has a field of this name, without its metamethods.
fn has_field<'py, B: LuaBackend>(
    py: Python<'py>,
    this: &'py LuaObject<B>,
    name: &Bound<'py, PyAny>,
) -> Result<bool> {
    let entry = this.runtime().enter(py)?;
    let key = attribute_key(&entry, name)?;
    let (state, key) = (entry.state(), key.value());
    let reference = this.reference();
    let found = state.protect(|raising| {
        raising.push_ref(reference);
        raising.expect_table(-1);
        crate::convert::to_lua::push(entry.runtime(), raising, key);
        raising.raw_get(-2);
        raising.type_of(-1) != value::NIL
    });
    found.map_err(|failure| crate::convert::lua_error::raised(&entry, state, failure))
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

/// A key of a table: an integer for an object that is equal to one and has its hash, as numbers of NumPy are.
pub(crate) fn as_key<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    key: Alive<'py>,
) -> Result<Bound<'py, PyAny>> {
    static INDEX: Name = Name::new(c"__index__");
    let py = entry.py;
    let given = key.borrow(py).to_owned();
    if prepare_plain(entry, key, Mode::NotNil).is_some()
        || given.is_instance_of::<PyInt>()
        || optional_attribute(given.get_type().as_any(), &INDEX.get(py)?)?.is_none()
    {
        return Ok(given);
    }
    let Ok(integer) = fallible::index(&given) else { return Ok(given) };
    let is_same = given.eq(&integer)? && given.hash().ok() == integer.hash().ok();
    Ok(if is_same { integer } else { given })
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
        let key = if is_table { as_key(&entry, key)? } else { key.borrow(py).to_owned() };
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
