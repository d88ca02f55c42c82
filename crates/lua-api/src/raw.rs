//! The C types that every Lua shares; the generated bindings of each version import them from here.
#![allow(non_camel_case_types)]

use core::ffi::{c_int, c_void};

/// A Lua thread (`lua_State`); only ever seen behind a pointer.
#[repr(C)]
pub struct lua_State {
    _private: [u8; 0],
}

/// A C function that Lua can call. It may be left by a Lua error, hence `C-unwind`.
pub type lua_CFunction = Option<unsafe extern "C-unwind" fn(*mut lua_State) -> c_int>;

/// A memory allocator (manual, `lua_Alloc`).
pub type lua_Alloc =
    Option<unsafe extern "C-unwind" fn(*mut c_void, *mut c_void, usize, usize) -> *mut c_void>;

/// A hook (manual, `lua_Hook`); what it is told of the event differs between versions.
pub type lua_Hook = Option<unsafe extern "C-unwind" fn(*mut lua_State, *mut c_void)>;
