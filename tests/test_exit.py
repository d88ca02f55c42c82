"""The end of the interpreter, with Lua objects of every kind left behind."""

import pytest

pytestmark = pytest.mark.beyond


@pytest.mark.parametrize(
    "leave_behind",
    [
        "co = lua.eval('function() while true do coroutine.yield() end end').coroutine(); next(co)",
        "lua.globals().me = lua",
        "table = lua.table(1); it = iter(table); next(it)",
        "thread = threading.Thread(target=lambda: lua.execute('while true do end'), daemon=True); thread.start()",
        "thread = threading.Thread(target=lambda: [lua.eval('1') for _ in iter(int, 1)], daemon=True); thread.start()",
        "import atexit; atexit.register(lambda: lua.eval('1'))",
        "sys.modules['kept'] = [lua, lua.table(), lua.eval('print')]",
        "lua.execute('x = setmetatable({}, {__gc = function() python.builtins.str(1) end})')",
        "lua.globals().o = type('D', (), {'__del__': lambda self: lua.eval('1')})()",
        "lua.globals().o = type('D', (), {'__del__': lambda self: lupa.LuaRuntime().eval('1')})()",
        "threading.local().lua = lua",
        "n = lua.nogc(); n.__enter__()",
        "ctx = [lupa.LuaRuntime() for _ in range(50)]; ctx.append(ctx)",
        "lua.eval('function(f) f() end')(lambda: sys.exit(0))",
    ],
)
def test_interpreter_exit(hostile, leave_behind):
    """The interpreter ends well with whatever is left behind."""
    hostile(leave_behind)


USES = """
import os

class Late:
    def __del__(self):
        for number, use in enumerate(self.uses):
            try:
                use(self)
            except Exception as error:
                assert type(error).__name__ != "PanicException", error
        self.write(1, b"done\\n")

late = Late()
late.write, late.Runtime, late.lua = os.write, lupa.LuaRuntime, lua
late.closed = lupa.LuaRuntime()
late.lost = late.closed.table(1)
late.closed.close()
late.small = lupa.LuaRuntime(max_memory=100_000)
late.table = lua.table(1, x=2)
late.items = iter(lua.table(1, 2, 3))
late.call = lua.eval("function(f, ...) return f(...) end")
late.protected = lua.eval("function(f, ...) return pcall(f, ...) end")
late.fails = lua.eval("function() error('failed') end")
late.coroutine = lua.eval("function() coroutine.yield(1) error('failed') end").coroutine()
late.numbers = lua.eval("python.zeros(4)")
late.uses = [
    lambda self: self.closed.eval("1"),
    lambda self: self.lost[1],
    lambda self: self.call(self.lost),
    lambda self: self.lua.eval("+"),
    lambda self: self.fails(),
    lambda self: self.call(lambda: 1 / 0),
    lambda self: self.call(self.lua.close),
    lambda self: self.protected(lambda: 1 / 0),
    lambda self: self.lua.eval("(...).missing", self),
    lambda self: self.lua.eval("python.as_attrgetter(5)"),
    lambda self: self.lua.execute("python.iter()"),
    lambda self: self.lua.eval("(function() while true do end end)()", timeout=0.01),
    lambda self: self.lua.execute("local s = 0 for i = 1, 3e6 do s = s + i end"),
    lambda self: self.lua.table_from(iter([1, 2])),
    lambda self: self.small.eval("('x'):rep(1e7)"),
    lambda self: self.Runtime(sandbox=True).eval("(...).x", self),
    lambda self: next(self.coroutine),
    lambda self: next(self.coroutine),
    lambda self: next(self.items),
    lambda self: self.numbers.shape,
    lambda self: self.lua.eval("(...)[10]", self.numbers),
    lambda self: self.table.x,
    lambda self: len(self.table),
    lambda self: self.table.__setitem__(None, {}),
    lambda self: self.lua.interrupt(),
    lambda self: self.lua.gccollect(),
    lambda self: self.lua.limits(seconds=0),
    lambda self: self.lua.close(),
    lambda self: self.table.x,
]
"""


