"""Stopping Lua: time and instruction limits, ``interrupt()``, signals. Nothing in Lua escapes them."""

import contextlib
import gc
import os
import signal
import sys
import threading
import time

import pytest
from conftest import still_works


@pytest.fixture(autouse=True)
def _bundled(lupa):
    # Some of what is here would never end: less is stopped there, as docs/packaging.md says.
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua has not what a bundled one is given to be stopped")


pytestmark = pytest.mark.beyond

# Short, as it is waited for; a test that hangs is ended by the limit of its process or of the run.
SOON = 0.05


@contextlib.contextmanager
def interrupting(lua):
    """Interrupts what Lua runs, soon; as long as it runs nothing yet, there is nothing to interrupt."""
    left = threading.Event()

    def interrupt():
        while not left.wait(SOON) and not lua.interrupt():
            pass

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


LOOPS = {
    "while": "while true do end",
    "repeat": "repeat until false",
    "for": "for i = 1, math.huge do end",
    "sum": "local sum = 0 for i = 1, 1e15 do sum = sum + i end",
    "jumps": "local i = 0 while true do i = i + 1 if i > 10 then i = 0 end end",
    "iterator": "for _ in function() return 1 end do end",
    "tail call": "local function f() return f() end f()",
    "C function": "while true do local s = ('x'):rep(10) end",
    "pcall": "while true do pcall(error, 'x') end",
    "pcall around": "local function f() while true do end end while true do pcall(f) end",
    "many pcalls": "local function f(n) while true do pcall(n > 0 and f or error, n - 1) end end f(50)",
    "xpcall": "while true do xpcall(function() while true do end end, function() while true do end end) end",
    "error": "while true do pcall(function() error(setmetatable({}, {__tostring = function() end})) end) end",
    "coroutine": "local f = coroutine.wrap(function() while true do end end) while true do pcall(f) end",
    "new coroutines": "while true do local f = coroutine.wrap(function() coroutine.yield() end) f() f() end",
    "coroutines that catch": """
        while true do
            local co = coroutine.create(function() while true do pcall(coroutine.yield) end end)
            for i = 1, 5 do coroutine.resume(co) end
        end""",
    "nested coroutines": """
        local function nest(n)
            if n == 0 then while true do end end
            while true do pcall(coroutine.wrap(nest), n - 1) end
        end
        nest(20)""",
    "comparison function": "table.sort({3, 2, 1, 5, 4}, function() while true do end end)",
    "replacement function": "('x'):gsub('x', function() while true do end end)",
    "metamethod": "local t = setmetatable({}, {__index = function() while true do end end}) return t.x",
    "reader": "load(function() while true do end end)",
    "hook": "debug.sethook(function() while true do end end, 'l')\nlocal x = 1\nwhile true do x = x + 1 end",
    "hooks": "while true do debug.sethook(function() end, '', 1) debug.sethook() end",
    "finalizer": """
        if newproxy then
            getmetatable(newproxy(true)).__gc = function() while true do end end
        else
            setmetatable({}, {__gc = function() while true do end end})
        end
        collectgarbage() collectgarbage()
        while true do end""",
    "close": """
        if coroutine.close then
            local code = 'local x <close> = setmetatable({}, {__close = function() while true do end end})'
            local co = coroutine.create(load(code .. ' coroutine.yield()'))
            coroutine.resume(co)
            coroutine.close(co)
        end
        while true do end""",
    "Python": "while true do python.builtins.len('') end",
    "objects": "local o = python.builtins.object() while true do local x = tostring(o) end",
}


@pytest.fixture(params=LOOPS)
def loop(request):
    """Code that never ends by itself."""
    return LOOPS[request.param]


def test_timeout_of_a_runtime(lupa, loop):
    lua = lupa.LuaRuntime(timeout=SOON)
    with pytest.raises(lupa.LuaTimeoutError, match=f"time limit of {SOON} s is over"):
        lua.execute(loop)
    assert still_works(lua)


def test_timeout_of_a_call(lupa, lua, loop):
    with pytest.raises(lupa.LuaTimeoutError):
        lua.execute(loop, timeout=SOON)
    assert still_works(lua)


def test_time_limit(lupa, lua, loop):
    with lua.limits(seconds=SOON), pytest.raises(lupa.LuaTimeoutError):
        lua.execute(loop)
    assert still_works(lua)


def test_instruction_limit(lupa, lua, loop):
    with lua.limits(instructions=50_000), pytest.raises(lupa.LuaInstructionLimitError, match="limit of 50000 ins"):
        lua.execute(loop)
    assert still_works(lua)


