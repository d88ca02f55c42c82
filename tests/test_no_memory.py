"""No memory left in Python or in the process: an exception, and no end of the process."""

import sys

import pytest

pytestmark = pytest.mark.beyond

# Has the n-th allocation of Python fail, for each n, and each operation: what comes is its result or an exception of
# its own kind, never one that says that something is wrong with lupa.
SWEEP = r'''
import array, sys
import _testcapi

class Thing:
    x = 1
    def __call__(self, *args): return args

closed = lupa.LuaRuntime()
lost = closed.table(1)
closed.close()
raw, latin = lupa.LuaRuntime(encoding=None), lupa.LuaRuntime(encoding="latin-1")
filtered = lupa.LuaRuntime(attribute_filter=lambda obj, name, setting: name, unpack_returned_tuples=True)
box = lupa.LuaRuntime(sandbox=True)
table, thing, long = lua.table(1, 2, x=3), Thing(), "y" * 5000
function = lua.eval("function(...) return ... end")
fails = lua.eval("function(x) error(x) end")
call = lua.eval("function(f, ...) return f(...) end")
odd = lua.execute("""
    local function index(t, k) error('no ' .. k) end
    return setmetatable({}, {__tostring = function() return 'text' end, __index = index})
""")
steps = lua.eval("function(n) for i = 1, n do coroutine.yield(i, 'v' .. i) end end")
count = lua.eval("function(l) local n = 0 for x in python.iter(l) do n = n + 1 end return n end")
numbers = lua.eval("python.zeros(4)")
data = {"a": 1, "b": [1, {"c": object()}], 3: 4.5}

operations = [(line, eval("lambda: " + line)) for line in sys.argv[1].split("\n")]
for name, operation in operations:
    for _ in range(2):
        try: operation()
        except (Exception, SystemExit): pass
    succeeded = n = 0
    while succeeded < 12 and n < 400:
        n += 1
        found = None
        remove, fail = _testcapi.remove_mem_hooks, _testcapi.set_nomemory
        try:
            try:
                fail(n, n + 1)
                operation()
            finally:
                remove()
        except BaseException as error:
            remove()
            found = error
        succeeded = 0 if isinstance(found, MemoryError) else succeeded + 1
        assert isinstance(found, (Exception, SystemExit, type(None))), (name, n, repr(found))
        assert not isinstance(found, SystemError) and "bug in lupa" not in str(found), (name, n, repr(found))
assert lua.eval("1 + 1") == 2
'''

