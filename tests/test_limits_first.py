"""Limits come first, on every backend: no operation does a script's work before it has asked for memory and time."""

import sys
import threading

import pytest

MB = 1 << 20
# Nobody waits for as long: a limit that does not hold fails the test all the same.
WATCHDOG = 60
NESTED = "local t = {} for _ = 1, 7 do local n = {} for i = 1, 40 do n[i] = t end t = n end "

in_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for memory in Linux's way")

# What a script keeps as many of as it can, each once in `keep`.
KEPT = {
    "empty arrays": "keep(python.zeros(0))",
    "small arrays": "keep(python.zeros(10))",
    "arrays of no elements": "keep(python.zeros{0, 5, 7})",
    "arrays from tables": "keep(python.array_from{1, 2, 3})",
    "slices": "keep(array:slice(1, 2))",
    "rows": "keep(grid[1 + n % 4])",
    "copies": "keep(array:copy())",
    "reshaped": "keep(array:reshape(2, 2))",
    "iterators": "keep(select(2, python.iter(thing)))",
    "iterators of lists": "keep(select(2, python.iter(list)))",
    "iterators that count": "keep(select(2, python.enumerate(list)))",
    "iterators of pairs": "keep(select(2, python.iterex(pairs)))",
    "generators": "keep(generator())",
    "results": "keep(fresh())",
    "lists": "keep(numbers(100))",
    "long lists": "keep(numbers(100000))",
    "dicts": "keep(names(50))",
    "attributes": "keep(thing.made)",
    "items": "keep(things[n])",
    "methods": "keep(fresh().method)",
    "views": "keep(python.as_itemgetter(fresh()))",
    "functions": "keep(python.as_function(thing))",
    "exceptions": "keep(select(2, pcall(fail)))",
    "exceptions with texts": "keep(select(2, pcall(fail, long .. n)))",
    "exceptions that say the text": "keep(select(2, pcall(say, long .. n)))",
    "exceptions of named arguments": "keep(select(2, pcall(fail, python.args{text = long .. n})))",
    "exceptions of arguments": "keep(select(2, pcall(fail, python.args{long .. n})))",
    "exceptions that come from others": "keep(select(2, pcall(chain, long .. n)))",
    "refusals": "keep(select(2, pcall(function() return thing['y' .. n] end)))",
    "arguments": "keep(python.args{1, 2, 3, a = 4})",
    "arguments with tables": "keep(python.args{{}, {}, {}})",
    "arguments with texts": "keep(python.args{long .. n, x = long .. n})",
    "many arguments": "local t = {} for i = 1, 10000 do t[i] = i + 1000 end keep(python.args(t))",
    "arguments in arguments": "keep(python.args{python.args{python.args{n}}})",
    "closures": "keep(function() return n end)",
    "coroutines": "keep(coroutine.create(function() end))",
    "coroutines that run": "local c = coroutine.wrap(function() coroutine.yield() end) c() keep(c)",
    "strings": "keep(long .. n)",
    "tables": "keep({n})",
    "compiled code": "keep(assert((loadstring or load)('return ' .. n)))",
}


