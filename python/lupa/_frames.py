"""Frames of Lua functions in Python's tracebacks: code objects that have a place, and run nothing."""

from __future__ import annotations

import itertools
import linecache
import sys

TYPE_CHECKING = False  # as typing has it, whose import takes longer than that of a Lua
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

# The globals of all such frames.
GLOBALS: dict[str, Any] = {"__name__": "lua", "__builtins__": {}}

# Code objects say in which columns their instructions are, and have qualified names.
_HAS_COLUMNS = sys.version_info >= (3, 11)

# The marks of names of chunks that are no texts.
_MARKS = ("@", "=")

# How many texts are known to linecache at a time.
_MOST = 256

# The names of files that are none, by chunk and text.
_files: dict[tuple[str, str], str] = {}

# Names that have been given without a number, and the next number.
_MOST_NAMES = 4096
_names: set[str] = set()
_numbers = itertools.count(2)


def _make_template() -> CodeType:
    """The code of a function that raises ``error``, all of it in its first line, and at no column."""
    scope: dict[str, Any] = {}
    exec("def function(): raise error", scope)
    template: CodeType = scope["function"].__code__
    if _HAS_COLUMNS:
        # Entries without columns (Objects/locations.md of CPython), for eight instructions each.
        instructions, table = len(template.co_code) // 2, b""
        while instructions > 0:
            length = min(instructions, 8)
            table += bytes([0x80 | 13 << 3 | length - 1, 0])
            instructions -= length
        changes: dict[str, Any] = {"co_linetable": table}
        template = template.replace(**changes)
    return template


_template = _make_template()


def _file(chunk: str, text: str) -> str:
    """A name of a file for the text of a chunk; linecache, which tracebacks ask, has its lines."""
    known = _files.get((chunk, text))
    if known is not None and known in linecache.cache:
        return known
    name = chunk[1:] if chunk.startswith("=") else chunk
    name = name.split("\n", 1)[0][:60]
    bare = name[1:-1] if name.startswith("<") and name.endswith(">") else name
    # No name is given twice: code objects that are kept have the old ones.
    if bare in _names or len(_names) >= _MOST_NAMES:
        file = f"<{bare} {next(_numbers)}>"
    else:
        _names.add(bare)
        file = f"<{bare}>"
    while len(_files) >= _MOST:
        oldest = next(iter(_files))
        linecache.cache.pop(_files.pop(oldest), None)
    _files[chunk, text] = file
    # Without a time of change, so that nobody looks for the file.
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    return file


def code(source: str, chunk: str, name: str, line: int, text: str | None) -> CodeType:
    """A code object for a place; without a text the lines are those of the file, if there is one."""
    if text is None and not chunk.startswith(_MARKS) and "\n" in chunk:
        # Lua's own `load` names a chunk by its text.
        text = chunk
    file = source if text is None else _file(chunk, text)
    changes: dict[str, Any] = {"co_filename": file, "co_name": name, "co_firstlineno": line}
    if _HAS_COLUMNS:
        changes["co_qualname"] = name
    return _template.replace(**changes)


GAP = code("[...]", "=...", "more functions, which are left out", 1, None)


def add(error: BaseException, codes: list[CodeType], variables: dict[str, Any]) -> None:
    """Add frames to the traceback of an exception, for Pythons that make no frames but by running them."""
    scope = {**variables, "error": error}
    for one in codes:
        try:
            exec(one, scope)
        except BaseException as raised:
            if raised is not error or raised.__traceback__ is None:
                break
            # Without this function.
            error.__traceback__ = raised.__traceback__.tb_next
    # The frames, which the exception has now, have these globals.
    scope.pop("error", None)
