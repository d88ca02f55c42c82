"""Finalizers of Lua that change what an operation is in the middle of: each case in a process of its own."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.beyond

# `arm(f)` calls `f` whenever Lua's collector finds garbage, again and again.
PRELUDE = """
lua.execute('''
    kept = {}
    function arm(wreck)
        kept[#kept + 1] = wreck
        local function again()
            if newproxy then getmetatable(newproxy(true)).__gc = function() again() wreck() end
            else setmetatable({}, {__gc = function() again() wreck() end}) end
        end
        again() again()
    end
    function churn(n) for i = 1, n do local t = {i, tostring(i)} end end
''')
arm, churn = lua.globals().arm, lua.globals().churn
class Fresh:
    def __init__(self, n): self.n = n
"""


@pytest.fixture
def wrecked(hostile):
    return lambda code: hostile(PRELUDE + code)


def test_table_from_a_list_that_is_emptied(wrecked):
    wrecked(
        """
items = []
arm(items.clear)
for n in range(1500):
    items[:] = [s for i in range(64) for s in [f"{n} {i} " + "x" * 28] for s in (s, s)]
    lua.table_from(items)
"""
    )


def test_table_from_a_dict_that_is_emptied(wrecked):
    wrecked(
        """
data = {}
arm(data.clear)
for n in range(1500):
    key = f"key {n} " + "k" * 28
    data.clear()
    data.update({f"{key} {i}": [f"value {n} {i} " + "v" * 20, Fresh(i), 1.5][i % 3] for i in range(64)})
    attempt(lambda: lua.table_from(data), check=False, allowed=(RuntimeError, lupa.LuaError))
"""
    )


def test_nested_containers_that_are_emptied(wrecked):
    wrecked(
        """
holder = []
def wreck():
    for part in holder: part.clear()
arm(wreck)
for n in range(400):
    inner = [f"inner {n} {i} " + "x" * 25 for i in range(30)]
    holder[:] = [inner, {"k" * 30 + str(n): inner, f"{n}": [f"{n} y" * 9]}]
    data = [holder[0], holder[1], [1, [2, [f"deep {n} " + "z" * 30]]]]
    holder.append(data)
    attempt(lambda: lua.table_from(data, recursive=True), check=False, allowed=(RuntimeError, lupa.LuaError))
"""
    )


LOOPS = {
    "iterex": "for k, v in python.iterex(items) do seen(k, v) end",
    "iter": "for k in python.iter(items) do seen(k) end",
    "enumerate": "for i, k in python.enumerate(items) do seen(k) end",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_iteration_in_lua(wrecked, loop):
    """Strings that were read ahead go to Lua whole, whatever a finalizer does to the container or the runtime."""
    adding = LOOPS[loop].replace("seen(k, v)", "n = n + #k + #v").replace("seen(k)", "n = n + #k")
    wrecked(
        f"""
data = {{}}
bad = []
def seen(*values):
    for value in values:
        if not isinstance(value, str) or value[:4] not in ("key ", "val ") or value[-1] != "!":
            bad.append(value)
g = lua.globals()
g.seen = seen
run = lua.eval("function(items) local n = 0 {adding} return n end")
check = lua.eval("function(items) {LOOPS[loop]} end")
def wreck():
    for key in list(data)[:3]:
        del data[key]
    lua.eval("1")
def use(): lua.eval("1"), lua.table_from(["x" * 30])
kind = (lambda d: d.items()) if {loop!r} == "iterex" else list
for wrecking in (wreck, use, data.clear, churn):
    arm(wrecking if wrecking is not churn else (lambda: churn(10)))
    for n in range(200):
        data.clear()
        data.update({{f"key {{n}} {{i}} " + "k" * 30 + "!": f"val {{n}} {{i}} " + "v" * 30 + "!" for i in range(40)}})
        allowed = (RuntimeError, lupa.LuaError)
        attempt(lambda: check(kind(data)), check=False, allowed=allowed)
        attempt(lambda: run(kind(data)), check=False, allowed=allowed)
assert not bad, bad[:5]
"""
    )


def test_iteration_in_python(wrecked):
    """A finalizer that uses, or drops, the very iterator."""
    wrecked(
        """
