"""Lua calls Python, and uses Python objects."""

from __future__ import annotations

from rows import LUA_LOOPS, Bench, Work, row


class Wolf:
    """An object with an attribute, methods and items."""

    def __init__(self) -> None:
        self.age = 5
        self.pack = self

    def older(self, years: int) -> int:
        return self.age + years


@row("callback.noargs")
def no_arguments(bench: Bench) -> Work:
    return bench.lua_loop("a()", lambda: None)


@row("callback.int")
def integer(bench: Bench) -> Work:
    return bench.lua_loop("a(i)", lambda x: x)


@row("callback.str")
def string(bench: Bench) -> Work:
    return bench.lua_loop("a('hello world')", lambda x: x)


@row("callback.3mixed")
def mixed(bench: Bench) -> Work:
    return bench.lua_loop("a(i, 2.5, 'abc')", lambda a, b, c: a)


@row("callback.table_argument")
def table(bench: Bench) -> Work:
    return bench.lua_loop("a({i})", lambda table: None)


@row("callback.builtin_len")
def builtin(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a('abc')", len)


@row("callback.method")
def method(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a:older(i)", Wolf())


@row("callback.bound_method")
def bound_method(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a(i)", Wolf().older)


@row("callback.as_function")
def as_function(bench: Bench) -> Work:
    code = (
        "function(n, f) local f, sum = python.as_function(f), 0; for i = 1, n do sum = sum + f(i) end; return sum end"
    )
    function = bench.eval(code)
    return Work(lambda: function(LUA_LOOPS, lambda x: x), LUA_LOOPS)


@row("callback.raise_pcall")
def caught_exception(bench: Bench) -> Work:
    return bench.lua_loop("if not pcall(a, 1) then sum = sum + 1 end", len)


@row("pyobj.getattr")
def attribute(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a.age", Wolf())


@row("pyobj.getattr_chain")
def chain(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a.pack.pack.age", Wolf())


@row("pyobj.setattr")
def set_attribute(bench: Bench) -> Work:
    return bench.lua_loop("a.age = i", Wolf())


@row("pyobj.getitem_dict")
def dict_item(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a.age", {"age": 5, "name": "Akela"})


@row("pyobj.setitem_dict")
def set_dict_item(bench: Bench) -> Work:
    return bench.lua_loop("a.age = i", {"age": 5, "name": "Akela"})


@row("pyobj.getitem_list")
def list_item(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + a[i % 100]", list(range(100)))


@row("pyobj.tostring")
def to_string(bench: Bench) -> Work:
    return bench.lua_loop("sum = sum + #tostring(a)", (1, 2))


@row("pyobj.equal")
def equal(bench: Bench) -> Work:
    wolf = Wolf()
    return bench.lua_loop("if a == b.pack then sum = sum + 1 end", wolf, wolf)


def iteration(bench: Bench, loop: str, items: object) -> Work:
    """Goes over ``items`` once; an operation is one of them."""
    function = bench.eval(f"function(items) local sum = 0; for {loop} do sum = sum + x end; return sum end")
    return Work(lambda: function(items), LUA_LOOPS)


@row("pyobj.iter_list")
def iterate_list(bench: Bench) -> Work:
    return iteration(bench, "x in python.iter(items)", list(range(LUA_LOOPS)))


@row("pyobj.iter_generator")
def iterate_generator(bench: Bench) -> Work:
    function = bench.eval("function(g) local sum = 0; for x in python.iter(g) do sum = sum + x end; return sum end")
    return Work(lambda: function(x for x in range(LUA_LOOPS)), LUA_LOOPS)


@row("pyobj.enumerate")
def enumerate_list(bench: Bench) -> Work:
    return iteration(bench, "i, x in python.enumerate(items)", list(range(LUA_LOOPS)))


@row("pyobj.iterex_items")
def iterate_items(bench: Bench) -> Work:
    return iteration(bench, "k, x in python.iterex(items)", {i: i for i in range(LUA_LOOPS)}.items())
