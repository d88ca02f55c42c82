//! Python objects in Lua, in two steps: [`prepare`] runs whatever Python code a conversion needs
//! and gives a plain value; [`push`] puts it on the stack and runs none.
//!
//! So no Python code ever runs while a half-made call or table is on the Lua stack, and what may
//! raise a Lua error owns nothing. A plain value cannot outlive the object that it was made from: see [`Prepared`].
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, Ref, State, value};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyString};

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::base::imported::Name;
use crate::convert::everyday::Kind;
use crate::convert::from_lua::from_lua;
use crate::convert::lua_error::raised;
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::protocol::ProtocolWrapper;
use crate::runtime::arrays::Arriving;
use crate::runtime::boxes::{NewBox, View};
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;
use crate::types::compat;

/// Prepares an object for Lua.
///
/// # Errors
/// What the conversion raises: `OverflowError` for an integer that neither fits nor has a handler,
/// `UnicodeEncodeError`, or whatever Python code of the object raises.
#[inline]
pub(crate) fn prepare<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &'a Bound<'py, PyAny>,
    mode: Mode,
) -> Result<Ready<'a, 'py>> {
    match prepare_plain(entry, Alive::of(object), mode) {
        Some(prepared) => Ok(Ready::Plain(prepared)),
        None => other(entry, object),
    }
}

/// Prepares an object of one of the everyday types, which takes neither Python code nor an owner;
/// `None` for the rest.
#[inline]
pub(crate) fn prepare_plain<'a, B: LuaBackend>(
    entry: &Entry<'_, B>,
    object: Alive<'a>,
    mode: Mode,
) -> Option<Prepared<'a>> {
    match object.kind(entry.runtime()) {
        Kind::Int(number) => Some(Prepared::Integer(number)),
        Kind::Str(_) if matches!(entry.options.encoding, Encoding::Utf8) => {
            object.utf8().map(Prepared::Bytes)
        }
        Kind::Float(number) => Some(Prepared::Float(number)),
        Kind::None if mode == Mode::NotNil => Some(Prepared::PyNone),
        Kind::None => Some(Prepared::Nil),
        Kind::Bool(truth) => Some(Prepared::Bool(truth)),
        Kind::Wrapper(reference) => Some(Prepared::Reference(reference)),
        Kind::Bytes => object.bytes().map(Prepared::Bytes),
        Kind::Str(_) | Kind::Other => None,
    }
}

#[cold]
fn other<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &'a Bound<'py, PyAny>,
) -> Result<Ready<'a, 'py>> {
    if object.is_instance_of::<PyInt>() {
        return integer(entry, object);
    }
    // To be asked costs less than an error of `cast`.
    if object.is_instance_of::<PyString>()
        && let Ok(string) = object.cast::<PyString>()
    {
        return text(entry.runtime(), string);
    }
    if object.is_instance_of::<PyFloat>()
        && let Ok(float) = object.cast::<PyFloat>()
    {
        return Ok(Ready::Plain(Prepared::Float(float.value())));
    }
    if let Some(reference) = Alive::of(object).reference(entry.runtime()) {
        return Ok(Ready::Plain(Prepared::Reference(reference?)));
    }
    if let Some(bytes) = Alive::of(object).bytes() {
        return Ok(Ready::Plain(Prepared::Bytes(bytes)));
    }
    if let Some(arriving) = (entry.arrays.hooks.prepare)(entry, object)? {
        return arrived(entry, arriving);
    }
    if let Ok(wrapper) = object.cast_exact::<ProtocolWrapper>() {
        let (target, view) = wrapper.get().parts(entry.py);
        return Ok(Ready::Plain(Prepared::Object(target, view)));
    }
    let view = default_view(entry.runtime(), object)?;
    Ok(Ready::Plain(Prepared::Object(Alive::of(object), view)))
}

