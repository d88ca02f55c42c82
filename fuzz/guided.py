"""Fuzzing that is guided by coverage: the same grammar, fed by atheris (https://pypi.org/project/atheris/).

    python fuzz/guided.py --module lua54 --seconds 600

It takes modules that count what they cover: ``cargo xtask asan --guided`` builds them and runs this.  Programs run in
one process, so a crash ends it: libFuzzer then leaves the program's bytes as ``crash-...`` in the folder ``--into``.
``--replay FILE`` shrinks that program and writes a script, as ``run.py`` does.  What hangs is not noticed here.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import child
import world
from operations import Generator
from run import MODULES, Runner

HERE = Path(__file__).resolve().parent
MOST_BYTES = 4096


class Bytes:
    """Choices taken from bytes: two for each, and the first of all when there are none left."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def draw(self, below: int) -> int:
        """A number below another."""
        taken = self._data[self._at : self._at + 2]
        self._at += 2
        return int.from_bytes(taken, "little") % below


def statements(source: Generator, data: bytes) -> list[str]:
    """The program that these bytes are."""
    return [*source.program(Bytes(data).draw), f"finish({len(data)})"]


def main() -> None:
    """Fuzz, or show a program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", choices=MODULES, required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, default=HERE.parent / "target/fuzz")
    parser.add_argument("--replay", type=Path, help="a file that libFuzzer left")
    parser.set_defaults(watchdog=120.0, shrink=300.0, plant=None)
    options = parser.parse_args()
    source = child.generator(options.module)
    if options.replay:
        found = Runner(options.module, options).investigate_statements(statements(source, options.replay.read_bytes()))
        print(found or "nothing was found")
        return
    import atheris

    corpus = options.into / f"corpus-{options.module}"
    corpus.mkdir(parents=True, exist_ok=True)
    here = world.start(options.module)
    world.report = report

    def run(data: bytes) -> None:
        for statement in statements(source, data):
            here.run(statement)

    arguments = [
        f"-max_total_time={options.seconds}",
        f"-seed={options.seed}",
        f"-max_len={MOST_BYTES}",
        f"-artifact_prefix={options.into}/",
        "-timeout=0",  # its alarm is the one that programs use
        "-len_control=0",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *arguments], run)
    atheris.Fuzz()


def report(text: str) -> None:
    """A finding: libFuzzer writes down the program of a process that aborts."""
    sys.stderr.write(f"\nFINDING: {text}\n")
    sys.stderr.flush()
    os.abort()


if __name__ == "__main__":
    main()
