"""The system's stack has an end, and whatever recurses through C code meets it with an error, in any thread.

``RECURSIONS`` is the list of what calls back from C code, with the Luas where it does so.
"""

from __future__ import annotations

import json

import pytest

ALL = "lua51 lua52 lua53 lua54 lua55 luajit20 luajit21"
SINCE_52 = "lua52 lua53 lua54 lua55"
SINCE_53 = "lua53 lua54 lua55"
SINCE_54 = "lua54 lua55"
JIT = "luajit20 luajit21"
OLD = f"lua51 {JIT}"


def metamethod(event: str, use: str, luas: str = ALL) -> tuple[str, str]:
    """A recursion through a metamethod, where ``x`` and ``y`` have it."""
    return luas, f"x = setmetatable({{}}, {{__{event} = f}}) y = setmetatable({{}}, getmetatable(x)) {use}"


# What is in the function `f`, by what it is about, and where it recurses without end.
RECURSIONS = {
    # The basic library.
    "pcall": (ALL, "assert(pcall(f))"),
    "xpcall": (ALL, "assert(xpcall(f, tostring))"),
    "the handler of xpcall": (ALL, "xpcall(error, f)"),
    "xpcall in its handler": (ALL, "xpcall(error, function() xpcall(f, tostring) end)"),
    "tostring": metamethod("tostring", "tostring(x)"),
    "print": metamethod("tostring", "print(x)"),
    "error": metamethod("tostring", "error(x)"),
    "load": (SINCE_52 + " " + JIT, "assert(load(f))"),
    "load, which goes on": (
        ALL,
        "local n = 0 load(function() n = n + 1 if n == 2 then f() end return n < 3 and ' ' or nil end)",
    ),
    "require": (ALL, "name = (name or 0) + 1 package.preload['m' .. name] = f require('m' .. name)"),
    "a searcher": (
        ALL,
        "local list = package.searchers or package.loaders list[1] = f name = (name or 0) + 1 require('n' .. name)",
    ),
    "dofile": (ALL, "dofile(FILE)"),
    "pairs": metamethod("pairs", "pairs(x)", SINCE_52),
    "ipairs": metamethod("index", "for _ in ipairs(x) do end", SINCE_53),
    "__ipairs": metamethod("ipairs", "ipairs(x)", "lua52"),
    "select": metamethod("index", "select('#', x.y)"),
    "the collector": (
        ALL,
        "if newproxy then getmetatable(newproxy(true)).__gc = f else setmetatable({}, {__gc = f}) end "
        "for i = 1, 2 do collectgarbage() end",
    ),
    "warn": (SINCE_54, "warn(tostring(setmetatable({}, {__tostring = f})))"),
    # Tables.
    "table.sort": (ALL, "table.sort({3, 2, 1}, f)"),
    "table.sort, __lt": metamethod("lt", "table.sort({x, y, x})"),
    "table.foreach": (OLD, "table.foreach({1}, f)"),
    "table.foreachi": (OLD, "table.foreachi({1}, f)"),
    "table.concat": (SINCE_53, "table.concat(setmetatable({}, {__index = f, __len = function() return 3 end}))"),
    "table.unpack": metamethod("index", "table.unpack(x, 1, 2)", SINCE_53),
    "table.insert": (SINCE_53, "table.insert(setmetatable({}, {__newindex = f}), 1)"),
    "table.remove": (SINCE_53, "table.remove(setmetatable({}, {__index = f, __len = function() return 3 end}))"),
    "table.move": metamethod("index", "table.move(x, 1, 2, 3)", SINCE_53),
    "#": metamethod("len", "table.insert(x, 1)", SINCE_53),
    # Strings.
    "string.gsub": (ALL, "string.gsub('x', 'x', f)"),
    "string.gsub, __index": metamethod("index", "string.gsub('x', 'x', x)"),
    "string.format": metamethod("tostring", "string.format('%s', x)", SINCE_52 + " " + JIT),
    "string.format, many": metamethod("tostring", "('%s%s%s'):format(x, 1, y)", SINCE_52 + " " + JIT),
    "string.format, as a function": (ALL, "string.format('%s', string.gsub('x', '.', f))"),
    "arithmetic of strings": metamethod("add", "return '10' + x"),
    "the iterator of string.gmatch": (ALL, "for w in string.gmatch('x', 'x') do f() end"),
    "a buffer of strings": metamethod("tostring", "require('string.buffer').new():put(x)", "luajit21"),
    # Numbers, the system, debugging.
    "os.time": metamethod("index", "os.time(x)"),
    "io.lines": (ALL, "for line in io.lines(FILE) do f() end"),
    "a hook": (ALL, "coroutine.wrap(function() debug.sethook(f, '', 1) for i = 1, 10 do end end)()"),
    "debug.setmetatable": (ALL, "debug.setmetatable(1, {__index = f}) local one = 1 return one.x"),
    # Coroutines.
    "coroutine.resume": (ALL, "assert(coroutine.resume(coroutine.create(f)))"),
    "coroutine.wrap": (ALL, "coroutine.wrap(f)()"),
    "coroutine.wrap in a loop": (ALL, "for i in coroutine.wrap(f) do end"),
    "pcall in coroutines": (ALL, "assert(pcall(coroutine.wrap(function() assert(pcall(f)) end)))"),
    "resume of what has yielded": (
        ALL,
        "local co = coroutine.wrap(function() coroutine.yield() f() end) co() co()",
    ),
    "gsub in coroutines": (ALL, "coroutine.wrap(function() string.gsub('x', 'x', f) end)()"),
    "coroutine.close": (
        SINCE_54,
        "local co = coroutine.create(function() local x <close> = setmetatable({}, {__close = f}) "
        "coroutine.yield() end) assert(coroutine.resume(co)) assert(coroutine.close(co))",
    ),
    # Metamethods.
    "__index": metamethod("index", "return x.y"),
    "__newindex": metamethod("newindex", "x.y = 1"),
    "__call": metamethod("call", "x()"),
    "__add": metamethod("add", "return x + 1"),
    "__unm": metamethod("unm", "return -x"),
    "__concat": metamethod("concat", "return x .. 'a' .. 'b'"),
    "__eq": metamethod("eq", "return x == y"),
    "__lt": metamethod("lt", "return x < y"),
    "__le": metamethod("le", "return x <= y"),
    "__len": metamethod("len", "return #x", SINCE_52),
    "__close": (SINCE_54, "local x <close> = setmetatable({}, {__close = f})"),
    "__close after an error": (SINCE_54, "local x <close> = setmetatable({}, {__close = f}) error('e')"),
    # LuaJIT's own.
    "a metatype": (
        JIT,
        "ffi = ffi or require('ffi') "
        "T = T or ffi.metatype('struct { int x; }', {__index = function() return f() end, __tostring = "
        "function() return f() end}) return tostring(T()), T().y",
    ),
    "ffi.gc": (JIT, "(function() require('ffi').gc(require('ffi').new('int[1]'), f) end)() collectgarbage()"),
    "a callback": (
        JIT,
        "ffi = ffi or require('ffi') cb = cb or ffi.cast('int (*)(void)', function() f() return 1 end) cb()",
    ),
    "a message of the compiler": (JIT, "jit.attach(f, 'trace') for i = 1, 100 do end"),
    # Through Python.
    "Python": (ALL, "call(f)"),
    "Python, gsub": (ALL, "string.gsub('x', 'x', function() call(f) end)"),
    "Python, coroutines": (ALL, "send(f)"),
    "Python, iteration": (ALL, "for i in python.iter(generate(f)) do end"),
    "Python, map": (ALL, "for i in python.iter(python.builtins.map(f, python.builtins.range(1))) do end"),
    "Python, sorted": (ALL, "sort(f)"),
    "Python, attributes": (ALL, "attribute(f).x = 1"),
    "Python, repr": (ALL, "tostring(attribute(f))"),
    "Python, a runtime each": (ALL, "another(f)"),
}

