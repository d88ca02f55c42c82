//! [`State`]: the operations on a Lua stack that never raise.

use core::ffi::{CStr, c_char, c_int, c_void};

use crate::backend::{LuaBackend, OK, YIELD, value};
use crate::chunk_mode::refusal;
use crate::instance::Instance;
use crate::raw::{Frame, lua_CFunction, lua_State};
use crate::references::Ref;

/// A coroutine's stack and the [`Instance`] that it belongs to; two pointers, freely copied.
///
/// Indices are as in the Lua manual, and as there, one that is out of range is a bug of the caller
/// (builds with `LUA_USE_APICHECK` stop at it).
pub struct State<'l, B: LuaBackend> {
    raw: *mut lua_State,
    instance: &'l Instance<B>,
}

impl<B: LuaBackend> Clone for State<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: LuaBackend> Copy for State<'_, B> {}

/// The room of a frame that debug builds assume.
const ROOM: c_int = 256;

macro_rules! plain {
    ($(
        $(#[$doc:meta])*
        $name:ident = $function:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? $(where $check:ident($checked:expr))?;
    )*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name(self, $($arg: $ty),*) $(-> $ret)? {
            $(debug_assert!(self.$check($checked), concat!(stringify!($name), ": no such value"));)?
            // SAFETY: the state is live and this thread's (`State::new`); this function of Lua
            // never raises, and room and indices are the caller's contract (crate docs, 4).
            unsafe { B::$function(self.raw(), $($arg),*) }
        })*
    };
}

impl<'l, B: LuaBackend> State<'l, B> {
    /// A view of `raw`.
    ///
    /// # Safety
    /// `raw` is a live coroutine of `instance` as long as the view is used, which is by this thread only, and has
    /// [`crate::MIN_ROOM`] free slots.
    #[inline(always)]
    pub unsafe fn new(raw: *mut lua_State, instance: &'l Instance<B>) -> Self {
        State { raw, instance }
    }

    /// The bare pointer.
    #[inline(always)]
    pub fn raw(self) -> *mut lua_State {
        self.raw
    }

