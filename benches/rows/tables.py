"""Lua tables in Python, and Python's containers made into tables."""

from __future__ import annotations

from rows import LUA_LOOPS, Bench, Work, row

SMALL = "{1, 2, 3, a = 1, b = 'two', inner = {1}}"


@row("table.getitem_int")
def get_index(bench: Bench) -> Work:
    return bench.loop("t[2]", t=bench.eval(SMALL))


@row("table.getitem_str")
def get_key(bench: Bench) -> Work:
    return bench.loop("t['a']", t=bench.eval(SMALL))


@row("table.getitem_missing")
def get_missing(bench: Bench) -> Work:
    return bench.loop("t['missing']", t=bench.eval(SMALL))


@row("table.getattr_str")
def get_attribute(bench: Bench) -> Work:
    return bench.loop("t.b", t=bench.eval(SMALL))


@row("table.getitem_metatable")
def get_inherited(bench: Bench) -> Work:
    return bench.loop("t['a']", t=bench.eval("setmetatable({}, {__index = {a = 1}})"))


@row("table.nested_get")
def nested(bench: Bench) -> Work:
    return bench.loop("t[1][1]", t=bench.eval("{{1}, {2}}"))


@row("table.setitem_int")
def set_index(bench: Bench) -> Work:
    return bench.loop("t[2] = 5", t=bench.eval(SMALL))


@row("table.setitem_str")
def set_key(bench: Bench) -> Work:
    return bench.loop("t['a'] = 'x'", t=bench.eval(SMALL))


@row("table.setattr_str")
def set_attribute(bench: Bench) -> Work:
    return bench.loop("t.b = 5", t=bench.eval(SMALL))


@row("table.add_delete")
def add_and_delete(bench: Bench) -> Work:
    return bench.loop("t['new'] = 1; del t['new']", t=bench.eval(SMALL))


@row("table.append")
def append(bench: Bench) -> Work:
    lua = bench.lua

    def run() -> int:
        table = lua.table()
        for i in range(1, LUA_LOOPS + 1):
            table[i] = i
        return len(table)

    return Work(run, LUA_LOOPS)


@row("table.len")
def length(bench: Bench) -> Work:
    return bench.loop("len(t)", t=bench.eval(SMALL))


@row("table.globals")
def global_variables(bench: Bench) -> Work:
    return bench.loop("globals().math", globals=bench.lua.globals)


@row("table.new_empty")
def new(bench: Bench) -> Work:
    return bench.loop("table()", table=bench.lua.table)


@row("table.new_small")
def new_small(bench: Bench) -> Work:
    return bench.loop("table(1, 2, name='wolf', age=5)", table=bench.lua.table)


@row("table.list_keys")
def keys(bench: Bench) -> Work:
    table = bench.lua.table_from(range(LUA_LOOPS))
    return Work(lambda: len(list(table)), LUA_LOOPS)


@row("table.list_values")
def values(bench: Bench) -> Work:
    table = bench.lua.table_from(range(LUA_LOOPS))
    return Work(lambda: sum(list(table.values())), LUA_LOOPS)


@row("table.list_items")
def items(bench: Bench) -> Work:
    table = bench.lua.table_from(range(LUA_LOOPS))
    return Work(lambda: len(list(table.items())), LUA_LOOPS)


@row("table.dict")
def to_dict(bench: Bench) -> Work:
    table = bench.lua.table_from(range(LUA_LOOPS))
    return Work(lambda: len(dict(table)), LUA_LOOPS)


@row("table.dict_str")
def strings_to_dict(bench: Bench) -> Work:
    table = bench.lua.table_from({f"key {i}": f"value {i}" for i in range(LUA_LOOPS)})
    return Work(lambda: len(dict(table.items())), LUA_LOOPS)


@row("table_from.list")
def from_list(bench: Bench) -> Work:
    table_from, source = bench.lua.table_from, list(range(LUA_LOOPS))
    return Work(lambda: len(table_from(source)), LUA_LOOPS)


@row("table_from.list_str")
def from_strings(bench: Bench) -> Work:
    table_from, source = bench.lua.table_from, [f"value {i}" for i in range(LUA_LOOPS)]
    return Work(lambda: len(table_from(source)), LUA_LOOPS)


@row("table_from.dict")
def from_dict(bench: Bench) -> Work:
    table_from, source = bench.lua.table_from, {i: i for i in range(LUA_LOOPS)}
    return Work(lambda: table_from(source)[5], LUA_LOOPS)


@row("table_from.dict_str")
def from_string_dict(bench: Bench) -> Work:
    table_from, source = bench.lua.table_from, {f"key {i}": i for i in range(LUA_LOOPS)}
    return Work(lambda: table_from(source)["key 5"], LUA_LOOPS)


@row("table_from.generator")
def from_generator(bench: Bench) -> Work:
    table_from = bench.lua.table_from
    return Work(lambda: len(table_from(i for i in range(LUA_LOOPS))), LUA_LOOPS)


@row("table_from.small")
def from_small(bench: Bench) -> Work:
    return bench.loop("table_from(d)", table_from=bench.lua.table_from, d={"name": "wolf", "age": 5, "grey": True})


@row("table_from.recursive")
def from_nested(bench: Bench) -> Work:
    records = [{"id": i, "name": f"n{i}", "tags": ["a", "b", "c"], "place": {"x": i, "y": 2.5}} for i in range(1000)]
    table_from = bench.lua.table_from
    return Work(lambda: table_from(records, recursive=True)[7].tags[2], len(records))