# Those of them that may keep the error to themselves. In LuaJIT, messages of the compiler do, and a
# hook does not run in another one.
SILENT = {"the handler of xpcall", "xpcall in its handler", "load, which goes on", "the collector"}
SILENT_IN_LUAJIT = SILENT | {"a hook", "ffi.gc", "a message of the compiler"}

# What C code of Lua recurses in by itself, or takes much of a stack for.
DEEP = {
    "optional items": (ALL, "return ('x'):rep(300000):find(('x?'):rep(300000) .. 'y')"),
    "optional items, gsub": (ALL, "return ('x'):rep(300000):gsub(('.-'):rep(300000) .. 'y', 'z')"),
    "captures": (ALL, "return ('x'):rep(300000):match(('()'):rep(30) .. ('x?'):rep(300000))"),
    "long repetitions": (ALL, "return ('x'):rep(300000):find(('x-'):rep(1000) .. '$')"),
    "frontiers": (ALL, "return ('x'):rep(1000):gmatch(('%f[x]x?'):rep(100000))()"),
    "parentheses": (ALL, "return assert(load_('return ' .. ('('):rep(100000) .. 1 .. (')'):rep(100000)))"),
    "braces": (ALL, "return assert(load_('return ' .. ('{'):rep(100000) .. ('}'):rep(100000)))"),
    "calls": (ALL, "return assert(load_('return ' .. ('f('):rep(100000) .. (')'):rep(100000)))"),
    "signs": (ALL, "return assert(load_('return ' .. ('- '):rep(100000) .. 1))"),
    "nots": (ALL, "return assert(load_('return ' .. ('not '):rep(100000) .. 1))"),
    "concatenations": (ALL, "return assert(load_('return ' .. ('a .. '):rep(100000) .. 'a'))"),
    "powers": (ALL, "return assert(load_('return ' .. ('a ^ '):rep(100000) .. 'a'))"),
    "functions": (ALL, "return assert(load_(('return function() '):rep(100000) .. ('end '):rep(100000)))"),
    "blocks": (ALL, "return assert(load_(('do '):rep(100000) .. ('end '):rep(100000)))"),
    "loops": (ALL, "return assert(load_(('while x do '):rep(100000) .. ('end '):rep(100000)))"),
    "targets": (ALL, "return assert(load_(('a, '):rep(100000) .. 'a = 1'))"),
    "conditions": (ALL, "return assert(load_(('if x then else'):rep(5000) .. (' end '):rep(1)))"),
    "190 blocks": (ALL, "return load_(('do '):rep(190) .. ('end '):rep(190))"),
    "190 functions": (ALL, "return load_(('return function() '):rep(190) .. ('end '):rep(190))"),
    "190 braces": (ALL, "return load_('return ' .. ('{'):rep(190) .. ('}'):rep(190))"),
    "190 items": (ALL, "return ('x'):rep(190):find(('x?'):rep(190))"),
    "an error as long as it gets": (ALL, "error(('x'):rep(1000000))"),
    "a number": (ALL, "return ('%99.99f'):format(-1e308)"),
    "a traceback": (ALL, "local function deep(n) if n == 0 then error('e') end deep(n - 1) end deep(150)"),
    "a loop that is compiled": (ALL, "local s = 0 for i = 1, 1e5 do s = s + math.sin(i) .. '' end return s"),
    "a method": (JIT, "return require('ffi').cdef('typedef int ' .. ('('):rep(5000) .. 'x' .. (')'):rep(5000) .. ';')"),
    "an array": (JIT, "return require('ffi').typeof('int [' .. ('('):rep(50000) .. '1' .. (')'):rep(50000) .. ']')"),
    "signs in C": (JIT, "return require('ffi').typeof('int [' .. ('- '):rep(50000) .. '1' .. ']')"),
    "pointers": (JIT, "return tostring(require('ffi').typeof('int ' .. ('*'):rep(50000)))"),
    "conditions in C": (JIT, "return require('ffi').typeof('int [' .. ('1 ? 1 : '):rep(50000) .. '1' .. ']')"),
}

