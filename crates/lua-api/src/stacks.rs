//! Lua stacks for greenlets that enter a Lua while others are inside. The greenlet that entered last need not
//! leave first, so they cannot all work on the stack of one coroutine.
//!
//! The coroutines are made beforehand, since making one may run finalizers. Scripts cannot reach the place where they are
//! kept: the main coroutine has, at the bottom of its stack, one that never runs (the shelf), which has all the
//! others on its stack.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};

use crate::backend::{LuaBackend, OK};
use crate::fence::Raised;
use crate::instance::{Instance, Lasting};
use crate::state::State;

/// The stacks of an [`Instance`].
#[derive(Default)]
pub(crate) struct Stacks {
    shelf: Cell<Option<Lasting>>,
    // Those that nobody uses. There is room in the list for all that there are.
    free: RefCell<Vec<Lasting>>,
    made: Cell<usize>,
    mixed: Cell<bool>,
}

impl Stacks {
    #[inline(always)]
    pub(crate) fn is_mixed(&self) -> bool {
        self.mixed.get()
    }

    /// The coroutine that never runs.
    pub(crate) fn shelf(&self) -> Option<Lasting> {
        self.shelf.get()
    }
}

/// A coroutine that is somebody's own until [`Instance::give_back`].
#[derive(Debug)]
pub struct OwnStack(Lasting);

impl<B: LuaBackend> Instance<B> {
    /// Whether several work on this Lua, each on a stack of its own: then [`Instance::state`] says nothing.
    #[inline(always)]
    pub fn is_mixed(&self) -> bool {
        self.stacks.is_mixed()
    }

    /// All have left.
    pub fn end_mixed(&self) {
        self.stacks.mixed.set(false);
        self.reset_current();
        // The last code may have run on another stack, and the next entry does not say on which it runs.
        self.watch().note_running(self.main());
    }

    /// Sees to it that the first who needs a stack of his own finds one. `main` is the main coroutine outside of any
    /// function.
    ///
    /// # Errors
    /// [`Raised`] without memory, and what finalizers raise; the error value is then on top of the stack.
    pub fn prepare_stacks(&self, main: State<B>) -> Result<(), Raised> {
        if self.stacks.shelf.get().is_none() {
            // A finalizer, while Lua is closed: nobody else comes.
            if main.has_frame(0) {
                return Ok(());
            }
            main.protect_values(|raising| {
                raising.with_new_coroutine(|shelf| raising.reserve_on(shelf, crate::MIN_ROOM));
                1
            })?;
            self.stacks.shelf.set(Some(main.keep_at_bottom()));
        }
        self.refill_stacks(main)
    }

    /// Makes one if none is free.
    ///
    /// # Errors
    /// As for [`Instance::prepare_stacks`].
    pub fn refill_stacks(&self, state: State<B>) -> Result<(), Raised> {
        let stacks = &self.stacks;
        if !stacks.free.borrow().is_empty() {
            return Ok(());
        }
        if stacks.free.borrow_mut().try_reserve(stacks.made.get() + 1).is_err() {
            state.push_nil();
            return Err(Raised(crate::ERRMEM));
        }
        let Some(shelf) = stacks.shelf.get() else {
            state.push_nil();
            return Err(Raised(crate::ERRRUN));
        };
        let made = state.protect(|raising| raising.new_lasting(shelf))?;
        stacks.made.set(stacks.made.get() + 1);
        stacks.free.borrow_mut().push(made);
        Ok(())
    }

    /// A stack for somebody who enters while others are inside; `None` if there is none, or no memory for it.
    pub fn take_stack(&self) -> Option<(OwnStack, State<'_, B>)> {
        let own = self.stacks.free.borrow_mut().pop()?;
        let state = self.state_of(own);
        // A script that has run on it may have closed it since.
        if state.status() != OK || state.has_frame(0) {
            return None;
        }
        if !state.grow(2 * crate::MIN_ROOM) {
            self.stacks.free.borrow_mut().push(own);
            return None;
        }
        state.set_top(0);
        self.stacks.mixed.set(true);
        Some((OwnStack(own), state))
    }

    /// Gives a stack back.
    pub fn give_back(&self, stack: OwnStack) {
        if self.keeps(stack.0) {
            self.state_of(stack.0).set_top(0);
            self.stacks.free.borrow_mut().push(stack.0);
        }
    }

    /// Nothing of them is there any more.
    pub(crate) fn forget_stacks(&self) {
        self.stacks.shelf.set(None);
        self.stacks.free.borrow_mut().clear();
        self.stacks.mixed.set(false);
    }
}
