//! `LuaRuntime(stdout=...)`: what Lua prints goes to a stream of Python.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

use crate::base::fallible;
use crate::base::imported::Imported;
use crate::classes::engine;
use crate::rights::allowed::Rights;
use crate::runtime::chunks::GivenCode;

/// The functions that take the place of `print` and `io.write`.
const CODE: &str = include_str!("output.lua");

/// Gives Lua functions that write to a stream.
///
/// # Errors
/// `TypeError` for what is no stream.
pub(crate) fn install<'py>(state: &Bound<'py, PyAny>, stream: &Bound<'py, PyAny>) -> PyResult<()> {
    static WRITER: Imported = Imported::new(c"lupa._output", c"writer");
    let py = state.py();
    let write = WRITER.get(py)?.call1((stream,))?;
    let rights = Rights::parse(&write, None)?;
    if let Some(sandbox) = engine::get().sandbox(state) {
        sandbox.expose(&write, rights)?;
    }
    let code = fallible::string(py, CODE)?.into_any();
    let name = fallible::string(py, "=lupa")?.into_any();
    let source = GivenCode { code: &code, is_expression: false, name: Some(&name), mode: None };
    engine::get().run(state, &source, &fallible::tuple(py, [write])?, None)?;
    Ok(())
}
