"""Code that tries to break the runtime: whatever it does ends in a Python exception.  Each runs in a process of its own."""

import pytest

pytestmark = pytest.mark.beyond

# What a snippet uses: it swallows every exception that is allowed, and checks that the runtime works on.
PRELUDE = """
import copy, pickle, sys, threading

class Thing:
    x = 1
    def method(self, *args): return args

def attempt(*functions, check=True, allowed=(lupa.LuaError, TypeError, ValueError, AttributeError, KeyError, IndexError,
                                  MemoryError, RecursionError, OverflowError, ReferenceError, StopIteration)):
    outcomes = []
    for function in functions:
        try:
            outcomes.append(function())
        except allowed as error:
            outcomes.append(error)
    assert not check or lua.eval("1 + 1") == 2
    return outcomes

def fails(function, kind=lupa.LuaError):
    (outcome,) = attempt(function)
    assert isinstance(outcome, kind), outcome
    return outcome
"""


@pytest.fixture
def hostile(isolated):
    """Run a snippet with the prelude."""

    def run(code: str) -> str:
        import textwrap

        return isolated(PRELUDE + textwrap.dedent(code))

    return run


@pytest.mark.parametrize("body", ["error('E', 0)", "error({})", "error()", "error(python.none)", "coroutine.yield(1)"])
def test_metamethods_that_raise_or_yield(hostile, body):
    hostile(f"""
        t = lua.execute('''
            local function bad() {body} end
            return setmetatable({{1}}, {{__index = bad, __newindex = bad, __len = bad, __tostring = bad, __call = bad,
                __eq = bad, __lt = bad, __le = bad, __concat = bad, __unm = bad, __pairs = bad, __close = bad,
                __name = bad, __mode = bad}})
        ''')
        attempt(lambda: t.x, lambda: t["x"], lambda: t[5], lambda: t[None], lambda: hasattr(t, "x"))
        attempt(lambda: setattr(t, "x", 1), lambda: t.__setitem__("x", 1), lambda: t.__setitem__(Thing(), 1))
        attempt(lambda: delattr(t, "x"), lambda: t.__delitem__("x"), lambda: len(t), lambda: str(t), lambda: repr(t))
        attempt(lambda: t(), lambda: t(1, 2), lambda: list(t), lambda: list(t.items()), lambda: t == t)
        attempt(lambda: lua.table_from(t), lambda: lua.table_from([t], recursive=True), lambda: lua.eval("...", t))
        attempt(lambda: lua.globals().print.x, lambda: bool(t), lambda: 5 in t, lambda: lupa.lua_type(t))
        attempt(lambda: lupa.unpacks_lua_table(lambda *a, **k: 1)(t), lambda: dict(t))
        attempt(lambda: lua.eval("function(f, t) return f(python.args(t)) end")(lambda *a, **k: 1, t))
        fails(lambda: t.x)
        fails(lambda: setattr(t, "x", 1))
    """)


def test_target_tables_with_metatables(hostile):
    """The global table and the tables of the libraries have metamethods that raise."""
    hostile("""
        lua.execute('''
            local function bad() error("E", 0) end
            setmetatable(_G, {__index = bad, __newindex = bad})
            setmetatable(package.loaded, {__index = bad, __newindex = bad})
        ''')
        attempt(lambda: lua.globals().x, lambda: lua.eval("x"), lambda: lua.execute("x = 1"),
                lambda: lua.require("nothing"), lambda: lua.lua_implementation, lambda: lua.table(1))
        fails(lambda: lua.globals().x)
        assert lua.table_from([1, [2]], recursive=True)[2][1] == 2
    """)


