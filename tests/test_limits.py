"""Limits of time, instructions and memory: what they hold for, and how they are nested."""

import time

import pytest
from conftest import still_works

pytestmark = pytest.mark.beyond


@pytest.fixture(autouse=True)
def _bundled(lupa):
    # As for test_stop.py: an installed Lua counts less exactly, and is stopped in less.
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua has not what a bundled one is given to be stopped")


# Short, as it is waited for.
SOON = 0.05


def test_each_entry_has_the_whole_time(lupa):
    """A default holds for each use, not for all of them together."""
    lua = lupa.LuaRuntime(timeout=0.2)
    wait = lua.eval("function(sleep) sleep(0.08) return 1 end")
    assert [wait(time.sleep) for _ in range(4)] == [1] * 4


@pytest.mark.parametrize("use", ["call", "coroutine", "index", "tostring", "compare", "iterate"])
def test_every_kind_of_use_is_limited(lupa, use):
    lua = lupa.LuaRuntime(timeout=SOON)
    loop = lua.eval("function() while true do end end")
    table = lua.eval("""setmetatable({}, {
        __index = function() while true do end end, __tostring = function() while true do end end,
        __eq = function() while true do end end})""")
    uses = {
        "call": loop,
        "coroutine": lambda: next(loop.coroutine()),
        "index": lambda: table["x"],
        "tostring": lambda: str(table),
        "compare": lambda: lua.eval("function(a) return a.x end")(table),
        "iterate": lambda: list(lua.eval("function() coroutine.yield(1) while true do end end").coroutine()),
    }
    with pytest.raises(lupa.LuaTimeoutError):
        uses[use]()
    assert still_works(lua)


def test_an_explicit_timeout_replaces_the_default(lupa):
    lua = lupa.LuaRuntime(timeout=SOON)
    assert lua.execute("local sleep = ... sleep(0.1) local x = 1 return x", time.sleep, timeout=60) == 1


def test_nested_entries_keep_the_tighter_limit(lupa, lua):
    """What a callback allows does not go beyond what it was itself allowed."""
    raised = []

    def inner():
        try:
            lua.execute("while true do end", timeout=60)
        except lupa.LuaTimeoutError as error:
            raised.append(str(error))

    lua.globals().inner = inner
    with pytest.raises(lupa.LuaTimeoutError, match=f"{SOON} s"):
        lua.execute("inner() while true do end", timeout=SOON)
    assert len(raised) == 1 and f"{SOON} s" in raised[0]


def test_a_tighter_inner_limit_ends_the_inner_only(lupa, lua):
    def inner():
        with pytest.raises(lupa.LuaTimeoutError, match=f"{SOON} s"):
            lua.execute("while true do end", timeout=SOON)
        with lua.limits(instructions=1000), pytest.raises(lupa.LuaInstructionLimitError):
            lua.execute("while true do end")
        return 7

    lua.globals().inner = inner
    assert lua.eval("inner() + 1", timeout=60) == 8


def test_time_in_python_counts(lupa, lua):
    with pytest.raises(lupa.LuaTimeoutError):
        lua.execute("local sleep = ... pcall(sleep, 0.1) local x = 1 return x", time.sleep, timeout=SOON)


def test_code_that_is_in_time_is_not_disturbed(lua):
    code = "local s = 0 for i = 1, 1e5 do s = s + i % 7 end return s"
    expected = lua.execute(code)
    assert lua.execute(code, timeout=60) == expected
    with lua.limits(seconds=60, instructions=10**9, memory=10**8):
        assert lua.execute(code) == expected


def needed(lupa, lua, code, low=1, high=1_000_000):
    """How many instructions a piece of code needs."""
    while low < high:
        middle = (low + high) // 2
        try:
            with lua.limits(instructions=middle):
                lua.execute(code)
            high = middle
        except lupa.LuaInstructionLimitError:
            low = middle + 1
    return low


def test_instructions_are_counted_exactly(lupa):
    """The same code needs the same number each time, in every runtime, coroutines included."""
    code = """
        local s = 0
        for i = 1, 500 do s = s + i end
        local f = coroutine.wrap(function() for i = 1, 50 do coroutine.yield(i) end end)
        for i = 1, 50 do s = s + f() end
        pcall(error, 'x')
        return s"""
    numbers = {needed(lupa, lupa.LuaRuntime(), code) for _ in range(3)}
    assert len(numbers) == 1
    assert 800 < numbers.pop() < 10_000


