//! Encodings: the fast way for UTF-8, Python's codecs for the rest.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

use crate::base::fallible;
use crate::base::vectors;
use crate::types::compat;

/// How strings cross between Python and Lua.
#[derive(Clone, Debug)]
pub(crate) enum Encoding {
    /// Not at all: Lua strings are `bytes`.
    Bytes,
    /// UTF-8, which Python keeps ready.
    Utf8,
    /// Any codec that Python has under this name.
    Codec(CString),
}

impl Encoding {
    /// The encoding of a name as a caller gives it: `str`, `bytes`, `bytearray` or `None`.
    pub(crate) fn from_name(name: Option<&Bound<'_, PyAny>>) -> PyResult<Encoding> {
        let Some(name) = name else { return Ok(Encoding::Bytes) };
        let name = ascii(name)?;
        let plain: Vec<u8> =
            name.iter().filter(|b| !matches!(b, b'-' | b'_')).map(u8::to_ascii_lowercase).collect();
        if plain == b"utf8" {
            return Ok(Encoding::Utf8);
        }
        CString::new(name).map(Encoding::Codec).map_err(|_| {
            fallible::error::<PyValueError>("the name of an encoding cannot contain NUL")
        })
    }

    fn codec(&self) -> &CStr {
        match self {
            Encoding::Bytes | Encoding::Utf8 => c"utf-8",
            Encoding::Codec(name) => name,
        }
    }

    /// Decodes the bytes of a Lua string: to `str`, or to `bytes` without an encoding.
    #[inline]
    pub(crate) fn decode<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if matches!(self, Encoding::Utf8)
            && let Some(text) = compat::ascii_string(py, bytes)
        {
            return text;
        }
        match self {
            Encoding::Bytes => fallible::bytes(py, bytes).map(Bound::into_any),
            Encoding::Utf8 => fallible::decode(py, bytes, None),
            Encoding::Codec(name) => fallible::decode(py, bytes, Some(name)),
        }
    }

    /// Decodes to `str` whatever the bytes are: what the codec refuses is read as Latin-1.
    pub(crate) fn decode_lossy<'py>(
        &self,
        py: Python<'py>,
        bytes: &[u8],
    ) -> PyResult<Bound<'py, PyString>> {
        if !matches!(self, Encoding::Bytes)
            && let Ok(text) = self.decode(py, bytes)
            && let Ok(text) = text.cast_into()
        {
            return Ok(text);
        }
        fallible::latin1(py, bytes)
    }

    /// Encodes a `str`. Without an encoding this is UTF-8: for names and source code.
    pub(crate) fn encode<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
        fallible::encode(text, self.codec())
    }

    /// Source code or a chunk's name: `str` is encoded, bytes are taken as they are.
    pub(crate) fn encode_source<'a>(&self, code: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
        if let Ok(text) = code.cast::<PyString>() {
            #[cfg(any(Py_3_10, not(Py_LIMITED_API)))]
            if matches!(self, Encoding::Utf8) {
                return Ok(Cow::Borrowed(text.to_str()?.as_bytes()));
            }
            Ok(Cow::Owned(vectors::copy(self.encode(text)?.as_bytes())?))
        } else if let Ok(bytes) = code.cast::<PyBytes>() {
            Ok(Cow::Borrowed(bytes.as_bytes()))
        } else if let Ok(bytes) = code.cast::<PyByteArray>() {
            let bytes = bytes.py().get_type::<PyBytes>().call1((bytes,))?;
            Ok(Cow::Owned(vectors::copy(bytes.cast::<PyBytes>()?.as_bytes())?))
        } else {
            Err(fallible::error::<PyTypeError>(format!(
                "Expected string, got {}",
                code.get_type().repr()?
            )))
        }
    }
}

/// The bytes of a name that must be ASCII: an encoding, a mode.
pub(crate) fn ascii(name: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let bytes = if let Ok(text) = name.cast::<PyString>() {
        return Ok(Encoding::Codec(c"ascii".to_owned()).encode(text)?.as_bytes().to_vec());
    } else if let Ok(bytes) = name.cast::<PyBytes>() {
        bytes.as_bytes().to_vec()
    } else if let Ok(bytes) = name.cast::<PyByteArray>() {
        bytes.to_vec()
    } else {
        return Err(fallible::error::<PyValueError>(format!(
            "expected string, got {}",
            name.get_type().repr()?
        )));
    };
    if bytes.is_ascii() {
        Ok(bytes)
    } else {
        Err(fallible::error::<PyValueError>(
            "byte string input has unknown encoding, only ASCII is allowed",
        ))
    }
}
