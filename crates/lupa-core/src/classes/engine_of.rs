//! [`EngineOf`]: the operations of a runtime, for one backend.
#![forbid(unsafe_code)]

use crate::array;
use crate::base::error::{Error, LuaError, Result};
use crate::base::fallible;
use crate::base::vectors;
use crate::calls::call::{self, Arguments};
use crate::calls::hook::StopHook;
use crate::calls::main_chunk;
use crate::classes::engine::{self, Creation, Engine, MemoryUse, RawResult};
use crate::convert::from_lua::from_lua;
use crate::convert::lua_error::{Origin, from_stack, raised};
use crate::convert::syntax_error::describe;
use crate::convert::wrapper::{LuaObject, WRAPPERS};
use crate::objects::raw::{self, Raw};
use crate::objects::table_from;
use crate::objects::to_python;
use crate::objects::unfold::Unfolding;
use crate::objects::wishes::Wishes;
use crate::python_lib::functions;
use crate::python_lib::os_exit;
use crate::python_lib::sandbox;
use crate::python_lib::setup;
use crate::rights::exposure::Sandbox;
use crate::runtime::chunks::{Chunk, Chunks, GivenCode};
use crate::runtime::entry::Entry;
use crate::runtime::options::Options;
use crate::runtime::owner::RuntimeObject;
use crate::runtime::runtime::Runtime;
use crate::runtime::stop::deadline::{Requested, Seconds};
use crate::runtime::stop::pending;
use crate::runtime::stop::scope::Scope;
use crate::types::alive::Alive;
use lua_api::{Gc, Instance, LuaBackend, OK, Raised, Selection};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::any::TypeId;
use std::borrow::Cow;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Chooses the engine of this backend, once, when the module is initialised.
pub(crate) fn init<B: LuaBackend>() {
    engine::set(Box::new(EngineOf::<B>(PhantomData)));
    assert!(is_of::<B>(), "a module has one backend");
}

/// Whether the objects of this module are of this backend.
pub(crate) fn is_of<B: LuaBackend>() -> bool {
    engine::get().backend() == TypeId::of::<B>()
}

struct EngineOf<B>(PhantomData<fn() -> B>);

/// The runtime behind a state object.
///
/// `LuaRuntime` keeps what `create` of this very engine gave.
fn handle<'a, B: LuaBackend>(state: &'a Bound<'_, PyAny>) -> &'a Runtime<B> {
    let owner = RuntimeObject::of(Alive::of(state)).expect("the owner of a runtime");
    owner.content().runtime()
}

/// The exception for code that does not compile, from the message on top of the stack.
#[cold]
fn not_compiled<B: LuaBackend>(
    entry: &Entry<'_, B>,
    failure: Raised,
    origin: Origin,
    chunk: &Chunk<'_>,
    source: &GivenCode<'_, '_>,
) -> Error {
    let state = entry.state();
    let mut text = Vec::new();
    state.with_bytes(-1, |bytes| {
        let bytes = bytes.unwrap_or_default();
        // Without memory for it, the message is all there is.
        if text.try_reserve_exact(bytes.len()).is_ok() {
            text.extend_from_slice(bytes);
        }
    });
    let error = from_stack(entry, state, failure, origin);
    let encoding = &entry.options.source_encoding;
    match describe(entry.py, &error, &text, chunk, encoding, source.is_expression) {
        Ok(()) => error.into(),
        Err(failed) => failed.into(),
    }
}

/// Calls the function that has been loaded above `base`, and takes its results.
#[inline(always)]
fn run_loaded<'py, B: LuaBackend>(
    entry: &Entry<'py, B>,
    base: i32,
    args: &Bound<'py, PyTuple>,
) -> Result<Bound<'py, PyAny>> {
    let (runtime, stack) = (entry.runtime(), entry.state());
    let mut objects = vectors::with_room(args.len())?;
    objects.extend(args.iter());
    if call::push_quick(entry, stack, objects.iter().map(Alive::of)) {
        return call::end(entry, stack, base, objects.len());
    }
    stack.set_top(base + 2);
    let function = match entry.instance.take_ref(stack) {
        Ok(function) => function,
        Err(failure) => {
            let error = raised(entry, stack, failure);
            stack.set_top(base);
            return Err(error);
        }
    };
    stack.set_top(base);
    let result = Arguments::prepare(entry, &objects)
        .and_then(|arguments| call::call(entry, function, &arguments));
    runtime.drop_ref(function);
    result
}

