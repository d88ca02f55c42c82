"""The finalizer sweep: each operation is run with a finalizer of Lua that does its worst at the first, second, third,
... point where Lua may run one.

Lua's collector is at its most eager: at each such point it goes through a whole cycle, and the finalizer, which makes
itself anew each time, runs. It counts its runs; at the k-th it changes the containers that are being read, uses the
runtime, lets go of wrappers, resumes a coroutine, closes the runtime, or raises. Whatever it does, the operation ends
in its result or in an exception, and the runtime works on; where nothing that matters was changed, the result is right.

``LUPA_SWEEP=all`` goes through all points of all operations; else each test takes a sample, the same every time.
"""

from __future__ import annotations

import os

import pytest
from sweep_operations import FAILING, OPERATIONS, READING, WITHOUT

pytestmark = pytest.mark.beyond

WHOLE = os.environ.get("LUPA_SWEEP") == "all"

SWEEP = r'''
import copy, random, re, sys, traceback

class Thing:
    x = 1
    def method(self, *args):
        return args
    def __str__(self):
        return "a thing"

def fail():
    raise KeyError("expected")

def error_in_lua(text):
    lua.execute("error((...))", text)

def frames_of(work):
    """What an error that crosses tells of itself."""
    try:
        work()
    except MemoryError:
        raise
    except (lupa.LuaError, KeyError) as error:
        entries = traceback.extract_tb(error.__traceback__)
        return [(e.name, e.line) for e in entries], len(str(error)), bool(getattr(error, "lua_frames", 1))

def new():
    lua = lupa.LuaRuntime()
    lua.execute("""
        runs, kept = 0, {}
        local setmetatable, newproxy, getmetatable = setmetatable, newproxy, getmetatable
        -- At each point where Lua may collect garbage it does, from beginning to end.
        function eager(on)
            if python_version == 505 then
                collectgarbage("param", "pause", on and 0 or 200)
                collectgarbage("param", "stepmul", on and 0 or 200)
            elseif python_version == 504 then
                collectgarbage("incremental", 200, 100, on and 60 or 13)
                collectgarbage("setpause", on and 0 or 200)
            else
                collectgarbage("setpause", on and 0 or 200)
                collectgarbage("setstepmul", on and 10000000 or 200)
            end
            collectgarbage()
            collectgarbage()
        end
        local wanted, wreck
        local function finalizer()
            if not wanted then return end
            if newproxy then getmetatable(newproxy(true)).__gc = finalizer_again
            else setmetatable({}, {__gc = finalizer_again}) end
        end
        function finalizer_again()
            if not wanted then return end
            runs = runs + 1
            finalizer()
            -- 5.2 does not collect again for a while after what a finalizer allocates.
            if python_version == 502 then collectgarbage("restart") end
            if runs == wanted then wreck() end
            if python_version == 502 then collectgarbage("restart") end
        end
        function arm(k, f)
            runs, wanted, wreck = 0, k, f
            kept[1] = f
            finalizer()
        end
        function disarm() wanted = nil return runs end
    """.replace("python_version", str(lupa.LUA_VERSION[0] * 100 + lupa.LUA_VERSION[1])))
    return lua

lua = new()
held, targets, coroutines, arrays = [], [], [], []

def refill():
    """What wrecks work on: wrappers that are let go, and coroutines that are resumed."""
    held[:] = [lua.table(i) for i in range(4)] + [lua.eval("function() end")]
    coroutines[:] = [lua.eval("function(...) while true do coroutine.yield(...) end end").coroutine(1)]
    targets[:] = []
    arrays[:] = [lua.table_from([lupa.as_array(bytearray(8))])]

def quiet(function):
    try:
        function()
    except (lupa.LuaError, TypeError, ValueError, KeyError, StopIteration, RuntimeError):
        pass

def use():
    assert lua.eval("1 + 1") == 2
    assert dict(lua.table_from({"a": "x" * 30, 2: [1]})) != {}
    assert lua.eval("function(f) return f('y' .. 'z') end")(len) == 2
    lua.execute("for x in python.iter(...) do local s = tostring(x) .. 'x' end", ["q" * 40, "r" * 40])

def empty():
    for target in targets:
        if isinstance(target, (list, dict, set, bytearray)):
            quiet(target.clear)
        else:
            for key in list(target):
                target[key] = None

def grow():
    for target in targets:
        if isinstance(target, list):
            target[:0] = ["new " * 10, Thing(), 1]
        elif isinstance(target, dict):
            for i in range(40):
                target[f"new {i}" * 5] = "value " * 10
        elif not isinstance(target, (set, bytearray)):
            for i in range(40):
                target[f"new {i}" * 5] = "value " * 10

def step():
    for co in coroutines:
        quiet(lambda: co.send("sent " * 9))
    for target in targets:
        if hasattr(type(target), "__next__"):
            quiet(lambda: next(target, None))

def close():
    try:
        lua.close()
    except lupa.LuaError as error:
        assert "running" in str(error), error
    else:
        raise AssertionError("a runtime that is in use was closed")

def bad():
    raise KeyError("from a finalizer")

def texts(count, word="item"):
    return [f"{word} {i} " * 5 for i in range(count)]

def pairs(count):
    return dict(zip(texts(count), texts(count, "value")))

def loop(each, adds, *made):
    """A loop in Lua that gives a sum; what it goes over is noted as a target."""
    targets.extend(made)
    return lua.eval(f"function(o, f) local n = 0 for {each}(o) do n = n + {adds} end return n end")

METAMETHODS = """setmetatable({}, {
    __index = function(t, k) return k .. "!" end,
    __newindex = function(t, k, v) rawset(t, k .. "x", v) end,
    __len = function() return #("x"):rep(50) end,
})"""

def put(table, key, value):
    table[key] = value

def noting(function, *made):
    targets.extend(made)
    return lua.eval(function)

WRECKS = {
    "use": use, "empty": empty, "grow": grow, "step": step, "close": close, "raise": bad,
    "drop": held.clear, "collect": gc.collect, "release": lambda: lua.execute("(...):release()", arrays[-1][1]),
}
HARMLESS = ("use", "drop", "collect", "close")

def plain(value, depth=0):
    """A value without addresses."""
    if isinstance(value, (tuple, list)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth < 5:
        return sorted((str(plain(key)), str(plain(item))) for key, item in value.items())
    # The order of a table's fields is not the same in each runtime.
    if isinstance(value, lupa.LuaTable):
        value = "table", sorted(map(repr, value.items()))
    return re.sub(r"0x[0-9a-f]+|\d{9,}", "@", repr(value))

def run(setup, operation, k, wreck, allowed):
    """One operation with a wreck at the k-th point; gives how many points it had, and its result."""
    refill()
    made = setup()
    g = lua.globals()
    arm, disarm, eager = g.arm, g.disarm, g.eager
    eager(True)
    try:
        arm(k, wreck)
        result = plain(operation(made))
    except allowed as error:
        result = type(error).__name__
    except Exception as error:
        assert "from a finalizer" in str(error) or isinstance(error, (RuntimeError, ValueError)), repr(error)
        result = type(error).__name__
    for _ in range(30):
        try:
            points = disarm()
            break
        except (KeyError, lupa.LuaError):
            pass
    eager(False)
    assert lua.eval("1 + 1") == 2
    assert lua.eval("...", "text " * 10, 5) == ("text " * 10, 5)
    assert list(lua.table_from([1, 2]).values()) == [1, 2]
    return points, result

def sweep(setup, operation, allowed, whole, seed, allocates=True):
    """All points, or some, of an operation with each wreck."""
    choose = random.Random(seed)
    points, expected = run(setup, operation, 0, use, allowed)
    again, expected = run(setup, operation, 0, use, allowed)
    assert points > 0 or not allocates, "no finalizer has run"
    ran = 0
    for name, wreck in WRECKS.items():
        ks = range(1, max(points, again) + 2)
        if not whole:
            ks = sorted(choose.sample(ks, min(len(ks), 6)))
        for k in ks:
            seen, result = run(setup, operation, k, wreck, allowed)
            ran += seen >= k
            if name in HARMLESS:
                assert result == expected or "error" in str(result).lower(), (name, k, result, expected)
    assert ran > 0 or not allocates, "no finalizer has done anything"
    print(f"{points} points, {ran} wrecks")
'''


ALL = {**OPERATIONS, **FAILING, **READING}


@pytest.mark.parametrize("name", ALL)
def test_operation(isolated, name):
    setup, operation = ALL[name]
    output = isolated(
        SWEEP
        + f"""
allowed = (lupa.LuaError, KeyError, TypeError, IndexError, OverflowError)
sweep(lambda: {setup}, lambda m: ({operation}), allowed, {WHOLE}, {name!r}, {name not in WITHOUT})
"""
    )
    assert "points" in output


def test_the_sweep_finds_what_it_is_for(isolated):
    """The sweep itself: an operation whose result depends on what a finalizer does is found out."""
    isolated(
        SWEEP
        + """
changed = []
WRECKS["use"] = lambda: changed.append(1)
try:
    sweep(lambda: changed.clear(), lambda m: (lua.eval("{('x'):rep(50)}"), list(changed)), (), True, 0)
except AssertionError as error:
    assert "use" in str(error), error
else:
    raise AssertionError("not found")
"""
    )