@pytest.mark.parametrize(
    "code",
    [
        "debug = nil",
        "debug.traceback = nil",
        "debug.traceback = 5",
        "debug.traceback = error",
        "debug.traceback = function() error({}) end",
        "debug.traceback = coroutine.yield",
        "debug = setmetatable({}, {__index = error})",
        "package = nil; require = nil",
        "local g = _G; for k in pairs(g) do g[k] = nil end",
        "python = nil",
        "package.loaded = nil",
        "string = nil; getmetatable('').__index = nil",
        "tostring = error; type = error; error = nil; pcall = nil; select = nil",
        "coroutine = nil",
        "jit = {version = error}",
        "_VERSION = {}",
    ],
)
def test_libraries_replaced(hostile, code):
    hostile(f"""
        function = lua.eval("function(x) local y = nil; return y.z end")
        lua.execute({code!r})
        fails(lambda: function())
        attempt(lambda: lua.eval("error('x')"), lambda: lua.eval("x x"), lambda: lua.require("string"))
        attempt(lambda: lua.lua_implementation, lambda: lua.lua_version, lambda: repr(lua.table()), lambda: lua.globals())
        attempt(lambda: next(lua.eval("function() local y = nil; return y.z end").coroutine()))
        attempt(lambda: lua.eval("function(o) return o.y end")(Thing()))
        assert list(lua.table(1, 2).items()) == [(1, 1), (2, 2)]
    """)


def test_nan_and_nil_keys(hostile):
    hostile("""
        nan = float("nan")
        t = lua.table(1)
        assert t[nan] is None
        fails(lambda: t.__setitem__(nan, 1))
        attempt(lambda: t.__delitem__(nan))
        fails(lambda: lua.table_from({nan: 1}))
        fails(lambda: lua.table_from({"a": {nan: 1}}, recursive=True))
        fails(lambda: lua.table_from([[1], {nan: 1}], recursive=True))
        t[None] = 1
        del t[None]
        assert lua.table_from({None: {None: 1}}, recursive=True)[None][None] == 1
        lua.set_overflow_handler(lambda x: None)
        attempt(lambda: lua.table_from({2**70: 1}), lambda: t.__setitem__(2**70, 1), lambda: t[2**70],
                lambda: t.__delitem__(2**70))
        lua.set_overflow_handler(lambda x: nan)
        fails(lambda: lua.table_from({2**70: 1}))
        fails(lambda: t.__setitem__(2**70, 1))
        assert list(t.items()) == [(1, 1)]
    """)


def test_a_key_that_vanished_during_iteration(hostile):
    hostile("""
        for method in ("keys", "values", "items"):
            t = lua.table_from({f"k{i}": i for i in range(200)})
            it = getattr(t, method)()
            next(it)
            for key in list(t):
                del t[key]
            lua.execute("for i = 1, 1000 do local t = {i} end")
            for _ in range(3):
                lua.gccollect()
            for i in range(500):
                t[f"new{i}"] = i
            attempt(lambda: list(it), lambda: next(it))
            del it
    """)


def test_a_table_that_grows_during_iteration(hostile):
    hostile("""
        t = lua.table_from({f"k{i}": i for i in range(10)})
        def grow():
            for n, key in enumerate(t):
                t[f"{key}-{n}"] = n
                if n > 5000:
                    break
        attempt(grow)
        it = iter(lua.table(1, 2, 3))
        attempt(lambda: [lua.gccollect() for _ in it])
    """)


def test_wrappers_made_by_hand(hostile):
    hostile("""
        samples = [lua.table(1), lua.eval("print"), lua.eval("io.stdout"), lua.eval("function() end").coroutine(),
                   lua.eval("coroutine.create(function() end)"), iter(lua.table(1)), lua.nogc(), lupa.as_attrgetter(1),
                   lua.eval("python.args{1}")]
        def try_everything(thing, other):
            attempt(
                lambda: repr(thing), lambda: str(thing), lambda: thing.x, lambda: thing[1], lambda: thing(1),
                lambda: thing.__setitem__(1, 2), lambda: setattr(thing, "x", 1), lambda: delattr(thing, "x"),
                lambda: len(thing), lambda: bool(thing), lambda: list(thing), lambda: thing.items(), lambda: hash(thing),
                lambda: thing == other, lambda: next(thing), lambda: thing.send(None), lambda: thing.coroutine(1),
                lambda: lupa.lua_type(thing), lambda: lua.eval("...", thing), lambda: lua.table(thing),
                lambda: lua.table_from(thing), lambda: lupa.unpacks_lua_table(print)(thing), lambda: thing.__enter__(),
                lambda: thing.__exit__(None, None, None), lambda: dir(thing), lambda: thing.__reduce_ex__(4),
                lambda: lupa.as_attrgetter(thing), lambda: thing.__init__(), lambda: thing.__init__(1, 2),
                lambda: thing.__del__(), lambda: thing.__sizeof__(), lambda: setattr(thing, "__class__", Thing),
                allowed=(Exception,),
            )
        for sample in samples:
            cls = type(sample)
            made = attempt(
                lambda: cls(), lambda: cls(1), lambda: cls(sample), lambda: cls(lua), lambda: cls(sample, 1),
                lambda: cls.__new__(cls), lambda: object.__new__(cls), lambda: copy.copy(sample),
                lambda: copy.deepcopy(sample), lambda: pickle.loads(pickle.dumps(sample)),
                lambda: type("Sub", (cls,), {})(), lambda: type("Sub", (cls,), {}).__new__(cls),
                lambda: cls.__base__.__new__(cls.__base__), lambda: type(samples[0]).__base__.__new__(cls),
                allowed=(Exception,),
            )
            for thing in made:
                if not isinstance(thing, Exception):
                    try_everything(thing, sample)
            try_everything(sample, samples[0])
    """)


