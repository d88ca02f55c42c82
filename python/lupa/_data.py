"""Lua tables as Python's collections: views, copies, arrays."""

from __future__ import annotations

import sys

# What ``collections.abc`` has, which takes longer to import.
from _collections_abc import MutableMapping, MutableSequence

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


_MISSING = object()


def _module(table: object) -> Any:
    """The module of lupa that a table is of."""
    name = type(table).__module__
    module: Any = sys.modules.get(name)
    if not hasattr(module, "_promote") or not isinstance(table, module.LuaTable):
        raise TypeError(f"a Lua table is needed, not {type(table).__name__}")
    return module


class _View:
    __slots__ = ("_lua", "_table")

    def __init__(self, table: Any) -> None:
        self._lua = _module(table)
        self._table = table

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._table!r})"


class LuaMapping(_View, MutableMapping):  # type: ignore[type-arg]
    """What ``as_mapping()`` gives."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        value = self._lua.rawget(self._table, key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self._lua.rawset(self._table, key, value)

    def __delitem__(self, key: Any) -> None:
        self[key]
        self._lua.rawset(self._table, key, None)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._table)

    def __len__(self) -> int:
        return sum(1 for _ in self._table)


class LuaSequence(_View, MutableSequence):  # type: ignore[type-arg]
    """What ``as_sequence()`` gives."""

    __slots__ = ()

    def __len__(self) -> int:
        length: int = self._lua.rawlen(self._table)
        return length

    def _index(self, index: Any) -> int:
        import operator

        number, length = operator.index(index), len(self)
        if number < 0:
            number += length
        if not 0 <= number < length:
            raise IndexError("index of a Lua sequence out of range")
        return number + 1

    def __getitem__(self, index: Any) -> Any:
        rawget, table = self._lua.rawget, self._table
        if isinstance(index, slice):
            return [rawget(table, place + 1) for place in range(*index.indices(len(self)))]
        return rawget(table, self._index(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            items = list(self)
            items[index] = value
            self._replace(items)
        else:
            self._lua.rawset(self._table, self._index(index), value)

    def __delitem__(self, index: Any) -> None:
        items = list(self)
        del items[index]
        self._replace(items)

    def insert(self, index: int, value: Any) -> None:
        """Put a value before an index."""
        rawget, rawset, table, length = self._lua.rawget, self._lua.rawset, self._table, len(self)
        place = max(0, index + length) if index < 0 else min(index, length)
        for number in range(length, place, -1):
            rawset(table, number + 1, rawget(table, number))
        rawset(table, place + 1, value)

    def _replace(self, items: Iterable[Any]) -> None:
        rawset, table, length = self._lua.rawset, self._table, len(self)
        count = 0
        for count, item in enumerate(items, 1):  # noqa: B007
            rawset(table, count, item)
        for place in range(length, count, -1):
            rawset(table, place, None)


def itself(value: Any, memo: object = None) -> Any:
    """The copy of a function, a coroutine or userdata, which is that itself, as with Python's functions."""
    return value


def copied(table: Any) -> Any:
    """A table with the same fields and the same metatable, in the same runtime."""
    return _module(table)._copy_table(table)


_COPIES = object()


def deeply_copied(table: Any, memo: dict[Any, Any]) -> Any:
    """The same, of the tables inside too, and of the Python objects in them."""
    lua = _module(table)
    # Wrappers are made anew each time; they are equal for one table.
    copies = memo.setdefault(id(_COPIES), {})
    if table in copies:
        return copies[table]
    copies[table] = result = copied(table)
    waiting = [result]
    while waiting:
        current = waiting.pop()
        for key, value in list(current.items()):
            new_key = _twin(key, lua, copies, waiting, memo)
            new_value = _twin(value, lua, copies, waiting, memo)
            if new_key is not key and new_key != key:
                lua.rawset(current, key, None)
                lua.rawset(current, new_key, new_value)
            elif new_value is not value:
                lua.rawset(current, key, new_value)
    return result


def _twin(value: Any, lua: Any, copies: dict[Any, Any], waiting: list[Any], memo: dict[Any, Any]) -> Any:
    """The copy of something in a table; a table is to be filled."""
    import copy

    if not isinstance(value, lua.LuaTable):
        return copy.deepcopy(value, memo)
    if value not in copies:
        copies[value] = copied(value)
        waiting.append(copies[value])
    return copies[value]


def refuse_pickle(value: Any, protocol: object = None) -> Any:
    """Pickling is refused: a Lua value belongs to its runtime."""
    kind = sys.modules[type(value).__module__].lua_type(value)
    way = "; lupa.to_python(table) gives what is in it" if kind == "table" else ""
    raise TypeError(f"a Lua {kind} cannot be pickled, for it belongs to its runtime{way}")


def array(table: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """The values of a table that is a list, and of those inside, as an array of NumPy's."""
    import numpy

    values = _module(table).to_python(table)
    if not isinstance(values, list):
        raise ValueError("only a table whose keys are 1 to n becomes an array; lupa.to_python(table) gives a dict")
    if copy is False:
        raise ValueError("a Lua table cannot become an array without a copy of its values")
    return numpy.array(values, dtype)
