//! The fast path for everyday values: objects of exact types whose conversion needs neither Python code nor an
//! allocation in Lua, and so no protected call.
//!
//! No code runs here, with one exception: [`learn`] makes the Lua string of a `str` that comes often, and so may run Lua's
//! finalizers. Its caller therefore holds the object, as the type demands, and everything else that it uses afterwards.
//!
//! Where the fast path does not take a value (`false`, `None`), nothing has changed, and the caller takes the slow path
//! ([`crate::convert::to_lua`], [`crate::convert::from_lua`]), which knows every type.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::prelude::*;

use crate::base::error::Result;
use crate::convert::everyday::Kind;
use crate::convert::from_lua::{no_string, string};
use crate::convert::prepared::Mode;
use crate::runtime::entry::Entry;
use crate::runtime::strings::Strings;
use crate::types::alive::Alive;

/// Pushes an object, if the fast path takes it.
#[inline(always)]
pub(crate) fn push<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Alive<'_>,
    mode: Mode,
) -> bool {
    push_unless(entry, state, object.kind(entry.runtime()), mode, || learn(entry, object, 1))
}

/// As [`push`], of an object to which the caller has made a reference of its own.
#[inline(always)]
pub(crate) fn push_held<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Alive<'_>,
    mode: Mode,
) -> bool {
    push_unless(entry, state, object.kind(entry.runtime()), mode, || learn(entry, object, 2))
}

/// As [`push`], but of strings only those that are known already: so nothing runs.
#[inline(always)]
pub(crate) fn push_known<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Alive<'_>,
    mode: Mode,
) -> bool {
    push_unless(entry, state, object.kind(entry.runtime()), mode, || None)
}

#[inline(always)]
fn push_unless<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Kind,
    mode: Mode,
    unknown: impl FnOnce() -> Option<Ref>,
) -> bool {
    match object {
        Kind::Int(number) => state.push_integer(number),
        Kind::Str(address) => {
            let known = entry.runtime().strings.sent(address);
            let Some(reference) = known.or_else(unknown) else { return false };
            state.push_ref(reference);
        }
        Kind::Float(number) => state.push_number(number),
        Kind::None => match mode {
            Mode::Value => state.push_nil(),
            Mode::NotNil => return false,
        },
        Kind::Bool(truth) => state.push_bool(truth),
        Kind::Wrapper(reference) => state.push_ref(reference),
        Kind::Bytes | Kind::Other => return false,
    }
    true
}

/// The value on top of the stack, of this type and no string, which is a field of the table below it; `None` if the field is
/// nil and a metatable has to be asked.
#[inline(always)]
fn read<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    kind: i32,
) -> Option<Result<Bound<'py, PyAny>>> {
    if kind == value::NIL && state.push_metatable(-2) {
        state.pop(1);
        return None;
    }
    Some(no_string(entry.runtime(), entry.py, state, -1, kind))
}

/// `table[key]` of the table behind a reference, where this calls no metamethod and the fast path takes the key.
#[inline(always)]
pub(crate) fn get<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    reference: Ref,
    key: Alive<'_>,
    mode: Mode,
) -> Option<Result<Bound<'py, PyAny>>> {
    let state = entry.state();
    if state.push_ref_type(reference) != value::TABLE {
        state.pop(1);
        return None;
    }
    let kind = key.kind(entry.runtime());
    let result = if let Some(position) = position::<B>(kind) {
        state.raw_geti_with(
            -1,
            position,
            |bytes| Some(string(entry.runtime(), entry.py, bytes)),
            |kind| read(entry, state, kind),
        )
    } else if push_unless(entry, state, kind, mode, || learn(entry, key, 1)) {
        state.raw_get_with(
            -2,
            |bytes| Some(string(entry.runtime(), entry.py, bytes)),
            |kind| read(entry, state, kind),
        )
    } else {
        state.pop(1);
        return None;
    };
    state.pop(2);
    result
}

/// Assigns `table[key] = value` to the table behind a reference, without metamethods, if the key is in it already and the
/// fast path takes both. The value is not nil.
#[inline(always)]
pub(crate) fn replace<B: LuaBackend>(
    entry: &Entry<'_, B>,
    reference: Ref,
    key: Alive<'_>,
    object: Option<Alive<'_>>,
) -> bool {
    let state = entry.state();
    let replaced = state.push_ref_type(reference) == value::TABLE
        && replace_in_table(entry, state, key, object);
    state.pop(1);
    replaced
}

/// [`replace`] in the table on top.
#[inline(always)]
fn replace_in_table<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    key: Alive<'_>,
    object: Option<Alive<'_>>,
) -> bool {
    let kind = key.kind(entry.runtime());
    // A key is looked for when key and value are on the stack, so that nothing runs before the assignment.
    if let Some(position) = position::<B>(kind) {
        if !push_value(entry, state, object) {
            return false;
        }
        if !state.replace(-2, position) {
            state.pop(1);
            return false;
        }
        return true;
    }
    if !push_unless(entry, state, kind, Mode::NotNil, || learn(entry, key, 1)) {
        return false;
    }
    if !push_value(entry, state, object) {
        state.pop(1);
        return false;
    }
    if !state.replace_key(-3) {
        state.pop(2);
        return false;
    }
    true
}

/// Pushes the value of an assignment; `None` is `nil`.
#[inline(always)]
fn push_value<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: Option<Alive<'_>>,
) -> bool {
    match object {
        Some(object) => push(entry, state, object, Mode::Value),
        None => {
            state.push_nil();
            true
        }
    }
}

/// The position that an `int` is.
#[inline(always)]
fn position<B: LuaBackend>(object: Kind) -> Option<i64> {
    let Kind::Int(number) = object else { return None };
    let (least, most) = B::POSITION_RANGE;
    (least..=most).contains(&number).then_some(number)
}

/// Notes that the Lua string of a `str` is not known; makes it if it comes often: not if it has so few references.
#[inline(always)]
fn learn<B: LuaBackend>(entry: &Entry<'_, B>, object: Alive<'_>, few: isize) -> Option<Ref> {
    Strings::learn_sent(entry, object, few)
}
