"""The Mandelbrot set, drawn by every Lua that is there, in one thread and then in two.

Each thread has a runtime of its own, and Python's lock is free while Lua runs, so two threads keep
two cores busy.  All implementations have to draw the same image, byte for byte; it is written to
``mandelbrot.png``.

    python examples/mandelbrot.py [--size PIXELS] [--depth ITERATIONS] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import re
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lupa

# A function that draws the rows from `first` up to, not including, `last`. The view is a square
# around (-0.75, 0), symmetric about the real axis, so that both halves are the same work.
DRAW = """
local char, concat, floor, unpack = string.char, table.concat, math.floor, table.unpack or unpack

return function(size, depth, first, last)
    local scale, rows = 2.5 / size, {}
    for y = first, last - 1 do
        local row, ci = {}, (y + 0.5) * scale - 1.25
        for x = 0, size - 1 do
            local cr = (x + 0.5) * scale - 2.0
            local zr, zi, rr, ii, n = 0.0, 0.0, 0.0, 0.0, 0
            while n < depth and rr + ii <= 4.0 do
                zi = 2.0 * zr * zi + ci
                zr = rr - ii + cr
                rr, ii = zr * zr, zi * zi
                n = n + 1
            end
            -- Black inside; outside the darker, the longer a point took to get away.
            row[x + 1] = n == depth and 0 or 255 - floor(230 * n / (n + 12))
        end
        rows[#rows + 1] = char(unpack(row, 1, size))
    end
    return concat(rows)
end
"""

# Measured again until this many seconds are spent, at most three times: the best one counts.
ENOUGH = 2.0


def main() -> int:
    arguments = parse_arguments()
    size, depth = arguments.size, arguments.depth
    print(f"Mandelbrot set, {size} x {size} pixels, up to {depth} iterations a pixel, {os.cpu_count()} cores")
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > 0.5:
        print(f"Other programs are running (load {busy:.1f}): a second thread gains only what they leave.")
    print()
    print(f"{'implementation':<20} {'1 thread':>9} {'2 threads':>9} {'speed-up':>9}")
    images = {}
    for module in built_modules():
        name, (single, alone), (double, shared) = measure(module, size, depth)
        print(f"{name:<20} {alone:>7.2f} s {shared:>7.2f} s {alone / shared:>9.2f}", flush=True)
        images[f"{name}, one thread"], images[f"{name}, two threads"] = single, double
    if not images:
        print("error: this lupa has no Lua: no module was built", file=sys.stderr)
        return 1

    expected = next(iter(images.values()))
    different = [name for name, image in images.items() if image != expected]
    if different or len(expected) != size * size:
        print(f"error: not the image that the first one drew: {'; '.join(different)}", file=sys.stderr)
        return 1
    print(f"\nAll {len(images)} images are the same.")
    arguments.output.mkdir(parents=True, exist_ok=True)
    file = arguments.output / "mandelbrot.png"
    file.write_bytes(greyscale_png(size, size, expected))
    print(f"Written to {file.resolve()}")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw the Mandelbrot set with every Lua, in one and in two threads.")
    parser.add_argument("--size", type=int, default=800, help="width and height in pixels (default: %(default)s)")
    parser.add_argument("--depth", type=int, default=1000, help="iterations for a pixel at most (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path(), help="the folder for the image (default: this one)")
    arguments = parser.parse_args()
    # A row is made by one string.char, which takes as many arguments as fit on Lua's stack.
    if not 2 <= arguments.size <= 4000:
        parser.error("--size must be between 2 and 4000")
    if arguments.depth < 1:
        parser.error("--depth must be at least 1")
    return arguments


def built_modules() -> list[Any]:
    """The Lua modules of this lupa."""
    names = sorted(module.name for module in pkgutil.iter_modules(lupa.__path__))
    return [importlib.import_module(f"lupa.{name}") for name in names if re.fullmatch(r"lua(jit)?\d+", name)]


def measure(module: Any, size: int, depth: int) -> tuple[str, tuple[bytes, float], tuple[bytes, float]]:
    """The name of a Lua, and its image and the seconds that it took, with one thread and with two."""
    # Without an encoding, Lua strings are bytes.
    runtimes = [module.LuaRuntime(encoding=None) for _ in range(2)]
    draw = [runtime.execute(DRAW) for runtime in runtimes]
    parts: list[bytes] = [b"", b""]

    def draw_part(index: int, first: int, last: int) -> None:
        parts[index] = draw[index](size, depth, first, last)

    def one_thread() -> bytes:
        return bytes(draw[0](size, depth, 0, size))

    def two_threads() -> bytes:
        half = size // 2
        threads = [
            threading.Thread(target=draw_part, args=(0, 0, half)),
            threading.Thread(target=draw_part, args=(1, half, size)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return b"".join(parts)

    return runtimes[0].lua_implementation.decode(), best_of(one_thread), best_of(two_threads)


def best_of(draw: Callable[[], bytes]) -> tuple[bytes, float]:
    """The image, and the seconds of the fastest run."""
    seconds: list[float] = []
    while not seconds or (len(seconds) < 3 and sum(seconds) < ENOUGH):
        start = time.perf_counter()
        image = draw()
        seconds.append(time.perf_counter() - start)
    return image, min(seconds)


def greyscale_png(width: int, height: int, pixels: bytes) -> bytes:
    """A PNG file of these pixels, one byte each, row by row."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    # Eight bits a pixel, greyscale; each row follows a byte that says that it is not filtered.
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, width * height, width))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


if __name__ == "__main__":
    sys.exit(main())
