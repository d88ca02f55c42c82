//! How the thread that runs Lua has the hook of a [`Watch`] called: always, when Lua is to stop, or after so many
//! instructions; and how the hook of a script is put back.
#![forbid(unsafe_code)]

use core::ffi::c_int;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::Relaxed;

use crate::backend::LuaBackend;
use crate::state::State;
use crate::watch::Watch;

/// The number of instructions that a script's hook may run each time that a stop is postponed.
const GRACE: c_int = 1000;

impl<B: LuaBackend> State<'_, B> {
    /// In the hook, when Lua is to be stopped: true if a hook of a script runs, which may go on for a while first.
    pub fn puts_stop_off(self) -> bool {
        let watch = self.instance().watch();
        let runs = watch.is_in_hook(self.raw()) && !watch.is_counting();
        watch.locked(|guarded| {
            let allowed = guarded.grace.allows(watch.hooks_begun.load(Relaxed), runs);
            if allowed {
                self.set_hook(guarded, GRACE);
            }
            allowed
        })
    }

    /// Has the hook called at each instruction of this coroutine, and of those that run from now on. The hook
    /// of a script is put back when that has ended; unless it is what has to stop, or was set by that.
    pub fn call_hook_always(self) {
        let watch = self.instance().watch();
        watch.hands_on.store(true, Relaxed);
        watch.locked(|guarded| {
            self.keep_hook(guarded);
            // One that runs still was given time enough.
            let is_to_stop = watch.is_in_hook(self.raw());
            watch.in_hook.store(null_mut(), Relaxed);
            let all = is_to_stop || !watch.reaches_from_outside();
            guarded.drop_new(watch.key(self.raw()), all);
            self.set_hook(guarded, 1);
        });
    }

    /// In the hook that has been called: puts back the hook that there was before.
    pub fn put_back_hook(self) {
        let watch = self.instance().watch();
        watch.locked(|guarded| {
            let kept = guarded.take_kept(watch.key(self.raw()));
            if kept.is_some() || self.has_our_hook() {
                self.set_kept(guarded, kept);
            }
        });
    }

    /// Has the hook called after so many instructions, by the thread that runs Lua.
    pub fn count_instructions(self, instructions: c_int) {
        let watch = self.instance().watch();
        watch.locked(|guarded| {
            guarded.take_left(watch.key(self.raw()));
            watch.counting.store(true, Relaxed);
            watch.hands_on.store(true, Relaxed);
            self.keep_hook(guarded);
            self.set_hook(guarded, instructions);
        });
    }

    /// The number of instructions that are left of [`State::count_instructions`]; 0 in the hook that has been
    /// called because none were left. All of them where the number is not known.
    pub fn instructions_left(self, in_hook: bool) -> c_int {
        let watch = self.instance().watch();
        watch.locked(|guarded| {
            if let Some(left) = guarded.take_left(watch.key(self.raw())) {
                return left;
            }
            if in_hook {
                return 0;
            }
            // An installed Lua does not tell; and with greenlets, others may count meanwhile.
            let ours = self.has_our_hook();
            ours.then(|| self.left()).flatten().unwrap_or(c_int::MAX)
        })
    }

    /// Ends counting.
    pub fn end_count(self) {
        let watch = self.instance().watch();
        watch.counting.store(false, Relaxed);
        watch.hands_on.store(false, Relaxed);
        self.put_back_hook();
    }
}

impl Watch {
    /// Ends the effect of [`State::call_hook_always`]: each coroutine puts its own hook back when it runs.
    pub fn call_no_more(&self) {
        self.hands_on.store(self.is_counting(), Relaxed);
    }

    /// Whether instructions are counted.
    pub fn is_counting(&self) -> bool {
        self.counting.load(Relaxed)
    }
}