OPERATIONS = {
    "errors": r"""
        lua.eval("+")
        lua.execute("error('boom')")
        fails(long)
        fails({})
        fails(5)
        fails(chr(0x20AC))
        raw.eval("error('x\255')")
        latin.eval("error('x\255')")
        closed.eval("1")
        lost[1]
        function(lost)
        odd.name
        function.name
        function(a=1)
        function(2**70)
        lua.eval("'\255'")
        function(chr(0xD800))
        lua.eval("(...).nothing", thing)
        lua.execute("python.iter()")
        lua.require("nomod")
        lua.require(5)
        lua.table_from(5)
        lua.execute("os.exit(3)")
        closed.__enter__()
        call(lua.close)
        lua.limits(memory=-1)
        lua.set_overflow_handler(5)
        lua.set_max_memory(5)
        lupa.LuaRuntime(array_base=5)
        lupa.LuaRuntime(libs=["x"])
        lua.eval("(function() while true do end end)()", timeout=0.001)
    """,
    "values": r"""
        lua.eval("1 + 1")
        lua.eval("'abc' .. 12, 1.5, {}, print")
        lua.execute("local a = ... return a", long)
        table[1]
        table.x
        table.__setitem__("k", long)
        len(table)
        repr(table)
        str(odd)
        repr(function)
        dict(table)
        list(table.items())
        repr(iter(table))
        list(steps.coroutine(3))
        lua.table(1, b"y", 1.5, None, thing, a=3)
        lua.table_from(data, [1, 2], recursive=True)
        lua.table_from(iter([1, 2, 3]))
        function(object())
        lua.eval("(...).x", thing)
        lua.eval("(...)(1, 'a', {})", thing)
        lua.execute("(...).y = 'abc'", thing)
        lua.eval("tostring(...)", thing)
        call(lambda *a: a, *range(300, 320))
        count([1, "x", {}])
        count(data)
        lua.eval("(...)(python.args{1, 2, a = 3})", lambda *a, **k: (a, k))
        count(i for i in range(3))
        lua.eval("python.as_function(...)(1)", str)
        filtered.eval("(...)()", lambda: tuple(range(9)))
        lupa.lua_type(table)
        lupa.as_attrgetter(thing)
        lua.lua_implementation
        lua.gccollect()
        lupa.LuaRuntime[bytes]
    """,
    "runtimes": r"""
        lupa.LuaRuntime()
        lupa.LuaRuntime(sandbox=True, max_memory=10**6)
        lupa.LuaRuntime(attribute_filter=print)
        filtered.eval("(...).x", thing)
        filtered.eval("python.builtins.getattr(..., 'x')", thing)
        filtered.eval("python.builtins.vars(...)", thing)
        filtered.eval("python.builtins.dir(...)", thing)
        filtered.eval("python.builtins.exec('1')")
        box.eval("(...).x", thing)
        box.eval("(...)()", print)
        box.expose(thing, attributes=["x"])
        box.expose(thing, attributes="x")
        box.expose(thing, nonsense=1)
        lupa.exposed(attributes=["x"])(Thing)
        box.expose(attributes=["x"])
        lua.limits(seconds=1).__enter__()
    """,
    "arrays": r"""
        lua.eval("python.zeros(2, 3)")
        numbers.shape
        numbers.strides
        numbers.dtype
        numbers.__array_interface__
        repr(numbers)
        memoryview(numbers).tolist()
        lua.eval("(...)[1]", numbers)
        lua.eval("(...)[10]", numbers)
        lua.eval("(...).foo", numbers)
        lua.execute("(...)[1] = 'x'", numbers)
        lupa.as_array(5)
        lua.eval("python.array_from{{1, 2}, {3, 4}}")
        lua.eval("python.array_from{{1, 2}, {3}}")
        lua.eval("python.array(...)", array.array("d", [1, 2]))
        lua.eval("python.zeros(2, 'foo')")
    """,
}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_each_allocation_of_python_fails(isolated, kind):
    pytest.importorskip("_testcapi")
    lines = [line.strip() for line in OPERATIONS[kind].split("\n")]
    isolated(SWEEP, "\n".join(filter(None, lines)))


# What a script or a caller makes as large as it likes, in a process that has little memory left.
LARGE = [
    "lua.execute('error((...))', text)",
    "lua.execute('local s = ... error(setmetatable({}, {__tostring = function() return s end}))', text)",
    "lua.execute('local t = {} for i = 1, 20 do t[i] = (...) .. i end error(table.concat(t))', text)",
    "lua.eval('(...):rep(8)', text)",
    "lua.compile(text * 4)",
    "lua.eval(text * 4)",
    "str(lua.execute('local s = ... return setmetatable({}, {__tostring = function() return s end})', text))",
    "lua.eval('(...)(...)', lambda value: (value * 3).missing)",
    "lua.eval('python.builtins.str(...) .. (...)', text)",
    "lua.table_from([text * i for i in range(1, 50)])",
    "lua.table_from(itertools.repeat(1, 10**8))",
    "dict(lua.execute('local t = {} for i = 1, 1e7 do t[i] = i + 0.5 end return t'))",
    "lua.eval('(...)((table.unpack or unpack)(t, 1, 7000))', lambda *a: a * 100000)",
    "lua.eval('print')(*range(10**6))",
    "lua.eval('python.zeros(1e9)')",
    "lua.eval('#python.zeros(1e6):copy():copy()')",
    "lua.execute(f'local function {name[:40000]}() error(1) end {name[:40000]}()')",
    "list(lua.eval('function(s) while true do s = s .. s coroutine.yield(s) end end').coroutine(text))",
]


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
@pytest.mark.parametrize("room", [8, 64])
@pytest.mark.parametrize("code", LARGE)
def test_little_memory(isolated, code, room):
    isolated(
        """
        import itertools, resource, sys
        lua.execute("t = {} for i = 1, 7000 do t[i] = i end")
        text, name = "x" * 5_000_000, "n" * 5_000_000
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        limit = used + int(sys.argv[2]) * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for _ in range(2):
            try:
                eval(sys.argv[1])
            except (MemoryError, OverflowError, lupa.LuaError, AttributeError, TypeError, RuntimeError):
                pass
        del text, name
        assert lua.eval("1 + 1") == 2
        """,
        code,
        str(room),
    )
