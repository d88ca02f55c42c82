//! Names of a table's fields, for `dir()` and for the completion of keys.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, TableEntry};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::base::error::Result;
use crate::convert::text::is_identifier;
use crate::convert::walk::{MOST, Walk, Wanted};
use crate::convert::wrapper::LuaObject;

/// How many names are listed.
const LISTED: usize = 1000;

/// How many entries are looked at for that.
const LOOKED_AT: usize = 1_000_000;

/// The keys of the raw table that are `str`, in Lua's order; `identifiers` leaves out those that are no names. None if another
/// thread uses the runtime, or it cannot be used: who completes a name does not want to wait, or to see an error.
pub(crate) fn of<'py, B: LuaBackend>(
    py: Python<'py>,
    table: &'py LuaObject<B>,
    identifiers: bool,
) -> Result<Vec<Bound<'py, PyAny>>> {
    let runtime = table.runtime();
    let Ok(Some(entry)) = runtime.enter_at_once(py) else { return Ok(Vec::new()) };
    let state = entry.state();
    let base = state.top();
    let mut names = Vec::new();
    let mut walk = Walk::default();
    let mut room = [TableEntry::EMPTY; MOST];
    let (mut given, mut looked_at) = (0, 0);
    let mut result = Ok(());
    while names.len() < LISTED && looked_at < LOOKED_AT {
        let read = walk.read(&entry, table.reference(), given, Wanted::Keys, &mut room);
        let mut batch = match read {
            Ok(batch) => batch,
            Err(error) => {
                result = Err(error);
                break;
            }
        };
        given = batch.len();
        looked_at += given;
        while let Some((key, _)) = batch.next() {
            // What cannot be decoded is no name.
            let Ok(key) = key.object(&entry, state) else { continue };
            let Ok(name) = key.cast_exact::<PyString>() else { continue };
            if names.len() < LISTED && (!identifiers || name.to_str().is_ok_and(is_identifier)) {
                names.push(key);
            }
        }
        state.set_top(base);
        if given == 0 {
            break;
        }
        if let Err(stopped) = entry.look(given) {
            result = Err(stopped);
            break;
        }
    }
    walk.end(runtime);
    result.map(|()| names)
}
