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


def test_os_exit(backend):
    """``os.exit`` of Lua ends the process with its status, as in any host."""
    from conftest import run_python

    done = run_python(f"import lupa.{backend} as lupa; lupa.LuaRuntime().execute('os.exit(7)')")
    assert done.returncode == 7
