"""Greenlets: who enters a runtime while others are inside comes back in any order."""

import gc
import os

import pytest

greenlet = pytest.importorskip("greenlet")

pytestmark = pytest.mark.beyond


def run_all(tasks):
    """Switches to each in turn, from this greenlet, until all have ended."""
    tasks = list(tasks)
    while tasks:
        for task in list(tasks):
            task.switch()
            if task.dead:
                tasks.remove(task)


def test_a_runtime_each(lupa):
    hub, results = greenlet.getcurrent(), []

    def request(n):
        lua = lupa.LuaRuntime()
        results.append(lua.eval("function(n, wait) wait() return n end")(n, hub.switch))

    first, second = greenlet.greenlet(request), greenlet.greenlet(request)
    first.switch(1)
    second.switch(2)
    first.switch()
    second.switch()
    assert results == [1, 2]


def test_a_coroutine_each(lua):
    hub, results = greenlet.getcurrent(), []
    function = lua.eval("function(n, switch) switch() coroutine.yield(n) return n end")

    def request(n):
        results.append(list(function.coroutine(n, hub.switch)))

    first, second = greenlet.greenlet(request), greenlet.greenlet(request)
    first.switch(1)
    second.switch(2)
    first.switch()
    second.switch()
    assert results == [[1, 1], [2, 2]]


@pytest.mark.parametrize("order", ["ab", "ba", "aabb", "abab", "bbaa"])
def test_plain_calls(lua, order):
    hub = greenlet.getcurrent()
    function = lua.eval("function(n, switch) local a = switch() local b = switch() return n .. a .. b end")
    tasks = {name: greenlet.greenlet(lambda name=name: function(name, hub.switch)) for name in "ab"}
    for task in tasks.values():
        task.switch()
    results = {}
    for step, name in enumerate(order + "aabb"):
        if not tasks[name].dead:
            result = tasks[name].switch(step)
            if tasks[name].dead:
                results[name] = result
    assert sorted(text[0] for text in results.values()) == ["a", "b"]
    assert all(results[name].startswith(name) for name in "ab")
    assert lua.eval("1 + 1") == 2


def test_a_greenlet_that_works_on_top_of_its_own(lua):
    """As long as one greenlet is inside, what it calls works on the stack of the coroutine that has called."""
    function = lua.eval("function(f) local me = coroutine.running() or 'main' return f(me) end")
    same = lua.eval("function(other) return (coroutine.running() or 'main') == other end")
    assert function(same) is True
    assert greenlet.greenlet(lambda: function(same)).switch() is True


def test_the_stack_of_another_is_not_touched(lua):
    hub = greenlet.getcurrent()
    function = lua.eval("""
        function(f)
            local function me() return tostring(coroutine.running() or 'main') end
            local before = me()
            f()
            return before, me()
        end""")
    tasks = [greenlet.greenlet(lambda: function(hub.switch)) for _ in range(3)]
    for task in tasks:
        task.switch()
    stacks = [task.switch() for task in tasks]
    assert len({before for before, _ in stacks}) == 3
    assert all(before == after for before, after in stacks)


def test_greenlet_is_imported_inside(isolated):
    """Who is inside already, when the first greenlet is made, is the first of its thread."""
    isolated("""
        def work():
            import greenlet
            hub = greenlet.getcurrent()
            def other():
                try: return lua.eval("(function(f) f() return 1 end)(...)", hub.switch)
                except lupa.LuaError as error: return str(error)
            task = greenlet.greenlet(other)
            first = task.switch()
            return task.switch() if not task.dead else first
        found = lua.eval("(...)()", work)
        assert found == 1 or "another greenlet" in found, found
        assert lua.eval("1 + 1") == 2
        assert lua.eval("(...)()", work) == 1
    """)


def test_errors_and_throws(lupa, lua):
    hub = greenlet.getcurrent()
    function = lua.eval("function(switch) local ok, e = pcall(switch) return ok, tostring(e) end")
    first, second = (greenlet.greenlet(lambda: function(hub.switch)) for _ in range(2))
    first.switch()
    second.switch()
    ok, text = first.throw(ValueError("thrown"))
    assert ok is False and "thrown" in text
    assert second.switch() == (True, "()")
    raises = greenlet.greenlet(lambda: lua.execute("(...)()", hub.switch))
    raises.switch()
    with pytest.raises(KeyError):
        raises.throw(KeyError("x"))
    assert lua.eval("1 + 1") == 2


def test_greenlets_that_are_dropped(lua):
    """They are ended by an exception where they are; Lua is left."""
    hub = greenlet.getcurrent()
    function = lua.eval("function(switch) for i = 1, 10 do switch() end end")
    for _ in range(3):
        tasks = [greenlet.greenlet(lambda: function(hub.switch)) for _ in range(4)]
        for task in tasks:
            task.switch()
        tasks[1].switch()
        del tasks, task
        gc.collect()
        assert lua.eval("1 + 1") == 2


