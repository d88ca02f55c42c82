//! A native Lua module with a function of each kind that can go wrong between two owners of one Lua state: numbers,
//! strings, errors, userdata, callbacks, C callbacks, and a panic.

use mlua::prelude::{LuaError, LuaResult, LuaString, LuaTable, LuaValue};
use mlua::{Function, Lua, UserData, UserDataMethods, Variadic};

/// A userdata with a state and methods.
struct Counter(i64);

impl UserData for Counter {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("add", |_, counter, amount: i64| {
            counter.0 += amount;
            Ok(counter.0)
        });
        methods.add_method("get", |_, counter, ()| Ok(counter.0));
    }
}

fn sum(_: &Lua, numbers: Variadic<f64>) -> LuaResult<f64> {
    Ok(numbers.iter().sum())
}

fn echo(_: &Lua, text: LuaString) -> LuaResult<LuaString> {
    Ok(text)
}

fn fail(_: &Lua, message: String) -> LuaResult<()> {
    Err(LuaError::runtime(message))
}

fn panics(_: &Lua, message: String) -> LuaResult<()> {
    panic!("{message}");
}

fn call(
    _: &Lua,
    (function, arguments): (Function, Variadic<LuaValue>),
) -> LuaResult<Variadic<LuaValue>> {
    function.call(arguments)
}

/// Calls the C function at an address, as a module does that is given a callback of somebody else.
fn call_address(_: &Lua, (address, argument): (f64, i32)) -> LuaResult<i32> {
    let address = address as usize as *const std::ffi::c_void;
    // SAFETY: the test gives the address of such a function.
    let function = unsafe {
        std::mem::transmute::<*const std::ffi::c_void, extern "C" fn(i32) -> i32>(address)
    };
    Ok(function(argument))
}

fn counter(_: &Lua, start: i64) -> LuaResult<Counter> {
    Ok(Counter(start))
}

fn list(lua: &Lua, length: i64) -> LuaResult<LuaTable> {
    lua.create_sequence_from(1..=length)
}

/// The function that `require "fixture"` calls.
#[mlua::lua_module]
fn fixture(lua: &Lua) -> LuaResult<LuaTable> {
    let module = lua.create_table()?;
    module.set("sum", lua.create_function(sum)?)?;
    module.set("echo", lua.create_function(echo)?)?;
    module.set("fail", lua.create_function(fail)?)?;
    module.set("panics", lua.create_function(panics)?)?;
    module.set("call", lua.create_function(call)?)?;
    module.set("call_address", lua.create_function(call_address)?)?;
    module.set("counter", lua.create_function(counter)?)?;
    module.set("list", lua.create_function(list)?)?;
    Ok(module)
}