def test_interrupt(lupa, lua, loop):
    with interrupting(lua), pytest.raises(lupa.LuaInterruptedError, match="interrupted"):
        lua.execute(loop)
    assert still_works(lua)


def test_interrupt_from_lua(lupa, lua, loop):
    """A function that Lua has called can stop what has called it."""
    lua.globals().interrupt = lua.interrupt
    with pytest.raises(lupa.LuaInterruptedError):
        lua.execute("interrupt() " + loop)
    assert still_works(lua)


def is_stopped(lupa, lua, run, code):
    """Code that takes too long is stopped by a timeout, and by an interruption."""
    with pytest.raises(lupa.LuaTimeoutError):
        run(code, timeout=SOON)
    with interrupting(lua), pytest.raises(lupa.LuaInterruptedError):
        run(code)


PATTERNS = {
    "find": "('a'):rep(60):find(('a*'):rep(60) .. 'b')",
    "match": "pcall(string.match, ('a'):rep(60), ('a-'):rep(60) .. 'b')",
    "gmatch": "('a'):rep(60):gmatch(('a?'):rep(60) .. 'b')()",
    "gsub": "('a'):rep(60):gsub(('.-'):rep(60) .. 'b', '')",
    "coroutine": "pcall(coroutine.wrap(function() return ('a'):rep(60):find(('a*'):rep(60) .. 'b') end))",
}


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns(lupa, lua, name):
    """Matching, one call of a C function, is stopped too: these would take longer than there is time."""
    is_stopped(lupa, lua, lua.eval, PATTERNS[name])
    assert lua.eval("('key = value'):match('(%w+) = (%w+)')") == ("key", "value")


def test_searches_for_long_texts(lupa, lua):
    """LuaJIT's, which may run in compiled code, take no time that is worth stopping; not so on all systems."""
    if "luajit" in lupa.__name__ and not sys.platform.startswith("linux"):
        pytest.skip("LuaJIT searches in compiled code, which cannot be left there")
    with pytest.raises(lupa.LuaTimeoutError):
        lua.execute("while true do ('a'):rep(4000000):find(('a'):rep(2000000) .. 'b', 1, true) end", timeout=SOON)
    assert lua.eval("('a'):rep(4000000):find(('a'):rep(200), 1, true)") == (1, 200)
    text = "".join(chr(97 + number * number % 7) for number in range(3000)) + "end"
    lua.globals().text = text
    for start in (0, 1, 2000, 2936):
        for length in (63, 64, 65, 66, 67, 500):
            part = text[start : start + length]
            assert lua.eval("{text:find(..., 1, true)}", part)[1] == text.find(part) + 1
            assert lua.eval("text:find(... .. '!', 1, true)", part) is None


