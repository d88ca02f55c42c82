//! The hooks of scripts that a [`crate::Watch`] knows: those that are put back when its own hook is gone, and those that
//! may go on for a while before Lua is stopped.
#![forbid(unsafe_code)]

use core::ffi::c_int;

use crate::raw::{lua_Hook, lua_State};

/// The hook that a coroutine had before ours.
pub(crate) struct Kept {
    pub(crate) state: *mut lua_State,
    pub(crate) hook: lua_Hook,
    pub(crate) mask: c_int,
    pub(crate) count: c_int,
    // It was set while ours was there, and has not run.
    pub(crate) new: bool,
}

/// The data behind the lock of a watch. Coroutines are only compared here.
#[derive(Default)]
pub(crate) struct Guarded {
    kept: Vec<Kept>,
    // The instructions that were left of a coroutine's count when another thread set the hook there.
    left: Vec<(*mut lua_State, c_int)>,
    pub(crate) grace: Grace,
}

impl Guarded {
    /// Keeps a hook in the place of what was kept of that coroutine; none is kept as nothing.
    pub(crate) fn keep(&mut self, kept: Kept) {
        self.kept.retain(|other| other.state != kept.state);
        if kept.hook.is_some() && kept.mask != 0 {
            self.kept.push(kept);
        }
    }

    /// Takes the hook that was kept of a coroutine.
    pub(crate) fn take_kept(&mut self, key: *mut lua_State) -> Option<Kept> {
        let found = self.kept.iter().position(|kept| kept.state == key)?;
        Some(self.kept.swap_remove(found))
    }

    /// Lua is stopped: what a coroutine has set meanwhile is not put back, nor `all` that was kept of it.
    pub(crate) fn drop_new(&mut self, key: *mut lua_State, all: bool) {
        self.kept.retain(|kept| kept.state != key || !(all || kept.new));
    }

    /// Notes what was left of the count, unless that is known.
    pub(crate) fn note_left(&mut self, key: *mut lua_State, left: impl FnOnce() -> c_int) {
        if !self.left.iter().any(|(other, _)| *other == key) {
            self.left.push((key, left()));
        }
    }

    /// Forgets it.
    pub(crate) fn take_left(&mut self, key: *mut lua_State) -> Option<c_int> {
        let found = self.left.iter().position(|(other, _)| *other == key)?;
        Some(self.left.swap_remove(found).1)
    }

    /// A coroutine is not there any more.
    pub(crate) fn forget(&mut self, state: *mut lua_State) {
        self.kept.retain(|kept| kept.state != state);
        self.take_left(state);
    }
}

/// How often the same hook may go on, and how often any.
const MOST_GRACE: (u32, u32) = (100, 2000);

/// How often a stop was put off, since a hook of a script ran, which is not what has to be stopped if it ends soon.
#[derive(Default)]
pub(crate) struct Grace {
    // The last hook that was let go on, and how often.
    hook: usize,
    same: u32,
    all: u32,
}

impl Grace {
    /// Whether the hook of this number, if one `runs`, may go on once more.
    pub(crate) fn allows(&mut self, hook: usize, runs: bool) -> bool {
        self.same = if self.hook == hook { self.same + 1 } else { 0 };
        self.all += 1;
        self.hook = hook;
        let allows = runs && self.same <= MOST_GRACE.0 && self.all <= MOST_GRACE.1;
        if !allows {
            *self = Grace::default();
        }
        allows
    }
}

#[cfg(test)]
mod tests {
    use super::{Grace, MOST_GRACE};

    #[test]
    fn no_hook_puts_a_stop_off_for_ever() {
        let mut grace = Grace::default();
        let same = (0..10_000).take_while(|_| grace.allows(7, true)).count();
        assert_eq!(same, MOST_GRACE.0 as usize + 1);
        let all = (0..10_000).take_while(|hook| grace.allows(*hook, true)).count();
        assert_eq!(all, MOST_GRACE.1 as usize);
        assert!(!grace.allows(1, false));
    }
}
