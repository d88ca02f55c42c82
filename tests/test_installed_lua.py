"""Modules that were built for installed Luas: ``cargo xtask test --system``.  Others skip what is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BACKENDS, run_python

pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the dynamic linker is asked in Linux's way"),
]


def library_of(backend: str) -> Path | None:
    """The shared library with the Lua of a module; None if it has one of its own."""
    code = f"import lupa.{backend} as m; print(m.__file__) if m._INSTALLED_LUA else None"
    module = run_python(code).stdout.strip()
    if not module:
        return None
    for line in subprocess.run(["ldd", module], capture_output=True, text=True, check=True).stdout.splitlines():
        name, arrow, rest = line.strip().partition(" => ")
        if arrow and "lua" in name:
            return Path(rest.split(" (")[0]).with_name(name)
    raise AssertionError(f"{module} needs no library that is called Lua")


@pytest.fixture(scope="module")
def libraries() -> dict[str, Path]:
    """The libraries of all modules with an installed Lua."""
    found = {name: library_of(name) for name in BACKENDS}
    return {name: library for name, library in found.items() if library is not None}


def imported_with(library: Path, name: str, backend: str, folder: Path):
    """Import a module in a process that finds a copy of this library under another's name."""
    shutil.copy(library.resolve(), folder / name)
    return run_python(f"import lupa.{backend}", env={"LD_LIBRARY_PATH": str(folder)})


def test_everything_is_installed(libraries):
    """A run that was asked for installed Luas tests no bundled one by mistake."""
    asked = os.environ.get("LUPA_SYSTEM") == "1"
    if not asked and not libraries:
        pytest.skip("these modules have Luas of their own")
    assert set(libraries) == set(BACKENDS)


def test_the_right_library_in_another_place(backend, libraries, tmp_path):
    if backend not in libraries:
        pytest.skip("has a Lua of its own")
    own = libraries[backend]
    done = imported_with(own, own.name, backend, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("other", BACKENDS)
def test_another_library_is_refused(backend, other, libraries, tmp_path):
    """By the linker, if functions or versions of symbols are missing; else by the module, which asks the Lua."""
    if backend not in libraries or other not in libraries or backend == other:
        pytest.skip("needs two installed Luas")
    done = imported_with(libraries[other], libraries[backend].name, backend, tmp_path)
    assert done.returncode == 1, (done.returncode, done.stderr)
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ImportError: "), message
    reasons = ("undefined symbol: lua", "not found (required by ", "was built for an installed Lua")
    assert any(reason in message for reason in reasons), message


def test_luajit_is_refused_as_lua51(libraries, tmp_path):
    """LuaJIT has all functions of Lua 5.1, and says to be one."""
    if "lua51" not in libraries or "luajit21" not in libraries:
        pytest.skip("needs an installed Lua 5.1 and LuaJIT")
    done = imported_with(libraries["luajit21"], libraries["lua51"].name, "lua51", tmp_path)
    assert "built for an installed Lua 5.1, but the library that the system has loaded for it is LuaJIT" in done.stderr
    assert str(tmp_path / libraries["lua51"].name) in done.stderr
