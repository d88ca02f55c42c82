"""Fault injection: each operation is run with its first, second, third, ... allocation in Lua failing.

Whatever fails, the operation ends in its result or in an exception, and the runtime works on.  The runtime's method
``_fail_allocations_after(k)`` lets k more allocations pass; where it is missing, a memory limit that is lowered in
small steps takes its place.
"""

import pytest
from sweep_operations import ENDING_IN_ERRORS, FAILING, OPERATIONS

pytestmark = pytest.mark.beyond

SWEEP = '''
import copy
import faulthandler
import sys
import traceback

lua = lupa.LuaRuntime(max_memory=0)
ALLOWED = (MemoryError, lupa.LuaError)

class Thing:
    x = 1
    def method(self, *args):
        return args
    def __str__(self):
        return "a thing"

def fail():
    raise KeyError("expected")

def frames_of(work):
    """What an error that crosses tells of itself."""
    try:
        work()
    except MemoryError:
        raise
    except (lupa.LuaError, KeyError) as error:
        entries = traceback.extract_tb(error.__traceback__)
        return [(e.name, e.line) for e in entries], len(str(error)), bool(getattr(error, "lua_frames", 1))

def arm(k):
    """Let k more allocations succeed (or k * 16 more bytes, without the hook)."""
    if hasattr(lua, "_fail_allocations_after"):
        lua._fail_allocations_after(k)
    else:
        lua.gccollect()
        lua.set_max_memory(max(lua.get_memory_used(), 0) + 1 + k * 16)

def disarm():
    if hasattr(lua, "_fail_allocations_after"):
        lua._fail_allocations_after(None)
    else:
        lua.set_max_memory(0)

def check():
    """The runtime works, and Lua's stack of the main thread is empty."""
    assert lua.eval("1 + 1") == 2
    assert lua.eval("...", "text", 5) == ("text", 5)
    assert list(lua.table_from([1, 2]).values()) == [1, 2]
    assert lua.eval("function(f) return f(3) end")(lambda x: x) == 3

def sweep(setup, operation, expected=()):
    """Run an operation with more and more allocations allowed, until it succeeds thrice in a row."""
    successes = k = failures = 0
    while successes < 3:
        assert k < 5000, "the operation never succeeds"
        made = setup()
        arm(k)
        try:
            operation(made)
            successes += 1
        except ALLOWED:
            successes = 0
            failures += 1
        except expected:
            successes += 1
        finally:
            disarm()
        check()
        del made
        k += 1
    print(f"{k} steps, {failures} failed")
    return failures
'''


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(isolated, name):
    setup, operation = OPERATIONS[name]
    if name in ENDING_IN_ERRORS:  # count steps instead of successes
        isolated(
            SWEEP
            + f"""
def operation(m):
    try:
        {operation}
    except MemoryError:
        raise
    except lupa.LuaError as error:
        if "not enough memory" in str(error):
            raise

sweep(lambda: {setup}, operation)
"""
        )
    else:
        isolated(SWEEP + f"\nsweep(lambda: {setup}, lambda m: ({operation}))\n")


@pytest.mark.parametrize("name", FAILING)
def test_operation_that_raises(isolated, name):
    setup, operation = FAILING[name]
    isolated(SWEEP + f"\nsweep(lambda: {setup}, lambda m: ({operation}), (KeyError, TypeError))\n")


def test_the_sweep_injects_failures(isolated):
    """The sweep itself: an operation that allocates fails at some steps."""
    isolated(
        SWEEP
        + """
assert sweep(lambda: None, lambda m: lua.execute("local t = {} for i = 1, 20 do t[i] = {i} end return t")) >= 3
"""
    )


def test_new_runtimes(isolated):
    """A runtime whose limit is hardly more than nothing is made, and works once the limit is lifted."""
    isolated("""
        for limit in list(range(1, 200)) + list(range(200, 5000, 37)):
            try:
                lua = lupa.LuaRuntime(max_memory=limit)
            except (MemoryError, lupa.LuaError):
                continue
            try:
                lua.execute("x = {1, 2, 3}")
            except MemoryError:
                pass
            lua.set_max_memory(0)
            assert lua.eval("1 + 1") == 2
    """)


def test_leaks_of_failed_operations(isolated):
    """Objects that a failed operation has seen are freed."""
    isolated(
        SWEEP
        + """
import weakref

function = lua.eval("function(...) return {...} end")
references = []
for k in range(60):
    things = [Thing() for _ in range(3)]
    references += map(weakref.ref, things)
    arm(k)
    try:
        function(*things)
        lua.table_from(things, {"k": things[0]})
        lua.table_from({"a": [things[1]]}, recursive=True)
    except ALLOWED:
        pass
    finally:
        disarm()
    del things
for _ in range(4):
    lua.gccollect()
    gc.collect()
alive = sum(reference() is not None for reference in references)
assert alive == 0, alive
"""
    )


@pytest.mark.parametrize("order", ["i = 1, 70", "i = 70, 1, -1", "j = 0, 69"])
def test_a_table_that_cannot_grow_loses_nothing(isolated, lupa, order):
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua of 5.1, 5.2 or LuaJIT does")
    isolated(
        SWEEP
        + f"""
NAMES = dict(zip("abcde", "abcde"))
fill = lua.eval('''function(t, noted)
    for {order} do
        local i = i or j * 37 % 70 + 1
        t[i] = i
        noted[0] = noted[0] + 1
        noted[noted[0]] = i
    end
end''')
failures = 0
for k in range(60):
    table = lua.table_from(NAMES)
    noted = lua.eval("(function() local t = {{}} for i = 0, 100 do t[i] = 0 end return t end)()")
    arm(k)
    try:
        fill(table, noted)
    except ALLOWED:
        failures += 1
    finally:
        disarm()
    for place in range(1, noted[0] + 1):
        assert table[noted[place]] == noted[place], (k, noted[place], dict(table))
    lua.eval("(function(t) for i = 1, 300 do t[i] = i end end)(...)", table)
    assert dict(table) == NAMES | {{number: number for number in range(1, 301)}}, k
assert failures > 3
check()
"""
    )
