"""The API that every Lua module of lupa has, for type checkers: at run time there is no such module.

Classes are a module's own at run time: ``lua51.LuaError`` is not ``lua54.LuaError``.  To a type
checker they are the same, so that one function can take the runtimes of any Lua.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence, Sequence
from types import EllipsisType
from typing import Any, Final, Generic, Literal, Protocol, SupportsIndex, TypedDict, final, overload, type_check_only

from typing_extensions import Never, Self, TypeAlias, TypeVar, Unpack

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
]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_F = TypeVar("_F", bound=Callable[..., Any])

# What Lua's strings are in Python: `str`, or `bytes` with `encoding=None`.
_Str_co = TypeVar("_Str_co", bound=str | bytes, covariant=True, default=Any)
# What a number of bytes is: `int`, or `None` where memory is not counted.
_Count_co = TypeVar("_Count_co", bound=int | None, covariant=True, default=int | None)

# What is taken as text: `str` is encoded, bytes are used as they are.
_Text: TypeAlias = str | bytes | bytearray
_Mode: TypeAlias = Literal["t", "b", "bt", b"t", b"b", b"bt"]
_ArrayIndex: TypeAlias = SupportsIndex | slice | EllipsisType
_ArrayKey: TypeAlias = _ArrayIndex | tuple[_ArrayIndex, ...]
_LuaType: TypeAlias = Literal["table", "function", "thread", "userdata", "cdata"]
_AttributeFilter: TypeAlias = Callable[[Any, Any, bool], Any]
_AttributeGetter: TypeAlias = Callable[[Any, Any], Any]
_AttributeSetter: TypeAlias = Callable[[Any, Any, Any], Any]
_AttributeHandlers: TypeAlias = (
    tuple[_AttributeGetter | None, _AttributeSetter | None] | Sequence[Callable[..., Any] | None]
)

LUA_VERSION: Final[tuple[int, int]]
LUA_MAXINTEGER: Final[int]
LUA_MININTEGER: Final[int]

@type_check_only
class _LuaFrame:
    """A Lua function that was running when an error was raised."""

    source: str
    line: int
    name: str

class LuaError(Exception):
    """An error raised by Lua code; the base class of the errors of a Lua runtime."""

    # What Lua's `error` was called with; None for errors of lupa's own.
    value: Any
    @property
    def message(self) -> str: ...
    @property
    def lua_traceback(self) -> str: ...
    @property
    def lua_frames(self) -> tuple[_LuaFrame, ...]: ...
    # The place of the last of these frames.
    filename: str | None
    lineno: int | None

class LuaSyntaxError(LuaError, SyntaxError):
    """Lua code that does not compile; a ``SyntaxError`` with its attributes."""

    # More code might make it right.
    incomplete: bool

class LuaStopIterationError(LuaError, RuntimeError):
    """Python code that a Lua coroutine has called raised ``StopIteration``, which is the ``__cause__``."""

class LuaMemoryError(LuaError, MemoryError):
    """Lua has no memory left, or has reached the limit set for it."""

class LuaSandboxError(LuaError, PermissionError):
    """Lua code in a sandbox tried something that the host has not allowed."""

class LuaTimeoutError(LuaError, TimeoutError):
    """Lua code ran for longer than it may: see ``timeout`` and ``LuaRuntime.limits()``."""

class LuaInstructionLimitError(LuaError):
    """Lua code ran more instructions than it may: see ``LuaRuntime.limits()``."""

class LuaInterruptedError(LuaError):
    """Lua code was stopped by ``LuaRuntime.interrupt()``."""

@type_check_only
class _Writes(Protocol):
    """What ``stdout`` may be."""

    def write(self, text: str, /) -> object: ...

@type_check_only
class _Options(TypedDict, total=False):
    """The options of a runtime that do not change the types of its results."""

    source_encoding: _Text | None
    attribute_filter: _AttributeFilter | None
    attribute_handlers: _AttributeHandlers | None
    register_eval: bool
    unpack_returned_tuples: bool
    register_builtins: bool
    overflow_handler: Callable[[int], Any] | None
    string_hash_seed: int | None
    convert_arrays: bool
    array_base: Literal[0, 1]
    libs: Iterable[str] | None
    timeout: float | None
    colon_calls: Literal["lua", "python"]
    traceback_frames: bool
    stdout: _Writes | Literal[True] | None

@type_check_only
class _Rights(TypedDict, total=False):
    """What Lua code in a sandbox may do with an object that is exposed."""

    attributes: Iterable[str]
    writable: Iterable[str]
    call: bool
    items: bool
    writable_items: bool
    iterate: bool
    text: bool
    construct: bool

class LuaRuntime(Generic[_Str_co, _Count_co]):
    """A Lua runtime: one Lua state with its own globals.

    ``LuaRuntime[str, int]`` has strings that are ``str``, and counts memory; a plain ``LuaRuntime`` is any.
    """

    # With options as keywords the types are known; given by position, from the last overload. A sandbox counts
    # memory.
    @overload
    def __init__(
        self: LuaRuntime[str, None],
        encoding: _Text = "UTF-8",
        *,
        max_memory: None = None,
        sandbox: Literal[False] = False,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: LuaRuntime[str, int],
        encoding: _Text = "UTF-8",
        *,
        max_memory: int,
        sandbox: bool = False,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: LuaRuntime[str, int],
        encoding: _Text = "UTF-8",
        *,
        max_memory: None = None,
        sandbox: Literal[True],
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: LuaRuntime[bytes, None],
        encoding: None,
        *,
        max_memory: None = None,
        sandbox: Literal[False] = False,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: LuaRuntime[bytes, int],
        encoding: None,
        *,
        max_memory: int,
        sandbox: bool = False,
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self: LuaRuntime[bytes, int],
        encoding: None,
        *,
        max_memory: None = None,
        sandbox: Literal[True],
        **options: Unpack[_Options],
    ) -> None: ...
    @overload
    def __init__(
        self,
        encoding: _Text | None = "UTF-8",
        source_encoding: _Text | None = None,
        attribute_filter: _AttributeFilter | None = None,
        attribute_handlers: _AttributeHandlers | None = None,
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
        timeout: float | None = None,
        sandbox: bool = False,
        colon_calls: Literal["lua", "python"] = "lua",
        traceback_frames: bool = True,
        stdout: _Writes | Literal[True] | None = None,
    ) -> None: ...
    @property
    def lua_version(self) -> tuple[int, int]: ...
    @property
    def lua_implementation(self) -> _Str_co: ...
    def eval(
        self,
        lua_code: _Text,
        *args: Any,
        name: _Text | None = None,
        mode: _Mode | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def execute(
        self,
        lua_code: _Text,
        *args: Any,
        name: _Text | None = None,
        mode: _Mode | None = None,
        timeout: float | None = None,
    ) -> Any: ...
    def compile(self, lua_code: _Text, name: _Text | None = None, mode: _Mode | None = None) -> LuaFunction: ...
    def require(self, modulename: str | bytes) -> Any: ...
    def globals(self) -> LuaTable: ...
    def table(self, *items: Any, **kwargs: Any) -> LuaTable: ...
    def table_from(self, *args: Iterable[Any], recursive: bool = False, convert: bool = False) -> LuaTable: ...
    @overload
    def to_lua(
        self,
        obj: Mapping[Any, Any] | Sequence[Any],
        *,
        none: Literal["nil", "none"] = "nil",
        default: Callable[[Any], Any] | None = None,
    ) -> LuaTable: ...
    @overload
    def to_lua(
        self,
        obj: object,
        *,
        none: Literal["nil", "none"] = "nil",
        default: Callable[[Any], Any] | None = None,
    ) -> Any: ...
    def nogc(self) -> _LuaNoGC: ...
    def gccollect(self) -> None: ...
    def set_overflow_handler(self, overflow_handler: Callable[[int], Any] | None) -> None: ...
    def get_max_memory(self, total: bool = False) -> _Count_co: ...
    def get_memory_used(self, total: bool = False) -> _Count_co: ...
    def set_max_memory(self, max_memory: int, total: bool = False) -> None: ...
    @overload
    def expose(self, obj: _T, /, **rights: Unpack[_Rights]) -> _T: ...
    @overload
    def expose(self, **rights: Unpack[_Rights]) -> Callable[[_T], _T]: ...
    def limits(
        self, *, seconds: float | None = None, instructions: int | None = None, memory: int | None = None
    ) -> _LuaLimits: ...
    def interrupt(self) -> bool: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _restore_exit(self) -> None: ...
    def _run_main(self, handler: LuaFunction, function: LuaFunction, done: LuaFunction, *args: Any) -> bool: ...
    def _fail_allocations_after(self, count: int | None) -> None: ...

class LuaObject:
    """A Lua object that Python has by reference: a table, a function, a coroutine or userdata."""

    # Nobody can make one. (With NoReturn as the result, mypy would not narrow types by isinstance().)
    def __new__(cls, _: Never, /) -> Self: ...
    def __call__(self, *args: Any) -> Any: ...
    def __getattr__(self, name: str, /) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    # A TypeError for what is neither a table nor a coroutine.
    def __iter__(self) -> Any: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

@final
class LuaTable(LuaObject):
    """A Lua table: items and attributes are its fields; what is not there is None."""

    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __delattr__(self, name: str, /) -> None: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...
    def __delitem__(self, key: Any, /) -> None: ...
    def __iter__(self) -> LuaIterator[Any]: ...
    def keys(self) -> LuaIterator[Any]: ...
    def values(self) -> LuaIterator[Any]: ...
    def items(self) -> LuaIterator[tuple[Any, Any]]: ...
    def __lua_args__(self) -> tuple[tuple[Any, ...], dict[str, Any]]: ...

class LuaFunction(LuaObject):
    """A Lua function."""

    def coroutine(self, *args: Any) -> LuaCoroutine: ...

class LuaCoroutineFunction(LuaFunction):
    """A Lua function that gives a new coroutine with each call."""

    def __call__(self, *args: Any) -> LuaCoroutine: ...

@final
class LuaCoroutine(LuaObject):
    """A Lua coroutine, to be used as a generator."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> Any: ...
    def send(self, value: Any, /) -> Any: ...

