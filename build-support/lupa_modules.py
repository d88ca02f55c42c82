"""Compiles the extension modules, all in one cargo run.

The build backend uses this, and ``cargo xtask develop``, through the command line::

    python build-support/lupa_modules.py [--debug] [--into DIRECTORY] [BACKEND ...]

All builds of one Python share one environment, so that none makes cargo compile anew what another
has compiled.

``--manylinux 2_17`` makes modules that run with that glibc, whichever this machine has: zig, which
knows the symbols of each, compiles the C code and links. ``--abi3`` makes modules for all Pythons
from ``ABI3_FLOOR`` on.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lupa_target

ROOT = Path(__file__).resolve().parent.parent

LIBRARY_SUFFIXES = (".so", ".dylib", ".dll")

# The first Python whose stable ABI has what wrappers are made of: types that are called by vectorcall.
ABI3_FLOOR = (3, 12)

# The processors that a LuaJIT is known to work on, by how Rust's names of them begin.
JIT_PROCESSORS = {
    "luajit20": ("x86_64", "i586", "i686", "arm", "thumb"),
    "luajit21": ("x86_64", "i586", "i686", "aarch64", "arm", "thumb"),
}

# What builds for an older glibc.
ZIG_TOOLS = ["cargo-zigbuild>=0.24,<0.25", "ziglang>=0.17,<0.18"]


class BuildError(Exception):
    """What stopped the build, in words for the person who builds."""


@dataclass(frozen=True)
class Options:
    """How modules are built."""

    debug: bool = False
    abi3: bool = False
    # The oldest glibc, as 2_17.
    manylinux: str | None = None

    def __post_init__(self) -> None:
        if self.manylinux is not None:
            if not re.fullmatch(r"\d+_\d+", self.manylinux):
                raise BuildError(f"manylinux takes a version of glibc, as 2_17, not {self.manylinux!r}")
            if not sys.platform.startswith("linux"):
                raise BuildError("manylinux is for Linux only")


def cargo_metadata(arguments: list[str]) -> dict[str, Any]:
    """What cargo knows about the workspace."""
    command = [cargo(), "metadata", "--locked", "--format-version", "1", *arguments]
    finished = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)
    if finished.returncode != 0:
        raise BuildError("cargo cannot read the workspace; its message is above")
    metadata: dict[str, Any] = json.loads(finished.stdout)
    return metadata


def available_backends() -> dict[str, str]:
    """The workspace's backends: names of modules, and the cargo packages that make them."""
    prefix = "lupa_"
    return {
        package["links"][len(prefix) :]: package["name"]
        for package in cargo_metadata(["--no-deps"])["packages"]
        if (package["links"] or "").startswith(prefix)
    }


def chosen_backends(names: list[str]) -> dict[str, str]:
    """The backends of these names, or else those in ``LUPA_BACKENDS``, or else all that this machine can have."""
    available = available_backends()
    names = names or [name for name in os.environ.get("LUPA_BACKENDS", "").split(",") if name]
    for name in names:
        if name not in available:
            raise BuildError(f"there is no backend {name!r}, only {', '.join(available)}")
    if names:
        return {name: available[name] for name in names}
    machine = target()
    chosen = {}
    for name, package in available.items():
        problem = None if is_installed(name) else no_bundled_lua(name, machine)
        if problem is None:
            chosen[name] = package
        else:
            print(f"lupa.{name} is left out: {problem} (LUPA_BACKENDS chooses modules)", file=sys.stderr)
    return chosen


def no_bundled_lua(backend: str, machine: str) -> str | None:
    """Why the bundled Lua of a backend cannot be compiled for a machine, as Rust calls it; None if it can."""
    processor, _, system = machine.partition("-")
    processors = JIT_PROCESSORS.get(backend)
    if processors is None:
        return None
    if not processor.startswith(processors):
        return f"this LuaJIT is not known to work on {processor}"
    if backend == "luajit20" and "darwin" in system:
        return "this LuaJIT needs memory below 2 GiB, which macOS does not give"
    if backend == "luajit20" and "windows" in system:
        return "this LuaJIT has not been tried on Windows"
    return None


def _check_tools(backends: dict[str, str]) -> None:
    """Says what is missing before anything is compiled."""
    # As luajit.rs of lua-build has it.
    make = os.environ.get("MAKE") or "make"
    made = [name for name in backends if name in JIT_PROCESSORS and not is_installed(name)]
    if made and "msvc" not in target() and shutil.which(make) is None:
        rest = ",".join(name for name in backends if name not in made) or "lua54"
        raise BuildError(
            f"{make} is not on PATH; {' and '.join(made)} cannot be built without it "
            f"(LUPA_BACKENDS={rest} chooses modules that can)"
        )


def is_installed(backend: str) -> bool:
    """Whether the environment asks for an installed Lua, so that none is compiled for this backend."""
    name = backend.upper()
    # As lua-build has it: the closer variable decides, and a library is only ever asked for.
    if os.environ.get(f"LUPA_{name}_LIB", "0") not in ("", "0"):
        return True
    return (os.environ.get(f"LUPA_SYSTEM_{name}") or os.environ.get("LUPA_SYSTEM") or "0") != "0"


