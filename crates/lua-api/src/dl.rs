//! How a bundled Lua loads binary modules: `dlopen`, `dlsym` and `dlerror` as Lua's loader calls
//! them (lua-build renames them there).
//!
//! A binary module does not say which Lua it is for: the dynamic linker binds its `lua_*` symbols to
//! whatever library offers them to the whole process. So the first Lua that loads such a module
//! makes its own symbols global; another Lua that tries gets an error instead of a crash, which is
//! what calls into a foreign Lua end in.
#![cfg(unix)]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::cell::RefCell;
use std::ffi::CString;

/// The address of this module's own `lua_pushnil`, which tells whose symbols are global.
static OWN: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

const OTHER: &str = "binary modules of this process belong to another Lua, which has loaded one first \
     (or was imported with global symbols); only one Lua of a process can load them";

thread_local! {
    static MESSAGE: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Notes which Lua this module has. Called when the module is initialised.
pub fn register(own_function: *mut c_void) {
    OWN.store(own_function, Ordering::Release);
}

/// Whose `lua_*` symbols binary modules are bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Nobody's.
    None,
    /// This module's.
    Own,
    /// Another Lua's.
    Other,
}

/// Whose symbols are global now.
pub fn provider() -> Provider {
    // SAFETY: looks a name up in what the whole process sees. `RTLD_DEFAULT` would not do: that
    // begins with what this very library sees, which is its own symbols.
    let found = unsafe {
        let process = libc::dlopen(core::ptr::null(), libc::RTLD_LAZY);
        let found = libc::dlsym(process, c"lua_pushnil".as_ptr());
        libc::dlclose(process);
        found
    };
    if found.is_null() {
        Provider::None
    } else if found == OWN.load(Ordering::Acquire) {
        Provider::Own
    } else {
        Provider::Other
    }
}

/// Makes the symbols of this module global, unless others are; gives whose are.
pub fn promote() -> Provider {
    let before = provider();
    let own = OWN.load(Ordering::Acquire);
    if before != Provider::None || own.is_null() {
        return before;
    }
    // SAFETY: `own` is a function of this module, so `dladdr` finds the file that it was loaded
    // from; opening that again only changes its visibility. The handle is kept: modules stay.
    unsafe {
        let mut info: libc::Dl_info = core::mem::zeroed();
        if libc::dladdr(own, &raw mut info) != 0 && !info.dli_fname.is_null() {
            libc::dlopen(info.dli_fname, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_GLOBAL);
        }
    }
    provider()
}

/// The file that a function was loaded from.
pub(crate) fn file_of(function: *mut c_void) -> Option<String> {
    // SAFETY: `dladdr` fills the structure, whose name lives as long as the library.
    unsafe {
        let mut info: libc::Dl_info = core::mem::zeroed();
        if libc::dladdr(function, &raw mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        Some(CStr::from_ptr(info.dli_fname).to_string_lossy().into_owned())
    }
}

/// Whether the library that a function was loaded from has this symbol.
pub(crate) fn offers(function: *mut c_void, symbol: &CStr) -> bool {
    let Some(file) = file_of(function).and_then(|file| CString::new(file).ok()) else {
        return false;
    };
    // SAFETY: opens what is loaded already.
    unsafe {
        let library = libc::dlopen(file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
        if library.is_null() {
            return false;
        }
        let found = !libc::dlsym(library, symbol.as_ptr()).is_null();
        libc::dlclose(library);
        found
    }
}

fn set_message(message: &str) {
    let message = CString::new(message).unwrap_or_default();
    let _ = MESSAGE.try_with(|cell| cell.replace(Some(message)));
}

/// `dlopen` for Lua: a library that Lua loads at once (`ffi.load` does it lazily) may be a binary
/// module, so before that the symbols it needs are made global.
///
/// # Safety
/// As for `dlopen`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lupa_dlopen(path: *const c_char, flags: c_int) -> *mut c_void {
    let _ = MESSAGE.try_with(|cell| cell.replace(None));
    crate::watch::lupa_foreign();
    let provider = if flags & libc::RTLD_NOW != 0 { promote() } else { Provider::Own };
    // SAFETY: the caller's.
    let library = unsafe { libc::dlopen(path, flags) };
    if library.is_null() && provider == Provider::Other {
        set_message(OTHER);
    }
    library
}

/// `dlsym` for Lua: hands out no entry point of a module that is bound to another Lua.
///
/// # Safety
/// As for `dlsym`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lupa_dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void {
    let _ = MESSAGE.try_with(|cell| cell.replace(None));
    // SAFETY: zero-terminated, as for `dlsym`.
    let is_entry = unsafe { CStr::from_ptr(name) }.to_bytes().starts_with(b"luaopen_");
    if is_entry && provider() == Provider::Other {
        set_message(OTHER);
        return null_mut();
    }
    // SAFETY: the caller's.
    unsafe { libc::dlsym(library, name) }
}

/// `dlerror` for Lua.
///
/// # Safety
/// As for `dlerror`: the text is good until the next call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lupa_dlerror() -> *mut c_char {
    MESSAGE.with(|cell| match &*cell.borrow() {
        Some(message) => message.as_ptr().cast_mut(),
        // SAFETY: no precondition.
        None => unsafe { libc::dlerror() },
    })
}
