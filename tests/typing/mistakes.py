"""What type checkers are to refuse: each `type: ignore` here has to be needed."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from lupa import LuaCoroutine, LuaFunction, LuaRuntime, LuaTable, as_array


def calls(lua: LuaRuntime, table: LuaTable, function: LuaFunction) -> None:
    lua.eval(42)  # type: ignore[arg-type]
    lua.eval("1", mode="source")  # type: ignore[arg-type]
    lua.compile("return ...", "=chunk", "t", 1)  # type: ignore[call-arg]
    lua.table_from(42)  # type: ignore[arg-type]
    lua.limits(5)  # type: ignore[call-arg]
    lua.set_max_memory("large")  # type: ignore[arg-type]
    function(key=1)  # type: ignore[call-arg]
    table.keys().send(None)  # type: ignore[attr-defined]
    as_array(b"").shape = (1, 2)  # type: ignore[misc]


def options() -> None:
    LuaRuntime(max_memory=100_000, array_base=2)  # type: ignore[call-overload]
    LuaRuntime(unknown=True)  # type: ignore[call-overload]
    LuaRuntime(libs=5)  # type: ignore[call-overload]


def instances() -> None:
    LuaTable()  # type: ignore[call-arg]
    LuaRuntime().get_memory_used() + 1  # type: ignore[operator]
    LuaRuntime(None).lua_implementation.startswith("Lua")  # type: ignore[arg-type]


class Table(LuaTable):  # type: ignore[misc]
    """The class of tables has no subclasses."""


def made(coroutine: LuaCoroutine) -> LuaFunction:
    return coroutine  # type: ignore[return-value]
