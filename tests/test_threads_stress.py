"""Many threads on few objects: what a GIL would hide shows here on a Python without one.

Counts are bounded and nothing is timed: each test only says that no thread saw what it must not see, that nothing
crashed, and that the runtime works on. With a GIL, a short switch interval makes threads change places often.
"""

import gc
import sys
import threading
import weakref

import pytest

THREADS = 4


@pytest.fixture(autouse=True)
def frequent_switches():
    """Threads change places after a few instructions; without a GIL this does nothing."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(*functions):
    """Run functions at the same time, each in a thread; the first exception of any is raised here."""
    errors = []
    start = threading.Barrier(len(functions))

    def run(function):
        try:
            start.wait()
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class Thing:
    """An object with what Lua code uses of one."""

    def __init__(self, value):
        self.value = value
        self.items = [value] * 3

    def method(self, number):
        return self.value + number


def test_one_runtime_with_callbacks(lua):
    """Lua calls Python, which calls Lua, in all threads at once; each result is its own."""
    inner = lua.eval("function(x) return x + 1 end")
    outer = lua.eval("function(f, thing, x) return f(thing.value) + thing:method(x) + thing.items[0] end")

    def work(number):
        thing = Thing(number)
        for turn in range(150):
            assert outer(inner, thing, turn) == (number + 1) + (number + turn) + number
            assert outer(lambda x: inner(x) + 1, thing, turn) == (number + 2) + (number + turn) + number

    together(*[lambda number=number: work(number) for number in range(THREADS)])
    assert lua.eval("1 + 1") == 2


def test_many_runtimes(lupa):
    """Runtimes are made, used and dropped in all threads at once."""

    def work(number):
        for turn in range(25):
            lua = lupa.LuaRuntime()
            lua.globals().thing = Thing(number)
            assert lua.eval("thing:method(...)", turn) == number + turn
            assert lua.table_from({"a": [1, 2, {"b": number}]}, recursive=True).a[3].b == number
            if turn % 3 == 0:
                lua.close()

    together(*[lambda number=number: work(number) for number in range(THREADS)])


def test_objects_pass_between_threads(lupa):
    """What one thread makes another one uses and drops, while the first one goes on."""
    lua = lupa.LuaRuntime()
    make = lua.eval("function(i) return {i}, function() return i end, coroutine.wrap(function() end) end")
    passed = [[] for _ in range(THREADS)]

    def work(number):
        mine, next_one = passed[number], passed[(number + 1) % THREADS]
        for turn in range(150):
            next_one.append((turn, *make(turn)))
            while mine:
                turn_of_other, table, function, _ = mine.pop(0)
                assert table[1] == turn_of_other and function() == turn_of_other

    together(*[lambda number=number: work(number) for number in range(THREADS)])
    passed.clear()
    gc.collect()
    lua.gccollect()
    assert lua.eval("1 + 1") == 2


def test_objects_in_lua_are_dropped_once(lupa):
    """Lua drops Python objects while all threads use the runtime: each is gone in the end, and none too early."""
    lua = lupa.LuaRuntime()
    lua.execute("kept = {}")
    swap = lua.eval("function(i, thing) local before = kept[i]; kept[i] = thing; return before end")
    alive = weakref.WeakSet()

    def work(number):
        for turn in range(200):
            thing = Thing(number * 1000 + turn)
            alive.add(thing)
            before = swap(turn % 7, thing)
            assert before is None or before.items == [before.value] * 3
            if turn % 40 == 0:
                lua.gccollect()

    together(*[lambda number=number: work(number) for number in range(THREADS)])
    lua.execute("kept = nil")
    lua.gccollect()
    lua.eval("1")
    gc.collect()
    assert len(alive) == 0


@pytest.mark.beyond
def test_closing_during_use(lupa):
    """Whatever is done when another thread closes the runtime works or says that it is closed."""
    for turn in range(10):
        lua = lupa.LuaRuntime(max_memory=0)
        table = lua.table_from({"a": 1, "b": [1, 2], 1: Thing(1)}, recursive=True)
        function = lua.eval("function(f, x) return f(x) end")
        coroutine = lua.eval("function() while true do coroutine.yield(1) end end").coroutine()
        uses = [
            lambda table=table: (list(table.items()), table.a, len(table), repr(table)),
            lambda function=function: function(lambda x: x, 1),
            lambda coroutine=coroutine: next(coroutine),
            lambda lua=lua: (lua.eval("{}"), lua.get_memory_used(), lua.set_max_memory(0), lua.gccollect()),
        ]

        def use(what):
            for _ in range(100):
                try:
                    what()
                except lupa.LuaError as error:
                    assert str(error).startswith("the Lua runtime is closed"), error
                    return

        def close(lua=lua, turns=turn * 5):
            for _ in range(turns):
                lua.eval("1")
            lua.close()

        together(close, *[lambda what=what: use(what) for what in uses])
        with pytest.raises(lupa.LuaError, match="the Lua runtime is closed"):
            table[1]


def test_one_iterator_for_all(lua):
    """An iterator over a table that all threads step gives each entry to one of them."""
    count = 700
    table = lua.table_from(range(count))
    for make in (table.keys, table.values, table.items):
        iterator = make()
        found = [[] for _ in range(THREADS)]

        def take(into, iterator=iterator):
            into.extend(iterator)

        together(*[lambda into=into: take(into) for into in found])
        entries = sorted(entry for some in found for entry in some)
        assert len(entries) == len(set(entries)) == count


@pytest.mark.beyond
def test_one_iterator_and_a_changing_table(lua):
    """Others write to the table meanwhile: entries that stay are all seen, and nothing crashes."""
    table = lua.table_from({f"stays{i}": i for i in range(200)})
    iterator = table.items()
    found = [[] for _ in range(THREADS)]

    def take(into):
        for key, value in iterator:
            assert key == f"stays{value}"
            into.append(value)

    def write():
        for turn in range(200):
            table[f"stays{turn}"] = turn

    together(write, *[lambda into=into: take(into) for into in found])
    assert sorted(value for some in found for value in some) == list(range(200))


@pytest.mark.beyond
def test_one_python_iterator_in_lua(lupa):
    """A list that Lua code of two runtimes goes over while other threads change it."""
    data = list(range(50))
    names = {str(i): i for i in range(50)}

    def go_over():
        lua = lupa.LuaRuntime()
        loop = lua.eval("function(data) local n = 0 for item in python.iter(data) do n = n + 1 end return n end")
        for _ in range(60):
            loop(data)
            with_changes = lua.eval("function(data) return pcall(function() for k in python.iter(data) do end end) end")
            with_changes(names)

    def change(number):
        for turn in range(1500):
            data.append(object())
            data.pop(0)
            names[f"{number}-{turn}"] = turn
            del names[f"{number}-{turn}"]

    together(go_over, go_over, lambda: change(1), lambda: change(2))


@pytest.mark.beyond
def test_coroutines_begin_once(lua):
    """However many threads take the first step of a coroutine, its arguments arrive there, once."""
    function = lua.eval("function(n) while true do coroutine.yield(n) n = n + 1 end end")
    for turn in range(60):
        coroutine = function.coroutine(turn)
        found = []

        def step(coroutine=coroutine, found=found):
            found.append(next(coroutine))
            found.append(coroutine.send(None))

        together(*[step] * THREADS)
        assert sorted(found) == list(range(turn, turn + 2 * THREADS))


def test_python_collects_in_another_thread(lupa):
    """Python's collector goes through objects in Lua while other threads put them there and Lua drops them."""
    lua = lupa.LuaRuntime()
    hold = lua.eval("function(...) held = {...} return held end")
    go_on = threading.Event()

    def work(number):
        try:
            for turn in range(120):
                cycle = [Thing(number), turn]
                cycle.append(hold(cycle, Thing(turn), lambda cycle=cycle: cycle))
                assert cycle[2][1] is cycle or cycle[2] is not None
        finally:
            go_on.set()

    def collect():
        while not go_on.is_set():
            gc.collect()
            lua.gccollect()
            gc.get_referents(*gc.get_referrers(Thing))

    together(collect, *[lambda number=number: work(number) for number in range(THREADS - 1)])
    assert lua.eval("1 + 1") == 2


