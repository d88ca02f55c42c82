//! The functions that read and write elements. They neither raise nor touch Python: what is not
//! an everyday case goes on to the callback that knows every case.
#![forbid(unsafe_code)]

use std::marker::PhantomData;

use lua_api::{Function, LuaBackend, Raising, State, value};

use super::element::Value;
use super::memory::OnStack;
use crate::calls::callback::{Callback, run};
use crate::runtime::runtime::Runtime;

/// The element type and the memory that a function works on.
#[inline(always)]
fn here<'a, B: LuaBackend>(raising: Raising<'a, B>) -> Option<(OnStack<'a, B>, State<'a, B>)> {
    let state = raising.state();
    let runtime = state.instance().host::<Runtime<B>>()?;
    Some((OnStack(runtime, state), state))
}

/// The integer at `index`, also from a float without a fraction.
#[inline(always)]
pub(super) fn integer<B: LuaBackend>(state: State<B>, index: i32) -> Option<i64> {
    if let Some(integer) = state.to_integer(index) {
        return Some(integer);
    }
    if state.type_of(index) != value::NUMBER {
        return None;
    }
    let number = state.to_number(index);
    let integer = number as i64;
    // A number that is too large saturates, and is then out of any bounds; NaN is not equal to 0.
    (integer as f64 == number).then_some(integer)
}

/// The element value at `index`, if it is a number or a boolean.
#[inline(always)]
pub(super) fn plain_value<B: LuaBackend>(state: State<B>, index: i32) -> Option<Value> {
    match state.type_of(index) {
        value::NUMBER => Some(match state.to_integer(index) {
            Some(integer) => Value::Integer(integer),
            None => Value::Float(state.to_number(index)),
        }),
        value::BOOLEAN => Some(Value::Bool(state.to_bool(index))),
        _ => None,
    }
}

/// Pushes an element value, if Lua has a number or a boolean that is exactly that.
#[inline(always)]
pub(super) fn push_plain_value<B: LuaBackend>(state: State<B>, value: Value) -> bool {
    const EXACT: u64 = 1 << 53;
    match value {
        Value::Float(number) => state.push_number(number),
        Value::Integer(integer) if B::HAS_INTEGERS || integer.unsigned_abs() <= EXACT => {
            state.push_integer(integer);
        }
        Value::Bool(truth) => state.push_bool(truth),
        _ => return false,
    }
    true
}

/// `__index`; its upvalue is the table of methods.
pub(super) struct Index<Slow>(PhantomData<Slow>);

impl<B: LuaBackend, Slow: Callback<B>> Function<B> for Index<Slow> {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        if let Some(value) = arrays.load(1, 2, 1)
            && push_plain_value(state, value)
        {
            return 1;
        }
        let methods = B::upvalue_index(1);
        if state.type_of(2) == value::STRING
            && state.type_of(methods) == value::TABLE
            && arrays.is_there(1)
        {
            state.push_value(2);
            state.raw_get(methods);
            if state.type_of(-1) != value::NIL {
                return 1;
            }
            state.pop(1);
        }
        run::<B, Slow>(raising)
    }
}

/// `__newindex`
pub(super) struct NewIndex<Slow>(PhantomData<Slow>);

impl<B: LuaBackend, Slow: Callback<B>> Function<B> for NewIndex<Slow> {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        if let Some(value) = plain_value(state, 3)
            && arrays.store(1, 2, 1, value)
        {
            return 0;
        }
        run::<B, Slow>(raising)
    }
}

/// `a:get(i, j, ...)`
pub(super) struct Get<Slow>(PhantomData<Slow>);

impl<B: LuaBackend, Slow: Callback<B>> Function<B> for Get<Slow> {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        if let Some(value) = arrays.load(1, 2, state.top() - 1)
            && push_plain_value(state, value)
        {
            return 1;
        }
        run::<B, Slow>(raising)
    }
}

/// `a:set(i, j, ..., value)`
pub(super) struct Set<Slow>(PhantomData<Slow>);

impl<B: LuaBackend, Slow: Callback<B>> Function<B> for Set<Slow> {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        let top = state.top();
        if top >= 2
            && let Some(value) = plain_value(state, top)
            && arrays.store(1, 2, top - 2, value)
        {
            return 0;
        }
        run::<B, Slow>(raising)
    }
}

/// The iterator of `a:each()`: (array, index) gives the next index and the element there.
pub(super) struct Step<Slow>(PhantomData<Slow>);

impl<B: LuaBackend, Slow: Callback<B>> Function<B> for Step<Slow> {
    #[inline(always)]
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        let Some(last) = integer(state, 2) else { return run::<B, Slow>(raising) };
        let next = last.wrapping_add(1);
        let position = next.wrapping_sub(arrays.base());
        let Some((len, found)) = arrays.step(1, position) else {
            return run::<B, Slow>(raising);
        };
        if position as u64 >= len as u64 {
            return 0;
        }
        state.set_top(1);
        state.push_integer(next);
        if let Some(value) = found
            && push_plain_value(state, value)
        {
            return 2;
        }
        // It leaves its result above the two arguments.
        run::<B, Slow>(raising) + 1
    }
}

/// `a:each()`, also `__pairs` where there is that; its upvalue is the iterator.
pub(super) struct Each;

impl<B: LuaBackend> Function<B> for Each {
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        state.set_top(1);
        state.push_value(B::upvalue_index(1));
        state.insert(1);
        state.push_integer(arrays.base() - 1);
        3
    }
}

/// `__len`
pub(super) struct Length;

impl<B: LuaBackend> Function<B> for Length {
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        if let Some(len) = arrays.length(1) {
            state.push_integer(len as i64);
            return 1;
        }
        run::<B, super::methods::NoLength>(raising)
    }
}

/// `__eq`: the same elements of the same memory.
pub(super) struct Equal;

impl<B: LuaBackend> Function<B> for Equal {
    fn call(raising: Raising<'_, B>) -> i32 {
        let Some((arrays, state)) = here(raising) else { return 0 };
        state.push_bool(arrays.are_same(1, 2));
        1
    }
}

/// `__gc`
pub(super) struct Collect;

impl<B: LuaBackend> Function<B> for Collect {
    fn call(raising: Raising<'_, B>) -> i32 {
        if let Some((arrays, _)) = here(raising) {
            arrays.release(1);
        }
        0
    }
}
