//! The memory of arrays: whose it is, how elements are read and written, and the userdata of an array in Lua.
//!
//! What leads to memory is made in this file only, from something that has a right to it: [`Owned`] by what gives memory,
//! [`Array`] and [`Elements`] with the object that owns it, which is held, and [`Place`] by these. A [`Layout`] alone
//! only describes.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use lua_api::{LuaBackend, Raising, State};
use pyo3::ffi;
use pyo3::prelude::*;

use super::access::integer;
use super::account::{Block, Pin};
use super::buffer::Export;
use super::dtype::Kind;
use super::element::{self, Value};
use super::layout::{Dim, Header, Layout};
use super::object::ArrayObject;
use super::{jit, object};
use crate::runtime::boxes::{PyBox, View};
use crate::runtime::runtime::Runtime;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;
use crate::types::heap_type::Link;
use crate::types::heap_type::{Visit, Visited};

/// Whose the memory is.
pub(crate) enum Source {
    /// Of a Python object, `origin`, which came as it is.
    Export { export: Export, origin: Link },
    /// Our own.
    Block { _block: Block },
    /// Of a Lua value, which this wrapper keeps alive.
    Lua { holder: Link, _pin: Pin },
    /// Of another array.
    View { base: Link },
}

impl Source {
    /// For `tp_traverse`.
    pub(crate) fn visit(&self, visit: &Visit) -> Visited {
        match self {
            Source::Export { export, origin } => {
                export.visit(visit)?;
                visit.object(origin)
            }
            Source::Block { .. } => Visited::Continue(()),
            Source::Lua { holder: held, .. } | Source::View { base: held } => visit.object(held),
        }
    }
}

/// Memory with its owner, for a new `_LuaArray`: the elements of the layout exist as long as the source does.
pub(crate) struct Owned(Source, Layout);

impl Owned {
    /// New memory, all zeros, for a layout in C order; `None` where there is none.
    pub(super) fn zeros(mut layout: Layout, account: &Arc<AtomicUsize>) -> Option<Self> {
        assert!(layout.is_c_contiguous(), "new memory is in C order");
        let block = Block::new(layout.bytes(), account)?;
        // As many bytes as the elements take, which follow one another.
        layout.header.data = block.start();
        Some(Owned(Source::Block { _block: block }, layout))
    }

    /// Memory that has been exported for `origin`. The exporter promises that the memory is as described.
    pub(super) fn exported(export: Export, origin: &Bound<'_, PyAny>) -> PyResult<Self> {
        let layout = export.description().layout()?;
        Ok(Owned(Source::Export { export, origin: origin.clone().unbind().into() }, layout))
    }

    /// The memory that the cdata at `index` points at; the number after the cdata is its address, and `holder` keeps it alive.
    /// `None` if there is no cdata.
    ///
    /// The Lua code promises that the memory exists: code that has a cdata has the ffi, by which it can read and write at any
    /// address itself.
    pub(super) fn adopted<B: LuaBackend>(
        state: State<B>,
        index: i32,
        mut layout: Layout,
        (holder, pin): (Link, Pin),
    ) -> Option<Self> {
        layout.header.data = state.to_number(index + 1) as usize as *mut u8;
        let source = Source::Lua { holder, _pin: pin };
        jit::is_cdata(state, index).then_some(Owned(source, layout))
    }

    /// The parts, for the object that has them from now on, and never changes the layout.
    pub(crate) fn into_parts(self) -> (Source, Layout) {
        (self.0, self.1)
    }
}

/// An element, whose memory is there for `'a`.
///
/// Other threads, and any code of this one, may write there at any time, as with all memory that is shared so: elements
/// are copied, and there never is a reference to one.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    at: *mut u8,
    kind: Kind,
    swapped: bool,
    readonly: bool,
    memory: PhantomData<&'a [u8]>,
}

impl<'a> Place<'a> {
    /// # Safety
    /// `at` is the address of an element of what the header is of, and that is there for `'a`.
    #[inline(always)]
    unsafe fn new(header: &'a Header, at: *mut u8) -> Self {
        let Header { kind, swapped, readonly, .. } = *header;
        Place { at, kind, swapped, readonly, memory: PhantomData }
    }

    /// The type of the element.
    #[inline(always)]
    pub(super) fn kind(self) -> Kind {
        self.kind
    }

