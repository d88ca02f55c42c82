//! The weight of exceptions and arguments in the memory account of a sandbox: they hold strings of a script's choice, and
//! exist because of the script.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::ffi::CStr;

use lua_api::{LuaBackend, State};
use pyo3::exceptions::PyBaseException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use crate::base::attribute::Attributes as _;
use crate::base::error;
use crate::base::fallible;
use crate::base::vectors;
use crate::convert::arguments::PyArguments;
use crate::convert::prepared::Prepared;
use crate::convert::to_lua::push_protected;
use crate::runtime::account::size_of_object;
use crate::runtime::boxes::View;
use crate::runtime::entry::Entry;
use crate::runtime::weight::Weight;
use crate::types::alive::Alive;

/// The least weight of any such object; bytes.
const LEAST: usize = 256;

/// The weight of a level of a traceback, with the frame of its call; bytes.
const LEVEL: usize = 640;

/// An object that is no string.
const OTHER: usize = 64;

/// The largest number of local variables of one function that are looked at.
const MANY: usize = 100;

/// How far exceptions that others were the cause of are followed, and levels of a traceback.
const FAR: usize = 10_000;

/// Pushes an exception.
pub(crate) fn push_exception<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    exception: &Bound<'_, PyAny>,
) -> error::Result<()> {
    push_weighty(entry, state, exception, weight_of_exception(exception))
}

/// The weight of an exception with its traceback, with its causes and with exceptions in its arguments.
fn weight_of_exception(exception: &Bound<'_, PyAny>) -> usize {
    let mut weight = 0_usize;
    let mut far = 0;
    let mut seen = HashSet::new();
    let mut open = vec![exception.clone()];
    while let Some(exception) = open.pop().filter(|_| far < FAR) {
        far += 1;
        weight += LEAST;
        if let Some(Ok(args)) = follow(&exception, c"args").map(|args| args.cast_into::<PyTuple>())
        {
            for value in args {
                if value.is_instance_of::<PyBaseException>() {
                    if vectors::push(&mut open, value).is_err() {
                        return weight;
                    }
                } else {
                    weight = weight_of_argument(&value).saturating_add(weight);
                }
            }
        }
        let mut level = follow(&exception, c"__traceback__");
        while let Some(found) = level.filter(|_| far < FAR) {
            far += 1;
            weight += LEVEL;
            if let Some(frame) = follow(&found, c"tb_frame") {
                weight = weight_of_locals(&frame, &mut seen).saturating_add(weight);
            }
            level = follow(&found, c"tb_next");
        }
        open.extend(
            follow(&exception, c"__cause__").or_else(|| follow(&exception, c"__context__")),
        );
    }
    weight
}

/// An attribute, if it exists and is not `None`.
fn follow<'py>(object: &Bound<'py, PyAny>, name: &CStr) -> Option<Bound<'py, PyAny>> {
    let name = fallible::name(object.py(), name).ok()?;
    object.attribute(name).ok().filter(|found| !found.is_none())
}

/// The weight of an argument. An argument inside another one outlives its own box, and counts twice while the box exists.
pub(crate) fn weight_of_argument(object: &Bound<'_, PyAny>) -> usize {
    if let Ok(arguments) = object.cast::<PyArguments>() {
        return arguments.get().weight.saturating_add(OTHER);
    }
    if object.is_instance_of::<PyBaseException>() {
        return weight_of_exception(object).saturating_add(OTHER);
    }
    size_of_object(object)
}

/// Whether these are local variables that no code but Python's own is asked for.
fn is_of_python(locals: &Bound<'_, PyAny>) -> bool {
    locals.is_exact_instance_of::<PyDict>()
        || locals.get_type().name().is_ok_and(|name| name == "FrameLocalsProxy")
}

/// The weight of the local variables of a function that has raised. The script's arguments are among them, also in the
/// tuple of `*args` and the dict of `**kwargs`.
fn weight_of_locals(frame: &Bound<'_, PyAny>, seen: &mut HashSet<usize>) -> usize {
    let Some(locals) = follow(frame, c"f_locals").filter(is_of_python) else { return 0 };
    let mut weight = 0_usize;
    let mut add = |value: &Bound<'_, PyAny>| {
        weight = weight.saturating_add(weight_of_local(value, seen));
    };
    for value in values_of(&locals).take(MANY) {
        add(&value);
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            tuple.iter().take(MANY).for_each(|item| add(&item));
        } else if value.is_exact_instance_of::<PyDict>() {
            values_of(&value).take(MANY).for_each(|item| add(&item));
        }
    }
    weight
}

/// The values of a mapping, as long as nothing goes wrong.
fn values_of<'py>(
    mapping: &Bound<'py, PyAny>,
) -> impl Iterator<Item = Bound<'py, PyAny>> + use<'py> {
    let values = fallible::name(mapping.py(), c"values").and_then(|name| mapping.method0(name));
    let values = values.and_then(|values| values.try_iter()).ok();
    values.into_iter().flatten().map_while(Result::ok)
}

/// The weight of a local variable that may hold a value made by a script. A value that several variables hold counts once.
fn weight_of_local(value: &Bound<'_, PyAny>, seen: &mut HashSet<usize>) -> usize {
    let text = value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyBytes>();
    let arguments = value.cast_exact::<PyArguments>().map_or(0, |arguments| arguments.get().weight);
    let counts = (text || arguments != 0) && seen.try_reserve(1).is_ok();
    if !counts || !seen.insert(value.as_ptr().addr()) {
        return 0;
    }
    if text { size_of_object(value) } else { arguments }
}

/// Pushes an object that weighs so many bytes.
pub(crate) fn push_weighty<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: &Bound<'_, PyAny>,
    bytes: usize,
) -> error::Result<()> {
    let weight = Weight::with_box(bytes);
    entry.make_room(weight.bytes())?;
    push_protected(entry, state, Prepared::Weighty(Alive::of(object), View::ATTRIBUTES, weight))
}