/// An array, or a number of NumPy's.
fn arrived<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    arriving: Arriving<'py>,
) -> Result<Ready<'a, 'py>> {
    Ok(match arriving {
        Arriving::Array(array) => Ready::Object(array, View::ARRAY),
        // The overflow handler may return the integer itself, so that is held.
        Arriving::Integer(number) => prepare(entry, &number, Mode::Value)?.hold(&number),
        Arriving::Float(number) => Ready::Plain(Prepared::Float(number)),
        Arriving::Bool(truth) => Ready::Plain(Prepared::Bool(truth)),
    })
}

static GETITEM: Name = Name::new(c"__getitem__");

/// The view that an object gets by itself: items if it has `__getitem__`, else attributes. In a sandbox its type is asked
/// alone: to look for an attribute may run code of the object, which is not exposed yet.
fn default_view<B: LuaBackend>(runtime: &Runtime<B>, object: &Bound<'_, PyAny>) -> PyResult<View> {
    let has_items = compat::type_has_subscript(object)
        || if runtime.options.sandbox.is_some() {
            compat::type_has_items(object)
        } else {
            compat::optional_attribute(object, &GETITEM.get(object.py())?)?.is_some()
        };
    Ok(if has_items { View::ITEMS } else { View::ATTRIBUTES })
}

#[inline]
fn integer<'a, 'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &'a Bound<'py, PyAny>,
) -> Result<Ready<'a, 'py>> {
    if let Some(number) = Alive::of(object).integer::<B>() {
        return Ok(Ready::Plain(Prepared::Integer(number)));
    }
    match overflow_handler(entry, object)? {
        Some(handled) => Ok(handled),
        None => Err(fallible::error::<PyOverflowError>(
            "Python int too large to convert to a Lua integer",
        )
        .into()),
    }
}

/// Asks the overflow handler for a replacement; `None` if there is none, or it fails.
#[cold]
pub(crate) fn overflow_handler<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
) -> Result<Option<Ready<'static, 'py>>> {
    let runtime = entry.runtime();
    let state = entry.state();
    let Some(handler) = runtime.anchors.overflow.get() else { return Ok(None) };
    state.push_ref(handler);
    let unset = state.type_of(-1) != value::FUNCTION && state.type_of(-1) != value::USERDATA;
    state.pop(1);
    if unset {
        return Ok(None);
    }
    if !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    let prepared = Prepared::Object(Alive::of(object), View::ATTRIBUTES);
    let base = state.top();
    let called = state.protect_values(|raising| {
        raising.push_ref(handler);
        push(runtime, raising, prepared);
        runtime.detach();
        raising.call(1, 1);
        runtime.attach();
        1
    });
    // An error may have come while detached.
    entry.attach();
    if let Err(stop) = entry.check_stop() {
        state.set_top(base);
        return Err(stop);
    }
    if let Err(failure) = called {
        state.set_top(base);
        return if failure.0 == lua_api::ERRMEM { Err(Error::Memory) } else { Ok(None) };
    }
    let result = replacement(runtime, entry.py, state);
    state.set_top(base);
    result.map(Some)
}

/// The value on top, as something to push again.
fn replacement<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
) -> Result<Ready<'static, 'py>> {
    Ok(match state.type_of(-1) {
        value::NIL => Ready::Plain(Prepared::Nil),
        value::BOOLEAN => Ready::Plain(Prepared::Bool(state.to_bool(-1))),
        value::NUMBER => match state.to_integer(-1) {
            Some(integer) => Ready::Plain(Prepared::Integer(integer)),
            None => Ready::Plain(Prepared::Float(state.to_number(-1))),
        },
        value::STRING => {
            let held = state
                .with_bytes(-1, |bytes| Encoding::Bytes.decode(py, bytes.unwrap_or_default()))?;
            Ready::Bytes(held.cast_into().map_err(PyErr::from)?)
        }
        kind => {
            if kind == value::USERDATA
                && let Some((_, view)) = runtime.boxes.find(state, -1)
            {
                return Ok(Ready::Object(from_lua(runtime, py, state, -1)?, view));
            }
            let held = from_lua(runtime, py, state, -1)?;
            match Alive::of(&held).reference(runtime) {
                Some(reference) => Ready::Reference(reference?, held),
                None => {
                    let view = default_view(runtime, &held)?;
                    Ready::Object(held, view)
                }
            }
        }
    })
}