def test_closing_waits_for_all_to_leave(lupa):
    lua, hub = lupa.LuaRuntime(), greenlet.getcurrent()
    function = lua.eval("function(switch) switch() return 1 end")
    task = greenlet.greenlet(lambda: function(hub.switch))
    task.switch()
    with pytest.raises(lupa.LuaError, match="cannot be closed while it is running"):
        lua.close()
    assert task.switch() == 1
    lua.close()


def test_a_finalizer_while_closing(lupa):
    """Nobody else gets in while a runtime is closed."""
    lua, hub = lupa.LuaRuntime(), greenlet.getcurrent()
    lua.execute("""
        local function collect() switch() end
        if newproxy then kept = newproxy(true) getmetatable(kept).__gc = collect
        else kept = setmetatable({}, {__gc = collect}) end
    """)
    lua.globals().switch = hub.switch
    task = greenlet.greenlet(lua.close)
    task.switch()
    if not task.dead:
        with pytest.raises(lupa.LuaError, match="another greenlet"):
            lua.eval("1")
        task.switch()
    with pytest.raises(lupa.LuaError, match="closed"):
        lua.eval("1")


def test_time_limits_are_each_ones_own(lupa, lua):
    hub = greenlet.getcurrent()
    busy = lua.eval("function(switch) switch() for i = 1, 1e5 do end switch() return 'done' end")

    def limited():
        with lua.limits(instructions=1000):
            return busy(hub.switch)

    free, bound = greenlet.greenlet(lambda: busy(hub.switch)), greenlet.greenlet(limited)
    bound.switch()
    free.switch()
    free.switch()
    assert free.switch() == "done"
    with pytest.raises(lupa.LuaInstructionLimitError):
        bound.switch()
    assert lua.eval("1 + 1") == 2


def test_a_time_limit_that_is_over_leaves_nothing_behind(lupa, lua):
    """Who has entered while another's limit held does not put that back at the end."""
    if lupa._INSTALLED_LUA:
        pytest.skip("only what has a time limit can be stopped")
    hub = greenlet.getcurrent()
    busy = lua.eval("""function(switch)
        switch() coroutine.yield(1)
        for i = 1, 3e7 do local _ = tostring(i % 7) if i % 1e6 == 0 then coroutine.yield(i) end end
    end""")

    def work():
        steps = busy.coroutine(hub.switch)
        next(steps)
        hub.switch()
        return len([next(steps) for _ in range(3)])

    inside = greenlet.greenlet(lambda: lua.eval("(...)()", hub.switch))
    limited = greenlet.greenlet(lambda: lua.eval("(...)()", hub.switch, timeout=0.02))
    works = greenlet.greenlet(work)
    for task in (inside, limited, works, limited, works):
        task.switch()
    assert limited.dead
    assert works.switch() == 3
    inside.switch()


def test_a_time_limit_holds_for_what_a_callback_calls(lupa, lua):
    """Others are inside, so that it works on a stack of its own."""
    if lupa._INSTALLED_LUA:
        pytest.skip("only what has a time limit can be stopped")
    hub = greenlet.getcurrent()
    forever = lua.eval("function() while true do end end")

    def call():
        hub.switch()
        forever()

    def deeper():
        lua.eval("(...)()", call)

    tasks = [greenlet.greenlet(lambda f=f: lua.eval("(...)()", f, timeout=0.05)) for f in (call, deeper)]
    inside = greenlet.greenlet(lambda: lua.eval("(...)()", hub.switch))
    for task in [*tasks, inside]:
        task.switch()
    for task in tasks:
        with pytest.raises(lupa.LuaTimeoutError, match=r"time limit of 0\.05 s"):
            task.switch()
    inside.switch()
    assert lua.eval("1 + 1") == 2


def test_limits_reach_who_runs_alone_again(isolated):
    isolated("""
        import greenlet
        if not lupa._INSTALLED_LUA:
            hub = greenlet.getcurrent()
            function = lua.eval("function(switch) switch() return 1 end")
            tasks = [greenlet.greenlet(lambda: function(hub.switch)) for _ in range(2)]
            for task in tasks: task.switch()
            # The last one to leave has a stack of its own.
            for task in tasks: task.switch()
            assert all(task.dead for task in tasks)
            try:
                lua.eval("(function() while true do end end)()", timeout=0.05)
            except lupa.LuaTimeoutError:
                print("stopped")
    """)