# Runs each program in a runtime of its own, on the main thread or on one with so large a stack.
HARNESS = """
import json, os, sys, tempfile, threading
size, inside, cases = int(sys.argv[1]), sys.argv[2] == "inside", json.loads(sys.argv[3])
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "again.lua")
with open(path, "w") as file:
    file.write("f()\\nf()\\n")

def sort(f): [2, 1].sort(key=lambda value: f())
def generate(f): yield f()
def send(f): return f.coroutine().send(None)
def another(f):
    other = lupa.LuaRuntime()
    other.globals().f = f
    return other.execute("return pcall(f)")

class Attribute:
    def __init__(self, f): self.__dict__["f"] = f
    def __setattr__(self, name, value): self.f()
    def __repr__(self): return str(self.f())

def new():
    lua = lupa.LuaRuntime()
    names = lua.globals()
    names.FILE, names.sort, names.generate, names.send = path, sort, generate, send
    names.another, names.attribute, names.call = another, Attribute, lambda f: f()
    names.load_ = lua.eval("loadstring or load")
    return lua

ENDS = (lupa.LuaError, RecursionError, MemoryError)
sys.unraisablehook = lambda problem: None

def run(lua, code, must_fail):
    if inside:
        code = "local co = coroutine.create(function(...) " + code + " end) assert(coroutine.resume(co))"
    try:
        lua.execute(code)
    except ENDS:
        pass
    else:
        assert not must_fail, "no error"
    try:
        assert lua.eval("1 + 1") == 2
    except RecursionError:
        assert 0 < size < 100_000

for name, code, must_fail in cases:
    print(name, flush=True)
    lua = new()
    if size:
        threading.stack_size(size)
        failures = []
        def work():
            try:
                run(lua, code, must_fail)
            except BaseException as error:
                failures.append(error)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        threading.stack_size(0)
        if failures:
            raise failures[0]
    else:
        run(lua, code, must_fail)
    assert lua.eval("1 + 1") == 2
print("all of them")
"""

