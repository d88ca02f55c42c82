//! Format strings that read attributes.
#![forbid(unsafe_code)]

use pyo3::exceptions::PyAttributeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::types::compat::method_code;

/// An error if this call of `str.format` or `str.format_map` reads attributes.
pub(crate) fn check(function: &Bound<'_, PyAny>, args: &Bound<'_, PyTuple>) -> PyResult<()> {
    let template = match args.get_item(0) {
        // `str.format` itself, and not that of one string.
        Ok(first) if method_code(function).is_none() => first,
        _ => function.attribute("__self__").unwrap_or_else(|_| function.clone()),
    };
    if let Ok(template) = template.cast::<PyString>()
        && reaches_attributes(template.to_string_lossy().as_bytes())
    {
        return Err(fallible::error::<PyAttributeError>(
            "a format string cannot read attributes where Lua's access to them is restricted",
        ));
    }
    Ok(())
}

/// Whether a format string reads attributes of what it formats: `{0.name}`.
///
/// It is read as `str.format` reads it; braces and dots are single bytes in UTF-8.
fn reaches_attributes(template: &[u8]) -> bool {
    let mut bytes = template.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'{' || bytes.next_if_eq(&b'{').is_some() {
            continue;
        }
        while let Some(&byte) = bytes.peek() {
            match byte {
                b'.' => return true,
                b'[' => while bytes.next().is_some_and(|byte| byte != b']') {},
                b'}' | b':' | b'!' | b'{' => break,
                _ => {
                    bytes.next();
                }
            }
        }
    }
    false
}
