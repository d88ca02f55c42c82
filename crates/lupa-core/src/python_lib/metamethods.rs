//! The metamethods of boxes: the operations of Lua code on Python objects.
#![forbid(unsafe_code)]

use std::mem::MaybeUninit;

use lua_api::{Function, LuaBackend, Raising, State, value};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::base::error::Error;
use crate::base::fallible;
use crate::base::vectors;
use crate::calls::argument::python_argument;
use crate::calls::callback::{Callback, Outcome, Received};
use crate::convert::arguments::PyArguments;
use crate::convert::from_lua::{from_lua, looks_like_box};
use crate::convert::prepared::{Mode, Prepared, Ready};
use crate::convert::quick;
use crate::convert::to_lua::{
    prepare, prepare_plain, push, push_method, push_plain, push_protected,
};
use crate::python_lib::colon;
use crate::rights::restrict::exact_name;
use crate::runtime::account::Work;
use crate::runtime::boxes::View;
use crate::runtime::encoding::Encoding;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;
use crate::types::compat;

/// Pushes what a Python call gave.
pub(crate) fn push_result<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    result: &Bound<'py, PyAny>,
) -> Outcome {
    if entry.options.unpack_returned_tuples
        && let Ok(tuple) = result.cast::<PyTuple>()
    {
        return push_tuple(entry, state, tuple, Mode::Value, None);
    }
    push_object(entry, state, result, Mode::Value)
}

/// Pushes one object.
pub(crate) fn push_object<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    object: &Bound<'py, PyAny>,
    mode: Mode,
) -> Outcome {
    if quick::push(entry, state, Alive::of(object), mode) {
        return Ok(1);
    }
    let ready = prepare(entry, object, mode)?;
    push_protected(entry, state, ready.value())?;
    Ok(1)
}

/// How many values may be pushed without a look at the stack's room.
const UNCHECKED_VALUES: usize = 6;

/// Pushes the items of a tuple, after `before` if that is given; `first` is the mode of the first.
pub(crate) fn push_tuple<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    tuple: &Bound<'py, PyTuple>,
    first: Mode,
    before: Option<i64>,
) -> Outcome {
    let runtime = entry.runtime();
    if tuple.len() <= UNCHECKED_VALUES {
        let base = state.top();
        if let Some(number) = before {
            state.push_integer(number);
        }
        let mut mode = first;
        let plain = tuple.iter().all(|item| {
            let prepared = prepare_plain(entry, Alive::of(&item), mode);
            mode = Mode::Value;
            prepared.is_some_and(|prepared| push_plain(runtime, state, prepared))
        });
        if plain {
            return Ok(state.top() - base);
        }
        state.set_top(base);
    }
    let mut items = vectors::with_room(tuple.len())?;
    items.extend(tuple.iter());
    let mut values = vectors::with_room(tuple.len() + 1)?;
    values.extend(before.map(|number| Ready::Plain(Prepared::Integer(number))));
    for (index, item) in items.iter().enumerate() {
        let mode = if index == 0 { first } else { Mode::Value };
        values.push(prepare(entry, item, mode)?);
    }
    if !runtime.boxes.reserve(entry.py, values.len()) {
        return Err(Error::Memory.into());
    }
    let values = values.as_slice();
    match state.protect_values(|raising| crate::calls::call::push_all(runtime, raising, values)) {
        Ok(count) => Ok(count),
        Err(failure) => Err(crate::convert::lua_error::raised(entry, state, failure).into()),
    }
}

/// `__call`
pub(crate) struct Call;

impl<B: LuaBackend> Callback<B> for Call {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (callable, _) = python_argument(entry, state, 1, "__call")?;
        call(entry, state, &callable, 2)
    }
}

/// Calls a Python object with the arguments from `first` to the top.
pub(crate) fn call<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    callable: &Bound<'py, PyAny>,
    first: i32,
) -> Outcome {
    let restricted;
    let callable = match &entry.options.restrictions {
        None => callable,
        Some(_) => {
            restricted = entry.options.restrict(callable.clone())?;
            &restricted
        }
    };
    let count = usize::try_from(state.top() - first + 1).unwrap_or(0);
    let result = if count <= UNCHECKED_VALUES {
        let mut places = [const { MaybeUninit::uninit() }; UNCHECKED_VALUES + 1];
        call_in(entry, state, callable, first, &mut places[..=count])?
    } else {
        let mut places = vectors::with_room(count + 1)?;
        places.resize_with(count + 1, MaybeUninit::uninit);
        call_in(entry, state, callable, first, &mut places)?
    };
    push_result(entry, state, &result)
}

/// Calls with the arguments from `first` on, for which there are empty places after a free one.
#[inline]
fn call_in<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    callable: &Bound<'py, PyAny>,
    first: i32,
    places: &mut [MaybeUninit<Bound<'py, PyAny>>],
) -> crate::base::error::Result<Bound<'py, PyAny>> {
    let count = places.len() - 1;
    let mut arguments = Received::new(entry.py, places);
    let mut special = false;
    let mut leading = None;
    // Many values, and long strings, are asked for before they are made.
    let mut work = entry.weighs().then(|| Work::new(entry));
    for index in (first..).take(count) {
        if let Some(work) = &mut work {
            work.step()?;
            if state.type_of(index) == value::STRING {
                work.take(state.raw_len(index))?;
            }
        }
        let argument = from_lua(entry.runtime(), entry.py, state, index)?;
        special |= argument.is_exact_instance_of::<PyArguments>();
        if index == first {
            let call = colon::Call::of(entry, state, index, Alive::of(&argument));
            let leaves_out = call.leaves_out(entry, state, callable, index, &argument)?;
            leading = Some((call, leaves_out));
        }
        arguments.push(argument);
    }
    let Some((called, leaves_out)) = leading else {
        return Ok(arguments.call(callable, |_| false)?);
    };
    if special {
        let arguments = arguments.as_slice().iter().skip(usize::from(leaves_out));
        return call_with_keywords(callable, arguments.cloned());
    }
    if leaves_out {
        return Ok(arguments.call_without_first(callable)?);
    }
    Ok(arguments.call(callable, |error| called.lacks_first(state, callable, count, error))?)
}

