"""Random schedules of greenlets, threads and asynchronous tasks in runtimes, and a model of what each has to give.

``python schedules.py lua54 FIRST COUNT`` tries COUNT schedules; it prints those that went wrong, and fails.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import random
import sys
import threading
from typing import Any

import greenlet

try:
    import trio
except ImportError:
    trio = None


def switch():
    """Switches to whoever has started this greenlet."""
    hub = greenlet.getcurrent().parent
    if hub is not None:
        hub.switch()


class Switching:
    """An object whose every use switches to the hub first."""

    __hash__ = None

    def __init__(self, value):
        self.value = value

    @property
    def x(self):
        switch()
        return self.value

    def __call__(self, *_args):
        switch()
        return self.value

    def __iter__(self):
        for step in range(3):
            switch()
            yield self.value + step

    def __len__(self):
        switch()
        return self.value

    def __eq__(self, _other):
        switch()
        return True

    def __str__(self):
        switch()
        return str(self.value)

    def __index__(self):
        switch()
        return self.value


class Boom(Exception):
    """What callbacks raise."""


def boom(value):
    switch()
    raise Boom(value)


# The code of a function, and what it gives for a value.
CODE: dict[str, tuple[str, Any]] = {
    "call": ("function(p) local s = 0 for i = 1, 3 do s = s + p() end return s end", lambda v: 3 * v),
    "attribute": ("function(p) local s = 0 for i = 1, 3 do s = s + p.x end return s end", lambda v: 3 * v),
    "iterate": ("function(p) local s = 0 for x in python.iter(p) do s = s + x end return s end", lambda v: 3 * v + 3),
    "length": ("function(p) return python.builtins.len(p) end", lambda v: v),
    "text": ("function(p) return tostring(p) .. 'x' end", lambda v: f"{v}x"),
    "pcall": (
        "function(p) local ok = pcall(function() local a = p() boom(a) end) return ok, p() end",
        lambda v: (False, v),
    ),
    "coroutine": (
        "function(p) local co = coroutine.wrap(function() coroutine.yield(p()) coroutine.yield(p.x) end)"
        " return co() + co() end",
        lambda v: 2 * v,
    ),
    "sort": (
        "function(p) local t = {5, 3, 1, 4} table.sort(t, function(a, b) p() return a < b end)"
        " return t[1] * 1000 + t[4] end",
        lambda v: 1005,
    ),
    "gsub": ("function(p) return (('abc'):gsub('.', function(c) return p() end)) end", lambda v: str(v) * 3),
    "metamethod": (
        "function(p) local t = setmetatable({}, {__index = function(_, k) return p() end}) return t.a + t.b end",
        lambda v: 2 * v,
    ),
    "nested": ("function(p) return nested(p) + 1 end", lambda v: 3 * v + 1),
    "other": ("function(p) return other(p) + 1 end", lambda v: 3 * v + 1),
    "table": (
        "function(p) local s = 0 for _, x in ipairs(to_table(p)) do s = s + x end return s end",
        lambda v: 3 * v + 3,
    ),
    "raises": ("function(p) p() boom(p.x) end", lambda v: Boom),
    "hook": (
        "function(p) local n = 0 debug.sethook(function() n = n + 1 p() end, '', 100)"
        " for i = 1, 300 do end debug.sethook() return p() end",
        lambda v: v,
    ),
    "endless": ("function(p) p() while true do end end", lambda v: "time"),
    # Its time limit holds in what a callback calls, too.
    "endless_inside": ("function(p) p() forever(p) end", lambda v: "time"),
    "finalizer": (
        "function(p) local function collect() p() end"
        " if newproxy then getmetatable(newproxy(true)).__gc = collect else setmetatable({}, {__gc = collect}) end"
        " collectgarbage() return p() end",
        lambda v: v,
    ),
}

WAYS = ["function", "function", "coroutine", "eval", "limits", "timed", "iterator"]


def use(lua, name, value, how):
    """What a task does; gives its result, or the class of the exception that the callback has raised."""
    code, _model = CODE[name]
    function, argument = lua.eval(code), Switching(value)
    try:
        if name.startswith("endless"):
            if how == "limits":
                with lua.limits(seconds=0.01):
                    return function(argument)
            return lua.eval(f"({code})(...)", argument, timeout=0.01)
        if how == "coroutine":
            return list(function.coroutine(argument))[-1]
        if how == "eval":
            return lua.eval(f"({code})(...)", argument)
        if how == "iterator":
            steps = lua.eval("function(f, p) coroutine.yield(1) coroutine.yield(f(p)) end")
            return list(steps.coroutine(function, argument))[-1]
        if how == "limits":
            with lua.limits(seconds=600, instructions=10**8):
                return function(argument)
        if how == "timed":
            return lua.eval(f"({code})(...)", argument, timeout=600)
        return function(argument)
    except Boom:
        return Boom
    except Exception as error:
        if name.startswith("endless") and type(error).__name__ == "LuaTimeoutError":
            return "time"
        raise


class Program:
    """Some runtimes, and tasks for them, which are functions."""

    def __init__(self, lupa, choose, threads=1):
        self.lupa, self.choose = lupa, choose
        options = {"timeout": 600} if choose.random() < 0.5 else {}
        count = choose.choice([1, 1, 2])
        self.runtimes = [lupa.LuaRuntime(unpack_returned_tuples=True, **options) for _ in range(count)]
        sums = [lua.eval(CODE["call"][0]) for lua in self.runtimes]
        for index, lua in enumerate(self.runtimes):
            names = lua.globals()
            names.boom, names.to_table = boom, lua.table_from
            names.nested, names.other = sums[index].__call__, sums[index - 1].__call__
            names.forever = lua.eval("function(p) p() while true do end end").__call__
        self.results, self.tasks = [], []
        for value in range(1, choose.randint(3, 7) * threads):
            name, how = choose.choice(list(CODE)), choose.choice(WAYS)
            if name == "hook" and how in ("coroutine", "iterator"):
                how = "function"
            if name.startswith("endless") and lupa._INSTALLED_LUA:
                name = "call"
            self.tasks.append((choose.choice(self.runtimes), name, value, how))

    def run(self, task):
        try:
            self.results.append((task[1:], use(*task)))
        except BaseException as error:  # noqa: BLE001
            self.results.append((task[1:], repr(error)))

    def greenlets(self, tasks):
        return [greenlet.greenlet(lambda task=task: self.run(task)) for task in tasks]

    def disturb(self):
        """What anybody may do at any time."""
        if self.choose.random() < 0.05:
            gc.collect()
        if self.choose.random() < 0.05:
            self.choose.choice(self.runtimes).gccollect()

    def wrong(self, *allowed):
        """What went wrong, as text; ``allowed`` are words of errors that may come."""
        wanted = [(task[1:], CODE[task[1]][1](task[2])) for task in self.tasks]
        wrong = [result for result in self.results if result not in wanted]
        wrong = [result for result in wrong if not any(word in str(result[1]) for word in allowed)]
        for lua in self.runtimes:
            assert lua.eval("1 + 1") == 2
            lua.close()
        if wrong or len(self.results) != len(wanted):
            return f"{wrong} of {[task[1:] for task in self.tasks]}"
        return ""


def try_greenlets(lupa, choose):
    """Some tasks in a random order."""
    program = Program(lupa, choose)
    waiting = program.greenlets(program.tasks)
    while waiting:
        task = choose.choice(waiting)
        task.switch()
        if task.dead:
            waiting.remove(task)
        program.disturb()
        if choose.random() < 0.02:
            try:
                choose.choice(program.runtimes).close()
            except lupa.LuaError:
                continue
            # Nobody was inside. The others find it closed, or use the other one: they come to an end.
            run_all(waiting)
            return ""
    return program.wrong()


def run_all(waiting):
    while waiting:
        for task in list(waiting):
            task.switch()
            if task.dead:
                waiting.remove(task)


def try_threads(lupa, choose):
    """Threads with greenlets, which share runtimes: a ring of those who wait is an error of one."""
    count = choose.choice([2, 3])
    program = Program(lupa, choose, count)

    def work(number):
        mine = random.Random(number)
        waiting = program.greenlets(program.tasks[number::count])
        while waiting:
            task = mine.choice(waiting)
            task.switch()
            if task.dead:
                waiting.remove(task)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return program.wrong("deadlock", "time limit")


async def spawn(program, task, choose, sleep):
    """Runs a task in a greenlet, from an asynchronous one."""
    running = program.greenlets([task])[0]
    while True:
        running.switch()
        if running.dead:
            return
        program.disturb()
        await sleep(0.001 if choose.random() < 0.1 else 0)


async def one(program, task, choose, sleep):
    """A task, of which some have limits of their own."""
    if choose.random() < 0.3:
        with task[0].limits(seconds=600, instructions=10**8):
            await spawn(program, task, choose, sleep)
    else:
        await spawn(program, task, choose, sleep)


def try_asyncio(lupa, choose):
    """Tasks of asyncio."""
    program = Program(lupa, choose)

    async def main():
        await asyncio.gather(*(one(program, task, choose, asyncio.sleep) for task in program.tasks))

    asyncio.run(main())
    return program.wrong()


def try_trio(lupa, choose):
    """Tasks of trio."""
    program = Program(lupa, choose)

    async def main():
        async with trio.open_nursery() as nursery:
            for task in program.tasks:
                nursery.start_soon(one, program, task, choose, trio.sleep)

    trio.run(main)
    return program.wrong()


def try_schedule(lupa, seed):
    """One schedule; what went wrong, as text."""
    choose = random.Random(seed)
    way = choose.choice([try_greenlets, try_greenlets, try_greenlets, try_threads, try_asyncio, try_trio])
    if way is try_trio and trio is None:
        way = try_asyncio
    wrong = way(lupa, choose)
    return f"{way.__name__}: {wrong}" if wrong else ""


def main():
    lupa = importlib.import_module(f"lupa.{sys.argv[1]}")
    first, count = int(sys.argv[2]), int(sys.argv[3])
    failed = 0
    for seed in range(first, first + count):
        wrong = try_schedule(lupa, seed)
        if wrong:
            failed += 1
            print(sys.argv[1], "schedule", seed, wrong)
    print(sys.argv[1], count, "schedules,", failed, "wrong")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
