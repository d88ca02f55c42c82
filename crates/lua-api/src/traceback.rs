//! The message handler of protected calls, which notes a traceback. The error value stays as it is.
//!
//! The text is made in Rust memory from the call stack, so that it works when Lua's memory is
//! full, and needs no look at the loaded modules for names, which costs more than the rest of an
//! error. The most recent call is last, as in Python (lupa turns Lua's order around, too).
#![forbid(unsafe_code)]

use core::ffi::c_int;
use std::io::Write;

use crate::backend::{LuaBackend, value};
use crate::fence::is_entry;
use crate::raw::Frame;
use crate::state::State;

/// Levels at either end that a long traceback keeps, as Lua's own does.
const FIRST: c_int = 10;
const LAST: c_int = 11;

/// Room for the text of a few levels, in bytes.
const LIKELY_SIZE: usize = 256;

/// A Lua function that was running when an error was raised.
#[derive(Clone, Debug, Default)]
pub struct NotedFrame {
    /// The name of its chunk with the mark of its kind, or, if that is long, its beginning.
    pub chunk_name: Vec<u8>,
    /// The same as messages have it.
    pub source: Vec<u8>,
    /// A name for the function; nothing for the main function of a chunk, and where there is none.
    pub name: Vec<u8>,
    /// It is the main function of its chunk.
    pub is_main: bool,
    /// The line that runs.
    pub line: c_int,
    /// The line where the function's definition begins.
    pub line_defined: c_int,
    /// The line where it ends.
    pub last_line_defined: c_int,
    /// It stands for frames that are left out.
    pub is_gap: bool,
}

/// How much of a chunk's name is noted.
const LONGEST_NAME: usize = 4096;

/// Notes the frames of a coroutine that has failed, whose stack is as it was then.
pub fn note_frames_of<B: LuaBackend>(state: State<'_, B>) {
    if state.instance().notes_frames() {
        state.instance().set_frames(frames(state, 0).unwrap_or_default());
    }
}

/// How many levels are looked at for the place where the host has called: from the innermost on, and from the outermost back
/// (from there, each costs a walk down the whole stack).
const NEAR: c_int = 64;
const FAR: c_int = 40;

/// What a level of a call stack is.
enum Level {
    Lua(NotedFrame),
    /// Nothing that is noted.
    Other,
    /// A function of the host: behind it, the host has called.
    Host,
    /// There is no such level.
    End,
}

/// The frames of Lua functions from a level on, the innermost first, up to where the host has called; of many those at either
/// end. `None` without memory for them.
fn frames<B: LuaBackend>(state: State<'_, B>, first: c_int) -> Option<Vec<NotedFrame>> {
    let mut noted = Vec::new();
    let mut level = first;
    while level < first.saturating_add(NEAR) {
        match look_at(state, level)? {
            // It has raised the error.
            Level::Host if level == first => {}
            Level::Host | Level::End => {
                leave_out(&mut noted);
                return Some(noted);
            }
            Level::Lua(frame) => push(&mut noted, frame)?,
            Level::Other => {}
        }
        level += 1;
    }
    let last = last_level(state, first);
    let mut end = last;
    for far in (level.max(last - FAR)..=last).rev() {
        if matches!(look_at(state, far)?, Level::Host) {
            end = far - 1;
        }
    }
    noted.truncate(FIRST as usize);
    for far in level.max(end - LAST + 1)..=end {
        if let Level::Lua(frame) = look_at(state, far)? {
            push(&mut noted, frame)?;
        }
    }
    if let Some(frame) = noted.get_mut(FIRST as usize) {
        frame.is_gap = true;
    }
    Some(noted)
}

fn push(noted: &mut Vec<NotedFrame>, frame: NotedFrame) -> Option<()> {
    noted.try_reserve(1).ok()?;
    noted.push(frame);
    Some(())
}

/// Of many frames, leaves out those in the middle.
fn leave_out(noted: &mut Vec<NotedFrame>) {
    let (first, last) = (FIRST as usize, LAST as usize);
    if noted.len() > first + last {
        noted.drain(first..noted.len() - last);
        noted[first].is_gap = true;
    }
}

fn look_at<B: LuaBackend>(state: State<'_, B>, level: c_int) -> Option<Level> {
    state.with_frame(level, |frame| match frame {
        None => Some(Level::End),
        Some(frame) if frame.what() == b"C" => {
            let called = !is_entry::<B>(frame.c_function)
                && state.instance().is_host_function(frame.c_function);
            Some(if called { Level::Host } else { Level::Other })
        }
        Some(frame) if frame.line > 0 => NotedFrame::of(&frame).map(Level::Lua),
        Some(_) => Some(Level::Other),
    })
}