def test_methods_with_another_self(hostile):
    """Unbound methods are called on objects of the wrong class."""
    hostile("""
        samples = [lua.table(1), lua.eval("print"), lua.eval("io.stdout"), lua.eval("function() end").coroutine(),
                   iter(lua.table(1)), lua.nogc(), lupa.as_attrgetter(1), lua, lupa.FastRLock(), 5, None, "x"]
        for sample in samples[:-3]:
            for name in dir(type(sample)):
                method = getattr(type(sample), name)
                if name in ("__class__", "__subclasshook__", "__init_subclass__", "__new__") or not callable(method):
                    continue
                for other in samples:
                    if type(other) is not type(sample):
                        for arguments in ((), (1,), ("x", 2)):
                            attempt(lambda: method(other, *arguments), allowed=(Exception,))
    """)


def test_the_constructor_called_again(hostile):
    hostile("""
        t = lua.table(1, 2)
        attempt(lambda: lua.__init__(), lambda: lua.__init__(encoding=None), lambda: lua.__init__(1, 2, 3))
        attempt(lambda: lupa.LuaRuntime.__new__(lupa.LuaRuntime).eval("1"), lambda: object.__new__(lupa.LuaRuntime))
        assert list(t.values()) == [1, 2]
        assert lua.eval("'x'") == "x"
        class Sub(lupa.LuaRuntime):
            def __init__(self): pass
        assert Sub().eval("1") == 1
        class Late(lupa.LuaRuntime):
            def __new__(cls):
                made = super().__new__(cls)
                made.eval("1")
                return made
        assert Late().eval("2") == 2
    """)


def test_objects_of_another_runtime(hostile):
    hostile("""
        other = lupa.LuaRuntime()
        for make in ("{1}", "print", "io.stdout", "coroutine.create(function() end)", "coroutine.running() or {}"):
            foreign = other.eval("(" + make + ")")
            t = lua.table(1)
            attempt(
                lambda: lua.eval("...", foreign), lambda: t.__setitem__(foreign, 1), lambda: t.__setitem__(1, foreign),
                lambda: t[foreign], lambda: t.__delitem__(foreign), lambda: lua.table(foreign), lambda: t == foreign,
                lambda: lua.table_from(foreign), lambda: lua.table_from([foreign], recursive=True),
                lambda: lua.eval("function(f) return f() end")(lambda: foreign),
                lambda: lua.set_overflow_handler(foreign), lambda: lua.eval("...", 2**70),
                lambda: lua.eval("function(o) return o.x end")({"x": foreign}),
                lambda: lua.eval("function(o) for x in python.iter(o) do end end")([foreign]),
                lambda: lua.eval("...", lupa.as_attrgetter(foreign)),
                lambda: lupa.LuaRuntime(overflow_handler=foreign),
            )
            foreign_coroutine = other.eval("function(...) coroutine.yield(...) end").coroutine(t)
            attempt(lambda: next(foreign_coroutine), lambda: foreign_coroutine.send(t))
    """)


def test_an_exception_of_another_runtime_as_error_value(hostile):
    """A LuaError holds a Lua value of the runtime that it came from."""
    hostile("""
        other = lupa.LuaRuntime()
        def foreign():
            other.execute("error({code = 1})")
        error = fails(lambda: lua.eval("function(f) f() end")(foreign))
        assert error.value.code == 1
        ok, value = lua.eval("function(f) return pcall(f) end")(foreign)
        assert isinstance(value, lupa.LuaError)
    """)


