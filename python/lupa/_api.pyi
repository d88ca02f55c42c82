"""The API that every Lua module of lupa has, for type checkers: at run time there is no such module.

Classes are a module's own at run time: ``lua51.LuaError`` is not ``lua54.LuaError``.  To a type
checker they are the same, so that one function can take the runtimes of any Lua.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Generic, Literal, NoReturn, TypeVar, final, overload, type_check_only

from typing_extensions import Self, TypeAlias

__all__ = [
    "LUA_VERSION",
    "LUA_MAXINTEGER",
    "LUA_MININTEGER",
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaMemoryError",
    "LuaSandboxError",
    "LuaTimeoutError",
    "LuaInstructionLimitError",
    "LuaInterruptedError",
    "as_itemgetter",
    "as_attrgetter",
    "as_array",
    "exposed",
    "lua_type",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_F = TypeVar("_F", bound=Callable[..., Any])

# What is taken as text: `str` is encoded, bytes are used as they are.
_Text: TypeAlias = str | bytes | bytearray
_AttributeGetter: TypeAlias = Callable[[Any, Any], Any]
_AttributeSetter: TypeAlias = Callable[[Any, Any, Any], Any]

LUA_VERSION: Final[tuple[int, int]]
LUA_MAXINTEGER: Final[int]
LUA_MININTEGER: Final[int]

class LuaError(Exception):
    """An error raised by Lua code; the base class of the errors of a Lua runtime."""

    # What Lua's `error` was called with; None for errors of lupa's own.
    value: Any

class LuaSyntaxError(LuaError):
    """Lua code that does not compile."""

class LuaMemoryError(LuaError, MemoryError):
    """Lua has no memory left, or has reached the limit set for it."""

class LuaSandboxError(LuaError, PermissionError):
    """Lua code in a sandbox has tried what the host has not allowed."""

class LuaTimeoutError(LuaError, TimeoutError):
    """Lua code ran for longer than it may: see ``timeout`` and ``LuaRuntime.limits()``."""

class LuaInstructionLimitError(LuaError):
    """Lua code ran more instructions than it may: see ``LuaRuntime.limits()``."""

class LuaInterruptedError(LuaError):
    """Lua code was stopped by ``LuaRuntime.interrupt()``."""

class LuaRuntime:
    """A Lua runtime: one Lua state with its own globals."""

    def __new__(
        cls,
        encoding: _Text | None = "UTF-8",
        source_encoding: _Text | None = None,
        attribute_filter: Callable[[Any, Any, bool], Any] | None = None,
        attribute_handlers: (
            tuple[_AttributeGetter | None, _AttributeSetter | None] | Sequence[Callable[..., Any] | None] | None
        ) = None,
        register_eval: bool = True,
        unpack_returned_tuples: bool = False,
        register_builtins: bool = True,
        overflow_handler: Callable[[int], Any] | None = None,
        max_memory: int | None = None,
        string_hash_seed: int | None = None,
        *,
        convert_arrays: bool = False,
        array_base: Literal[0, 1] = 1,
        libs: Iterable[str] | None = None,
        sandbox: bool = False,
        timeout: float | None = None,
    ) -> Self: ...
    @property
    def lua_version(self) -> tuple[int, int]: ...
    @property
    def lua_implementation(self) -> str: ...
    def eval(
        self,
        lua_code: _Text,
        *args: Any,
        name: _Text | None = None,
        mode: _Text | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def execute(
        self,
        lua_code: _Text,
        *args: Any,
        name: _Text | None = None,
        mode: _Text | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def compile(self, lua_code: _Text, name: _Text | None = None, mode: _Text | None = None) -> _LuaFunction: ...
    def require(self, modulename: str | bytes) -> Any: ...
    def globals(self) -> _LuaTable: ...
    def table(self, *items: Any, **kwargs: Any) -> _LuaTable: ...
    def table_from(self, *args: Iterable[Any], recursive: bool = False) -> _LuaTable: ...
    def nogc(self) -> _LuaNoGC: ...
    def gccollect(self) -> None: ...
    def set_overflow_handler(self, overflow_handler: Callable[[int], Any] | None) -> None: ...
    def get_max_memory(self, total: bool = False) -> int | None: ...
    def get_memory_used(self, total: bool = False) -> int | None: ...
    def set_max_memory(self, max_memory: int, total: bool = False) -> None: ...
    @overload
    def expose(
        self,
        obj: _T,
        /,
        *,
        attributes: Iterable[str] = ...,
        writable: Iterable[str] = ...,
        call: bool = ...,
        items: bool = ...,
        writable_items: bool = ...,
        iterate: bool = ...,
        text: bool = ...,
        construct: bool = ...,
    ) -> _T: ...
    @overload
    def expose(
        self,
        *,
        attributes: Iterable[str] = ...,
        writable: Iterable[str] = ...,
        call: bool = ...,
        items: bool = ...,
        writable_items: bool = ...,
        iterate: bool = ...,
        text: bool = ...,
        construct: bool = ...,
    ) -> Callable[[_T], _T]: ...
    def limits(
        self, *, seconds: float | None = None, instructions: int | None = None, memory: int | None = None
    ) -> _LuaLimits: ...
    def interrupt(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _restore_exit(self) -> None: ...
    def _fail_allocations_after(self, count: int | None) -> None: ...

class _LuaObject:
    """A wrapper around a Lua object such as a table or function."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn: ...
    def __call__(self, *args: Any) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    # A TypeError for what is neither a table nor a coroutine.
    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class _LuaTable(_LuaObject):
    """A Lua table: items and attributes are its fields; what is not there is None."""

    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __iter__(self) -> _LuaIter[Any]: ...
    def keys(self) -> _LuaIter[Any]: ...
    def values(self) -> _LuaIter[Any]: ...
    def items(self) -> _LuaIter[tuple[Any, Any]]: ...
    def __lua_args__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

