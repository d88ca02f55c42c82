"""``LuaRuntime(sandbox=True)``: what is there, how options combine with it, and what counts as memory."""

import sys

import pytest

pytestmark = pytest.mark.beyond

BASE = """_G _VERSION assert collectgarbage error getmetatable ipairs load next pairs pcall print rawequal rawget
    rawset select setmetatable tonumber tostring type xpcall coroutine debug math os package python require string
    table"""
EXTRA = {
    "lua51": "getfenv setfenv loadstring unpack",
    "lua52": "rawlen bit32",
    "lua53": "rawlen utf8",
    "lua54": "rawlen utf8 warn",
    "lua55": "rawlen utf8 warn",
    "luajit20": "getfenv setfenv loadstring unpack bit",
    "luajit21": "getfenv setfenv loadstring unpack bit",
}
PYTHON = """args array array_from array_mt as_attrgetter as_function as_itemgetter enumerate iter iterex none zeros"""


class Account:
    """What a host might expose."""

    bank = "Lua & Sons"

    def __init__(self, owner="Ann"):
        self.owner = owner
        self.balance = 0
        self.pin = 1234
        self.friends = [self]

    def deposit(self, amount):
        self.balance += amount
        return self.balance

    def drain(self):
        raise AssertionError("nobody may call this")


# Libraries


def test_globals(box, backend, lupa):
    found = set(box.globals().keys())
    if lupa._INSTALLED_LUA and lupa.LUA_VERSION == (5, 2):
        # Functions of 5.1, if its builder chose so.
        assert box.eval("loadstring == nil or not loadstring(...)", b"\x1bLua")
        found -= {"loadstring", "unpack"}
    assert found == {*BASE.split(), *EXTRA[backend].split()}
    assert set(box.globals().python.keys()) == set(PYTHON.split())


def test_libraries(box):
    names = {name: set(box.globals()[name].keys()) for name in ("os", "debug", "string", "package", "coroutine")}
    assert names["os"] == {"clock", "date", "difftime", "time"}
    assert names["debug"] == {"traceback"}
    assert names["package"] == {"loaded", "preload", "path", "cpath"}
    assert "dump" not in names["string"]
    assert {"create", "resume", "wrap", "yield"} <= names["coroutine"]


def test_what_stays_works(box):
    assert box.eval("('x'):rep(3) .. table.concat({1, 2}) .. math.floor(1.5)") == "xxx121"
    assert box.execute("local t = {3, 1, 2}; table.sort(t); return table.concat(t)") == "123"
    assert box.eval("select(2, pcall(error, 'wrong'))") == "wrong"
    assert box.eval("coroutine.wrap(function() coroutine.yield(5) end)()") == 5
    assert box.eval("os.time{year=2020, month=1, day=1, hour=12}") > 0
    assert "traceback" in box.eval("debug.traceback('x')")
    assert box.eval("collectgarbage('count')") or True
    assert box.eval("(loadstring or load)('return 6 * 7')()") == 42


def test_libs_chooses_among_the_safe(lupa, backend):
    box = lupa.LuaRuntime(sandbox=True, libs=["base", "string"])
    for missing in ("table", "math", "os", "coroutine", "debug", "require", "package", "utf8", "bit", "bit32", "io"):
        assert box.eval(missing) is None, missing
    assert box.eval("('x'):rep(3)") == "xxx"
    box = lupa.LuaRuntime(sandbox=True, libs=["math"])
    assert set(box.globals().keys()) == {"math", "python"}
    assert box.eval("math.max(1, 2)") == 2
    with pytest.raises(lupa.LuaError):
        box.eval("('x'):rep(3)")
    assert set(lupa.LuaRuntime(sandbox=True, libs=[]).globals().keys()) == {"python"}
    assert lupa.LuaRuntime(sandbox=True, libs=["base", "package"]).eval("require('_G') == _G") is True


@pytest.mark.parametrize("name", ["io", "ffi", "jit", "string.buffer"])
def test_libs_refuses_the_others(lupa, backend, name):
    if name != "io" and not backend.startswith("luajit"):
        pytest.skip("this Lua has no such library")
    if (backend, name) == ("luajit20", "string.buffer"):
        pytest.skip("this Lua has no such library")
    with pytest.raises(ValueError, match="is (not safe|of no use)"):
        lupa.LuaRuntime(sandbox=True, libs=["base", "string", name])


