"""Runs rows of one module in this process and prints what they took, a line of JSON for each.

    python benches/measure.py lupa.lua54 [--only REGEX] [--quick]

Each row is prepared, run once, and then timed again and again for a while, a millisecond or more a sample, with
Python's collector off.  A row's line has its unit, its samples (nanoseconds for one operation), their minimum, median
and spread, and what one run returned.  The first line says what is measured.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from rows import Bench, Row, Work, all_rows

SHORTEST = 1_000_000
"""Nanoseconds that a sample takes at least: the clock costs some dozens."""

BUDGET = 250_000_000
"""Nanoseconds for all samples of a row."""

FEWEST, MOST = 5, 60
"""Limits for the number of samples."""


def elapsed(run: Callable[[], Any], count: int) -> int:
    """The nanoseconds that so many runs take."""
    clock = time.perf_counter_ns
    begin = clock()
    for _ in range(count):
        run()
    return clock() - begin


def timed(work: Work, quick: bool) -> list[float]:
    """Samples: nanoseconds for one operation."""
    budget = BUDGET // (5 if quick else 1)
    gc.collect()
    gc.disable()
    try:
        count, took = 1, elapsed(work.run, 1)
        while took < SHORTEST:
            count *= 2
            took = elapsed(work.run, count)
        number = max(FEWEST, min(MOST, budget // took))
        return [elapsed(work.run, count) / (count * work.operations) for _ in range(number)]
    finally:
        gc.enable()


def spread(samples: list[float]) -> float:
    """The distance between the quartiles, as a part of the median."""
    if len(samples) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(samples, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0


def summary(samples: list[float]) -> dict[str, float]:
    """What tables show of samples."""
    return {"min": min(samples), "median": statistics.median(samples), "spread": spread(samples)}


def measured(row: Row, module: str, quick: bool) -> dict[str, Any]:
    """The result of a row; what keeps it from being run is its ``error``."""
    try:
        bench = Bench(module, importlib.import_module(module), quick)
        prepared = row.prepare(bench)
        if isinstance(prepared, Work):
            returned = repr_of(prepared.run())
            samples, unit = timed(prepared, quick), "ns"
        else:
            returned, samples, unit = "", prepared.values, prepared.unit
    except Exception as error:  # noqa: BLE001 - any kind is a result here
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    return {"unit": unit, **summary(samples), "samples": samples, "returned": returned}


def repr_of(value: Any) -> str:
    """A value as the other install would show it too: of objects only the type."""
    return repr(value) if isinstance(value, (bool, int, float, str, bytes, tuple, list, type(None))) else "object"


def alone(row: Row, arguments: argparse.Namespace) -> dict[str, Any]:
    """The result of a row in a process of its own."""
    only = f"^{re.escape(row.name)}$"
    command = [sys.executable, __file__, arguments.module, "--only", only, "--here"]
    if arguments.quick:
        command.append("--quick")
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        last = finished.stderr.strip().splitlines()[-1:] or ["no message"]
        return {"error": f"exit code {finished.returncode}: {last[0]}"}
    result: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return result


def identity(name: str) -> dict[str, Any]:
    """What is measured here."""
    module = importlib.import_module(name)
    package = importlib.import_module(name.partition(".")[0])
    return {
        "version": getattr(package, "__version__", ""),
        "size": os.stat(module.__file__ or "").st_size,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure one module of the installed lupa.")
    parser.add_argument("module", help="as lupa.lua54")
    parser.add_argument("--only", type=re.compile, metavar="REGEX", help="rows whose name this finds")
    parser.add_argument("--quick", action="store_true", help="fewer samples, and not the slowest rows")
    parser.add_argument("--after", metavar="ROW", help="only rows that come after this one")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = [row for row in all_rows() if not (row.slow and arguments.quick)]
    if arguments.only is not None:
        chosen = [row for row in chosen if arguments.only.search(row.name)]
    if arguments.after is not None:
        names = [row.name for row in chosen]
        chosen = chosen[names.index(arguments.after) + 1 :]
    if arguments.list:
        print(*(row.name for row in chosen), sep="\n")
        return
    print(json.dumps(identity(arguments.module)), flush=True)
    for row in chosen:
        if row.alone and not arguments.here:
            result = alone(row, arguments)
        else:
            result = measured(row, arguments.module, arguments.quick)
        print(json.dumps({"row": row.name, **result}), flush=True)


if __name__ == "__main__":
    main()
