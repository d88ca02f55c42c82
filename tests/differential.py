"""Compare two installations of lupa, snippet by snippet, on every backend that both have.

Usage: python tests/differential.py PYTHON_A PYTHON_B [--backend lua54] [--topic numbers] [--full]

Each paragraph of ``differential_snippets/*.txt`` is one snippet: Python code with ``lupa`` (the backend module),
``lua`` (a fresh runtime) and ``ev`` (its ``eval``) at hand.  What is compared is the repr of the snippet's last
expression, or the type and the message of the exception (its first line; all of it with ``--full``).  Addresses are
blanked.  A crash or a hang of one snippet is an outcome like any other.  A snippet that begins with ``#! reason`` is
expected to differ.
"""

from __future__ import annotations

import argparse
import ast
import gc
import importlib
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

BACKENDS = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
SNIPPET_FOLDER = Path(__file__).with_name("differential_snippets")
SECONDS_PER_SNIPPET = 20


def load_snippets(topics: list[str]) -> list[tuple[str, str]]:
    """All snippets as (topic, code), in a stable order."""
    snippets = []
    for path in sorted(SNIPPET_FOLDER.glob("*.txt")):
        if topics and path.stem not in topics:
            continue
        for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            if paragraph.strip():
                snippets.append((path.stem, paragraph.strip("\n")))
    return snippets


def normalise(text: str) -> str:
    """Replace what differs from run to run: addresses, and the prefix that Lua 5.2 gives a function at random.

    The words with which a wrong number or name of arguments is refused belong to the tools that made a module.
    """
    text = re.sub(r"lupa\.lua(jit)?\d\d\.", "lupa.", text)
    text = re.sub(r"'_G\.", "'", re.sub(r"0x[0-9a-f]{6,}", "0x?", text))
    return re.sub(r"^(raise builtins.TypeError: ).*\bargument.*$", r"\1(arguments)", text)


def run_snippet(code: str, lupa, full: bool) -> str:
    """Run one snippet and describe how it ended."""
    lua = lupa.LuaRuntime()
    namespace = {"lupa": lupa, "lua": lua, "ev": lua.eval, "gc": gc}
    try:
        tree = ast.parse(code)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<snippet>", "exec"), namespace)
        value = None
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<snippet>", "eval"), namespace)
        return normalise(f"value {value!r}")
    except BaseException as error:
        message = str(error)
        if not full:
            message = message.split("\n")[0]
        kind = type(error)
        return normalise(f"raise {kind.__module__}.{kind.__qualname__}: {message}")


def worker(backend: str, start: int, topics: list[str], full: bool) -> None:
    """Run the snippets from number ``start`` on; one JSON line each.  A crash ends the process."""
    lupa = importlib.import_module(f"lupa.{backend}")
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for number, (_, code) in list(enumerate(load_snippets(topics)))[start:]:
        signal.alarm(SECONDS_PER_SNIPPET)
        outcome = run_snippet(code, lupa, full)
        gc.collect()
        signal.alarm(0)
        print(json.dumps([number, outcome]), flush=True)


def describe_death(python: str, run: subprocess.CompletedProcess[bytes]) -> str:
    """How a worker ended in the middle of a snippet."""
    errors = run.stderr.decode("utf-8", "replace")
    if "Traceback (most recent call last)" in errors:
        raise SystemExit(f"the worker of {python} failed:\n{errors}")
    if run.returncode == -signal.SIGALRM:
        return "hang"
    if run.returncode < 0:
        return f"crash {signal.Signals(-run.returncode).name}"
    last = errors.strip().splitlines()[-1:] or [""]
    return f"exit {run.returncode} {last[0]}"


def outcomes(python: str, backend: str, topics: list[str], full: bool) -> dict[int, str] | None:
    """All outcomes of one installation on one backend; None if it lacks the backend."""
    probe = subprocess.run([python, "-c", f"import lupa.{backend}"], capture_output=True, check=False)
    if probe.returncode:
        return None
    count = len(load_snippets(topics))
    results: dict[int, str] = {}
    while len(results) < count:
        start = len(results)
        command = [python, __file__, "--worker", backend, "--start", str(start), *(["--full"] if full else [])]
        for topic in topics:
            command += ["--topic", topic]
        run = subprocess.run(command, capture_output=True, check=False)
        for line in run.stdout.decode("utf-8", "replace").splitlines():
            if line.startswith("["):
                number, outcome = json.loads(line)
                results[number] = outcome
        if len(results) < count:
            results[len(results)] = describe_death(python, run)
    return results


def compare(python_a: str, python_b: str, backends: list[str], topics: list[str], full: bool) -> int:
    """Print every difference, grouped by snippet; the number of snippets that differ without being expected to."""
    snippets = load_snippets(topics)
    found: dict[int, dict[tuple[str, str], list[str]]] = {}
    for backend in backends:
        a = outcomes(python_a, backend, topics, full)
        b = outcomes(python_b, backend, topics, full)
        if a is None or b is None:
            print(f"-- {backend}: not in {'A' if a is None else ''}{'B' if b is None else ''}")
            continue
        differing = [number for number in a if a[number] != b[number]]
        print(f"-- {backend}: {len(a)} snippets, {len(differing)} differ", flush=True)
        for number in differing:
            found.setdefault(number, {}).setdefault((a[number], b[number]), []).append(backend)
    unexpected = 0
    for number, variants in sorted(found.items()):
        topic, code = snippets[number]
        expected = code.startswith("#!")
        unexpected += not expected
        print(f"\n{'expected' if expected else 'DIFFERS '} {topic}:")
        print("    " + code.replace("\n", "\n    "))
        for (a_text, b_text), where in variants.items():
            print(f"  on {' '.join(where)}\n    A {a_text}\n    B {b_text}")
    print(f"\n{len(snippets)} snippets; {len(found) - unexpected} differ as expected, {unexpected} differ unexpectedly")
    return unexpected


def main() -> int:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", help="two Python interpreters, each with a lupa installed")
    parser.add_argument("--backend", action="append", default=[], choices=BACKENDS)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--full", action="store_true", help="compare whole messages, not first lines")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--start", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.start, options.topic, options.full)
        return 0
    if len(options.pythons) != 2:
        parser.error("two Python interpreters are needed")
    backends = options.backend or list(BACKENDS)
    return 1 if compare(*options.pythons, backends, options.topic, options.full) else 0


if __name__ == "__main__":
    sys.exit(main())
