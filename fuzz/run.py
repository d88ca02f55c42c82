"""A fuzzer of lupa: draws programs from a grammar of Python operations and Lua code, and runs them.

    python fuzz/run.py --module lua54 --seconds 60 --seed 1

Programs run in processes of their own, some dozens in each.  A process that dies, hangs or finds something wrong is
a finding: it is run again, shrunk, and written to ``target/fuzz`` as a script that needs nothing but lupa.  A seed
is a program: the same one for the same module and the same version of these files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from shrink import shrink

HERE = Path(__file__).resolve().parent
MODULES = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
BATCH = 40
TRIES = 3  # how often a finding is run again: threads and signals come at their own time

SCRIPT = '''"""{what}: {module}, seed {seed} of fuzz/run.py.  {how}"""

MODULE = {module!r}
STATEMENTS = [
{statements}
]

# What the statements use: a copy of fuzz/world.py.
{world}

if __name__ == "__main__":
    replay(MODULE, STATEMENTS)
'''


@dataclass
class Outcome:
    """How a process ended."""

    kind: str
    """Empty if it ended well."""
    errors: str
    """The end of what it wrote to stderr."""
    seed: int = -1
    """The program that ran last; -1 at the end of the process."""
    index: int = 0
    """The statement that ran last."""


class Runner:
    """Runs programs of one module."""

    def __init__(self, module: str, options: argparse.Namespace):
        self.module = module
        self.folder: Path = options.into
        self.watchdog: float = options.watchdog
        self.shrinking: float = options.shrink
        self.plant = ["--plant", options.plant] if options.plant else []
        self.folder.mkdir(parents=True, exist_ok=True)

    def child(self, first: int, count: int, *more: str) -> list[str]:
        """The command that runs or lists programs."""
        return [sys.executable, str(HERE / "child.py"), self.module, str(first), str(count), *more, *self.plant]

    def run(self, first: int, count: int) -> Outcome:
        """Run programs in one process."""
        with tempfile.NamedTemporaryFile() as progress:
            return self._watch(self.child(first, count, progress.name), Path(progress.name))

    def programs(self, first: int, count: int) -> list[list[str]]:
        """The statements of programs."""
        command = self.child(first, count, "--list")
        listed = subprocess.run(command, stdout=subprocess.PIPE, check=False, env=environment())
        if listed.returncode:
            raise SystemExit(f"error: lupa.{self.module} cannot be used with {sys.executable}; the reason is above")
        programs: list[list[str]] = json.loads(listed.stdout)
        return programs

    def _watch(self, command: list[str], progress: Path | None) -> Outcome:
        """Run a process until it ends, or has been at one statement for too long."""
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(command, stderr=errors, stdin=subprocess.DEVNULL, env=environment())
            where, since, hung, processor = b"", time.monotonic(), False, 0.0
            while process.poll() is None:
                time.sleep(0.02)
                now = progress.read_bytes() if progress else b""
                if now != where:
                    where, since, processor = now, time.monotonic(), processor_seconds(process.pid)
                elif time.monotonic() - since > self.watchdog:
                    hung = True
                    processor = processor_seconds(process.pid) - processor
                    process.send_signal(signal.SIGABRT)  # faulthandler says where it is
                    break
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            where = progress.read_bytes() if progress else b""
            errors.seek(0, os.SEEK_END)
            errors.seek(max(0, errors.tell() - 20_000))
            text = errors.read().decode(errors="replace")
        if hung:
            kind = "endless" if processor > self.watchdog / 10 else "deadlock"
        else:
            kind = ending(process.returncode, text)
        seed, index = (int(number) for number in where.split()) if where else (-1, 0)
        return Outcome(kind, text, seed, index)

    def replays(self, statements: list[str], kind: str, tries: int) -> bool:
        """Whether statements by themselves end like this, at least once."""
        return any(self.replay(statements).kind == kind for _ in range(tries))

    def replay(self, statements: list[str]) -> Outcome:
        """Run statements by themselves, as the script that they will be."""
        script = self.folder / f"{self.module}-candidate-{os.getpid()}.py"
        try:
            script.write_text(self.script(statements, "", 0, ""), encoding="utf-8")
            return self._watch([sys.executable, str(script)], None)
        finally:
            script.unlink(missing_ok=True)

    def script(self, statements: list[str], kind: str, seed: int, how: str) -> str:
        """A program that needs nothing but lupa."""
        world = (HERE / "world.py").read_text(encoding="utf-8").split('"""', 2)[2].strip()
        listed = "\n".join(f"    {ascii(statement)}," for statement in statements)
        return SCRIPT.format(what=kind, module=self.module, seed=seed, how=how, statements=listed, world=world)

    def investigate(self, first: int, count: int, outcome: Outcome) -> Path:
        """Reproduce a finding, shrink it and write it down."""
        seed = outcome.seed if outcome.seed >= first else first + count - 1
        programs = self.programs(first, count)[: seed - first + 1]
        everything = [statement for program in programs for statement in program]
        for candidate in (programs[-1], everything):
            if self.replays(candidate, outcome.kind, TRIES):
                return self.shrunk(candidate, outcome.kind, seed)
        how = "It could not be reproduced by running it again; these are the statements of the whole process."
        return self.write(everything, outcome.kind, seed, how)

    def investigate_statements(self, statements: list[str]) -> Path | None:
        """Run statements; if that finds something, shrink them and write them down."""
        for _ in range(TRIES):
            outcome = self.replay(statements)
            if outcome.kind:
                return self.shrunk(statements, outcome.kind, 0)
        return None

    def shrunk(self, statements: list[str], kind: str, seed: int) -> Path:
        """Shrink what ends like this, and write it down."""
        deadline = time.monotonic() + self.shrinking
        shorter = shrink(
            statements,
            lambda candidate: self.replays(candidate, kind, 1),
            lambda: time.monotonic() < deadline,
        )
        return self.write(shorter, kind, seed, "It is as short as could be made.")

    def write(self, statements: list[str], kind: str, seed: int, how: str) -> Path:
        """Write a script."""
        text = self.script(statements, kind, seed, how)
        name = kind.replace(" ", "-")
        path = self.folder / f"{self.module}-{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.py"
        path.write_text(text, encoding="utf-8")
        return path


