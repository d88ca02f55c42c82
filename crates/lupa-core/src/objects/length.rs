//! `len()` of a Lua value.
#![forbid(unsafe_code)]

use lua_api::{LuaBackend, Ref, value};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt};

use crate::base::error::{Result, type_error};
use crate::base::fallible;
use crate::calls::call;
use crate::runtime::entry::Entry;

/// The length of a value, as the `#` operator of this Lua has it; 0 where that is an error.
pub(crate) fn of<B: LuaBackend>(entry: &Entry<'_, B>, reference: Ref) -> Result<isize> {
    let state = entry.state();
    let base = state.top();
    state.push_ref(reference);
    let asks = match state.type_of(-1) {
        value::TABLE => B::TABLE_HAS_LEN,
        kind => kind != value::STRING,
    };
    if !asks || !state.push_metatable(-1) {
        let length = state.raw_len(-1);
        state.set_top(base);
        return Ok(isize::try_from(length).map_err(|_| too_long())?);
    }
    state.set_top(base);
    let runtime = entry.runtime();
    let result = call::run(entry, |raising| {
        raising.push_ref(reference);
        raising.push_metatable(-1);
        raising.push_bytes(b"__len");
        raising.raw_get(-2);
        if raising.type_of(-1) == value::NIL {
            raising.push_integer(i64::try_from(raising.raw_len(1)).unwrap_or(i64::MAX));
        } else {
            raising.push_ref(reference);
            // As Lua itself calls it: with the operand twice from 5.2 on.
            if B::TABLE_HAS_LEN {
                raising.push_ref(reference);
            } else {
                raising.push_nil();
            }
            runtime.detach();
            raising.call(2, 1);
            runtime.attach();
        }
        1
    })?;
    if !result.is_instance_of::<PyInt>() || result.is_instance_of::<PyBool>() {
        return Err(type_error("object length is not an integer"));
    }
    // As Python does where a `__len__` returns such a number.
    if result.lt(0)? {
        return Err(fallible::error::<PyValueError>("__len__() should return >= 0").into());
    }
    Ok(result.extract::<isize>().map_err(|_| too_long())?)
}

#[cold]
fn too_long() -> PyErr {
    fallible::error::<PyOverflowError>("cannot fit 'int' into an index-sized integer")
}
