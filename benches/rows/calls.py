"""Python calls Lua."""

from __future__ import annotations

from rows import Bench, Work, row

ECHO = "function(x) return x end"
IGNORE = "function() end"
FIRST = "function(a, b, c) return a end"


class Thing:
    """A Python object like any other."""


@row("call.noargs")
def no_arguments(bench: Bench) -> Work:
    return bench.loop("f()", f=bench.eval(IGNORE))


@row("call.int")
def integer(bench: Bench) -> Work:
    return bench.loop("f(7)", f=bench.eval(ECHO))


@row("call.float")
def number(bench: Bench) -> Work:
    return bench.loop("f(7.5)", f=bench.eval(ECHO))


@row("call.str")
def string(bench: Bench) -> Work:
    return bench.loop("f('hello world')", f=bench.eval(ECHO))


@row("call.str_unicode")
def unicode(bench: Bench) -> Work:
    return bench.loop("f(s)", f=bench.eval(ECHO), s="Grüße — 你好")


@row("call.str_fresh")
def fresh_string(bench: Bench) -> Work:
    # What str.join makes has no UTF-8 form yet, as most strings that a program computes.
    return bench.loop("f(join(parts))", f=bench.eval(IGNORE), join="ü".join, parts=["Gr", "ße aus L", "neburg"])


@row("call.bytes64k")
def long_bytes(bench: Bench) -> Work:
    return bench.loop("f(b)", f=bench.eval(ECHO), b=b"x" * 65536)


@row("call.none_bool")
def none_and_true(bench: Bench) -> Work:
    return bench.loop("f(None, True)", f=bench.eval(FIRST))


@row("call.3mixed")
def mixed(bench: Bench) -> Work:
    return bench.loop("f(1, 2.5, 'abc')", f=bench.eval(FIRST))


@row("call.8ints")
def many(bench: Bench) -> Work:
    return bench.loop("f(1, 2, 3, 4, 5, 6, 7, 8)", f=bench.eval("function(...) return (select('#', ...)) end"))


@row("call.return3")
def three_results(bench: Bench) -> Work:
    return bench.loop("f(1)", f=bench.eval("function(a) return a, a, a end"))


@row("call.table_roundtrip")
def table(bench: Bench) -> Work:
    return bench.loop("f(t)", f=bench.eval(ECHO), t=bench.eval("{1, 2, 3}"))


@row("call.return_table")
def new_table(bench: Bench) -> Work:
    return bench.loop("f()", f=bench.eval("function() return {} end"))


@row("call.pyobj_roundtrip")
def python_object(bench: Bench) -> Work:
    return bench.loop("f(o)", f=bench.eval(ECHO), o=Thing())


@row("call.fresh_pyobj")
def fresh_python_object(bench: Bench) -> Work:
    return bench.loop("f([])", f=bench.eval(IGNORE))


@row("call.method")
def method(bench: Bench) -> Work:
    # Lua's obj:add(1), as Python has to spell it.
    counter = bench.eval("{n = 0, add = function(self, k) self.n = self.n + k end}")
    return bench.loop("o.add(o, 1)", o=counter)


@row("call.c_function")
def c_function(bench: Bench) -> Work:
    return bench.loop("f('wolf')", f=bench.eval("string.upper"))
