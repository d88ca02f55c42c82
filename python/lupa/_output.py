"""Lua's ``print`` and ``io.write`` for streams of Python."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def writer(stream: Any) -> Callable[[str | bytes], None]:
    """A function that writes to a stream; True stands for ``sys.stdout``, whatever that is at the time."""
    if stream is not True and not callable(getattr(stream, "write", None)):
        raise TypeError(f"stdout must be True or an object with a method write, not {type(stream).__name__}")

    def write(text: str | bytes) -> None:
        target = sys.stdout if stream is True else stream
        if target is None:
            return
        if isinstance(text, bytes):
            text = text.decode("utf-8", "backslashreplace")
        target.write(text)

    return write
