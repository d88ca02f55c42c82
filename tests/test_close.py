"""``LuaRuntime.close()`` and runtimes as context managers: everything is freed at once."""

import gc
import threading
import weakref

import pytest

pytestmark = pytest.mark.beyond

CLOSED = "^the Lua runtime is closed$"


def everything(lua):
    """Uses of a runtime and of one object of each kind: (name, function)."""
    table = lua.eval("{1, 2, x = {y = 5}}")
    function = lua.eval("function(...) return ... end")
    started = lua.eval("function() while true do coroutine.yield(1) end end").coroutine()
    next(started)
    fresh = function.coroutine(1)
    iterator = iter(table.items())
    next(iterator)
    nogc = lua.nogc()
    yield from {
        "eval": lambda: lua.eval("1"),
        "execute": lambda: lua.execute("x = 1"),
        "compile": lambda: lua.compile("x = 1"),
        "require": lambda: lua.require("string"),
        "globals": lua.globals,
        "table": lambda: lua.table(1, x=2),
        "table_from": lambda: lua.table_from([1, 2]),
        "gccollect": lua.gccollect,
        "nogc": nogc.__enter__,
        "set_overflow_handler": lambda: lua.set_overflow_handler(float),
        "get_memory_used": lua.get_memory_used,
        "get_max_memory": lua.get_max_memory,
        "set_max_memory": lambda: lua.set_max_memory(10**6),
        "implementation": lambda: lua.lua_implementation,
        "with": lua.__enter__,
        "item": lambda: table[1],
        "attribute": lambda: table.x,
        "set item": lambda: table.__setitem__(1, 5),
        "new item": lambda: table.__setitem__(100, object()),
        "delete item": lambda: table.__delitem__(1),
        "set attribute": lambda: setattr(table, "x", 5),
        "delete attribute": lambda: delattr(table, "x"),
        "len": lambda: len(table),
        "iterate": lambda: list(table),
        "keys": lambda: list(table.keys()),
        "values": lambda: list(table.values()),
        "str": lambda: str(table),
        "go on iterating": lambda: next(iterator),
        "call": lambda: function(1),
        "call with an object": lambda: function(object()),
        "call with a table": lambda: function(table),
        "coroutine": lambda: next(function.coroutine(1)),
        "resume": lambda: next(started),
        "send": lambda: started.send(1),
        "start": lambda: next(fresh),
        "truth of a coroutine": lambda: bool(started),
    }.items()


def test_everything_of_a_closed_runtime_raises(lupa):
    lua = lupa.LuaRuntime(max_memory=0)
    uses = list(everything(lua))
    lua.close()
    for name, use in uses:
        with pytest.raises(lupa.LuaError) as caught:
            use()
        assert str(caught.value) == "the Lua runtime is closed", name
    lua.close()


def test_closed_twice(lua):
    lua.close()
    lua.close()


def test_context_manager(lupa):
    with lupa.LuaRuntime() as lua:
        table = lua.table(1)
        assert lua.eval("1 + 1") == 2
    with pytest.raises(lupa.LuaError, match=CLOSED):
        table[1]
    with pytest.raises(ZeroDivisionError), lupa.LuaRuntime() as lua:
        1 / 0  # noqa: B018
    with pytest.raises(lupa.LuaError, match=CLOSED):
        lua.eval("1")
    with pytest.raises(lupa.LuaError, match=CLOSED), lua:
        pass


def test_objects_are_freed_at_once(lupa):
    class Thing:
        pass

    thing = Thing()
    alive = weakref.ref(thing)
    gc.disable()
    try:
        lua = lupa.LuaRuntime()
        lua.globals().thing = thing
        lua.globals().me = lua
        del thing
        assert alive() is not None
        lua.close()
        assert alive() is None
    finally:
        gc.enable()


def test_finalizers_run(lupa, lua):
    seen = []
    lua.globals().note = lambda: seen.append(lua.eval("1 + 1"))
    lua.execute("""
        if newproxy then kept = newproxy(true); getmetatable(kept).__gc = function() note() end
        else kept = setmetatable({}, {__gc = function() note() end}) end
    """)
    lua.close()
    assert seen == [2]


