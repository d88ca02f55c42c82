"""Programs that are run while memory is short, again and again: on LuaJIT, their loops are compiled then, or cannot be.

``LUPA_SWEEP=all`` tries each at many points; otherwise it is a sample.
"""

import os

import pytest

pytestmark = pytest.mark.beyond

PROGRAMS = {
    "branches": "for i = 1, 3000 do if i % 3 == 0 then x = i elseif i % 5 == 0 then y = i else z = i end end",
    "recursion": "local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end fib(16)",
    "tail calls": "local function f(n) if n == 0 then return 0 end return f(n - 1) end for i = 1, 200 do f(50) end",
    "strings": "for i = 1, 2000 do local s = string.format('%d %s', i, 'x'):gsub('x', 'y') end",
    "concatenation": "local s = '' for i = 1, 1000 do s = s .. i end return #s",
    "words": "for w in (('abc def '):rep(200)):gmatch('%a+') do local x = w:upper() end",
    "tables": "local t = {} for i = 1, 2000 do t[i] = i t['a' .. i % 20] = i end for i = 1, 2000 do t[i] = nil end",
    "nesting": "local t = {} for i = 1, 100 do t = {t} end for i = 1, 100 do t = t[1] end",
    "coroutines": """for i = 1, 500 do
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a) return b end) co(i) co(i) end""",
    "errors": "for i = 1, 1000 do pcall(error, {i}) pcall(function() local x = nil; x.y = 1 end) end",
    "metamethods": """local mt = {__index = function(t, k) return k end, __add = function(a, b) return a end,
        __eq = function() return true end, __concat = function() return 'c' end}
        local a, b = setmetatable({}, mt), setmetatable({}, mt)
        for i = 1, 1000 do local c = a[i]; c = a + b; c = a == b; c = a .. b end""",
    "varargs": "local function v(...) return select('#', ...) + #{...} end for i = 1, 1000 do v(1, 2, 3, i) end",
    "sorting": """local t = {} for i = 1, 300 do t[i] = (i * 7919) % 1000 end
        for i = 1, 10 do table.sort(t, function(a, b) return a < b end) end table.concat(t)""",
    "closures": "for i = 1, 300 do local f = function() return i end f() end",
    "compiling": "for i = 1, 200 do local f = (loadstring or load)('return ' .. i) f() end",
    "numbers": "for i = 1, 2000 do local x = math.floor(i / 3) + math.sin(i) + i % 7 .. tostring(i) end",
    "finalizers": "for i = 1, 1000 do pcall(setmetatable, {}, {__gc = function() end, __mode = 'k'}) end",
    "callbacks": "for i = 1, 1000 do call(i) end",
    "failing callbacks": "for i = 1, 300 do pcall(fail, i) end",
    "attributes": "for i = 1, 500 do object.x = i local y = object.x object:method(i) end",
    "iteration": "for i = 1, 300 do for x in python.iter(items) do local y = x end end",
    "arrays": """local a = python.zeros(200)
        for r = 1, 20 do for i = 1, 200 do a[i] = a[i] + i end end local b = a:copy() b:fill(3)""",
}
POINTS = [*range(24), *range(24, 400, 12)] if os.environ.get("LUPA_SWEEP") == "all" else [0, 2, 7, 19, 60]

PRELUDE = """
class Thing:
    x = 1
    def method(self, value): return value

def fail(value):
    raise ValueError(value)

def fill(lua, expose):
    values = lua.globals()
    values.call = expose(lambda value: value)
    values.fail = expose(fail)
    values.object = expose(Thing(), attributes=["x", "method"], writable=["x"])
    values.items = expose([1, 2, 3], iterate=True)
    return lua

def attempt(function):
    try:
        function()
    except (lupa.LuaError, MemoryError):
        pass
"""


@pytest.mark.parametrize("short", ["allocations fail", "a limit", "a sandbox"])
def test_programs_without_memory(hostile, short):
    hostile(f"""{PRELUDE}
for code in {list(PROGRAMS.values())!r}:
    for point in {POINTS}:
        if {short == "a sandbox"}:
            lua = lupa.LuaRuntime(sandbox=True)
            fill(lua, lua.expose)
        else:
            lua = fill(lupa.LuaRuntime(max_memory=0), lambda value, **rights: value)
        run = lua.eval("function() " + code + " end")
        if point % 2:
            attempt(run)
        if {short == "allocations fail"}:
            lua._fail_allocations_after(point)
        else:
            lua.set_max_memory(max(1, lua.get_memory_used() + point * 40))
        for _ in range(3):
            attempt(run)
        lua._fail_allocations_after(None)
        lua.set_max_memory(64 << 20)
        run()
        assert lua.eval("(function() local s = 0 for i = 1, 1000 do s = s + i end return s end)()") == 500500
""")


LIBRARY = (
    "s:upper()",
    "s:lower()",
    "s:reverse()",
    "s:sub(2)",
    "s:rep(3)",
    "string.char(66, 65, 66)",
    "string.format('%s%s', s, s)",
    "tostring(0.5 + #s)",
    "os.date(s)",
    "table.concat({s, s})",
    "{s:byte(1, -1)}",
    "setmetatable({}, {})",
    "coroutine.wrap(print)",
    "s .. s",
    "function() return s end",
    "select(2, s, s .. 'y')",
    "unpack({s, s})",
)


def test_a_call_without_memory_after_a_caught_error(hostile):
    """The error has set the top of the stack back, below the frame of the call."""
    hostile(f"""{PRELUDE}
for code in {LIBRARY!r}:
    for place in range(24):
        size, between = (1, 50, 3000)[place % 3], "1, " * (place // 3)
        lua = lupa.LuaRuntime(max_memory=0)
        lua.execute("unpack = unpack or table.unpack function keep(...) return ... end")
        run = lua.eval("function(s, short) short() pcall(error) return keep(" + between + "(" + code + ")) end")
        attempt(lambda: run("z" * size, lambda: lua._fail_allocations_after(0)))
        lua._fail_allocations_after(None)
        assert lua.eval("1 + 1") == 2
""")
