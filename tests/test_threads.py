"""Threads: the GIL is free while Lua runs, one lock per runtime, no deadlock whoever drops what where.

Nothing here measures time: a test that would hang is ended by the time limit of its process.
"""

import threading

import pytest


def run_threads(*functions):
    """Run functions in a thread each; the first exception of any is raised here."""
    errors = []

    def guarded(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_the_gil_is_free_while_lua_runs(isolated):
    """Lua waits in a loop for a file that a Python thread writes, which needs the GIL for it."""
    isolated("""
        import os, tempfile, threading
        folder = tempfile.TemporaryDirectory()
        flag = os.path.join(folder.name, "flag")
        started = os.path.join(folder.name, "started")

        def set_flag():
            while not os.path.exists(started):
                pass
            open(flag, "w").close()

        thread = threading.Thread(target=set_flag)
        thread.start()
        lua.eval('''function(started, flag)
            io.open(started, "w"):close()
            while true do
                local f = io.open(flag)
                if f then f:close() return end
            end
        end''')(started, flag)
        thread.join()
    """)


def test_runtimes_run_side_by_side(isolated):
    """Two runtimes wait for each other inside Lua, which only works when both run at once."""
    isolated("""
        import os, tempfile, threading
        folder = tempfile.TemporaryDirectory()
        code = '''function(mine, other)
            io.open(mine, "w"):close()
            while true do
                local f = io.open(other)
                if f then f:close() return true end
            end
        end'''
        names = [os.path.join(folder.name, name) for name in "ab"]
        functions = [lupa.LuaRuntime().eval(code) for _ in names]
        results = []
        threads = [
            threading.Thread(target=lambda f=f, m=m, o=o: results.append(f(m, o)))
            for f, m, o in zip(functions, names, names[::-1])
        ]
        for t in threads: t.start()
        for t in threads: t.join()
        assert results == [True, True]
    """)


def test_one_runtime_many_threads(lua):
    """Calls are one after the other: a Lua function is not interrupted by another thread's."""
    lua.execute("n = 0")
    step = lua.eval("function(k) for i = 1, k do local before = n; n = before + 1 end end")
    run_threads(*[lambda: [step(100) for _ in range(50)]] * 6)
    assert lua.globals().n == 6 * 50 * 100


def test_every_operation_from_many_threads(lua):
    table = lua.table()
    function = lua.eval("function(x) return {x} end")

    def work(number):
        for i in range(200):
            key = f"{number}-{i}"
            table[key] = i
            assert table[key] == i
            assert function(i)[1] == i
            assert lua.eval("...", i) == i
            assert list(lua.table_from([i]).values()) == [i]
            del table[key]
            repr(table)
            len(table)

    run_threads(*[lambda n=n: work(n) for n in range(6)])
    assert list(table) == []


def test_callbacks_in_threads(lua):
    """Python code called by Lua in several threads calls Lua again."""
    inner = lua.eval("function(x) return x + 1 end")
    outer = lua.eval("function(f, x) return f(x) + 1 end")

    def work():
        for i in range(200):
            assert outer(lambda x: inner(x), i) == i + 2

    run_threads(*[work] * 6)


def test_reentrance_in_the_same_thread(lua):
    """The lock is re-entrant."""
    depth = lua.eval("function(f, n) if n == 0 then return 0 end return f(n - 1) + 1 end")

    def again(n):
        return depth(again, n)

    run_threads(*[lambda: [again(10) for _ in range(20)]] * 4)
    assert again(10) == 10


def test_waiting_for_a_runtime_lets_others_run(isolated):
    """A thread that waits for the runtime does not hold the GIL, nor what the owner needs to finish."""
    isolated("""
        import threading
        inside, go_on = threading.Event(), threading.Event()

        def hold():
            inside.set()
            go_on.wait()

        owner = threading.Thread(target=lambda: lua.eval("function(f) f() end")(hold))
        owner.start()
        inside.wait()
        results = []
        waiters = [threading.Thread(target=lambda: results.append(lua.eval("1 + 1"))) for _ in range(4)]
        for waiter in waiters: waiter.start()
        assert results == []
        go_on.set()
        owner.join()
        for waiter in waiters: waiter.join()
        assert results == [2] * 4
    """)


def test_two_runtimes_that_call_each_other(isolated):
    """Each thread holds one runtime and calls into a third; no thread waits with the GIL in hand."""
    isolated("""
        import threading
        shared = lupa.LuaRuntime()
        count = shared.eval("function() n = (n or 0) + 1 return n end")

        def work():
            own = lupa.LuaRuntime()
            call = own.eval("function(f) return f() end")
            for _ in range(200):
                call(lambda: count())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert shared.globals().n == 800
    """)


def test_dropping_objects_while_another_thread_runs_lua(isolated):
    """Dropping never waits for the runtime (2.8 once had a deadlock here)."""
    isolated("""
        import threading
        tables = [lua.table(i) for i in range(1000)]
        inside, go_on = threading.Event(), threading.Event()

        def hold():
            inside.set()
            go_on.wait()

        owner = threading.Thread(target=lambda: lua.eval("function(f) f() end")(hold))
        owner.start()
        inside.wait()
        iterators = None
        del tables
        gc.collect()
        go_on.set()
        owner.join()
        lua.gccollect()
        assert lua.eval("1") == 1
    """)


def test_dropping_the_last_reference_in_another_thread(isolated):
    """A runtime closes in whichever thread drops it."""
    isolated("""
        import threading
        for _ in range(50):
            runtime = lupa.LuaRuntime()
            function = runtime.eval("function() end")
            box = [runtime, runtime.table(1, 2), function, function.coroutine()]
            del function
            runtime.globals().thing = object()
            del runtime
            thread = threading.Thread(target=box.clear)
            thread.start()
            thread.join()
            gc.collect()
    """)


def test_coroutines_move_between_threads(lua):
    coroutine = lua.eval("function() for i = 1, 100 do coroutine.yield(i) end end").coroutine()
    seen = []

    def take():
        seen.append(next(coroutine))

    for _ in range(20):
        run_threads(take, take)
    assert sorted(seen) == list(range(1, 41))


@pytest.mark.beyond
def test_exceptions_stay_in_their_thread(lua):
    """Each thread gets its own exception back."""
    call = lua.eval("function(f, x) f(x) end")

    def work(number):
        def fail(x):
            raise KeyError(number, x)

        for i in range(200):
            with pytest.raises(KeyError) as caught:
                call(fail, i)
            assert caught.value.args == (number, i)

    run_threads(*[lambda n=n: work(n) for n in range(5)])


def test_lua_errors_stay_in_their_thread(lupa, lua):
    fail = lua.eval("function(x) error(x, 0) end")

    def work(number):
        for i in range(200):
            with pytest.raises(lupa.LuaError) as caught:
                fail(f"{number}-{i}")
            assert str(caught.value).split("\n")[0] == f"{number}-{i}"

    run_threads(*[lambda n=n: work(n) for n in range(5)])


def test_generators_that_are_used_in_several_threads(lua):
    """Objects of Python shared by runtimes of several threads."""
    import itertools
    import queue

    results = queue.Queue()
    counter = itertools.count()

    def work():
        own = type(lua)()
        loop = own.eval("function(c, put) for i = 1, 100 do put(c()) end end")
        loop(lambda: next(counter), results.put)

    run_threads(*[work] * 5)
    assert sorted(results.queue) == list(range(500))


def test_garbage_collection_in_another_thread(isolated):
    """Python's collector runs anywhere; it finds Lua objects in the middle of other threads' work."""
    isolated("""
        import threading
        gc.set_threshold(5)
        def work():
            function = lua.eval("function(...) return {...}, function() end end")
            for i in range(300):
                cycle = [function(i, [i], object())]
                cycle.append(cycle)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        gc.collect()
        lua.gccollect()
    """)


def test_many_runtimes_in_many_threads(lupa):
    def work():
        for i in range(20):
            total = lupa.LuaRuntime().eval("function(n) local s = 0 for i = 1, n do s = s + i end return s end")
            assert total(i) == i * (i + 1) // 2

    run_threads(*[work] * 6)


def test_mandelbrot_in_threads(lupa):
    """The shape of the documentation's example: one runtime a thread, results joined."""
    code = """function(size, part, parts)
        local rows = {}
        for y = part, size - 1, parts do
            local row = {}
            for x = 0, size - 1 do
                local cr, ci, zr, zi, n = 2 * x / size - 1.5, 2 * y / size - 1, 0, 0, 0
                while zr * zr + zi * zi <= 4 and n < 50 do
                    zr, zi, n = zr * zr - zi * zi + cr, 2 * zr * zi + ci, n + 1
                end
                row[#row + 1] = n == 50 and "#" or "."
            end
            rows[#rows + 1] = table.concat(row)
        end
        return table.concat(rows, "|")
    end"""
    parts = 4
    results = [None] * parts

    def work(part):
        results[part] = lupa.LuaRuntime(encoding=None).eval(code)(32, part, parts)

    run_threads(*[lambda p=p: work(p) for p in range(parts)])
    assert results[0] == lupa.LuaRuntime(encoding=None).eval(code)(32, 0, parts)
    assert sum(result.count(b"#") for result in results) > 50


def test_fork(isolated):
    """A child of a fork goes on with the runtime."""
    isolated("""
        import os
        if hasattr(os, "fork"):
            table = lua.table(1)
            pid = os.fork()
            if pid == 0:
                os._exit(0 if lua.eval("1 + 1") == 2 and table[1] == 1 else 1)
            assert os.waitpid(pid, 0)[1] == 0
    """)


def test_no_thread_starves(isolated):
    """Threads that use one runtime all the time let each other in: those of Python, in short and in long calls."""
    isolated("""
        import threading
        counts = [0] * 3
        def work(number, code):
            while min(counts) < 20:
                lua.execute(code)
                counts[number] += 1
        codes = ["for i = 1, 20000 do end", "return 1 + 1", "local t = {} for i = 1, 2000 do t[i] = i end"]
        threads = [threading.Thread(target=work, args=job) for job in enumerate(codes)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
    """)


def test_who_waits_gets_in_while_daemon_threads_come_to_their_end(isolated):
    """The lock is handed on to those who wait; one of them that is gone, with Python, keeps nobody waiting."""
    isolated("""
        import atexit, threading
        def forever():
            while True:
                lua.execute("for i = 1, 2000 do end")
        for _ in range(3):
            threading.Thread(target=forever, daemon=True).start()
        for _ in range(50):
            lua.execute("for i = 1, 2000 do end")
        atexit.register(lambda: lua.eval("1 + 1"))
    """)
