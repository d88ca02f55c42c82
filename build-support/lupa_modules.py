"""Compiles the extension modules, all in one cargo run.

The build backend uses this, and ``cargo xtask develop``, through the command line::

    python build-support/lupa_modules.py [--debug] [--into DIRECTORY] [BACKEND ...]

All builds of one Python share one environment, so that none makes cargo compile anew what another
has compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")


class BuildError(Exception):
    """What stopped the build, in words for the person who builds."""


def available_backends() -> dict[str, str]:
    """The workspace's backends: names of modules, and the cargo packages that make them."""
    command = [cargo(), "metadata", "--locked", "--no-deps", "--format-version", "1"]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if finished.returncode != 0:
        raise BuildError("cargo cannot read the workspace; its message is above")
    prefix = "lupa_"
    return {
        package["links"][len(prefix) :]: package["name"]
        for package in json.loads(finished.stdout)["packages"]
        if (package["links"] or "").startswith(prefix)
    }


def chosen_backends(names: list[str]) -> dict[str, str]:
    """The backends of these names, or else those in ``LUPA_BACKENDS``, or else all."""
    available = available_backends()
    names = names or [name for name in os.environ.get("LUPA_BACKENDS", "").split(",") if name]
    for name in names:
        if name not in available:
            raise BuildError(f"there is no backend {name!r}, only {', '.join(available)}")
    return {name: available[name] for name in names or available}


def build(backends: dict[str, str], debug: bool = False) -> dict[str, Path]:
    """Builds these backends; the compiled library of each, in cargo's target folder."""
    command = [cargo(), "build", "--locked", "--message-format=json-render-diagnostics"]
    if not debug:
        command.append("--release")
    for package in backends.values():
        command += ["--package", package]
    libraries: dict[str, Path] = {}
    # cargo's progress goes to standard error, which is ours; standard output has the JSON.
    with subprocess.Popen(command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        for line in run.stdout:
            message = json.loads(line)
            if message["reason"] == "compiler-artifact" and "cdylib" in message["target"]["kind"]:
                for name in message["filenames"]:
                    if name.endswith(LIBRARY_SUFFIXES):
                        libraries[message["target"]["name"]] = Path(name)
    if run.returncode != 0:
        raise BuildError("cargo failed; its messages are above")
    missing = [name for name in backends if name not in libraries]
    if missing:
        raise BuildError(f"cargo named no library for {', '.join(missing)}")
    return {name: libraries[name] for name in backends}


def file_name(backend: str) -> str:
    """The name under which this Python finds a backend's module."""
    return f"{backend}{sysconfig.get_config_var('EXT_SUFFIX')}"


def place(libraries: dict[str, Path], directory: Path) -> None:
    """Copies modules into a folder, each by a rename: a running Python keeps the file it has."""
    for name, library in libraries.items():
        target = directory / file_name(name)
        copy = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy(library, copy)
        os.replace(copy, target)


def cargo() -> str:
    """The command that runs cargo."""
    command = os.environ.get("CARGO", "cargo")
    if shutil.which(command) is None:
        raise BuildError("cargo is not on PATH; https://rustup.rs installs Rust")
    return command


def _environment() -> dict[str, str]:
    # A virtual environment's Python is its base's, for a build. With a signature given, pyo3 does
    # not look at PATH, which differs in each isolated build.
    base = getattr(sys, "_base_executable", None) or sys.executable
    return {
        **os.environ,
        "PYO3_PYTHON": os.path.realpath(base),
        "PYO3_ENVIRONMENT_SIGNATURE": str(sysconfig.get_config_var("EXT_SUFFIX")),
        "PYO3_BUILD_EXTENSION_MODULE": "1",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile lupa's extension modules for this Python.")
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help="as lua54; default: all")
    parser.add_argument("--debug", action="store_true", help="without optimisation")
    parser.add_argument("--into", type=Path, metavar="DIRECTORY", help="copy the modules there")
    arguments = parser.parse_args()
    try:
        libraries = build(chosen_backends(arguments.backends), arguments.debug)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.into is not None:
        place(libraries, arguments.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