@final
class LuaIterator(Generic[_T_co]):
    """An iterator over the keys, values or items of a Lua table."""

    def __new__(cls, _: Never, /) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> _T_co: ...

@final
class LuaArray:
    """An array that Lua code sees, or has made; with the buffer protocol."""

    def __new__(cls, _: Never, /) -> Self: ...
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
    # An element, or a view of the same memory.
    def __getitem__(self, key: _ArrayKey, /) -> Any: ...
    def __setitem__(self, key: _ArrayKey, value: complex, /) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def tolist(self) -> Any: ...

# The names of lupa 2.8 for the same classes; their `__name__` is still that.
_LuaObject = LuaObject
_LuaTable = LuaTable
_LuaFunction = LuaFunction
_LuaCoroutineFunction = LuaCoroutineFunction
_LuaThread = LuaCoroutine
_LuaIter = LuaIterator
_LuaArray = LuaArray

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
@overload
def exposed(obj: _T, /, **rights: Unpack[_Rights]) -> _T: ...
@overload
def exposed(**rights: Unpack[_Rights]) -> Callable[[_T], _T]: ...
def as_array(obj: object) -> LuaArray: ...
@overload
def lua_type(obj: LuaTable) -> Literal["table"]: ...
@overload
def lua_type(obj: LuaFunction) -> Literal["function"]: ...
@overload
def lua_type(obj: LuaCoroutine) -> Literal["thread"]: ...
@overload
def lua_type(obj: LuaObject) -> _LuaType: ...
@overload
def lua_type(obj: object) -> _LuaType | None: ...
def to_python(
    value: object,
    *,
    empty: Callable[[], Any] = ...,
    keys: Literal["error", "str"] | Callable[[Any], Any] = "error",
    other: Literal["keep", "error"] | Callable[[Any], Any] = "keep",
    cycles: bool = True,
    max_depth: int | None = None,
    max_items: int | None = None,
    metamethods: bool = False,
) -> Any: ...
def as_mapping(table: LuaTable, /) -> MutableMapping[Any, Any]: ...
def as_sequence(table: LuaTable, /) -> MutableSequence[Any]: ...
@overload
def rawget(table: LuaTable, key: object, /) -> Any: ...
@overload
def rawget(table: LuaTable, key: object, default: _T, /) -> Any | _T: ...
def rawset(table: LuaTable, key: object, value: object, /) -> None: ...
def rawlen(table: LuaObject, /) -> int: ...
def getmetatable(object: LuaObject, /) -> LuaTable | None: ...
def setmetatable(table: LuaTable, metatable: LuaTable | _ArrayMark | None, /) -> LuaTable: ...
def call_method(obj: LuaObject, name: object, /, *args: Any) -> Any: ...

@final
@type_check_only
class _ArrayMark:
    """What ``array_mt`` is: it stands for ``python.array_mt`` of any runtime."""

array_mt: Final[_ArrayMark]

def unpacks_lua_table(func: _F) -> _F: ...
def unpacks_lua_table_method(meth: _F) -> _F: ...
def _promote() -> bool: ...
