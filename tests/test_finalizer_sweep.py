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
from test_memerr_sweep import FAILING, OPERATIONS, parse

pytestmark = pytest.mark.beyond

WHOLE = os.environ.get("LUPA_SWEEP") == "all"

SWEEP = r'''
import random, re, sys

class Thing:
    x = 1
    def method(self, *args):
        return args
    def __str__(self):
        return "a thing"

def fail():
    raise KeyError("expected")

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

# What is read while a finalizer may change it: targets are noted in the set-up.
READING = parse(
    r"""
list
    targets.append([f'item {i} ' * 5 for i in range(12)] + [1, Thing(), None, b'bytes' * 9])
    list(lua.table_from(targets[-1]).values())

dict
    targets.append({f'key {i} ' * 5: [f'value {i} ' * 5, Thing(), 2.5][i % 3] for i in range(12)})
    dict(lua.table_from(targets[-1]))

nested
    targets.extend([[f'inner {i} ' * 5] for i in range(3)] + [{'k' * 50: ['deep ' * 9]}])
    lua.table_from([targets[0], {'a': targets[1], 'b ' * 9: targets[2]}, targets[3], [['x' * 40]]], recursive=True)

shared
    targets.append(['shared ' * 9])
    lua.table_from([targets[0], targets[0], {'again': targets[0]}], recursive=True)

generator
    None
    list(lua.table_from(f'made {i} ' * 5 for i in range(9)).values())

table_of_table
    targets.append(lua.table_from({f'key {i} ' * 5: f'value {i} ' * 5 for i in range(12)}))
    dict(lua.table_from(targets[0]))

keys
    targets.append(lua.table_from({f'key {i} ' * 5: i for i in range(12)}))
    sorted(targets[0].keys())

items
    targets.append(lua.table_from({f'key {i} ' * 5: f'value {i} ' * 5 for i in range(40)}))
    sorted(targets[0].items())

items_of_objects
    targets.append(lua.table_from({f'key {i} ' * 5: Thing() for i in range(9)}))
    len(list(targets[0].items()))

iterator
    (targets.append(lua.table_from(texts(40))), targets.append(iter(targets[0].values())))
    list(targets[1])

iter_list
    loop('x in python.iter', '#x', [f'item {i} ' * 5 for i in range(30)])
    m(targets[0])

iter_dict
    loop('x in python.iter', '#x', {f'item {i} ' * 5: i for i in range(30)})
    m(targets[0])

iterex
    loop('x, y in python.iterex', '#x + #y', {f'item {i} ' * 5: f'value {i}' * 5 for i in range(30)})
    m(targets[0].items())

iter_calls
    loop('x in python.iter', 'f(x .. "!")', [f'item {i} ' * 5 for i in range(20)])
    m(targets[0], len)

iter_wrappers
    loop('x in python.iter', '#x', [lua.table(1, 2) for i in range(10)])
    m(targets[0])

enumerate
    loop('i, x in python.enumerate', 'i + #x', [f'item {i} ' * 5 for i in range(20)])
    m(targets[0])

args
    noting('function(f, t) return f(python.args(t)) end', lua.table_from({1: 'one ' * 9, 2: 'x', 'n ' * 9: 'y ' * 9}))
    m(lambda *a, **k: (a, k), targets[0])

unpacks
    noting('function(f, t) return f(t) end', lua.table_from(['one ' * 9, 'two ' * 9]))
    m(lupa.unpacks_lua_table(lambda *a, **k: (a, k)), targets[0])

arguments
    targets.append([f'argument {i} ' * 5 for i in range(9)])
    lua.eval('function(...) return ... end')(*targets[0], Thing().x, *[s + '!' for s in targets[0]])

assignments
    targets.append(lua.table_from({'present ' * 6: 1}))
    [put(targets[0], 'present ' * 6, f'value {i} ' * 6) or put(targets[0], f'new {i}' * 6, Thing()) for i in range(5)]

metamethods
    lua.eval(METAMETHODS)
    (m['k' * 50], put(m, 'n' * 50, 'v' * 50), len(m), m.name)

methods
    (lua.eval('function(o, s) return o:method(s .. "!"), o.x, o.method(s, s .. "?") end'), Thing())
    m[0](m[1], 'text ' * 10)

callbacks
    (lua.eval('function(f, ...) return f(..., {}, "a" .. "b", function() end) end'), [])
    m[0](lambda *a: tuple(f'{x} ' * 20 for x in a[:2]), 'x' * 50, 'y' * 50)

results
    lua.eval('function(f) return f() end')
    m(lambda: tuple(f'result {i} ' * 5 for i in range(12)) + (Thing(), 'x'))

coroutine_arguments
    coroutines.append(lua.eval('function(...) coroutine.yield(1, ...) end').coroutine('a ' * 30, Thing()))
    [quiet(lambda: coroutines[-1].send(('b ' * 30, str(i) * 60) if i else None)) for i in range(3)]

coroutine_values
    lua.eval('function() for i = 1, 12 do coroutine.yield(("x"):rep(50) .. i, {}) end end')
    [a for a, b in m.coroutine()]

errors
    lua.eval('function(s) error(s .. "!") end')
    m('message ' * 10)

error_values
    lua.eval('function(s) error({s, setmetatable({}, {__tostring = function() return "T" .. s end})}) end')
    m('message ' * 10)

python_errors
    lua.eval('function(f, s) local ok, e = pcall(f, s .. "!") return ok, tostring(e), f(s) end')
    m(lambda s: fail(), 'message ' * 9)

array_from
    lua.eval('function() local t = {} for i = 1, 20 do t[i] = {i, i + 0.5} end return t end')
    memoryview(lua.eval('python.array_from(...)', m())).tolist()

array_views
    lua.eval('function(a) return a:slice(2, 5):totable(), tostring(a), a:copy():reshape(5, 2), a.shape, a:fill(1) end')
    m(lupa.as_array(bytearray(range(10))))

array_release
    arrays.append(lua.table_from([lupa.as_array(bytearray(range(64))) for _ in range(3)]))
    lua.eval('function(a) for i, x in (a or {each = pairs}):each() do local t = {i, x .. "!"} end end')(arrays[-1][1])

array_buffers
    lupa.as_array(memoryview(bytearray(range(16))))
    [lua.eval('...', m) for _ in range(5)], len(lua.eval('python.zeros(10)'))

as_function
    lua.eval('function(f, s) return python.as_function(f)(s .. "!"), python.as_attrgetter(f).__name__ end')
    m(len, 'text ' * 9)

overflow
    lua.set_overflow_handler(lua.eval('function(o) return "big" .. tostring(o) end'))
    (lua.eval('...', 2**70), lua.eval('{...}', 2**71)[1], lua.set_overflow_handler(None))

eval_again
    [lua.eval('"constant" .. 1') for _ in range(3)]
    [lua.eval('"constant" .. 1') for _ in range(3)], [lua.execute('return {...}', 'x' * i)[1] for i in range(30, 34)]

compile_and_load
    None
    lua.compile('local t = {...} return t[1] .. "x"', name='n ' * 30)('y' * 50)

wrappers
    lua.eval('function() return {}, print, coroutine.create(print), io.stdout, function() end end')
    [type(x).__name__ for _ in range(5) for x in m()]

strings
    lua.eval('function(s) local t = {} for i = 1, 30 do t[i] = s .. i end return t end')
    [s.upper() for s in m('text ' * 9).values()] + [f'{m("k" * 40)[3]}']
""".strip().split("\n\n")
)

# Operations that make nothing that Lua's collector sees, and so give it no occasion to run a finalizer.
WITHOUT = {
    "lua_version",
    "getattr",
    "len_bool_repr",
    "delitem",
    "gccollect",
    "call_same_object",
    "getitem",
    "iterator",
    "call_many",
    "array_buffers",
}

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
