"""Measures two installs of lupa in turn and compares them.

    python benches/compare.py OURS_PYTHON UPSTREAM_PYTHON [--modules lua54,luajit21] [--rounds 3] [--only REGEX]
                              [--quick] [--floor] [--json FILE] [--chart FILE]

Both Pythons run ``measure.py``, one after the other, as many rounds as asked for.  A row's samples of all rounds are
put together.  The table has the fastest sample of each side, the ratio of these and that of the medians (above 1, ours
is faster), and how far the quartiles of each side's samples are apart.  The exit code says nothing about speed: it is
1 if ours cannot run a row that upstream can, or if results differ.

``--floor`` also builds and measures a bare extension module (``floor/``) and mlua (``peer/``), for Lua 5.4.
``--chart`` needs matplotlib in the Python that runs this.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import summary
from report import floor_table, geometric_mean, problems, rows_of, table

HERE = Path(__file__).resolve().parent
MODULES = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
FLOOR_MODULE = "lua54"
FLOOR_ROWS = r"^(call\.(noargs|int|str|3mixed)|callback\.int|table\.getitem_(int|str))$"

Rows = dict[str, dict[str, Any]]


class BenchError(Exception):
    """What keeps a comparison from being made, in words for the person who wants it."""


class Measured:
    """What one side has measured of one module, in all rounds so far."""

    def __init__(self, command: list[str], module: str, options: list[str], path: Path | None = None) -> None:
        self.command = [*command, str(HERE / "measure.py"), module, *options]
        self.environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
        self.identity: dict[str, Any] = {}
        self.rows: Rows = {}

    def measure(self) -> None:
        """One more round."""
        names = self.run("--list").stdout.split()
        last: str | None = None
        while last != names[-1]:
            finished = self.run(*(["--after", last] if last else []))
            lines = [json.loads(line) for line in finished.stdout.splitlines()]
            if not lines:
                raise BenchError(f"{' '.join(self.command)} measures nothing:\n{finished.stderr}")
            self.identity = lines[0]
            for result in lines[1:]:
                last = result.pop("row")
                self.add(last, result)
            if finished.returncode == 0:
                return
            # The row that was being measured took the process down. Go on behind it.
            last = names[names.index(last) + 1 if last else 0]
            self.add(last, {"error": f"the process ended with {finished.returncode}"})

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Runs the measuring program, away from the sources, so that it sees what is installed."""
        command = [*self.command, *options]
        folder = tempfile.gettempdir()
        return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=self.environment, check=False)

    def add(self, name: str, result: dict[str, Any]) -> None:
        """Puts a round's samples to the others; an error stays."""
        known = self.rows.setdefault(name, {"samples": []})
        if "error" in result or "error" in known:
            self.rows[name] = {"error": known.get("error") or result.get("error")}
            return
        samples = known["samples"] + result["samples"]
        self.rows[name] = {**result, **summary(samples), "samples": samples}


class Peer:
    """What mlua takes, without Python; see ``peer/``."""

    def __init__(self, program: Path, quick: bool) -> None:
        self.command = [str(program), *(["--quick"] if quick else [])]
        self.rows: Rows = {}

    def measure(self) -> None:
        """One more round."""
        finished = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=True)
        for name, samples in json.loads(finished.stdout).items():
            samples = self.rows.get(name, {"samples": []})["samples"] + samples
            self.rows[name] = {"unit": "ns", **summary(samples), "samples": samples}


def build_folder() -> Path:
    """Where the floor and the peer are built."""
    return (HERE.parent / os.environ.get("CARGO_TARGET_DIR", "target") / "bench").resolve()