# The stack of the thread, 0 for the main one, and whether a coroutine runs what recurses.
PLACES = pytest.mark.parametrize(
    ("size", "inside"),
    [
        (0, "directly"),
        (0, "inside"),
        (1 << 20, "directly"),
        (256 << 10, "inside"),
        (64 << 10, "directly"),
        (64 << 10, "inside"),
    ],
)


@pytest.fixture
def _looks_itself(lupa):
    """Only a Lua that was compiled for it looks at the stack where its own functions nest."""
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua does not look")


def programs(backend, cases, shape="{}"):
    """Those of the cases that this Lua can do, and whether they end in an error."""
    silent = SILENT_IN_LUAJIT if backend in JIT else SILENT
    return json.dumps(
        [
            (name, shape.format(code), cases is RECURSIONS and name not in silent)
            for name, (luas, code) in cases.items()
            if backend in luas.split()
        ]
    )


@pytest.mark.usefixtures("_looks_itself")
@PLACES
def test_recursion_through_c_functions_ends_in_an_error(backend, isolated, size, inside):
    cases = programs(backend, RECURSIONS, "function f(...) {} end f()")
    assert isolated(HARNESS, str(size), inside, cases).endswith("all of them\n")


@pytest.mark.usefixtures("_looks_itself")
@PLACES
def test_deep_nesting_ends(backend, isolated, size, inside):
    cases = programs(backend, DEEP)
    assert isolated(HARNESS, str(size), inside, cases).endswith("all of them\n")


@pytest.mark.usefixtures("_looks_itself")
def test_the_error_is_lua_s_own_and_its_handler_has_room(lua):
    recursion = "function f() return (string.gsub('x', 'x', f)) end "
    said = lua.execute(recursion + "return select(2, xpcall(f, function(e) return 'handled: ' .. e end))")
    assert said.startswith("handled: ")
    assert "stack overflow" in said


def test_coroutines_nest_as_deep_as_programs_need(lua):
    nested = "local function f(n) if n == 0 then return 0 end return coroutine.wrap(f)(n - 1) + 1 end return f(150)"
    assert lua.execute(nested) == 150