C_FUNCTIONS = {
    "long set": "local s = ('['..('b'):rep(300000)..'a]*c') while true do (('a'):rep(300000)):find(s) end",
    "numerals": """
        local s, list = ('0'):rep(8000000) .. '1', {}
        for i = 1, 7000 do list[i] = s end
        while true do string.char((table.unpack or unpack)(list)) end""",
    "numerals of bits": """
        local s, list = ('0'):rep(8000000) .. '1', {}
        for i = 1, 7000 do list[i] = s end
        while true do (bit and bit.band or bit32 and bit32.band or math.max)((table.unpack or unpack)(list)) end""",
    "comparisons": """
        local s, list = ('0'):rep(8000000) .. '1', {}
        for i = 1, 7000 do list[i] = i % 2 == 0 and s or s .. '1' end
        while true do math.max((table.unpack or unpack)(list)) end""",
    "numerals to format": """
        local s, list = ('0'):rep(8000000) .. '1', {}
        for i = 1, 7000 do list[i] = s end
        while true do string.format(('%d'):rep(7000), (table.unpack or unpack)(list)) end""",
    "names": """
        local object, list = setmetatable({}, {__name = ('x'):rep(4000000)}), {}
        for i = 1, 5000 do list[i] = object end
        while true do pcall(string.format, ('%.1s'):rep(5000), (table.unpack or unpack)(list)) end""",
    "collisions": """
        -- Keys that collide only when the table has grown.
        local mersenne, t = 2^18 - 1, {}
        for i = 0, 2^17 - 1 do
            local q, j = math.floor(i / 4090), i % 4090 + 4098
            t[(j * (mersenne + 0.0) + q / 2^22) / 2^31] = true
        end
        t.x = 1
        while true do end""",
    "lost tail calls": """
        local function deep(n) if n == 0 then return #debug.traceback('x') end local r = deep(n - 1) return r end
        local function tail(n) if n == 0 then local r = deep(15000) return r end return tail(n - 1) end
        while true do tail(400000) end""",
    "moves in a sparse table": """
        local t = {}
        for i = 1, 1100 do t['k' .. i] = 1 end
        for i = 0, 29 do t[2^i] = 1 end
        while true do table.insert(t, 1, 'x') table.remove(t, 1) end""",
    "compile or": "while true do (loadstring or load)('local a return ' .. ('a or '):rep(200000) .. 'a') end",
    "compile elseif": "while true do (loadstring or load)('if a then ' .. ('elseif a then '):rep(200000) .. 'end') end",
    "compile lookups": """
        local depth = 50
        local names = 'a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t'
        local code = ('local ' .. names .. ' = 1 return function() '):rep(depth)
        code = code .. (' x = x '):rep(100000) .. (' end '):rep(depth)
        while true do (loadstring or load)(code) end""",
    "sort": "local t = {} for i = 1, 200000 do t[i] = i % 1000 end while true do table.sort(t) end",
    "move": "while true do pcall(table.move or error, {}, 1, 2^53, 2) end",
    "insert": "local function len() return 2^31 - 10 end\n"
    "while true do pcall(table.insert, setmetatable({}, {__len = len}), 1, 1) end",
    "remove": "while true do pcall(table.remove, setmetatable({}, {__len = function() return 2^31 - 10 end}), 1) end",
    "rep": "while true do pcall(string.rep, '', 2^31 - 1) pcall(string.rep, '', 2^53) end",
    "its own __call": "local m = {} local t = setmetatable({}, m) m.__call = t while true do pcall(t, 1, 2) end",
    "in a coroutine": """
        local m = {} local t = setmetatable({}, m) m.__call = t
        while true do pcall(coroutine.wrap(function(...) return t(...) end), 1, 2) end""",
    "as iterator": """
        local m = {} local t = setmetatable({}, m) m.__call = t
        while true do pcall(function() for x in t do end end) end""",
    "as metamethod": """
        local m = {} local t = setmetatable({}, m) m.__call = t
        local u = setmetatable({}, {__add = t, __index = t, __lt = t})
        while true do pcall(function() return u + 1 end) pcall(function() return u < u end) end""",
}


@pytest.mark.parametrize("name", C_FUNCTIONS)
def test_loops_of_c(lupa, lua, name):
    """Loops of Lua's C code whose length a script chooses freely; some would take years."""
    is_stopped(lupa, lua, lua.execute, C_FUNCTIONS[name])
    assert still_works(lua)
    assert lua.eval("setmetatable({}, {__call = function(self, x) return x end})(7)") == 7


def test_compiling_code_of_the_host(lupa, lua):
    """A limit also holds while the code that is passed to it is compiled."""
    code = "local a return " + "a or " * 200000 + "a"
    for use in (lua.eval, lua.execute):
        with pytest.raises(lupa.LuaTimeoutError):
            use(code if use == lua.execute else f"(function() {code} end)()", timeout=SOON)
    with lua.limits(seconds=SOON), pytest.raises(lupa.LuaTimeoutError):
        lua.compile(code)
    assert still_works(lua)


def test_interrupt_when_nothing_runs(lua):
    assert lua.interrupt() is False
    assert lua.eval("1") == 1


SIGNAL = """
import os, threading
timer = threading.Timer(0.1, os.kill, (os.getpid(), 2))
timer.start()
try:
    lua.execute({loop!r})
except KeyboardInterrupt:
    print("interrupted")
timer.join()
assert lua.eval("1 + 1") == 2
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that can be sent")
@pytest.mark.parametrize("name", ["while", "sum", "pcall around", "coroutine", "coroutines that catch", "hook"])
def test_keyboard_interrupt(hostile, name):
    assert hostile(SIGNAL.format(loop=LOOPS[name])) == "interrupted\n"


USE = """
import _thread, threading
table = lua.eval('''setmetatable({{}}, {{
    __tostring = function() while true do end end, __index = function() while true do end end,
    __eq = function() while true do end end}})''')
coroutine = lua.eval("function() while true do end end").coroutine()
endless = lua.eval('''function()
    if newproxy then getmetatable(newproxy(true)).__gc = function() while true do end end
    else setmetatable({{}}, {{__gc = function() while true do end end}}) end
end''')
if "gccollect" in {use!r}:
    endless()
timer = threading.Timer(0.1, _thread.interrupt_main)
timer.start()
try:
    {use}
    timer.join()
    for _ in range(1000): pass
