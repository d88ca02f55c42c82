//! What an error of Lua's compiler says, as the attributes of a `SyntaxError`.
#![forbid(unsafe_code)]

use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::base::attribute::Attributes as _;
use crate::base::error::classes;
use crate::base::fallible;
use crate::runtime::chunks::Chunk;
use crate::runtime::encoding::Encoding;

/// The longest names of a chunk in messages, with their end: `LUA_IDSIZE` of `luaconf.h`, and `MAXSRC` of 5.1's `llex.c`.
const LONGEST_NAMES: [usize; 2] = [60, 80];

/// What a message says.
#[derive(Debug, PartialEq, Eq)]
struct Parsed<'a> {
    line: usize,
    message: &'a [u8],
}

/// Takes a message apart: a name of the chunk, a line, a text. The name may have anything in it, but begins in a known way.
fn parse<'a>(text: &'a [u8], name: &[u8]) -> Option<Parsed<'a>> {
    let rest = behind_name(text, name)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let line = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
    let message = rest[digits..].strip_prefix(b":")?;
    Some(Parsed { line, message: message.strip_prefix(b" ").unwrap_or(message) })
}

/// A message without the name of the chunk that it begins with.
fn behind_name<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let behind = LONGEST_NAMES.iter().find_map(|longest| {
        let shown = shown_name(name, *longest);
        let is_name = !shown.is_empty() || name == b"=";
        text.strip_prefix(shown.as_slice()).filter(|_| is_name)?.strip_prefix(b":")
    });
    if behind.is_some() {
        return behind;
    }
    // The end of a long path; Luas cut it off at different places.
    let (path, text) = (name.strip_prefix(b"@")?, text.strip_prefix(b"...")?);
    (1..path.len().min(LONGEST_NAMES[1]))
        .rev()
        .find_map(|kept| text.strip_prefix(&path[path.len() - kept..])?.strip_prefix(b":"))
}

/// A chunk's name as messages have it (`luaO_chunkid`): `=name` and `@name` cut off, others as `[string "..."]`.
fn shown_name(name: &[u8], longest: usize) -> Vec<u8> {
    match name {
        [b'=', rest @ ..] => rest[..rest.len().min(longest - 1)].to_vec(),
        [b'@', rest @ ..] if rest.len() < longest => rest.to_vec(),
        [b'@', ..] => Vec::new(),
        _ => {
            let line = name.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
            let most = longest - b"[string \"...\"]".len() - 1;
            if line.len() < name.len() || name.len() > most {
                [b"[string \"", &line[..line.len().min(most)], b"...\"]"].concat()
            } else {
                [b"[string \"", line, b"\"]"].concat()
            }
        }
    }
}

/// The text after the last `near`, without its quotes.
fn token(message: &[u8]) -> Option<&[u8]> {
    let at = memchr::memmem::rfind(message, b" near ")? + b" near ".len();
    let token = &message[at..];
    Some(token.strip_prefix(b"'").and_then(|token| token.strip_suffix(b"'")).unwrap_or(token))
}

/// The column of a token in its line, from 1 on, if it is there once.
fn column(line: &str, token: &str) -> Option<usize> {
    let at = line.find(token).filter(|_| !token.is_empty() && line.matches(token).count() == 1)?;
    Some(line[..at].chars().count() + 1)
}

/// Sets the attributes of a `LuaSyntaxError`; other errors stay as they are. `text` is Lua's message.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn describe(
    py: Python<'_>,
    error: &PyErr,
    text: &[u8],
    chunk: &Chunk<'_>,
    encoding: &Encoding,
    is_expression: bool,
) -> PyResult<()> {
    if !error.is_instance(py, classes(py).syntax.bind(py)) {
        return Ok(());
    }
    let error = error.value(py);
    let name = chunk.name.to_bytes();
    let file = name.strip_prefix(b"@").or(name.strip_prefix(b"=")).unwrap_or(name);
    error.set_attribute(c"filename", encoding.decode_lossy(py, file)?)?;
    let Some(Parsed { line, message }) = parse(text, name) else { return Ok(()) };
    error.set_attribute(c"msg", encoding.decode_lossy(py, message)?)?;
    error.set_attribute(c"lineno", fallible::unsigned(py, line)?)?;
    let near = token(message).unwrap_or_default();
    let incomplete = near == b"<eof>";
    if incomplete {
        error.set_attribute(c"incomplete", PyBool::new(py, true).to_owned())?;
    }
    let Some(code) = chunk.code.split(|byte| *byte == b'\n').nth(line.saturating_sub(1)) else {
        return Ok(());
    };
    // `eval` has put this before the first line.
    let code = if is_expression && line == 1 {
        code.strip_prefix(b"return ").unwrap_or(code)
    } else {
        code
    };
    let code = String::from_utf8_lossy(code);
    let code = code.trim_end_matches('\r');
    error.set_attribute(c"text", fallible::string(py, code)?)?;
    let offset = if incomplete {
        Some(code.chars().count() + 1)
    } else {
        column(code, &String::from_utf8_lossy(near))
    };
    if let Some(offset) = offset {
        error.set_attribute(c"offset", fallible::unsigned(py, offset)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_apart_whatever_the_name() {
        let parsed = |text, name| parse(text, name).map(|parsed| (parsed.line, parsed.message));
        assert_eq!(
            parsed(b"[string \"<python>\"]:3: x near y", b"<python>"),
            Some((3, &b"x near y"[..]))
        );
        assert_eq!(parsed(b"a:1: b:12: oh", b"=a:1: b"), Some((12, &b"oh"[..])));
        assert_eq!(parsed(b"f.lua:7: oh", b"@f.lua"), Some((7, &b"oh"[..])));
        assert_eq!(parsed(b"[string \"x...\"]:1: oh", b"x\ny"), Some((1, &b"oh"[..])));
        assert_eq!(parsed(b"f.lua: bad binary format", b"@f.lua"), None);
        assert_eq!(parsed(b"other:1: oh", b"=f"), None);
    }

    #[test]
    fn tokens_and_columns() {
        assert_eq!(token(b"unexpected symbol near '='"), Some(&b"="[..]));
        assert_eq!(token(b"'end' expected near <eof>"), Some(&b"<eof>"[..]));
        assert_eq!(token(b"'end' expected near '<eof>'"), Some(&b"<eof>"[..]));
        assert_eq!(token(b"oh"), None);
        assert_eq!(column("x = = 1", "="), None);
        assert_eq!(column("\u{e9} + ?", "?"), Some(5));
    }
}