    /// Whether its bytes are in the other order.
    #[inline(always)]
    pub(super) fn is_swapped(self) -> bool {
        self.swapped
    }

    /// Whether it may not be written.
    #[inline(always)]
    pub(super) fn is_readonly(self) -> bool {
        self.readonly
    }

    /// Whether it has so many bytes from `offset` on. Where the kind is known, so is this.
    #[inline(always)]
    fn has(self, offset: usize, count: usize) -> bool {
        let size = self.kind.size();
        count <= size && offset <= size - count
    }

    /// The bytes of the element from `offset` on.
    #[inline(always)]
    pub(super) fn bytes<const N: usize>(self, offset: usize) -> [u8; N] {
        assert!(self.has(offset, N), "beyond the element");
        // SAFETY: within the element.
        unsafe { self.at.add(offset).cast::<[u8; N]>().read_unaligned() }
    }

    /// Writes these bytes.
    #[inline(always)]
    pub(super) fn set_bytes<const N: usize>(self, offset: usize, bytes: [u8; N]) {
        assert!(self.has(offset, N) && !self.readonly, "beyond what may be written");
        // SAFETY: within the element, which may be written.
        unsafe { self.at.add(offset).cast::<[u8; N]>().write_unaligned(bytes) }
    }
}

/// The element at these positions, counted from 0: one for each dimension.
///
/// # Safety
/// What the header and the dimensions describe is there for `'a`.
#[inline(always)]
unsafe fn locate<'a>(
    (header, dims): (&'a Header, &'a [Dim]),
    mut positions: impl Iterator<Item = Option<i64>>,
) -> Option<Place<'a>> {
    let mut at = header.data;
    for dim in dims {
        let position = positions.next()??;
        if position as u64 >= dim.len as u64 {
            return None;
        }
        at = at.wrapping_offset(dim.stride * position as isize);
    }
    // SAFETY: as the caller promises; each position is one of its dimension.
    Some(unsafe { Place::new(header, at) })
}

/// The elements of an array, or of a part of one; their owner, a `_LuaArray`, is held for `'a`.
#[derive(Clone, Copy)]
pub(super) struct Elements<'a> {
    owner: Alive<'a>,
    layout: &'a Layout,
}

impl<'a> Elements<'a> {
    /// All of an array; `None` for other objects.
    pub(super) fn of(object: Alive<'a>) -> Option<Self> {
        let layout = object::of(object)?.content().layout();
        Some(Elements { owner: object, layout })
    }

    /// Where they are.
    pub(super) fn layout(self) -> &'a Layout {
        self.layout
    }

    /// The element at these positions, counted from 0: one for each dimension.
    pub(super) fn place(self, positions: &[isize]) -> Option<Place<'a>> {
        let positions = positions.iter().map(|&position| Some(position as i64));
        // SAFETY: as the type says.
        unsafe { locate((&self.layout.header, self.layout.dims()), positions) }
    }

    /// All of them, the last index running fastest.
    pub(super) fn places(self) -> impl Iterator<Item = Place<'a>> {
        // SAFETY: as the type says.
        self.layout.addresses().map(|at| unsafe { Place::new(&self.layout.header, at) })
    }

    /// Gives `work` those at one position of the first dimension.
    pub(super) fn with_row<R>(self, position: isize, work: impl FnOnce(Elements<'_>) -> R) -> R {
        let row = self.layout.narrowed(self.layout.row(position));
        work(Elements { owner: self.owner, layout: &row })
    }

    /// The weight of the userdata. An array object that was made for the userdata lives exactly as long, and is part of it.
    pub(super) fn weight(self) -> Weight {
        Weight::with_box(if self.owner.is_held_once() { object::SIZE } else { 0 })
    }

    /// Pushes the userdata, after [`crate::runtime::boxes::Boxes::reserve`].
    pub(super) fn push<B: LuaBackend>(
        self,
        runtime: &Runtime<B>,
        raising: Raising<'_, B>,
        weight: Weight,
    ) {
        let dims = self.layout.dims();
        let size = size_of::<ArrayBox>() + size_of_val(dims);
        let home = raising.new_userdata(size).cast::<ArrayBox>();
        if let Some(metatable) = runtime.arrays.metatable.get() {
            raising.push_ref(metatable);
        }
        if raising.to_pointer(-1) as usize != runtime.arrays.address.get() {
            raising.error(c"the metatable of arrays is gone");
        }
        // SAFETY: attached, with the lock held; there is room for a slot; the memory is new, of this size, and on the
        // stack below the metatable.
        unsafe {
            (&raw mut (*home).header).write(self.layout.header);
            home.add(1).cast::<Dim>().copy_from_nonoverlapping(dims.as_ptr(), dims.len());
            runtime.boxes.fill(home.cast(), self.owner, View::ARRAY, weight);
        }
        runtime.load(weight);
        raising.set_metatable(-2);
    }
}

