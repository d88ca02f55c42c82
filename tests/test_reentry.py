"""C code that Lua has called comes to Python by itself, and that uses the same runtime: ``ctypes`` callbacks that are
called through LuaJIT's FFI, and through a binary module.
"""

from __future__ import annotations

import sys

import pytest
from test_binary_modules import debian, fixture_cpath, fixtures  # noqa: F401

pytestmark = [pytest.mark.beyond, pytest.mark.skipif(sys.platform == "win32", reason="modules are bound by name there")]

# `address(f)` gives a C function's address for a Python function; what `by_module` and `by_ffi` give makes a Lua
# function of such an address.
PRELUDE = """
import ctypes, sys, threading
KEPT, FAILED = [], []
def address(function, kind=ctypes.CFUNCTYPE):
    def noting(x):
        try:
            return function(x)
        except BaseException as error:
            FAILED.append(error)
            raise
    made = kind(ctypes.c_int, ctypes.c_int)(noting)
    KEPT.append(made)
    return ctypes.cast(made, ctypes.c_void_p).value
def by_module(lua):
    lua.execute("package.cpath = ...; fixture = require 'fixture'", sys.argv[1])
    return lua.eval("function(address) return function(x) return fixture.call_address(address, x) end end")
def by_ffi(lua):
    lua.execute("ffi = require 'ffi'")
    return lua.eval("function(address) return ffi.cast('int(*)(int)', address) end")
def run(code, *args):
    return lua.execute(code, *args)
"""

RIGHT = """
t = lua.eval("{10, 20, 30, s = 'text'}")
double = lua.eval("function(x) return 2 * x end")
co = lua.eval("function(n) for i = 1, n do coroutine.yield(i) end end")
class Thing:
    def method(self, x): return lua.eval("... * 3", x)
def use(x):
    assert lua.eval("...", x) == x
    assert t[1] == 10 and t["s"] == "text" and len(t) == 3
    t["k" * 50] = object()
    del t["k" * 50]
    assert [v for k, v in t.items() if isinstance(k, int)] == [10, 20, 30]
    assert list(co.coroutine(3)) == [1, 2, 3]
    assert lua.table_from(["a" * 60, object(), {"x": 1}], recursive=True)[3].x == 1
    assert lua.eval("(...):method(2)", Thing()) == 6
    try:
        lua.execute("error('inside')")
    except lupa.LuaError as error:
        assert "inside" in str(error)
    else:
        raise AssertionError
    lua.gccollect()
    return double(x)
lua.globals().call = bind(address(use))
assert run("local s = 0 for i = 1, 10 do s = s + call(i) end return s") == 110
# In coroutines, in callbacks, in callbacks of callbacks, below pcall, and in threads.
twice = "local c = coroutine.wrap(function() coroutine.yield(call(4)) return call(5) end) return c(), c()"
assert run(twice) == (8, 10)
assert list(lua.eval("function() coroutine.yield(call(1)) coroutine.yield(call(2)) end").coroutine()) == [2, 4]
lua.globals().python = lambda x: run("return call(...)", x)
assert run("local s = 0 for i = 1, 5 do s = s + python(i) end return s") == 30
nested = address(lambda x: run("return outer(...)", x - 1) if x else run("return call(7)"))
lua.globals().outer = bind(nested)
assert run("return pcall(outer, 3)") == (True, 14)
results = []
threads = [threading.Thread(target=lambda: results.append(run("return call(21)"))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert results == [42] * 4
assert not FAILED, FAILED
assert lua.eval("1 + 1") == 2
"""


@pytest.fixture
def ways(is_luajit):
    """How this Lua calls C functions."""
    return ["by_module", "by_ffi"] if is_luajit else ["by_module"]


@pytest.fixture
def each_way(isolated, fixture_cpath, ways):  # noqa: F811
    """Runs code in a process for each way, as ``bind``."""

    def check(code):
        for way in ways:
            isolated(PRELUDE + f"bind = {way}(lua)\n" + code, fixture_cpath)

    return check


def test_the_runtime_is_used_again(each_way):
    each_way(RIGHT)


def test_other_runtimes(each_way):
    """A callback that uses another runtime, whose callback uses the first one."""
    each_way(
        """
two = lupa.LuaRuntime()
back = lambda x: lua.eval("... + 1", x)
lua.globals().call = bind(address(lambda x: two.eval("function(f, x) return f(x) end")(back, x)))
assert run("local s = 0 for i = 1, 10 do s = s + call(i) end return s") == 65
assert two.eval("1 + 1") == lua.eval("1 + 1") == 2
"""
    )


