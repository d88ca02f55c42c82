"""A published Lua library at work on a real text, on every Lua that is there.

The library is Penlight, in pure Lua, as Debian packages it (``lua-penlight``). The text is the
manual that comes with Python (``pydoc_data.topics``). Lua counts and ranks its words and makes a
report (``wordcount.lua``); the counts are compared with those of Python.

    python examples/wordcount.py [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import collections
import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import lupa

EXAMPLES = Path(__file__).resolve().parent
PACKAGE = "lua-penlight"


class Result(NamedTuple):
    """What one Lua has found."""

    implementation: str
    counts: dict[str, int]
    words: int
    ranking: list[tuple[str, int]]
    report: str
    seconds: float


class TooNewError(Exception):
    """A Lua that cannot compile this Penlight."""


class DemoError(Exception):
    """What stopped the example, in words for the person who runs it."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Count the words of Python's manual with Penlight, on every Lua.")
    default = EXAMPLES.parent / "target" / "demo"
    parser.add_argument("--cache", type=Path, default=default, help="where Penlight is kept (default: target/demo)")
    arguments = parser.parse_args()
    try:
        library = penlight(arguments.cache.resolve())
        results, refusals = [], []
        for module in built_modules():
            try:
                results.append(count_words(module, library))
            except TooNewError as error:
                refusals.append(str(error))
        if not results:
            raise DemoError("no Lua was built that can run Penlight")
        compare(results, refusals)
    except DemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def penlight(cache: Path) -> Path:
    """The folder with Penlight's modules, fetched and unpacked if it is not there."""
    library = cache / PACKAGE / "usr/share/lua/5.1"
    if (library / "pl/init.lua").is_file():
        return library
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise DemoError(f"this example takes Penlight from Debian's {PACKAGE}, and there is no {tool} here")
    cache.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["apt-get", "download", PACKAGE], cwd=cache, check=False).returncode != 0:
        # A machine without package lists, as many containers are: fetch some, into the cache.
        print("Fetching the lists of packages first.", flush=True)
        lists = cache / "lists"
        (lists / "partial").mkdir(parents=True, exist_ok=True)
        own_lists = ["-o", f"Dir::State::Lists={lists}"]
        for command in ("update", "download " + PACKAGE):
            run(["apt-get", *own_lists, *command.split()], cache)
    archives = sorted(cache.glob(f"{PACKAGE}_*.deb"))
    run(["dpkg", "-x", archives[-1].name, f"{PACKAGE}.part"], cache)
    (cache / f"{PACKAGE}.part").rename(cache / PACKAGE)
    return library


def run(command: list[str], folder: Path) -> None:
    """Runs a command; an error if it fails."""
    if subprocess.run(command, cwd=folder, check=False).returncode != 0:
        raise DemoError(f"{' '.join(command)} failed; its messages are above")


def built_modules() -> list[Any]:
    """The Lua modules of this lupa."""
    names = sorted(module.name for module in pkgutil.iter_modules(lupa.__path__))
    return [importlib.import_module(f"lupa.{name}") for name in names if re.fullmatch(r"lua(jit)?\d+", name)]


def count_words(module: Any, library: Path) -> Result:
    """Counts the words of Python's manual with one Lua."""
    runtime = module.LuaRuntime()
    folders = (library / "?.lua", library / "?/init.lua", EXAMPLES / "?.lua")
    runtime.globals().package.path = ";".join(map(str, folders))
    try:
        wordcount = runtime.eval("(require 'wordcount')")
    except module.LuaError as error:
        # Lua 5.5 made loop variables constant; Penlight up to 1.13 assigns to some.
        if module.LUA_VERSION < (5, 5) or "assign to const variable" not in str(error):
            raise
        message = "not run: this Penlight assigns to loop variables, which are constant here"
        raise TooNewError(f"{runtime.lua_implementation:<20} {message}") from error
    start = time.perf_counter()
    counts, words, ranking, report = wordcount("The words of Python's manual", topics.items())
    seconds = time.perf_counter() - start
    ranked = [(entry.word, entry.count) for entry in ranking.values()]
    return Result(runtime.lua_implementation, dict(counts), words, ranked, report, seconds)


def compare(results: list[Result], refusals: list[str]) -> None:
    """Prints what was found, and who could not look; an error if Python finds something else."""
    counter = collections.Counter(re.findall("[a-z]+", "\n".join(topics.values()).lower()))
    ranking = sorted(counter.items(), key=lambda item: (-item[1], item[0]))

    print(results[0].report)
    print(f"{'implementation':<20} {'words':>7} {'distinct':>8} {'seconds':>8}  top five")
    for result in results:
        top = ", ".join(f"{word} {count}" for word, count in result.ranking[:5])
        print(f"{result.implementation:<20} {result.words:>7} {len(result.counts):>8} {result.seconds:>8.2f}  {top}")
    for refusal in refusals:
        print(refusal)
    for result in results:
        if result.counts != counter or result.words != counter.total() or result.ranking != ranking:
            raise DemoError(f"{result.implementation} has counted other words than Python")
        if result.report != results[0].report:
            raise DemoError(f"{result.implementation} has written another report than {results[0].implementation}")
    total, distinct = counter.total(), len(counter)
    print(f"\nAll that ran found what collections.Counter finds: {total} words, {distinct} distinct.")


if __name__ == "__main__":
    sys.exit(main())
