//! The functions of Lua's `python` table.
#![forbid(unsafe_code)]

use lua_api::{Function, LuaBackend, Raising, State, value};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::Error;
use crate::base::fallible;
use crate::calls::argument::python_argument;
use crate::calls::callback::{Callback, Failure, Outcome, push_callback, run};
use crate::calls::permission;
use crate::convert::arguments::PyArguments;
use crate::convert::lua_error::raised;
use crate::convert::prepared::{Mode, Prepared};
use crate::convert::to_lua::{prepare, push_protected};
use crate::objects::arguments::{self};
use crate::python_lib::metamethods::{call, push_object, push_tuple};
use crate::runtime::boxes::View;
use crate::runtime::cursor::Cursor;
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;

/// The object of a function that takes exactly one.
fn only_argument<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    function: &'static str,
) -> Result<Bound<'py, PyAny>, Failure> {
    if state.top() > 1 {
        return Err(Failure::argument(2, function, "invalid arguments".into()));
    }
    Ok(python_argument(entry, state, 1, function)?.0)
}

fn push_view<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: &Bound<'_, PyAny>,
    view: View,
) -> Outcome {
    push_protected(entry, state, Prepared::Object(Alive::of(object), view))?;
    Ok(1)
}

/// `python.as_attrgetter(obj)`
pub(crate) struct AsAttrGetter;

impl<B: LuaBackend> Callback<B> for AsAttrGetter {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let object = only_argument(entry, state, "as_attrgetter")?;
        push_view(entry, state, &object, View::ATTRIBUTES)
    }
}

/// `python.as_itemgetter(obj)`
pub(crate) struct AsItemGetter;

impl<B: LuaBackend> Callback<B> for AsItemGetter {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let object = only_argument(entry, state, "as_itemgetter")?;
        push_view(entry, state, &object, View::ITEMS)
    }
}

/// `python.as_function(obj)`: a real Lua function that calls the object.
pub(crate) struct AsFunction;

impl<B: LuaBackend> Callback<B> for AsFunction {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        only_argument(entry, state, "as_function")?;
        state.push_value(1);
        let Ok(held) = entry.instance.take_ref(state) else { return Err(Error::Memory.into()) };
        let made = state.protect_values(|raising| {
            raising.push_ref(held);
            push_callback::<B, CallAsFunction>(raising, 1);
            1
        });
        entry.instance.release(held);
        match made {
            Ok(_) => Ok(1),
            Err(failure) => Err(raised(entry, state, failure).into()),
        }
    }
}

/// The function that `python.as_function` returns; its upvalue is the box of the object.
pub(crate) struct CallAsFunction;

impl<B: LuaBackend> Callback<B> for CallAsFunction {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        state.push_value(B::upvalue_index(1));
        state.insert(1);
        let (callable, view) = python_argument(entry, state, 1, "?")?;
        permission::check_call(entry, &callable, view)?;
        call(entry, state, &callable, 2)
    }
}

/// `python.iter(obj)`
pub(crate) struct Iter;

impl<B: LuaBackend> Callback<B> for Iter {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let object = only_argument(entry, state, "iter")?;
        push_iterator(entry, state, &object, View::ATTRIBUTES, None)
    }
}

/// `python.iterex(obj)`: tuples become several values.
pub(crate) struct IterEx;

impl<B: LuaBackend> Callback<B> for IterEx {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let object = only_argument(entry, state, "iterex")?;
        push_iterator(entry, state, &object, View::UNPACK, None)
    }
}

/// `python.enumerate(obj, start)`
pub(crate) struct Enumerate;

impl<B: LuaBackend> Callback<B> for Enumerate {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        if state.top() > 2 {
            return Err(Failure::argument(3, "enumerate", "invalid arguments".into()));
        }
        let (object, _) = python_argument(entry, state, 1, "enumerate")?;
        let start = if state.top() == 2 { integer(state, 2)? } else { 0 };
        push_iterator(entry, state, &object, View::ENUMERATE, Some(start.wrapping_sub(1)))
    }
}

/// The integer at `index`, or what converts to one, as this Lua has it: before 5.3 also a fraction.
fn integer<B: LuaBackend>(state: State<B>, index: i32) -> Result<i64, Failure> {
    if let Some(integer) = state.to_integer(index) {
        return Ok(integer);
    }
    let number: Option<f64> = state.with_bytes(index, |bytes| match bytes {
        Some(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()),
        None if state.type_of(index) == value::NUMBER => Some(state.to_number(index)),
        None => None,
    });
    match number {
        Some(number) if number.abs() < 9.2e18 && (!B::HAS_INTEGERS || number.fract() == 0.0) => {
            Ok(number as i64)
        }
        Some(_) => {
            Err(Failure::argument(2, "enumerate", "number has no integer representation".into()))
        }
        None => Err(Failure::argument(2, "enumerate", "number expected".into())),
    }
}

