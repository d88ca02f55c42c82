//! The C functions that read and write elements. They neither raise nor touch Python: what is not
//! an everyday case goes on to the callback that knows every case.

use lua_api::raw::lua_State;
use lua_api::{LuaBackend, Raising, State, value};

use super::element::{Value, load, store};
use super::userdata::{self, ArrayBox, dims, find};
use crate::callback::{Callback, outer};
use crate::runtime::Runtime;

/// What a C function of Lua works on: as in [`outer`].
#[inline(always)]
unsafe fn here<'a, B: LuaBackend>(l: *mut lua_State) -> Option<(&'a Runtime<B>, State<'a, B>)> {
    // SAFETY: called by Lua, which runs only while an instance is entered; its host is the runtime.
    unsafe {
        let raising = Raising::<B>::of_thread(l)?;
        Some((raising.instance().host()?, raising.state()))
    }
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
    // What is too large saturates, and is then out of any bounds; NaN is not equal to 0.
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

/// The address of an element, given by the integers from `first` on.
#[inline(always)]
fn locate<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    found: *const ArrayBox,
    first: i32,
) -> Option<*mut u8> {
    // SAFETY: an array on the stack.
    let (header, dims) = unsafe { (&(*found).header, dims(found)) };
    let base = runtime.options.array_base;
    let mut at = header.data;
    for (dim, index) in dims.iter().zip(first..) {
        let position = integer(state, index)?.wrapping_sub(base);
        if position as u64 >= dim.len as u64 {
            return None;
        }
        at = at.wrapping_offset(dim.stride * position as isize);
    }
    Some(at)
}

/// Pushes the element that the integers from `first` on name, if it is an everyday case.
#[inline(always)]
fn push_element<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    found: *const ArrayBox,
    first: i32,
) -> bool {
    let Some(at) = locate(runtime, state, found, first) else { return false };
    // SAFETY: an element of the array, which is alive.
    unsafe {
        let header = &(*found).header;
        push_plain_value(state, load(header.kind, header.swapped, at))
    }
}

/// Writes the value at `index` to the element that the integers from `first` on name.
#[inline(always)]
fn set_element<B: LuaBackend>(
    runtime: &Runtime<B>,
    state: State<B>,
    found: *const ArrayBox,
    first: i32,
    index: i32,
) -> bool {
    // SAFETY: an array on the stack.
    let header = unsafe { &(*found).header };
    let Some(value) = plain_value(state, index) else { return false };
    let Some(at) = locate(runtime, state, found, first) else { return false };
    // SAFETY: an element of the array, which is alive and not read-only.
    !header.readonly && unsafe { store(header.kind, header.swapped, at, value) }.is_ok()
}

/// The number of dimensions.
#[inline(always)]
fn ndim(found: *const ArrayBox) -> i32 {
    // SAFETY: an array on the stack.
    unsafe { (*found).header.ndim as i32 }
}

/// `__index`; its upvalue is the table of methods.
pub(super) unsafe extern "C-unwind" fn index<B: LuaBackend, Slow: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        if let Some((found, _)) = find(runtime, state, 1) {
            if ndim(found) == 1 && push_element(runtime, state, found, 2) {
                return 1;
            }
            let methods = B::upvalue_index(1);
            if state.type_of(2) == value::STRING && state.type_of(methods) == value::TABLE {
                state.push_value(2);
                state.raw_get(methods);
                if state.type_of(-1) != value::NIL {
                    return 1;
                }
                state.pop(1);
            }
        }
        outer::<B, Slow>(l)
    }
}

/// `__newindex`
pub(super) unsafe extern "C-unwind" fn new_index<B: LuaBackend, Slow: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        if let Some((found, _)) = find(runtime, state, 1)
            && ndim(found) == 1
            && set_element(runtime, state, found, 2, 3)
        {
            return 0;
        }
        outer::<B, Slow>(l)
    }
}

/// `a:get(i, j, ...)`
pub(super) unsafe extern "C-unwind" fn get<B: LuaBackend, Slow: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        if let Some((found, _)) = find(runtime, state, 1)
            && state.top() == 1 + ndim(found)
            && push_element(runtime, state, found, 2)
        {
            return 1;
        }
        outer::<B, Slow>(l)
    }
}

/// `a:set(i, j, ..., value)`
pub(super) unsafe extern "C-unwind" fn set<B: LuaBackend, Slow: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        if let Some((found, _)) = find(runtime, state, 1)
            && state.top() == 2 + ndim(found)
            && set_element(runtime, state, found, 2, 2 + ndim(found))
        {
            return 0;
        }
        outer::<B, Slow>(l)
    }
}

/// The iterator of `a:each()`: (array, index) gives the next index and what is there.
pub(super) unsafe extern "C-unwind" fn step<B: LuaBackend, Slow: Callback<B>>(
    l: *mut lua_State,
) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        let (Some((found, _)), Some(last)) = (find(runtime, state, 1), integer(state, 2)) else {
            return outer::<B, Slow>(l);
        };
        let next = last.wrapping_add(1);
        let len = dims(found).first().map_or(0, |dim| dim.len);
        if next.wrapping_sub(runtime.options.array_base) as u64 >= len as u64 {
            return 0;
        }
        state.set_top(1);
        state.push_integer(next);
        if ndim(found) == 1 && push_element(runtime, state, found, 2) {
            return 2;
        }
        // It leaves its result above the two arguments.
        outer::<B, Slow>(l) + 1
    }
}

/// `a:each()`, also `__pairs` where there is that; its upvalue is the iterator.
pub(super) unsafe extern "C-unwind" fn each<B: LuaBackend>(l: *mut lua_State) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        state.set_top(1);
        state.push_value(B::upvalue_index(1));
        state.insert(1);
        state.push_integer(runtime.options.array_base - 1);
        3
    }
}

/// `__len`
pub(super) unsafe extern "C-unwind" fn length<B: LuaBackend>(l: *mut lua_State) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        if let Some((found, _)) = find(runtime, state, 1)
            && let Some(dim) = dims(found).first()
        {
            state.push_integer(dim.len as i64);
            return 1;
        }
        outer::<B, super::methods::NoLength>(l)
    }
}

/// `__eq`: the same elements of the same memory.
pub(super) unsafe extern "C-unwind" fn equal<B: LuaBackend>(l: *mut lua_State) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        let Some((runtime, state)) = here::<B>(l) else { return 0 };
        let same = match (find(runtime, state, 1), find(runtime, state, 2)) {
            (Some((one, _)), Some((other, _))) => {
                let (a, b) = (&(*one).header, &(*other).header);
                (a.data, a.kind, a.swapped) == (b.data, b.kind, b.swapped)
                    && dims(one) == dims(other)
            }
            _ => false,
        };
        state.push_bool(same);
        1
    }
}

/// `__gc`
pub(super) unsafe extern "C-unwind" fn collect<B: LuaBackend>(l: *mut lua_State) -> i32 {
    // SAFETY: called by Lua.
    unsafe {
        if let Some((runtime, state)) = here::<B>(l) {
            userdata::release(runtime, state, 1);
        }
    }
    0
}