def test_metatable_of_our_userdata(hostile):
    hostile("""
        lua.globals().o = Thing()
        lua.globals().d = {}
        attempt(lambda: lua.execute("debug.setmetatable(o, nil)"), lambda: lua.eval("o.x"), lambda: lua.eval("o"),
                lambda: lua.eval("function(o) return o == nil end")(Thing()))
        lua.globals().o = Thing()
        attempt(lambda: lua.execute("debug.setmetatable(o, {__index = function() return 1 end})"),
                lambda: lua.eval("o.x"), lambda: lua.eval("o"), lambda: lua.gccollect())
        attempt(lambda: lua.execute("debug.setmetatable(io.stdout, getmetatable(d))"), lambda: lua.eval("io.stdout.x"),
                lambda: lua.eval("io.stdout"), lambda: lua.eval("tostring(io.stdout)"), lambda: lua.eval("io.stdout()"),
                lambda: lua.execute("io.stdout.x = 1"), lambda: lua.eval("python.iter(io.stdout)"))
        lua.execute("if newproxy then p = newproxy(); debug.setmetatable(p, getmetatable(d)) end")
        attempt(lambda: lua.eval("p"), lambda: lua.eval("p.x"), lambda: lua.eval("tostring(p)"), lambda: lua.eval("p()"))
        lua.execute("p = nil")
        lua.gccollect()
        attempt(lambda: lua.execute("debug.setmetatable(1, getmetatable(d))"), lambda: lua.eval("(1).x"),
                lambda: lua.eval("(1)()"), lambda: lua.eval("tostring(1)"))
        lua.execute("debug.setmetatable(1, nil)")
        attempt(lambda: lua.execute("setmetatable({}, getmetatable(d))()"),
                lambda: lua.execute("return setmetatable({}, getmetatable(d)).x"),
                lambda: lua.execute("return tostring(setmetatable({}, getmetatable(d)))"))
    """)


def test_fields_of_our_metatable(hostile):
    hostile("""
        lua.globals().o = Thing()
        attempt(lambda: lua.execute('''
            local m = getmetatable(o)
            for _, name in ipairs{"__index", "__newindex", "__call", "__tostring", "__gc", "__name", "__metatable"} do
                pcall(rawset, m, name, nil)
            end
        '''))
        attempt(lambda: lua.eval("o"), lambda: lua.eval("o.x"), lambda: lua.eval("o()"), lambda: lua.eval("tostring(o)"))
        for i in range(100):
            attempt(lambda: lua.eval("function(o) return o end")(Thing()))
        lua.execute("o = nil")
        lua.gccollect()
        lua.gccollect()
    """)


@pytest.mark.parametrize("field", ["__index", "__newindex", "__call", "__tostring", "__gc"])
def test_metamethods_called_by_hand(hostile, field):
    hostile(f"""
        lua.globals().o = Thing()
        lua.globals().l = [1]
        calls = ["", "1", "1, 2", "1, 2, 3", "nil", "o", "o, nil", "o, 1", "o, 'x'", "o, 'x', 1", "l, 1", "{{}}", "{{}}, 'x'",
                 "print", "io.stdout", "io.stdout, 'x'", "'x', 'x', 'x'", "python.as_function(o)", "python.as_function(o), 1",
                 "coroutine.create(function() end), 1", "o, o, o", "o, {{}}, {{}}"]
        for arguments in calls:
            attempt(lambda: lua.execute("local m = getmetatable(o); m.{field}(" + arguments + ")"))
            attempt(lambda: lua.execute("pcall(getmetatable(o).{field}, " + (arguments or "nil") + ")"))
            attempt(lambda: lua.execute("coroutine.wrap(function() getmetatable(o).{field}(" + arguments + ") end)()"))
        attempt(lambda: lua.eval("o"), lambda: lua.eval("o.x"), lambda: lua.eval("tostring(o)"))
        lua.gccollect()
    """)


