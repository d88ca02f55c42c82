"""What type checkers say of the results of lupa: checked by mypy and pyright, and run by pytest."""

from __future__ import annotations

from typing import Any, Literal, Optional

import lupa
from lupa import LuaCoroutine, LuaFunction, LuaIterator, LuaObject, LuaRuntime, LuaTable, lua54, lua_type
from typing_extensions import assert_type


def running_code(lua: LuaRuntime) -> None:
    assert_type(lua.eval("1 + 1"), Any)
    assert_type(lua.execute(b"return ...", 1, "two", name="=chunk", mode="t"), Any)
    assert_type(lua.compile("return 1"), LuaFunction)
    assert_type(lua.compile("return 1")(), Any)
    assert_type(lua.require("string"), Any)
    assert_type(lua.globals(), LuaTable)
    assert_type(lua.lua_version, tuple[int, int])
    assert_type(lua.eval("1", timeout=0.5), Any)


def runtimes() -> None:
    """The options decide what strings are, and whether memory is counted."""
    assert_type(LuaRuntime(), "LuaRuntime[str, None]")
    assert_type(LuaRuntime("latin-1").lua_implementation, str)
    assert_type(LuaRuntime(encoding=None), "LuaRuntime[bytes, None]")
    assert_type(LuaRuntime(None).lua_implementation, bytes)
    assert_type(LuaRuntime(max_memory=0, unpack_returned_tuples=True), "LuaRuntime[str, int]")
    assert_type(LuaRuntime(max_memory=100_000).get_memory_used(), int)
    assert_type(LuaRuntime(max_memory=100_000).get_max_memory(total=True), int)
    assert_type(LuaRuntime(encoding=None, max_memory=100_000), "LuaRuntime[bytes, int]")
    with LuaRuntime(max_memory=0) as lua:
        assert_type(lua, "LuaRuntime[str, int]")


def limited(limit: int | None) -> LuaRuntime:
    """Where the options are not known, nor are the results; any runtime is a `LuaRuntime`."""
    assert_type(LuaRuntime(max_memory=limit).get_memory_used(), Optional[int])
    assert_type(LuaRuntime("UTF-8", None, None, None, True, False, True, None, limit).get_max_memory(), Optional[int])
    accepted: list[LuaRuntime] = [LuaRuntime(), LuaRuntime(None), LuaRuntime(max_memory=limit)]
    return accepted[0]


def annotated(lua: LuaRuntime, raw: LuaRuntime[bytes, int]) -> None:
    assert_type(lua.get_memory_used(), Optional[int])
    assert_type(raw.lua_implementation, bytes)
    assert_type(raw.get_memory_used(), int)


def tables(table: LuaTable) -> None:
    assert_type(table[1], Any)
    assert_type(table.name, Any)
    assert_type(len(table), int)
    assert_type(iter(table), LuaIterator[Any])
    assert_type(list(table.keys()), list[Any])
    assert_type(dict(table.items()), dict[Any, Any])
    for item in table.items():
        assert_type(item, tuple[Any, Any])
    table[1] = table.name = "wolf"
    del table[1], table.name
    assert_type(LuaRuntime().table(1, 2, x=3), LuaTable)
    assert_type(LuaRuntime().table_from([1], {"x": {"y": 2}}, recursive=True), LuaTable)


def functions(function: LuaFunction) -> None:
    assert_type(function(1, "two", None), Any)
    running = function.coroutine(1)
    assert_type(running, LuaCoroutine)
    assert_type(running.send(None), Any)
    assert_type(list(running), list[Any])


def kinds(table: LuaTable, function: LuaFunction, running: LuaCoroutine, value: object) -> None:
    assert_type(lua_type(table), Literal["table"])
    assert_type(lua_type(function), Literal["function"])
    assert_type(lua_type(running), Literal["thread"])
    assert_type(lua_type(value), Optional[Literal["table", "function", "thread", "userdata", "cdata"]])
    if isinstance(value, LuaTable):
        assert_type(value.keys(), LuaIterator[Any])
    elif isinstance(value, LuaObject):
        assert_type(lua_type(value), Literal["table", "function", "thread", "userdata", "cdata"])


def limits(lua: LuaRuntime) -> None:
    with lua.limits(seconds=10, instructions=1_000_000, memory=1_000_000):
        lua.execute("x = 1")
        assert_type(lua.interrupt(), bool)
    assert_type(LuaRuntime(timeout=10, max_memory=0).get_memory_used(), int)


def errors() -> None:
    try:
        LuaRuntime().execute("error({code = 404})")
    except lupa.LuaMemoryError as error:
        memory: MemoryError = error
        assert_type(memory.args, tuple[Any, ...])
    except lupa.LuaTimeoutError as error:
        timeout: TimeoutError = error
        assert_type(timeout.args, tuple[Any, ...])
    except lupa.LuaError as error:
        assert_type(error.value, Any)


def other_modules() -> None:
    """To a type checker the modules have the same classes, so that code can take any Lua."""
    lua: LuaRuntime = lua54.LuaRuntime()
    table: lua54.LuaTable = lua.table()
    same: LuaTable = table
    assert_type(len(same), int)
    assert_type(lua54.LUA_VERSION, tuple[int, int])
    assert_type(lupa.__version__, str)


def arrays() -> None:
    array = lupa.as_array(bytearray(8))
    assert_type(array, lupa.LuaArray)
    assert_type(array.shape, tuple[int, ...])
    assert_type(memoryview(array).nbytes, int)


@lupa.unpacks_lua_table
def area(width: int, height: int = 1) -> int:
    return width * height


def decorators() -> None:
    assert_type(area(3, height=4), int)


class Runtime(LuaRuntime[str, int]):
    """Subclasses stay what they are."""

    def double(self, number: int) -> Any:
        return self.eval("2 * ...", number)


def subclasses() -> None:
    assert_type(Runtime(max_memory=0), Runtime)
    assert_type(Runtime(max_memory=0).double(21), Any)
    with Runtime(max_memory=0) as runtime:
        assert_type(runtime, Runtime)


def unions(table: LuaTable | dict[Any, Any]) -> None:
    assert_type(len(table), int)