#[inline]
fn text<'a, 'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    text: &'a Bound<'py, PyString>,
) -> Result<Ready<'a, 'py>> {
    match &runtime.options.encoding {
        Encoding::Utf8 => Ok(Ready::Plain(Prepared::Bytes(text.to_str()?.as_bytes()))),
        Encoding::Bytes => {
            Ok(Ready::Plain(Prepared::Object(Alive::of(text), default_view(runtime, text)?)))
        }
        encoding @ Encoding::Codec(_) => Ok(Ready::Bytes(encoding.encode(text)?)),
    }
}

/// Pushes what neither allocates nor raises; says whether it did.
#[inline]
pub(crate) fn push_plain<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    prepared: Prepared<'_>,
) -> bool {
    match prepared {
        Prepared::Nil => state.push_nil(),
        Prepared::Bool(b) => state.push_bool(b),
        Prepared::Integer(n) => state.push_integer(n),
        Prepared::Float(n) => state.push_number(n),
        Prepared::Reference(reference) => state.push_ref(reference),
        Prepared::PyNone => match runtime.anchors.none.get() {
            Some(none) => state.push_ref(none),
            None => return false,
        },
        Prepared::Bytes(..) | Prepared::Weighty(..) => return false,
        Prepared::Object(object, view) => return push_known(runtime, state, object, view),
    }
    true
}

/// Pushes the box that an object has already; pushes nothing if it has none.
#[inline]
fn push_known<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    object: Alive<'_>,
    view: View,
) -> bool {
    push_cached(runtime, state, cache_key::<B>(object), view, || {
        runtime.boxes.find(state, -1) == Some((object.address(), view))
    })
}

/// Pushes the box that the identity cache has under a key, if it is still there and, on top, the right one.
#[inline(always)]
fn push_cached<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    key: i64,
    view: View,
    is_right: impl FnOnce() -> bool,
) -> bool {
    let Some(cache) = cache(runtime, view) else { return false };
    // A script can reach this table by `debug.getregistry`, so its type is checked.
    if state.push_ref_type(cache) != value::TABLE {
        state.pop(1);
        return false;
    }
    state.push_integer(key);
    state.raw_get(-2);
    state.remove(-2);
    if is_right() {
        return true;
    }
    state.pop(1);
    false
}

