"""Python's lock while Lua runs: a program with one thread keeps it, until somebody may want it.

Those are threads that Python knows nothing of until they call it, as libraries written in C have them. Here a timer of
the C library makes one. Nothing here measures time: where the lock is not given up, both wait until the process is
ended.
"""

import sys

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a timer that starts a thread is Linux's")

PRELUDE = """
import ctypes, os, tempfile, threading

FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

class Event(ctypes.Structure):
    _fields_ = [("value", ctypes.c_void_p), ("signal", ctypes.c_int), ("notify", ctypes.c_int),
                ("function", FUNCTION), ("attributes", ctypes.c_void_p), ("rest", ctypes.c_char * 32)]

def later(function, seconds=0.2):
    '''Calls a function in a thread of the C library.'''
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "timer_create"):
        libc = ctypes.CDLL("librt.so.1")
    def call(_):
        assert isinstance(threading.current_thread(), threading._DummyThread)
        function()
    kept.append(FUNCTION(call))
    timer = ctypes.c_void_p()
    event = Event(notify=2, function=kept[-1])
    assert libc.timer_create(1, ctypes.byref(event), ctypes.byref(timer)) == 0
    time = (ctypes.c_long * 4)(0, 0, int(seconds), int(seconds % 1 * 1e9))
    assert libc.timer_settime(timer, 0, time, None) == 0

kept = []
reader, writer = os.pipe()
write = lambda: os.write(writer, b"line\\n")
folder = tempfile.TemporaryDirectory()
path = os.path.join(folder.name, "file")

def fill():
    '''Fills the pipe.'''
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)

def drain():
    '''Reads from it, for ever.'''
    while os.read(reader, 100_000):
        pass

assert threading.active_count() == 1
"""


@pytest.fixture
def alone(isolated):
    """Like ``isolated``, in a process with one thread; ``later`` brings another one, which Python does not know."""
    return lambda code: isolated(PRELUDE + code)


@pytest.fixture
def reachable(lupa):
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua is not asked for the lock: it always gives it up")


@pytest.mark.parametrize(
    "use",
    [
        "lua.execute('while true do end', timeout=20)",
        "list(lua.eval('function() coroutine.yield() while true do end end').coroutine())",
        # A callback comes back to what called it, which goes on keeping others.
        "lua.execute('local f = ... for i = 1, 100 do f(f) end while true do end', lambda f: None)",
        # The C function looks now and then.
        """lua.execute("return ('a'):rep(60):find(('a-'):rep(60) .. 'b')", timeout=20)""",
    ],
    ids=["loop", "coroutine", "callbacks", "matching"],
)
def test_what_runs_long_lets_it_in(alone, reachable, use):
    alone(f"""
later(lua.interrupt)
try:
    {use}
except lupa.LuaInterruptedError:
    pass
else:
    raise AssertionError
""")


@pytest.mark.parametrize(
    "code",
    [
        "return io.open('/dev/fd/' .. reader):read('*l')",
        "return io.open('/dev/fd/' .. reader):read(4)",
        "return (io.open('/dev/fd/' .. reader):lines()())",
        "io.input('/dev/fd/' .. reader) return (io.lines()())",
        "return io.open('/dev/fd/' .. reader):read('*n')",
        "return io.open('/dev/fd/' .. reader):read(0)",
        "os.execute('read line < /dev/fd/' .. reader) return true",
        "io.popen('read line < /dev/fd/' .. reader):close() return true",
        "return io.popen('read line < /dev/fd/' .. reader):read('*a')",
        "return pcall(loadfile, '/dev/fd/' .. reader)",
    ],
)
def test_what_waits_lets_it_in(alone, code):
    """The line that Lua waits for is written by the other thread."""
    alone(f"""
os.set_inheritable(reader, True)
later(lambda: (write(), os.close(writer)))
lua.globals().reader = reader
lua.execute({code!r})
""")


def test_a_search_for_a_module_lets_it_in(alone, lua):
    """A pipe with a name can be opened when somebody opens its other end."""
    if not lua.eval("package.searchpath"):
        pytest.skip("no package.searchpath")
    alone("""
os.mkfifo(path)
later(lambda: open(path, "w").close())
lua.globals().path = path
assert lua.eval("package.searchpath('x', path)") == path
""")


def test_a_pipe_that_is_full_lets_it_in(alone):
    alone("""
def drain():
    got = 0
    while got < 1_000_000:
        got += len(os.read(reader, 100_000))
later(drain)
lua.globals().writer = writer
lua.execute('''
    local f = io.open('/dev/fd/' .. writer, 'w')
    f:write(string.rep('x', 1000000))
    f:close()
''')
""")