class _LuaFunction(_LuaObject):
    """A Lua function (which may become a coroutine)."""

    def coroutine(self, *args: Any) -> _LuaThread: ...

class _LuaCoroutineFunction(_LuaFunction):
    """A function that returns a new coroutine when called."""

    def __call__(self, *args: Any) -> _LuaThread: ...

@final
class _LuaThread(_LuaObject):
    """A Lua thread (coroutine)."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any, /) -> Any: ...

@final
class _LuaIter(Generic[_T_co]):
    """An iterator over the keys, values or items of a Lua table."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T_co: ...

@final
class _LuaArray:
    """An array that Lua code sees, or has made; with the buffer protocol."""

    def __new__(cls, *args: Any, **kwargs: Any) -> NoReturn: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> str: ...
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def __release_buffer__(self, buffer: memoryview, /) -> None: ...

@final
class FastRLock:
    """A re-entrant lock that costs little when no other thread wants it."""

    def __new__(cls) -> Self: ...
    def acquire(self, blocking: bool = True) -> bool: ...
    def release(self) -> None: ...
    def __enter__(self) -> bool: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _is_owned(self) -> bool: ...

@final
@type_check_only
class _LuaLimits:
    """Limits that hold inside of the ``with`` block."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
@type_check_only
class _LuaNoGC:
    """No garbage collection in Lua inside of the ``with`` block."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
@type_check_only
class _PyProtocolWrapper:
    """An object with the protocol that Lua shall index it by."""

def as_attrgetter(obj: object) -> _PyProtocolWrapper: ...
def as_itemgetter(obj: object) -> _PyProtocolWrapper: ...
def as_array(obj: object) -> _LuaArray: ...
@overload
def exposed(
    obj: _T,
    /,
    *,
    attributes: Iterable[str] = ...,
    writable: Iterable[str] = ...,
    call: bool = ...,
    items: bool = ...,
    writable_items: bool = ...,
    iterate: bool = ...,
    text: bool = ...,
    construct: bool = ...,
) -> _T: ...
@overload
def exposed(
    *,
    attributes: Iterable[str] = ...,
    writable: Iterable[str] = ...,
    call: bool = ...,
    items: bool = ...,
    writable_items: bool = ...,
    iterate: bool = ...,
    text: bool = ...,
    construct: bool = ...,
) -> Callable[[_T], _T]: ...
def lua_type(obj: object) -> str | None: ...
def unpacks_lua_table(func: _F) -> _F: ...
def unpacks_lua_table_method(meth: _F) -> _F: ...
def _promote() -> bool: ...
