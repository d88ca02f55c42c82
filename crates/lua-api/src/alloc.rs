//! Memory accounting: what a Lua holds, and a limit to it.
//!
//! Where a Lua takes an allocator from us, its memory comes from a [`Pool`]. LuaJIT brings its own
//! (2.0 needs its memory in the low 2 GB, and gets it there): that one goes on doing the work, and
//! we stand before it.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use crate::backend::LuaBackend;
use crate::pool::Pool;
use crate::raw::{lua_Alloc, lua_State};
use crate::state::State;

/// The account of one Lua instance. All numbers are bytes.
///
/// What is atomic is read, or set, by other threads while Lua runs; only Lua's thread writes `used`.
pub struct Memory {
    pool: Pool,
    original: Cell<Option<(lua_Alloc, *mut c_void)>>,
    counted: Cell<bool>,
    used: AtomicUsize,
    // The host's, that of scopes, and the lower of the two; 0 is none.
    own_limit: AtomicUsize,
    scoped_limit: AtomicUsize,
    limit: AtomicUsize,
    lenient: Cell<bool>,
    fail_after: AtomicU64,
    // How often Lua was given nothing.
    refusals: Cell<u64>,
    outside: Arc<AtomicUsize>,
}

/// The bytes beyond the limit that [`Memory::set_lenient`] allows: enough for a stack that grows a little.
const SLACK: usize = 1 << 20;

/// The value of `fail_after` while allocations do not fail.
const NEVER: u64 = u64::MAX;

impl Default for Memory {
    fn default() -> Self {
        Memory {
            pool: Pool::default(),
            original: Cell::default(),
            counted: Cell::default(),
            used: AtomicUsize::default(),
            own_limit: AtomicUsize::default(),
            scoped_limit: AtomicUsize::default(),
            limit: AtomicUsize::default(),
            lenient: Cell::default(),
            fail_after: AtomicU64::new(NEVER),
            refusals: Cell::default(),
            outside: Arc::default(),
        }
    }
}

impl Memory {
    /// The allocator and its data for a new state. The account is at a fixed address, and lives as
    /// long as the state.
    pub(crate) fn allocator(&self) -> (lua_Alloc, *mut c_void) {
        (Some(allocate), (&raw const *self).cast_mut().cast())
    }

    /// Sees to it that this counts, where the state has an allocator of its own.
    ///
    /// # Safety
    /// `l` is a live state, and so is this account, at a fixed address, until [`Memory::detach`].
    pub(crate) unsafe fn count<B: LuaBackend>(&self, l: *mut lua_State, used: usize) {
        let mut ud = null_mut();
        // SAFETY: the state is live, and the account stays where it is.
        unsafe {
            let original = B::lua_getallocf(l, &mut ud);
            if ud == self.allocator().1 {
                return;
            }
            self.original.set(Some((original, ud)));
            self.used.store(used, Ordering::Relaxed);
            B::lua_setallocf(l, Some(allocate), self.allocator().1);
        }
    }

    /// Before a state is closed: gives it its own allocator back, if it had one (LuaJIT frees its
    /// arena only when it sees that one), and refuses nothing any more.
    ///
    /// # Safety
    /// `l` is the live state of [`Memory::count`].
    pub(crate) unsafe fn detach<B: LuaBackend>(&self, l: *mut lua_State) {
        self.set_limit(0);
        self.set_scoped_limit(0);
        self.fail_after(None);
        if let Some((original, ud)) = self.original.take() {
            // SAFETY: these came from this very state.
            unsafe { B::lua_setallocf(l, original, ud) };
        }
    }

    /// Notes that the creator of this Lua wants its memory counted.
    pub(crate) fn set_counted(&self) {
        self.counted.set(true);
    }

    /// Whether the creator of this Lua wants its memory counted.
    pub fn is_counted(&self) -> bool {
        self.counted.get()
    }

