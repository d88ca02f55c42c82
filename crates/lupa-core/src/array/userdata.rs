//! The userdata of an array: a box with the layout behind it.

use std::ffi::CStr;

use lua_api::raw::lua_CFunction;
use lua_api::{LuaBackend, Raising, State};
use pyo3::ffi;
use pyo3::prelude::*;

use super::layout::{Dim, Header, Layout, MAX_DIMS};
use super::{access, jit, methods, object};
use crate::alive::Alive;
use crate::boxes::{PyBox, View};
use crate::callback::{Callback, outer};
use crate::entry::Entry;
use crate::error::{Error, Result, raised};
use crate::runtime::Runtime;
use crate::setup::anchor;

/// The beginning of the userdata; its dimensions follow, as many as it has.
///
/// It is larger than the box of an ordinary object, so neither is ever taken for the other.
#[repr(C)]
pub(super) struct ArrayBox {
    head: PyBox,
    pub(super) header: Header,
}

/// The dimensions of an array.
///
/// # Safety
/// As given by [`find`]; it stays on the stack as long as the result is used.
#[inline(always)]
pub(super) unsafe fn dims<'a>(found: *const ArrayBox) -> &'a [Dim] {
    // SAFETY: they follow the struct, as `push_array` has written them.
    unsafe { std::slice::from_raw_parts(found.add(1).cast(), (*found).header.ndim as usize) }
}

/// The array at `index`; `None` for anything else, and for one that was released or finalized.
///
/// That a slot knows it as its home says that it is one, whatever metatable a script may give to it
/// or to others with `debug.setmetatable`.
#[inline(always)]
pub(super) fn find<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<(*mut ArrayBox, *mut ffi::PyObject)> {
    let memory = state.to_userdata(index).cast::<ArrayBox>();
    // Of a light userdata the length is 0.
    if memory.is_null() || state.raw_len(index) < size_of::<ArrayBox>() {
        return None;
    }
    let (object, view) = runtime.boxes.look_up(memory.cast())?;
    (view == View::ARRAY).then_some((memory, object))
}

/// The owner and the layout of the array at `index`.
pub(super) fn parts<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: i32,
) -> Option<(Bound<'py, PyAny>, Layout)> {
    let (found, owner) = find(runtime, state, index)?;
    // SAFETY: an array, which owns its owner.
    unsafe {
        let layout = Layout::new((*found).header, dims(found).iter().copied())?;
        Some((Bound::from_borrowed_ptr(py, owner), layout))
    }
}

/// Pushes a `_LuaArray`; see [`crate::to_lua::push`] for what has to be done before.
pub(crate) fn push<B: LuaBackend>(runtime: &Runtime<B>, raising: Raising<'_, B>, array: Alive<'_>) {
    match object::of(array) {
        Some(owner) => push_array(runtime, raising, array, owner.content().layout()),
        None => raising.push_nil(),
    }
}

/// Pushes an array of the memory of `owner`.
fn push_array<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    owner: Alive<'_>,
    layout: &Layout,
) {
    let dims = layout.dims();
    let size = size_of::<ArrayBox>() + size_of_val(dims);
    let home = raising.new_userdata(size).cast::<ArrayBox>();
    let Some(metatable) = runtime.arrays.metatable.get() else {
        raising.error(c"the metatable of arrays is gone");
    };
    raising.push_ref(metatable);
    if raising.to_pointer(-1) as usize != runtime.arrays.address.get() {
        raising.error(c"the metatable of arrays is gone");
    }
    // SAFETY: attached, with the lock held; there is room for a slot; the memory is new, and of
    // this size.
    unsafe {
        (&raw mut (*home).header).write(layout.header);
        home.add(1).cast::<Dim>().copy_from_nonoverlapping(dims.as_ptr(), dims.len());
        runtime.boxes.fill(home.cast(), owner, View::ARRAY);
    }
    raising.set_metatable(-2);
}

/// Pushes an array of the memory of `owner`, from ordinary code.
///
/// # Errors
/// Of memory.
pub(super) fn push_protected<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    owner: &Bound<'_, PyAny>,
    layout: &Layout,
) -> Result<()> {
    ensure(entry)?;
    let runtime = entry.runtime();
    if !runtime.boxes.reserve(1) {
        return Err(Error::Memory);
    }
    let owner = Alive::of(owner);
    match state.protect_values(|raising| {
        push_array(runtime, raising, owner, layout);
        1
    }) {
        Ok(_) => Ok(()),
        Err(failure) => Err(raised(entry, state, failure)),
    }
}

/// Gives up the array at `index`; says whether it was one.
pub(super) fn release<B: LuaBackend>(runtime: &Runtime<B>, state: State<B>, index: i32) -> bool {
    let Some((found, _)) = find(runtime, state, index) else { return false };
    // SAFETY: a genuine box; the lock is held, as always when Lua runs.
    unsafe { runtime.boxes.bury(found.cast()) };
    true
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
    use methods::{
        Copy, Fill, Get, Index, NewIndex, Release, Reshape, Set, Slice, ToString, ToTable,
        Transpose,
    };
    raising.new_table(0, 12);
    // The methods.
    raising.new_table(0, 12);
    callback::<B, Copy>(raising, c"copy");
    callback::<B, Fill>(raising, c"fill");
    callback::<B, Release>(raising, c"release");
    callback::<B, Reshape>(raising, c"reshape");
    callback::<B, Slice>(raising, c"slice");
    callback::<B, ToTable>(raising, c"totable");
    callback::<B, Transpose>(raising, c"transpose");
    function(raising, c"get", Some(access::get::<B, Get>));
    function(raising, c"set", Some(access::set::<B, Set>));
    // SAFETY: Lua may call them with anything.
    unsafe {
        raising.push_closure(Some(access::step::<B, Index>), 0);
        raising.push_closure(Some(access::each::<B>), 1);
    }
    for (table, name) in [(-3, c"each"), (-4, c"__pairs"), (-4, c"__ipairs")] {
        raising.push_value(-1);
        // The table is one deeper for the copy just pushed, which `set_field` pops.
        raising.set_field(table, name);
    }
    raising.pop(1);
    raising.push_value(-1);
    raising.set_field(-3, c"methods");
    // SAFETY: as above.
    unsafe { raising.push_closure(Some(access::index::<B, Index>), 1) };
    raising.set_field(-2, c"__index");
    function(raising, c"__newindex", Some(access::new_index::<B, NewIndex>));
    function(raising, c"__len", Some(access::length::<B>));
    function(raising, c"__eq", Some(access::equal::<B>));
    function(raising, c"__gc", Some(access::collect::<B>));
    callback::<B, ToString>(raising, c"__tostring");
    raising.push_bytes(b"lupa.array");
    raising.set_field(-2, c"__name");
    // What `getmetatable` gives: so a script without `debug` cannot touch the real one.
    raising.push_bool(false);
    raising.set_field(-2, c"__metatable");
}

fn function<B: LuaBackend>(raising: Raising<'_, B>, name: &CStr, function: lua_CFunction) {
    // SAFETY: as above; all of them are in `access` and `callback`.
    unsafe { raising.push_closure(function, 0) };
    raising.set_field(-2, name);
}

pub(super) fn callback<B: LuaBackend, C: Callback<B>>(raising: Raising<'_, B>, name: &CStr) {
    function(raising, name, Some(outer::<B, C>));
}

const _: () = assert!(size_of::<ArrayBox>() > size_of::<PyBox>() && MAX_DIMS < u32::MAX as usize);