def test_a_finaliser_called_early(hostile):
    """Code runs the ``__gc`` of an object that it still holds, twice."""
    hostile("""
        import weakref
        thing = Thing()
        reference = weakref.ref(thing)
        lua.globals().o = thing
        attempt(lambda: lua.execute("getmetatable(o).__gc(o)"), lambda: lua.execute("getmetatable(o).__gc(o)"))
        attempt(lambda: lua.eval("o.x"), lambda: lua.eval("o"), lambda: lua.eval("o()"), lambda: lua.eval("tostring(o)"),
                lambda: lua.execute("o.x = 1"), lambda: lua.eval("python.as_attrgetter(o)"), lambda: lua.eval("python.iter(o)"),
                lambda: lua.eval("python.as_function(o)()"), lambda: lua.eval("function(o) return o.x end")(thing))
        lua.globals().o = None
        for _ in range(3):
            lua.gccollect()
        assert lua.eval("function(o) return o.x end")(thing) == 1
        del thing
        for _ in range(3):
            lua.gccollect()
            gc.collect()
        assert reference() is None
    """)


@pytest.mark.parametrize("body", ["error('in gc')", "error({})", "note(1); error('x')", "fail()", "kept = t", "coroutine.yield()"])
def test_finalisers_of_lua_code(hostile, body):
    """A ``__gc`` that raises, calls Python, lets its object live on, or yields, at whatever moment it runs."""
    hostile(f"""
        def fail():
            raise KeyError("in gc")
        lua.globals().note = lambda x: lua.eval("1")
        lua.globals().fail = fail
        lua.execute('''
            function make()
                local t = {{}}
                if newproxy then
                    local p = newproxy(true)
                    getmetatable(p).__gc = function() {body} end
                    t.p = p
                    return t
                end
                return setmetatable(t, {{__gc = function() {body} end}})
            end
        ''')
        make = lua.globals().make
        for i in range(300):
            attempt(lambda: make(), lambda: lua.table_from([str(i), i, [i], Thing()]), lambda: lua.eval(f"{{{{i}}}}"),
                    lambda: lua.eval("...", "x" * i, Thing(), f"{{i}}"), lambda: lua.execute("return make(), make(), {{{{}}}}"),
                    lambda: list(lua.eval("function() coroutine.yield({{}}) end").coroutine()),
                    lambda: lua.table(make()).x, lambda: setattr(lua.globals(), "g", make()), check=False)
            if i % 20 == 0:
                attempt(lambda: lua.gccollect(), check=False)
        attempt(lambda: lua.execute("make, g, kept = nil"), *[lua.gccollect] * 400, check=False)
        attempt(lambda: lua.gccollect())
    """)


def test_python_objects_with_hostile_finalisers(hostile):
    hostile("""
        class Hostile:
            def __del__(self):
                lua.eval("function(x) return {x} end")(Thing())
                lua.gccollect()
                lua.globals().again = Thing()
        for i in range(200):
            lua.eval("function(x) local y = x end")(Hostile())
            lua.table_from([Hostile()])
            if i % 10 == 0:
                lua.gccollect()
                gc.collect()
    """)


def test_python_objects_with_hostile_methods(hostile):
    """Methods that Lua's work triggers change what that work is about."""
    hostile("""
        class Hostile:
            def __getattr__(self, name):
                lua.gccollect()
                gc.collect()
                raise AttributeError(name)
            def __eq__(self, other): raise ValueError
            def __hash__(self): raise ValueError
            def __iter__(self): return self
            def __next__(self):
                lua.execute("x = {}")
                lua.gccollect()
                raise ValueError
            def __str__(self): return "\\ud800"
            def __len__(self): return -1
            def __bool__(self): raise ValueError
            def __index__(self): raise ValueError
            def __call__(self, *a): return self
        h = Hostile()
        lua.globals().h = h
        attempt(lambda: lua.eval("...", h), lambda: lua.table_from(h), lambda: lua.table_from([h], recursive=True),
                lambda: lua.eval("h.x"), lambda: lua.eval("tostring(h)"), lambda: lua.eval("h(h, h)"),
                lambda: lua.eval("python.iter(h)"), lambda: lua.table_from({"k": h}, h), lambda: lua.table()[h],
                lambda: lua.execute("for x in python.iter(h) do end"), lambda: lua.execute("h.x = h"),
                lambda: lua.LuaRuntime(attribute_filter=h), lambda: lupa.LuaRuntime(attribute_handlers=h),
                lambda: lupa.LuaRuntime(register_eval=h), lambda: lua.table_from([1], recursive=h),
                lambda: lua.eval(h), lambda: lua.eval("1", name=h), lambda: lua.require(h), lambda: lua.set_max_memory(h))
    """)


