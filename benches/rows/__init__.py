"""What is measured.  Each file here has the rows of one subject, written against the API of lupa 2.8.

A row is a function that gets a ``Bench``, prepares whatever it needs, and gives the ``Work`` to be timed, or
``Values`` if it has measured something by itself.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from types import ModuleType
from typing import Any

SUBJECTS = ("calls", "callbacks", "tables", "coroutines", "errors", "runtime", "vm", "users", "scale")

LOOPS = 1000
"""How often a Python loop repeats its statement."""

LUA_LOOPS = 10_000
"""The same in Lua, which gets through it in less time."""


@dataclass
class Work:
    """What is timed: ``run()`` does ``operations`` of the row.

    What it returns is compared between the two installs, as a check that both did the same.
    """

    run: Callable[[], Any]
    operations: int = 1


@dataclass
class Values:
    """What a row has measured by itself: smaller is better."""

    values: list[float]
    unit: str


@dataclass
class Row:
    """One row of the table."""

    name: str
    prepare: Callable[[Bench], Work | Values]
    alone: bool
    """Whether it needs a process of its own."""
    slow: bool
    """Whether a quick run leaves it out."""


class Bench:
    """What rows work with."""

    def __init__(self, name: str, module: ModuleType, quick: bool) -> None:
        self.name = name
        """The module to measure, such as ``lupa.lua54``."""
        self.module = module
        self.quick = quick
        self.lua = module.LuaRuntime()
        """A runtime that no other row has used."""

    def eval(self, code: str) -> Any:
        """A value of that runtime."""
        return self.lua.eval(code)

    def loop(self, statement: str, **names: Any) -> Work:
        """Runs a statement again and again, with these names as local variables."""
        source = (
            f"def run({', '.join(f'{name}={name}' for name in names)}):\n"
            f"    for _ in repeat(None, {LOOPS}):\n"
            f"        {statement}\n"
        )
        scope = {**names, "repeat": repeat}
        exec(source, scope)
        return Work(scope["run"], LOOPS)

    def lua_loop(self, statement: str, *arguments: Any) -> Work:
        """Runs a statement of Lua again and again, with these arguments as the locals a, b, c and i as counter.

        What the statement adds to the local ``sum`` is what is checked.
        """
        code = f"function(n, a, b, c) local sum = 0; for i = 1, n do {statement} end; return sum end"
        function = self.eval(code)
        return Work(lambda: function(LUA_LOOPS, *arguments), LUA_LOOPS)

    def child(self, code: str, *arguments: object) -> str:
        """What a new Python process prints when it runs this code."""
        command = [sys.executable, "-c", code, *map(str, arguments)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode != 0:
            last = finished.stderr.strip().splitlines()[-1:] or [f"exit code {finished.returncode}"]
            raise RuntimeError(last[0])
        return finished.stdout


_rows: list[Row] = []


def row(name: str, alone: bool = False, slow: bool = False) -> Callable[..., Callable[[Bench], Work | Values]]:
    """Makes a function the row of this name."""

    def add(prepare: Callable[[Bench], Work | Values]) -> Callable[[Bench], Work | Values]:
        _rows.append(Row(name, prepare, alone, slow))
        return prepare

    return add


def all_rows() -> Iterator[Row]:
    """All rows, subject after subject."""
    for subject in SUBJECTS:
        importlib.import_module(f"{__name__}.{subject}")
    yield from _rows
