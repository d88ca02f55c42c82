"""What a module exports: its init function and the API of its Lua, whichever linker has made it.

``RUSTFLAGS="-C link-arg=-fuse-ld=bfd" cargo xtask develop`` is how to choose another linker.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the names are read from an ELF file"),
]

# Linkers define the last ones themselves; the functions that Rust has for Lua's C code have names of our own.
EXPECTED = re.compile(r"PyInit_\w+|(lua|luaL|luaopen|luaJIT)_(\w+|\*)|lupa_\w+|_init|_fini|_edata|_end|__bss_start")

# gold makes no thread-local variable local. They are bound to the module all the same (-Bsymbolic).
THREAD_LOCALS = re.compile(r"_(R|ZN)[\w$.]+")

# Some of them are called by nobody but binary modules.
API = {"lua_pushfstring", "lua_xmove", "lua_dump", "luaL_argerror", "luaL_error", "luaopen_base"}


@pytest.fixture
def exported(backend) -> set[str]:
    module = importlib.import_module(f"lupa.{backend}")
    if module._INSTALLED_LUA:
        pytest.skip("an installed Lua exports its own symbols")
    if not shutil.which("nm"):
        if os.environ.get("CI") == "true":
            pytest.fail("nm is needed")
        pytest.skip("nm is needed")
    command = ["nm", "--dynamic", "--defined-only", "--format=posix", module.__file__]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listing.splitlines()}


def test_the_api_is_exported(exported, backend):
    libraries = "luaL_openselectedlibs" if backend == "lua55" else "luaL_openlibs"
    assert exported >= API | {f"PyInit_{backend}", libraries}


def test_nothing_else_is_exported(exported, backend):
    others = {name for name in exported if not EXPECTED.fullmatch(name.partition("@")[0])}
    if b"gold 1." in Path(importlib.import_module(f"lupa.{backend}").__file__).read_bytes():
        others = {name for name in others if not THREAD_LOCALS.fullmatch(name)}
    assert others == set()