def test_libs_errors(lupa):
    with pytest.raises(ValueError, match="no library is named"):
        lupa.LuaRuntime(sandbox=True, libs=["nonsense"])
    with pytest.raises(TypeError):
        lupa.LuaRuntime(sandbox=True, libs="base")


def test_eval_and_builtins_are_contradictions(lupa):
    for name in ("register_eval", "register_builtins"):
        with pytest.raises(ValueError, match="a sandbox has neither"):
            lupa.LuaRuntime(sandbox=True, **{name: True})
        lupa.LuaRuntime(sandbox=True, **{name: False})


def test_memory_is_limited(lupa, box):
    assert box.get_max_memory() == 64 << 20
    with pytest.raises(lupa.LuaMemoryError):
        box.execute("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end")
    with pytest.raises(lupa.LuaMemoryError):
        box.eval("python.zeros(1e8)")
    assert box.eval("1 + 1") == 2
    assert lupa.LuaRuntime(sandbox=True, max_memory=1000).get_max_memory() == 1000
    assert lupa.LuaRuntime(sandbox=True, max_memory=0).get_max_memory() == 0


def test_time_is_limited(lupa, is_luajit):
    if lupa._INSTALLED_LUA and is_luajit:
        pytest.skip("an installed LuaJIT does not look at hooks in compiled code")
    box = lupa.LuaRuntime(sandbox=True, timeout=0.05)
    for code in (
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do table.sort({3, 1, 2}) end",
        "table.sort(setmetatable({}, {__len = function() return 2^30 end}), function() while true do end end)",
        "table.insert(setmetatable({}, {__len = function() return 2^53 end}), 1, 0)",
        "table.remove(setmetatable({}, {__len = function() return 2^53 end}), 1)",
        "while true do (''):rep(1e9) end",
        "while true do (loadstring or load)('return 1') end",
        "for _ = 1, 1e12 do pcall(error) end",
    ):
        if lupa._INSTALLED_LUA and ("table." in code or "rep" in code or "1e12" in code):
            continue  # What takes long is in C, where an installed Lua does not look.
        if lupa.LUA_VERSION < (5, 2) and "__len" in code:
            continue  # Of a table it has no meaning here.
        with pytest.raises(lupa.LuaTimeoutError):
            box.execute(code)
        assert box.eval("1 + 1") == 2


def test_time_is_limited_by_default(lupa, is_luajit):
    if lupa._INSTALLED_LUA and is_luajit:
        pytest.skip("an installed LuaJIT does not look at hooks in compiled code")
    box = lupa.LuaRuntime(sandbox=True)
    with pytest.raises(lupa.LuaTimeoutError, match="limit of 5 s"):
        box.execute("while true do end")
    with box.limits(seconds=0.05), pytest.raises(lupa.LuaTimeoutError):
        box.execute("while true do end")
    endless = lupa.LuaRuntime(sandbox=True, timeout=float("inf"))
    assert endless.eval("1 + 1") == 2


def test_require(lupa, box):
    assert box.eval("require('string') == string and require('_G') == _G") is True
    assert box.require("math").floor(1.5) == 1
    box.globals().package.preload["host"] = box.eval("function(name) return {name = name} end")
    assert box.eval("require('host').name") == "host"
    assert box.eval("require('host') == package.loaded.host") is True
    box.execute("package.preload.none = function() end")
    assert box.eval("require('none')") is True
    for name in ("io", "ffi", "debug.x", "jit", "table.new", "string.buffer", "./x", "lfs"):
        with pytest.raises(lupa.LuaError, match="a sandbox loads no files"):
            box.require(name)


def test_print_goes_where_it_goes(isolated):
    assert isolated("lupa.LuaRuntime(sandbox=True).execute('print(1, nil, \"x\")')") == "1\tnil\tx\n"


def test_finalizers(lupa, box):
    attempt = "setmetatable({}, {__gc = function() ran = true end})"
    if lupa.LUA_VERSION == (5, 1):
        box.execute(attempt)
    else:
        with pytest.raises(lupa.LuaError, match="a sandbox has no finalizers"):
            box.execute(attempt)
        box.execute("local m = {}; setmetatable({}, m); m.__gc = function() ran = true end")
    box.gccollect()
    assert box.globals().ran is None
    assert box.eval("setmetatable({}, {__index = {x = 1}}).x") == 1
    assert box.eval("setmetatable({}, nil)") is not None


