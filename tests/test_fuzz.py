"""A short run of the fuzzer on each Lua, and that it notices what it is there to notice."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BACKENDS

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"
PROGRAMS = 240

pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(not FUZZ.is_dir(), reason="the source distribution is without the fuzzer"),
]


def fuzz(backend, into, *arguments):
    """How a run of the fuzzer ended."""
    command = [sys.executable, FUZZ / "run.py", "--module", backend, "--into", into, *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)


def listed(backend, first, count):
    """The programs of these seeds."""
    command = [sys.executable, FUZZ / "child.py", backend, str(first), str(count), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout)


def test_random_programs(backend, tmp_path):
    done = fuzz(backend, tmp_path, "--programs", str(PROGRAMS), "--findings", "1", "--shrink", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{PROGRAMS} programs" in done.stdout


def test_a_seed_is_a_program(backend):
    programs = listed(backend, 5, 3)
    assert programs == listed(backend, 5, 3)
    assert programs[1][:-1] == listed(backend, 6, 1)[0]
    for statement in programs[0]:
        assert isinstance(statement, str) and statement


@pytest.mark.parametrize(
    "plant, kind",
    [
        ("segfault", "SIGSEGV"),
        ("abort", "SIGABRT"),
        ("exit", "early exit"),
        ("SystemError", "SystemError"),
        ("panic", "panic"),
        ("leak", "leak"),
    ],
)
def test_what_goes_wrong_is_found_and_shrunk(plant, kind, tmp_path):
    done = fuzz(BACKENDS[0], tmp_path, "--programs", "2", "--batch", "2", "--plant", plant)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{BACKENDS[0]}: {kind} at seed 1" in done.stdout
    (script,) = tmp_path.iterdir()
    statements = script.read_text(encoding="utf-8").partition("STATEMENTS = ")[2].partition("\n]\n")[0] + "\n]"
    assert len(ast.literal_eval(statements)) <= 2, statements
    again = subprocess.run([sys.executable, script], capture_output=True, text=True, errors="replace", check=False)
    assert "nothing was found" not in again.stderr or "panicked at" in again.stderr


def test_what_hangs_is_found(tmp_path):
    done = fuzz(BACKENDS[0], tmp_path, "--batch=2", "--programs=2", "--plant=deadlock", "--watchdog=3", "--shrink=0")
    assert done.returncode == 1, done.stdout + done.stderr
    assert len(list(tmp_path.iterdir())) == 1


def test_shrinking(monkeypatch):
    monkeypatch.syspath_prepend(str(FUZZ))
    from shrink import shrink

    tried = []

    def fails(items):
        tried.append(items)
        return {3, 77} <= set(items)

    assert shrink(range(100), fails, lambda: True) == [3, 77]
    assert len(tried) < 100
    assert shrink(range(100), fails, lambda: False) == list(range(100))