/// An array, or a part of one, with the `_LuaArray` that owns its memory.
pub(super) struct Array<'py> {
    owner: Bound<'py, PyAny>,
    layout: Layout,
}

impl<'py> Array<'py> {
    /// A new one.
    pub(super) fn new(py: Python<'py>, owned: Owned) -> PyResult<Self> {
        let layout = owned.1;
        Ok(Array { owner: object::create(py, owned)?, layout })
    }

    /// The array at `index`; `None` for anything else, and for one that was released or finalized.
    pub(super) fn at<B: LuaBackend>(
        runtime: &Runtime<B>,
        py: Python<'py>,
        state: State<B>,
        index: i32,
    ) -> Option<Self> {
        let (found, owner) = find(runtime, state, index)?;
        // SAFETY: an array on the stack, which owns its owner.
        unsafe {
            let (header, dims) = described(found);
            let layout = Layout::new(*header, dims.iter().copied())?;
            Some(Array { owner: Bound::from_borrowed_ptr(py, owner), layout })
        }
    }

    /// All of a `_LuaArray`; `None` for other objects.
    pub(super) fn of(object: &Bound<'py, PyAny>) -> Option<Self> {
        let layout = *object::of(Alive::of(object))?.content().layout();
        Some(Array { owner: object.clone(), layout })
    }

    /// Some of the memory of this one.
    pub(super) fn view(&self, layout: Layout) -> Self {
        Array { owner: self.owner.clone(), layout: self.layout.narrowed(layout) }
    }

    /// Where its elements are.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its elements.
    pub(super) fn elements(&self) -> Elements<'_> {
        Elements { owner: Alive::of(&self.owner), layout: &self.layout }
    }

    /// The array for Python: the very object that its memory came from, or its owner, if the array is all of that; otherwise a
    /// view.
    pub(super) fn into_python(self) -> PyResult<Bound<'py, PyAny>> {
        let py = self.owner.py();
        let array = object::of(Alive::of(&self.owner));
        let source = array.map(|array| array.content().source());
        let base = match source {
            Some(Source::Export { origin, .. }) if self.layout.header.whole => {
                return Ok(origin.bind(py).clone());
            }
            _ if self.layout.header.whole => return Ok(self.owner),
            Some(Source::View { base }) => base.clone_ref(py),
            _ => self.owner.unbind(),
        };
        object::create(py, Owned(Source::View { base: base.into() }, self.layout))
    }
}

/// The beginning of the userdata; its dimensions follow, as many as it has.
///
/// It is larger than the box of an ordinary object, so neither is ever taken for the other.
#[repr(C)]
struct ArrayBox {
    head: PyBox,
    header: Header,
}

const _: () = assert!(size_of::<ArrayBox>() > size_of::<PyBox>());

/// The array at `index`, and its owner.
///
/// That a slot knows it as its home says that it is one, whatever metatable a script may give to it
/// or to others with `debug.setmetatable`.
#[inline(always)]
fn find<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    index: i32,
) -> Option<(*mut ArrayBox, *mut ffi::PyObject)> {
    let memory = state.to_userdata(index).cast::<ArrayBox>();
    // Of a light userdata the length is 0.
    if memory.is_null() || state.raw_len(index) < size_of::<ArrayBox>() {
        return None;
    }
    // SAFETY: of that size, and on the stack.
    let (object, view) = unsafe { runtime.boxes.look_up(memory.cast()) }?;
    (view == View::ARRAY).then_some((memory, object))
}

