from lupa._api import *  # noqa: F403
from lupa._api import FastRLock as FastRLock
from lupa._api import __all__ as __all__
from lupa._api import _LuaArray as _LuaArray
from lupa._api import _LuaCoroutineFunction as _LuaCoroutineFunction
from lupa._api import _LuaFunction as _LuaFunction
from lupa._api import _LuaIter as _LuaIter
from lupa._api import _LuaObject as _LuaObject
from lupa._api import _LuaTable as _LuaTable
from lupa._api import _LuaThread as _LuaThread
from lupa._api import _promote as _promote