fn push_iterator<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    object: &Bound<'_, PyAny>,
    view: View,
    before_first: Option<i64>,
) -> Outcome {
    permission::check_iteration(entry, object)?;
    let iterator = match Cursor::over(object) {
        Some(cursor) => Bound::new(entry.py, cursor)?.into_any(),
        None => object.try_iter()?.into_any(),
    };
    let mut view = view;
    if entry.options.unpack_returned_tuples {
        view = view.with(View::UNPACK);
    }
    if entry.options.sandbox.is_some() {
        if view.has(View::UNPACK) && !permission::may_unpack(entry, object)? {
            view = View(view.0 & !View::UNPACK.0);
        }
        view = view.with(View::NEXT);
    }
    let Some(next) = entry.anchors.iterator.get() else { return Err(Error::LostReference.into()) };
    state.push_ref(next);
    push_view(entry, state, &iterator, view)?;
    match before_first {
        Some(number) => state.push_integer(number),
        None => state.push_nil(),
    }
    Ok(3)
}

/// The iterator function of the three above: (iterator, control) gives the next values.
///
/// This is its outer layer: what was read ahead is given without attaching to Python.
pub(crate) struct NextFunction;

impl<B: LuaBackend> Function<B> for NextFunction {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some(runtime) = raising.instance().host::<Runtime<B>>() else { return 0 };
        let state = raising.state();
        let home = state.to_userdata(1);
        let number = || next_number(state);
        if let Some(count) = runtime.ahead.push_next(runtime, state, home, number) {
            return count;
        }
        run::<B, Next>(raising)
    }
}

/// The next value of the control variable of `python.enumerate`.
fn next_number<B: LuaBackend>(state: State<B>) -> i64 {
    let last = state.to_integer(2).unwrap_or_else(|| state.to_number(2) as i64);
    last.wrapping_add(1)
}

/// The inner layer of [`NextFunction`].
pub(crate) struct Next;

impl<B: LuaBackend> Callback<B> for Next {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let (iterator, view) = python_argument(entry, state, 1, "iter")?;
        permission::check_next(entry, &iterator, view)?;
        if let Ok(cursor) = iterator.cast_exact::<Cursor>() {
            let home = state.to_userdata(1);
            entry.ahead.read(entry, cursor, home, view);
            let runtime = entry.runtime();
            let number = || next_number(state);
            if let Some(count) = runtime.ahead.push_next(runtime, state, home, number) {
                return Ok(count);
            }
        }
        let Some(item) = fallible::next(&iterator)? else {
            state.push_nil();
            return Ok(1);
        };
        // A nil would end the loop, so None comes as python.none where Lua looks for the end.
        let counts = view.has(View::ENUMERATE);
        let mode = if counts { Mode::Value } else { Mode::NotNil };
        let number = counts.then(|| next_number(state));
        if view.has(View::UNPACK)
            && let Ok(tuple) = item.cast::<PyTuple>()
        {
            return push_tuple(entry, state, tuple, mode, number);
        }
        if let Some(number) = number {
            state.push_integer(number);
        }
        Ok(push_object(entry, state, &item, mode)? + i32::from(counts))
    }
}

/// `python.args{...}`
pub(crate) struct Args;

impl<B: LuaBackend> Callback<B> for Args {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        if state.type_of(1) != value::TABLE {
            let found =
                if state.type_of(1) == value::NONE { "no value" } else { state.type_name(1) };
            return Err(Failure::argument(
                1,
                "args",
                format!("table expected, got {found}").into(),
            ));
        }
        state.push_value(1);
        let Ok(table) = entry.instance.take_ref(state) else { return Err(Error::Memory.into()) };
        let unpacked = arguments::unpack(entry, table);
        entry.instance.release(table);
        let arguments::Unpacked { args, kwargs, weight } = unpacked?;
        let object =
            PyArguments { args: args.unbind().into(), kwargs: kwargs.unbind().into(), weight };
        let object = Bound::new(entry.py, object)?;
        if entry.weighs() {
            crate::convert::weight::push_weighty(entry, state, object.as_any(), weight)?;
            return Ok(1);
        }
        push_view(entry, state, object.as_any(), View::ATTRIBUTES)
    }
}

/// `python.set_overflow_handler(f)`: `f` is nil, a Lua function or a Python object.
pub(crate) struct SetOverflowHandler;

impl<B: LuaBackend> Callback<B> for SetOverflowHandler {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let Some(slot) = entry.anchors.overflow.get() else {
            return Err(Error::LostReference.into());
        };
        match state.type_of(1) {
            // The key must stay present in the registry, so "none" is false.
            value::NIL => state.push_bool(false),
            value::FUNCTION => state.push_value(1),
            _ => {
                python_argument(entry, state, 1, "set_overflow_handler").map_err(|_| {
                    let expected = "nil, a Lua function or a callable Python object expected";
                    Failure::argument(1, "set_overflow_handler", expected.into())
                })?;
                state.push_value(1);
            }
        }
        entry.instance.replace_ref(state, slot);
        Ok(0)
    }
}

/// Sets the overflow handler from Python.
pub(crate) fn set_overflow_handler<B: LuaBackend>(
    entry: &Entry<'_, B>,
    handler: Option<&Bound<'_, PyAny>>,
) -> Result<(), Error> {
    let Some(slot) = entry.anchors.overflow.get() else { return Err(Error::LostReference) };
    let state = entry.state();
    match handler {
        None => state.push_bool(false),
        Some(handler) => {
            let ready = prepare(entry, handler, Mode::Value)?;
            let prepared = match ready.value() {
                // It is the host's, so also a sandbox may call it.
                Prepared::Object(object, _) => Prepared::Object(object, View::CALL),
                other => other,
            };
            push_protected(entry, state, prepared)?;
        }
    }
    entry.instance.replace_ref(state, slot);
    Ok(())
}
