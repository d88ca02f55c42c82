"""Waiting for a runtime that another thread is in: it ends, by whatever there is to end it."""

import os
import sys
import threading

import pytest

pytestmark = pytest.mark.beyond

SOON = 0.05

# A thread that is inside of ``lua`` until ``go`` is set.
INSIDE = """
import threading
inside, go = threading.Event(), threading.Event()
def stay():
    inside.set()
    go.wait(60)
holder = threading.Thread(target=lambda: lua.eval("(...)()", stay), daemon=True)
holder.start()
inside.wait()
"""


@pytest.fixture
def held(lua):
    """A runtime that another thread is in."""
    inside, go = threading.Event(), threading.Event()

    def stay():
        inside.set()
        go.wait(60)

    thread = threading.Thread(target=lambda: lua.eval("(...)()", stay))
    thread.start()
    inside.wait()
    yield lua
    go.set()
    thread.join()
    assert lua.eval("1 + 1") == 2


def test_the_time_limit_of_a_call(lupa, held):
    with pytest.raises(lupa.LuaTimeoutError, match=f"time limit of {SOON} s is over"):
        held.eval("1", timeout=SOON)
    with pytest.raises(lupa.LuaTimeoutError):
        held.execute("return 1", timeout=SOON)


def test_the_time_limit_of_a_block(lupa, held):
    with held.limits(seconds=SOON):
        with pytest.raises(lupa.LuaTimeoutError, match=f"time limit of {SOON} s is over"):
            held.eval("1")
        with pytest.raises(lupa.LuaTimeoutError):
            held.globals()


def test_the_time_limit_of_a_runtime_around(lupa, held):
    around = lupa.LuaRuntime(timeout=SOON)
    with pytest.raises(lupa.LuaTimeoutError):
        around.eval("(...)('1')", held.eval)
    assert around.eval("1 + 1") == 2


def test_interrupting_a_runtime_around(lupa, held):
    if lupa._INSTALLED_LUA:
        pytest.skip("only what has a time limit can be stopped")
    around = lupa.LuaRuntime()
    threading.Timer(SOON, around.interrupt).start()
    with pytest.raises(lupa.LuaInterruptedError):
        around.eval("(...)('1')", held.eval)
    assert around.eval("1 + 1") == 2


def test_interrupt(lupa, isolated):
    if lupa._INSTALLED_LUA:
        pytest.skip("only what has a time limit can be stopped")
    isolated(
        INSIDE
        + f"""
threading.Timer({SOON}, lua.interrupt).start()
try:
    lua.eval("1")
except lupa.LuaInterruptedError:
    print("interrupted")
else:
    raise AssertionError
go.set()
holder.join()
assert lua.eval("1 + 1") == 2
"""
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are of Unix")
def test_ctrl_c(isolated):
    isolated(
        INSIDE
        + f"""
import os, signal
threading.Timer({SOON}, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    lua.eval("1")
except KeyboardInterrupt:
    print("interrupted")
else:
    raise AssertionError
signal.signal(signal.SIGINT, lambda *_: go.set())
threading.Timer({SOON}, os.kill, (os.getpid(), signal.SIGINT)).start()
assert lua.eval("1 + 1") == 2
"""
    )


@pytest.mark.parametrize("count", [2, 3, 5])
def test_threads_in_a_ring(lupa, count):
    """Each in its own runtime, each wants the next one's."""
    runtimes = [lupa.LuaRuntime() for _ in range(count)]
    ready, results = threading.Barrier(count), []

    def work(index):
        def call():
            ready.wait()
            return runtimes[(index + 1) % count].eval("1 + 1")

        try:
            results.append(runtimes[index].eval("(...)()", call))
        except lupa.LuaError as error:
            results.append(str(error))

    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    errors = [result for result in results if result != 2]
    assert len(results) == count and len(errors) >= 1
    assert all("deadlock" in error for error in errors), errors
    assert [lua.eval("1 + 1") for lua in runtimes] == [2] * count


def test_waiting_in_line_is_no_ring(lupa):
    """Many want what one has that waits for nobody."""
    first, second = lupa.LuaRuntime(), lupa.LuaRuntime()
    results = []

    def work(lua, other):
        for _ in range(50):
            results.append(lua.eval("(...)('1 + 1')", other.eval))

    threads = [threading.Thread(target=work, args=(first, second)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [2] * 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_another_thread_is_inside(isolated):
    isolated(
        "table = lua.table(1, 2); function = lua.eval('print'); free = lupa.LuaRuntime()\n"
        + INSIDE
        + """
import os, sys, warnings
warnings.simplefilter("ignore")
pid = os.fork()
if pid == 0:
    status = 1
    try:
        uses = [lambda: lua.eval("1"), lambda: lua.execute("x = 1"), lambda: len(table), lambda: str(table),
                lambda: table[1], lambda: function(1), lua.globals, lua.gccollect, lua.table, lua.close]
        for number, use in enumerate(uses):
            try: use()
            except lupa.LuaError as error: assert "forked" in str(error), error
            else: raise AssertionError(number)
        # Debuggers ask for these anywhere.
        assert repr(table).startswith("<Lua table at 0x") and table == table and hash(table) == hash(table)
        assert "keys" in dir(table)
        lua.close()
        try: lua.eval("1")
        except lupa.LuaError as error: assert "closed" in str(error), error
        assert lupa.LuaRuntime().eval("1 + 1") == 2
        assert free.eval("1 + 1") == 2
        lua = table = function = None
        gc.collect()
        status = 0
    finally:
        sys.stdout.flush(); sys.stderr.flush()
        os._exit(status)
assert os.waitpid(pid, 0)[1] == 0
go.set(); holder.join()
assert lua.eval("1 + 1") == 2
"""
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_inside(isolated):
    """What the thread that forks is in goes on in both."""
    isolated("""
        import os
        def fork():
            pid = os.fork()
            if pid: assert os.waitpid(pid, 0)[1] == 0
            return pid == 0
        if lua.eval("(...)()", fork):
            os._exit(0 if lua.eval("1 + 1") == 2 else 1)
        assert lua.eval("1 + 1") == 2
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork_while_threads_wait(isolated):
    isolated(
        INSIDE
        + """
import os, time
waiting = [threading.Thread(target=lua.eval, args=("1",), daemon=True) for _ in range(3)]
for thread in waiting: thread.start()
time.sleep(0.1)
for _ in range(5):
    pid = os.fork()
    if pid == 0:
        try: lua.eval("1")
        except lupa.LuaError: os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
go.set(); holder.join()
for thread in waiting: thread.join()
"""
    )


def test_the_lock_class(lupa):
    """``FastRLock`` waits in the same way."""
    lock, taken, go = lupa.FastRLock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            taken.set()
            go.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert lock.acquire(blocking=False) is False
    threading.Timer(SOON, go.set).start()
    assert lock.acquire() is True
    lock.release()
    thread.join()