except (KeyboardInterrupt, lupa.LuaError):
    print("stopped")
assert lua.eval("1 + 1") == 2
"""


@pytest.mark.parametrize("use", ["str(table)", "table.x", "next(coroutine)", "lua.gccollect()"])
def test_signals_in_other_uses(hostile, use):
    """A signal also stops what runs in metamethods, finalizers and coroutines."""
    assert hostile(USE.format(use=use)) == "stopped\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that can be sent")
def test_handlers_of_signals_run(hostile):
    """Also handlers other than the one that raises KeyboardInterrupt; what they raise, Lua is left with."""
    out = hostile(
        """
        import os, signal, threading
        calls = []
        def handler(number, frame):
            calls.append(lua.eval("1 + 1"))
            if len(calls) == 3:
                raise ZeroDivisionError("from the handler")
        signal.signal(signal.SIGUSR1, handler)
        def send():
            for _ in range(3):
                before = len(calls)
                os.kill(os.getpid(), signal.SIGUSR1)
                while len(calls) == before:
                    pass
        thread = threading.Thread(target=send)
        thread.start()
        try:
            lua.execute("while true do pcall(function() while true do end end) end")
        except ZeroDivisionError as error:
            print(error, calls)
        thread.join()
        """
    )
    assert out == "from the handler [2, 2, 2]\n"


def test_keyboard_interrupt_in_a_function_of_python(lupa, lua):
    """Where the signal comes while Lua calls Python, ``pcall`` does not keep it either."""
    calls = []

    def function():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lua.execute("local f = ... while true do pcall(f) pcall(coroutine.wrap(function() pcall(f) end)) end", function)
    assert len(calls) == 3

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lua.eval("pcall(...)", fail)
    assert still_works(lua)


def test_classes(lupa):
    assert issubclass(lupa.LuaTimeoutError, (lupa.LuaError,)) and issubclass(lupa.LuaTimeoutError, TimeoutError)
    assert issubclass(lupa.LuaInstructionLimitError, lupa.LuaError)
    assert issubclass(lupa.LuaInterruptedError, lupa.LuaError)


def test_the_place_is_told(lupa, lua):
    with pytest.raises(lupa.LuaTimeoutError, match=r'^\[string "here"\]:2: time limit of 0.05 s is over$'):
        lua.execute("local x\nwhile true do end", name="here", timeout=SOON)


def test_a_stopped_coroutine_is_dead(lupa, lua):
    coroutine = lua.eval("function() coroutine.yield(1) while true do pcall(function() while true do end end) end end")
    coroutine = coroutine.coroutine()
    assert next(coroutine) == 1
    with lua.limits(seconds=SOON), pytest.raises(lupa.LuaTimeoutError):
        next(coroutine)
    with pytest.raises((lupa.LuaError, StopIteration)):
        next(coroutine)


def test_finalizers_at_the_end_are_limited(lupa):
    lua = lupa.LuaRuntime(timeout=SOON)
    lua.execute("""
        endless = function() while true do end end
        if newproxy then kept = newproxy(true) getmetatable(kept).__gc = endless
        else kept = setmetatable({}, {__gc = endless}) end""")
    lua.close()
    lua = lupa.LuaRuntime(timeout=SOON)
    lua.execute("""
        endless = function() while true do end end
        if newproxy then kept = newproxy(true) getmetatable(kept).__gc = endless
        else kept = setmetatable({}, {__gc = endless}) end""")
    del lua
    gc.collect()


def test_interrupts_of_many_threads(lupa):
    """Each stops its own, and only that."""
    runtimes = [lupa.LuaRuntime() for _ in range(6)]
    results = []

    def run(lua):
        try:
            lua.execute("while true do pcall(function() while true do end end) end")
        except lupa.LuaInterruptedError:
            results.append(lua.eval("1 + 1"))

    threads = [threading.Thread(target=run, args=(lua,)) for lua in runtimes]
    for thread in threads:
        thread.start()
    for number, lua in enumerate(runtimes):
        while not lua.interrupt():
            time.sleep(0.01)
        threads[number].join()
        assert len(results) == number + 1
    assert results == [2] * 6


def test_stopped_again_and_again(lupa, lua):
    for _ in range(30):
        with pytest.raises(lupa.LuaTimeoutError):
            lua.execute("while true do pcall(coroutine.wrap(function() while true do end end)) end", timeout=0.002)
    assert still_works(lua)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(hostile):
    """Limits hold in a child, also in one that is made in the middle of a limited call."""
    hostile(
        """
        import os, warnings
        warnings.simplefilter("error")
        lua = lupa.LuaRuntime(timeout=0.2)
        lua.execute("x = 1")
        def both():
            pid = os.fork()
            return pid
        lua.globals().fork = both
        for code in ("child = fork() while child == 0 do end", "while true do end"):
            pid = os.fork() if "fork" not in code else None
            try:
                lua.execute(code)
                stopped = False
            except lupa.LuaTimeoutError:
                stopped = True
            if pid is None:
                pid = lua.globals().child
                if pid != 0:
                    assert not stopped
            if pid == 0:
                os._exit(0 if stopped else 1)
            assert os.waitpid(pid, 0)[1] == 0
        """
    )


def test_a_signal_for_another_thread_is_left_alone(lupa, lua):
    """In other threads, nobody looks for signals; but their Lua can be stopped."""
    results = []

    def run():
        try:
            lua.execute("while true do end", timeout=0.3)
        except lupa.LuaTimeoutError:
            results.append("stopped")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == ["stopped"]


if hasattr(signal, "SIGALRM"):

    def test_an_alarm(hostile):
        """The usual way to limit time in a Unix program works in Lua, too."""
        out = hostile(
            """
            import signal
            def over(number, frame):
                raise TimeoutError("alarm")
            signal.signal(signal.SIGALRM, over)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                lua.execute("while true do pcall(function() while true do end end) end")
            except TimeoutError as error:
                print(error)
            """
        )
        assert out == "alarm\n"


def test_in_a_coroutine_that_a_function_of_python_is_called_by(hostile):
    """It is the coroutine that runs which is left, and not what was there before the Python function."""
    hostile(
        """
        lua = lupa.LuaRuntime(sandbox=True, timeout=0.1)
        search = lua.execute('''
            local set, text = "[^" .. ("b"):rep(20000) .. "]", ("a"):rep(60000)
            return function() while true do text:find(set .. "*c") end end''')
        ended = []

        def function():
            try:
                search()
            finally:
                ended.append(True)

        lua.globals().f = lua.expose(function)
        loop = "while true do end"
        for use in ("coroutine.wrap(function() f() end)()", "f()", "pcall(coroutine.wrap(function() f() end)) " + loop):
            for _ in range(3):
                try:
                    lua.execute(use)
                except lupa.LuaTimeoutError:
                    pass
                else:
                    raise AssertionError(use)
                assert lua.eval("1 + 1") == 2
        assert len(ended) == 9
        """
    )


HANDLER = """
import signal, time
{prepare}
calls = []

