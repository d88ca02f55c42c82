//! [`Parameters`]: what a `LuaRuntime` is asked to be, and how one is made of it.
#![forbid(unsafe_code)]

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::base::imported::Imported;
use crate::classes::engine::{self, Creation};
use crate::classes::output;
use crate::classes::parameters::{Bytes, Flag, Omittable, Truth, callable, handlers, libraries};
use crate::python_lib::sandbox::{SANDBOX_MEMORY, SANDBOX_TIMEOUT};
use crate::rights::exposure::Sandbox;
use crate::rights::restrict::Restrictions;
use crate::runtime::encoding::Encoding;
use crate::runtime::options::Options;
use crate::runtime::stop::deadline::Seconds;

/// The arguments of `LuaRuntime()`, each described in its documentation.
pub(crate) struct Parameters<'py> {
    pub(crate) encoding: Omittable<'py>,
    pub(crate) source_encoding: Option<Bound<'py, PyAny>>,
    pub(crate) attribute_filter: Option<Bound<'py, PyAny>>,
    pub(crate) attribute_handlers: Option<Bound<'py, PyAny>>,
    pub(crate) register_eval: Flag,
    pub(crate) unpack_returned_tuples: Truth,
    pub(crate) register_builtins: Flag,
    pub(crate) overflow_handler: Option<Bound<'py, PyAny>>,
    pub(crate) max_memory: Option<Bytes>,
    pub(crate) string_hash_seed: Option<u32>,
    pub(crate) convert_arrays: Truth,
    pub(crate) array_base: i64,
    pub(crate) libs: Option<Bound<'py, PyAny>>,
    pub(crate) timeout: Option<Seconds>,
    pub(crate) sandbox: Truth,
    pub(crate) colon_calls: &'py str,
    pub(crate) traceback_frames: Truth,
    pub(crate) stdout: Option<Bound<'py, PyAny>>,
}

impl<'py> Parameters<'py> {
    /// Makes a runtime; gives its state.
    ///
    /// # Errors
    /// `TypeError` and `ValueError` for arguments that cannot be, and what opening Lua raises.
    pub(crate) fn create(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Parameters {
            encoding,
            source_encoding,
            attribute_filter,
            attribute_handlers,
            register_eval,
            unpack_returned_tuples,
            register_builtins,
            overflow_handler,
            max_memory,
            string_hash_seed,
            convert_arrays,
            array_base,
            libs,
            timeout,
            sandbox,
            colon_calls,
            traceback_frames,
            stdout,
        } = self;
        let encoding = match encoding {
            Omittable::Unset => Encoding::Utf8,
            Omittable::Given(name) => Encoding::from_name(name.as_ref())?,
        };
        let source_encoding = match (Encoding::from_name(source_encoding.as_ref())?, &encoding) {
            (Encoding::Bytes, Encoding::Bytes) => Encoding::Utf8,
            (Encoding::Bytes, encoding) => encoding.clone(),
            (given, _) => given,
        };
        let filter = callable(attribute_filter, "attribute_filter must be callable")?;
        let (getter, setter) = handlers(attribute_handlers.as_ref())?;
        if filter.is_some() && (getter.is_some() || setter.is_some()) {
            return Err(fallible::error::<PyValueError>(
                "attribute_filter and attribute_handlers are mutually exclusive",
            ));
        }
        if !(0..=1).contains(&array_base) {
            return Err(fallible::error::<PyValueError>("array_base must be 0 or 1"));
        }
        let colon_calls_as_in_python = match colon_calls {
            "lua" => false,
            "python" => true,
            _ => {
                let text = format!("colon_calls must be 'lua' or 'python', not '{colon_calls}'");
                return Err(fallible::error::<PyValueError>(text));
            }
        };
        let sandboxed = sandbox.0;
        let (eval_asked, builtins_asked) =
            (register_eval.is_asked_for(), register_builtins.is_asked_for());
        if sandboxed && (eval_asked || builtins_asked) {
            return Err(fallible::error::<PyValueError>(
                "a sandbox has neither python.eval nor python.builtins",
            ));
        }
        let (libraries, kept) = libraries(libs.as_ref(), sandboxed)?;
        let overflow_handler = callable(overflow_handler, "overflow_handler must be callable")?;
        let restrictions = if sandboxed {
            Some(Arc::new(Restrictions::of_sandbox(py)?))
        } else if filter.is_some() || getter.is_some() || setter.is_some() {
            Some(Arc::new(Restrictions::new(py, eval_asked, builtins_asked)?))
        } else {
            None
        };
        let max_memory = match max_memory {
            None if sandboxed => Some(Bytes(SANDBOX_MEMORY as i64)),
            given => given,
        };
        let options = Options {
            restrictions,
            sandbox: sandboxed.then(|| Sandbox::new(py)).transpose()?,
            encoding,
            source_encoding,
            attribute_filter: filter.map(Bound::unbind),
            attribute_getter: getter.map(Bound::unbind),
            attribute_setter: setter.map(Bound::unbind),
            unpack_returned_tuples: unpack_returned_tuples.0,
            colon_calls_as_in_python,
            convert_arrays: convert_arrays.0,
            array_base,
        };
        // To import it takes longer than to open some libraries.
        static BUILTINS: Imported = Imported::module(c"builtins");
        let builtins = BUILTINS.get(py)?;
        let creation = Creation {
            libraries,
            sandbox: kept,
            eval: (register_eval.is_on() && !sandboxed)
                .then(|| builtins.attribute(c"eval"))
                .transpose()?,
            builtins: (register_builtins.is_on() && !sandboxed).then(|| builtins.clone()),
            overflow_handler,
            count_memory: max_memory.is_some(),
            seed: string_hash_seed,
            timeout: timeout.or(sandboxed.then_some(SANDBOX_TIMEOUT)),
            traceback_frames: traceback_frames.0,
        };
        let state = engine::get().create(py, options, creation)?;
        if let Some(stdout) = stdout {
            output::install(&state, &stdout)?;
        }
        if let Some(Bytes(limit)) = max_memory.filter(|limit| limit.0 > 0) {
            limit_memory(&state, usize::try_from(limit).unwrap_or(usize::MAX), false)?;
        }
        Ok(state)
    }
}

/// Sets the limit of Lua's memory, in bytes; 0 is none. The memory that Lua has begun with is part of a `total`, and
/// comes on top of any other limit.
///
/// # Errors
/// `RuntimeError` where memory is not counted.
pub(crate) fn limit_memory(state: &Bound<'_, PyAny>, limit: usize, total: bool) -> PyResult<()> {
    let base = engine::get().memory(state)?.map_or(0, |memory| memory.base);
    let limit = if limit == 0 || total { limit } else { limit.saturating_add(base) };
    Ok(engine::get().set_memory_limit(state, limit)?)
}
