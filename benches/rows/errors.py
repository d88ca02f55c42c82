"""Errors that cross the border."""

from __future__ import annotations

from rows import LOOPS, Bench, Work, row


def caught(call: object, kind: type[BaseException], argument: object = None) -> Work:
    """Calls something that raises this kind of exception, and counts those that it caught."""

    def run() -> int:
        count = 0
        for _ in range(LOOPS):
            try:
                call(argument)
            except kind:
                count += 1
        return count

    return Work(run, LOOPS)


@row("error.lua_to_python")
def from_lua(bench: Bench) -> Work:
    return caught(bench.eval("function() error('x') end"), bench.module.LuaError)


@row("error.lua_to_python_deep")
def from_depth(bench: Bench) -> Work:
    # Deep enough that the traceback leaves out its middle.
    code = "(function() local function f(n) if n == 0 then error('x') end; f(n - 1); return n end; return f end)()"
    return caught(bench.eval(code), bench.module.LuaError, 50)


@row("error.python_through_lua")
def through_lua(bench: Bench) -> Work:
    def fail() -> None:
        raise ValueError("x")

    return caught(bench.eval("function(f) f() end"), ValueError, fail)


@row("error.missing_attribute")
def missing_attribute(bench: Bench) -> Work:
    return caught(bench.eval("function(o) return o.missing end"), AttributeError, object())


@row("error.syntax")
def syntax(bench: Bench) -> Work:
    return caught(bench.lua.execute, bench.module.LuaSyntaxError, "x = = 1")