def test_wrappers_are_dropped_there(each_way):
    """What Python drops in such a callback is given back to Lua later."""
    each_way(
        """
held = [lua.table(n) for n in range(1000)]
def drop(x):
    for _ in range(50):
        held.pop()
    return x
lua.globals().call = bind(address(drop))
assert run("local s = 0 for i = 1, 10 do s = s + call(i) end return s") == 55
assert len(held) == 500 and [t[1] for t in held] == list(range(500))
"""
    )


def test_iterators_that_wait_there(each_way):
    """What was read ahead in such a callback is read again after Lua has gone on."""
    each_way(
        """
t = lua.eval("{1, 2, 3, 4, 5, 6, 7, 8}")
lua.globals().t = t
steps = iter(t.values())
lua.globals().call = bind(address(lambda x: next(steps)))
assert run("local a = call(0) t[2] = 20 local b = call(0) t[3] = 30 return a, b, call(0)") == (1, 20, 30)
"""
    )


def test_limits_hold_there(each_way):
    """A stop ends what runs in the callback, and what has called it."""
    each_way(
        """
caught = []
def forever(x):
    try:
        run("while true do end")
    except lupa.LuaError as error:
        caught.append(type(error).__name__)
    return x
lua.globals().call = bind(address(forever))
try:
    with lua.limits(seconds=0.2):
        run("call(1) while true do end")
except lupa.LuaTimeoutError:
    caught.append("outer")
assert caught == ["LuaTimeoutError", "outer"], caught
assert lua.eval("1 + 1") == 2
"""
    )


def test_closing_there(each_way):
    """Lua cannot be closed while it runs below."""
    each_way(
        """
errors = []
def close(x):
    try:
        lua.close()
    except lupa.LuaError as error:
        errors.append(str(error))
    return x
lua.globals().call = bind(address(close))
assert run("return call(5)") == 5
assert len(errors) == 1 and "running" in errors[0], errors
lua.close()
"""
    )


@pytest.fixture
def with_ffi(isolated, is_luajit):
    """Runs code in a process of a Lua that has an ffi."""
    if not is_luajit:
        pytest.skip("only LuaJIT has an ffi")
    return lambda code: isolated(PRELUDE + code)


def test_compiled_code_is_left_alone(with_ffi):
    """A function that has come back once is not called from compiled code any more; else there is an error."""
    with_ffi(
        """
lua.globals().call = by_ffi(lua)(address(lambda x: lua.eval("... + 1", x)))
assert run("local s = 0 for i = 1, 3000 do s = s + call(i) end return s") == sum(range(2, 3002))
late, errors = [], []
def sometimes(x):
    if not late:
        return x
    try:
        return lua.eval("... + 1", x)
    except lupa.LuaError as error:
        errors.append(str(error))
        return -1
lua.globals().sometimes = by_ffi(lua)(address(sometimes))
lua.globals().begin = lambda: late.append(True)
loop = "local function loop() local s = 0 for i = 1, 300 do s = s + sometimes(i) end return s end "
run(loop + "loop() loop() begin() loop()")
assert all("compiled code" in error for error in errors), errors
assert lua.eval("1 + 1") == 2
assert run(loop + "jit.off(loop) return loop()") == sum(range(2, 302))
"""
    )


def test_functions_of_lua_as_c_callbacks(with_ffi):
    """C code calls a Lua function, which calls Python: with or without Python's lock, above or below Lua."""
    with_ffi(
        """
run('''
    ffi = require 'ffi'
    callback = ffi.cast('int(*)(int)', function(x) return python_function(x) end)
    where = tonumber(ffi.cast('intptr_t', callback))
    ffi.cdef 'void qsort(void *, size_t, size_t, int (*)(const int *, const int *));'
''')
lua.globals().python_function = lambda x: lua.eval("... * 2", x)
for kind in (ctypes.CFUNCTYPE, ctypes.PYFUNCTYPE):
    function = kind(ctypes.c_int, ctypes.c_int)(lua.globals().where)
    lua.globals().call = lambda x: function(x)
    assert run("local s = 0 for i = 1, 100 do s = s + call(i) end return s") == 10100
lua.globals().below = by_ffi(lua)(address(lambda x: function(x)))
assert run("local s = 0 for i = 1, 100 do s = s + below(i) end return s") == 10100
lua.globals().compare = lambda a, b: lua.eval("function(a, b) return a - b end")(a, b)
assert run('''
    local a = ffi.new('int[10]', {5, 3, 9, 1, 2, 8, 7, 6, 4, 0})
    ffi.C.qsort(a, 10, 4, function(x, y) return compare(x[0], y[0]) end)
    local t = {}
    for i = 0, 9 do t[#t + 1] = a[i] end
    return table.concat(t, ',')
''') == '0,1,2,3,4,5,6,7,8,9'
assert not FAILED, FAILED
"""
    )
