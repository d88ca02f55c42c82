//! An installed Lua: is the library that the system's linker found the one that this was built for?
//!
//! Library files are replaced, search paths are changed, and symbols of another Lua may be global in
//! the process and come first. Constants of the headers differ between versions, so the wrong one would
//! crash sooner or later. What is called here before the version is known has the same meaning in all.

use core::ffi::{CStr, c_char, c_int};
use core::ptr::null_mut;

use crate::alloc::Memory;
use crate::backend::{LuaBackend, NewState, OK};
use crate::libraries::{Library, Opening};
use crate::raw::{lua_CFunction, lua_State};
use crate::warn::Warnings;

/// What a library says that it is.
#[derive(Default)]
struct Found {
    /// `_VERSION`.
    language: Option<String>,
    /// `jit.version_num`, as 20199.
    jit: Option<f64>,
}

/// Checks that an installed Lua is of the version of the backend; one that was compiled for it is.
///
/// # Errors
/// A message that says what was found instead.
pub fn check_installed<B: LuaBackend>() -> Result<(), String> {
    if !B::INSTALLED {
        return Ok(());
    }
    let (major, minor) = B::VERSION;
    let expected = format!("Lua {major}.{minor}");
    let file = library_file::<B>();
    let place = file.as_ref().map_or(String::new(), |file| format!(" ({file})"));
    let refused = |found: &str| {
        let name = match B::JIT_VERSION {
            Some((major, minor)) => format!("LuaJIT {major}.{minor}"),
            None => expected.clone(),
        };
        Err(format!(
            "lupa.{} was built for an installed {name}, but the library that the system has loaded \
             for it is {found}{place}",
            B::NAME
        ))
    };
    let found = match ask::<B>() {
        Ok(found) => found,
        Err(problem) => return refused(&format!("of no use: {problem}")),
    };
    let language = found.language.unwrap_or_else(|| "a Lua without _VERSION".to_owned());
    if language != expected {
        return refused(&language);
    }
    match (B::JIT_VERSION, found.jit) {
        (Some((major, minor)), Some(number)) => {
            if (number as u32) / 100 == u32::from(major) * 100 + u32::from(minor) {
                Ok(())
            } else {
                refused(&format!("LuaJIT {}.{}", number as u32 / 10000, number as u32 / 100 % 100))
            }
        }
        (Some(_), None) => refused(&language),
        (None, _) if is_luajit::<B>() => refused("LuaJIT"),
        (None, _) => Ok(()),
    }
}

/// Asks a new state.
fn ask<B: LuaBackend>() -> Result<Found, String> {
    let memory = Memory::default();
    let warnings = Warnings::default();
    let (allocator, allocator_data) = memory.allocator();
    let mut found = Found::default();
    // SAFETY: what is passed outlives the state; `read` has the result as its userdata.
    unsafe {
        let host = NewState { allocator, allocator_data, seed: Some(0), warnings: &warnings };
        let state = B::new_state(&host);
        if state.is_null() {
            return Err("it makes no new state".to_owned());
        }
        let status = B::cpcall(state, Some(read::<B>), (&raw mut found).cast());
        let problem = (status != OK).then(|| text(B::lua_tolstring(state, -1, null_mut())));
        B::lua_close(state);
        match problem {
            None => Ok(found),
            Some(problem) => Err(problem.unwrap_or_else(|| format!("error {status}"))),
        }
    }
}

/// Opens the libraries that know the version, and reads it.
///
/// # Safety
/// Called by Lua, with a pointer to [`Found`].
unsafe extern "C-unwind" fn read<B: LuaBackend>(l: *mut lua_State) -> c_int {
    // SAFETY: a protected call; errors pass frames that own nothing that Lua could lose: the string
    // is made when nothing can raise any more.
    unsafe {
        let found = B::lua_touserdata(l, 1).cast::<Found>();
        if let Some(jit) = opener::<B>("jit") {
            // Only a LuaJIT has this function, so the globals are where those of 5.1 are.
            open::<B>(l, jit);
            B::push_globals(l);
            B::get_field(l, -1, c"jit");
            B::get_field(l, -1, c"version_num");
            (*found).jit = Some(B::to_number(l, -1));
        }
        if let Some(base) = opener::<B>("base") {
            // Its first result is the table of globals, in every version.
            open::<B>(l, base);
            B::get_field(l, -1, c"_VERSION");
            (*found).language = text(B::lua_tolstring(l, -1, null_mut()));
        }
    }
    0
}

/// # Safety
/// A zero-terminated string, or null.
unsafe fn text(chars: *const c_char) -> Option<String> {
    // SAFETY: as the caller promises.
    (!chars.is_null()).then(|| unsafe { CStr::from_ptr(chars) }.to_string_lossy().into_owned())
}

/// # Safety
/// In a protected call.
unsafe fn open<B: LuaBackend>(l: *mut lua_State, library: lua_CFunction) {
    // SAFETY: as the caller promises.
    unsafe {
        B::lua_pushcclosure(l, library, 0);
        B::call(l, 0, 1);
    }
}

fn opener<B: LuaBackend>(name: &str) -> Option<lua_CFunction> {
    let library: &Library = B::LIBRARIES.iter().find(|library| library.name == name)?;
    match library.opening {
        Opening::Function(_, open) | Opening::Always(_, open) => Some(open),
        Opening::Preload(..) | Opening::Part => None,
    }
}

#[cfg(unix)]
fn library_file<B: LuaBackend>() -> Option<String> {
    crate::dl::file_of(B::lua_pushnil_address())
}

#[cfg(not(unix))]
fn library_file<B: LuaBackend>() -> Option<String> {
    None
}

/// Whether the library is a LuaJIT: that says of itself to be a Lua 5.1.
#[cfg(unix)]
fn is_luajit<B: LuaBackend>() -> bool {
    crate::dl::offers(B::lua_pushnil_address(), c"luaJIT_setmode")
}

/// Only a linker that binds names to libraries, and not to whichever has them, is without this.
#[cfg(not(unix))]
fn is_luajit<B: LuaBackend>() -> bool {
    false
}
