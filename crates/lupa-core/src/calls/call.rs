//! Calls from Python into Lua.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, MULTRET, Raising, Ref, State};
use pyo3::prelude::*;
use smallvec::SmallVec;

use crate::base::error::{Error, Result};
use crate::base::fallible;
use crate::base::vectors;
use crate::convert::from_lua::from_lua;
use crate::convert::lua_error::{Origin, from_stack};
use crate::convert::prepared::{Mode, Ready};
use crate::convert::quick;
use crate::convert::to_lua::{prepare, push};
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;
use crate::types::alive::Alive;

/// How many prepared arguments need no memory of their own.
pub(crate) const INLINE_ARGUMENTS: usize = 4;

/// The largest number of arguments that the fast path takes.
const MOST_QUICK: usize = 8;

/// The prepared arguments of a call, with what keeps them alive.
pub(crate) struct Arguments<'a, 'py>(SmallVec<[Ready<'a, 'py>; INLINE_ARGUMENTS]>);

impl<'a, 'py> Arguments<'a, 'py> {
    /// Prepares objects for a call.
    #[inline]
    pub(crate) fn prepare<B: LuaBackend>(
        entry: &Entry<'py, B>,
        objects: &'a [Bound<'py, PyAny>],
    ) -> Result<Self> {
        let mut arguments = vectors::few(objects.len())?;
        let mut boxes = 0;
        for object in objects {
            let ready = prepare(entry, object, Mode::Value)?;
            boxes += usize::from(ready.value().needs_box());
            arguments.push(ready);
        }
        if boxes > 0 && !entry.boxes.reserve(entry.py, boxes) {
            return Err(Error::Memory);
        }
        Ok(Arguments(arguments))
    }

    /// The values.
    #[inline]
    pub(crate) fn values(&self) -> &[Ready<'a, 'py>] {
        &self.0
    }
}

/// Pushes prepared arguments; gives their number.
#[inline]
pub(crate) fn push_all<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    values: &[Ready<'_, '_>],
) -> i32 {
    // More than any stack has room for are refused below.
    let count = i32::try_from(values.len()).unwrap_or(i32::MAX);
    raising.reserve(count.saturating_add(lua_api::MIN_ROOM));
    for value in values {
        push(runtime, raising, value.value());
    }
    count
}

/// Calls the Lua value behind a reference, if the fast path takes all arguments; otherwise does nothing.
#[inline(always)]
pub(crate) fn quick<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    function: Ref,
    objects: &[Alive<'_>],
) -> Option<Result<Bound<'py, PyAny>>> {
    let state = entry.state();
    let base = state.top();
    state.begin_call(function);
    if !push_quick(entry, state, objects.iter().copied()) {
        state.set_top(base);
        return None;
    }
    Some(end(entry, state, base, objects.len()))
}

/// Pushes at most [`MOST_QUICK`] arguments by the fast path; false if it does not take one of them.
#[inline(always)]
pub(crate) fn push_quick<'a, B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
    objects: impl ExactSizeIterator<Item = Alive<'a>>,
) -> bool {
    if objects.len() > MOST_QUICK {
        return false;
    }
    for object in objects {
        if !quick::push(entry, state, object, Mode::Value) {
            return false;
        }
    }
    true
}

/// Makes the call that has been begun, while other Python threads may run, and takes its results.
///
/// # Errors
/// What the call raises.
#[inline(always)]
pub(crate) fn end<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    base: i32,
    arguments: usize,
) -> Result<Bound<'py, PyAny>> {
    entry.detach();
    let outcome = state.end_call(base, arguments as i32);
    // An error may have come from a callback that was attached already.
    entry.attach();
    let result = match outcome {
        Ok(count) => results(entry, state, base + 1, count),
        Err(raised) => Err(from_stack(entry, state, raised, Origin::Call).into()),
    };
    state.set_top(base);
    result
}

/// Calls the Lua value behind a reference and gives its results: none is `None`, one is itself,
/// more are a tuple.
///
/// # Errors
/// What the conversions raise, and what the call raises.
#[inline]
pub(crate) fn call<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    function: Ref,
    arguments: &Arguments<'_, 'py>,
) -> Result<Bound<'py, PyAny>> {
    let values = arguments.values();
    let runtime = entry.runtime();
    run(entry, |raising| {
        raising.push_ref(function);
        let count = push_all(runtime, raising, values);
        detached_call(runtime, raising, count);
        raising.top()
    })
}

/// Calls the function below its `count` arguments while other Python threads may run.
#[inline(always)]
pub(crate) fn detached_call<B: LuaBackend>(
    runtime: &Runtime<B>,
    raising: Raising<'_, B>,
    count: i32,
) {
    runtime.detach();
    raising.call(count, MULTRET);
    runtime.attach();
}

/// Runs `work` in a protected call and converts the values that it leaves.
///
/// # Errors
/// As for [`call`].
#[inline]
pub(crate) fn run<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    work: impl for<'f> FnOnce(Raising<'f, B>) -> i32,
) -> Result<Bound<'py, PyAny>> {
    let state = entry.state();
    let base = state.top();
    let outcome = state.protect_above(work);
    // An error may have come while detached.
    entry.attach();
    match outcome {
        Ok(count) => {
            let result = results(entry, state, base + 1, count);
            state.set_top(base);
            result
        }
        Err(raised) => {
            let error = from_stack(entry, state, raised, Origin::Call);
            state.set_top(base);
            Err(error.into())
        }
    }
}

/// The `count` values above `base`, as a call gives them.
#[inline(always)]
pub(crate) fn results<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    base: i32,
    count: i32,
) -> Result<Bound<'py, PyAny>> {
    entry.check_stop()?;
    match count {
        0 => Ok(entry.py.None().into_bound(entry.py)),
        1 => from_lua(entry.runtime(), entry.py, state, base + 1),
        _ => several(entry, state, base, count),
    }
}

#[inline(never)]
fn several<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    state: State<B>,
    base: i32,
    count: i32,
) -> Result<Bound<'py, PyAny>> {
    let length = usize::try_from(count).unwrap_or_default();
    let tuple = fallible::tuple_with(entry.py, length, |index| {
        from_lua(entry.runtime(), entry.py, state, base + 1 + index as i32)
    })?;
    Ok(tuple.into_any())
}
