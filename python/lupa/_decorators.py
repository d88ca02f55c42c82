"""Python functions that take keyword arguments from Lua."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    _Result = TypeVar("_Result")


def _unpack(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call; a table as the only one is taken apart."""
    if len(args) == 1 and not kwargs:
        to_args = getattr(type(args[0]), "__lua_args__", None)
        if to_args is not None:
            unpacked: tuple[tuple[Any, ...], dict[str, Any]] = to_args(args[0])
            return unpacked
    return args, kwargs


def unpacks_lua_table(func: Callable[..., _Result]) -> Callable[..., _Result]:
    """Make a function take keyword arguments from Lua, in a table: ``func{1, b=2}``.

    Lua has no keyword arguments; a table as the only argument is the custom instead.  Its sequence
    becomes the positional and its string keys the keyword arguments.  Plain calls stay as they are.

    >>> import lupa
    >>> @lupa.unpacks_lua_table
    ... def area(width, height=1):
    ...     return width * height
    >>> lua = lupa.LuaRuntime()
    >>> call = lua.eval('function(f) return f{3, height=2}, f(5, 4), f{width=7} end')
    >>> call(area)
    (6, 20, 7)

    Not for functions whose first argument can be a table.  A field that is ``nil`` is not in the
    table: use ``python.none`` to pass None.
    """

    from functools import wraps

    @wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> _Result:
        positional, kwargs = _unpack(args, kwargs)
        return func(*positional, **kwargs)

    return wrapper


def unpacks_lua_table_method(meth: Callable[..., _Result]) -> Callable[..., _Result]:
    """The same as :func:`unpacks_lua_table` for methods.

    >>> import lupa
    >>> class Shop:
    ...     @lupa.unpacks_lua_table_method
    ...     def price(self, item, count=1):
    ...         return f'{count} x {item}'
    >>> lua = lupa.LuaRuntime()
    >>> lua.eval('function(shop) return shop:price{"egg", count=3} end')(Shop())
    '3 x egg'
    """

    from functools import wraps

    @wraps(meth)
    def wrapper(self: Any, /, *args: Any, **kwargs: Any) -> _Result:
        positional, kwargs = _unpack(args, kwargs)
        return meth(self, *positional, **kwargs)

    return wrapper
