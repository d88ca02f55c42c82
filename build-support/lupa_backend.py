"""The build backend (PEP 517, PEP 660): one wheel with a module for every Lua.

maturin writes the metadata and the sdist. The wheels are made here, as maturin builds one module a
wheel: one cargo run compiles all modules, and a wheel is those, the files of ``python/lupa`` and
the metadata. Only an editable installation puts modules beside the sources.

``LUPA_BACKENDS=lua54,luajit21`` limits what is built.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lupa_modules
import maturin
from lupa_wheel import WheelWriter, wheel_name

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

PACKAGE = lupa_modules.ROOT / "python" / "lupa"

Settings = dict[str, Any]


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings | None = None) -> str:
    """Writes the dist-info folder; its name."""
    _find_tools()
    return str(maturin.prepare_metadata_for_build_wheel(metadata_directory, config_settings))


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    """Writes the sdist: all files that git tracks."""
    _find_tools()
    return str(maturin.build_sdist(sdist_directory, config_settings))


def build_wheel(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Writes the wheel; its name."""
    libraries = _build_modules()
    available = lupa_modules.available_backends()
    left_out = {f"{name}.pyi" for name in available if name not in libraries}
    # An editable installation leaves its modules here.
    binary = (*lupa_modules.LIBRARY_SUFFIXES, ".pyd", ".pyc")
    with _wheel(wheel_directory, config_settings) as wheel:
        for file in sorted(PACKAGE.rglob("*")):
            hidden = file.name.startswith(".") or file.name in left_out
            if file.is_file() and file.suffix not in binary and not hidden:
                wheel.add_file(file, file.relative_to(PACKAGE.parent))
        for name, library in libraries.items():
            path = Path(PACKAGE.name, lupa_modules.file_name(name))
            wheel.add_file(library, path, executable=True)
    return wheel.path.name


def build_editable(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Puts the modules beside the sources, and writes a wheel that points there; its name."""
    lupa_modules.place(_build_modules(), PACKAGE)
    with _wheel(wheel_directory, config_settings) as wheel:
        wheel.add("lupa.pth", f"{PACKAGE.parent}\n".encode())
    return wheel.path.name


def _build_modules() -> dict[str, Path]:
    try:
        return lupa_modules.build(lupa_modules.chosen_backends([]))
    except lupa_modules.BuildError as error:
        sys.exit(f"error: {error}")


@contextmanager
def _wheel(directory: str, settings: Settings | None) -> Iterator[WheelWriter]:
    # The metadata is made anew even if the front end hands over what it has: cheap, and never old.
    with tempfile.TemporaryDirectory() as scratch:
        dist_info = Path(scratch, prepare_metadata_for_build_wheel(scratch, settings))
        with WheelWriter(Path(directory, wheel_name(dist_info)), dist_info) as wheel:
            yield wheel


def _find_tools() -> None:
    try:
        lupa_modules.cargo()
    except lupa_modules.BuildError as error:
        sys.exit(f"error: {error}")
    # Without build isolation, maturin's command may be only beside Python.
    scripts = sysconfig.get_path("scripts")
    path = os.environ.get("PATH", "")
    if scripts not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([path, scripts])
