"""Coroutines of Lua, driven from Python."""

from __future__ import annotations

from rows import LOOPS, LUA_LOOPS, Bench, Work, row

COUNT = "function(n) for i = 1, n do coroutine.yield(i) end end"
ECHO = "function() local x = 0; while true do x = coroutine.yield(x) end end"


@row("coroutine.create")
def create(bench: Bench) -> Work:
    return bench.loop("start(1)", start=bench.eval(COUNT).coroutine)


@row("coroutine.run_to_end")
def whole_life(bench: Bench) -> Work:
    return bench.loop("list(start(1))", start=bench.eval(COUNT).coroutine)


@row("coroutine.iterate")
def iterate(bench: Bench) -> Work:
    count = bench.eval(COUNT)
    return Work(lambda: sum(count.coroutine(LUA_LOOPS)), LUA_LOOPS)


@row("coroutine.send")
def send(bench: Bench) -> Work:
    echo = bench.eval(ECHO)

    def run() -> int:
        running = echo.coroutine()
        running.send(None)
        total = 0
        send = running.send
        for number in range(LOOPS):
            total += send(number)
        return total

    return Work(run, LOOPS)


@row("coroutine.callback_inside")
def callback(bench: Bench) -> Work:
    calls = bench.eval("function(f, n) for i = 1, n do f(i) end; coroutine.yield(n) end")
    return Work(lambda: calls.coroutine(lambda x: x, LUA_LOOPS).send(None), LUA_LOOPS)