@pytest.mark.parametrize("format", ["%d.%m.%Y %H:%M", "!%c", "%%", "*t", "!*t", "%a %b %j %p %S %U %w %x %X %y %Z"])
def test_dates(box, format):
    assert box.eval("os.date(..., 0)", format)


def test_dates_that_some_systems_end_the_process_for(lupa, box):
    for format in ("%", "%E", "%!", "x%"):
        with pytest.raises(lupa.LuaError, match="invalid conversion specifier"):
            box.eval("os.date(...)", format)


PROXY = """
    local log, data = {}, {}
    for i = 1, 3 do data[i] = i end
    local proxy = setmetatable({}, {
        __index = data, __newindex = data, __len = function() return #data end,
    })
"""


@pytest.mark.parametrize(
    "code",
    [
        "table.insert(proxy, 4)",
        "table.insert(proxy, 1, 0)",
        "table.insert(proxy, 4, 9)",
        "table.insert(proxy, 5, 9)",
        "table.insert(proxy, 0, 9)",
        "table.insert(proxy)",
        "table.insert(proxy, 1, 2, 3)",
        "table.insert(nil, 1)",
        "table.insert('x', 1)",
        "log[1] = table.remove(proxy)",
        "log[1] = table.remove(proxy, 1)",
        "log[1] = table.remove(proxy, 3)",
        "log[1] = table.remove(proxy, 9)",
        "for i = 1, 4 do table.remove(proxy) end",
        "table.remove('x', 1)",
        "table.sort(proxy, function(a, b) return a > b end)",
        "table.sort(data, function(a, b) return a > b end)",
        "table.sort(data, 5)",
        "table.sort(nil)",
        "table.insert(data, 2, 8); log[1] = table.remove(data, 1)",
        "log[1] = ('ab'):rep(3, '-') .. (''):rep(3) .. (''):rep(2, ',')",
        "log[1] = table.concat(proxy, ',')",
        "if table.move then table.move(data, 1, 3, 2) end",
    ],
)
def test_guarded_functions_are_as_in_lua(lupa, box, code):
    if lupa.LUA_VERSION == (5, 2):
        code = code.replace("proxy", "data")  # 5.2 goes past metamethods here
    whole = PROXY + f"local ok = pcall(function() {code} end); return ok, table.concat(data, ' '), log[1]"
    assert box.execute(whole) == lupa.LuaRuntime().execute(whole)


def test_loops_as_long_as_a_script_likes(lupa, box):
    assert box.eval("('') :rep(2^53)") == ""
    if box.eval("table.move"):
        with pytest.raises(lupa.LuaError, match="too many elements"):
            box.eval("table.move({}, 1, 2^40, 2)")
        with pytest.raises(lupa.LuaError, match="too many elements"):
            box.eval("table.move({}, '1', '1e15', 2)")


# Combinations


def test_filter(lupa):
    asked = []

    def rename(obj, name, is_setting):
        asked.append((name, is_setting))
        if name == "pin":
            raise AttributeError("filtered")
        return "owner" if name == "name" else name

    box = lupa.LuaRuntime(sandbox=True, attribute_filter=rename)
    account = Account()
    with pytest.raises(lupa.LuaSandboxError):
        box.eval("(...).owner", account)
    assert asked == []
    box.expose(account, attributes=["name", "pin"], writable=["balance"])
    assert box.eval("(...).name", account) == "Ann"
    with pytest.raises(AttributeError, match="filtered"):
        box.eval("(...).pin", account)
    with pytest.raises(lupa.LuaSandboxError):
        box.eval("(...).owner", account)
    box.execute("(...).balance = 7", account)
    assert account.balance == 7
    assert asked == [("name", False), ("pin", False), ("balance", True)]


def test_handlers(lupa):
    seen = []
    box = lupa.LuaRuntime(
        sandbox=True,
        attribute_handlers=(lambda o, name: f"got {name}", lambda o, name, value: seen.append((name, value))),
    )
    account = box.expose(Account(), attributes=["x"], writable=["y"])
    assert box.eval("(...).x", account) == "got x"
    box.execute("(...).y = 1", account)
    assert seen == [("y", 1)]
    for code in ("local _ = (...).y", "(...).x = 1", "local _ = (...)[1]"):
        with pytest.raises(lupa.LuaSandboxError):
            box.execute(code, account)
    config = box.expose({}, items=True)
    assert box.eval("(...)[5]", config) == "got 5"


