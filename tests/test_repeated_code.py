"""Code that is run again and again is compiled once, and nobody can tell."""

import gc
import sys

import pytest

TIMES = 5


def again(call, code, *arguments):
    """What the same code object gives each time; it is kept after the second."""
    return [call(code, *arguments) for _ in range(TIMES)]


@pytest.mark.parametrize("kind", [str, lambda code: code.encode()])
def test_results(lua, kind):
    lua.execute("n = 0")
    assert again(lua.execute, kind("n = n + 1; return n")) == [1, 2, 3, 4, 5]
    assert again(lua.eval, kind("..., n"), "x") == [("x", 5)] * TIMES


def test_eval_and_execute_of_one_text(lua):
    lua.execute("function f() return 3 end")
    code = "f()"
    for _ in range(TIMES):
        assert lua.eval(code) == 3
        assert lua.execute(code) is None


def test_runtimes_are_apart(lupa):
    one, two = lupa.LuaRuntime(), lupa.LuaRuntime()
    one.execute("x = 1")
    two.execute("x = 2")
    code = "x"
    assert [again(runtime.eval, code) for runtime in (one, two)] == [[1] * TIMES, [2] * TIMES]


def test_tables_are_new(lua):
    tables = again(lua.eval, "{}")
    tables[-1].x = 1
    assert [table.x for table in tables] == [None] * (TIMES - 1) + [1]


def test_functions_are_new(lua):
    functions = again(lua.eval, "function() return x end")
    assert lua.eval("function(a, b) return rawequal(a, b) end")(functions[-1], functions[-2]) is False


def test_functions_have_an_environment_of_their_own(lua):
    lua.execute("x = 'global'")
    functions = again(lua.eval, "function() return x end")
    lua.execute(
        """
        local f, env = ...
        if setfenv then setfenv(f, env) else debug.setupvalue(f, 1, env) end
        """,
        functions[-1],
        lua.table(x="own"),
    )
    assert [function() for function in functions] == ["global"] * (TIMES - 1) + ["own"]


def test_globals_that_code_exchanges(lupa, lua):
    """Each run begins with the globals of the runtime, whatever the last one has made of its own."""
    lua.execute("x = 'global'")
    exchange = "_ENV = {}" if lupa.LUA_VERSION >= (5, 2) else "setfenv(1, {})"
    code = f"local seen = x; {exchange}; return seen, x"
    assert again(lua.execute, code) == [("global", None)] * TIMES


def test_globals_that_are_exchanged_from_outside(lua):
    if lua.globals().setfenv is None:
        pytest.skip("this Lua has no setfenv")
    lua.execute("x = 'global'; function exchange() setfenv(2, {}) end")
    assert again(lua.execute, "local seen = x; exchange(); return seen") == ["global"] * TIMES


def test_code_that_runs_itself(lua):
    code = "f(...)"

    def f(depth):
        return lua.eval(code, depth - 1) + 1 if depth else 0

    lua.globals().f = f
    assert again(lua.eval, code, 4) == [4] * TIMES


def test_errors(lupa, lua):
    lua.execute("function check() if bad then error('no', 2) end end")
    code = "\ncheck()"
    again(lua.execute, code)
    lua.execute("bad = true")
    for _ in range(TIMES):
        with pytest.raises(lupa.LuaError, match=r'\[string "<python>"\]:2: no'):
            lua.execute(code)
    lua.execute("bad = false")
    assert again(lua.execute, code) == [None] * TIMES


def test_syntax_errors(lupa, lua):
    code = "1 +"
    for _ in range(TIMES):
        with pytest.raises(lupa.LuaSyntaxError):
            lua.eval(code)


def test_names(lupa, lua):
    code = "error('x')"
    for name in [None, "one", None, "two", None, None, "one"]:
        with pytest.raises(lupa.LuaError) as caught:
            lua.execute(code, name=name)
        assert (name or "<python>") in str(caught.value)


def test_mode(lupa, lua):
    code = "return 1"
    assert again(lua.execute, code) == [1] * TIMES
    with pytest.raises(lupa.LuaSyntaxError):
        lua.execute(code, mode="b")


def test_a_registry_that_was_emptied(lua):
    code = "1 + 1"
    again(lua.eval, code)
    lua.execute(
        """
        local registry = debug.getregistry()
        for key, value in pairs(registry) do
            if type(key) == 'number' and type(value) == 'function' and debug.getinfo(value).what == 'main' then
                registry[key] = false
            end
        end
        """
    )
    assert again(lua.eval, code) == [2] * TIMES


def test_code_is_let_go(lupa):
    lua = lupa.LuaRuntime()
    code = "".join(["1 + ", "1"])
    before = sys.getrefcount(code)
    again(lua.eval, code)
    lua.close()
    assert sys.getrefcount(code) == before


def test_memory_does_not_grow(lupa):
    lua = lupa.LuaRuntime(max_memory=0)
    codes = [f"x = {number}" for number in range(2000)]
    used = []
    for _ in range(3):
        for code in codes:
            again(lua.execute, code)
        lua.gccollect()
        gc.collect()
        used.append(lua.get_memory_used())
    assert used[2] <= used[0] + 4096


@pytest.mark.parametrize("text", ["ab", "a" * 64, "a" * 100_000, "\x00\x7f", "aä", "ä" * 1000, "a" * 63 + "€", "", "a"])
def test_strings_that_come_back(lua, text):
    """ASCII takes a way of its own."""
    assert lua.eval("...", text) == text
    assert lua.eval("...", text.encode()) == text
    assert lua.eval("#...", text) == len(text.encode())


def test_items_that_the_collector_need_not_see(lua):
    """Pairs of atoms cannot be in a cycle; others can."""
    lua.execute("t = {1.5, 'x', {}, function() end}")
    for key, value in lua.globals().t.items():
        pair = next(pair for pair in lua.globals().t.items() if pair[0] == key)
        assert gc.is_tracked(pair) == gc.is_tracked(value)
