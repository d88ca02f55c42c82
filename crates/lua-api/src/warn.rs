//! What Lua's `warn` does (5.4 and later), as the manual has it for `lua`: warnings are off until the
//! message `@on`, and go to the standard error then.

use core::cell::Cell;
use core::ffi::{CStr, c_char, c_int, c_void};
use std::io::Write;

/// Whether warnings are shown, and whether one is being written.
#[derive(Default)]
pub struct Warnings {
    on: Cell<bool>,
    within: Cell<bool>,
}

/// `lua_WarnFunction`; its data is a [`Warnings`] that outlives the state.
///
/// # Safety
/// Called by Lua.
pub unsafe extern "C-unwind" fn warn(ud: *mut c_void, message: *const c_char, continues: c_int) {
    // SAFETY: `ud` is the data given to the state; the message is zero-terminated.
    let (warnings, message) = unsafe { (&*ud.cast::<Warnings>(), CStr::from_ptr(message)) };
    let first = !warnings.within.replace(continues != 0);
    if first && continues == 0 && message.to_bytes().starts_with(b"@") {
        match message.to_bytes() {
            b"@on" => warnings.on.set(true),
            b"@off" => warnings.on.set(false),
            _ => {}
        }
        return;
    }
    if warnings.on.get() {
        // It may be a pipe, and full.
        crate::watch::lupa_wait();
        let mut err = std::io::stderr().lock();
        let parts: [&[u8]; 3] = [
            if first { b"Lua warning: " } else { b"" },
            message.to_bytes(),
            if continues == 0 { b"\n" } else { b"" },
        ];
        for part in parts {
            // There is nobody to tell that the standard error is gone.
            let _ = err.write_all(part);
        }
    }
}
