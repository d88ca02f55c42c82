"""Patterns as on the skin of animals: two substances that react and spread (the Gray-Scott model).

NumPy holds both substances and LuaJIT computes on their memory, at the speed of C and with nothing
copied.  The same steps are also done by NumPy alone, which makes a new array for each sum and
product, to compare results and times.  The picture is ``reaction.png``.

    python examples/reaction.py [--size PIXELS] [--steps STEPS] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

try:
    import numpy as np

    try:
        import lupa.luajit21 as lupa
    except ImportError:
        import lupa.luajit20 as lupa
except ImportError as error:
    sys.exit(f"this example needs NumPy and LuaJIT: {error}")

# How fast u and v spread, how fast u comes in, and how fast v goes.
SPREAD_U, SPREAD_V, FEED, KILL = 0.16, 0.08, 0.0545, 0.062

# Arrays of C doubles, seen from Lua: `a.data` is a `double *`. The edges are joined, as on a torus.
STEPS = """
local u, v, next_u, next_v, steps, spread_u, spread_v, feed, kill = ...
local rows, columns = u.shape[1], u.shape[2]
local a, b, c, d = u.data, v.data, next_u.data, next_v.data

for _ = 1, steps do
    for y = 0, rows - 1 do
        local here = y * columns
        local above = (y - 1) % rows * columns
        local below = (y + 1) % rows * columns
        for x = 0, columns - 1 do
            local left = x > 0 and x - 1 or columns - 1
            local right = x < columns - 1 and x + 1 or 0
            local p, q = a[here + x], b[here + x]
            local around_p = a[above + x] + a[below + x] + a[here + left] + a[here + right] - 4 * p
            local around_q = b[above + x] + b[below + x] + b[here + left] + b[here + right] - 4 * q
            local reaction = p * q * q
            c[here + x] = p + spread_u * around_p - reaction + feed * (1 - p)
            d[here + x] = q + spread_v * around_q + reaction - (feed + kill) * q
        end
    end
    a, b, c, d = c, d, a, b
end
"""


def main() -> int:
    arguments = parse_arguments()
    lua = lupa.LuaRuntime(convert_arrays=True)
    steps = lua.compile(STEPS, name="=steps")

    # The same few steps by both, to see that they agree.
    few = 50
    u, v = seed(arguments.size)
    expected, numpy_time = timed(numpy_steps, u.copy(), v.copy(), few)
    result, lua_time = timed(lua_steps, steps, u.copy(), v.copy(), few)
    difference = max(float(abs(a - b).max()) for a, b in zip(expected, result))
    print(f"{few} steps of {arguments.size} x {arguments.size} cells")
    print(f"  {lua.lua_implementation:28} {1e3 * lua_time / few:8.3f} ms a step")
    print(f"  {'NumPy ' + np.__version__:28} {1e3 * numpy_time / few:8.3f} ms a step")
    print(f"  largest difference           {difference:8.1e}")
    if difference > 1e-12:
        print("error: the results differ", file=sys.stderr)
        return 1

    (_, v), seconds = timed(lua_steps, steps, u, v, arguments.steps)
    path = Path(arguments.output, "reaction.png")
    write_png(path, colours(v))
    print(f"{arguments.steps} steps in {seconds:.1f} s: {path}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draw the patterns of a reaction.")
    parser.add_argument("--size", type=int, default=384, help="of the square, in cells (384)")
    parser.add_argument("--steps", type=int, default=8000, help="how long the reaction goes on (8000)")
    parser.add_argument("--output", default=".", help="the folder for the picture (the current one)")
    return parser.parse_args()


def seed(size: int) -> tuple[Any, Any]:
    """Mostly u, and v in some random places."""
    chance = np.random.default_rng(2)
    u, v = np.ones((size, size)), np.zeros((size, size))
    for y, x in chance.integers(0, size - 8, (max(size // 8, 1), 2)):
        u[y : y + 8, x : x + 8], v[y : y + 8, x : x + 8] = 0.5, 0.25
    u += chance.uniform(-0.01, 0.01, u.shape)
    return u, v


def lua_steps(steps: Any, u: Any, v: Any, count: int) -> tuple[Any, Any]:
    """The state after so many steps of LuaJIT."""
    next_u, next_v = np.empty_like(u), np.empty_like(v)
    steps(u, v, next_u, next_v, count, SPREAD_U, SPREAD_V, FEED, KILL)
    return (u, v) if count % 2 == 0 else (next_u, next_v)


def numpy_steps(u: Any, v: Any, count: int) -> tuple[Any, Any]:
    """The same by NumPy."""

    def around(a: Any) -> Any:
        return np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1) - 4 * a

    for _ in range(count):
        reaction = u * v * v
        u, v = (
            u + SPREAD_U * around(u) - reaction + FEED * (1 - u),
            v + SPREAD_V * around(v) + reaction - (FEED + KILL) * v,
        )
    return u, v


def timed(function: Any, *arguments: Any) -> tuple[Any, float]:
    """The result of a call, and how many seconds it took."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def colours(v: Any) -> Any:
    """From night blue through sand to dark brown, as an array of bytes with three for each pixel."""
    stops = np.array([[16, 24, 56], [44, 92, 128], [226, 204, 160], [150, 74, 30], [54, 22, 14]])
    places = np.linspace(0, 1, len(stops))
    level = np.clip(v / 0.4, 0, 1)
    return np.stack([np.interp(level, places, stops[:, part]) for part in range(3)], -1).astype("uint8")


def write_png(path: Path, pixels: Any) -> None:
    """Writes an array of rows, columns and three bytes as a PNG."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), "uint8"), pixels.reshape(height, -1)], 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes())) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + image)


if __name__ == "__main__":
    sys.exit(main())
