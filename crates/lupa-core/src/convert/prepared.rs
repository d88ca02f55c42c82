//! Python objects as plain values, on their way to Lua: see [`crate::convert::to_lua`].
#![forbid(unsafe_code)]

use lua_api::Ref;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::runtime::boxes::View;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;

/// A Python object as a plain value, borrowed from an object that is held for `'a`.
#[derive(Clone, Copy)]
pub(crate) enum Prepared<'a> {
    Nil,
    /// `python.none`, where `nil` would be lost.
    PyNone,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Bytes(&'a [u8]),
    Reference(Ref),
    Object(Alive<'a>, View),
    /// An object that counts for so much of Lua's memory.
    Weighty(Alive<'a>, View, Weight),
}

impl Prepared<'_> {
    /// Whether a box is made for it, if there is none yet.
    #[inline(always)]
    pub(crate) fn needs_box(&self) -> bool {
        matches!(self, Prepared::Object(..) | Prepared::Weighty(..))
    }
}

/// The result of [`crate::convert::to_lua::prepare`]: a plain value of the object itself, or an object that was made for Lua.
pub(crate) enum Ready<'a, 'py> {
    Plain(Prepared<'a>),
    /// A `str` that has its UTF-8 form already.
    Text(Bound<'py, PyAny>),
    Bytes(Bound<'py, PyBytes>),
    Object(Bound<'py, PyAny>, View),
    /// The reference of a wrapper.
    Reference(Ref, Bound<'py, PyAny>),
}

impl<'py> Ready<'_, 'py> {
    /// The same value, but holding `object`, so that it does not borrow from it.
    pub(crate) fn hold(self, object: &Bound<'py, PyAny>) -> Ready<'static, 'py> {
        let py = object.py();
        match self {
            Ready::Plain(prepared) => match prepared {
                Prepared::Nil => Ready::Plain(Prepared::Nil),
                Prepared::PyNone => Ready::Plain(Prepared::PyNone),
                Prepared::Bool(truth) => Ready::Plain(Prepared::Bool(truth)),
                Prepared::Integer(number) => Ready::Plain(Prepared::Integer(number)),
                Prepared::Float(number) => Ready::Plain(Prepared::Float(number)),
                Prepared::Bytes(_) => match object.cast::<PyBytes>() {
                    Ok(bytes) => Ready::Bytes(bytes.clone()),
                    Err(_) => Ready::Text(object.clone()),
                },
                Prepared::Reference(reference) => Ready::Reference(reference, object.clone()),
                Prepared::Object(target, view) => Ready::Object(target.borrow(py).to_owned(), view),
                // Weighed when it is pushed, and so never prepared.
                Prepared::Weighty(target, view, _) => {
                    Ready::Object(target.borrow(py).to_owned(), view)
                }
            },
            Ready::Text(text) => Ready::Text(text),
            Ready::Bytes(bytes) => Ready::Bytes(bytes),
            Ready::Object(object, view) => Ready::Object(object, view),
            Ready::Reference(reference, held) => Ready::Reference(reference, held),
        }
    }

    /// The plain value, which borrows from `self`.
    #[inline(always)]
    pub(crate) fn value(&self) -> Prepared<'_> {
        match self {
            Ready::Plain(prepared) => *prepared,
            // The `str` keeps the form that it had when this was made.
            Ready::Text(text) => Prepared::Bytes(Alive::of(text).utf8().unwrap_or_default()),
            Ready::Bytes(bytes) => Prepared::Bytes(bytes.as_bytes()),
            Ready::Object(object, view) => Prepared::Object(Alive::of(object), *view),
            Ready::Reference(reference, _) => Prepared::Reference(*reference),
        }
    }
}

/// How an object is converted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As a value: `None` is `nil`.
    Value,
    /// Where `nil` cannot be: `None` is `python.none`.
    NotNil,
}