    /// The instance that this coroutine belongs to.
    #[inline(always)]
    pub fn instance(self) -> &'l Instance<B> {
        self.instance
    }

    plain! {
        /// The number of values in the frame.
        top = lua_gettop() -> c_int;
        /// Cuts the frame to `index` values, or fills it up with `nil`.
        set_top = lua_settop(index: c_int) where can_cut(index);
        /// Pushes a copy of a value.
        push_value = lua_pushvalue(index: c_int) where has(index);
        /// The type of a value, one of [`value`].
        type_of = lua_type(index: c_int) -> c_int where accepts(index);
        /// Pushes `nil`.
        push_nil = lua_pushnil();
        /// Pushes a float.
        push_number = lua_pushnumber(n: f64);
        /// Pushes an integer, or a float where there is no such subtype.
        push_integer = push_integer(n: i64);
        /// The address of a userdata, or null.
        to_userdata = lua_touserdata(index: c_int) -> *mut c_void where accepts(index);
        /// The coroutine at `index`, or null.
        to_thread = lua_tothread(index: c_int) -> *mut lua_State where accepts(index);
        /// An address that tells objects apart.
        to_pointer = lua_topointer(index: c_int) -> *const c_void where accepts(index);
        /// The C function at `index`, or `None`.
        to_c_function = lua_tocfunction(index: c_int) -> lua_CFunction where accepts(index);
        /// The integer at `index`, if it is of that subtype.
        to_integer = to_integer(index: c_int) -> Option<i64> where accepts(index);
        /// The number at `index`, or 0.
        to_number = to_number(index: c_int) -> f64 where accepts(index);
        /// Whether the metamethod `__index` that runs reads what a tail call of LuaJIT calls as a method.
        reads_for_tail_call = reads_for_tail_call() -> bool;
        /// Length without metamethods.
        raw_len = raw_len(index: c_int) -> usize where accepts(index);
        /// Replaces the key on top by `t[k]`, without metamethods.
        raw_get = raw_get(index: c_int) where has_table(index);
        /// Pushes `t[n]`, without metamethods.
        raw_geti = raw_geti(index: c_int, n: i64) where has_table(index);
        /// As [`State::raw_get`]; gives the type of what it has pushed.
        raw_get_type = raw_get_type(index: c_int) -> c_int where has_table(index);
        /// As [`State::raw_geti`]; gives the type of what it has pushed.
        raw_geti_type = raw_geti_type(index: c_int, n: i64) -> c_int where has_table(index);
        /// Moves the top value to `index`.
        insert = insert(index: c_int) where has(index);
        /// Removes the value at `index`.
        remove = remove(index: c_int) where has(index);
        /// Pushes the table of globals.
        push_globals = push_globals();
        /// `OK`, `YIELD`, or the error that killed the coroutine.
        status = lua_status() -> c_int;
        /// Whether the call stack has a frame at this level.
        has_frame = has_frame(level: c_int) -> bool;
    }

    // The checks of debug builds. The indices of upvalues are pseudo-indices, too.

    /// Whether there is a value at `index`, or could be in the room that there is.
    fn accepts(self, index: c_int) -> bool {
        if index > 0 { index <= self.top() + ROOM } else { self.has(index) }
    }

    /// Whether there is a value at `index`.
    pub(crate) fn has(self, index: c_int) -> bool {
        let top = self.top();
        index <= B::REGISTRY_INDEX || index != 0 && (-top..=top).contains(&index)
    }

    /// Whether the frame can be cut, or filled up, to `index`.
    fn can_cut(self, index: c_int) -> bool {
        let top = self.top();
        (-top - 1..=top + ROOM).contains(&index)
    }

    /// Whether there is a table at `index`.
    pub(crate) fn has_table(self, index: c_int) -> bool {
        // SAFETY: as for `plain!`.
        self.has(index) && unsafe { B::lua_type(self.raw, index) } == value::TABLE
    }

    /// The index of a value when there is one more on top.
    #[inline(always)]
    fn below(self, index: c_int) -> c_int {
        if (B::REGISTRY_INDEX + 1..0).contains(&index) { index - 1 } else { index }
    }

    /// Gives `work` the stack of the coroutine at `index`, or `None` if it is none. It leaves the coroutine where it is.
    ///
    /// ```compile_fail
    /// # fn f<B: lua_api::LuaBackend>(state: lua_api::State<B>) {
    /// let kept = state.with_coroutine(1, |coroutine| coroutine);
    /// # }
    /// ```
    #[inline(always)]
    pub fn with_coroutine<R>(
        self,
        index: c_int,
        work: impl for<'c> FnOnce(Option<State<'c, B>>) -> R,
    ) -> R {
        let raw = self.to_thread(index);
        // SAFETY: a coroutine of this instance, which is on the stack as long as `work` runs.
        work((!raw.is_null()).then(|| unsafe { self.with_raw(raw) }))
    }

    /// Lua goes on with this coroutine after a callback: the calling thread works on its instance.
    #[inline(always)]
    pub fn settle(self) {
        self.instance.settle(self);
    }

    /// Resumes this coroutine with the arguments on top of its stack, from the one that runs. Gives its status, and how
    /// many results are on top of its stack; an error is one. One that cannot be resumed gives an error, too.
    #[inline(always)]
    pub fn resume(self, from: State<'_, B>, arguments: c_int) -> (c_int, c_int) {
        from.expect_of(self.instance);
        from.settle();
        // SAFETY: as for `plain!`; errors end in the status.
        let (status, results) = unsafe { B::resume(self.raw, from.raw, arguments) };
        (status, if matches!(status, OK | YIELD) { results } else { 1 })
    }

    /// Panics unless this is a coroutine of that instance.
    #[inline(always)]
    pub(crate) fn expect_of(self, instance: &Instance<B>) {
        assert!(core::ptr::eq(self.instance, instance), "a coroutine of another Lua");
    }

    /// Pops `n` values.
    #[inline(always)]
    pub fn pop(self, n: c_int) {
        self.set_top(-n - 1);
    }

    /// Pushes a boolean.
    #[inline(always)]
    pub fn push_bool(self, b: bool) {
        // SAFETY: as for `plain!`.
        unsafe { B::lua_pushboolean(self.raw(), c_int::from(b)) }
    }

    /// Whether the value is anything but `nil` and `false`.
    #[inline(always)]
    pub fn to_bool(self, index: c_int) -> bool {
        // SAFETY: as for `plain!`.
        unsafe { B::lua_toboolean(self.raw(), index) != 0 }
    }

    /// Whether the value is a C function.
    #[inline(always)]
    pub fn is_c_function(self, index: c_int) -> bool {
        // SAFETY: as for `plain!`.
        unsafe { B::lua_iscfunction(self.raw(), index) != 0 }
    }

    /// Primitive equality of two values.
    #[inline(always)]
    pub fn raw_equal(self, a: c_int, b: c_int) -> bool {
        // SAFETY: as for `plain!`.
        unsafe { B::lua_rawequal(self.raw(), a, b) != 0 }
    }

    /// Pushes the metatable of a value, if it has one.
    #[inline(always)]
    pub fn push_metatable(self, index: c_int) -> bool {
        // SAFETY: as for `plain!`.
        unsafe { B::lua_getmetatable(self.raw(), index) != 0 }
    }

    /// Pushes upvalue `n` of the function at `index`, if it has that many.
    #[inline(always)]
    pub fn push_upvalue(self, index: c_int, n: c_int) -> bool {
        // SAFETY: as for `plain!`.
        unsafe { !B::lua_getupvalue(self.raw(), index, n).is_null() }
    }

    /// Whether the function at `index`, a chunk that was loaded from source, has Lua's globals for its
    /// own, as when it was loaded.
    #[inline(always)]
    pub fn has_globals(self, index: c_int) -> bool {
        // SAFETY: as for `plain!`.
        if !unsafe { B::push_environment(self.raw(), index) } {
            return false;
        }
        self.push_globals();
        let same = self.raw_equal(-1, -2);
        self.pop(2);
        same
    }

    /// Sets the table on top as the metatable of the value at `index` and pops it.
    #[inline(always)]
    pub fn set_metatable(self, index: c_int) {
        debug_assert!(matches!(self.type_of(-1), value::TABLE | value::NIL), "no metatable");
        // SAFETY: as for `plain!`.
        unsafe { B::lua_setmetatable(self.raw(), index) };
    }

    /// Stores the top value as `t[n]` and pops it.
    ///
    /// # Safety
    /// The key is present in the table (with any value but `nil`): else this may allocate and raise.
    #[inline(always)]
    pub unsafe fn raw_seti_present(self, index: c_int, n: i64) {
        // SAFETY: a key that is present is assigned in place.
        unsafe { B::raw_seti(self.raw(), index, n) }
    }

    /// Stores the top value as `t[k]`, `k` below it, and pops both.
    ///
    /// # Safety
    /// As for [`State::raw_seti_present`].
    #[inline(always)]
    pub unsafe fn raw_set_present(self, index: c_int) {
        // SAFETY: a key that is present is assigned in place.
        unsafe { B::lua_rawset(self.raw(), index) }
    }

    /// Stores the top value as `t[n]`, without metamethods, and pops it, if the key is in the table already; else nothing
    /// happens, and this is false. Never raises: a key that is present is assigned in place.
    #[inline(always)]
    pub fn replace(self, index: c_int, n: i64) -> bool {
        let present = self.raw_geti_type(index, n) != value::NIL;
        self.pop(1);
        if present {
            // SAFETY: it is present.
            unsafe { self.raw_seti_present(index, n) };
        }
        present
    }

    /// Stores the top value as `t[k]`, `k` below it, without metamethods, and pops both, if the key is in the table
    /// already; else nothing happens, and this is false.
    #[inline(always)]
    pub fn replace_key(self, index: c_int) -> bool {
        self.push_value(-2);
        let present = self.raw_get_type(self.below(index)) != value::NIL;
        self.pop(1);
        if present {
            // SAFETY: it is present.
            unsafe { self.raw_set_present(index) };
        }
        present
    }

    /// Moves the top `n` values to `to`, which must have room.
    #[inline(always)]
    pub fn move_to(self, to: State<'_, B>, n: c_int) {
        to.expect_of(self.instance);
        // SAFETY: as for `plain!`; both are coroutines of one instance.
        unsafe { B::lua_xmove(self.raw(), to.raw(), n) }
    }

    /// Pushes what a reference stands for.
    #[inline(always)]
    pub fn push_ref(self, reference: Ref) {
        self.raw_geti(B::REGISTRY_INDEX, i64::from(reference.0));
    }

    /// Pushes what a reference stands for, and gives its type.
    #[inline(always)]
    pub fn push_ref_type(self, reference: Ref) -> c_int {
        self.raw_geti_type(B::REGISTRY_INDEX, i64::from(reference.0))
    }

    /// Gives `work` the bytes of the string at `index`, or `None` when it is no string (a number is none:
    /// to convert one may raise). They are Lua's own, so `work` leaves the string where it is:
    ///
    /// ```compile_fail
    /// # fn f<B: lua_api::LuaBackend>(state: lua_api::State<B>) {
    /// let kept = state.with_bytes(1, |bytes| bytes);
    /// state.set_top(0);
    /// assert!(kept.is_none());
    /// # }
    /// ```
    #[inline(always)]
    pub fn with_bytes<R>(
        self,
        index: c_int,
        work: impl for<'b> FnOnce(Option<&'b [u8]>) -> R,
    ) -> R {
        if self.type_of(index) != value::STRING {
            return work(None);
        }
        // SAFETY: a string.
        unsafe { self.with_string(index, |bytes| work(Some(bytes))) }
    }

    /// Gives the bytes of a string at `index` to `string`, as [`State::with_bytes`]; of any other value, its type to
    /// `other`.
    #[inline(always)]
    pub fn with_value<R>(
        self,
        index: c_int,
        string: impl for<'b> FnOnce(&'b [u8]) -> R,
        other: impl FnOnce(c_int) -> R,
    ) -> R {
        let kind = self.type_of(index);
        // SAFETY: of that type.
        unsafe { self.with_typed(index, kind, string, other) }
    }

    /// As [`State::raw_get`]; what it has pushed is given on as by [`State::with_value`].
    #[inline(always)]
    pub fn raw_get_with<R>(
        self,
        index: c_int,
        string: impl for<'b> FnOnce(&'b [u8]) -> R,
        other: impl FnOnce(c_int) -> R,
    ) -> R {
        let kind = self.raw_get_type(index);
        // SAFETY: pushed just now, and of that type.
        unsafe { self.with_typed(-1, kind, string, other) }
    }

    /// As [`State::raw_geti`]; what it has pushed is given on as by [`State::with_value`].
    #[inline(always)]
    pub fn raw_geti_with<R>(
        self,
        index: c_int,
        n: i64,
        string: impl for<'b> FnOnce(&'b [u8]) -> R,
        other: impl FnOnce(c_int) -> R,
    ) -> R {
        let kind = self.raw_geti_type(index, n);
        // SAFETY: pushed just now, and of that type.
        unsafe { self.with_typed(-1, kind, string, other) }
    }

    /// # Safety
    /// The value at `index` is of the type `kind`.
    #[inline(always)]
    unsafe fn with_typed<R>(
        self,
        index: c_int,
        kind: c_int,
        string: impl for<'b> FnOnce(&'b [u8]) -> R,
        other: impl FnOnce(c_int) -> R,
    ) -> R {
        if kind != value::STRING {
            return other(kind);
        }
        // SAFETY: a string.
        unsafe { self.with_string(index, string) }
    }

    /// As [`State::with_bytes`], where there is a string.
    ///
    /// # Safety
    /// There is a string at `index`.
    #[inline(always)]
    pub unsafe fn with_string<R>(
        self,
        index: c_int,
        work: impl for<'b> FnOnce(&'b [u8]) -> R,
    ) -> R {
        // SAFETY: as the caller promises.
        work(unsafe { self.string(index) })
    }

    /// # Safety
    /// There is a string at `index`, which stays on the stack for `'b`.
    #[inline(always)]
    unsafe fn string<'b>(self, index: c_int) -> &'b [u8] {
        let mut len = 0;
        // SAFETY: for a string this neither converts nor allocates; Lua gives its own bytes and
        // their number, which are there as long as the string is on the stack.
        unsafe {
            let start = B::lua_tolstring(self.raw(), index, &mut len);
            core::slice::from_raw_parts(start.cast::<u8>(), len)
        }
    }

    /// Gives `work` the frame at a level of the call stack. It runs no Lua: names of the frame are Lua's own.
    ///
    /// ```compile_fail
    /// # fn f<B: lua_api::LuaBackend>(state: lua_api::State<B>) {
    /// let kept = state.with_frame(0, |frame| frame.map(|frame| frame.name()));
    /// # }
    /// ```
    pub fn with_frame<R>(
        self,
        level: c_int,
        work: impl for<'b> FnOnce(Option<Frame<'b>>) -> R,
    ) -> R {
        // SAFETY: as for `plain!`; its texts are there until Lua runs again.
        work(unsafe { B::frame(self.raw(), level) })
    }

    /// Makes a reference stand for the value on top, and pops it.
    #[inline(always)]
    pub(crate) fn set_ref(self, reference: Ref) {
        // SAFETY: its key is present, as a reference says.
        unsafe { self.raw_seti_present(B::REGISTRY_INDEX, i64::from(reference.0)) };
    }

    /// Loads a chunk and pushes it as a function; on another status than `OK` pushes the error.
    /// `mode` is `b`, `t` or both (manual, `load`).
    pub fn load(self, code: &[u8], name: &CStr, mode: Option<&CStr>) -> c_int {
        self.settle();
        if !B::LOAD_HAS_MODE
            && let Some(message) = refusal(code, mode)
        {
            let pushed = self.protect_values(|raising| {
                raising.push_bytes(message.as_bytes());
                1
            });
            return pushed.map_or_else(|raised| raised.0, |_| crate::ERRSYNTAX);
        }
        if B::LOAD_RAISES {
            return self.load_protected(code, name, mode);
        }
        // SAFETY: as for `plain!`: loading is protected by itself.
        unsafe { B::load(self.raw(), code, name, mode) }
    }

    /// The name of the type of a value, as Lua's `type` gives it.
    pub fn type_name(self, index: c_int) -> &'static str {
        // SAFETY: `lua_typename` gives a static, zero-terminated ASCII string.
        unsafe {
            let name: *const c_char = B::lua_typename(self.raw(), B::lua_type(self.raw(), index));
            CStr::from_ptr(name).to_str().unwrap_or("?")
        }
    }

    /// The same stack of another coroutine of this instance.
    ///
    /// # Safety
    /// As for [`State::new`].
    #[inline(always)]
    pub unsafe fn with_raw(self, raw: *mut lua_State) -> Self {
        State { raw, instance: self.instance }
    }
}