def test_interruption_reaches_who_runs(lupa, lua):
    hub = greenlet.getcurrent()
    waits = greenlet.greenlet(lambda: lua.eval("(...)()", hub.switch))
    waits.switch()

    def run():
        lua.execute("(...)() while true do end", lua.interrupt)

    runs = greenlet.greenlet(run)
    if lupa._INSTALLED_LUA:
        pytest.skip("only what has a time limit can be stopped")
    with pytest.raises(lupa.LuaInterruptedError):
        runs.switch()
    waits.switch(5)
    assert waits.dead
    assert lua.eval("1 + 1") == 2


def test_threads_with_greenlets(isolated):
    isolated("""
        import greenlet, threading
        function = lua.eval("function(n, switch) local s = 0 for i = 1, 20 do switch() s = s + n end return s end")
        results = []
        def work(n):
            hub = greenlet.getcurrent()
            tasks = [greenlet.greenlet(lambda k=k: results.append((n, k, function(k, hub.switch)))) for k in range(4)]
            while tasks:
                for task in list(tasks):
                    task.switch()
                    if task.dead: tasks.remove(task)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(results) == [(n, k, 20 * k) for n in range(4) for k in range(4)], results
    """)


def test_a_thread_that_ends_inside(isolated):
    """A greenlet of it waits for ever in a callback: others get an error, and do not wait with it."""
    isolated("""
        import threading
        import greenlet

        lua = lupa.LuaRuntime()
        kept = []

        def work():
            hub = greenlet.getcurrent()
            function = lua.eval("function(wait) wait() end")
            kept.append(greenlet.greenlet(lambda: function(hub.switch)))
            kept[0].switch()

        def use():
            for use in (lambda: lua.eval("1"), lambda: lua.eval("1"), lua.gccollect, lambda: lua.globals().x):
                try:
                    use()
                except lupa.LuaError as error:
                    assert "the thread that was inside of it has ended" in str(error), error
                else:
                    raise AssertionError

        for run in (work, use):
            # The second one has perhaps the place of the first, but is another thread.
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
        use()
        try:
            lua.close()
        except lupa.LuaError:
            pass
        assert lupa.LuaRuntime().eval("1 + 1") == 2
    """)


def test_random_schedules(backend, isolated):
    """Against a model: see ``schedules.py``, which tries more of them."""
    count = 2000 if os.environ.get("LUPA_SWEEP") == "all" else 60
    here = os.path.dirname(__file__)
    out = isolated(
        f"""
        import sys
        sys.path.insert(0, {here!r})
        import schedules
        wrong = [text for seed in range({count}) if (text := schedules.try_schedule(lupa, seed))]
        assert not wrong, wrong[:3]
        print("right")
        """
    )
    assert out.strip() == "right"


def test_gevent(isolated):
    pytest.importorskip("gevent")
    isolated("""
        from gevent import monkey
        monkey.patch_all()
        import gevent, time, threading
        function = lua.eval('''
            function(n, wait) local s = 0 for i = 1, 5 do wait(0.001 * (n % 3)) s = s + n end return s end''')
        jobs = [gevent.spawn(function, n, time.sleep) for n in range(20)]
        gevent.joinall(jobs, raise_error=True)
        assert [job.value for job in jobs] == [5 * n for n in range(20)]
        own = lupa.LuaRuntime()
        results = []
        def use(n):
            results.append(own.eval("(...)(...)", lambda f: f and time.sleep(0.001) or n))
        threads = [threading.Thread(target=use, args=(n,)) for n in range(5)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert sorted(results) == list(range(5))
        with gevent.Timeout(0.05, False):
            lua.eval("(...)(10)", time.sleep)
        assert lua.eval("1 + 1") == 2
    """)


def test_greenlet_spawn_of_sqlalchemy(isolated):
    pytest.importorskip("sqlalchemy")
    isolated("""
        import asyncio
        from sqlalchemy.util import await_only, greenlet_spawn
        async def fetch(n):
            await asyncio.sleep(0.001 * (n % 3))
            return n + 1
        lua.globals().fetch = lambda n: await_only(fetch(int(n)))
        function = lua.eval('''function(n)
            local s = 0
            for i = 1, 5 do local ok, v = pcall(fetch, i + n) assert(ok, v) s = s + v end
            local t = {3, 1, 2}
            table.sort(t, function(a, b) return fetch(a) < fetch(b) end)
            return s + t[1] end''')
        async def main():
            return await asyncio.gather(*(greenlet_spawn(function, n) for n in range(8)))
        assert asyncio.run(main()) == [5 * n + 21 for n in range(8)]
    """)


def test_no_greenlets_no_import(isolated):
    """The package is none of ours: it is not imported for us."""
    isolated("import sys; lua.eval('(...)(1)', lua.eval('print')); assert 'greenlet' not in sys.modules")
