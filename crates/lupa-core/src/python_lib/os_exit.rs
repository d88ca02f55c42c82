//! `os.exit`: in Lua the end of the process, here `SystemExit`, so that Python cleans up.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Raising, State, value};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;

use crate::base::error::Result;
use crate::base::guard::settled;
use crate::calls::callback::{Callback, Failure, Outcome, push_callback};
use crate::calls::steps::step;
use crate::convert::from_lua::from_lua;
use crate::runtime::entry::Entry;
use crate::runtime::stop::stops::begin_stop;

/// `os.exit(code)`; whether to close Lua, the second argument, is nothing to decide here.
struct Exit;

impl<B: LuaBackend> Callback<B> for Exit {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        let code = match state.type_of(1) {
            value::NONE | value::NIL => 0,
            value::BOOLEAN => i32::from(!state.to_bool(1)),
            value::NUMBER | value::STRING => status(entry, state)?,
            _ => return Err(expected_number()),
        };
        // As in Lua, where nothing runs after it.
        let exit = settled(entry.py, PySystemExit::new_err(code));
        begin_stop(entry, state, exit.clone_ref(entry.py));
        Err(exit.into())
    }
}

/// The number at index 1 as C takes it; also a string that is one, as everywhere in Lua.
fn status<B: LuaBackend>(
    entry: &Entry<'_, B>,
    state: State<B>,
) -> std::result::Result<i32, Failure> {
    let number = from_lua(entry.runtime(), entry.py, state, 1)?;
    let builtin = entry.py.get_type::<pyo3::types::PyFloat>();
    let Ok(number) = builtin.call1((number,)).and_then(|number| number.extract::<f64>()) else {
        return Err(expected_number());
    };
    Ok(number as i64 as i32)
}

fn expected_number() -> Failure {
    Failure::argument(1, "exit", "number expected".into())
}

/// Puts our `os.exit` in the place of Lua's, if there is one.
pub(crate) fn replace<B: LuaBackend>(raising: Raising<'_, B>) {
    raising.push_globals();
    raising.get_field(-1, c"os");
    if raising.type_of(-1) == value::TABLE {
        push_callback::<B, Exit>(raising, 0);
        raising.set_field(-2, c"exit");
    }
    raising.pop(2);
}

/// Puts Lua's own `os.exit` back, for the command line.
pub(crate) fn restore<B: LuaBackend>(entry: &Entry<'_, B>) -> Result<()> {
    step(entry, |raising| {
        raising.push_globals();
        raising.get_field(-1, c"os");
        if raising.push_original("os", c"exit") {
            raising.set_field(2, c"exit");
        }
        0
    })
}