t = lua.table()
for i in range(200):
    t[f"key {i} " + "k" * 30] = f"val {i} " + "v" * 30
steps = [iter(t.items())]
def wreck():
    for step in steps[:1]:
        try: next(step, None)
        except (ValueError, lupa.LuaError): pass
    lua.eval("1")
arm(wreck)
for n in range(60):
    steps[:] = [iter((t.items, t.keys, t.values)[n % 3]())]
    got = []
    try:
        for x in steps[0]:
            got.append(x)
            churn(3)
    except (ValueError, lupa.LuaError): pass
    for x in got:
        for s in x if isinstance(x, tuple) else [x]:
            assert s[:4] in ("key ", "val ") and s[-1] in "kv", s
"""
    )


def test_arguments_of_calls_and_assignments(wrecked):
    wrecked(
        """
f = lua.eval("function(...) return select('#', ...) end")
t = lua.table()
held = []
def wreck():
    held.clear()
    t["long key that is there " + "k" * 30] = None
    lua.table_from(["x" * 50])
arm(wreck)
for n in range(600):
    held[:] = [Fresh(i) for i in range(5)] + [f"text {n} " + "x" * 60] * 2
    assert f(*held, f"other {n}" * 9, Fresh(n), *range(n % 20)) == 9 + n % 20
    t["long key that is there " + "k" * 30] = f"value {n} " + "v" * 50
    t[f"key {n} " + "k" * 40] = Fresh(n)
    t[f"key {n} " + "k" * 40] = None
"""
    )


def test_coroutines_that_a_finalizer_resumes(wrecked):
    """Between the look at a coroutine and its resume, arguments are made: a finalizer may have been quicker."""
    wrecked(
        """
gen = lua.eval("function(...) while true do coroutine.yield(select('#', ...)) end end")
short = lua.eval("function(...) coroutine.yield(1) end")
current = []
def wreck():
    for co in current:
        try: co.send("resumed by a finalizer " + "x" * 30)
        except (StopIteration, TypeError, lupa.LuaError): pass
arm(wreck)
for n in range(600):
    for make in (gen, short):
        current[:] = [make.coroutine(f"argument {n} " + "a" * 40, Fresh(n))]
        co = current[0]
        for k in range(4):
            try: co.send((f"sent {n} {k} " + "s" * 40, Fresh(k)) if k else None)
            except (StopIteration, TypeError, lupa.LuaError): pass
"""
    )


def test_closing_and_collecting_there(wrecked):
    """A finalizer that tries to close the runtime gets an error, and one that collects again is right."""
    wrecked(
        """
errors = []
def wreck():
    try: lua.close()
    except lupa.LuaError as error: errors.append(str(error))
arm(wreck)
arm(lambda: gc.collect(0))
for n in range(300):
    lua.table_from([f"{n} {i} " + "x" * 30 for i in range(20)])
    lua.eval("{...}", Fresh(n), "y" * 50)
assert errors and all("running" in error for error in errors)
"""
    )


def test_errors_in_finalizers(hostile):
    """An error that a finalizer raises below a protected call finds its way, wherever the collector has come."""
    hostile(
        """
def bad(*args): raise KeyError("from a finalizer")
lua.globals().bad = bad
lua.execute('''
    function garbage(n)
        for i = 1, n do
            if newproxy then getmetatable(newproxy(true)).__gc = function() bad(i .. "x") end
            else setmetatable({}, {__gc = function() bad(i .. "x") end}) end
        end
    end
    function work(s) local t = {} for i = 1, 200 do t[i] = s .. i .. tostring(i) end return #t end
    function nested(f, s) return f(s .. "!") end
''')
g = lua.globals()
for number in range(300):
    attempt(lambda: g.garbage(5), lambda: g.work("text " * 9), lambda: g.nested(g.work, "text " * 9),
            lambda: g.nested(lambda s: g.work(s), "text"), check=False, allowed=(KeyError, lupa.LuaError))
attempt(lua.gccollect, allowed=(KeyError, lupa.LuaError), check=False)
"""
    )
