//! Lua code on its way to Lua ([`GivenCode`], [`Chunk`]), and what is kept of it ([`Chunks`]).
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, CString};

use lua_api::{LuaBackend, Ref, State, value};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::runtime::encoding::{Encoding, ascii};
use crate::runtime::entry::Entry;
use crate::runtime::strings::Places;

/// The name of a chunk that the host does not name.
pub(crate) const DEFAULT_NAME: &CStr = c"<python>";

/// A chunk of code as Lua takes it.
pub(crate) struct Chunk<'a> {
    pub(crate) code: Cow<'a, [u8]>,
    pub(crate) name: Cow<'a, CStr>,
    pub(crate) mode: Option<CString>,
}

/// Code as a caller gives it.
pub(crate) struct GivenCode<'a, 'py> {
    pub(crate) code: &'a Bound<'py, PyAny>,
    /// It is the part after `return`.
    pub(crate) is_expression: bool,
    pub(crate) name: Option<&'a Bound<'py, PyAny>>,
    pub(crate) mode: Option<&'a Bound<'py, PyAny>>,
}

impl<'a> GivenCode<'a, '_> {
    /// The chunk, in the encoding of source code. `text_only`: no precompiled code.
    ///
    /// # Errors
    /// What the codec raises, `TypeError` for what is no text, or `ValueError` for a mode that is refused.
    pub(crate) fn chunk(&self, encoding: &Encoding, text_only: bool) -> Result<Chunk<'a>> {
        let mut code = encoding.encode_source(self.code)?;
        if !self.is_expression {
            code = without_shebang(code);
        }
        if self.is_expression {
            const PREFIX: &[u8] = b"return ";
            let mut whole = Vec::new();
            whole.try_reserve_exact(PREFIX.len() + code.len()).map_err(|_| Error::Memory)?;
            whole.extend_from_slice(PREFIX);
            whole.extend_from_slice(&code);
            code = Cow::Owned(whole);
        }
        let name = match self.name {
            Some(name) => Cow::Owned(c_string(encoding.encode_source(name)?.into_owned())),
            None => Cow::Borrowed(DEFAULT_NAME),
        };
        let mode = match self.mode {
            None if text_only => Some(c"t".to_owned()),
            mode => mode.map(ascii).transpose()?.map(c_string),
        };
        if text_only && mode.as_ref().is_some_and(|mode| mode.to_bytes().contains(&b'b')) {
            let message = "a sandbox loads no precompiled code: mode is 't'";
            return Err(fallible::error::<PyValueError>(message).into());
        }
        Ok(Chunk { code, name, mode })
    }
}

/// Code as Lua has it of a file: without a byte order mark, and with nothing in a first line that begins with `#`, as that of a
/// script for a shell does. The lines stay the same.
fn without_shebang(code: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let skipped = if code.starts_with(MARK) { MARK.len() } else { 0 };
    let line = if code[skipped..].starts_with(b"#") {
        code[skipped..].iter().position(|byte| *byte == b'\n').unwrap_or(code.len() - skipped)
    } else {
        0
    };
    match (skipped + line, code) {
        (0, code) => code,
        (start, Cow::Borrowed(code)) => Cow::Borrowed(&code[start..]),
        (start, Cow::Owned(mut code)) => {
            code.drain(..start);
            Cow::Owned(code)
        }
    }
}

/// The part before the first NUL, which is all that C sees.
fn c_string(mut bytes: Vec<u8>) -> CString {
    if let Some(end) = bytes.iter().position(|&byte| byte == 0) {
        bytes.truncate(end);
    }
    CString::new(bytes).unwrap_or_default()
}

/// Places for chunks; a power of two.
const PLACES: usize = 32;

/// The longest code that is kept, in bytes.
const LONGEST: usize = 4096;

/// By what code is known.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Key {
    /// Of the `str` or `bytes`; of none it is 0.
    address: usize,
    is_expression: bool,
}

#[derive(Default)]
struct Kept {
    key: Cell<Key>,
    /// The object whose address is in the key.
    held: Cell<Option<Py<PyAny>>>,
    function: Cell<Option<Ref>>,
    missed: Cell<Key>,
}

/// Compiled functions of code that is run again and again.
///
/// Code is recognised by the object that holds it, so that no text is compared; it is kept when it is run the second
/// time in a row. The function of code that creates other functions is not kept: these would share
/// its `_ENV`, which a script may change for one of them. A change of the function's own globals by a script
/// (`_ENV = {}`, `setfenv(1, {})`) is noticed before the function is used again.
#[derive(Default)]
pub(crate) struct Chunks(Places<Kept, PLACES>);

impl Key {
    fn of(source: &GivenCode<'_, '_>) -> Option<Key> {
        let code = source.code;
        let immutable =
            code.is_exact_instance_of::<PyString>() || code.is_exact_instance_of::<PyBytes>();
        (immutable && source.name.is_none() && source.mode.is_none())
            .then(|| Key { address: code.as_ptr() as usize, is_expression: source.is_expression })
    }

    fn place(self) -> usize {
        (self.address >> 4) ^ (self.address >> 9) ^ usize::from(self.is_expression)
    }
}

impl Chunks {
    /// Pushes the function of code that is kept; false, and nothing pushed, if it is not.
    #[inline]
    pub(crate) fn push<B: LuaBackend>(&self, state: State<B>, source: &GivenCode<'_, '_>) -> bool {
        let Some(key) = Key::of(source) else { return false };
        let function = match self.0.get(key.place()) {
            Some(kept) if kept.key.get() == key => kept.function.get(),
            _ => None,
        };
        let Some(function) = function else { return false };
        let usable = state.push_ref_type(function) == value::FUNCTION && state.has_globals(-1);
        if !usable {
            state.pop(1);
        }
        usable
    }

    /// Notes that the function on top of the stack was compiled from this code; keeps it if it is
    /// worth that.
    pub(crate) fn learn<B: LuaBackend>(
        entry: &Entry<'_, B>,
        state: State<B>,
        source: &GivenCode<'_, '_>,
        chunk: &Chunk<'_>,
    ) {
        let Some(key) = Key::of(source) else { return };
        let code = &*chunk.code;
        if code.len() > LONGEST || code.starts_with(b"\x1b") || contains(code, b"function") {
            return;
        }
        let places = &entry.runtime().chunks.0;
        let Some(kept) = places.make(key.place(), Kept::default) else { return };
        if kept.missed.replace(key) != key {
            return;
        }
        state.push_value(-1);
        let function = match kept.function.get() {
            Some(old) => {
                entry.instance.replace_ref(state, old);
                old
            }
            None => match entry.instance.take_ref(state) {
                Ok(function) => function,
                Err(_) => {
                    state.pop(1);
                    return;
                }
            },
        };
        // A finalizer may have come here in between, and used the place.
        if let Some(other) = kept.function.replace(Some(function))
            && other != function
        {
            entry.instance.release(other);
        }
        kept.key.set(key);
        let old = kept.held.replace(Some(source.code.clone().unbind()));
        if let Some(old) = old {
            old.drop_ref(entry.py);
        }
    }

    /// Lets go of the code. The references into Lua go with the runtime.
    pub(crate) fn clear(&self, py: Python<'_>) {
        for kept in self.0.iter() {
            kept.key.set(Key::default());
            kept.function.set(None);
            if let Some(held) = kept.held.take() {
                held.drop_ref(py);
            }
        }
    }
}

fn contains(code: &[u8], word: &[u8]) -> bool {
    code.windows(word.len()).any(|part| part == word)
}
