"""Lua and LuaJIT inside Python."""

from contextlib import AbstractContextManager

from lupa import lua51 as lua51
from lupa import lua52 as lua52
from lupa import lua53 as lua53
from lupa import lua54 as lua54
from lupa import lua55 as lua55
from lupa import luajit20 as luajit20
from lupa import luajit21 as luajit21
from lupa._api import LUA_MAXINTEGER as LUA_MAXINTEGER
from lupa._api import LUA_MININTEGER as LUA_MININTEGER
from lupa._api import LUA_VERSION as LUA_VERSION
from lupa._api import FastRLock as FastRLock
from lupa._api import LuaError as LuaError
from lupa._api import LuaInstructionLimitError as LuaInstructionLimitError
from lupa._api import LuaInterruptedError as LuaInterruptedError
from lupa._api import LuaMemoryError as LuaMemoryError
from lupa._api import LuaRuntime as LuaRuntime
from lupa._api import LuaSyntaxError as LuaSyntaxError
from lupa._api import LuaTimeoutError as LuaTimeoutError
from lupa._api import _LuaArray as _LuaArray
from lupa._api import _LuaCoroutineFunction as _LuaCoroutineFunction
from lupa._api import _LuaFunction as _LuaFunction
from lupa._api import _LuaIter as _LuaIter
from lupa._api import _LuaObject as _LuaObject
from lupa._api import _LuaTable as _LuaTable
from lupa._api import _LuaThread as _LuaThread
from lupa._api import as_array as as_array
from lupa._api import as_attrgetter as as_attrgetter
from lupa._api import as_itemgetter as as_itemgetter
from lupa._api import lua_type as lua_type
from lupa._api import unpacks_lua_table as unpacks_lua_table
from lupa._api import unpacks_lua_table_method as unpacks_lua_table_method

__all__ = [
    "LUA_VERSION",
    "LUA_MAXINTEGER",
    "LUA_MININTEGER",
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaMemoryError",
    "LuaTimeoutError",
    "LuaInstructionLimitError",
    "LuaInterruptedError",
    "as_itemgetter",
    "as_attrgetter",
    "as_array",
    "lua_type",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
    "allow_lua_module_loading",
]

__version__: str

def allow_lua_module_loading() -> AbstractContextManager[None]: ...
