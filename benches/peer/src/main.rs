//! What the rows of the floor cost between Rust and Lua 5.4 with mlua: there is no Python here, so it shows what of a
//! call is the boundary of Lua alone.
//!
//! `lupa-peer [--quick]` prints JSON: for each row its samples, in nanoseconds for one operation.

use std::hint::black_box;
use std::time::Instant;

use mlua::{Function, Lua, Result, Table};

/// Operations in a sample: some milliseconds.
const OPERATIONS: u32 = 50_000;

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let number = if quick { 10 } else { 50 };
    let lua = Lua::new();
    let ignore: Function = lua.load("return function() end").eval()?;
    let echo: Function = lua.load("return function(x) return x end").eval()?;
    let first: Function = lua.load("return function(a, b, c) return a end").eval()?;
    let repeat: Function = lua.load("return function(n, f) for i = 1, n do f(i) end end").eval()?;
    let callback = lua.create_function(|_, integer: i64| Ok(integer))?;
    let table: Table = lua.load("return {1, 2, 3, a = 1, b = 'two'}").eval()?;

    let rows = [
        ("call.noargs", each(number, || ignore.call::<()>(()))?),
        ("call.int", each(number, || echo.call::<i64>(black_box(7)))?),
        ("call.str", each(number, || echo.call::<String>(black_box("hello world")))?),
        ("call.3mixed", each(number, || first.call::<i64>(black_box((1, 2.5, "abc"))))?),
        ("callback.int", samples(number, || repeat.call::<()>((OPERATIONS, &callback)))?),
        ("table.getitem_int", each(number, || table.get::<i64>(black_box(2)))?),
        ("table.getitem_str", each(number, || table.get::<i64>(black_box("a")))?),
    ];
    let rows: Vec<String> =
        rows.iter().map(|(name, samples)| format!("{name:?}: {samples:?}")).collect();
    println!("{{{}}}", rows.join(", "));
    Ok(())
}

/// Samples of an operation.
fn each<T>(number: usize, mut operation: impl FnMut() -> Result<T>) -> Result<Vec<f64>> {
    samples(number, || {
        for _ in 0..OPERATIONS {
            black_box(operation()?);
        }
        Ok(())
    })
}

/// Samples of something that does [`OPERATIONS`].
fn samples(number: usize, mut run: impl FnMut() -> Result<()>) -> Result<Vec<f64>> {
    run()?;
    (0..number)
        .map(|_| {
            let begin = Instant::now();
            run()?;
            Ok(begin.elapsed().as_nanos() as f64 / f64::from(OPERATIONS))
        })
        .collect()
}
