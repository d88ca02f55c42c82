//! Setting up a new Lua: the standard libraries, the metatable of Python objects, the `python`
//! table, and the anchors that the runtime keeps.
#![forbid(unsafe_code)]

use std::ffi::CStr;

use lua_api::{LuaBackend, Raising, Selection};
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::calls::callback::address;
use crate::calls::steps::{field, keep};
use crate::convert::lua_error::raised;
use crate::python_lib::equal::Equal;
use crate::python_lib::functions::{
    Args, AsAttrGetter, AsFunction, AsItemGetter, CallAsFunction, Enumerate, Iter, IterEx,
    NextFunction, SetOverflowHandler,
};
use crate::python_lib::metamethods::{Call, Collect, Index, NewIndex, ToString, push_box};
use crate::python_lib::os_exit;
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::types::alive::Alive;

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
    open(entry, libraries)?;
    let restricted = runtime.options.restrictions.is_some();
    let sandboxed = sandbox.is_some();
    let anchors = &runtime.anchors;
    let caches = &anchors.boxes[..if sandboxed { 3 } else { 2 }];
    let mut places = vec![&anchors.metatable, &anchors.iterator, &anchors.overflow];
    places.extend(caches);
    keep(entry, &places, |raising| {
        metatable(raising, restricted, sandboxed);
        raising.push_function::<NextFunction>(0);
        raising.push_bool(false);
        weak_tables(raising, caches.len());
    })?;
    note_metatable(entry);
    anchors.as_function.set(address::<B, CallAsFunction>());
    if !runtime.boxes.reserve(entry.py, 4) {
        return Err(Error::Memory);
    }
    let none = entry.py.None().into_bound(entry.py);
    let none = Alive::of(&none);
    let eval = eval.map(Alive::of);
    let builtins = builtins.map(Alive::of);
    keep(entry, &[&anchors.none, &anchors.array_mt], |raising| {
        push_box(runtime, raising, none, View::ATTRIBUTES);
        raising.new_table(0, 1);
        raising.push_bytes(b"array");
        raising.set_field(-2, c"__jsontype");
        library(raising, sandboxed);
        raising.push_value(-3);
        raising.set_field(-2, c"none");
        raising.push_value(-2);
        raising.set_field(-2, c"array_mt");
        for (name, object) in [(c"eval", eval), (c"builtins", builtins)] {
            if let Some(object) = object {
                push_box(runtime, raising, object, View::ATTRIBUTES);
                raising.set_field(-2, name);
            }
        }
        raising.pop(1);
    })?;
    match sandbox {
        Some(libraries) => crate::python_lib::sandbox::install(entry, libraries),
        None => Ok(()),
    }
}

/// Opens the libraries, and notes the name of the implementation: only LuaJIT itself knows which one
/// it is, and only until a script says something else.
fn open<B: LuaBackend>(entry: &Entry<'_, B>, libraries: Selection) -> Result<()> {
    let state = entry.state();
    let opened = state.protect_values(|raising| {
        raising.open_libraries(libraries);
        if B::HAS_FFI {
            raising.push_globals();
            raising.get_field(-1, c"jit");
            raising.get_field(-1, c"version");
        } else {
            raising.push_nil();
        }
        raising.hide_libraries(libraries);
        os_exit::replace(raising);
        1
    });
    opened.map_err(|failure| raised(entry, state, failure))?;
    let name = state.with_bytes(-1, |version| match version {
        Some(version) => String::from_utf8_lossy(version).into_owned(),
        None => format!("Lua {}.{}", B::VERSION.0, B::VERSION.1),
    });
    state.pop(1);
    // A runtime is filled once.
    let _ = entry.implementation.set(name);
    Ok(())
}

/// Notes where the metatable of boxes is.
fn note_metatable<B: LuaBackend>(entry: &Entry<'_, B>) {
    let anchors = &entry.runtime().anchors;
    if let Some(metatable) = anchors.metatable.get() {
        let state = entry.state();
        state.push_ref(metatable);
        anchors.metatable_address.set(state.to_pointer(-1) as usize);
        state.pop(1);
    }
}

/// Pushes tables with weak values, which have one metatable.
fn weak_tables<B: LuaBackend>(raising: Raising<'_, B>, count: usize) {
    raising.new_table(0, 1);
    raising.push_bytes(b"v");
    raising.set_field(-2, c"__mode");
    for made in 0..count as i32 {
        raising.new_table(0, 0);
        raising.push_value(-2 - made);
        raising.set_metatable(-2);
    }
    raising.remove(-1 - count as i32);
}

/// Pushes the metatable of boxes, and protects it: `getmetatable` gives a copy, for lupa has always
/// let scripts look; where access to objects is restricted, it gives `false`.
fn metatable<B: LuaBackend>(raising: Raising<'_, B>, restricted: bool, sandboxed: bool) {
    metamethods(raising, sandboxed);
    if restricted && !sandboxed {
        field::<B, Equal>(raising, c"__eq");
    }
    if restricted {
        raising.push_bool(false);
    } else {
        copy(raising);
    }
    raising.set_field(-2, c"__metatable");
    raising.push_value(-1);
    raising.set_field(B::REGISTRY_INDEX, METATABLE);
}

/// Pushes a copy of the table on top.
fn copy<B: LuaBackend>(raising: Raising<'_, B>) {
    raising.new_table(0, 8);
    raising.push_nil();
    while raising.next(-3) {
        raising.push_value(-2);
        raising.insert(-2);
        raising.raw_set(-4);
    }
}

/// Pushes a table of the metamethods of boxes.
fn metamethods<B: LuaBackend>(raising: Raising<'_, B>, sandboxed: bool) {
    raising.new_table(0, 8);
    if sandboxed {
        crate::python_lib::sandbox::metamethods(raising);
    } else {
        field::<B, Call>(raising, c"__call");
        field::<B, Index>(raising, c"__index");
        field::<B, NewIndex>(raising, c"__newindex");
        field::<B, ToString>(raising, c"__tostring");
    }
    raising.push_function::<Collect>(0);
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
