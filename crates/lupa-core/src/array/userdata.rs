//! The userdata of an array, made and given its metatable.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use lua_api::{Function, LuaBackend, Raising, State};

use super::memory::Elements;
use super::{access, jit, methods, shapes};
use crate::base::error::{Error, Result};
use crate::calls::steps::{anchor, field};
use crate::convert::lua_error::raised;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;

/// Pushes a `_LuaArray`; see [`crate::convert::to_lua::push`] for what has to be done before.
pub(crate) fn push<B: LuaBackend>(runtime: &Runtime<B>, raising: Raising<'_, B>, array: Alive<'_>) {
    match Elements::of(array) {
        Some(elements) => {
            let weight = if runtime.weighs() { Weight::of_box() } else { Weight::default() };
            elements.push(runtime, raising, weight);
        }
        None => raising.error(c"this is no array"),
    }
}

/// Pushes an array, from ordinary code.
///
/// # Errors
/// Of memory.
pub(super) fn push_protected<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    elements: Elements<'_>,
) -> Result<()> {
    ensure(entry)?;
    let runtime = entry.runtime();
    let mut weight = Weight::default();
    if runtime.weighs() {
        weight = elements.weight();
        entry.make_room(weight.bytes())?;
    }
    if !runtime.boxes.reserve(entry.py, 1) {
        return Err(Error::Memory);
    }
    match state.protect_values(|raising| {
        elements.push(runtime, raising, weight);
        1
    }) {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}

/// Makes the metatable, once.
pub(super) fn ensure<B: LuaBackend>(entry: &Entry<'_, B>) -> Result<()> {
    let arrays = &entry.runtime().arrays;
    if arrays.metatable.get().is_some() {
        return Ok(());
    }
    let made = anchor(entry, metatable)?;
    let state = entry.state();
    state.push_ref(made);
    arrays.address.set(state.to_pointer(-1) as usize);
    state.pop(1);
    if B::HAS_FFI {
        jit::install(entry, made)?;
    }
    arrays.metatable.set(Some(made));
    Ok(())
}

fn metatable<B: LuaBackend>(raising: Raising<'_, B>) {
    use methods::{Copy, Fill, Get, Index, NewIndex, Release, Set, ToString, ToTable};
    use shapes::{Reshape, Slice, Transpose};
    raising.new_table(0, 12);
    // The methods.
    raising.new_table(0, 12);
    field::<B, Copy>(raising, c"copy");
    field::<B, Fill>(raising, c"fill");
    field::<B, Release>(raising, c"release");
    field::<B, Reshape>(raising, c"reshape");
    field::<B, Slice>(raising, c"slice");
    field::<B, ToTable>(raising, c"totable");
    field::<B, Transpose>(raising, c"transpose");
    function::<B, access::Get<Get>>(raising, c"get");
    function::<B, access::Set<Set>>(raising, c"set");
    raising.push_function::<access::Step<Index>>(0);
    raising.push_function::<access::Each>(1);
    for (table, name) in [(-3, c"each"), (-4, c"__pairs"), (-4, c"__ipairs")] {
        raising.push_value(-1);
        // The table is one deeper for the copy just pushed, which `set_field` pops.
        raising.set_field(table, name);
    }
    raising.pop(1);
    raising.push_value(-1);
    raising.set_field(-3, c"methods");
    raising.push_function::<access::Index<Index>>(1);
    raising.set_field(-2, c"__index");
    function::<B, access::NewIndex<NewIndex>>(raising, c"__newindex");
    function::<B, access::Length>(raising, c"__len");
    function::<B, access::Equal>(raising, c"__eq");
    function::<B, access::Collect>(raising, c"__gc");
    field::<B, ToString>(raising, c"__tostring");
    raising.push_bytes(b"lupa.array");
    raising.set_field(-2, c"__name");
    // The result of `getmetatable`, so that a script without `debug` cannot reach the real metatable.
    raising.push_bool(false);
    raising.set_field(-2, c"__metatable");
}

/// Sets a field of the table on top to a function that does without Python.
fn function<B: LuaBackend, F: Function<B>>(raising: Raising<'_, B>, name: &CStr) {
    raising.push_function::<F>(0);
    raising.set_field(-2, name);
}
