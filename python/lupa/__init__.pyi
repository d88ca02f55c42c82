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
from lupa._api import LuaArray as LuaArray
from lupa._api import LuaCoroutine as LuaCoroutine
from lupa._api import LuaCoroutineFunction as LuaCoroutineFunction
from lupa._api import LuaError as LuaError
from lupa._api import LuaFunction as LuaFunction
from lupa._api import LuaInstructionLimitError as LuaInstructionLimitError
from lupa._api import LuaInterruptedError as LuaInterruptedError
from lupa._api import LuaIterator as LuaIterator
from lupa._api import LuaMemoryError as LuaMemoryError
from lupa._api import LuaObject as LuaObject
from lupa._api import LuaRuntime as LuaRuntime
from lupa._api import LuaSandboxError as LuaSandboxError
from lupa._api import LuaStopIterationError as LuaStopIterationError
from lupa._api import LuaSyntaxError as LuaSyntaxError
from lupa._api import LuaTable as LuaTable
from lupa._api import LuaTimeoutError as LuaTimeoutError
from lupa._api import _LuaArray as _LuaArray
from lupa._api import _LuaCoroutineFunction as _LuaCoroutineFunction
from lupa._api import _LuaFunction as _LuaFunction
from lupa._api import _LuaIter as _LuaIter
from lupa._api import _LuaObject as _LuaObject
from lupa._api import _LuaTable as _LuaTable
from lupa._api import _LuaThread as _LuaThread
from lupa._api import array_mt as array_mt
from lupa._api import as_array as as_array
from lupa._api import as_attrgetter as as_attrgetter
from lupa._api import as_itemgetter as as_itemgetter
from lupa._api import as_mapping as as_mapping
from lupa._api import as_sequence as as_sequence
from lupa._api import call_method as call_method
from lupa._api import exposed as exposed
from lupa._api import getmetatable as getmetatable
from lupa._api import lua_type as lua_type
from lupa._api import rawget as rawget
from lupa._api import rawlen as rawlen
from lupa._api import rawset as rawset
from lupa._api import setmetatable as setmetatable
from lupa._api import to_python as to_python
from lupa._api import unpacks_lua_table as unpacks_lua_table
from lupa._api import unpacks_lua_table_method as unpacks_lua_table_method

__all__ = [
    "LUA_VERSION",
    "LUA_MAXINTEGER",
    "LUA_MININTEGER",
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaStopIterationError",
    "LuaMemoryError",
    "LuaSandboxError",
    "LuaTimeoutError",
    "LuaInstructionLimitError",
    "LuaInterruptedError",
    "LuaObject",
    "LuaTable",
    "LuaFunction",
    "LuaCoroutineFunction",
    "LuaCoroutine",
    "LuaIterator",
    "LuaArray",
    "as_itemgetter",
    "as_attrgetter",
    "array_mt",
    "as_array",
    "as_mapping",
    "as_sequence",
    "call_method",
    "exposed",
    "getmetatable",
    "lua_type",
    "rawget",
    "rawlen",
    "rawset",
    "setmetatable",
    "to_python",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
    "allow_lua_module_loading",
]

__version__: str

def allow_lua_module_loading() -> AbstractContextManager[None]: ...
