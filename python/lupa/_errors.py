"""How errors of Lua are copied, and how they travel to other processes."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from typing import Any

# Attributes of exceptions that are not in their ``__dict__``.
_FIELDS = ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")


def _state(error: BaseException) -> dict[str, Any]:
    state = dict(error.__dict__)
    if isinstance(error, SyntaxError):
        state.update({name: value for name in _FIELDS if (value := getattr(error, name, None)) is not None})
    return state


def copied(error: BaseException, memo: object = None) -> BaseException:
    """A copy, in the same process: its value is the same one."""
    copy = type(error)(*error.args)
    for name, value in _state(error).items():
        setattr(copy, name, value)
    return copy


def _portable(value: object) -> object:
    """The value as another process can have it: plain data, or else a text that says so."""
    import pickle
    import sys

    module = sys.modules.get(type(value).__module__)
    try:
        if hasattr(module, "_promote"):
            value = module.to_python(value, other="error")
        pickle.dumps(value)
    except Exception:
        return f"{value!r} (stayed in its process)"
    return value


def reduce(error: BaseException) -> tuple[Any, ...]:
    """What pickle takes of an error."""
    state = _state(error)
    if "value" in state:
        state["value"] = _portable(state["value"])
    return type(error), error.args, state
