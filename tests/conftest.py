"""Fixtures that run each test on every built Lua, and helpers to run code in a process of its own.

``LUPA_TEST_BACKENDS=lua54,luajit21`` restricts a run to these; each of them has to be there.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import run_parallel

KNOWN_BACKENDS = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
SECONDS_PER_PROCESS = 300
# Whether other threads run Python code at the same time as this one.
FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

# A shell has what it starts in the background ignore it, and so would all processes of the tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def find_backends() -> list[str]:
    """The modules to test: those asked for in the environment, or all that can be imported."""
    wanted = os.environ.get("LUPA_TEST_BACKENDS")
    if wanted:
        names = wanted.replace(",", " ").split()
        for name in names:
            importlib.import_module(f"lupa.{name}")
        return names
    found = []
    for name in KNOWN_BACKENDS:
        try:
            importlib.import_module(f"lupa.{name}")
        except ModuleNotFoundError:
            continue
        found.append(name)
    if not found:
        raise pytest.UsageError("no module of lupa can be imported: is the package installed here?")
    return found


BACKENDS = find_backends()


def pytest_configure(config):
    """Register our marker."""
    config.addinivalue_line("markers", "beyond: lupa 2.8 fails this; `-m 'not beyond'` passes there")


def pytest_collection_modifyitems(config, items):
    """Make tests ready for pytest-run-parallel, where that is asked for."""
    if config.pluginmanager.hasplugin("_run-parallel") and config.getoption("parallel_threads") != 1:
        for item in items:
            run_parallel.prepare(item)


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request) -> str:
    """The name of the module under test, for example ``lua54``."""
    return request.param


@pytest.fixture(scope="session")
def lupa(backend):
    """The module under test, for example ``lupa.lua54``."""
    return importlib.import_module(f"lupa.{backend}")


@pytest.fixture
def lua(lupa):
    """A fresh runtime."""
    return lupa.LuaRuntime()


@pytest.fixture
def box(lupa):
    """A runtime with a sandbox."""
    return lupa.LuaRuntime(sandbox=True)


@pytest.fixture
def refused(lupa):
    """``refused(function, text)``: the function raises the error of the sandbox, with that text in it."""

    def check(function, text="^Lua code may not"):
        with pytest.raises(lupa.LuaSandboxError, match=text) as caught:
            function()
        assert isinstance(caught.value, lupa.LuaError)
        assert isinstance(caught.value, PermissionError)

    return check


@pytest.fixture(scope="session")
def is_luajit(backend) -> bool:
    """Whether the backend is a LuaJIT."""
    return backend.startswith("luajit")


@pytest.fixture(scope="session")
def has_integers(lupa) -> bool:
    """Whether this Lua tells integers from floats (5.3 and later)."""
    return lupa.LUA_VERSION >= (5, 3)


def run_python(code: str, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a piece of Python in a new interpreter and return how it ended."""
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS_PER_PROCESS,
        env={**os.environ, **(env or {})},
        check=False,
    )


def run_isolated(backend: str, code: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run code with ``lupa``, ``lua`` and ``gc`` in a new interpreter; it has to end well.  Returns its output."""
    preamble = f"import gc\nimport lupa.{backend} as lupa\nlua = lupa.LuaRuntime()\n"
    done = run_python(preamble + textwrap.dedent(code), *arguments, env=env)
    assert done.returncode == 0, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "panicked at" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture
def isolated(backend):
    """``isolated(code)`` runs code on this backend in a process of its own and returns what it printed."""

    def run(code: str, *arguments: str, env: dict[str, str] | None = None) -> str:
        return run_isolated(backend, code, *arguments, env=env)

    return run


# What hostile snippets use: it swallows every exception that is allowed, and checks that the runtime works on.
HOSTILE_PRELUDE = """
import copy, pickle, sys, threading

class Thing:
    x = 1
    def method(self, *args): return args

def attempt(*functions, check=True, allowed=(lupa.LuaError, TypeError, ValueError, AttributeError, KeyError, IndexError,
                                  MemoryError, RecursionError, OverflowError, ReferenceError, StopIteration)):
    outcomes = []
    for function in functions:
        try:
            outcomes.append(function())
        except allowed as error:
            outcomes.append(error)
    assert not check or lua.eval("1 + 1") == 2
    return outcomes

def fails(function, kind=lupa.LuaError):
    (outcome,) = attempt(function)
    assert isinstance(outcome, kind), outcome
    return outcome
"""


@pytest.fixture
def hostile(isolated):
    """Like ``isolated``, with ``attempt`` and ``fails`` at hand: nothing that is attempted may crash."""

    def run(code: str) -> str:
        return isolated(HOSTILE_PRELUDE + textwrap.dedent(code))

    return run


def still_works(lua):
    """Whether a runtime is as good as new."""
    return lua.eval("(function(...) local s = 0 for i = 1, 100 do s = s + i end return s end)()") == 5050