impl NotedFrame {
    fn of(frame: &Frame<'_>) -> Option<Self> {
        let copy = |bytes: &[u8]| {
            let mut copy = Vec::new();
            add(&mut copy, &bytes[..bytes.len().min(LONGEST_NAME)])?;
            Some(copy)
        };
        Some(NotedFrame {
            chunk_name: copy(frame.chunk_name())?,
            source: copy(frame.source())?,
            name: copy(frame.name())?,
            is_main: frame.what() == b"main",
            line: frame.line,
            line_defined: frame.line_defined,
            last_line_defined: frame.last_line_defined,
            is_gap: false,
        })
    }
}

/// Notes the traceback of the error at index 1, if it is to have one, and its frames.
pub(crate) fn note<B: LuaBackend>(state: State<'_, B>) {
    if state.instance().notes_frames() {
        // No memory for them only costs the frames.
        state.instance().set_frames(frames(state, 1).unwrap_or_default());
    }
    let wanted = match state.type_of(1) {
        value::STRING | value::NUMBER => true,
        value::NIL => B::TRACEBACK_FOR_NIL,
        _ => false,
    };
    let text = if wanted && has_traceback_function(state) {
        // No memory for the text only costs the traceback.
        traceback(state, 1).unwrap_or_default()
    } else {
        Vec::new()
    };
    state.instance().set_traceback(text);
}

/// Whether the globals have `debug.traceback`: a script that removes it wants no traceback.
fn has_traceback_function<B: LuaBackend>(state: State<'_, B>) -> bool {
    let base = state.top();
    let (debug, traceback) = state.instance().debug_names();
    state.push_globals();
    let is_table = state.type_of(-1) == value::TABLE;
    // A script can reach this table by `debug.getregistry`, so its type is checked.
    let found = is_table
        && {
            state.push_ref(debug);
            state.raw_get_type(-2) == value::TABLE
        }
        && {
            state.push_ref(traceback);
            state.raw_get_type(-2) == value::FUNCTION
        };
    state.set_top(base);
    found
}

/// `stack traceback:` and a line for each level from `first` on, the outermost first; empty when
/// there is no level, `None` without memory for it.
pub(crate) fn traceback<B: LuaBackend>(state: State<'_, B>, first: c_int) -> Option<Vec<u8>> {
    let last = last_level(state, first);
    let mut text = Vec::new();
    let mut level = last;
    while level >= first {
        // In the middle of a long one, levels are left out.
        if level == last - LAST && level >= first + FIRST {
            add(&mut text, b"\n\t...")?;
            level = first + FIRST - 1;
        }
        state.with_frame(level, |frame| match frame {
            Some(frame) if !is_entry::<B>(frame.c_function) => {
                if text.is_empty() {
                    text.try_reserve(LIKELY_SIZE).ok()?;
                    add(&mut text, b"stack traceback:")?;
                }
                add(&mut text, b"\n\t")?;
                describe::<B>(&frame, &mut text)
            }
            _ => Some(()),
        })?;
        level -= 1;
    }
    Some(text)
}

/// Adds to a text: a script decides on the length of names.
fn add(text: &mut Vec<u8>, more: &[u8]) -> Option<()> {
    text.try_reserve(more.len()).ok()?;
    text.extend_from_slice(more);
    Some(())
}

/// Adds a number.
fn add_number(text: &mut Vec<u8>, number: c_int) -> Option<()> {
    // As long as the longest number.
    let mut digits = [0_u8; 12];
    let mut rest = &mut digits[..];
    write!(rest, "{number}").ok()?;
    let left = rest.len();
    let length = digits.len() - left;
    add(text, &digits[..length])
}

/// Finds the outermost level without walking all of a deep stack for each.
fn last_level<B: LuaBackend>(state: State<'_, B>, first: c_int) -> c_int {
    let mut low = first;
    let mut high = first;
    while state.has_frame(high) {
        low = high;
        // In 5.1, calls that a tail call has ended count as levels: there may be more than can be named.
        if high == c_int::MAX {
            break;
        }
        high = high.saturating_mul(2);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if state.has_frame(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    high - 1
}

fn describe<B: LuaBackend>(frame: &Frame<'_>, line: &mut Vec<u8>) -> Option<()> {
    let (source, what) = (frame.source(), frame.what());
    let (name, kind) = (frame.name(), frame.name_kind());
    add(line, source)?;
    add(line, b":")?;
    if frame.line > 0 {
        add_number(line, frame.line)?;
        add(line, b":")?;
    }
    add(line, b" in ")?;
    if what == b"main" {
        add(line, b"main chunk")
    } else if !name.is_empty() && !kind.is_empty() {
        let named = B::TRACEBACK_NAMES_KIND && what != b"C" && kind != b"global";
        add(line, if named { kind } else { b"function" })?;
        add(line, b" '")?;
        add(line, name)?;
        add(line, b"'")
    } else if what == b"Lua" {
        add(line, b"function <")?;
        add(line, source)?;
        add(line, b":")?;
        add_number(line, frame.line_defined)?;
        add(line, b">")
    } else {
        add(line, b"?")
    }
}
