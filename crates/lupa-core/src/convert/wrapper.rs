//! The content of a Lua value's wrapper, and how a wrapper is made. Its methods are in [`crate::objects`].
//!
//! A wrapper remembers its runtime and a reference into it, but no coroutine: its operations run on the coroutine that runs
//! at that time.
#![forbid(unsafe_code)]

use std::ffi::c_int;
use std::fmt;

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::prelude::*;

use crate::base::error::{Error, Result};
use crate::runtime::owner::RuntimeObject;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;
use crate::types::heap_type::{Family, Hold, This, Type};
use crate::types::heap_type::{Visit, Visited};
use crate::types::operations::Content;

/// The types of wrappers, in the order of [`WrapperKind`]; the content of each is or begins as a [`LuaObject`].
pub(crate) static WRAPPERS: Family<5> = Family::new();

/// Of which type a wrapper is.
#[derive(Clone, Copy)]
pub(crate) enum WrapperKind {
    Object,
    Table,
    Function,
    CoroutineFunction,
    Coroutine,
}

impl WrapperKind {
    /// The type, of those whose content is a [`LuaObject`].
    #[inline(always)]
    pub(crate) fn of_backend<B: LuaBackend>(self) -> Type<LuaObject<B>> {
        WRAPPERS.get(self as usize)
    }
}

/// The content with which that of every wrapper begins.
#[repr(C)]
pub(crate) struct LuaObject<B: LuaBackend> {
    owner: Hold<RuntimeObject<B>>,
    reference: Ref,
    identity: Identity,
}

/// Which value of its runtime a wrapper stands for, noted when the wrapper is made: so it can be asked for at any time, also
/// after the runtime's end, and without its lock. The wrapper keeps the value, so no other one gets this address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    kind: c_int,
    address: usize,
}

impl Identity {
    fn of<B: LuaBackend>(state: State<'_, B>, index: c_int) -> Self {
        let kind = state.type_of(index);
        let address = match kind {
            value::USERDATA | value::LIGHTUSERDATA => state.to_userdata(index).addr(),
            _ => state.to_pointer(index).addr(),
        };
        Identity { kind, address }
    }

    /// A number for a hash: addresses differ in their higher bits.
    pub(crate) fn hash(self) -> isize {
        self.address.rotate_right(4) as isize
    }
}

/// `<Lua table at 0x...>`
impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind {
            value::LIGHTUSERDATA | value::USERDATA => "userdata",
            value::TABLE => "table",
            value::FUNCTION => "function",
            value::THREAD => "thread",
            _ => "cdata",
        };
        let has_address = !matches!(name, "cdata") && self.address != 0;
        if has_address {
            write!(f, "<Lua {name} at {:#x}>", self.address)
        } else {
            write!(f, "<Lua {name}>")
        }
    }
}

impl<B: LuaBackend> LuaObject<B> {
    /// The content of a new wrapper of the value at `index`.
    ///
    /// # Errors
    /// [`Error::Memory`].
    #[inline(always)]
    pub(crate) fn new(
        runtime: &Runtime<B>,
        py: Python<'_>,
        state: State<'_, B>,
        index: c_int,
    ) -> Result<Self> {
        let identity = Identity::of(state, index);
        state.push_value(index);
        let Ok(reference) = runtime.instance.take_ref(state) else {
            state.pop(1);
            return Err(Error::Memory);
        };
        let owner = Hold::new(py, This::owner_of(runtime, state));
        Ok(LuaObject { owner, reference, identity })
    }

    /// The runtime that it belongs to.
    #[inline(always)]
    pub(crate) fn runtime(&self) -> &Runtime<B> {
        self.owner.runtime()
    }

    /// The reference into that.
    #[inline(always)]
    pub(crate) fn reference(&self) -> Ref {
        self.reference
    }

    /// Which of its values this is.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether both stand for one value of one runtime.
    pub(crate) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self.runtime(), other.runtime()) && self.identity == other.identity
    }
}

impl<B: LuaBackend> Content for LuaObject<B> {
    fn visit(&self, visit: &Visit) -> Visited {
        visit.object(self.owner.object())
    }

    fn end(self, _: Python<'_>) {
        self.runtime().drop_ref(self.reference);
    }
}

/// Wraps the value at `index` in a new object of this type.
#[inline]
pub(crate) fn wrap<'py, B: LuaBackend>(
    runtime: &Runtime<B>,
    py: Python<'py>,
    state: State<B>,
    index: c_int,
    kind: WrapperKind,
) -> Result<Bound<'py, PyAny>> {
    Ok(kind.of_backend().create(py, LuaObject::new(runtime, py, state, index)?)?)
}

impl<'a> Alive<'a> {
    /// The content of a wrapper; `None` for other objects.
    pub(crate) fn wrapper<B: LuaBackend>(self) -> Option<This<'a, LuaObject<B>>> {
        WRAPPERS.find(self)
    }

    /// Whether it is the wrapper of a Lua value.
    #[inline]
    pub(crate) fn is_wrapper(self) -> bool {
        WRAPPERS.has(self)
    }

    /// Whether it is a wrapper of this type.
    #[inline(always)]
    pub(crate) fn is_wrapper_of(self, kind: WrapperKind) -> bool {
        WRAPPERS.has_at(kind as usize, self)
    }

    /// Whether it is the wrapper of a table.
    #[inline(always)]
    pub(crate) fn is_table(self) -> bool {
        self.is_wrapper_of(WrapperKind::Table)
    }

    /// The reference of a wrapper, for use in a runtime; `None` for other objects.
    ///
    /// # Errors
    /// For a wrapper of another runtime.
    #[inline]
    pub(crate) fn reference<B: LuaBackend>(self, runtime: &Runtime<B>) -> Option<Result<Ref>> {
        let wrapper = WRAPPERS.find::<LuaObject<B>>(self)?;
        let own = std::ptr::eq(wrapper.runtime(), runtime);
        Some(if own { Ok(wrapper.reference()) } else { Err(Error::OtherRuntime) })
    }
}
