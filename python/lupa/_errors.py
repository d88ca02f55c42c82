"""How errors of Lua are copied, and how they travel to other processes."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from typing import Any

# Attributes of exceptions that are not in their ``__dict__``.
_FIELDS = ("msg", "filename", "lineno", "offset", "text", "end_lineno", "end_offset")


class LuaFrame:
    """A Lua function that was running when an error was raised."""

    __slots__ = ("line", "name", "source")

    def __init__(self, source: str, line: int, name: str) -> None:
        self.source, self.line, self.name = source, line, name

    def __repr__(self) -> str:
        return f"LuaFrame(source={self.source!r}, line={self.line}, name={self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LuaFrame) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))


def _frames(error: BaseException) -> tuple[LuaFrame, ...]:
    """The Lua functions in the traceback of an error, the outermost first."""
    frames, entry = [], error.__traceback__
    while entry is not None:
        if entry.tb_frame.f_globals.get("__name__") == "lua":
            code = entry.tb_frame.f_code
            frames.append(LuaFrame(code.co_filename, entry.tb_lineno, code.co_name))
        entry = entry.tb_next
    return tuple(frames)


def _filename(error: BaseException) -> str | None:
    frames = _frames(error)
    return frames[-1].source if frames else None


def _lineno(error: BaseException) -> int | None:
    frames = _frames(error)
    return frames[-1].line if frames else None


# What separates Lua's message from its traceback.
_BETWEEN = "stack traceback:"


def _message(error: BaseException) -> str:
    text = str(error)
    if text.startswith(_BETWEEN):
        return ""
    return text.rpartition("\n" + _BETWEEN)[0] or text


def _traceback(error: BaseException) -> str:
    text = str(error)
    return text[len(_message(error)) :].lstrip("\n")


class _Computed:
    """An attribute that is computed when it is asked for; an error may have another one of that name."""

    __slots__ = ("compute",)

    def __init__(self, compute: Any) -> None:
        self.compute = compute

    def __get__(self, error: Any, owner: object = None) -> Any:
        return self if error is None else self.compute(error)


ATTRIBUTES = {
    "lua_frames": _Computed(_frames),
    "filename": _Computed(_filename),
    "lineno": _Computed(_lineno),
    "message": _Computed(_message),
    "lua_traceback": _Computed(_traceback),
}


def _state(error: BaseException) -> dict[str, Any]:
    state = dict(error.__dict__)
    if isinstance(error, SyntaxError):
        state.update({name: value for name in _FIELDS if (value := getattr(error, name, None)) is not None})
    # The traceback does not travel.
    frames = getattr(error, "lua_frames", ())
    if frames and "lua_frames" not in state:
        state["lua_frames"] = frames
        state.setdefault("filename", frames[-1].source)
        state.setdefault("lineno", frames[-1].line)
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

    module: Any = sys.modules.get(type(value).__module__)
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
