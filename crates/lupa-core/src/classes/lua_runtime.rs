//! `LuaRuntime`: the class that users create.
#![forbid(unsafe_code)]

use lua_api::Gc;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::base::attribute::Attributes as _;
use crate::base::fallible;
use crate::base::vectors;
use crate::classes::creation::{Parameters, limit_memory};
use crate::classes::engine::{self};
use crate::classes::lua_limits::LuaLimits;
use crate::classes::nogc::LuaNoGc;
use crate::classes::parameters::{Bytes, Flag, Limit, Omittable, Truth, callable};
use crate::objects::unfold::Unfolding;
use crate::rights::allowed::Rights;
use crate::runtime::chunks::GivenCode;
use crate::runtime::stop::deadline::Seconds;

#[doc = include_str!("lua_runtime.txt")]
#[expect(clippy::doc_lazy_continuation, reason = "the examples are Python's")]
#[pyclass(name = "LuaRuntime", module = "lupa", subclass, frozen, weakref)]
pub(crate) struct LuaRuntime {
    state: Py<PyAny>,
}

#[pymethods]
impl LuaRuntime {
    #[new]
    #[pyo3(signature = (
        encoding=Omittable(()), source_encoding=None, attribute_filter=None, attribute_handlers=None,
        register_eval=Flag::Unset, unpack_returned_tuples=Truth(false), register_builtins=Flag::Unset,
        overflow_handler=None, max_memory=None, string_hash_seed=None,
        *, convert_arrays=Truth(false), array_base=1, libs=None, timeout=None, sandbox=Truth(false),
        colon_calls="lua", traceback_frames=Truth(true), stdout=None,
    ), text_signature = "(encoding='UTF-8', source_encoding=None, attribute_filter=None, \
        attribute_handlers=None, register_eval=True, unpack_returned_tuples=False, \
        register_builtins=True, overflow_handler=None, max_memory=None, string_hash_seed=None, \
        *, convert_arrays=False, array_base=1, libs=None, timeout=None, sandbox=False, \
        colon_calls='lua', traceback_frames=True, stdout=None)")]
    #[allow(clippy::too_many_arguments)]
    fn new<'py>(
        py: Python<'py>,
        encoding: Omittable<'py>,
        source_encoding: Option<Bound<'py, PyAny>>,
        attribute_filter: Option<Bound<'py, PyAny>>,
        attribute_handlers: Option<Bound<'py, PyAny>>,
        register_eval: Flag,
        unpack_returned_tuples: Truth,
        register_builtins: Flag,
        overflow_handler: Option<Bound<'py, PyAny>>,
        max_memory: Option<Bytes>,
        string_hash_seed: Option<u32>,
        convert_arrays: Truth,
        array_base: i64,
        libs: Option<Bound<'py, PyAny>>,
        timeout: Option<Seconds>,
        sandbox: Truth,
        colon_calls: &'py str,
        traceback_frames: Truth,
        stdout: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let parameters = Parameters {
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
        };
        Ok(LuaRuntime { state: parameters.create(py)?.unbind() })
    }

    /// Evaluate a Lua expression; further arguments are its ``...``.
    ///
    /// ``name`` is what error messages call the code. ``mode`` is 't' to allow source code only,
    /// 'b' for bytecode only; by default both. ``timeout`` is the time in seconds that the code may run;
    /// by default that of the runtime.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> lua.eval('... * 2', 21)
    /// 42
    /// >>> lua.eval('1, "two", nil')
    /// (1, 'two', None)
    #[pyo3(signature = (lua_code, *args, name=None, mode=None, timeout=None))]
    fn eval<'py>(
        &self,
        lua_code: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        name: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
        timeout: Option<Seconds>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = GivenCode { code: lua_code, is_expression: true, name, mode };
        Ok(engine::get().run(self.state.bind(lua_code.py()), &source, args, timeout)?)
    }

    /// Run Lua code; further arguments are its ``...``. Gives what the code returns.
    ///
    /// ``name``, ``mode`` and ``timeout`` are as for ``eval()``.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> lua.execute('x = ...; return x + 1', 1)
    /// 2
    /// >>> lua.globals().x
    /// 1
    #[pyo3(signature = (lua_code, *args, name=None, mode=None, timeout=None))]
    fn execute<'py>(
        &self,
        lua_code: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        name: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
        timeout: Option<Seconds>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = GivenCode { code: lua_code, is_expression: false, name, mode };
        Ok(engine::get().run(self.state.bind(lua_code.py()), &source, args, timeout)?)
    }

    /// Compile Lua code to a function without running it.
    ///
    /// ``name`` and ``mode`` are as for ``eval()``.
    ///
    /// >>> double = LuaRuntime().compile('return 2 * ...')
    /// >>> double(21)
    /// 42
    #[pyo3(signature = (lua_code, name=None, mode=None))]
    fn compile<'py>(
        &self,
        lua_code: &Bound<'py, PyAny>,
        name: Option<&Bound<'py, PyAny>>,
        mode: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = GivenCode { code: lua_code, is_expression: false, name, mode };
        Ok(engine::get().compile(self.state.bind(lua_code.py()), &source)?)
    }

    /// Load a Lua module, as Lua's ``require`` does.
    ///
    /// >>> LuaRuntime().require('string').upper('lua')
    /// 'LUA'
    #[pyo3(signature = (modulename))]
    fn require<'py>(&self, modulename: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let state = self.state.bind(modulename.py());
        if let Ok(name) = modulename.cast::<PyString>() {
            // Also where strings are bytes: a module's name is text.
            let encoding = engine::get().source_encoding(state);
            let name = encoding.encode(name)?;
            return Ok(engine::get().require(state, name.as_any())?);
        }
        if !modulename.is_instance_of::<PyBytes>() {
            return Err(fallible::error::<PyTypeError>("modulename must be a string"));
        }
        Ok(engine::get().require(state, modulename)?)
    }

    /// The table of Lua's globals.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> lua.globals().answer = 42
    /// >>> lua.eval('answer')
    /// 42
    fn globals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(engine::get().globals(self.state.bind(py))?)
    }

    /// A new table with the arguments as its sequence and the keyword arguments as its fields.
    ///
    /// >>> table = LuaRuntime().table(10, 20, x=30)
    /// >>> table[1], table[2], table.x
    /// (10, 20, 30)
    #[pyo3(signature = (*items, **kwargs))]
    fn table<'py>(
        &self,
        py: Python<'py>,
        items: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let state = self.state.bind(py);
        let fields = match kwargs {
            None => fallible::dict(py)?,
            Some(kwargs) => {
                // Names are text whatever the encoding of strings.
                let encoding = engine::get().source_encoding(state);
                let fields = fallible::dict(py)?;
                for (name, value) in kwargs.iter() {
                    fields.set_item(encoding.encode(name.cast::<PyString>()?)?, value)?;
                }
                fields
            }
        };
        let sources = [items.as_any().clone(), fields.into_any()];
        Ok(engine::get().table_from(state, &sources, false, None)?)
    }

    /// A new table from mappings and iterables, or copies of Lua tables.
    ///
    /// Mappings and Lua tables give fields, of which later ones win; other iterables give items of
    /// the sequence. With ``recursive=True``, lists, mappings and the like inside become tables
    /// too: one table for one object, so that shared and cyclic data keep their shape. With ``convert=True``, more objects
    /// become tables: see ``to_lua()``.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> table = lua.table_from([1, 2], {'x': 3}, (4,))
    /// >>> list(table.values())
    /// [1, 2, 4, 3]
    /// >>> lua.table_from({'a': [1, {'b': 2}]}, recursive=True).a[2].b
    /// 2
    #[pyo3(signature = (*args, recursive=Truth(false), convert=Truth(false)),
        text_signature = "($self, /, *args, recursive=False, convert=False)")]
    fn table_from<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        recursive: Truth,
        convert: Truth,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut sources = vectors::with_room(args.len())?;
        sources.extend(args.iter());
        let unfolding = convert.0.then(Unfolding::default);
        let (state, recursive) = (self.state.bind(py), recursive.0 || convert.0);
        Ok(engine::get().table_from(state, &sources, recursive, unfolding.as_ref())?)
    }

    /// A Python object as Lua data: containers, and what is in them, become tables.
    ///
    /// Taken are mappings, sequences, dataclasses, named tuples (as their fields), attrs and pydantic models, enums (as their
    /// values), NumPy's numbers and arrays (as arrays with ``convert_arrays``, else as tables), and tables of other runtimes.
    /// One object becomes one table, also where it contains itself. An empty sequence is marked as one, with
    /// ``python.array_mt``. What becomes no table is given back as it is.
    ///
    /// * ``none``: what None inside becomes: ``'nil'``, so that it is not in the table; or ``'none'`` for ``python.none``.
    /// * ``default``: called with every other object, such as a set; gives what to convert in its place.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> config = lua.to_lua({'name': 'wolf', 'sizes': [1, 2], 'tags': {'grey'}}, default=sorted)
    /// >>> lua.eval('function(c) return c.name, #c.sizes, c.tags[1] end')(config)
    /// ('wolf', 2, 'grey')
    #[pyo3(signature = (obj, *, none="nil", default=None))]
    fn to_lua<'py>(
        &self,
        obj: &Bound<'py, PyAny>,
        none: &str,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let unfolding = Unfolding {
            none: match none {
                "nil" => false,
                "none" => true,
                _ => {
                    let text = format!("none must be 'nil' or 'none', not '{none}'");
                    return Err(fallible::error::<PyValueError>(text));
                }
            },
            default: callable(default, "default must be callable")?,
        };
        Ok(engine::get().to_lua(self.state.bind(obj.py()), obj, &unfolding)?)
    }

    /// A context manager that stops Lua's garbage collector.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> with lua.nogc():
    /// ...     lua.execute('local t = {} for i = 1, 100 do t[i] = {} end return #t')
    /// 100
    fn nogc(&self, py: Python<'_>) -> LuaNoGc {
        LuaNoGc::new(self.state.clone_ref(py))
    }

    /// Run a full cycle of Lua's garbage collector.
    fn gccollect(&self, py: Python<'_>) -> PyResult<()> {
        Ok(engine::get().gc(self.state.bind(py), Gc::Collect)?)
    }

    /// Set, or with None remove, the handler for integers that Lua has no room for.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> lua.set_overflow_handler(float)
    /// >>> lua.eval('...', 2 ** 70)
    /// 1.1805916207174113e+21
    #[pyo3(signature = (overflow_handler))]
    fn set_overflow_handler(
        &self,
        py: Python<'_>,
        overflow_handler: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let handler = callable(overflow_handler, "overflow_handler must be callable")?;
        Ok(engine::get().set_overflow_handler(self.state.bind(py), handler.as_ref())?)
    }

    #[doc = include_str!("lua_runtime_expose.txt")]
    #[expect(clippy::doc_lazy_continuation, reason = "the examples are Python's")]
    #[pyo3(signature = (obj=None, /, **rights))]
    fn expose<'py>(
        this: &Bound<'py, Self>,
        obj: Option<Bound<'py, PyAny>>,
        rights: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(obj) = obj else {
            return crate::rights::allowed::partial(&this.attribute(c"expose")?, rights);
        };
        let rights = Rights::parse(&obj, rights)?;
        let state = this.get().state.bind(this.py());
        engine::get().check_open(state)?;
        if let Some(sandbox) = engine::get().sandbox(state) {
            sandbox.expose(&obj, rights)?;
        }
        Ok(obj)
    }

    /// The limit of Lua's memory in bytes; 0 is no limit, None that memory is not counted.
    ///
    /// With ``total``, the memory that the runtime started with is part of it.
    #[pyo3(signature = (total=Truth(false)), text_signature = "($self, /, total=False)")]
    fn get_max_memory(&self, py: Python<'_>, total: Truth) -> PyResult<Option<usize>> {
        let memory = engine::get().memory(self.state.bind(py))?;
        Ok(memory.map(|memory| memory.limit(total.0)))
    }

    /// The memory that Lua uses, in bytes; None when it is not counted.
    ///
    /// With ``total``, the memory that the runtime started with is part of it.
    ///
    /// >>> lua = LuaRuntime(max_memory=0)
    /// >>> lua.globals().text = 'x' * 1_000_000
    /// >>> lua.get_memory_used() > 900_000
    /// True
    #[pyo3(signature = (total=Truth(false)), text_signature = "($self, /, total=False)")]
    fn get_memory_used(&self, py: Python<'_>, total: Truth) -> PyResult<Option<i64>> {
        let memory = engine::get().memory(self.state.bind(py))?;
        Ok(memory.map(|memory| memory.used(total.0)))
    }

    /// Set the limit of Lua's memory in bytes; 0 is no limit.
    ///
    /// With ``total``, the memory that the runtime started with is part of it. A runtime that was
    /// created without ``max_memory`` raises RuntimeError.
    ///
    /// >>> lua = LuaRuntime(max_memory=100_000)
    /// >>> lua.set_max_memory(0)
    /// >>> len(lua.eval('string.rep("x", 200000)'))
    /// 200000
    #[pyo3(signature = (max_memory, total=Truth(false)), text_signature = "($self, /, max_memory, total=False)")]
    fn set_max_memory(&self, py: Python<'_>, max_memory: Limit, total: Truth) -> PyResult<()> {
        limit_memory(self.state.bind(py), max_memory.0, total.0)
    }

    /// Limits for what Lua does inside of a ``with`` block.
    ///
    /// * ``seconds``: the time from the beginning of the block. Then ``LuaTimeoutError`` is raised.
    /// * ``instructions``: what Lua may run, in instructions of its virtual machine, so the same each time.
    ///   Then ``LuaInstructionLimitError`` is raised. LuaJIT does not compile meanwhile.
    /// * ``memory``: the bytes that Lua may use beyond what it uses when the block begins. Then
    ///   ``LuaMemoryError`` is raised.
    ///
    /// Lua code cannot catch the first two and go on. Time that Python functions take, which Lua calls,
    /// counts, but they are not stopped. Blocks can be nested, and then all their limits hold.
    ///
    /// They hold for the thread, task or greenlet that is in the block, and for tasks that were started inside, which
    /// share them; for a new thread only if it runs in a copy of the context (``contextvars.copy_context``).
    ///
    /// >>> lua = LuaRuntime()
    /// >>> try:
    /// ...     with lua.limits(seconds=0.05):
    /// ...         lua.execute('while true do end')
    /// ... except LuaTimeoutError as error:
    /// ...     print(error)
    /// [string "<python>"]:1: time limit of 0.05 s is over
    /// >>> lua.eval('1 + 1')
    /// 2
    #[pyo3(signature = (*, seconds=None, instructions=None, memory=None))]
    fn limits(
        &self,
        py: Python<'_>,
        seconds: Option<Seconds>,
        instructions: Option<&Bound<'_, PyAny>>,
        memory: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<LuaLimits> {
        LuaLimits::new(self.state.clone_ref(py), seconds, instructions, memory)
    }

    /// Stop what this runtime runs; to be called in another thread, or by a Python function that Lua has
    /// called.
    ///
    /// What has been called from Python raises ``LuaInterruptedError`` there; Lua code cannot catch it and go
    /// on. Gives False, and does nothing, when nothing runs. Returns at once.
    ///
    /// >>> lua = LuaRuntime()
    /// >>> lua.interrupt()
    /// False
    /// >>> lua.globals().cancel = lua.interrupt
    /// >>> try:
    /// ...     lua.execute('cancel() while true do end')
    /// ... except LuaInterruptedError as error:
    /// ...     print(error)
    /// [string "<python>"]:1: interrupted
    fn interrupt(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(engine::get().interrupt(self.state.bind(py))?)
    }

    /// Free everything of this runtime at once; what there is of it raises ``LuaError`` from then on.
    ///
    /// Lua's finalizers run. Waits for other threads that use the runtime. Called from Python code
    /// that Lua has called, or while NumPy or others use memory of Lua (arrays of the ffi), it raises
    /// ``LuaError``, and nothing is closed. To close twice is no error. A runtime is a context manager
    /// that is closed at the end:
    ///
    /// >>> with LuaRuntime() as lua:
    /// ...     lua.eval('6 * 7')
    /// 42
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        Ok(engine::get().close(self.state.bind(py))?)
    }

    fn __enter__(this: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        engine::get().check_open(this.get().state.bind(this.py()))?;
        Ok(this)
    }

    #[pyo3(signature = (*_exc))]
    fn __exit__(&self, py: Python<'_>, _exc: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.close(py)
    }

    /// For ``python -m lupa``: let ``os.exit`` end the process, as in Lua itself.
    fn _restore_exit(&self, py: Python<'_>) -> PyResult<()> {
        Ok(engine::get().restore_exit(self.state.bind(py))?)
    }

    /// For ``python -m lupa``: call ``function`` as the main chunk of a program, and then ``done(works, ...)`` with its
    /// results or what ``handler`` has made of its error. Gives whether it worked.
    #[pyo3(signature = (handler, function, done, *args))]
    fn _run_main<'py>(
        &self,
        handler: &Bound<'py, PyAny>,
        function: &Bound<'py, PyAny>,
        done: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
    ) -> PyResult<bool> {
        let state = self.state.bind(handler.py());
        Ok(engine::get().run_main(state, [handler, function, done], args)?)
    }

    /// For tests: let ``count`` more allocations succeed and then fail all, until called with None.
    #[pyo3(signature = (count))]
    fn _fail_allocations_after(&self, py: Python<'_>, count: Option<u64>) -> PyResult<()> {
        Ok(engine::get().fail_allocations(self.state.bind(py), count)?)
    }

    /// The version of the Lua language, such as (5, 4).
    #[getter]
    fn lua_version(&self) -> (u8, u8) {
        engine::get().version()
    }

    /// The name of the Lua implementation, such as "Lua 5.4" or "LuaJIT 2.1.1".
    #[getter]
    fn lua_implementation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(engine::get().implementation(self.state.bind(py))?)
    }

    /// For annotations: ``LuaRuntime[bytes]`` has strings that are ``bytes``.
    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = cls.py();
        let types = fallible::import(py, c"types")?;
        types.attribute(c"GenericAlias")?.call1((cls, item))
    }

    fn __traverse__(&self, visit: pyo3::PyVisit) -> std::result::Result<(), pyo3::PyTraverseError> {
        visit.call(&self.state)
    }
}
