"""Memory management: what is dropped is freed, on both sides, and no more than that."""

import gc
import weakref

import pytest


class Thing:
    """An object that can be watched."""


def collect(lua):
    """Collect on both sides, until nothing new can turn up."""
    for _ in range(3):
        lua.gccollect()
        gc.collect()


def watch(lua):
    """A weak reference to an object that only this Lua holds: it dies when the Lua state does."""
    thing = Thing()
    lua.globals().watched = thing
    return weakref.ref(thing)


def is_freed(reference):
    """Whether the state behind a reference from ``watch`` is gone after Python's collector has run."""
    for _ in range(3):
        gc.collect()
    return reference() is None


def test_a_dropped_runtime_is_freed(lupa):
    lua = lupa.LuaRuntime()
    state = watch(lua)
    assert not is_freed(state)
    del lua
    assert is_freed(state)


def test_a_dropped_runtime_is_freed_at_once(lupa):
    """Without cycles, no collection is needed."""
    lua = lupa.LuaRuntime()
    state = watch(lua)
    del lua
    assert state() is None


def test_a_runtime_in_a_python_cycle_is_freed(lupa):
    thing = Thing()
    thing.lua = lupa.LuaRuntime()
    thing.me = thing
    state = watch(thing.lua)
    del thing
    assert is_freed(state)


def test_a_runtime_that_holds_itself_is_freed(lupa):
    """The runtime is a global of its own Lua."""
    lua = lupa.LuaRuntime()
    state = watch(lua)
    lua.globals().me = lua
    del lua
    assert is_freed(state)


def test_a_runtime_held_through_objects_is_freed(lupa):
    """Lua holds a Python object that holds Lua objects of the same runtime."""
    lua = lupa.LuaRuntime()
    state = watch(lua)
    thing = Thing()
    thing.table = lua.table()
    thing.function = lua.eval("function() end")
    thing.method = lua.eval
    thing.iterator = lua.table(1).items()
    thing.coroutine = lua.eval("function() coroutine.yield() end").coroutine()
    lua.globals().thing = thing
    reference = weakref.ref(thing)
    del thing, lua
    assert is_freed(state)
    assert reference() is None


@pytest.mark.parametrize(
    "hold",
    [
        lambda lua: lua.table(),
        lambda lua: lua.eval("function() end"),
        lambda lua: lua.eval("io.stdout"),
        lambda lua: lua.eval("function() coroutine.yield() end").coroutine(),
        lambda lua: lua.eval("coroutine.create(function() end)"),
        lambda lua: lua.table(1).items(),
        lambda lua: lua.eval,
        lambda lua: lua.nogc(),
        lambda lua: lua.globals(),
    ],
)
def test_a_runtime_held_through_one_object_is_freed(lupa, hold):
    """Each kind of object that refers to a runtime shows it to Python's collector."""
    lua = lupa.LuaRuntime()
    state = watch(lua)
    lua.globals().held = [hold(lua)]
    del lua
    assert is_freed(state)


def test_callbacks_that_close_over_the_runtime_are_freed(lupa):
    def make():
        lua = lupa.LuaRuntime()
        lua.globals().callback = lambda: lua.eval("1")
        assert lua.eval("callback()") == 1
        return watch(lua)

    assert all(is_freed(make()) for _ in range(5))


def test_options_that_hold_the_runtime_are_freed(lupa):
    def make(**options):
        box.append(lupa.LuaRuntime(**options))
        return watch(box.pop())

    box = []
    assert is_freed(make(attribute_filter=lambda o, n, s: box and n))

    def cycle():
        held = []
        lua = lupa.LuaRuntime(
            attribute_handlers=(lambda o, n: held, lambda o, n, v: held), overflow_handler=held.append
        )
        held.append(lua)
        return watch(lua)

    assert is_freed(cycle())


def test_wrappers_keep_their_runtime(lupa):
    lua = lupa.LuaRuntime()
    state = watch(lua)
    table = lua.table(1)
    del lua
    assert not is_freed(state)
    assert table[1] == 1
    del table
    assert is_freed(state)


@pytest.mark.beyond
def test_errors_do_not_keep_their_runtime_in_a_cycle(lupa):
    """The value of an error is a Lua object; a frame that holds the error is a cycle that gets collected."""

    def make():
        lua = lupa.LuaRuntime()
        state = watch(lua)
        try:
            lua.execute("error({})")
        except lupa.LuaError as error:
            kept = error
        assert kept.value is not None
        lua.globals().kept = kept
        return state

    assert is_freed(make())


