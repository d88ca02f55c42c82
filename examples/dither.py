"""A photograph in eight colours: error diffusion (Floyd and Steinberg), by LuaJIT on a NumPy array.

Each pixel depends on those before it, so that NumPy cannot do this at once for all of them, and a
loop in Python takes minutes.  LuaJIT goes over the bytes where they are.  Without a file, the
picture is a landscape of twelve megapixels that the example makes up; with Pillow installed it
takes any picture.  The result is ``dither.png``.

    python examples/dither.py [PICTURE] [--output FOLDER]
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

# An array of rows, columns and three bytes (red, green, blue); each byte becomes 0 or 255. What that
# is off goes to the neighbours that come later. `python.zeros` makes the memory for what is due.
DITHER = """
local pixels = ...
local rows, columns = pixels.shape[1], pixels.shape[2]
local bytes = pixels.data                              -- uint8_t *
local due = python.zeros({2, 3 * (columns + 2)}, 'float32')
local this, following = due[1].data, due[2].data       -- float *; `due` keeps the memory alive

for y = 0, rows - 1 do
    local line = y * columns * 3
    for i = 0, columns * 3 - 1 do
        local wanted = bytes[line + i] + this[i + 3]
        local given = wanted < 128 and 0 or 255
        bytes[line + i] = given
        local off = (wanted - given) / 16
        this[i + 6] = this[i + 6] + off * 7
        following[i] = following[i] + off * 3
        following[i + 3] = following[i + 3] + off * 5
        following[i + 6] = following[i + 6] + off
    end
    this, following = following, this
    for i = 0, 3 * (columns + 2) - 1 do following[i] = 0 end
end
"""


def main() -> int:
    arguments = parse_arguments()
    pixels = read(arguments.picture) if arguments.picture else landscape(3000, 4000)
    rows, columns, _ = pixels.shape
    brightness = pixels.mean()

    lua = lupa.LuaRuntime(convert_arrays=True)
    dither = lua.compile(DITHER, name="=dither")
    start = time.perf_counter()
    dither(pixels)
    seconds = time.perf_counter() - start
    print(f"{lua.lua_implementation}: {columns} x {rows} pixels in {1e3 * seconds:.0f} ms")

    colours = len(np.unique(pixels.reshape(-1, 3)[::7], axis=0))
    print(f"{colours} colours; the mean brightness was {brightness:.2f} and is {pixels.mean():.2f}")
    if colours > 8 or abs(pixels.mean() - brightness) > 1:
        print("error: that is not what error diffusion does", file=sys.stderr)
        return 1
    path = Path(arguments.output, "dither.png")
    write_png(path, pixels)
    print(path)
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Reduce a picture to eight colours.")
    parser.add_argument("picture", nargs="?", help="a file that Pillow can read (a landscape that is made up)")
    parser.add_argument("--output", default=".", help="the folder for the picture (the current one)")
    return parser.parse_args()


def read(path: str) -> Any:
    """The pixels of a picture."""
    from PIL import Image

    return np.array(Image.open(path).convert("RGB"))


def landscape(rows: int, columns: int) -> Any:
    """Mountains in the evening, the far ones in haze."""
    chance = np.random.default_rng(5)
    y, x = np.mgrid[0 : 1 : rows * 1j, 0 : columns / rows : columns * 1j].astype("float32")
    distance = np.hypot(x - 0.95, y - 0.42)
    sky = np.stack([0.95 - 0.55 * (1 - y) ** 2, 0.45 + 0.35 * y, 0.35 + 0.3 * (1 - y)], -1)
    picture = sky + 0.6 * np.exp(-(distance[..., None] ** 2) / 0.05) * np.array([1, 0.75, 0.4])
    for number in range(6):
        outline = 0.5 + 0.09 * number
        for octave in range(1, 7):
            height = 0.09 / 2 ** (0.8 * octave)
            outline = outline + height * np.sin(2**octave * 2.1 * x[0] + chance.uniform(0, 7))
        near = (number + 1) / 6
        texture = 0.06 * near * chance.standard_normal((rows, columns)).astype("float32")
        colour = (1 - near) * np.array([0.75, 0.5, 0.5]) + near * np.array([0.05, 0.09, 0.07])
        mountain = colour + (texture + 0.25 * (y - outline) * (1 - near))[..., None]
        picture = np.where((y > outline)[..., None], mountain, picture)
    return (255 * np.clip(picture, 0, 1)).astype("uint8")


def write_png(path: Path, pixels: Any) -> None:
    """Writes an array of rows, columns and three bytes as a PNG."""
    rows, columns, _ = pixels.shape
    lines = np.concatenate([np.zeros((rows, 1), "uint8"), pixels.reshape(rows, -1)], 1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 1)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + image)


if __name__ == "__main__":
    sys.exit(main())
