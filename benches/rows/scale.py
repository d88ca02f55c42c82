"""How the cost of an operation changes with what is alive, and with a second thread."""

from __future__ import annotations

import threading
import time
from typing import Any

from rows import Bench, Values, Work, row

COUNTS = {"1": 1, "1k": 1000, "1m": 1_000_000}


def with_wrappers(bench: Bench, count: int) -> Work:
    """A call, and a wrapper made and dropped, while so many others are alive."""
    new = bench.eval("function() return {} end")
    alive = [new() for _ in range(count)]
    work = bench.loop("f(7); t.inner", f=bench.eval("function(x) return x end"), t=bench.eval("{inner = {}}"))
    return keeping(work, alive)


def with_objects(bench: Bench, count: int) -> Work:
    """A Python object passed in and out, and a new one, while Lua has so many others."""
    keep = bench.eval("function(t, o) t[#t + 1] = o end")
    table = bench.lua.table()
    for _ in range(count):
        keep(table, object())
    work = bench.loop("f(o); f(new())", f=bench.eval("function(x) return x end"), o=object(), new=object)
    return keeping(work, table)


def with_runtimes(bench: Bench, count: int) -> Work:
    """A call and a callback in one runtime while so many others are alive."""
    alive = [bench.module.LuaRuntime() for _ in range(count)]
    return keeping(bench.loop("f(g)", f=bench.eval("function(g) return g() end"), g=lambda: None), alive)


def keeping(work: Work, alive: Any) -> Work:
    """The same work, which keeps these alive."""
    run = work.run

    def run_and_keep(_alive: Any = alive) -> Any:
        return run()

    return Work(run_and_keep, work.operations)


for label, number in COUNTS.items():
    for kind, function in (("wrappers", with_wrappers), ("objects", with_objects)):
        row(f"scale.{kind}_{label}", alone=True, slow=number > 1000)(
            lambda bench, function=function, number=number: function(bench, number)
        )

for label, number in {"1": 1, "1k": 1000, "10k": 10_000}.items():
    row(f"scale.runtimes_{label}", alone=True, slow=number > 1000)(
        lambda bench, number=number: with_runtimes(bench, number)
    )

SPIN = "function(n) local x = 0; for i = 1, n do x = (x + i * 0.5) % 1000 end; return x end"
CALLS = "function(n, f) local x = 0; for i = 1, n / 20 do x = f(x) end; return x end"


def threads_over_one(bench: Bench, code: str, *arguments: Any) -> Values:
    """The time of two threads, each with a runtime and the same work, over the time of one."""
    functions = [bench.module.LuaRuntime().eval(code) for _ in range(2)]
    size = 100_000
    while elapsed(functions[:1], size, arguments) < (0.02 if bench.quick else 0.1):
        size *= 2
    ratios = []
    for _ in range(5 if bench.quick else 9):
        alone = elapsed(functions[:1], size, arguments)
        ratios.append(elapsed(functions, size, arguments) / alone)
    return Values(ratios, "x")


def elapsed(functions: list[Any], size: int, arguments: tuple[Any, ...]) -> float:
    """The seconds that it takes to run each function in a thread of its own."""
    threads = [threading.Thread(target=function, args=(size, *arguments)) for function in functions]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


@row("threads.two_runtimes", alone=True)
def two_runtimes(bench: Bench) -> Values:
    """Two cores: 1 is perfect, 2 is no gain."""
    return threads_over_one(bench, SPIN)


@row("threads.two_with_callbacks", alone=True)
def two_with_callbacks(bench: Bench) -> Values:
    """The same with code that calls Python all the time: with a GIL, 2 is what can be had."""
    return threads_over_one(bench, CALLS, lambda x: x + 1)