@pytest.mark.parametrize(
    "code",
    [
        "for i = 1, 100000 do f:write(5) end",
        "for i = 1, 30000 do f:write('123') end",
        "f:seek('set')",
        "f:setvbuf('no')",
        "f:flush()",
        "f:close()",
    ],
)
def test_what_is_written_out_lets_it_in(alone, code):
    """The pipe is full, and something is left to be written; the other thread reads it."""
    alone(f"""
lua.globals().writer = writer
lua.execute('''
    f = io.open('/dev/fd/' .. writer, 'w')
    f:setvbuf('full', 4096)
''')
fill()
lua.execute('f:write("waits")')
later(drain)
lua.execute({code!r})
os._exit(0)
""")


@pytest.mark.parametrize(
    "code", ["print(string.rep('x', 10000))", "io.stderr:write(5)", "io.stderr:write('x')", "warn('@on') warn('x')"]
)
def test_standard_output_and_error_let_it_in(alone, lua, code):
    if "warn" in code and not lua.eval("warn"):
        pytest.skip("warnings came with Lua 5.4")
    alone(f"""
for standard in 1, 2:
    os.dup2(writer, standard)
fill()
later(drain)
lua.execute({code!r})
os._exit(0)
""")


def test_a_fork_is_no_time_to_keep_it(isolated):
    """A handler that Python calls between the end of the helper thread and the fork; it was registered before ours."""
    isolated("""
import os, signal, subprocess, sys
code = '''
import os, signal
run = []
os.register_at_fork(before=lambda: [f() for f in run])
import lupa.%s as lupa
lua = lupa.LuaRuntime(timeout=60)
lua.execute("x = 1")
class Alarm(Exception): pass
def handler(*_): raise Alarm
signal.signal(signal.SIGALRM, handler)
run.append(lambda: lua.execute("for i = 1, 1e6 do end"))
if os.fork() == 0:
    assert lua.eval("x") == 1
    os._exit(0)
assert os.wait()[1] == 0
run.clear()
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    lua.execute("while true do end")
except Alarm:
    pass
''' % lupa.__name__.rpartition(".")[2]
if hasattr(os, "register_at_fork"):
    subprocess.run([sys.executable, "-c", code], check=True)
""")


def test_a_binary_module_lets_it_in(alone):
    """Nobody knows what its functions do, so they are called without the lock: here one that reads a character."""
    alone("""
os.dup2(reader, 0)
later(lambda: os.write(writer, b"\\0"))
opened = lua.execute('''
    local getchar = package.loadlib('libc.so.6', 'getchar')
    if not getchar then return false end
    return select('#', getchar())
''')
assert opened in (0, False), opened
""")


def test_a_foreign_function_lets_it_in(alone, is_luajit):
    if not is_luajit:
        pytest.skip("LuaJIT has an FFI")
    alone("""
lua.execute('''
    ffi = require 'ffi'
    ffi.cdef 'long read(int, void *, size_t);'
    buffer = ffi.new('char[8]')
''')
read = lua.eval("function(fd) return tonumber(ffi.C.read(fd, buffer, 1)) end")
later(write)
assert read(reader) == 1
# The same when it is compiled.
again = lua.eval('''function(fd, n)
    local sum = 0
    for i = 1, n do sum = sum + tonumber(ffi.C.read(fd, buffer, 1)) end
    return sum
end''')
os.write(writer, b"x" * 500)
assert again(reader, 500) == 500
later(lambda: os.write(writer, b"x" * 500))
assert again(reader, 500) == 500
""")


def test_a_thread_that_a_callback_has_started_runs(alone):
    """From then on Python has another thread, and the lock is given up as soon as Lua goes on."""
    alone("""
def start():
    thread = threading.Thread(target=lambda: open(path, "w").close())
    thread.start()
lua.globals().start, lua.globals().path = start, path
lua.execute('''
    start()
    repeat local f = io.open(path) until f
''')
""")


def test_signals_are_handled_while_it_is_kept(alone, reachable):
    alone("""
import signal
class Alarm(Exception): pass
def handler(*_): raise Alarm
signal.signal(signal.SIGALRM, handler)
for _ in range(3):
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        lua.execute("while true do end", timeout=20)
    except Alarm:
        pass
    else:
        raise AssertionError
assert lua.eval("1 + 1") == 2
""")


def test_errors_leave_it_where_it_was(alone):
    """Errors of Lua, of Python through Lua, and of nested calls; Python works on as the one that has the lock."""
    alone("""
def fail(): raise ValueError("x")
def again(depth):
    return lua.eval("function(f, d) return f(d) end")(nested, depth - 1)
def nested(depth):
    if depth == 0: fail()
    try:
        return again(depth)
    except ValueError:
        if depth % 2: raise
        return depth
for _ in range(100):
    for code in "error('x')", "local f = ... f()", "return pcall(...)", "local f = ... coroutine.wrap(f)()":
        try:
            lua.execute(code, fail)
        except (lupa.LuaError, ValueError):
            pass
    nested(9)
thread = threading.Thread(target=lambda: lua.eval("1 + 1"))
thread.start()
thread.join()
""")
