"""The tests under pytest-run-parallel, which runs each test in several threads at once.

That plugin gives one set of fixtures to all threads. Tests of one runtime are not written to share it (what is shared
on purpose is in ``test_threads.py`` and ``test_threads_stress.py``), so here each thread gets fixtures of its own:
several runtimes work at the same time, with the types, caches and objects of Python that they have in common.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from typing import Any

import pytest

# Why some tests run once, in one thread.
OWN_PROCESS = "it starts a process, which has threads of its own"
OWN_THREADS = "it starts threads itself"
WHOLE_PROCESS = "it looks at, or changes, what the process has once: its modules, its memory, what is alive"

PROCESSES = {"isolated", "hostile", "with_interpreters"}
ONE_CLASS = "it notes in a class, which all threads have in common, what is done to its objects"
SERIAL_FILES = {
    "test_binary_modules": OWN_PROCESS,
    "test_cli": OWN_PROCESS,
    "test_fuzz": OWN_PROCESS,
    "test_threads": OWN_THREADS,
    "test_threads_stress": OWN_THREADS,
    "test_import": WHOLE_PROCESS,
    "test_docs": WHOLE_PROCESS,
    "test_sandbox_opaque": ONE_CLASS,
}


def reason_to_be_alone(item: pytest.Function) -> str | None:
    """Why a test must not run in several threads at once, if so."""
    if PROCESSES & set(item.fixturenames):
        return OWN_PROCESS
    return SERIAL_FILES.get(item.path.stem)


def fixtures_of_thread(item: pytest.Function, given: dict[str, Any]) -> dict[str, Any]:
    """The fixtures of a test, those for one function made anew."""
    definitions = item._fixtureinfo.name2fixturedefs
    made: dict[str, Any] = {}

    def value(name: str) -> Any:
        if name not in made:
            made[name] = fresh(name)
        return made[name]

    def fresh(name: str) -> Any:
        definition = definitions.get(name, [None])[-1]
        known = given[name] if name in given else item.funcargs.get(name)
        if definition is None or definition.scope != "function" or "request" in definition.argnames:
            return known
        # The plugin sees to those of pytest itself, such as tmp_path.
        if definition.func.__module__.startswith("_pytest") or inspect.isgeneratorfunction(definition.func):
            return known
        return definition.func(**{argument: value(argument) for argument in definition.argnames})

    return {name: value(name) for name in given}


def with_own_fixtures(item: pytest.Function) -> Any:
    """The function of a test, made to get fixtures of its own in each thread but the main one."""
    test = item.obj
    here, main, renewed = threading.current_thread, threading.main_thread(), fixtures_of_thread

    def run(**given: Any) -> None:
        test(**(given if here() is main else renewed(item, given)))

    # With the test's globals, in which the plugin looks for what is not safe in threads.
    function = types.FunctionType(run.__code__, test.__globals__, run.__name__, run.__defaults__, run.__closure__)
    return functools.update_wrapper(function, test)


def prepare(item: pytest.Function) -> None:
    """Make a test ready for pytest-run-parallel."""
    reason = reason_to_be_alone(item)
    if reason:
        item.add_marker(pytest.mark.thread_unsafe(reason=reason))
    else:
        item.obj = with_own_fixtures(item)
