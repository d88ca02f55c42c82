"""The build backend (PEP 517, PEP 660): one wheel with a module for every Lua.

One cargo run compiles all modules, and a wheel is those, the files of ``python/lupa``, the metadata
and the licences of all that is in it. Only an editable installation puts modules beside the sources.

It needs nothing but cargo, a C compiler and ``make``, so that a machine without network can use it.

``LUPA_BACKENDS=lua54,luajit21`` limits what is built. Settings (``pip install -C abi3=1``):

``abi3``
    one wheel for all Pythons from ``lupa_modules.ABI3_FLOOR`` on, by the stable ABI
``manylinux``
    a wheel for this glibc and all later ones, as ``2_17``; built with zig, which the front end installs
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lupa_licenses
import lupa_metadata
import lupa_modules
import lupa_sdist
from lupa_modules import Options
from lupa_wheel import WheelWriter

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

PACKAGE = lupa_modules.ROOT / "python" / "lupa"

Settings = dict[str, Any]


def get_requires_for_build_wheel(config_settings: Settings | None = None) -> list[str]:
    """What is needed besides the build system's requirements."""
    with _messages():
        return lupa_modules.ZIG_TOOLS if _options(config_settings).manylinux else []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Settings | None = None) -> str:
    """Writes the dist-info folder; its name."""
    with _messages():
        options = _options(config_settings)
        return _dist_info(metadata_directory, lupa_metadata.tags(options)).name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory: str, config_settings: Settings | None = None) -> str:
    """Writes the sdist, with the sources of each Lua and of all Rust crates; its name."""
    with _messages():
        _options(config_settings)
        return lupa_sdist.write(Path(sdist_directory)).name


def build_wheel(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Writes the wheel; its name."""
    with _messages():
        options = _options(config_settings)
        libraries = lupa_modules.build(lupa_modules.chosen_backends([]), options)
        left_out = {f"{name}.pyi" for name in lupa_modules.available_backends() if name not in libraries}
        # An editable installation leaves its modules here.
        binary = (*lupa_modules.LIBRARY_SUFFIXES, ".pyd", ".pyc")
        with _wheel(wheel_directory, options) as wheel:
            for file in sorted(PACKAGE.rglob("*")):
                hidden = file.name.startswith(".") or file.name in left_out
                if file.is_file() and file.suffix not in binary and not hidden:
                    wheel.add_file(file, file.relative_to(PACKAGE.parent))
            for name, library in libraries.items():
                path = Path(PACKAGE.name, lupa_modules.file_name(name, options))
                wheel.add_file(library, path, executable=True)
    return wheel.path.name


def build_editable(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Puts the modules beside the sources, and writes a wheel that points there; its name."""
    with _messages():
        options = _options(config_settings)
        lupa_modules.place(lupa_modules.build(lupa_modules.chosen_backends([]), options), PACKAGE, options)
        with _wheel(wheel_directory, options) as wheel:
            wheel.add("lupa.pth", f"{PACKAGE.parent}\n".encode())
    return wheel.path.name


def _options(settings: Settings | None) -> Options:
    settings = dict(settings or {})
    abi3 = str(settings.pop("abi3", "")).lower() in ("1", "true", "yes")
    manylinux = settings.pop("manylinux", None)
    if settings:
        raise lupa_modules.BuildError(f"there is no setting {', '.join(settings)}, only abi3 and manylinux")
    return Options(abi3=abi3, manylinux=manylinux)


def _dist_info(directory: str, tags: list[str]) -> Path:
    licenses = lupa_licenses.collect(lupa_modules.chosen_backends([]))
    return lupa_metadata.write_dist_info(Path(directory), tags, licenses)


@contextmanager
def _wheel(directory: str, options: Options) -> Iterator[WheelWriter]:
    # The metadata is made anew even if the front end hands over what it has: cheap, and never old.
    with tempfile.TemporaryDirectory() as scratch:
        tags = lupa_metadata.tags(options)
        dist_info = _dist_info(scratch, tags)
        with WheelWriter(Path(directory, lupa_metadata.wheel_name(tags)), dist_info) as wheel:
            yield wheel


@contextmanager
def _messages() -> Iterator[None]:
    """What stopped the build is a message, not a traceback."""
    try:
        yield
    except lupa_modules.BuildError as error:
        sys.exit(f"error: {error}")
