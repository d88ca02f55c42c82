//! [`Engine`]: what `LuaRuntime`, which is one concrete class, asks of the backend, which is a type.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::sync::{Arc, OnceLock};

use lua_api::{Gc, Selection};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::base::error::Result;
use crate::objects::raw::Raw;
use crate::objects::unfold::Unfolding;
use crate::objects::wishes::Wishes;
use crate::rights::exposure::Sandbox;
use crate::runtime::chunks::GivenCode;
use crate::runtime::options::Options;
use crate::runtime::stop::deadline::{Requested, Seconds};
use crate::runtime::stop::scope::Scope;

/// The arguments of a new runtime, besides [`Options`].
pub(crate) struct Creation<'py> {
    pub(crate) libraries: Selection,
    /// Of a sandbox: the libraries that Lua code gets.
    pub(crate) sandbox: Option<Vec<&'static str>>,
    pub(crate) eval: Option<Bound<'py, PyAny>>,
    pub(crate) builtins: Option<Bound<'py, PyAny>>,
    pub(crate) overflow_handler: Option<Bound<'py, PyAny>>,
    pub(crate) count_memory: bool,
    pub(crate) seed: Option<u32>,
    pub(crate) timeout: Option<Seconds>,
    /// Whether the tracebacks of exceptions have frames of Lua functions.
    pub(crate) traceback_frames: bool,
}

/// Memory of a runtime, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct MemoryUse {
    pub(crate) used: usize,
    pub(crate) limit: usize,
    pub(crate) base: usize,
}

impl MemoryUse {
    /// The limit, with what Lua has begun with in a `total`.
    pub(crate) fn limit(self, total: bool) -> usize {
        self.limit.saturating_sub(if total { 0 } else { self.base })
    }

    /// The bytes in use, counted in the same way.
    pub(crate) fn used(self, total: bool) -> i64 {
        let base = if total { 0 } else { self.base };
        self.used as i64 - base as i64
    }
}

/// What an operation on a raw value gives, if there was such a value.
pub(crate) type RawResult<'py> = Option<Option<Bound<'py, PyAny>>>;

/// The operations of a runtime. `state` is always the object that [`Engine::create`] gave.
pub(crate) trait Engine: Send + Sync {
    fn create<'py>(
        &self,
        py: Python<'py>,
        options: Options,
        creation: Creation<'py>,
    ) -> Result<Bound<'py, PyAny>>;
    fn run<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        source: &GivenCode<'_, 'py>,
        args: &Bound<'py, PyTuple>,
        timeout: Option<Seconds>,
    ) -> Result<Bound<'py, PyAny>>;
    fn compile<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        source: &GivenCode<'_, 'py>,
    ) -> Result<Bound<'py, PyAny>>;
    fn require<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>>;
    fn globals<'py>(&self, state: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>>;
    fn table_from<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        sources: &[Bound<'py, PyAny>],
        recursive: bool,
        unfolding: Option<&Unfolding<'py>>,
    ) -> Result<Bound<'py, PyAny>>;
    /// An object as Lua data; what becomes no table is given as it is.
    fn to_lua<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
        unfolding: &Unfolding<'py>,
    ) -> Result<Bound<'py, PyAny>>;
    /// A table as Python data; `None` for what is no wrapper of this module.
    fn to_python<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        wishes: &Wishes<'py>,
    ) -> Result<Option<Bound<'py, PyAny>>>;
    /// An operation on the value behind a wrapper; `None` for other objects.
    fn raw<'py>(&self, object: &Bound<'py, PyAny>, raw: &Raw<'_, 'py>) -> Result<RawResult<'py>>;
    fn gc(&self, state: &Bound<'_, PyAny>, command: Gc) -> Result<()>;
    /// Stops the collector, at the beginning of a block.
    fn stop_gc(&self, state: &Bound<'_, PyAny>) -> Result<()>;
    /// Starts it again, unless there are other blocks; `begun` if this one has stopped it.
    fn restart_gc(&self, state: &Bound<'_, PyAny>, begun: bool) -> Result<()>;
    fn set_overflow_handler(
        &self,
        state: &Bound<'_, PyAny>,
        handler: Option<&Bound<'_, PyAny>>,
    ) -> Result<()>;
    /// Frees everything of the runtime, which must not be in use.
    fn close(&self, state: &Bound<'_, PyAny>) -> Result<()>;
    /// Begins limits, and gives a number for them.
    fn begin_limits(&self, state: &Bound<'_, PyAny>, wanted: Requested) -> Result<Arc<Scope>>;
    /// Ends them.
    fn end_limits(&self, state: &Bound<'_, PyAny>) -> Result<()>;
    /// Stops what runs; false if nothing does.
    fn interrupt(&self, state: &Bound<'_, PyAny>) -> Result<bool>;
    /// Lets `os.exit` end the process, as in Lua itself.
    fn restore_exit(&self, state: &Bound<'_, PyAny>) -> Result<()>;
    /// For the command line: calls a function with one C function below it, and then `done` with whether it worked, and
    /// its results, or what `handler` has made of its error. Gives whether it worked.
    fn run_main<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        functions: [&Bound<'py, PyAny>; 3],
        args: &Bound<'py, PyTuple>,
    ) -> Result<bool>;
    /// An error if the runtime is closed.
    fn check_open(&self, state: &Bound<'_, PyAny>) -> Result<()>;
    /// `None` when memory is not counted.
    fn memory(&self, state: &Bound<'_, PyAny>) -> Result<Option<MemoryUse>>;
    fn set_memory_limit(&self, state: &Bound<'_, PyAny>, limit: usize) -> Result<()>;
    fn fail_allocations(&self, state: &Bound<'_, PyAny>, after: Option<u64>) -> Result<()>;
    fn source_encoding<'a>(
        &self,
        state: &'a Bound<'_, PyAny>,
    ) -> &'a crate::runtime::encoding::Encoding;
    /// The exposures, if the runtime is a sandbox.
    fn sandbox<'a>(&self, state: &'a Bound<'_, PyAny>) -> Option<&'a Sandbox>;
    /// The name of the Lua type of a wrapper; `None` for other objects.
    fn type_name(&self, wrapper: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>>;
    /// The identity of the backend.
    fn backend(&self) -> TypeId;
    fn version(&self) -> (u8, u8);
    /// A string of Lua, so bytes where strings are not decoded.
    fn implementation<'py>(&self, state: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>>;
    /// The libraries of these names; else what is wrong.
    fn select_libraries(&self, names: &[String]) -> std::result::Result<Selection, String>;
    /// The libraries that a sandbox gets, by these names or all safe ones, and the libraries to open for it;
    /// otherwise a message about a name that is wrong.
    fn select_safe_libraries(
        &self,
        names: Option<&[String]>,
    ) -> std::result::Result<(Vec<&'static str>, Selection), String>;
}

static ENGINE: OnceLock<&'static dyn Engine> = OnceLock::new();

/// The engine of this module.
pub(crate) fn get() -> &'static dyn Engine {
    *ENGINE.get().expect("the module is initialised")
}

/// Chooses the engine, once, when the module is initialised.
pub(crate) fn set(engine: Box<dyn Engine>) {
    ENGINE.get_or_init(|| Box::leak(engine));
}