/// The parts of an array. Its memory is valid until any code runs.
///
/// # Safety
/// As given by [`find`], on the stack for `'a`.
#[inline(always)]
unsafe fn described<'a>(found: *const ArrayBox) -> (&'a Header, &'a [Dim]) {
    // SAFETY: the dimensions follow the struct, as `Elements::push` has written them.
    unsafe {
        let header = &(*found).header;
        (header, std::slice::from_raw_parts(found.add(1).cast(), header.ndim as usize))
    }
}

/// Arrays on the stack of a Lua, for functions that neither raise nor touch Python.
#[derive(Clone, Copy)]
pub(super) struct OnStack<'a, B: LuaBackend>(pub(super) &'a Runtime<B>, pub(super) State<'a, B>);

impl<B: LuaBackend> OnStack<'_, B> {
    /// Works on the array at `index`, if there is one. Private: no `work` keeps the array, or runs anything.
    #[inline(always)]
    fn with<R>(self, index: i32, work: impl FnOnce(&Header, &[Dim]) -> Option<R>) -> Option<R> {
        let (found, _) = find(self.0, self.1, index)?;
        // SAFETY: on the stack.
        let (header, dims) = unsafe { described(found) };
        work(header, dims)
    }

    /// The index of the first element.
    #[inline(always)]
    pub(super) fn base(self) -> i64 {
        self.0.options.array_base
    }

    /// The positions that integers on the stack name.
    #[inline(always)]
    fn positions(self, first: i32) -> impl Iterator<Item = Option<i64>> {
        let base = self.base();
        (first..).map(move |index| Some(integer(self.1, index)?.wrapping_sub(base)))
    }

    /// The value of the element whose indices are the `count` integers from `first` on; `None` where there is no such element.
    #[inline(always)]
    pub(super) fn load(self, array: i32, first: i32, count: i32) -> Option<Value> {
        self.with(array, |header, dims| {
            if dims.len() != count as usize {
                return None;
            }
            // SAFETY: until this ends, nothing runs.
            let place = unsafe { locate((header, dims), self.positions(first)) };
            place.map(element::load)
        })
    }

    /// Writes to that element, if it may be written and has room for the value; says whether it has.
    #[inline(always)]
    pub(super) fn store(self, array: i32, first: i32, count: i32, value: Value) -> bool {
        let stored = self.with(array, |header, dims| {
            if dims.len() != count as usize {
                return None;
            }
            // SAFETY: until this ends, nothing runs.
            let place = unsafe { locate((header, dims), self.positions(first)) };
            let place = place.filter(|place| !place.is_readonly())?;
            element::store(place, value).ok()
        });
        stored.is_some()
    }

    /// The length in the first dimension and, if there is no other, what is at a position there.
    #[inline(always)]
    pub(super) fn step(self, array: i32, position: i64) -> Option<(isize, Option<Value>)> {
        self.with(array, |header, dims| {
            let len = dims.first().map_or(0, |dim| dim.len);
            if dims.len() != 1 {
                return Some((len, None));
            }
            // SAFETY: until this ends, nothing runs.
            let place = unsafe { locate((header, dims), std::iter::once(Some(position))) };
            Some((len, place.map(element::load)))
        })
    }

    /// The length of an array that has one.
    #[inline(always)]
    pub(super) fn length(self, array: i32) -> Option<isize> {
        self.with(array, |_, dims| dims.first().map(|dim| dim.len))
    }

    /// Whether there are two arrays, of the same elements of the same memory.
    pub(super) fn are_same(self, one: i32, other: i32) -> bool {
        let what = |header: &Header| (header.data, header.kind, header.swapped);
        let same = self.with(one, |header, dims| {
            self.with(other, |others, theirs| Some(what(header) == what(others) && dims == theirs))
        });
        same == Some(true)
    }

    /// Gives an array up, if there is one.
    pub(super) fn release(self, array: i32) {
        if let Some((found, _)) = find(self.0, self.1, array) {
            // SAFETY: a genuine box, on the stack.
            let weight = unsafe { self.0.boxes.bury(found.cast()) };
            self.0.gave_up(weight);
        }
    }

    /// Whether there is one.
    pub(super) fn is_there(self, array: i32) -> bool {
        find(self.0, self.1, array).is_some()
    }
}

// SAFETY: objects, memory and counters that no thread owns; nothing of an array changes before its end.
unsafe impl Send for ArrayObject {}
// SAFETY: as above.
unsafe impl Sync for ArrayObject {}