def test_cycles_are_collected_in_threads(lupa):
    """Runtimes that are only reachable from themselves go, whichever thread's collector finds them."""
    alive = weakref.WeakSet()

    def work():
        for _ in range(15):
            lua = lupa.LuaRuntime()
            thing = Thing(lua)
            alive.add(thing)
            lua.globals().thing = thing
            lua.globals().call = lambda lua=lua: lua.eval("1")
            del lua, thing
            gc.collect()

    together(*[work] * THREADS)
    gc.collect()
    assert len(alive) == 0


def test_data_changes_while_it_is_converted(lua):
    """Lists and dicts become tables while other threads change them: the table is one of some moment."""
    numbers = [10**6 + i for i in range(200)]
    names = {f"name{i}": f"value{i}" for i in range(200)}
    nested = {"numbers": numbers, "names": names, "list": [[1, [2]], {"x": [3]}]}

    def convert():
        for _ in range(60):
            table = lua.table_from(numbers)
            assert all(value >= 10**6 for value in table.values())
            for key, value in lua.table_from(names).items():
                assert value == key.replace("name", "value")
            assert lua.table_from(nested, recursive=True)["list"] is not None

    def change():
        for turn in range(1500):
            numbers.append(2 * 10**6 + turn)
            del numbers[turn % 50]
            names[f"name{turn + 200}"] = f"value{turn + 200}"
            del names[f"name{turn}"]
            nested["list"][1] = {"x": [turn]}
            nested["list"][0] = [turn, [turn]]

    together(convert, convert, change)


