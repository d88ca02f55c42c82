//! Whether a chunk may be loaded, where the Lua does not ask for a mode itself (5.1).
#![forbid(unsafe_code)]

use core::ffi::CStr;

/// The message of Lua 5.2 and later for a chunk that `mode` (manual, `load`) does not allow.
pub(crate) fn refusal(code: &[u8], mode: Option<&CStr>) -> Option<String> {
    let (kind, letter) = if code.starts_with(b"\x1b") { ("binary", b'b') } else { ("text", b't') };
    let mode = mode.filter(|mode| !mode.to_bytes().contains(&letter))?.to_string_lossy();
    Some(format!("attempt to load a {kind} chunk (mode is '{mode}')"))
}