def test_deep_recursion_through_both_languages(hostile):
    hostile("""
        sys.setrecursionlimit(100_000)
        step = lua.eval("function(f, n) return f(n + 1) end")
        depth = 0
        def again(n):
            global depth
            depth = n
            return step(again, n)
        threading.stack_size(64 * 1024 * 1024)
        def work():
            attempt(lambda: again(0))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert depth > 10, depth
        assert lua.eval("1") == 1
    """)


def test_deep_recursion_within_the_normal_limit(hostile):
    hostile("""
        step = lua.eval("function(f) return f() end")
        def again():
            return step(again)
        fails(again, (RecursionError, lupa.LuaError))
        co = lua.eval("function(f) coroutine.yield(f()) end")
        def nested():
            return next(co.coroutine(nested))
        fails(nested, (RecursionError, lupa.LuaError))
        class Deep:
            def __getattr__(self, name):
                return lua.eval("function(o) return o.x end")(self)
        fails(lambda: Deep().x, (RecursionError, lupa.LuaError))
    """)


def test_stack_overflow_in_lua(hostile):
    hostile("""
        fails(lambda: lua.execute("local function f() return 1 + f() end f()"))
        fails(lambda: lua.execute("local m = {}; m.__index = function(t, k) return t[k] end; return setmetatable(m, m).x"))
        fails(lambda: lua.execute("local function f(...) return 1 + f(1, ...) end f()"))
        attempt(lambda: lua.execute("return (table.unpack or unpack)({}, 1, 1e7)"))
        attempt(lambda: lua.execute("return (table.unpack or unpack)({}, 1, 1e5)"))
        attempt(lambda: lua.eval("select('#', ...)", *range(250_000)), lambda: lua.eval("...", *range(2_000_000)))
        attempt(lambda: lua.eval("function(f) return f() end")(lambda: tuple(range(2_000_000))))
        unpacking = lupa.LuaRuntime(unpack_returned_tuples=True)
        attempt(lambda: unpacking.eval("function(f) return select('#', f()) end")(lambda: tuple(range(2_000_000))))
        attempt(lambda: next(lua.eval("function(...) coroutine.yield(...) end").coroutine(*range(2_000_000))))
        attempt(lambda: lua.execute("return (('x'):rep(1000000)):gsub('.', '%0%0')"))
        attempt(lambda: lua.execute("string.rep('(', 1e5)"), lambda: lua.execute("(" * 100_000))
    """)


def test_errors_within_error_handlers(hostile):
    hostile("""
        fails(lambda: lua.execute("error(setmetatable({}, {__tostring = function() error('again') end}))"))
        fails(lambda: lua.execute("error(setmetatable({}, {__tostring = function() return {} end}))"))
        fails(lambda: lua.execute("error(setmetatable({}, {__name = {}}))"))
        attempt(lambda: lua.execute("return xpcall(error, error)"), lambda: lua.execute("return xpcall(error, nil)"))
        attempt(lambda: lua.execute("local function h(e) return 1 + h(e) end return xpcall(error, h)"))
        attempt(lambda: lua.execute("local function h(e) error(e) end return xpcall(error, h)"))
        attempt(lambda: lua.eval("function(f) return xpcall(f, f) end")(Thing()))
        def fail(*args):
            raise KeyError("x")
        attempt(lambda: lua.eval("function(f) return xpcall(function() error('x') end, python.as_function(f)) end")(fail))
    """)


def test_debug_hooks(hostile):
    """Hooks of Lua code run inside our calls."""
    hostile("""
        lua.globals().note = lambda *a: lua.eval("1")
        lua.execute("debug.sethook(function() note() end, '', 1)")
        attempt(lambda: lua.eval("1 + 1"), lambda: lua.table_from([1, 2]), lambda: lua.eval("function(f) return f() end")(Thing))
        lua.execute("debug.sethook()")
        attempt(lambda: lua.execute("debug.sethook(function() error('hook', 0) end, '', 100)"))
        for _ in range(20):
            try:
                lua.execute("for i = 1, 100 do local x = {i} end")
            except lupa.LuaError:
                pass
            try:
                lua.table_from([1, [2]], recursive=True)
                len(lua.globals())
                lua.gccollect()
            except lupa.LuaError:
                pass
        try:
            lua.execute("debug.sethook()")
        except lupa.LuaError:
            lua.execute("debug.sethook()")
    """)


