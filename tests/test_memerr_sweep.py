"""Fault injection: each operation is run with its first, second, third, ... allocation in Lua failing.

Whatever fails, the operation ends in its result or in an exception, and the runtime works on.  The runtime's method
``_fail_allocations_after(k)`` lets k more allocations pass; where it is missing, a memory limit that is lowered in
small steps takes its place.
"""

import pytest

pytestmark = pytest.mark.beyond

SWEEP = '''
import faulthandler
import sys

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


def parse(text):
    """Paragraphs of a name, an expression for the set-up (its value is ``m``) and the operation that is swept."""
    return {name: (setup, operation) for name, setup, operation in (map(str.strip, p.split("\n")) for p in text)}


OPERATIONS = parse(
    r"""
eval
    None
    lua.eval('1, "abc", {}')

eval_fresh_code
    str(object())
    lua.eval('{' + repr(m) + '}')

execute
    None
    lua.execute('local t = {} for i = 1, 20 do t[i] = {i, tostring(i)} end return t')

execute_name
    None
    lua.execute('return 1', name='a name ' * 20)

compile
    str(object())
    lua.compile('return function() return ' + repr(m) + ' end')

syntax_error
    str(object())
    lua.eval(repr(m) + ' x x')

call_str
    lua.eval('function(...) return ... end')
    m('a' * 50, str(object()), b'bytes' * 9)

call_many
    lua.eval('function(...) return ... end')
    m(*range(300))

call_objects
    lua.eval('function(...) return ... end')
    m(Thing(), [1], object(), len)

call_same_object
    (lua.eval('function(a, b) return a == b end'), Thing())
    m[0](m[1], m[1])

call_views
    lua.eval('function(a) return a.get end')
    m(lupa.as_attrgetter({})), m(lupa.as_itemgetter({'get': 1}))

callback
    lua.eval('function(f, s) return f(s .. "x", {}) end')
    m(lambda *a: a, str(object()))

callback_results
    lua.eval('function(f) return f() end')
    m(lambda: (1, 'x' * 50)), m(lambda: Thing())

table
    None
    lua.table(1, 'two', [3], a=1, b='x' * 50)

table_from
    None
    lua.table_from([1, 'x' * 40, [2]], {'a': 1, 'b': Thing()}, (str(i) * 9 for i in range(9)))

table_from_table
    lua.table_from(range(20))
    lua.table_from(m, m)

table_from_recursive
    None
    lua.table_from({'a': [1, {'b': (2, 'x' * 50)}], 'c': {'d': [Thing()]}}, recursive=True)

table_from_generator
    lua.eval('function(x) return {x} end')
    lua.table_from(m(i) for i in range(5))

getitem
    lua.eval('{a = {1}}')
    m['a'], m[str(object())], m[1], m['a'][1]

getattr
    lua.eval('{abc = {1}}')
    m.abc, m.abd, m.abc[1]

getitem_metamethod
    lua.eval('setmetatable({}, {__index = function(t, k) return {k} end})')
    m['k' * 50], m[1]

setitem
    lua.table()
    m.__setitem__(str(object()), 'v' * 50), m.__setitem__(1, Thing()), m.__setitem__(None, 2)

setattr
    lua.table()
    setattr(m, 'name' * 20, 'v' * 50), setattr(m, 'o', Thing())

setitem_metamethod
    lua.eval('setmetatable({}, {__newindex = rawset})')
    m.__setitem__(str(object()), {})

delitem
    lua.eval('{a = 1}')
    m.__delitem__('a'), m.__delitem__(str(object()))

iteration
    lua.eval('{1, 2, {3}, a = "x"}')
    list(m), list(m.values()), list(m.items())

len_bool_repr
    lua.eval('{1, 2}')
    len(m), bool(m), repr(m), str(m), lupa.lua_type(m)

tostring
    lua.eval('setmetatable({}, {__tostring = function() return ("x"):rep(99) end})')
    str(m)

globals
    None
    lua.globals().string.rep('x', 50), lua.globals()

coroutine
    lua.eval('function(...) for i = 1, 3 do coroutine.yield({i}, ...) end end')
    list(m.coroutine('a' * 50, Thing()))

coroutine_send
    lua.eval('function() while true do coroutine.yield({coroutine.yield()}) end end').coroutine()
    m.send(None), m.send(('x' * 50, Thing()))

coroutine_return
    lua.eval('function() return coroutine.create(function() end), coroutine.running() end')
    m()

coroutine_error
    lua.eval('function() error({}) end')
    next(m.coroutine())

require
    lua.execute('package.loaded.m = nil; package.preload.m = function() return {} end')
    lua.require('m')

require_missing
    str(object())
    lua.require(m)

lua_error
    lua.eval('function() error("x") end')
    m()

lua_error_object
    lua.eval('function() error({}) end')
    m()

deep_lua_error
    lua.execute('local function f(n) if n == 0 then error("x") end f(n - 1) return 1 end return f')
    m(20)

method
    (lua.eval('function(o) return o:method(1), o.x, tostring(o) end'), Thing())
    m[0](m[1])

assign
    (lua.eval('function(o) o.y = {}; o.z = "text" end'), Thing())
    m[0](m[1])

python_iter
    lua.eval('function(o) for x in python.iter(o) do end for x, y in python.iterex({}) do end end')
    m([1, 'x' * 40, Thing()])

python_iterex
    lua.eval('function(o) for a, b in python.iterex(o) do end end')
    m([(1, 'x' * 40), (Thing(), 2)])

python_enumerate
    lua.eval('function(o) for i, x in python.enumerate(o) do end end')
    m([1, 'x' * 40, Thing()])

python_args
    lua.eval('function(f) return f(python.args{1, a = "x"}) end')
    m(lambda *a, **k: (a, k))

python_as_function
    lua.eval('function(f) return python.as_function(f) end')
    m(len), m(lambda: 1)

python_views
    lua.eval('function(o) return python.as_attrgetter(o).get, python.as_itemgetter(o).get end')
    m({'get': 1})

python_eval
    None
    lua.eval('python.eval("[1, 2]"), python.builtins.str(5)')

overflow_handler
    lua.set_overflow_handler(float)
    lua.set_overflow_handler(float), lua.eval('...', 2**70)

unpacks_lua_table
    (lua.eval('function(f) return f{1, a = 2} end'), lupa.unpacks_lua_table(lambda *a, **k: 1))
    m[0](m[1])

gccollect
    lua.eval('setmetatable({{}}, {__mode = "v"})')
    lua.gccollect()

lua_version
    None
    lua.lua_version, lua.lua_implementation

new_wrappers
    lua.eval('function() return {}, {}, print, io.stdout, coroutine.running() end')
    [m() for _ in range(20)]
""".strip().split("\n\n")
)

# Operations that end in an exception of their own when memory is sufficient.
FAILING = parse(
    r"""
python_error
    lua.eval('function(f) f() end')
    m(fail)

python_error_in_coroutine
    lua.eval('function(f) f() end')
    next(m.coroutine(fail))

python_error_in_pcall
    lua.eval('function(f) local ok, e = pcall(f); error(e) end')
    m(fail)

python_error_in_index
    lua.eval('function(o) return o.missing end')
    m({})

python_error_in_iter
    lua.eval('function(o) for x in python.iter(o) do end end')
    m(fail() for _ in [1])

python_error_in_table_from
    None
    lua.table_from(['x' * 40, [1]], (fail() for _ in [1]))
""".strip().split("\n\n")
)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(isolated, name):
    setup, operation = OPERATIONS[name]
    failing = name in ("syntax_error", "require_missing", "coroutine_error", "python_iter") or "lua_error" in name
    if failing:  # these end in a LuaError at best: count steps instead of successes
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