@pytest.mark.parametrize(
    "place",
    [
        "pass",
        "late.me = late; del late",
        "sys.modules['kept'] = [late]; del late",
        "import builtins; builtins.late = late; del late",
        "kept = type('Kept', (), {'late': late}); kept.me = kept; del late",
        "lua.globals().late = late; del late",
        "late.lua.globals().late = late; kept = [late]; kept.append(kept); del late, lua",
        "kept = (lambda late: (yield))(late); next(kept); del late",
        "threading.local().late = late; del late",
        "import atexit; atexit.register(lambda late: late.lua.eval('1'), late); del late",
        "import weakref; weakref.finalize(lua, late.__del__)",
        "work = lambda late: [late.lua.eval('1') for _ in iter(int, 1)];"
        " threading.Thread(target=work, args=(late,), daemon=True).start(); del late",
        "coroutine = lua.eval('function(late) coroutine.yield(late) end').coroutine(late); next(coroutine); del late",
    ],
)
@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "raise SystemExit"])
def test_runtimes_are_used_at_the_end(hostile, place, ending):
    """Errors are exceptions to the very end, also where nothing can be imported any more."""
    hostile(f"{USES}\n{place}\n{ending}")


def test_errors_at_the_end_are_those_of_any_time(isolated):
    """What reads the clock, or looks whose signals they are, needs no module that is gone."""
    out = isolated("""
        import os, sys
        class Late:
            def __del__(self):
                for code in self.codes:
                    try:
                        self.lua.eval(code, timeout=0.05)
                    except Exception as error:
                        self.write(1, type(error).__name__.encode() + b"\\n")
        late = Late()
        late.lua, late.write = lua, os.write
        late.codes = ["(function() while true do end end)()", "error('x')", "+", "(function() error({}) end)()"]
        sys.modules["kept"] = [late]
        del late
    """)
    assert out.split() == ["LuaTimeoutError", "LuaError", "LuaSyntaxError", "LuaError"]


@pytest.mark.parametrize(
    "arguments, code",
    [("", 0), ("nil", 0), ("true", 0), ("false", 1), ("0", 0), ("7", 7), ("-1", -1), ("'3'", 3), ("7.0, true", 7)],
)
def test_os_exit_raises(lupa, arguments, code):
    lua = lupa.LuaRuntime()
    with pytest.raises(SystemExit) as caught:
        lua.execute(f"os.exit({arguments})")
    assert caught.value.code == code
    assert lua.eval("1 + 1") == 2


def test_os_exit_in_a_coroutine(lupa):
    coroutine = lupa.LuaRuntime().eval("function() os.exit(5) end").coroutine()
    with pytest.raises(SystemExit) as caught:
        next(coroutine)
    assert caught.value.code == 5


@pytest.mark.parametrize("wrong", ["{}", "'x'", "print"])
def test_os_exit_with_something_else(lupa, wrong):
    with pytest.raises(lupa.LuaError, match="bad argument #1 to 'exit'"):
        lupa.LuaRuntime().execute(f"os.exit({wrong})")


def test_os_exit_cleans_up(backend):
    """``os.exit`` of Lua is the exit of Python: with its status, and after what there is to be done."""
    from conftest import run_python

    done = run_python(f"""
        import atexit, lupa.{backend} as lupa
        atexit.register(print, "at exit")
        try:
            lupa.LuaRuntime().execute("os.exit(7)")
        finally:
            print("finally")
    """)
    assert done.returncode == 7
    assert done.stdout.split("\n") == ["finally", "at exit", ""]


def test_os_exit_is_the_end(lupa, is_luajit):
    """As in Lua, nothing runs after it: no handler, and no code behind a ``pcall``."""
    lua = lupa.LuaRuntime()
    lua.execute("after = 0")
    for code in (
        "pcall(os.exit, 3) after = after + 1",
        "pcall(coroutine.wrap(function() os.exit(3) end)) after = after + 1",
        "xpcall(function() os.exit(3) end, function() after = after + 1 end) after = after + 1",
        "while true do pcall(function() pcall(os.exit, 3) after = after + 1 end) end",
        "return pcall(os.exit, 3)",
    ):
        with pytest.raises(SystemExit) as caught:
            lua.execute(code)
        assert caught.value.code == 3
    # Of an installed Lua, only the coroutine that called it is stopped, and not its handlers.
    assert lua.eval("after") == (2 if lupa._INSTALLED_LUA and not is_luajit else 0)
