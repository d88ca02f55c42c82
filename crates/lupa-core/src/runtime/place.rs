//! Where Lua code is that has called what runs now, for messages.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, State};

/// Where a function of the call stack is, as Lua says it before a message; empty for C functions.
pub(crate) fn place<B: LuaBackend>(state: State<B>, level: i32) -> String {
    state.with_frame(level, |frame| match frame {
        Some(frame) if frame.line > 0 => {
            format!("{}:{}: ", String::from_utf8_lossy(frame.source()), frame.line)
        }
        _ => String::new(),
    })
}

/// Where Lua code has called what runs now, as the end of a message; empty where no Lua code has.
pub(crate) fn where_called<B: LuaBackend>(state: State<B>) -> String {
    let place = (0..3).map(|level| place(state, level)).find(|place| !place.is_empty());
    place.map_or_else(String::new, |place| format!(" (at {})", place.trim_end_matches(": ")))
}