def test_overflow_handler_is_the_hosts(lupa, box):
    calls = []

    def handler(number):
        calls.append(number)
        return float(number)

    box.set_overflow_handler(handler)
    assert box.eval("...", 2**80) == float(2**80)
    assert lupa.LuaRuntime(sandbox=True, overflow_handler=handler).eval("...", 2**80) == float(2**80)
    assert calls == [2**80] * 2
    assert box.eval("python.set_overflow_handler") is None


def test_arrays(lupa, box, refused):
    data = bytearray(b"\x01\x02\x03")
    array = lupa.as_array(data)
    assert box.execute("local a = ...; a[1] = 9; return a[1] + a[3]", array) == 12
    assert data[0] == 9
    assert box.eval("python.zeros(3)[1]") == 0
    assert box.eval("python.array_from({1, 2})[2]") == 2
    assert box.eval("python.array(...)[2]", array) == 2

    class Sneaky:
        def __index__(self):
            raise AssertionError("asked")

        __float__ = __int__ = __complex__ = __index__

    with pytest.raises(TypeError, match="in a sandbox"):
        box.execute("python.zeros(3)[1] = ...", Sneaky())
    refused(lambda: box.eval("python.array(...)", data))


def test_encodings(lupa):
    box = lupa.LuaRuntime(sandbox=True, encoding=None)
    account = box.expose(Account(), attributes=["deposit", "owner"])
    assert box.eval("(...):deposit(3)", account) == 3
    with pytest.raises(lupa.LuaSandboxError):
        box.eval("(...).pin", account)
    latin = lupa.LuaRuntime(sandbox=True, encoding="latin-1")
    assert latin.eval("(...).owner", latin.expose(Account("Ünü"), attributes=["owner"])) == "Ünü"


# Memory that is Python's


@pytest.mark.parametrize(
    "code",
    [
        "t[i] = select(2, pcall(function() return opaque[i] end))",
        "t[i] = select(2, pcall(function() return opaque[long .. i] end))",
        "t[i] = select(2, pcall(function() return dict[long .. i] end))",
        "t[i] = select(2, pcall(fail, long .. i))",
        "t[i] = python.args{long .. i}",
        "t[i] = python.args{[long .. i] = 1}",
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for the memory of a process in Linux's way")
def test_kept_objects_count(isolated, code, lupa, is_luajit):
    """What a script can make Python keep is limited, too: otherwise this would take gigabytes."""
    if lupa._INSTALLED_LUA and is_luajit:
        pytest.skip("LuaJIT 2.1.0-beta3 crashes in its own unwinding where memory runs out")
    isolated(
        f"""
        import resource

        def fail(text):
            raise ValueError(text)

        box = lupa.LuaRuntime(sandbox=True, max_memory=20_000_000, timeout=float("inf"))
        box.globals().dict = box.expose({{}}, items=True)
        box.globals().fail = box.expose(fail)
        box.globals().opaque = object()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            box.execute('''
                local t, long = {{}}, ("x"):rep(100000)
                for i = 1, 200000 do {code} end
            ''')
        except lupa.LuaMemoryError:
            pass
        else:
            raise AssertionError("not limited")
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert used < 200_000, used
        box.gccollect()
        assert box.get_memory_used() < 5_000_000, box.get_memory_used()
        # What is not kept does not count.
        box.execute('''
            local t, i, long = {{}}, 1, ("x"):rep(100000)
            for _ = 1, 2000 do {code} end
        ''')
        """
    )


@pytest.mark.parametrize(
    "code",
    [
        "last = python.args{last, long .. i}",
        "last = python.args{x = last, y = long .. i}",
        "last = select(2, pcall(fail, last, long .. i))",
        "last = select(2, pcall(fail, python.args{last}, long .. i))",
    ],
)
def test_what_is_kept_by_another_object_counts(isolated, code):
    """Only the last of a chain is known to Lua, and the others count with it."""
    isolated(
        f"""
        import resource

        def fail(*args):
            raise ValueError(*args)

        box = lupa.LuaRuntime(sandbox=True, max_memory=20_000_000, timeout=float("inf"))
        box.globals().fail = box.expose(fail)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            box.execute('''
                local last, long = "", ("x"):rep(100000)
                for i = 1, 5000 do {code} collectgarbage() end
            ''')
        except lupa.LuaMemoryError:
            pass  # which a script may catch, and begin again
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert used < 100_000, used
        box.globals().last = None
        box.gccollect()
        assert box.get_memory_used() < 5_000_000, box.get_memory_used()
        """
    )