def test_strings_in_all_threads(lupa):
    """The strings that a runtime keeps are those that it was given, whoever asks."""
    lua = lupa.LuaRuntime()
    echo = lua.eval("function(text) return text, text .. '!' end")
    table = lua.table()

    def work(number):
        words = [f"{'wörd' if i % 2 else 'word'}{i}" for i in range(150)]
        for _ in range(6):
            for word in words:
                assert echo(word) == (word, word + "!")
                table[word] = word
                assert table[word] == word
                assert getattr(table, word) == word

    together(*[lambda number=number: work(number) for number in range(THREADS)])


@pytest.mark.beyond
def test_arrays_in_all_threads(lupa):
    """Arrays over one memory, in a runtime for each thread and in one for all."""
    memory = bytearray(8 * THREADS)
    array = lupa.as_array(memoryview(memory).cast("q"))
    shared = lupa.LuaRuntime()
    code = "function(a, i, n) for _ = 1, n do a[i] = a[i] + 1 end local part = a:slice(i, i) return part[1] end"

    def work(number):
        for lua in (lupa.LuaRuntime(), shared):
            count = lua.eval(code)
            for _ in range(40):
                count(array, number + 1, 5)
                made = lua.eval("python.zeros(3)")
                memoryview(made)[0] = 1.5
                assert lua.eval("function(a) return a[1] end")(made) == 1.5

    together(*[lambda number=number: work(number) for number in range(THREADS)])
    assert memoryview(memory).cast("q").tolist() == [2 * 40 * 5] * THREADS


def test_memory_is_asked_for_while_lua_runs(lupa):
    """The account is read, and the limit set, without waiting for Lua."""
    lua = lupa.LuaRuntime(max_memory=100 << 20)
    fill = lua.eval("function(n) local t = {} for i = 1, n do t[i] = {i} end return #t end")
    done = threading.Event()

    def work():
        try:
            for _ in range(20):
                assert fill(3000) == 3000
        finally:
            done.set()

    def ask():
        while not done.is_set():
            assert lua.get_memory_used() >= 0
            lua.set_max_memory(100 << 20)
            assert lua.get_max_memory() == 100 << 20

    together(work, ask, ask)


def test_the_modules_need_no_gil(isolated):
    """On a Python that can do without, importing a module does not bring the GIL back."""
    isolated("""
        import sys, sysconfig
        if sysconfig.get_config_var("Py_GIL_DISABLED") and not sys.flags.dev_mode:
            assert not sys._is_gil_enabled()
    """)
