"""A process that runs programs: ``child.py MODULE FIRST COUNT PROGRESS``.

It notes in the file PROGRESS where it is, as two numbers: a program's seed, and a statement's index.  With
``--list`` it only prints the programs, as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import random
import sys
from contextlib import suppress
from types import ModuleType

import world
from operations import Generator

# Ways to go down, for the tests of the runner.
PLANTS = {
    "segfault": "__import__('ctypes').string_at(0)",
    "abort": "__import__('os').abort()",
    "exit": "__import__('os')._exit(0)",
    "deadlock": "[__import__('_thread').allocate_lock()] * 2 and (lambda k: (k.acquire(), k.acquire()))"
    "(__import__('_thread').allocate_lock())",
    "SystemError": "throw(SystemError('planted'))",
    "leak": "__import__('ctypes').pythonapi.Py_IncRef(__import__('ctypes').py_object(Canary()))",
    "panic": "__import__('os').write(2, b'thread main panicked at planted\\n')",
}

LIBRARY_FUNCTIONS = """
    local found = {}
    for name, value in pairs(_G) do
        if type(value) == "function" then found[#found + 1] = name end
        if type(value) == "table" and name ~= "_G" then
            for inner, member in pairs(value) do
                if type(member) == "function" then found[#found + 1] = name .. "." .. inner end
            end
        end
    end
    return table.concat(found, " ")
"""


def features(lupa: ModuleType) -> set[str]:
    """What conditions in the grammar can ask for, apart from functions of Lua's library."""
    found = {f"lupa.{name}" for name in dir(lupa)}
    found |= {f"LuaRuntime.{name}" for name in dir(lupa.LuaRuntime)}
    with suppress(ValueError):  # lupa 2.8 does not say
        found |= {f"LuaRuntime({name})" for name in inspect.signature(lupa.LuaRuntime).parameters}
    lua = lupa.LuaRuntime()
    is_jit = lua.eval("type(jit) == 'table'")
    conditions = {
        "jit": is_jit,
        "goto": is_jit or lupa.LUA_VERSION >= (5, 2),
        "close": lupa.LUA_VERSION >= (5, 4),
        "string.buffer": lua.eval("(pcall(require, 'string.buffer'))"),
    }
    return found | {name for name, holds in conditions.items() if holds}


def generator(module: str) -> Generator:
    """The generator for a module."""
    lupa = importlib.import_module(f"lupa.{module}")
    functions = lupa.LuaRuntime().execute(LIBRARY_FUNCTIONS).split()
    return Generator(features(lupa), functions)


def programs(module: str, first: int, count: int, plant: str | None) -> list[tuple[int, list[str]]]:
    """Each program with its seed.  The last one of a process ends without its clean-up: at exit all is still there."""
    source = generator(module)
    made = []
    for seed in range(first, first + count):
        rng = random.Random(seed)
        statements = source.program(rng.randrange)
        if plant:
            statements.insert(rng.randrange(len(statements)), PLANTS[plant])
        if seed + 1 < first + count:
            statements.append(f"finish({rng.randrange(1000)})")
        made.append((seed, statements))
    return made


def main() -> None:
    """Run or list programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("progress", nargs="?")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--plant", choices=PLANTS)
    options = parser.parse_args()
    made = programs(options.module, options.first, options.count, options.plant)
    if options.list:
        json.dump([statements for _, statements in made], sys.stdout)
        return
    progress = os.open(options.progress, os.O_WRONLY)
    here = world.start(options.module)
    for seed, statements in made:
        for index, statement in enumerate(statements):
            os.pwrite(progress, b"%20d %8d" % (seed, index), 0)
            here.run(statement)
        check_output()
    os.pwrite(progress, b"%20d %8d" % (-1, 0), 0)
    here.end()


def check_output() -> None:
    """End the process if a panic was reported, even if the exception for it was lost on the way."""
    end = os.fstat(2).st_size
    text = os.pread(2, end, 0) if end else b""
    if b"panicked at" in text or b"this is a bug in lupa" in text:
        world.report("a panic")


if __name__ == "__main__":
    main()