/// A call in which `python.args` takes part.
fn call_with_keywords<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl Iterator<Item = Bound<'py, PyAny>>,
) -> crate::base::error::Result<Bound<'py, PyAny>> {
    let py = callable.py();
    let mut args = Vec::new();
    let kwargs = fallible::dict(py)?;
    for argument in arguments {
        if let Ok(unpacked) = argument.cast_exact::<PyArguments>() {
            for item in unpacked.get().args.bind(py) {
                vectors::push(&mut args, item)?;
            }
            for (name, value) in unpacked.get().kwargs.bind(py).iter() {
                if kwargs.contains(&name)? {
                    let message = format!("got multiple values for keyword argument {name:?}");
                    return Err(fallible::error::<pyo3::exceptions::PyTypeError>(message).into());
                }
                kwargs.set_item(name, value)?;
            }
        } else {
            vectors::push(&mut args, argument)?;
        }
    }
    let mut target = callable.clone();
    if let Some(first) = args.first()
        && let Some((function, instance)) = compat::bound_method(Alive::of(callable))
        && instance == Alive::of(first)
    {
        target = function.borrow(py).to_owned();
    }
    Ok(target.call(fallible::tuple(py, args)?, Some(&kwargs))?)
}

/// `__index`
pub(crate) struct Index;

impl<B: LuaBackend> Callback<B> for Index {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, view) = python_argument(entry, state, 1, "__index")?;
        colon::note_read(entry, state, Alive::of(&object));
        let key = from_lua(entry.runtime(), entry.py, state, 2)?;
        let options = &entry.options;
        let value = if view.has(View::ITEMS) && options.attribute_getter.is_none() {
            object.get_item(key)?
        } else if let Some(getter) = &options.attribute_getter {
            options.check_attribute(&object, false)?;
            getter.bind(entry.py).call1((object, exact_name(key)?))?
        } else {
            let name = attribute_name(entry, &object, key, false)?;
            fallible::get_attribute(&object, &name)?
        };
        if let Some(method) = compat::fresh_method(Alive::of(&value)) {
            push_method(entry, state, &value, View::ATTRIBUTES, method)?;
            return Ok(1);
        }
        push_object(entry, state, &value, Mode::Value)
    }
}

/// `__newindex`
pub(crate) struct NewIndex;

impl<B: LuaBackend> Callback<B> for NewIndex {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, view) = python_argument(entry, state, 1, "__newindex")?;
        let key = from_lua(entry.runtime(), entry.py, state, 2)?;
        let value = from_lua(entry.runtime(), entry.py, state, 3)?;
        let options = &entry.options;
        if view.has(View::ITEMS) && options.attribute_setter.is_none() {
            object.set_item(key, value)?;
        } else if let Some(setter) = &options.attribute_setter {
            options.check_attribute(&object, true)?;
            setter.bind(entry.py).call1((object, exact_name(key)?, value))?;
        } else {
            let name = attribute_name(entry, &object, key, true)?;
            fallible::set_attribute(&object, &name, &value)?;
        }
        Ok(0)
    }
}

/// The name of an attribute that Lua asks for, after the filter, if there is one.
pub(crate) fn attribute_name<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    object: &Bound<'py, PyAny>,
    name: Bound<'py, PyAny>,
    setting: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let options = &entry.options;
    let name = match &options.restrictions {
        None => name,
        Some(restrictions) => {
            restrictions.check_attribute(object, setting)?;
            match &options.attribute_filter {
                Some(filter) => {
                    filter.bind(entry.py).call1((object, exact_name(name)?, setting))?
                }
                None => name,
            }
        }
    };
    match name.cast::<PyBytes>() {
        Ok(bytes) => entry.options.source_encoding.decode(entry.py, bytes.as_bytes()),
        Err(_) => Ok(name),
    }
}

/// `__tostring`
pub(crate) struct ToString;

impl<B: LuaBackend> Callback<B> for ToString {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (object, _) = python_argument(entry, state, 1, "__tostring")?;
        push_text(entry, state, &object.str()?)
    }
}

/// Pushes text as a Lua string, also where strings are bytes.
pub(crate) fn push_text<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    text: &Bound<'_, PyString>,
) -> Outcome {
    let encoding: &Encoding = &entry.options.encoding;
    if matches!(encoding, Encoding::Utf8) {
        return push_object(entry, state, text, Mode::Value);
    }
    let encoded = encoding.encode(text)?;
    push_protected(entry, state, Prepared::Bytes(encoded.as_bytes()))?;
    Ok(1)
}

/// `__gc`: touches no Python object and never raises, so it needs no inner layer.
pub(crate) struct Collect;

impl<B: LuaBackend> Function<B> for Collect {
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some(runtime) = raising.instance().host::<Runtime<B>>() else { return 0 };
        if looks_like_box(runtime, raising.state(), 1) {
            runtime.gave_up(runtime.boxes.give_up(raising.state(), 1));
        }
        0
    }
}

/// Pushes an object in protected code; see [`push`].
pub(crate) fn push_box<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    object: Alive<'_>,
    view: View,
) {
    push(runtime, raising, Prepared::Object(object, view));
}
