//! What every new Lua gets: the standard libraries, the metatable of Python objects, the `python`
//! table, and the anchors that the runtime keeps.

use std::cell::Cell;
use std::ffi::CStr;

use lua_api::{LuaBackend, Raising, Ref, Selection};
use pyo3::prelude::*;

use crate::boxes::View;
use crate::callback::{Callback, push_callback};
use crate::error::{Error, Result, raised};
use crate::metamethods::{Call, Index, NewIndex, ToString, collect, push_box};
use crate::os_exit;
use crate::python_lib::{
    Args, AsAttrGetter, AsFunction, AsItemGetter, Enumerate, Iter, IterEx, SetOverflowHandler, next,
};
use crate::runtime::Entry;

/// The name that the metatable of Python objects has in the registry.
const METATABLE: &CStr = c"POBJECT";

/// Fills a new Lua. `eval` and `builtins` become `python.eval` and `python.builtins`, if given.
/// `sandbox` names the libraries that a sandbox is to have.
pub(crate) fn fill<B: LuaBackend>(
    entry: &Entry<'_, B>,
    libraries: Selection,
    sandbox: Option<&[&str]>,
    eval: Option<&Bound<'_, PyAny>>,
    builtins: Option<&Bound<'_, PyAny>>,
) -> Result<()> {
    let runtime = entry.runtime();
    let state = entry.state();
    step(entry, |raising| {
        raising.open_libraries(libraries);
        0
    })?;
    note_implementation(entry)?;
    step(entry, |raising| {
        raising.hide_libraries(libraries);
        os_exit::replace(raising);
        0
    })?;
    let restricted = runtime.options.restrictions.is_some();
    let sandboxed = sandbox.is_some();
    let metatable = anchor(entry, |raising| metatable(raising, restricted, sandboxed))?;
    state.push_ref(metatable);
    runtime.anchors.metatable_address.set(state.to_pointer(-1) as usize);
    state.pop(1);
    runtime.anchors.metatable.set(Some(metatable));
    for cache in &runtime.anchors.boxes[..if sandboxed { 3 } else { 2 }] {
        cache.set(Some(anchor(entry, |raising| {
            raising.new_table(0, 0);
            raising.new_table(0, 1);
            raising.push_bytes(b"v");
            raising.set_field(-2, c"__mode");
            raising.set_metatable(-2);
        })?));
    }
    let function = anchor(entry, |raising| raising.push_closure(Some(next::<B>), 0))?;
    runtime.anchors.iterator.set(Some(function));
    runtime.anchors.overflow.set(Some(anchor(entry, |raising| raising.push_bool(false))?));
    if !runtime.boxes.reserve(4) {
        return Err(Error::Memory);
    }
    let none = entry.py.None().into_bound(entry.py);
    let none = none.as_ptr();
    let none_view = View::ATTRIBUTES;
    runtime
        .anchors
        .none
        .set(Some(anchor(entry, |raising| push_box(runtime, raising, none, none_view))?));
    let eval = eval.map(Bound::as_ptr);
    let builtins = builtins.map(Bound::as_ptr);
    step(entry, |raising| {
        library(raising, sandboxed);
        raising.push_ref(runtime.anchors.none.get().unwrap_or(metatable));
        raising.set_field(-2, c"none");
        for (name, object) in [(c"eval", eval), (c"builtins", builtins)] {
            if let Some(object) = object {
                push_box(runtime, raising, object, View::ATTRIBUTES);
                raising.set_field(-2, name);
            }
        }
        0
    })?;
    match sandbox {
        Some(libraries) => crate::sandbox::install(entry, libraries),
        None => Ok(()),
    }
}

/// Notes the name of the implementation. Only LuaJIT itself knows which one it is.
fn note_implementation<B: LuaBackend>(entry: &Entry<'_, B>) -> Result<()> {
    let mut name = format!("Lua {}.{}", B::VERSION.0, B::VERSION.1);
    if B::HAS_FFI {
        let state = entry.state();
        let made = state.protect_values(|raising| {
            raising.push_globals();
            raising.get_field(-1, c"jit");
            raising.get_field(-1, c"version");
            1
        });
        made.map_err(|failure| raised(entry, state, failure))?;
        if let Some(version) = state.bytes(-1) {
            name = String::from_utf8_lossy(version).into_owned();
        }
        state.pop(1);
    }
    // A runtime is filled once.
    let _ = entry.implementation.set(name);
    Ok(())
}

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

/// Keeps the value that `work` pushes.
pub(crate) fn anchor<B: LuaBackend>(
    entry: &Entry<'_, B>,
    work: impl for<'f> FnOnce(Raising<'f, B>),
) -> Result<Ref> {
    let state = entry.state();
    let pushed = Cell::new(0);
    let made = state.protect_values(|raising| {
        work(raising);
        pushed.set(1);
        1
    });
    let kept = made.and_then(|_| entry.instance.take_ref(state));
    kept.map_err(|failure| raised(entry, state, failure))
}

/// Pushes the metatable of boxes, and protects it: `getmetatable` gives a copy, for lupa has always
/// let scripts look; where access to objects is restricted, it gives `false`.
fn metatable<B: LuaBackend>(raising: Raising<'_, B>, restricted: bool, sandboxed: bool) {
    metamethods(raising, sandboxed);
    if restricted {
        raising.push_bool(false);
    } else {
        metamethods(raising, sandboxed);
    }
    raising.set_field(-2, c"__metatable");
    raising.push_value(-1);
    raising.set_field(B::REGISTRY_INDEX, METATABLE);
}

/// Pushes a table of the metamethods of boxes.
fn metamethods<B: LuaBackend>(raising: Raising<'_, B>, sandboxed: bool) {
    raising.new_table(0, 8);
    if sandboxed {
        crate::sandbox::metamethods(raising);
    } else {
        field::<B, Call>(raising, c"__call");
        field::<B, Index>(raising, c"__index");
        field::<B, NewIndex>(raising, c"__newindex");
        field::<B, ToString>(raising, c"__tostring");
    }
    raising.push_closure(Some(collect::<B>), 0);
    raising.set_field(-2, c"__gc");
    raising.push_bytes(METATABLE.to_bytes());
    raising.set_field(-2, c"__name");
}

/// Makes the table `python`, as a global and as a loaded module, and leaves it on top.
fn library<B: LuaBackend>(raising: Raising<'_, B>, sandboxed: bool) {
    raising.new_table(0, 16);
    field::<B, AsAttrGetter>(raising, c"as_attrgetter");
    field::<B, AsItemGetter>(raising, c"as_itemgetter");
    field::<B, AsFunction>(raising, c"as_function");
    field::<B, Iter>(raising, c"iter");
    field::<B, IterEx>(raising, c"iterex");
    field::<B, Enumerate>(raising, c"enumerate");
    field::<B, Args>(raising, c"args");
    if !sandboxed {
        field::<B, SetOverflowHandler>(raising, c"set_overflow_handler");
    }
    crate::array::library(raising, sandboxed);
    raising.push_globals();
    raising.push_value(-2);
    raising.set_field(-2, c"python");
    raising.pop(1);
    raising.get_field(B::REGISTRY_INDEX, c"_LOADED");
    raising.push_value(-2);
    raising.set_field(-2, c"python");
    raising.pop(1);
}

/// Sets a field of the table on top to a callback.
pub(crate) fn field<B: LuaBackend, C: Callback<B>>(raising: Raising<'_, B>, name: &CStr) {
    push_callback::<B, C>(raising, 0);
    raising.set_field(-2, name);
}
