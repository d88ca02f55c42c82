"""How runtimes in several threads scale: the same work in one thread, and in each of several at once.

    python benches/threads.py [--modules lua54,luajit21] [--threads 2] [--rounds 5]

A row's figure is how much more work is done in the same time, from the fastest of all rounds: with two threads, 2.00 on
two free cores if nothing is in the way, and 1.00 if the threads take turns. With a GIL only Lua's own work can run at
the same time; without one, callbacks into Python can, too. The last row has one runtime for all threads, with its lock.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Work = Callable[[], Any]


def loop(lupa: Any) -> Work:
    """Lua by itself."""
    lua = lupa.LuaRuntime()
    function = lua.eval("function() local s = 0 for i = 1, 20000000 do s = s + i % 7 end return s end")
    return lambda: function()


def callback(lupa: Any) -> Work:
    """Lua calls a function of Python again and again."""
    lua = lupa.LuaRuntime()
    function = lua.eval("function(f) for i = 1, 600000 do f(i) end end")
    return lambda: function(lambda number: number + 1)


def method(lupa: Any) -> Work:
    """Lua calls a method of a Python object and reads an attribute."""

    class Thing:
        value = 1

        def add(self, number: int) -> int:
            return self.value + number

    lua = lupa.LuaRuntime()
    function = lua.eval("function(thing) for i = 1, 200000 do thing:add(thing.value) end end")
    thing = Thing()
    return lambda: function(thing)


def call(lupa: Any) -> Work:
    """Python calls a function of Lua again and again."""
    function = lupa.LuaRuntime().eval("function(a) return a end")

    def work() -> None:
        for number in range(1_000_000):
            function(number)

    return work


def table(lupa: Any) -> Work:
    """Data goes to Lua and comes back."""
    lua = lupa.LuaRuntime()
    data = {"numbers": list(range(200)), "names": {str(i): i for i in range(50)}}

    def work() -> None:
        for _ in range(2_000):
            made = lua.table_from(data, recursive=True)
            list(made.numbers.values())

    return work


ROWS = {"lua loop": loop, "callback": callback, "method": method, "call": call, "tables": table}


def seconds(works: list[Work]) -> float:
    """The time from the first beginning to the last end of works, each in a thread."""
    start = threading.Barrier(len(works))
    times: list[float] = []

    def run(work: Work) -> None:
        start.wait()
        begin = time.perf_counter()
        work()
        times.extend((begin, time.perf_counter()))

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(times) - min(times)


def scaling(alone: Work, works: list[Work], rounds: int) -> tuple[float, float]:
    """The time of one work alone, and how much more is done in all threads in the same time."""
    one, several = [], []
    for _ in range(rounds):
        one.append(seconds([alone]))
        several.append(seconds(works))
    return min(one), len(works) * min(one) / min(several)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", default="lua54,luajit21")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"Python {sys.version.split()[0]}, {'with' if gil else 'without'} a GIL, {options.threads} threads")
    for module in options.modules.split(","):
        lupa = importlib.import_module(f"lupa.{module}")
        for name, make in ROWS.items():
            alone, factor = scaling(make(lupa), [make(lupa) for _ in range(options.threads)], options.rounds)
            print(f"{module:10}{name:16}{alone * 1000:8.1f} ms alone {factor:6.2f}")
        shared = call(lupa)
        alone, factor = scaling(shared, [shared] * options.threads, options.rounds)
        print(f"{module:10}{'one runtime':16}{alone * 1000:8.1f} ms alone {factor:6.2f}")


if __name__ == "__main__":
    main()