def handler(*_):
    if not calls or calls[-1] is not None:
        calls.append(None)
        try:
            {handle}
        except lupa.LuaError:
            pass
        calls[-1] = True

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while len(calls) < 40:
    {use}
signal.setitimer(signal.ITIMER_REAL, 0)
assert lua.eval("1 + 1") == 2
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of a timer")
@pytest.mark.parametrize(
    "code", ["lua.execute('iterator()', timeout=1e-9)", "lua.gccollect()", "lua.eval('iterator')()"]
)
def test_handlers_in_an_iterator_of_matches(hostile, code):
    """A handler may use the iterator that it interrupts; what that gives does not change."""
    hostile(
        HANDLER.format(
            prepare="lua.execute(\"text = string.rep('a', 16) .. 'X'\")",
            handle=code,
            use="assert lua.execute(\"iterator = text:gmatch(('(a?)'):rep(13) .. 'b') return iterator()\") is None",
        )
    )


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of a timer")
@pytest.mark.parametrize(
    "use",
    [
        "select('#', (table.unpack or unpack)(list))",
        "select('#', coroutine.wrap(function() return (table.unpack or unpack)(list) end)())",
        "(loadstring or load)(code) ~= nil and 3000",
        "#table.concat(list, ',') - 10892",
    ],
)
def test_handlers_have_room(hostile, use):
    """A handler may call functions of Lua wherever it is called, and nothing is changed by that."""
    hostile(
        HANDLER.format(
            prepare="lua.execute('list = {} for i = 1, 3000 do list[i] = i end')\n"
            "lua.execute(\"code = ('return function() '):rep(40) .. ('x = x or a '):rep(9000) .. (' end '):rep(40)\")\n"
            "function = lua.eval('function(...) local t = {...} return ... end')",
            handle="assert function(1, 2, 3, 4, 5, 6, 7, 8) == (1, 2, 3, 4, 5, 6, 7, 8)",
            use=f'assert lua.eval("{use}") == 3000',
        )
    )
