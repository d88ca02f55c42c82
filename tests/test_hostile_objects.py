"""Wrappers, userdata and finalisers in hostile hands: no crash, whatever is done to them."""

import pytest

pytestmark = pytest.mark.beyond


def test_wrappers_made_by_hand(hostile):
    hostile("""
        samples = [lua.table(1), lua.eval("print"), lua.eval("io.stdout"), lua.eval("function() end").coroutine(),
                   lua.eval("coroutine.create(function() end)"), iter(lua.table(1)), lua.nogc(), lupa.as_attrgetter(1),
                   lua.eval("python.args{1}")]
        def try_everything(thing, other):
            attempt(
                lambda: repr(thing), lambda: str(thing), lambda: thing.x, lambda: thing[1], lambda: thing(1),
                lambda: thing.__setitem__(1, 2), lambda: setattr(thing, "x", 1), lambda: delattr(thing, "x"),
                lambda: len(thing), lambda: bool(thing), lambda: list(thing), lambda: thing.items(),
                lambda: hash(thing),
                lambda: thing == other, lambda: next(thing), lambda: thing.send(None), lambda: thing.coroutine(1),
                lambda: lupa.lua_type(thing), lambda: lua.eval("...", thing), lambda: lua.table(thing),
                lambda: lua.table_from(thing), lambda: lupa.unpacks_lua_table(print)(thing),
                lambda: thing.__enter__(),
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
                lambda: lua.eval("...", foreign), lambda: t.__setitem__(foreign, 1),
                lambda: t.__setitem__(1, foreign),
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
        attempt(lambda: lua.execute("debug.setmetatable(io.stdout, debug.getmetatable(d))"),
                lambda: lua.eval("io.stdout.x"),
                lambda: lua.eval("io.stdout"), lambda: lua.eval("tostring(io.stdout)"),
                lambda: lua.eval("io.stdout()"),
                lambda: lua.execute("io.stdout.x = 1"), lambda: lua.eval("python.iter(io.stdout)"))
        lua.execute("if newproxy then p = newproxy(); debug.setmetatable(p, debug.getmetatable(d)) end")
        attempt(lambda: lua.eval("p"), lambda: lua.eval("p.x"), lambda: lua.eval("tostring(p)"),
                lambda: lua.eval("p()"))
        lua.execute("p = nil")
        lua.gccollect()
        attempt(lambda: lua.execute("debug.setmetatable(1, debug.getmetatable(d))"), lambda: lua.eval("(1).x"),
                lambda: lua.eval("(1)()"), lambda: lua.eval("tostring(1)"))
        lua.execute("debug.setmetatable(1, nil)")
        attempt(lambda: lua.execute("setmetatable({}, debug.getmetatable(d))()"),
                lambda: lua.execute("return setmetatable({}, debug.getmetatable(d)).x"),
                lambda: lua.execute("return tostring(setmetatable({}, debug.getmetatable(d)))"))
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
        attempt(lambda: lua.eval("o"), lambda: lua.eval("o.x"), lambda: lua.eval("o()"),
                lambda: lua.eval("tostring(o)"))
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
        calls = ["", "1", "1, 2", "1, 2, 3", "nil", "o", "o, nil", "o, 1", "o, 'x'", "o, 'x', 1", "l, 1", "{{}}",
                 "{{}}, 'x'", "print", "io.stdout", "io.stdout, 'x'", "'x', 'x', 'x'", "python.as_function(o)",
                 "python.as_function(o), 1", "coroutine.create(function() end), 1", "o, o, o", "o, {{}}, {{}}"]
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
        attempt(lambda: lua.eval("o.x"), lambda: lua.eval("o"), lambda: lua.eval("o()"),
                lambda: lua.eval("tostring(o)"),
                lambda: lua.execute("o.x = 1"), lambda: lua.eval("python.as_attrgetter(o)"),
                lambda: lua.eval("python.iter(o)"),
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


@pytest.mark.parametrize(
    "body", ["error('in gc')", "error({})", "note(1); error('x')", "fail()", "kept = t", "coroutine.yield()"]
)
def test_finalisers_of_lua_code(hostile, body, lupa, is_luajit):
    """A ``__gc`` that raises, calls Python, lets its object live on, or yields, at whatever moment it runs."""
    if lupa._INSTALLED_LUA and is_luajit and body != "kept = t":
        pytest.skip("LuaJIT 2.1.0-beta3 by itself, its own command too, crashes on errors of finalizers")
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
                    lambda: lua.eval("...", "x" * i, Thing(), f"{{i}}"),
                    lambda: lua.execute("return make(), make(), {{{{}}}}"),
                    lambda: list(lua.eval("function() coroutine.yield({{}}) end").coroutine()),
                    lambda: lua.table(make()).x, lambda: setattr(lua.globals(), "g", make()), check=False)
            if i % 20 == 0:
                attempt(lambda: lua.gccollect(), check=False)
        attempt(lambda: lua.execute("make, g, kept = nil"), check=False)
        for _ in range(20_000):  # where errors of finalisers come out, each ends a collection
            (outcome,) = attempt(lua.gccollect, check=False)
            if outcome is None:
                break
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
                lambda: lua.eval(h), lambda: lua.eval("1", name=h), lambda: lua.require(h),
                lambda: lua.set_max_memory(h))
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
            local functions = {python.as_function(len)}
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