def build(backends: dict[str, str], options: Options) -> dict[str, Path]:
    """Builds these backends; the compiled library of each, in cargo's target folder."""
    if sys.implementation.name != "cpython":
        raise BuildError(f"lupa is for CPython; it has not been made to work with {sys.implementation.name}")
    _check_tools(backends)
    if options.manylinux is None:
        command = [cargo(), "build"]
    else:
        command = [_zigbuild(), "zigbuild", "--target", f"{target()}.{options.manylinux.replace('_', '.')}"]
    command += ["--locked", "--message-format=json-render-diagnostics"]
    if not options.debug:
        command.append("--release")
    if options.abi3:
        command += ["--features", f"pyo3/abi3-py{ABI3_FLOOR[0]}{ABI3_FLOOR[1]}"]
    for package in backends.values():
        command += ["--package", package]
    libraries: dict[str, Path] = {}
    # cargo's progress goes to standard error, which is ours; standard output has the JSON.
    with subprocess.Popen(command, cwd=ROOT, env=_environment(options), stdout=subprocess.PIPE) as run:
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


def extension_suffix() -> str:
    """How the names of modules for this Python alone end."""
    foreign = lupa_target.foreign()
    return lupa_target.extension_suffix(foreign) if foreign else str(sysconfig.get_config_var("EXT_SUFFIX"))


def file_name(backend: str, options: Options) -> str:
    """The name under which Python finds a backend's module."""
    if not options.abi3:
        return backend + extension_suffix()
    return backend + lupa_target.stable_suffix(target())


def place(libraries: dict[str, Path], directory: Path, options: Options) -> None:
    """Copies modules into a folder, each by a rename: a running Python keeps the file it has."""
    for name, library in libraries.items():
        target = directory / file_name(name, options)
        copy = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy(library, copy)
        os.replace(copy, target)


def lua_sources() -> Path:
    """The folder with the pinned sources of all Luas, which are fetched if they are not there."""
    given = os.environ.get("LUPA_VENDOR_DIR")
    if given:
        return Path(given)
    sources = ROOT / "vendor" / "sources"
    if not (sources / "lua-src").is_dir():
        # As `cargo xtask vendor` does it; the build script of lua-build finds them there, too.
        manifest = str(ROOT / "vendor" / "Cargo.toml")
        command = [cargo(), "vendor", "--locked", "--respect-source-config", "--manifest-path", manifest]
        if subprocess.run([*command, str(sources)], cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            raise BuildError("the sources of Lua cannot be fetched; cargo's message is above")
    return sources


def cargo() -> str:
    """The command that runs cargo."""
    command = os.environ.get("CARGO", "cargo")
    if shutil.which(command) is None:
        raise BuildError("cargo is not on PATH; https://rustup.rs installs Rust")
    return command


def rustc() -> str:
    """The command that runs the Rust compiler."""
    return os.environ.get("RUSTC", "rustc")


def target() -> str:
    """What Rust calls the machine that is built for."""
    if os.environ.get("CARGO_BUILD_TARGET"):
        return os.environ["CARGO_BUILD_TARGET"]
    answer = subprocess.run([rustc(), "-vV"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return next(line.partition(": ")[2] for line in answer.splitlines() if line.startswith("host:"))


def _zigbuild() -> str:
    # Of the environment that Python is in, whatever PATH says.
    name = shutil.which("cargo-zigbuild", path=sysconfig.get_path("scripts")) or shutil.which("cargo-zigbuild")
    if name is None or importlib.util.find_spec("ziglang") is None:
        raise BuildError(f"manylinux needs these packages: {', '.join(ZIG_TOOLS)}")
    return name


def _environment(options: Options) -> dict[str, str]:
    environment = {**os.environ, "PYO3_BUILD_EXTENSION_MODULE": "1"}
    if options.abi3:
        # Nothing of this Python goes in, which may be older than the floor.
        environment["PYO3_NO_PYTHON"] = "1"
    else:
        # A virtual environment's Python is its base's, for a build. With a signature given, pyo3
        # does not look at PATH, which differs in each isolated build.
        base = getattr(sys, "_base_executable", None) or sys.executable
        environment["PYO3_PYTHON"] = os.path.realpath(base)
        environment["PYO3_ENVIRONMENT_SIGNATURE"] = extension_suffix()
        if lupa_target.foreign():
            environment.setdefault("PYO3_CROSS_PYTHON_VERSION", lupa_target.python_version())
    if options.manylinux is not None:
        found = importlib.util.find_spec("ziglang")
        assert found is not None and found.origin is not None
        environment["CARGO_ZIGBUILD_ZIG_PATH"] = str(Path(found.origin).with_name("zig"))
        # Zig has an unwinder of its own, which does not know what glibc does.
        environment["LUPA_LIBGCC"] = "1"
    return environment


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile lupa's extension modules for this Python.")
    parser.add_argument("backends", nargs="*", metavar="BACKEND", help="as lua54; default: all")
    parser.add_argument("--debug", action="store_true", help="without optimisation")
    parser.add_argument("--abi3", action="store_true", help="for this and all later Pythons")
    parser.add_argument("--manylinux", metavar="GLIBC", help="for this glibc and later ones, as 2_17")
    parser.add_argument("--list", action="store_true", help="only print what would be compiled")
    parser.add_argument("--into", type=Path, metavar="DIRECTORY", help="copy the modules there")
    arguments = parser.parse_args()
    try:
        options = Options(arguments.debug, arguments.abi3, arguments.manylinux)
        chosen = chosen_backends(arguments.backends)
        if arguments.list:
            print("\n".join(chosen))
            return 0
        libraries = build(chosen, options)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.into is not None:
        place(libraries, arguments.into, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
