"""Arrays: loops over a million doubles in Lua, in C and by NumPy; what passing an array costs.

    python benches/arrays.py [BACKEND ...]

Needs NumPy, and a C compiler for the loops in C (``cc -O2``). Each figure is the best of several runs.
"""

from __future__ import annotations

import ctypes
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("luajit21", "luajit20", "lua55", "lua54", "lua53", "lua52", "lua51")
COUNT = 1_000_000

C_LOOPS = """
double sum(double *p, long n) { double s = 0; for (long i = 0; i < n; i++) s += p[i]; return s; }
void scale(double *p, long n) { for (long i = 0; i < n; i++) p[i] *= 1.0000001; }
"""

# What is done to an array `a`, by name; with `data` only where there is an ffi.
LOOPS = {
    "sum, a[i]": "local s = 0; for i = 1, #a do s = s + a[i] end; return s",
    "scale, a[i]": "for i = 1, #a do a[i] = a[i] * 1.0000001 end",
    "sum, a.data": "local p, s = a.data, 0; for i = 0, #a - 1 do s = s + p[i] end; return s",
    "scale, a.data": "local p = a.data; for i = 0, #a - 1 do p[i] = p[i] * 1.0000001 end",
    "write and read, a[i]": "for i = 1, #a do a[i] = i + 0.5 end; local s = 0; for i = 1, #a do s = s + a[i] end",
}
TWO_DIMENSIONS = {
    "sum, a:get(i, j)": """
        local s, n, m = 0, a.shape[1], a.shape[2]
        for i = 1, n do for j = 1, m do s = s + a:get(i, j) end end
    """,
    "sum, a[i][j] row by row": """
        local s = 0
        for i = 1, #a do local row = a[i]; for j = 1, #row do s = s + row[j] end end
    """,
}
# The same values in a Lua table.
TABLE = "local t = {}; for i = 1, n do t[i] = i + 0.5 end; local s = 0; for i = 1, n do s = s + t[i] end"
READ_TABLE = "local s = 0; for i = 1, #t do s = s + t[i] end"


def main() -> int:
    values = np.random.default_rng(1).random(COUNT)
    show("C (cc -O2)", "", None)
    with c_loops() as loops:
        pointer = values.ctypes.data_as(ctypes.c_void_p)
        show("", "sum", best(lambda: loops.sum(pointer, COUNT)))
        show("", "scale", best(lambda: loops.scale(pointer, COUNT)))
    show("NumPy " + np.__version__, "", None)
    show("", "sum", best(values.sum))
    show("", "scale", best(lambda: np.multiply(values, 1.0000001, out=values)))
    for name in sys.argv[1:] or BACKENDS:
        try:
            lupa = importlib.import_module(f"lupa.{name}")
        except ImportError:
            continue
        measure(lupa, values)
    return 0


def measure(lupa: Any, values: Any) -> None:
    """All figures of one Lua."""
    lua = lupa.LuaRuntime(convert_arrays=True)
    show(lua.lua_implementation, "", None)
    has_ffi = lua.eval("package.preload.ffi ~= nil or package.loaded.ffi ~= nil")

    def function(parameters: str, body: str) -> Callable[..., Any]:
        return lua.eval(f"function({parameters}) {body} end")

    for name, body in LOOPS.items():
        if has_ffi or "data" not in name:
            loop = function("a", body)
            show("", name, best(lambda loop=loop: loop(values)))
    square = values.reshape(1000, -1)
    for name, body in TWO_DIMENSIONS.items():
        loop = function("a", body)
        show("", name, best(lambda loop=loop: loop(square)))
    table = function("n", TABLE)
    show("", "a table: fill and read, in Lua", best(lambda: table(COUNT)))
    read = function("t", READ_TABLE)
    show("", "a table: fill from the array in Python, read in Lua", best(lambda: read(lua.table_from(values.tolist()))))
    nothing, back = function("a", ""), function("a", "return a")
    for label, array in (("3 doubles", np.zeros(3)), ("10^7 doubles", np.zeros(10**7))):
        show("", f"passing {label}, 1000 times", best(lambda array=array: repeat(nothing, array)))
    show("", "passing and getting back, 1000 times", best(lambda: repeat(back, values)))


def repeat(function: Callable[[Any], Any], argument: Any) -> None:
    for _ in range(1000):
        function(argument)


def best(function: Callable[[], Any]) -> float:
    """The shortest time that a call takes, in milliseconds, of those that fit into half a second."""
    function()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < 0.5:
        before = time.perf_counter()
        function()
        times.append(time.perf_counter() - before)
    return min(times) * 1e3


def show(heading: str, name: str, milliseconds: float | None) -> None:
    """A line of the report."""
    print(heading if milliseconds is None else f"  {name:54}{milliseconds:9.3f} ms", flush=True)


@contextmanager
def c_loops() -> Iterator[Any]:
    """The loops in C, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "loops.c"), Path(folder, "loops.so")
        source.write_text(C_LOOPS)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
        loops = ctypes.CDLL(str(library))
        loops.sum.restype = ctypes.c_double
        for loop in (loops.sum, loops.scale):
            loop.argtypes = [ctypes.c_void_p, ctypes.c_long]
        yield loops


if __name__ == "__main__":
    sys.exit(main())