def floor_and_peer(python: str, quick: bool) -> tuple[Measured, Peer]:
    """Builds the bare extension, for this Python, and the program with mlua."""
    folder = build_folder()
    subprocess.run([python, str(HERE / "floor/build.py"), str(folder / "floor")], check=True)
    cargo = os.environ.get("CARGO", "cargo")
    manifest = HERE / "peer/Cargo.toml"
    target = folder / "peer"
    command = [cargo, "build", "--quiet", "--locked", "--release", "--manifest-path", str(manifest)]
    subprocess.run([*command, "--target-dir", str(target)], check=True)
    options = ["--only", FLOOR_ROWS, *(["--quick"] if quick else [])]
    return Measured([python], "floor", options, folder / "floor"), Peer(target / "release/lupa-peer", quick)


def compare(module: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One module on both sides; with the floor, if that is wanted and this is its Lua."""
    options = [*(["--only", arguments.only] if arguments.only else []), *(["--quick"] if arguments.quick else [])]
    ours = Measured([arguments.ours], f"lupa.{module}", options)
    upstream = Measured([arguments.upstream], f"lupa.{module}", options)
    sides: dict[str, Measured | Peer] = {"ours": ours, "upstream": upstream}
    if arguments.floor and module == FLOOR_MODULE:
        sides["floor"], sides["peer"] = floor_and_peer(arguments.ours, arguments.quick)
    for number in range(1, arguments.rounds + 1):
        for name, side in sides.items():
            print(f"{module}: round {number} of {arguments.rounds}, {name}", file=sys.stderr)
            side.measure()
    result: dict[str, Any] = {name: side.rows for name, side in sides.items()}
    result["identity"] = {"ours": ours.identity, "upstream": upstream.identity}
    return result


def without_samples(result: dict[str, Any]) -> dict[str, Any]:
    """The same with the number of samples instead of each."""
    return {
        side: {name: {**row, "samples": len(row["samples"])} if "samples" in row else row for name, row in rows.items()}
        for side, rows in result.items()
    }


def chosen_modules(text: str) -> list[str]:
    """The modules of a list, or all."""
    if text == "all":
        return list(MODULES)
    names = text.split(",")
    for name in names:
        if name not in MODULES:
            raise argparse.ArgumentTypeError(f"there is no module {name!r}; there are {', '.join(MODULES)}")
    return names


def pattern(text: str) -> str:
    """A regular expression that compiles."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
    return text


def command_line() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description="Compare two installs of lupa.")
    parser.add_argument("ours", metavar="OURS_PYTHON", help="a Python with this package")
    parser.add_argument("upstream", metavar="UPSTREAM_PYTHON", help="a Python with lupa 2.8")
    parser.add_argument("--modules", type=chosen_modules, default=["lua54"], help="as lua51,lua54; or all")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each side runs")
    parser.add_argument("--only", type=pattern, metavar="REGEX", help="rows whose name this finds")
    parser.add_argument("--quick", action="store_true", help="fewer samples, and not the slowest rows")
    parser.add_argument("--floor", action="store_true", help="also a bare extension module and mlua")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw a picture there")
    return parser


def main() -> int:
    """The command line."""
    arguments = command_line().parse_args()
    modules = {}
    try:
        for name in arguments.modules:
            modules[name] = without_samples(compare(name, arguments))
            print(table(name, modules[name]), end="\n\n", flush=True)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if "floor" in modules.get(FLOOR_MODULE, {}):
        measured = modules[FLOOR_MODULE]
        print(floor_table(measured, measured["floor"], measured["peer"]), end="\n\n")
    if len(modules) > 1:
        means = {name: geometric_mean(best for best, _ in rows_of(module).values()) for name, module in modules.items()}
        print("geometric means:", ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()))
    result = {
        "machine": f"{platform.system()} {platform.machine()}",
        "time": time.strftime("%Y-%m-%dT%H:%M:%S"),
        "quick": arguments.quick,
        "rounds": arguments.rounds,
        "modules": modules,
    }
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if arguments.chart is not None:
        from chart import draw

        draw(result, arguments.chart)
    return 1 if any(problems(module) for module in modules.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