@pytest.mark.usefixtures("_looks_itself")
def test_callbacks_after_an_overflow_find_all_the_room(lua):
    lua.globals().call = lambda f, n: f(n)
    lua.execute("""
        function deep(n)
            if n == 0 then return 0 end
            return (string.gsub('x', 'x', function() return deep(n - 1) end))
        end
        function f() return (string.gsub('x', 'x', f)) end
    """)
    for _ in range(3):
        assert lua.eval("(pcall(f))") is False
        lua.execute("call(deep, 50)")


# Makes a chain in which each object has the only reference to the one before it.
CHAINS = {
    "views": ("a = lua.eval('python.zeros(4)')", "a = lua.eval('function(a) return a:slice(1, 3) end')(a)"),
    "buffers": ("a = lua.eval('python.zeros(4)')", "a = lua.eval('python.array')(memoryview(a)[:])"),
    "coroutines": ("a, f = None, lua.eval('function(...) end')", "a = f.coroutine(a)"),
    "attribute getters": ("a = None", "a = lupa.as_attrgetter(a)"),
    "item getters in lists": ("a = None", "a = [lupa.as_itemgetter(a)]"),
    "arguments": ("a = None", "a = pack(a)"),
    "cursors": ("a = []", "a = [cursor(a)]"),
    "tables": ("a = None", "a = [lua.table(a)]"),
    "iterators": ("a = None", "a = iter(lua.table(a).values())"),
    "functions": ("a = None", "a = [lua.eval('function(o) return function() return o end end')(a)]"),
}

DROPPING = """
import sys, threading
size, first, step, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
pack = lua.eval("function(o) local a = python.args({o, k = o}) return a end")
cursor = lua.eval("function(o) local next, s = python.iter(o) return s end")
exec(first)
step = compile(step, "step", "exec")
for i in range(count):
    exec(step)
last = [a]
del a
def drop():
    last.clear()
    lua.execute("collectgarbage() collectgarbage()")
if size:
    threading.stack_size(size)
    thread = threading.Thread(target=drop)
    thread.start()
    thread.join()
else:
    drop()
assert lua.eval("1 + 1") == 2
"""


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("size", [0, 64 << 10])
def test_a_chain_of_any_length_is_dropped(isolated, size, chain):
    first, step = CHAINS[chain]
    count = 50_000 if "lua" not in step else 20_000
    isolated(DROPPING, str(size), first, step, str(count))


def test_a_chain_of_runtimes_is_dropped(isolated):
    step = "b = lupa.LuaRuntime(); b.globals().a = a; a = b; del b"
    isolated(DROPPING, str(64 << 10), "a = None", step, "200")


def test_finalizers_that_use_the_runtime_do_not_nest(isolated):
    isolated("""
        import inspect
        deepest = 0
        class Thing:
            def __del__(self):
                global deepest
                lua.eval("1 + 1")
                deepest = max(deepest, len(inspect.stack(0)))
        lua.execute("t = {}")
        keep = lua.eval("function(o) t[#t + 1] = o end")
        for i in range(1000):
            keep(Thing())
        lua.execute("t = nil collectgarbage() collectgarbage()")
        assert 0 < deepest < 50, deepest
    """)


@pytest.mark.usefixtures("_looks_itself")
@pytest.mark.parametrize("digits", ["-2^31", "2^31 - 1", "-2^31 + 1", "2^31", "-8", "0"])
def test_digits_of_bit_tohex_have_an_end(backend, isolated, digits):
    if backend in JIT:
        isolated(f"assert len(lua.eval('require(\"bit\").tohex(1, {digits})')) <= 254")


CLOSING = """
import sys, threading
sys.unraisablehook = lambda problem: None
lua.execute("function f() return (string.gsub('x', 'x', f)) end " + sys.argv[1])
thread = threading.Thread(target=lua.close)
threading.stack_size(64 << 10)
thread.start()
thread.join()
"""


@pytest.mark.usefixtures("_looks_itself")
def test_finalizers_recurse_while_a_thread_with_a_small_stack_closes_lua(isolated):
    make = "if newproxy then getmetatable(newproxy(true)).__gc = f else setmetatable({}, {__gc = f}) end"
    isolated(CLOSING, make)
