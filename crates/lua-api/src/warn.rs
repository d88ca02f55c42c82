//! The function behind Lua's `warn` (5.4 and later). It does what the manual says of `lua`: warnings are off until the
//! message `@on`, and go to the standard error then.
#![forbid(unsafe_code)]

use core::cell::Cell;
use std::io::Write;

/// Whether warnings are shown, and whether one is being written.
#[derive(Default)]
pub struct Warnings {
    on: Cell<bool>,
    within: Cell<bool>,
}

impl Warnings {
    /// A message, or a part of one that `continues`.
    pub(crate) fn show(&self, message: &[u8], continues: bool) {
        let first = !self.within.replace(continues);
        if first && !continues && message.starts_with(b"@") {
            match message {
                b"@on" => self.on.set(true),
                b"@off" => self.on.set(false),
                _ => {}
            }
            return;
        }
        if self.on.get() {
            // It may be a pipe, and full.
            crate::watch::lupa_wait();
            let mut err = std::io::stderr().lock();
            let parts: [&[u8]; 3] = [
                if first { b"Lua warning: " } else { b"" },
                message,
                if continues { b"" } else { b"\n" },
            ];
            for part in parts {
                // There is nobody to tell that the standard error is gone.
                let _ = err.write_all(part);
            }
        }
    }
}