@pytest.fixture
def greedy(isolated):
    """``greedy(code)``: a script with such a loop, in a process of its own, keeps to 1.5 times its memory."""

    def run(code, limit=16 * MB):
        isolated(f"""
            import resource

            class Made:
                def method(self): return self

            class Thing:
                made = property(lambda self: Made())
                def __iter__(self): return iter(())

            class Things:
                def __getitem__(self, key): return Made()

            class List(list):
                pass

            def generator(): yield 1
            def fail(*args, **named): raise ValueError("no")
            def say(text): raise ValueError(text)

            def chain(text):
                try:
                    say(text)
                except ValueError:
                    raise KeyError(1)

            box = lupa.LuaRuntime(sandbox=True, max_memory={limit}, timeout=float("inf"))
            thing, things, numbers = Thing(), Things(), List([1, 2, 3])
            pairs = {{"a": 1}}.items()
            functions = dict(
                fail=fail, say=say, chain=chain, generator=generator, fresh=lambda: Made(),
                numbers=lambda count: [0] * int(count), names=lambda count: dict.fromkeys(range(int(count))),
            )
            given = box.globals()
            given.thing = box.expose(thing, attributes=["made"], iterate=True)
            given.things = box.expose(things, items=True)
            given.list = box.expose(numbers, iterate=True)
            exposed = box.expose(type(pairs), iterate=True)
            given.pairs = pairs
            box.expose(Made, attributes=["method"])
            for name, function in functions.items():
                given[name] = box.expose(function)
            box.execute("array, grid, long = python.zeros(4), python.zeros{{4, 4}}, ('x'):rep(100000)")
            used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            before = used()
            try:
                box.execute('''
                    local kept, n = {{}}, 0
                    local function keep(value)
                        -- An error that was caught and is no object any more: there was no memory for one.
                        if type(value) == "string" and value:find("memory", 1, true) then error(value) end
                        n = n + 1
                        kept[n] = value
                    end
                    while n < 1e6 do {code} end
                ''')
            except lupa.LuaMemoryError:
                limited = True
            else:
                limited = False
            taken = used() - before
            assert taken < 1.5 * {limit}, (taken / {limit}, limited)
            assert limited or taken < {limit}, taken
            for _ in range(2):  # what had a finalizer goes with the second
                box.gccollect()
            assert box.get_memory_used() < {limit} / 4, box.get_memory_used()
            assert box.eval("1 + 1") == 2
        """)

    return run


@in_linux
@pytest.mark.parametrize("kind", KEPT)
def test_what_is_kept_counts(greedy, kind):
    """With its true weight: also what is in memory of Python's."""
    greedy(KEPT[kind])


@pytest.mark.parametrize("limit", [1 * MB, 64 * MB])
def test_the_length_of_a_table_is_not_trusted(isolated, limit):
    """The border that `#` finds can be 2^27 where there are 28 elements."""
    isolated(f"""
        import resource
        box = lupa.LuaRuntime(sandbox=True, max_memory={limit}, timeout={WATCHDOG})
        box.globals().call = box.expose(lambda *args: len(args))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for use in ("python.args(t)", "call(python.args(t))"):
            try:
                box.execute("t = {{}} for i = 27, 0, -1 do t[2^i] = 1 end " + use)
            except lupa.LuaMemoryError as error:
                assert str(error).startswith("not enough memory"), error
            except IndexError as error:
                assert box.eval("#t") < 2**27, error
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
        assert box.eval("call(python.args{{1, 2, 3, 4}})") == 4
    """)


def test_holes_are_none_still(lua):
    """What is missing within the length is None, wherever it is."""
    lua.globals().give = lambda *args, **named: (args, named)
    args, named = lua.eval("give(python.args{[1] = 1, [2] = 2, [3] = 3, x = 5})")
    assert args == (1, 2, 3) and named == {"x": 5}
    table = lua.eval("{1, nil, 3, 4}")
    if len(table) == 4:  # 5.5 finds another border
        args, named = lua.eval("give(python.args(...))", table)
        assert args == (1, None, 3, 4)
    with pytest.raises(IndexError, match="^table index out of range$"):
        lua.eval("python.args{[2^40] = 1}")
    for wrong in ("0", "-1", "7"):
        with pytest.raises(IndexError, match="^table index out of range$"):
            lua.eval(f"python.args{{[{wrong}] = 1}}")