    /// The bytes that Lua holds, with those that are held for it outside of its own memory.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed).saturating_add(self.outside.load(Ordering::Relaxed))
    }

    /// The bytes that are held for Lua outside of its own memory. Code that takes or frees such
    /// memory, in any thread, adds to or subtracts from this number.
    pub fn outside(&self) -> &Arc<AtomicUsize> {
        &self.outside
    }

    /// Whether so many bytes more are within the limit.
    pub fn has_room(&self, more: usize) -> bool {
        self.has_room_beyond(0, more)
    }

    /// The lower of the limits; 0 is none.
    pub fn tightest(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Whether there is a limit.
    #[inline(always)]
    pub fn is_limited(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != 0
    }

    fn has_room_beyond(&self, slack: usize, more: usize) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        limit == 0 || self.used().saturating_add(more) < limit.saturating_add(slack)
    }

    /// The most that it may hold; 0 is no limit.
    pub fn limit(&self) -> usize {
        self.own_limit.load(Ordering::Relaxed)
    }

    /// Sets the limit; 0 is none.
    pub fn set_limit(&self, bytes: usize) {
        self.own_limit.store(bytes, Ordering::SeqCst);
        self.combine();
    }

    /// Sets another limit that holds besides; 0 is none.
    pub fn set_scoped_limit(&self, bytes: usize) {
        self.scoped_limit.store(bytes, Ordering::SeqCst);
        self.combine();
    }

    fn combine(&self) {
        let limits = || [&self.own_limit, &self.scoped_limit].map(|l| l.load(Ordering::SeqCst));
        let mut seen = limits();
        loop {
            let lower = seen.into_iter().filter(|&limit| limit > 0).min().unwrap_or(0);
            self.limit.store(lower, Ordering::SeqCst);
            // Another thread may have set one meanwhile, and seen less than is true now.
            let now = limits();
            if now == seen {
                return;
            }
            seen = now;
        }
    }

    /// Fault injection for tests: `Some(n)` lets `n` more allocations grow and then fails each.
    pub fn fail_after(&self, n: Option<u64>) {
        self.fail_after.store(n.unwrap_or(NEVER), Ordering::Relaxed);
    }

    /// Lets Lua have [`SLACK`] more than the limit, or not any more; gives how it was. For operations whose
    /// error nobody catches; hooks and finalizers of scripts may run meanwhile, so it is not more.
    pub(crate) fn set_lenient(&self, lenient: bool) -> bool {
        self.lenient.replace(lenient)
    }

    /// Whether it is known here when Lua gets no memory: a LuaJIT whose memory is not counted has an allocator of its own.
    pub fn sees_refusals(&self) -> bool {
        self.used.load(Ordering::Relaxed) != 0
    }

    /// A number that is another one after Lua has wanted memory and got none.
    pub fn refusals(&self) -> u64 {
        self.refusals.get()
    }

    /// Notes that Lua has got no memory, or that memory outside was refused.
    #[cold]
    pub fn note_refusal(&self) {
        self.refusals.set(self.refusals.get().wrapping_add(1));
    }

    #[inline(always)]
    fn refuses(&self, more: usize) -> bool {
        (self.limit.load(Ordering::Relaxed) != 0
            || self.fail_after.load(Ordering::Relaxed) != NEVER)
            && self.is_over(more)
    }

    fn is_over(&self, more: usize) -> bool {
        if self.lenient.get() {
            return !self.has_room_beyond(SLACK, more);
        }
        match self.fail_after.load(Ordering::Relaxed) {
            NEVER => {}
            0 => return true,
            n => self.fail_after.store(n - 1, Ordering::Relaxed),
        }
        !self.has_room(more)
    }
}

impl<B: LuaBackend> State<'_, B> {
    /// Makes room for `n` more values where nobody catches an error: the account is lenient meanwhile, so that only the
    /// system can refuse. False if there is none.
    pub(crate) fn grow(self, n: c_int) -> bool {
        let memory = self.instance().memory();
        let lenient = memory.set_lenient(true);
        // SAFETY: a live coroutine, this thread's; it does not raise, as was said.
        let fits = unsafe { B::checkstack(self.raw(), n) };
        memory.set_lenient(lenient);
        fits
    }
}

/// `lua_Alloc` (manual): shrinking and freeing never fail.
unsafe extern "C-unwind" fn allocate(
    ud: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: `ud` is the account given to the state, which outlives it.
    let memory = unsafe { &*ud.cast::<Memory>() };
    // With no block, `old` is the kind of the new object (5.2 and later).
    let old = if block.is_null() { 0 } else { old };
    if new > old && memory.refuses(new - old) {
        memory.note_refusal();
        return null_mut();
    }
    // SAFETY: Lua gives back what it got, and says how large it is.
    let result = unsafe {
        match memory.original.get() {
            Some((Some(original), ud)) => original(ud, block, old, new),
            _ => match (old, new) {
                (0, 0) => null_mut(),
                (0, new) => memory.pool.allocate(new).cast(),
                (old, 0) => {
                    memory.pool.release(block.cast(), old);
                    null_mut()
                }
                (old, new) => memory.pool.resize(block.cast(), old, new).cast(),
            },
        }
    };
    if !result.is_null() || new == 0 {
        let used = memory.used.load(Ordering::Relaxed).wrapping_sub(old).wrapping_add(new);
        memory.used.store(used, Ordering::Relaxed);
    } else {
        memory.note_refusal();
    }
    result
}
