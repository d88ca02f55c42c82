"""Limits belong to who has set them: contexts, tasks, threads; and what a stop puts back."""

import asyncio
import contextvars
import threading

import pytest

pytestmark = pytest.mark.beyond

SOON = 0.05
BUSY = "local n = 0 for i = 1, 20000 do n = n + 1 end return n"
SMALL = 1000


def in_thread(function):
    """The result of a function in a new thread, or its exception."""
    results = []

    def run():
        try:
            results.append(function())
        except Exception as error:  # noqa: BLE001
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def test_a_thread_that_is_started_inside_is_not_limited(lua):
    with lua.limits(instructions=SMALL):
        assert in_thread(lambda: lua.execute(BUSY)) == 20000


def test_a_thread_with_a_copy_of_the_context_is(lupa, lua):
    with lua.limits(instructions=SMALL):
        context = contextvars.copy_context()
        found = in_thread(lambda: context.run(lua.execute, BUSY))
        assert isinstance(found, lupa.LuaInstructionLimitError)
        with pytest.raises(lupa.LuaInstructionLimitError):
            lua.execute(BUSY)
    assert in_thread(lambda: context.run(lua.execute, BUSY)) == 20000


def test_another_thread_is_not_stopped(lupa, lua):
    with lua.limits(seconds=SOON):
        with pytest.raises(lupa.LuaTimeoutError):
            lua.execute("while true do end")
        assert in_thread(lambda: lua.execute(BUSY)) == 20000


def test_tasks(lupa, lua):
    async def limited(results):
        with lua.limits(instructions=SMALL):
            await asyncio.sleep(0)
            try:
                lua.execute(BUSY)
            except lupa.LuaInstructionLimitError:
                results.append("stopped")
            await asyncio.sleep(0)

    async def free(results):
        for _ in range(4):
            await asyncio.sleep(0)
            results.append(lua.execute(BUSY))

    async def main():
        results = []
        await asyncio.gather(limited(results), free(results), limited(results))
        return results

    results = asyncio.run(main())
    assert results.count("stopped") == 2 and results.count(20000) == 4


def test_tasks_that_are_started_inside_share_the_budget(lupa, lua):
    small = "for i = 1, 100 do end"

    async def use(count):
        done = 0
        for _ in range(count):
            await asyncio.sleep(0)
            lua.execute(small)
            done += 1
        return done

    async def main():
        with lua.limits(instructions=100 * SMALL):
            tasks = [asyncio.create_task(use(3)) for _ in range(3)]
            assert await asyncio.gather(*tasks) == [3, 3, 3]
        with lua.limits(instructions=SMALL):
            tasks = [asyncio.create_task(use(20)) for _ in range(3)]
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(error, lupa.LuaInstructionLimitError) for error in found), found
            last = asyncio.create_task(use(20))
        return await last

    # The block has ended before the last one runs: for all.
    assert asyncio.run(main()) == 20


def test_a_task_that_outlives_the_block(lua):
    async def main():
        with lua.limits(instructions=SMALL):
            task = asyncio.create_task(asyncio.sleep(0, result=None))
            later = asyncio.get_running_loop().create_future()

            async def use():
                await later
                return lua.execute(BUSY)

            user = asyncio.create_task(use())
            await task
        later.set_result(None)
        return await user

    assert asyncio.run(main()) == 20000


def test_blocks_that_overlap(lupa, lua):
    wide, tight = lua.limits(instructions=10**8), lua.limits(instructions=SMALL)
    wide.__enter__()
    tight.__enter__()
    wide.__exit__(None, None, None)
    with pytest.raises(lupa.LuaInstructionLimitError):
        lua.execute(BUSY)
    tight.__exit__(None, None, None)
    assert lua.execute(BUSY) == 20000


