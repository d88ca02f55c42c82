"""Arrays in Lua: who keeps what alive, and when a buffer is free again."""

from __future__ import annotations

import array
import gc
import sys
import threading
import weakref

import pytest

pytestmark = pytest.mark.beyond


class Exporter(bytearray):
    """A bytearray that can be seen to go."""


def is_free(memory: bytearray) -> bool:
    """Whether nobody has the buffer: only then can a bytearray be resized."""
    try:
        memory.append(0)
    except BufferError:
        return False
    memory.pop()
    return True


@pytest.fixture
def memory():
    return Exporter(b"abcd")


def collect(lua):
    lua.gccollect()
    lua.gccollect()
    # What finalizers have left is dropped at the end of an operation.
    lua.eval("1")
    gc.collect()


def test_a_buffer_is_exported_while_the_array_lives(lua, lupa, memory):
    value = lupa.as_array(memory)
    assert not is_free(memory)
    lua.globals().a = value
    del value
    assert not is_free(memory)
    lua.globals().a = None
    collect(lua)
    assert is_free(memory)


def test_a_view_keeps_the_buffer(lua, lupa, memory):
    lua.execute("view = (...):slice(2, 3)", lupa.as_array(memory))
    collect(lua)
    assert not is_free(memory)
    assert lua.eval("view[1]") == ord("b")
    lua.execute("view = nil")
    collect(lua)
    assert is_free(memory)


def test_release(lua, lupa, memory):
    code = "local a = ...; local v = a:slice(2); a:release(); kept = v; return pcall(function() return a[1] end)"
    ok, error = lua.execute(code, lupa.as_array(memory))
    assert not ok
    assert "released" in str(error)
    # The view is not.
    assert lua.eval("kept[1]") == ord("b")
    assert not is_free(memory)
    lua.execute("kept:release()")
    assert is_free(memory)


@pytest.mark.parametrize(
    "use",
    [
        "a[1]",
        "#a",
        "a.dtype",
        "a:get(1)",
        "a:set(1, 0)",
        "a:slice(1)",
        "a:reshape(2, 2)",
        "a:copy()",
        "a:fill(0)",
        "a:totable()",
        "a:transpose()",
        "a.data",
        "python.array(a)",
        "python.cdata(a)",
    ],
)
def test_use_after_release(lua, lupa, memory, use):
    with pytest.raises((TypeError, lupa.LuaError)):
        lua.execute(f"local a = ...; a:release(); a:release(); return {use}", lupa.as_array(memory))
    with pytest.raises((TypeError, lupa.LuaError)):
        lua.execute(f"local a = ...; local _ = a[1]; a:release(); return {use}", lupa.as_array(memory))
    with pytest.raises((TypeError, lupa.LuaError)):
        lua.execute("local a = ...; local _ = a[1]; a:release(); a[1] = 0", lupa.as_array(memory))
    assert memory == b"abcd"


def test_what_was_released_can_be_printed(lua, lupa, memory):
    assert lua.execute("local a = ...; a:release(); return tostring(a)", lupa.as_array(memory)) == "array (released)"


def test_iteration_over_what_is_released(lua, lupa, memory):
    with pytest.raises((TypeError, lupa.LuaError)):
        lua.execute("local a = ...; for i in a:each() do a:release() end", lupa.as_array(memory))
    assert is_free(memory)


def test_many_rows_are_no_leak(lua, lupa):
    memory = array.array("d", range(100))
    value = lupa.as_array(memoryview(memory).cast("B").cast("d", (10, 10)))
    before = sys.getrefcount(value)
    total = "local a, s = ..., 0; for n = 1, 1000 do for i = 1, 10 do s = s + a[i][1] end end; return s"
    assert lua.execute(total, value) == 450000
    collect(lua)
    assert sys.getrefcount(value) == before


def test_memory_of_lua_outlives_the_runtime(lupa):
    lua = lupa.LuaRuntime()
    made = lua.eval("python.array_from({1, 2, 3}):slice(2)")
    gone = weakref.ref(lua)
    del lua
    gc.collect()
    assert gone() is None
    assert memoryview(made).tolist() == [2, 3]


def test_memory_of_lua_outlives_its_array(lua):
    view = memoryview(lua.eval("python.zeros(1000, 'uint8')"))
    collect(lua)
    view[999] = 5
    assert view[999] == 5


def test_numpy_keeps_memory_of_lua(lupa):
    np = pytest.importorskip("numpy")
    lua = lupa.LuaRuntime()
    a = np.asarray(lua.eval("python.array_from{{1, 2}, {3, 4}}"))[1]
    del lua
    gc.collect()
    assert a.tolist() == [3, 4]


def test_lua_keeps_what_numpy_made(lupa):
    np = pytest.importorskip("numpy")
    lua = lupa.LuaRuntime(convert_arrays=True)
    lua.globals().a = np.arange(1000.0)
    gc.collect()
    assert lua.eval("a[1000]") == 999
    assert lua.globals().a.sum() == 499500


