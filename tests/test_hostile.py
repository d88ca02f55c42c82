"""Lua code that tries to break the runtime: it ends in a Python exception.  Each test has a process of its own."""

import pytest

pytestmark = pytest.mark.beyond


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
        attempt(lambda: lua.lua_implementation, lambda: lua.lua_version, lambda: repr(lua.table()),
                lambda: lua.globals())
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
        lua.execute("t = {}; t.__index = function(t, k) return t[k] end; setmetatable(t, t)")
        fails(lambda: lua.eval("t.x"))
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
        handle = lua.eval("function(f) return xpcall(function() error('x') end, python.as_function(f)) end")
        attempt(lambda: handle(fail))
    """)


def test_debug_hooks(hostile):
    """Hooks of Lua code run inside our calls."""
    hostile("""
        lua.globals().note = lambda *a: lua.eval("1")
        lua.execute("debug.sethook(function() note() end, '', 1)")
        attempt(lambda: lua.eval("1 + 1"), lambda: lua.table_from([1, 2]),
                lambda: lua.eval("function(f) return f() end")(Thing))
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


def test_bytecode_that_is_cut_off(hostile, is_luajit):
    """Broken bytecode may be refused only; here: cut off, which every PUC Lua notices.

    LuaJIT does not look at what it loads, and its manual says so: there, ``mode="t"`` is the protection.
    """
    mode = ', mode="t"' if is_luajit else ""
    hostile(f"""
        raw = lupa.LuaRuntime(encoding=None)
        code = raw.eval("string.dump(function(a) local t = {{a, 'x'}} return #t end)")
        for length in range(1, len(code)):
            attempt(lambda: raw.execute(code[:length]{mode}) and None)
            attempt(lambda: raw.compile(code[:length]{mode}))
        assert isinstance(attempt(lambda: raw.execute(code, mode="t"))[0], lupa.LuaSyntaxError)
    """)


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


@pytest.mark.parametrize("size", [100, 50_000, 200_000, 1_000_000])
def test_long_names_behind_functions(hostile, size):
    """The token behind the end of a function is part of both functions."""
    hostile(
        f"""
        name = "n" * {size}
        for code in (
            "local function NAME() return 1 end NAME()",
            "local NAME = function() return 1 end NAME = 2 return NAME",
            "local t = {{NAME = function() end, 'NAME'}} return t['NAME'], 'NAME'",
            "local function f() local NAME = 1 return function() return NAME end end NAME = f 'NAME' return NAME",
        ):
            for _ in range(3):
                attempt(lambda: lua.execute(code.replace("NAME", name)))
                lua.gccollect()
        """
    )
