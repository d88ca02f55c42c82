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