def test_a_runtime_in_its_own_exporter_is_collected(lupa):
    """The runtime holds the array, the array the exporter, and the exporter the runtime."""
    memory = Exporter(b"abc")
    memory.lua = lupa.LuaRuntime()
    memory.lua.globals().a = lupa.as_array(memory)
    gone = weakref.ref(memory)
    del memory
    gc.collect()
    assert gone() is None


def test_an_array_in_its_own_exporter_is_collected(lupa):
    memory = Exporter(b"abc")
    memory.array = lupa.as_array(memory)
    memory.view = memoryview(memory.array)
    gone = weakref.ref(memory)
    del memory
    gc.collect()
    assert gone() is None


def test_the_exporter_is_released_once(lupa):
    memory = bytearray(b"abc")
    before = sys.getrefcount(memory)
    for _ in range(3):
        lua = lupa.LuaRuntime()
        value = lupa.as_array(memory)
        lua.execute("a = ...; b = a:slice(1, 2); c = a:slice(3); a:release()", value)
        assert lua.globals().b is not None
        del lua, value
        gc.collect()
        assert is_free(memory)
    assert sys.getrefcount(memory) == before


def test_arrays_that_are_garbage_make_room(lupa):
    """Lua's collector sees small userdata only, so the bytes behind them have to be looked after."""
    lua = lupa.LuaRuntime(max_memory=64 << 20)
    lua.execute("for i = 1, 200 do local a = python.zeros(2^20, 'double'); a[1] = i end")
    assert lua.get_memory_used(total=True) < 64 << 20


def test_the_memory_limit_counts_arrays(lupa):
    lua = lupa.LuaRuntime(max_memory=8 << 20)
    with pytest.raises(lupa.LuaMemoryError):
        lua.execute("kept = {}; for i = 1, 100 do kept[i] = python.zeros(2^17, 'double') end")
    lua.execute("kept = nil")
    collect(lua)
    assert lua.eval("#python.zeros(2^17, 'double')") == 2**17


def test_memory_used_comes_and_goes(lupa):
    lua = lupa.LuaRuntime(max_memory=0)
    before = lua.get_memory_used()
    made = lua.eval("python.zeros(2^20, 'uint8')")
    assert lua.get_memory_used() - before >= 2**20
    del made
    collect(lua)
    assert lua.get_memory_used() - before < 2**18


def test_finalizers_find_released_arrays(lupa, isolated):
    """A finalizer that runs after an array's own reads no memory that is gone."""
    isolated(
        """
        import array
        lua.execute('''
            found, saved = {}, {}
            function later(action)
                if newproxy then
                    local p = newproxy(true); getmetatable(p).__gc = action; return p
                end
                return setmetatable({}, {__gc = action})
            end
            function drop(a)
                local touched = a[1]
                local p = later(function()
                    local ok, value = pcall(function() return a[1] end)
                    found[#found + 1] = ok and value or 'released'
                    saved[#saved + 1] = a
                end)
                a = python.array(a)
                return touched
            end
        ''')
        drop = lua.globals().drop
        for n in range(200):
            drop(lupa.as_array(array.array('d', [n] * 50)))
        lua.gccollect(); lua.gccollect()
        lua.execute('''
            for _, a in ipairs(saved) do
                local ok, value = pcall(function() return a[1] end)
                if ok then assert(value >= 0 and value < 200) end
            end
        ''')
        """
    )


def test_at_the_end_of_a_runtime(isolated):
    """Lua's finalizers run when it is closed, and may still have arrays."""
    out = isolated(
        """
        stash = []
        lua.globals().stash = stash.append
        lua.globals().memory = lupa.as_array(bytearray(b'abc'))
        lua.execute('''
            made = python.zeros(100)
            local function last()
                pcall(stash, memory)
                pcall(stash, made)
                pcall(stash, made:slice(2, 3))
            end
            if newproxy then p = newproxy(true); getmetatable(p).__gc = last
            else p = setmetatable({}, {__gc = last}) end
        ''')
        del lua
        gc.collect()
        for thing in stash:
            if isinstance(thing, lupa._LuaObject): continue
            assert len(memoryview(thing)) in (2, 3, 100), thing
        print('fine')
        """
    )
    assert "fine" in out


def test_threads(lupa):
    """Arrays are made in one thread, used in others, and dropped anywhere."""
    memory = array.array("d", [0] * 100)
    errors = []

    def work(start):
        try:
            lua = lupa.LuaRuntime()
            add = lua.eval("function(a, from) for i = from, from + 9 do a[i] = a[i] + i end return a:slice(from) end")
            for _ in range(50):
                view = add(lupa.as_array(memory), start)
                assert len(memoryview(view)) == 101 - start
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(1, 100, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert memory.tolist() == [50 * i for i in range(1, 101)]
    gc.collect()
    memory.append(1)


def test_one_runtime_in_many_threads(lupa):
    lua = lupa.LuaRuntime()
    use = lua.eval("function(a) local r = a:slice(2); r[1] = r[1] + 1; return a:copy(), r end")
    errors = []

    def work():
        try:
            memory = bytearray(b"\0" * 10)
            for _ in range(100):
                use(lupa.as_array(memory))
            assert memory[1] == 100
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