def test_instructions_of_a_block_add_up(lupa, lua):
    code = "local s = 0 for i = 1, 1000 do s = s + i end"
    need = needed(lupa, lua, code)
    with lua.limits(instructions=need * 3 + need // 2):
        for _ in range(3):
            lua.execute(code)
        with pytest.raises(lupa.LuaInstructionLimitError):
            lua.execute(code)
    lua.execute(code)


def test_memory_limit_of_a_block(lupa, lua):
    fill = "local t = {} for i = 1, 1e6 do t[i] = {} end return #t"
    with lua.limits(memory=1_000_000), pytest.raises(lupa.LuaMemoryError):
        lua.execute(fill)
    assert lua.get_max_memory() is None
    assert lua.execute(fill) == 1_000_000


def test_memory_limit_of_a_block_and_of_the_runtime(lupa):
    lua = lupa.LuaRuntime(max_memory=20_000_000)
    before = lua.get_max_memory()
    rep = lua.eval("function(n) return #string.rep('x', n) end")
    with lua.limits(memory=1_000_000):
        assert lua.get_max_memory() == before
        with pytest.raises(lupa.LuaMemoryError):
            rep(2_000_000)
        with lua.limits(memory=10_000_000), pytest.raises(lupa.LuaMemoryError):
            rep(2_000_000)
    assert rep(2_000_000) == 2_000_000
    with lua.limits(memory=100_000_000), pytest.raises(lupa.LuaMemoryError):
        rep(30_000_000)


def test_limits_can_be_entered_again(lupa, lua):
    limits = lua.limits(instructions=10_000)
    for _ in range(2):
        with limits, limits, pytest.raises(lupa.LuaInstructionLimitError):
            lua.execute("while true do end")
    with pytest.raises(RuntimeError, match="has not been entered"):
        limits.__exit__(None, None, None)


def test_the_time_of_a_block_goes_on_outside_of_lua(lupa, lua):
    with lua.limits(seconds=SOON):
        lua.execute("x = 1")
        time.sleep(SOON * 2)
        with pytest.raises(lupa.LuaTimeoutError):
            lua.execute("while true do end")
        # What runs no Lua code is no matter of these limits.
        assert lua.globals()["x"] == 1


def test_limits_are_of_one_runtime(lupa, lua):
    other = lupa.LuaRuntime()
    with lua.limits(instructions=10):
        assert still_works(other)
        other.execute("for i = 1, 1e5 do end")


@pytest.mark.parametrize(
    "wrong, error",
    [
        ({"seconds": 0}, ValueError),
        ({"seconds": -1}, ValueError),
        ({"seconds": float("nan")}, ValueError),
        ({"seconds": "1"}, TypeError),
        ({"seconds": True}, TypeError),
        ({"instructions": 0}, ValueError),
        ({"instructions": -5}, ValueError),
        ({"instructions": 1.5}, TypeError),
        ({"memory": 0}, ValueError),
        ({"memory": "1"}, TypeError),
        ({"nonsense": 1}, TypeError),
    ],
)
def test_wrong_limits(lua, wrong, error):
    with pytest.raises(error):
        lua.limits(**wrong)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1", True])
def test_wrong_timeouts(lupa, lua, timeout):
    for use in (
        lambda: lupa.LuaRuntime(timeout=timeout),
        lambda: lua.eval("1", timeout=timeout),
        lambda: lua.execute("x = 1", timeout=timeout),
    ):
        with pytest.raises((ValueError, TypeError)):
            use()


def test_very_long_limits(lua):
    for seconds in (1e12, 1e300, float("inf")):
        assert lua.eval("1", timeout=seconds) == 1
        with lua.limits(seconds=seconds, instructions=10**30, memory=10**30):
            assert still_works(lua)


def test_hooks_of_scripts_come_back(lua):
    """A hook that a script has set is there again after we have looked, and not lost by a count."""
    lua.execute("lines = 0 debug.sethook(function() lines = lines + 1 end, 'l')")
    with lua.limits(instructions=10**6):
        lua.execute("local x\nx = 1\nx = 2")
    lua.execute("local x\nx = 1\nx = 2\nx = 3")
    assert lua.eval("lines") >= 4


def test_a_hook_set_under_a_limit(lupa, lua):
    """It does not take the place of the limit."""
    code = "debug.sethook(function() end, '', 1) debug.sethook() while true do end"
    with lua.limits(instructions=10_000), pytest.raises(lupa.LuaInstructionLimitError):
        lua.execute(code)
    assert still_works(lua)