def test_closing_in_a_callback_is_refused(lupa, lua):
    with pytest.raises(lupa.LuaError, match="^the Lua runtime cannot be closed while it is running$"):
        lua.eval("function(f) f() end")(lua.close)
    function = lua.eval("function(f) return pcall(f) end")
    assert function(lua.close)[0] is False
    assert lua.eval("1 + 1") == 2
    lua.close()


@pytest.mark.parametrize("method", ["__iter__", "__del__"])
def test_closing_in_a_conversion_or_a_finalizer_is_refused(lupa, lua, method):
    outcomes = []

    def attempt(self):
        try:
            outcomes.append(lua.close())
        except lupa.LuaError as error:
            outcomes.append(str(error))
        return iter([1])

    thing = type("Closes", (), {method: attempt})()
    if method == "__iter__":
        lua.table_from(thing)
    else:
        lua.globals().object = thing
        del thing
        lua.execute("object = nil; collectgarbage(); collectgarbage()")
    assert outcomes == ["the Lua runtime cannot be closed while it is running"]
    assert lua.eval("1 + 1") == 2


def test_closing_another_runtime_in_a_callback(lupa, lua):
    other = lupa.LuaRuntime()
    lua.eval("function(f) f() end")(other.close)
    with pytest.raises(lupa.LuaError, match=CLOSED):
        other.eval("1")


def test_closing_waits_for_other_threads(lupa, lua):
    inside, go_on = threading.Event(), threading.Event()
    results = []

    def callback():
        inside.set()
        go_on.wait(60)
        results.append("used")

    user = threading.Thread(target=lambda: lua.eval("function(f) f() end")(callback))
    user.start()
    inside.wait(60)
    closer = threading.Thread(target=lambda: (lua.close(), results.append("closed")))
    closer.start()
    assert results == []
    go_on.set()
    user.join(60)
    closer.join(60)
    assert results == ["used", "closed"]
    with pytest.raises(lupa.LuaError, match=CLOSED):
        lua.eval("1")


def test_threads_that_race_with_close(lupa):
    for _ in range(20):
        lua = lupa.LuaRuntime()
        function = lua.eval("function(n) return n + 1 end")
        start = threading.Barrier(5)

        def use(function=function, start=start):
            start.wait()
            try:
                for number in range(2000):
                    assert function(number) == number + 1
            except lupa.LuaError as error:
                assert str(error) == "the Lua runtime is closed"

        def close(lua=lua, start=start):
            start.wait()
            lua.close()

        threads = [threading.Thread(target=use) for _ in range(4)] + [threading.Thread(target=close)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def test_objects_of_a_closed_runtime_elsewhere(lupa, lua):
    table = lua.table(1)
    lua.close()
    other = lupa.LuaRuntime()
    with pytest.raises(lupa.LuaError):
        other.globals().table = table
    del table, lua
    gc.collect()
    assert other.eval("1 + 1") == 2


def test_memory_that_python_owns_outlives_the_runtime(lupa, lua):
    array = lua.eval("python.zeros(3, 'int32')")
    view = memoryview(array)
    lua.close()
    assert view.tolist() == [0, 0, 0]


def test_memory_of_the_ffi_refuses(lupa, lua, is_luajit):
    if not is_luajit:
        pytest.skip("there is no ffi")
    array = lua.eval("python.array(require('ffi').new('int32_t[3]', 1, 2, 3))")
    with pytest.raises(lupa.LuaError, match="cannot be closed while arrays outside of it use its memory"):
        lua.close()
    assert memoryview(array).tolist() == [1, 2, 3]
    assert lua.eval("1 + 1") == 2
    del array
    lua.close()
    with pytest.raises(lupa.LuaError, match=CLOSED):
        lua.eval("1")


def test_memory_of_the_ffi_that_a_finalizer_gives_away(lupa, lua, is_luajit):
    if not is_luajit:
        pytest.skip("there is no ffi")
    kept = []
    lua.globals().keep = kept.append
    lua.execute("""
        local cdata = require('ffi').new('int32_t[3]', 1, 2, 3)
        p = newproxy(true)
        getmetatable(p).__gc = function() keep(select(2, pcall(python.array, cdata))) end
    """)
    lua.close()
    assert [str(error) for error in kept] == ["the Lua runtime is closed"]