def test_one_object_in_several_tasks(lupa, lua):
    limits = lua.limits(instructions=SMALL)

    async def use(pauses, results):
        with limits:
            for _ in range(pauses):
                await asyncio.sleep(0)
            try:
                lua.execute(BUSY)
            except lupa.LuaInstructionLimitError:
                results.append("stopped")

    async def main():
        results = []
        await asyncio.gather(*(use(pauses, results) for pauses in (5, 1, 3)))
        return results

    assert asyncio.run(main()) == ["stopped"] * 3
    assert lua.execute(BUSY) == 20000


def test_a_callback_is_inside(lupa, lua):
    """What Python code below Lua calls is under the limits of that Lua."""
    with pytest.raises(lupa.LuaInstructionLimitError), lua.limits(instructions=SMALL):
        lua.execute("(...)(...)", lambda _: lua.execute(BUSY))
    context = contextvars.Context()
    with pytest.raises(lupa.LuaInstructionLimitError), lua.limits(instructions=SMALL):
        lua.execute("(...)()", lambda: context.run(lua.execute, BUSY))


def test_limits_of_another_runtime(lupa, lua):
    other = lupa.LuaRuntime()
    with lua.limits(instructions=SMALL):
        assert other.execute(BUSY) == 20000


HOOK = "local function count() n = n + 1 end n = 0 debug.sethook(count, 'l')"
STEPS = "local a = 1\nlocal b = 2\nlocal c = a + b\nreturn c"


@pytest.mark.parametrize("stop", ["timeout", "block", "instructions"])
def test_a_stop_puts_the_hook_of_a_script_back(lupa, lua, stop):
    if lupa._INSTALLED_LUA:
        pytest.skip("with a Lua of the system, hooks end")
    lua.execute(HOOK)
    before = lua.globals().n
    lua.execute(STEPS)
    wanted = lua.globals().n - before
    assert wanted >= 3
    endless = "while true do local x = 1 end"
    with pytest.raises((lupa.LuaTimeoutError, lupa.LuaInstructionLimitError)):
        if stop == "timeout":
            lua.execute(endless, timeout=SOON)
        elif stop == "block":
            with lua.limits(seconds=SOON):
                lua.execute(endless)
        else:
            with lua.limits(instructions=SMALL):
                lua.execute(endless)
    for _ in range(2):
        before = lua.globals().n
        lua.execute(STEPS)
        assert lua.globals().n - before == wanted


def test_hooks_of_coroutines(lupa, lua, is_luajit):
    if lupa._INSTALLED_LUA:
        pytest.skip("with a Lua of the system, hooks end")
    lua.execute("""
        n = 0
        step = coroutine.wrap(function()
            debug.sethook(function() n = n + 1 end, 'l')
            while true do
                local x = 1
                coroutine.yield(n)
            end
        end)
        step()
    """)
    before = lua.eval("step()") - lua.eval("n")
    lua.eval("step()")
    one = lua.eval("step()") - before
    assert one > 0
    with pytest.raises(lupa.LuaTimeoutError):
        lua.execute("while true do end", timeout=SOON)
    first = lua.eval("step()")
    assert lua.eval("step()") > first


def test_a_hook_that_has_to_be_stopped_is_not_put_back(lupa, lua):
    with pytest.raises(lupa.LuaTimeoutError):
        lua.execute("debug.sethook(function() while true do end end, 'l')\nlocal x = 1\nlocal y", timeout=SOON)
    assert lua.eval("1 + 1") == 2


def test_overflow_handlers_can_be_stopped(lupa, lua):
    lua.set_overflow_handler(lua.eval("function() while true do end end"))
    with pytest.raises(lupa.LuaTimeoutError):
        lua.eval("type(...)", 2**70, timeout=SOON)
    lua.set_overflow_handler(lua.eval("function() return 7 end"))
    assert lua.eval("...", 2**70) == 7


def test_overflow_handlers_let_others_run(isolated):
    isolated("""
        import threading
        seen = threading.Event()
        lua.globals().is_set = seen.is_set
        lua.set_overflow_handler(lua.eval(
            "function() for i = 1, 1e9 do if i % 1e6 == 0 and is_set() then return 7 end end end"))
        threading.Timer(0.05, seen.set).start()
        assert lua.eval("...", 2**70) == 7
    """)
