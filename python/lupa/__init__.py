"""Lua and LuaJIT inside Python.

Each Lua is a module of its own with the same names: ``lupa.lua51`` to ``lupa.lua55``,
``lupa.luajit20`` and ``lupa.luajit21``, as far as they were built.  What is asked of ``lupa``
itself comes from the newest of them, which is imported when it is first needed:

>>> import lupa
>>> lua = lupa.LuaRuntime()
>>> lua.eval('1 + 1')
2

>>> from lupa import lua51
>>> lua51.LuaRuntime().eval('_VERSION')
'Lua 5.1'
"""

import os
import sys

__version__ = "2.80.0"

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


# What is not needed to import a Lua is imported where it is needed: that takes longer than Lua itself.


def _backend(name):
    """The kind and the number in the name of a module for a Lua; None for other names."""
    for kind in ("luajit", "lua"):
        number = name[len(kind) :]
        if name.startswith(kind) and number.isascii() and number.isdigit():
            return kind, int(number)
    return None


def _available():
    """Names of the Lua modules that were built, best first: Lua before LuaJIT, newest first."""
    from importlib.machinery import EXTENSION_SUFFIXES

    found = set()
    for folder in __path__:
        for file in os.listdir(folder):
            stem, _, suffix = file.partition(".")
            backend = _backend(stem)
            # Others are another Python's.
            if backend and "." + suffix in EXTENSION_SUFFIXES:
                found.add((backend[0] == "lua", backend[1], stem))
    return [name for _, _, name in sorted(found, reverse=True)]


def _missing(name):
    names = ", ".join(sorted(_available())) or "none"
    return f"this lupa has no module {name!r}; built were: {names}"


class _MissingBackend:
    """Says which modules there are when one like ``lupa.lua99`` is imported and is not there."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        package, _, module = name.rpartition(".")
        if package != __name__ or not _backend(module):
            return None
        # Who only asks whether there is such a module (importlib.util.find_spec) is told no.
        frame, callers = sys._getframe(1), []
        while frame is not None and "importlib" in frame.f_code.co_filename:
            callers.append(frame.f_code.co_name)
            frame = frame.f_back
        if "_find_and_load" not in callers:
            return None
        # A `from lupa import lua99` goes on after a ModuleNotFoundError, to a message of its own.
        kind = ImportError if "_handle_fromlist" in callers else ModuleNotFoundError
        raise kind(_missing(name), name=name)


# At the end: asked only for what nobody else has found.
sys.meta_path.append(_MissingBackend)


def _newest():
    """The module that stands for lupa as a whole."""
    available = _available()
    if not available:
        raise ImportError("this lupa has no Lua: no module was built", name=__name__)
    return _imported_backend(available[0])


def _imported_backend(name):
    from importlib import import_module

    return import_module("." + name, __name__)


def __getattr__(name):
    """Submodules by their names; all else from the newest Lua."""
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _backend(name):
        if name not in _available():
            raise AttributeError(_missing(f"{__name__}.{name}"))
        return _imported_backend(name)
    value = getattr(_newest(), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__, *_available()})


def _imported():
    prefix = __name__ + "."
    return {
        name: module for name, module in sys.modules.items() if name.startswith(prefix) and hasattr(module, "_promote")
    }


def allow_lua_module_loading():
    """Let Lua modules written in C be loaded by the Lua that is imported in the block.

    >>> import lupa
    >>> with lupa.allow_lua_module_loading():
    ...     from lupa import lua54

    This is not needed any more: the first ``require`` of such a module does the same for the Lua
    that it happens in.  It is good for deciding which Lua that is, where a program uses more than
    one: C modules of one process are bound to one Lua.  Without dynamic linking flags (Windows),
    nothing is done.
    """
    from contextlib import contextmanager

    return contextmanager(_promoting)()


def _promoting():
    before = _imported()
    yield
    after = _imported()
    new = [module for name, module in after.items() if name not in before]
    # A module that was there already counts when nothing else was imported in the block.
    for module in new or list(after.values())[-1:]:
        module._promote()