def test_registry_in_lua_hands(hostile):
    """The registry can be reached by debug.getregistry; wrecking it must not take the process down while it lasts."""
    hostile("""
        attempt(lambda: lua.execute('''
            for k, v in pairs(debug.getregistry()) do
                if type(v) == "table" and type(k) == "string" and k:find("LUPA") then
                    for key in pairs(v) do v[key] = nil end
                end
            end
        '''))
        attempt(lambda: lua.eval("...", Thing()), lambda: lua.eval("python.none"), lambda: lua.table_from({None: 1}))
    """)


def test_upvalues_of_our_functions(hostile):
    """debug.setupvalue and debug.getupvalue on the functions of the library ``python``."""
    hostile("""
        lua.globals().len = len
        lua.execute('''
            local functions = {python.as_function(len), coroutine.wrap(function() end)}
            for _, f in pairs(python) do if type(f) == "function" then functions[#functions + 1] = f end end
            functions[#functions + 1] = (python.iter(python.builtins.dict()))
            for name, f in pairs(getmetatable(len)) do
                if type(f) == "function" then functions[#functions + 1] = f end
            end
            for _, f in ipairs(functions) do
                for i = 1, 5 do
                    pcall(debug.getupvalue, f, i)
                    for _, value in ipairs{1, "x", {}, io.stdout, len} do
                        pcall(debug.setupvalue, f, i, value)
                        pcall(f)
                        pcall(f, len)
                        pcall(f, {1})
                        pcall(f, len, 1, 2)
                    end
                end
                pcall(debug.setfenv or print, f, {})
            end
        ''')
        attempt(lambda: lua.eval("1"), lambda: lua.eval("...", Thing()), lambda: lua.table(1))
        lua.gccollect()
    """)


def test_bytecode_that_is_cut_off(hostile):
    """Broken bytecode may be refused only; here: cut off, which every Lua notices."""
    hostile("""
        raw = lupa.LuaRuntime(encoding=None)
        code = raw.eval("string.dump(function(a) local t = {a, 'x'} return #t end)")
        for length in range(1, len(code)):
            attempt(lambda: raw.execute(code[:length]) and None)
            attempt(lambda: raw.compile(code[:length]))
    """)


@pytest.mark.parametrize(
    "leave_behind",
    [
        "co = lua.eval('function() while true do coroutine.yield() end end').coroutine(); next(co)",
        "lua.globals().me = lua",
        "table = lua.table(1); it = iter(table); next(it)",
        "thread = threading.Thread(target=lambda: lua.execute('while true do end'), daemon=True); thread.start()",
        "thread = threading.Thread(target=lambda: [lua.eval('1') for _ in iter(int, 1)], daemon=True); thread.start()",
        "import atexit; atexit.register(lambda: lua.eval('1'))",
        "sys.modules['kept'] = [lua, lua.table(), lua.eval('print')]",
        "lua.execute('x = setmetatable({}, {__gc = function() python.builtins.str(1) end})')",
        "lua.globals().o = type('D', (), {'__del__': lambda self: lua.eval('1')})()",
        "lua.globals().o = type('D', (), {'__del__': lambda self: lupa.LuaRuntime().eval('1')})()",
        "threading.local().lua = lua",
        "n = lua.nogc(); n.__enter__()",
        "ctx = [lupa.LuaRuntime() for _ in range(50)]; ctx.append(ctx)",
        "lua.eval('function(f) f() end')(lambda: sys.exit(0))",
    ],
)
def test_interpreter_exit(hostile, leave_behind):
    """The interpreter ends well with whatever is left behind."""
    hostile(leave_behind)


def test_os_exit(backend):
    """``os.exit`` of Lua ends the process with its status, as in any host."""
    from conftest import run_python

    done = run_python(f"import lupa.{backend} as lupa; lupa.LuaRuntime().execute('os.exit(7)')")
    assert done.returncode == 7


def test_many_references(hostile):
    """Far more wrappers than a stack or a small table could hold."""
    hostile("""
        tables = [lua.table(i) for i in range(100_000)]
        assert tables[54321][1] == 54321
        del tables[::2]
        lua.gccollect()
        assert tables[100][1] == 201
        things = [object() for _ in range(100_000)]
        t = lua.table_from(things)
        assert t[77777] is things[77776]
    """)
