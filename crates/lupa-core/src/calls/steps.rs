//! Protected steps: what fills tables of Lua, and keeps values in the registry.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;

use lua_api::{LuaBackend, Raising, Ref};

use crate::base::error::{Error, Result};
use crate::calls::callback::{Callback, push_callback};
use crate::convert::lua_error::raised;
use crate::runtime::entry::Entry;

/// Runs a step in protected mode.
pub(crate) fn step<B: LuaBackend>(
    entry: &Entry<'_, B>,
    work: impl for<'f> FnOnce(Raising<'f, B>) -> i32,
) -> Result<()> {
    let state = entry.state();
    match state.protect_values(work) {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}

/// Keeps the values that `work` pushes, one for each place.
pub(crate) fn keep<B: LuaBackend>(
    entry: &Entry<'_, B>,
    places: &[&Cell<Option<Ref>>],
    work: impl for<'f> FnOnce(Raising<'f, B>),
) -> Result<()> {
    let state = entry.state();
    let base = state.top();
    let count = places.len() as i32;
    let mut kept = state.protect_values(|raising| {
        work(raising);
        count
    });
    for place in places.iter().rev() {
        kept = kept.and_then(|count| {
            place.set(Some(entry.instance.take_ref(state)?));
            Ok(count)
        });
    }
    let result = kept.map(drop).map_err(|failure| raised(entry, state, failure));
    state.set_top(base);
    result
}

/// Keeps the value that `work` pushes.
pub(crate) fn anchor<B: LuaBackend>(
    entry: &Entry<'_, B>,
    work: impl for<'f> FnOnce(Raising<'f, B>),
) -> Result<Ref> {
    let place = Cell::new(None);
    keep(entry, &[&place], work)?;
    place.get().ok_or(Error::LostReference)
}

/// Sets a field of the table on top to a callback.
pub(crate) fn field<B: LuaBackend, C: Callback<B>>(raising: Raising<'_, B>, name: &CStr) {
    push_callback::<B, C>(raising, 0);
    raising.set_field(-2, name);
}
