"""Compiles the floor for the Python that runs this (3.10 or newer), if that has to be done.

    python benches/floor/build.py DIRECTORY

It is compiled together with Lua 5.4, from the sources that the modules are made of, and with the same optimisation: the
flags are those of ``crates/lua-build/src/puc.rs``.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FLAGS = ["-O3", "-fPIC", "-fno-math-errno", "-fno-plt", "-DNDEBUG", "-DLUA_USE_POSIX", "-DLUA_USE_DLOPEN"]
PROGRAMS = ("lua.c", "luac.c")


def lua_sources() -> Path:
    """The folder of Lua 5.4, which building any of the modules has fetched."""
    vendor = Path(os.environ.get("LUPA_VENDOR_DIR", ROOT / "vendor/sources"))
    found = sorted(vendor.glob("lua-src/lua-5.4.*"))
    if not found:
        sys.exit(f"error: no sources of Lua 5.4 in {vendor}; `cargo xtask vendor` fetches them")
    return found[-1]


def build(directory: Path) -> None:
    """Compiles it into this folder."""
    lua = lua_sources()
    module = directory / f"floor{sysconfig.get_config_var('EXT_SUFFIX')}"
    sources = [HERE / "floor.c", *(file for file in sorted(lua.glob("*.c")) if file.name not in PROGRAMS)]
    newest = max(file.stat().st_mtime for file in (*sources, Path(__file__)))
    if module.exists() and module.stat().st_mtime > newest:
        return
    directory.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(os.environ.get("CC", "cc"))
    include = [f"-I{sysconfig.get_path('include')}", f"-I{lua}"]
    link = ["-shared", *(["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-Wl,-Bsymbolic"])]
    command = [*compiler, *FLAGS, *include, *link, "-o", str(module), *map(str, sources), "-lm"]
    print("compiling the floor", file=sys.stderr)
    subprocess.run(command, check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build(Path(sys.argv[1]))