/// An object that outlives the runtime's use.
fn keep<'py>(state: &Bound<'py, PyAny>, object: Bound<'_, PyAny>) -> Bound<'py, PyAny> {
    object.unbind().into_bound(state.py())
}

impl<B: LuaBackend> Engine for EngineOf<B> {
    fn create<'py>(
        &self,
        py: Python<'py>,
        options: Options,
        creation: Creation<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let instance = Instance::<B>::open::<StopHook>(creation.seed, creation.count_memory)
            .map_err(|error| failed(error.to_string()))?;
        let object =
            RuntimeObject::create(py, Box::new(Runtime::new(instance, options, array::hooks())))?;
        let runtime = handle::<B>(&object);
        runtime.register()?;
        let entry = runtime.enter(py)?;
        let (eval, builtins) = (creation.eval.as_ref(), creation.builtins.as_ref());
        let sandbox = creation.sandbox.as_deref();
        setup::fill(&entry, creation.libraries, sandbox, eval, builtins)?;
        functions::set_overflow_handler(&entry, creation.overflow_handler.as_ref())?;
        runtime.instance.note_frames(creation.traceback_frames);
        runtime.base_memory.set(runtime.instance.memory().used());
        {
            let mut limits = runtime.stops.limits.borrow_mut();
            limits.timeout = creation.timeout;
            limits.polls = !runtime.instance.watch().reaches_from_outside();
        }
        runtime.apply_limits(entry.state());
        drop(entry);
        Ok(object)
    }

    fn run<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        source: &GivenCode<'_, 'py>,
        args: &Bound<'py, PyTuple>,
        timeout: Option<Seconds>,
    ) -> Result<Bound<'py, PyAny>> {
        let (py, runtime) = (state.py(), handle::<B>(state));
        let mut entry = runtime.enter_for(py, timeout)?;
        if let Some(timeout) = timeout {
            entry.limit(timeout)?;
        }
        let stack = entry.state();
        let base = stack.top();
        stack.begin_load();
        if !runtime.chunks.push(stack, source) {
            stack.set_top(base);
            let options = &runtime.options;
            let chunk = source.chunk(&options.source_encoding, options.sandbox.is_some())?;
            stack.begin_load();
            let status = stack.load(&chunk.code, &chunk.name, chunk.mode.as_deref());
            if status != OK {
                let error = not_compiled(&entry, Raised(status), Origin::Load, &chunk, source);
                stack.set_top(base);
                return Err(error);
            }
            Chunks::learn(&entry, stack, source, &chunk);
            runtime.texts.note(source);
        }
        let before = runtime.texts.begin(source, runtime.vitals.lock.depth());
        let result = run_loaded(&entry, base, args);
        runtime.texts.end(before);
        result.map(|object| keep(state, object))
    }

    fn compile<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        source: &GivenCode<'_, 'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        let options = &runtime.options;
        let chunk = source.chunk(&options.source_encoding, options.sandbox.is_some())?;
        let stack = entry.state();
        let status = stack.load(&chunk.code, &chunk.name, chunk.mode.as_deref());
        if status != OK {
            return Err(not_compiled(&entry, Raised(status), Origin::Compile, &chunk, source));
        }
        runtime.texts.note(source);
        let function = from_lua(entry.runtime(), entry.py, stack, -1);
        stack.pop(1);
        function.map(|object| keep(state, object))
    }

    fn require<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        name: &Bound<'py, PyAny>,
    ) -> Result<Bound<'py, PyAny>> {
        let runtime = handle::<B>(state);
        let py = state.py();
        let entry = runtime.enter(py)?;
        let arguments = Arguments::prepare(&entry, std::slice::from_ref(name))?;
        let values = arguments.values();
        let defined = Cell::new(true);
        let result = call::run(&entry, |raising| {
            raising.push_globals();
            raising.get_field(-1, c"require");
            if raising.type_of(-1) == lua_api::value::NIL {
                defined.set(false);
                return 0;
            }
            let count = call::push_all(runtime, raising, values);
            call::detached_call(runtime, raising, count);
            raising.top() - 1
        })?;
        if defined.get() { Ok(keep(state, result)) } else { Err(failed("require is not defined")) }
    }

    fn globals<'py>(&self, state: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        let stack = entry.state();
        stack.push_globals();
        let table = from_lua(entry.runtime(), entry.py, stack, -1);
        stack.pop(1);
        table.map(|object| keep(state, object))
    }

    fn table_from<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        sources: &[Bound<'py, PyAny>],
        recursive: bool,
        unfolding: Option<&Unfolding<'py>>,
    ) -> Result<Bound<'py, PyAny>> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        let table = table_from::table_from(&entry, sources, recursive, unfolding)?;
        Ok(keep(state, table))
    }

    fn to_lua<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        object: &Bound<'py, PyAny>,
        unfolding: &Unfolding<'py>,
    ) -> Result<Bound<'py, PyAny>> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        table_from::to_lua(&entry, object, unfolding).map(|made| keep(state, made))
    }

    fn to_python<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        wishes: &Wishes<'py>,
    ) -> Result<Option<Bound<'py, PyAny>>> {
        let Some(wrapper) = Alive::of(value).wrapper::<B>() else { return Ok(None) };
        if !Alive::of(value).is_table() {
            return wishes.other(value.clone(), || Ok("value".to_owned())).map(Some);
        }
        let entry = wrapper.runtime().enter(value.py())?;
        let made = to_python::to_python(&entry, wrapper.reference(), wishes)?;
        Ok(Some(keep(value, made)))
    }

    fn raw<'py>(&self, object: &Bound<'py, PyAny>, raw: &Raw<'_, 'py>) -> Result<RawResult<'py>> {
        let Some(wrapper) = Alive::of(object).wrapper::<B>() else { return Ok(None) };
        let entry = wrapper.runtime().enter(object.py())?;
        let result = raw::run(&entry, wrapper.reference(), raw)?;
        Ok(Some(result.map(|result| keep(object, result))))
    }

    fn gc(&self, state: &Bound<'_, PyAny>, command: Gc) -> Result<()> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        let stack = entry.state();
        // Finalizers may raise, may call Python, and may take their time.
        entry.detach();
        let collected = stack.protect(|raising| raising.gc(command));
        entry.attach();
        match collected {
            // An error in a finalizer is none of the collector's (5.4 and later).
            Ok(_) => entry.check_stop(),
            Err(failure) => Err(raised(&entry, stack, failure)),
        }
    }

    fn stop_gc(&self, state: &Bound<'_, PyAny>) -> Result<()> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        self.gc(state, Gc::Stop)?;
        runtime.without_gc.set(runtime.without_gc.get().saturating_add(1));
        drop(entry);
        Ok(())
    }

    fn restart_gc(&self, state: &Bound<'_, PyAny>, begun: bool) -> Result<()> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        let blocks = runtime.without_gc.get().saturating_sub(u32::from(begun));
        runtime.without_gc.set(blocks);
        let result = if blocks == 0 { self.gc(state, Gc::Restart) } else { Ok(()) };
        drop(entry);
        result
    }

    fn set_overflow_handler(
        &self,
        state: &Bound<'_, PyAny>,
        handler: Option<&Bound<'_, PyAny>>,
    ) -> Result<()> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        functions::set_overflow_handler(&entry, handler)
    }

    fn close(&self, state: &Bound<'_, PyAny>) -> Result<()> {
        handle::<B>(state).close_on_request(state.py())
    }

    fn begin_limits(&self, state: &Bound<'_, PyAny>, wanted: Requested) -> Result<Arc<Scope>> {
        self.check_open(state)?;
        let runtime = handle::<B>(state);
        let mut used = 0;
        // For the others, nobody has to wait for who is inside.
        if wanted.memory.is_some() {
            let entry = runtime.enter(state.py())?;
            runtime.instance.count_memory();
            used = runtime.instance.memory().used();
            drop(entry);
        }
        let scope = Arc::new(Scope::new(wanted, used, runtime.id));
        runtime.stops.scopes.fetch_add(1, Ordering::Relaxed);
        runtime.pending.set(pending::LIMITS);
        Ok(scope)
    }

    fn end_limits(&self, state: &Bound<'_, PyAny>) -> Result<()> {
        let runtime = handle::<B>(state);
        runtime.stops.scopes.fetch_sub(1, Ordering::Relaxed);
        if runtime.is_in_use_elsewhere() {
            // The thread that is inside notices that the block has ended.
            return Ok(());
        }
        let entry = match runtime.enter(state.py()) {
            Err(Error::Closed | Error::Switched) => return Ok(()),
            entry => entry?,
        };
        runtime.apply_limits(entry.state());
        drop(entry);
        Ok(())
    }

    fn interrupt(&self, state: &Bound<'_, PyAny>) -> Result<bool> {
        let runtime = handle::<B>(state);
        if !runtime.instance.watch().reaches_from_outside() && !runtime.pending.has(pending::LIMITS)
        {
            let message =
                "with a Lua of the system, only code that has a time limit can be stopped";
            return Err(fallible::error::<PyRuntimeError>(message).into());
        }
        Ok(runtime.interrupt())
    }

    fn restore_exit(&self, state: &Bound<'_, PyAny>) -> Result<()> {
        let entry = handle::<B>(state).enter(state.py())?;
        os_exit::restore(&entry)
    }

    fn run_main<'py>(
        &self,
        state: &Bound<'py, PyAny>,
        functions: [&Bound<'py, PyAny>; 3],
        args: &Bound<'py, PyTuple>,
    ) -> Result<bool> {
        let runtime = handle::<B>(state);
        let entry = runtime.enter(state.py())?;
        main_chunk::run(&entry, functions, args)
    }

    fn check_open(&self, state: &Bound<'_, PyAny>) -> Result<()> {
        if handle::<B>(state).instance.is_open() { Ok(()) } else { Err(Error::Closed) }
    }

    fn memory(&self, state: &Bound<'_, PyAny>) -> Result<Option<MemoryUse>> {
        self.check_open(state)?;
        let runtime = handle::<B>(state);
        let memory = runtime.instance.memory();
        Ok(memory.is_counted().then(|| MemoryUse {
            used: memory.used(),
            limit: memory.limit(),
            base: runtime.base_memory.get(),
        }))
    }

    fn set_memory_limit(&self, state: &Bound<'_, PyAny>, limit: usize) -> Result<()> {
        self.check_open(state)?;
        let runtime = handle::<B>(state);
        let memory = runtime.instance.memory();
        if !memory.is_counted() {
            let message = "max_memory must be set on LuaRuntime creation";
            return Err(fallible::error::<PyRuntimeError>(message).into());
        }
        memory.set_limit(limit);
        Ok(())
    }

    fn fail_allocations(&self, state: &Bound<'_, PyAny>, after: Option<u64>) -> Result<()> {
        let runtime = handle::<B>(state);
        let memory = runtime.instance.memory();
        if !memory.is_counted() {
            let message = "max_memory must be set on LuaRuntime creation";
            return Err(fallible::error::<PyRuntimeError>(message).into());
        }
        memory.fail_after(after);
        Ok(())
    }

    fn source_encoding<'a>(
        &self,
        state: &'a Bound<'_, PyAny>,
    ) -> &'a crate::runtime::encoding::Encoding {
        &handle::<B>(state).options.source_encoding
    }

    fn sandbox<'a>(&self, state: &'a Bound<'_, PyAny>) -> Option<&'a Sandbox> {
        handle::<B>(state).options.sandbox.as_ref()
    }

    fn type_name(&self, wrapper: &Bound<'_, PyAny>) -> PyResult<Option<&'static str>> {
        let Some(object) = WRAPPERS.find::<LuaObject<B>>(Alive::of(wrapper)) else {
            return Ok(None);
        };
        let object = object.content();
        let entry = object.runtime().enter(wrapper.py())?;
        let stack = entry.state();
        stack.push_ref(object.reference());
        let name = match stack.type_of(-1) {
            lua_api::value::LIGHTUSERDATA => "userdata",
            _ => stack.type_name(-1),
        };
        stack.pop(1);
        Ok(Some(name))
    }

    fn backend(&self) -> TypeId {
        TypeId::of::<B>()
    }

    fn version(&self) -> (u8, u8) {
        B::VERSION
    }

    fn implementation<'py>(&self, state: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>> {
        self.check_open(state)?;
        let runtime = handle::<B>(state);
        let name = runtime.implementation.get().map_or(B::NAME, String::as_str);
        Ok(runtime.options.encoding.decode(state.py(), name.as_bytes())?)
    }

    fn select_libraries(&self, names: &[String]) -> std::result::Result<Selection, String> {
        Selection::named::<B>(names.iter().map(String::as_str))
    }

    fn select_safe_libraries(
        &self,
        names: Option<&[String]>,
    ) -> std::result::Result<(Vec<&'static str>, Selection), String> {
        sandbox::selection::<B>(names)
    }
}

fn failed(message: impl Into<Cow<'static, str>>) -> Error {
    fallible::error::<LuaError>(message).into()
}