/// Pushes a method that was just read from its instance. One that is equal to it, and in Lua already,
/// takes its place: `object:method()` in a loop needs one box.
///
/// # Errors
/// As for [`push_protected`].
pub(crate) fn push_method<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    method: &Bound<'_, PyAny>,
    view: View,
    identity: (usize, usize),
) -> Result<()> {
    let runtime = entry.runtime();
    // Negative, so that it is the key of no object.
    let key = -spread::<B>(identity.0 ^ identity.1 >> 4) - 1;
    let is_equal = || runtime.boxes.find_method(entry.py, state, -1) == Some(identity);
    if push_cached(runtime, state, key, view, is_equal) {
        return Ok(());
    }
    let view = if view == View::ATTRIBUTES { default_view(runtime, method)? } else { view };
    if !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    let object = Alive::of(method);
    let mut weight = Weight::default();
    if runtime.weighs() {
        weight = entry.weight_of_new(object);
        entry.make_room(weight.bytes())?;
    }
    match state.protect_values(|raising| {
        push_new(runtime, raising, object, view, key, weight);
        1
    }) {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}

fn cache<B: LuaBackend>(runtime: &Runtime<B>, view: View) -> Option<Ref> {
    let index = match view {
        View::ATTRIBUTES => 0,
        View::ITEMS => 1,
        View::CALL => 2,
        _ => return None,
    };
    runtime.anchors.boxes[index].get()
}

/// The key of an object in the identity cache: a number, since a bare pointer may allocate in
/// LuaJIT. Of an integer Lua 5.3 looks only at the low bits, and those of addresses are 0: so they are left out,
/// or most objects would collide. No two objects are so close that nothing else tells them apart: each has a count
/// and a type.
#[inline(always)]
fn cache_key<B: LuaBackend>(object: Alive<'_>) -> i64 {
    const LEAST: usize = 2 * size_of::<usize>();
    spread::<B>(object.address() >> LEAST.ilog2())
}

/// A key below 2^52, so exact also where numbers are floats; another one for each number below that. LuaJIT hashes
/// a float by bits from its ends, which addresses have in common, so there all bits depend on the low ones.
#[inline(always)]
fn spread<B: LuaBackend>(number: usize) -> i64 {
    const BITS: u32 = 52;
    // The golden ratio, by which Knuth multiplies (The Art of Computer Programming, 6.4).
    const FACTOR: u64 = 0x9_E377_9B97_F4A7 | 1;
    let number = if B::HAS_FFI { (number as u64).wrapping_mul(FACTOR) } else { number as u64 };
    (number & ((1 << BITS) - 1)) as i64
}

/// Pushes a prepared value. For objects: after [`crate::runtime::boxes::Boxes::reserve`], attached.
#[inline]
pub(crate) fn push<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    prepared: Prepared<'_>,
) {
    if push_plain(runtime, raising.state(), prepared) {
        return;
    }
    match prepared {
        Prepared::Bytes(bytes) => raising.push_bytes(bytes),
        Prepared::Object(object, View::ARRAY) => {
            (runtime.arrays.hooks.push)(runtime, raising, object)
        }
        Prepared::Object(object, view) => {
            let weight = if runtime.weighs() { Weight::of_box() } else { Weight::default() };
            push_new(runtime, raising, object, view, cache_key::<B>(object), weight);
        }
        Prepared::Weighty(object, view, weight) => {
            push_new(runtime, raising, object, view, cache_key::<B>(object), weight);
        }
        _ => raising.push_nil(),
    }
}

fn push_new<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    object: Alive<'_>,
    view: View,
    key: i64,
    weight: Weight,
) {
    let new =
        NewBox { object, view, weight, cache: cache(runtime, view).map(|cache| (cache, key)) };
    let anchors = &runtime.anchors;
    runtime.boxes.push(raising, new, (anchors.metatable.get(), anchors.metatable_address.get()));
    runtime.load(weight);
}

/// Pushes a prepared value from ordinary code, in a protected call if it needs one.
///
/// # Errors
/// A Lua error, as a Python exception.
#[inline]
pub(crate) fn push_protected<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    prepared: Prepared<'_>,
) -> Result<()> {
    let runtime = entry.runtime();
    if push_plain(runtime, state, prepared) {
        return Ok(());
    }
    let prepared = entry.weighed(prepared)?;
    if !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    match state.protect_values(|raising| {
        push(runtime, raising, prepared);
        1
    }) {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}

impl<B: LuaBackend> Entry<'_, B> {
    /// Before a box is made: room for it, and how much it is to count for. An object that nobody else has was
    /// made for Lua, and is there for as long as the box.
    #[inline]
    pub(crate) fn weighed<'a>(&self, prepared: Prepared<'a>) -> Result<Prepared<'a>> {
        match prepared {
            Prepared::Object(object, view) if view != View::ARRAY && self.weighs() => {
                let weight = self.weight_of_new(object);
                self.make_room(weight.bytes())?;
                Ok(Prepared::Weighty(object, view, weight))
            }
            other => Ok(other),
        }
    }
}