def environment() -> dict[str, str]:
    """The environment of a process that runs programs: the same program does the same."""
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def processor_seconds(pid: int) -> float:
    """How long a process has computed, or 0 where that cannot be known."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ending(status: int, errors: str) -> str:
    """A name for how a process ended; empty if well."""
    if "ERROR: AddressSanitizer" in errors:
        return "asan"
    if status < 0:
        return signal.Signals(-status).name
    if "panicked at" in errors or "this is a bug in lupa" in errors:
        return "panic"
    found = re.search(r"^FINDING: (?:a )?(\w+)", errors, re.MULTILINE)
    if found:
        return found[1]
    if status:
        return f"status {status}"
    return "" if "nothing was found" in errors else "early exit"


def fuzz(options: argparse.Namespace, module: str) -> int:
    """Run programs for a while; how many findings there were."""
    runner = Runner(module, options)
    runner.programs(options.seed, 1)  # there is no point in starting without lupa
    started = time.monotonic()
    seed, programs, findings = options.seed, 0, 0

    def is_over() -> bool:
        if options.programs:
            return programs >= int(options.programs)
        return time.monotonic() - started >= float(options.seconds)

    while not is_over() and findings < options.findings:
        outcome = runner.run(seed, options.batch)
        programs += options.batch
        if outcome.kind:
            findings += 1
            print(f"{module}: {outcome.kind} at seed {outcome.seed}, statement {outcome.index}", flush=True)
            path = runner.investigate(seed, options.batch, outcome)
            print(f"  {path}\n{last_lines(outcome.errors)}", flush=True)
        seed += options.batch
    taken = time.monotonic() - started
    print(f"{module}: {programs} programs from seed {options.seed} in {taken:.0f} s, {findings} findings", flush=True)
    return findings


def last_lines(text: str) -> str:
    """The end of what a process said, indented."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-12:])


def main() -> int:
    """Fuzz, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", choices=MODULES, help="all by default; can be given repeatedly")
    parser.add_argument("--seconds", type=float, default=60, help="for each module (60)")
    parser.add_argument("--programs", type=int, help="how many for each module, however long it takes")
    parser.add_argument("--seed", type=int, default=1, help="of the first program (1)")
    parser.add_argument("--batch", type=int, default=BATCH, help=f"programs in one process ({BATCH})")
    parser.add_argument("--findings", type=int, default=10, help="after how many to stop (10)")
    parser.add_argument("--watchdog", type=float, default=120, help="seconds that one statement may take (120)")
    parser.add_argument("--shrink", type=float, default=300, help="seconds to shorten each finding (300)")
    parser.add_argument("--into", type=Path, default=HERE.parent / "target/fuzz", help="for scripts (target/fuzz)")
    parser.add_argument("--plant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    return 1 if sum([fuzz(options, module) for module in options.module or MODULES]) else 0


if __name__ == "__main__":
    sys.exit(main())
