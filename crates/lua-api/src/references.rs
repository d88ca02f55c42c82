//! [`Ref`]: the references that Rust holds into a Lua.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use core::ffi::c_int;

use crate::backend::LuaBackend;
use crate::fence::Raised;
use crate::instance::Instance;
use crate::state::State;

/// A reference to a Lua value: a key of the registry. The value lives until the reference is
/// given back to [`Instance::release`].
///
/// Its key is present in the registry from when this is made to the end of that Lua (but a script with
/// `debug.getregistry` can change anything), so that to assign to it never allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Ref(pub(crate) c_int);

/// The references of an [`Instance`] that nobody has.
#[derive(Default)]
pub(crate) struct References {
    // They have the value `false`: to take one is to assign to it, which never raises.
    free: RefCell<Vec<Ref>>,
    reserved: Cell<usize>,
}

/// The number of references that are reserved at a time. It is small, since most runtimes need few, and the registry
/// of an idle one stays small.
const BATCH: usize = 32;
const FIRST_BATCH: usize = 12;

impl<B: LuaBackend> Instance<B> {
    /// Takes a reference to the value on top of `state`, and pops it.
    ///
    /// # Errors
    /// [`Raised`] (on a full registry and no memory); the value is then replaced by the error.
    #[inline]
    pub fn take_ref(&self, state: State<'_, B>) -> Result<Ref, Raised> {
        state.expect_of(self);
        let key = self.refs.free.borrow_mut().pop();
        let key = match key {
            Some(key) => key,
            None => match self.reserve(state) {
                Ok(key) => key,
                Err(raised) => {
                    state.remove(-2);
                    return Err(raised);
                }
            },
        };
        state.set_ref(key);
        Ok(key)
    }

    /// Makes a reference stand for the value on top of `state` instead, and pops it.
    #[inline]
    pub fn replace_ref(&self, state: State<'_, B>, reference: Ref) {
        state.expect_of(self);
        state.set_ref(reference);
    }

    #[cold]
    fn reserve(&self, state: State<'_, B>) -> Result<Ref, Raised> {
        // Room for every key ever reserved, so that `release` never allocates.
        let batch = if self.refs.reserved.get() == 0 { FIRST_BATCH } else { BATCH };
        let total = self.refs.reserved.get() + batch;
        if self.refs.free.borrow_mut().try_reserve(total).is_err() {
            state.push_nil();
            return Err(Raised(crate::ERRMEM));
        }
        let keys = [const { Cell::new(Ref(0)) }; BATCH];
        let made = Cell::new(0_usize);
        let (keys, made) = (&keys, &made);
        let result = state.protect(|raising| {
            while made.get() < batch {
                raising.push_bool(false);
                keys[made.get()].set(raising.new_ref());
                made.set(made.get() + 1);
            }
        });
        self.refs.reserved.set(self.refs.reserved.get() + made.get());
        let mut free = self.refs.free.borrow_mut();
        free.extend(keys[..made.get()].iter().rev().map(Cell::get));
        match (free.pop(), result) {
            (Some(key), Ok(())) => Ok(key),
            (Some(key), Err(_)) => {
                state.pop(1);
                Ok(key)
            }
            (None, Err(raised)) => Err(raised),
            (None, Ok(())) => Err(Raised(crate::ERRMEM)),
        }
    }

    /// Gives a reference back.
    #[inline]
    pub fn release(&self, reference: Ref) {
        if !self.is_open() {
            return;
        }
        let state = self.resting();
        state.push_bool(false);
        state.set_ref(reference);
        self.refs.free.borrow_mut().push(reference);
    }
}