def test_python_objects_are_released_by_lua(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    lua.globals().thing = thing
    del thing
    collect(lua)
    assert reference() is not None
    assert lua.eval("thing") is reference()
    lua.globals().thing = None
    collect(lua)
    assert reference() is None


def test_arguments_are_released(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    lua.eval("function(x) end")(thing)
    lua.eval("function(x) return x end")(thing)
    lua.table(thing)
    lua.table_from([thing], {"a": thing})
    lua.table_from({"a": [thing]}, recursive=True)
    lua.eval("...", thing)
    del thing
    collect(lua)
    assert reference() is None


def test_views_are_released(lupa, lua):
    thing = Thing()
    reference = weakref.ref(thing)
    lua.eval("function(a, b) python.as_attrgetter(a); return a == b end")(lupa.as_itemgetter(thing), thing)
    del thing
    collect(lua)
    assert reference() is None


def test_objects_come_and_go_often(lua):
    """The identity cache neither leaks nor loses: one object in and out of Lua's hands."""
    thing = Thing()
    reference = weakref.ref(thing)
    keep = lua.eval("function(x) kept = x end")
    for _ in range(50):
        keep(thing)
        keep(None)
        lua.gccollect()
        keep(thing)
        assert lua.eval("kept") is thing
    keep(None)
    del thing
    collect(lua)
    assert reference() is None


def test_tables_are_released_by_python(lua):
    lua.execute("weak = setmetatable({}, {__mode = 'v'})")
    table = lua.eval("{}")
    lua.globals().weak[1] = table
    collect(lua)
    assert lua.eval("weak[1] ~= nil")
    del table
    collect(lua)
    assert lua.eval("weak[1] == nil")


@pytest.mark.parametrize("make", ["{}", "function() end", "setmetatable({}, {})"])
def test_wrappers_are_released_in_any_number(lua, make):
    lua.execute("count = 0; weak = setmetatable({}, {__mode = 'k'})")
    function = lua.eval(f"function() local x = {make}; weak[x] = true; return x end")
    objects = [function() for _ in range(100)]
    del objects
    collect(lua)
    assert lua.eval("next(weak) == nil")


def test_coroutines_are_released(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    coroutine = lua.eval("function(x) coroutine.yield(); return x end").coroutine(thing)
    next(coroutine)
    del thing
    collect(lua)
    assert reference() is not None
    del coroutine
    collect(lua)
    assert reference() is None


def test_unstarted_coroutines_release_their_arguments(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    coroutine = lua.eval("function(x) end").coroutine(thing)
    del thing
    assert reference() is not None
    del coroutine
    collect(lua)
    assert reference() is None


def test_iterators_release_their_table(lua):
    lua.execute("weak = setmetatable({}, {__mode = 'k'})")
    iterator = lua.eval("(function() local t = {1, 2}; weak[t] = true; return t end)()").items()
    next(iterator)
    collect(lua)
    assert lua.eval("next(weak) ~= nil")
    list(iterator)
    del iterator
    collect(lua)
    assert lua.eval("next(weak) == nil")


def test_python_iterators_in_lua_are_released(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    lua.eval("function(o) for x in python.iter(o) do break end end")([thing, thing])
    lua.eval("function(o) for i, x in python.enumerate(o) do break end end")([thing, thing])
    del thing
    collect(lua)
    assert reference() is None


def test_as_function_releases(lua):
    thing = Thing()
    thing.method = lambda: None
    reference = weakref.ref(thing)
    lua.execute("f = python.as_function(...)", thing.__str__)
    del thing
    collect(lua)
    assert reference() is not None
    lua.execute("f = nil")
    collect(lua)
    assert reference() is None


def test_python_args_release(lua):
    thing = Thing()
    reference = weakref.ref(thing)
    lua.eval("function(f, o) return f(python.args{o, key = o}) end")(lambda *a, **k: None, thing)
    del thing
    collect(lua)
    assert reference() is None


def test_overflow_handlers_are_released(lua):
    class Handler:
        def __call__(self, value):
            return float(value)

    handler = Handler()
    reference = weakref.ref(handler)
    lua.set_overflow_handler(handler)
    assert lua.eval("...", 2**70) == 2.0**70
    del handler
    collect(lua)
    assert reference() is not None
    lua.set_overflow_handler(None)
    collect(lua)
    assert reference() is None


def test_closing_a_runtime_releases_everything(lupa):
    references = []
    lua = lupa.LuaRuntime()
    for i in range(100):
        thing = Thing()
        references.append(weakref.ref(thing))
        lua.globals()[i] = thing
    del thing
    lua.execute("co = coroutine.create(function(...) local t = {...} coroutine.yield() end)")
    del lua
    gc.collect()
    assert not any(reference() for reference in references)


def test_no_growth(lupa, lua):
    """The number of objects that Python knows of does not grow with use."""

    def work():
        table = lua.table_from({"a": [1, 2, {"b": (3,)}]}, recursive=True)
        lua.eval("function(f) return f({}, f) end")(lambda *a: a)
        list(lua.eval("function() coroutine.yield({}) end").coroutine())
        list(table.items())
        with pytest.raises(lupa.LuaError):
            lua.execute("error('x')")
        with pytest.raises(ZeroDivisionError):
            lua.eval("python.eval('1 / 0')")
        lua.eval("function(o) for x in python.iter(o) do end end")([object()])

    for _ in range(10):
        work()
    collect(lua)
    before = len(gc.get_objects())
    for _ in range(100):
        work()
    collect(lua)
    assert len(gc.get_objects()) - before < 60


@pytest.mark.beyond
def test_lua_memory_does_not_grow(lupa):
    """Nothing is left in the registry, on the stack or in the identity cache.

    Traces of the JIT count as memory of Lua's, and how many of them there are depends on
    the addresses of bytecode: it is off here.
    """
    lua = lupa.LuaRuntime(max_memory=0)
    lua.execute("if jit then jit.off() end")

    def work():
        table = lua.table_from({"a": [1, 2, {"b": (3,)}]}, recursive=True)
        assert len(list(table.items())) == 1
        lua.eval("function(f) return f({}, f) end")(lambda *a: a)
        list(lua.eval("function() coroutine.yield({}) end").coroutine())
        next(lua.eval("function() coroutine.yield({}) end").coroutine())
        with pytest.raises(lupa.LuaError):
            lua.execute("error({})")
        with pytest.raises(ZeroDivisionError):
            lua.eval("python.eval('1 / 0')")
        lua.eval("function(o) for x in python.iter(o) do end end")([object()])
        lua.eval("...", lupa.as_attrgetter([]), lupa.as_itemgetter({}))

    for _ in range(50):
        work()
    collect(lua)
    before = lua.get_memory_used()
    for _ in range(500):
        work()
    collect(lua)
    assert lua.get_memory_used() - before < 1024


def test_reference_counts(lua):
    """Common objects don't gain or lose references."""
    import sys

    things = [None, True, object(), (), "text", 12345678901, 1.5]
    echo = lua.eval("function(...) return ... end")
    thing = things[2]
    before = sys.getrefcount(thing)
    for _ in range(1000):
        echo(*things)
        lua.table_from(things)
        list(lua.table(*things).items())
    collect(lua)
    assert sys.getrefcount(thing) == before
    none = sys.getrefcount(None)
    for _ in range(1000):
        echo(None)
        lua.table()["missing"]
    assert abs(sys.getrefcount(None) - none) < 100 or sys.version_info >= (3, 12)


def test_finalisers_of_lua_may_call_python(isolated):
    """A ``__gc`` of Lua runs at an arbitrary place and may use Python objects."""
    isolated("""
        calls = []
        lua.globals().note = lambda x: calls.append(x)
        lua.execute('''
            function watched(i)
                if newproxy then
                    local proxy = newproxy(true)
                    getmetatable(proxy).__gc = function() note(i) end
                    return {proxy}
                end
                return setmetatable({}, {__gc = function() note(i) end})
            end
        ''')
        for i in range(50):
            lua.globals().watched(i)
            if i % 10 == 0:
                lua.gccollect()
        lua.gccollect()
        gc.collect()
        lua.gccollect()
        assert sorted(calls) == list(range(50)), calls
    """)


CHAIN = """
    collectgarbage("stop")
    local count = ...
    local keys, tables, order = {}, {}, {}
    for i = 1, count + 1 do keys[i] = {} end
    for i = 1, count do order[i] = i end
    local random = 42
    for i = count, 2, -1 do
        random = (random * 16807) % 2147483647
        local j = random % i + 1
        order[i], order[j] = order[j], order[i]
    end
    local weak = {__mode = "k"}
    for i = 1, count do tables[i] = setmetatable({[keys[i]] = keys[i + 1]}, weak) end
    first, all = keys[1], {}
    for i = 1, count do all[i] = tables[order[i]] end
    function length()
        local successors, n, key = {}, 0, first
        for _, t in ipairs(all) do for k, v in pairs(t) do successors[k] = v end end
        while successors[key] do n, key = n + 1, successors[key] end
        return n
    end
    function entries()
        local n = 0
        for _, t in ipairs(all) do if next(t) ~= nil then n = n + 1 end end
        return n
    end
"""


@pytest.mark.beyond
@pytest.mark.parametrize("count", [10, 1000, 100_000])
def test_chains_of_weak_keys(lupa, lua, count):
    """Each key keeps the next one, in tables in any order; a Lua that looks for them again and again needs minutes."""
    if lupa._INSTALLED_LUA and count > 1000:
        pytest.skip("an installed Lua needs minutes")
    lua.execute(CHAIN, count)
    lua.gccollect()
    assert lua.globals().length() == count
    lua.execute("collectgarbage() first = {}")
    lua.gccollect()
    lua.gccollect()
    # 5.1 always keeps what keys stand for.
    if lua.lua_version > (5, 1):
        assert lua.globals().entries() == 0