# Work in Rust that has no end, or none that anybody waits for.
ENDLESS = {
    "empty tables": NESTED + "python.array_from(t)",
    "empty tables of bytes": NESTED + "python.array_from(t, 'uint8')",
    "arrays of no elements": "local a = python.zeros{1500, 1500, 1500, 0} a:totable()",
    "arguments": "local t = {} for i = 1, 20000 do t[i] = i end while true do python.args(t) end",
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_work_of_ours_is_stopped(lupa, code):
    """By time, by instructions and by others; and nothing that a script does keeps it from that."""
    box = lupa.LuaRuntime(sandbox=True, timeout=0.2, max_memory=0)
    with pytest.raises(lupa.LuaTimeoutError, match="time limit of 0.2 s is over"):
        box.execute(code)
    with pytest.raises(lupa.LuaTimeoutError):
        box.execute("while true do pcall(function() " + code + " end) end")
    box = lupa.LuaRuntime(sandbox=True, timeout=WATCHDOG, max_memory=0)
    with pytest.raises(lupa.LuaInstructionLimitError), box.limits(instructions=200_000):
        box.execute(code)
    stopper = threading.Timer(0.2, lambda: box.interrupt())
    stopper.start()
    with pytest.raises(lupa.LuaInterruptedError):
        box.execute(code)
    stopper.join()
    assert box.eval("1 + 1") == 2


@pytest.mark.parametrize(
    "code",
    [
        "python.args(t)",
        "give(python.args(t))",
        "python.array_from(t)",
        "a:copy()",
        "a:fill(1)",
        "a:totable()",
        "give((unpack or table.unpack)(t, 1, 5000))",
    ],
)
def test_steps_count_as_instructions(lupa, code):
    """What is done for each element counts, so that one operation is no way around a limit of instructions."""
    box = lupa.LuaRuntime(sandbox=True, timeout=WATCHDOG)
    box.globals().give = box.expose(lambda *args: None)
    box.execute("t = {} for i = 1, 20000 do t[i] = i end a = python.zeros(20000)")
    box.execute(code)
    reached = pytest.raises(lupa.LuaInstructionLimitError, match="limit of 3000 instructions is reached")
    with reached, box.limits(instructions=3000):
        box.execute(code)
    assert box.eval("#t") == 20000


def test_signals_come_through(hostile):
    """Handlers of signals run in the middle of work of ours, and Ctrl-C ends it."""
    hostile(f"""
        import os, signal
        seen = []
        signal.signal(signal.SIGALRM, lambda *_: seen.append(1) or os.kill(os.getpid(), signal.SIGINT))
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        fails(lambda: attempt(lambda: lua.execute({NESTED!r} + "python.array_from(t)"), check=False,
                              allowed=KeyboardInterrupt)[0] or 1, object)
        assert seen
    """)


def test_other_threads_run_meanwhile(lupa):
    """Or nobody could interrupt it."""
    box = lupa.LuaRuntime(sandbox=True, timeout=WATCHDOG)
    counts = []

    def count():
        for _ in range(50):
            counts.append(1)
        box.interrupt()

    thread = threading.Timer(0.1, count)
    thread.start()
    with pytest.raises(lupa.LuaInterruptedError):
        box.execute(NESTED + "python.array_from(t)")
    thread.join()
    assert len(counts) == 50


def test_long_strings_are_asked_for(lupa):
    """A call needs memory for what it hands over, too."""
    box = lupa.LuaRuntime(sandbox=True, max_memory=12 * MB)
    box.globals().call = box.expose(lambda *texts: len(texts[0]))
    assert box.eval("call(('x'):rep(1000000))") == 1_000_000
    with pytest.raises(lupa.LuaMemoryError, match="^not enough memory: [0-9]+000000 bytes more are asked for"):
        box.execute("local text = ('x'):rep(2000000) call(text, text, text, text, text, text)")
    assert box.eval("call('x')") == 1


def test_the_host_makes_what_it_likes(lupa):
    """Its objects count for their boxes only, also while Lua is full."""
    box = lupa.LuaRuntime(sandbox=True, max_memory=4 * MB)
    large = [0] * 4_000_000
    box.globals().large = large
    assert box.eval("large") is large
    kept = [bytearray(1_000_000) for _ in range(20)]
    box.globals().give = box.expose(lambda index: kept[int(index)])
    box.execute("t = {} for i = 0, 19 do t[i + 1] = give(i) end")
    assert box.get_memory_used() < 1 * MB


def test_a_message_handler_does_not_end_a_stop(lupa):
    """Errors in handlers go on until the stack is full, where the exception of the stop cannot be pushed."""
    if lupa._INSTALLED_LUA:
        pytest.skip("only what is limited from outside is stopped anywhere")
    for count in range(150):
        box = lupa.LuaRuntime(sandbox=True, timeout=0.002 + count * 1e-5)
        with pytest.raises(lupa.LuaTimeoutError):
            box.execute("""
                local function F(...) return ... end
                local S = {}
                while true do if not xpcall(F, F, S) then went_on = true end end
            """)
        assert box.globals().went_on is None
