"""A soak of limits: random greedy scripts in sandboxes, each in a process of its own, whose time and memory are taken.

    python fuzz/greedy.py --module lua54 --seconds 60 --seed 1

A script allocates, keeps, recurses, converts, iterates, raises and catches as much as it can.  One that takes more than
twice its time (of the processor) or twice its memory is an outlier, and so is one that ends its process, does not
end, or leaves a sandbox that does not work.  Outliers are written to ``--into`` and make the exit status 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections import Counter
from pathlib import Path

MODULES = ("lua51", "lua52", "lua53", "lua54", "lua55", "luajit20", "luajit21")
MEMORY = (4 << 20, 16 << 20, 64 << 20)
TIME = (0.05, 0.1, 0.3)
# What counts for nothing: a process that has just begun, and a look at the clock.
SLACK = (8 << 20, 0.15)
# How many times its limit a script may be busy, or wait for the processor, until it is ended.
PATIENCE = 60

EXPRESSIONS = (
    "N", "S", "T", "F", "P", "N + N", "S .. S", "S .. N", "{E, E}", "{[S] = E}", "function() return E end",
    "#S", "#T", "K[1 + N % 10]", "K[#K]", "select('#', V)", "(select(2, pcall(F, E)))", "tostring(E)", "tonumber(S)",
    "tonumber(S, 7)", "python.args(T)", "python.args{E, E, x = E}", "python.zeros(SMALL)",
    "python.zeros{SMALL, SMALL, 0}",
    "python.array_from(T)", "python.zeros(BIG, 'uint8')", "python.array_from(nested(SMALL % 7, 20, {}))",
    "python.array_from(nested(SMALL % 5, 15, {1}))", "A:slice(N, N)", "A:copy()", "A:totable()", "A:fill(N)",
    "A:reshape(-1, 2)", "python.zeros(BIG):totable()", "python.iter(thing)", "python.enumerate(thing)",
    "python.iterex(thing)", "python.as_function(thing)", "python.as_attrgetter(thing)", "thing.name", "thing.made",
    "thing.method", "thing:method(E)", "thing[S]", "fresh(E)", "numbers(SMALL)", "echo(E)", "echo(V)",
    "echo(python.args(T))", "(select(2, pcall(fail, E)))", "(select(2, pcall(fail, V)))", "S:rep(SMALL)", "S:rep(BIG)",
    "S:reverse()", "S:upper()", "S:sub(N, N)", "S:byte(1, SMALL)", "S:find(S, 1, true)", "S:find('.-.-y')",
    "S:gsub('.', '%0%0')", "S:gsub('.', F)", "S:match('(.-)(.*)y')", "('%q'):format(S)", "('%s%s'):format(S, S)",
    "('%99d'):rep(20):format(V)", "table.concat(T)", "table.concat(T, S)", "table.concat(K2)", "unpack(T)",
    "string.char(V)", "load(S)", "load('return ' .. N)", "load('return {' .. ('{},'):rep(SMALL) .. '}')",
    "coroutine.create(F)", "coroutine.wrap(F)", "coroutine.resume(coroutine.create(F), V)", "setmetatable({}, M)",
    "setmetatable({}, {__index = function(t, k) return E end})", "setmetatable({}, {__mode = 'k'})", "next(T)",
    "math.max(V)", "collectgarbage('count')", "os.date(S)", "utf8 and utf8.len(S)", "utf8 and utf8.char(65, N)",
    "string.pack and string.pack('s', S)", "table.pack and table.pack(V)", "table.move and table.move(T, 1, BIG, 2)",
    "xpcall(F, F, E)", "error_of(E)", "debug.traceback(S)", "false_length()", "holes(SMALL)",
)  # fmt: skip

STATEMENTS = (
    "keep(E)", "keep(E)", "keep(E)", "keep(E)", "K[#K] = nil", "for i = 1, SMALL do keep(E) end",
    "while true do keep(E) end", "while true do keep(E) end", "while true do pcall(keep, E) end",
    "while true do local _ = E end", "for i = 1, BIG do local _ = E end", "local x = S for i = 1, 30 do x = x .. x end",
    "pcall(function() while true do keep(E) end end)", "recurse(SMALL)", "recurse(BIG)", "table.sort(T)",
    "table.sort(T, function(a, b) return true end)", "table.insert(T, 1, E)", "table.remove(T, 1)", "T[S] = E",
    "for i = 1, SMALL do T[i * 2 ^ (i % 40)] = i end", "for k, v in pairs(T) do keep(v) end",
    "for v in python.iter(thing) do keep(v) end", "for i, v in python.enumerate(thing) do keep(E) end",
    "for _, v in A:each() do keep(v) end",
    "local c = coroutine.wrap(function() while true do coroutine.yield(E) end end) "
    "while true do keep(c()) end",
    "local function f() local c = coroutine.wrap(f) return c() end f()",
    "local k = {} for i = 1, SMALL do local n = {} W[k] = n k = n end",
    "setmetatable(_G, {__index = function() return E end})",
    "error(E)", "error(V)", "pcall(error, S)", "collectgarbage()", "F = function(...) return E end", "T = {V}",
    "S = S .. S",
    "S = tostring(E)", "A = python.zeros(SMALL)", "K = {}", "python.set_overflow_handler(F)", "K2[#K2 + 1] = S",
)  # fmt: skip

PRELUDE = """
K, K2, T, S, A, M, W = {}, {}, {1, 2, 3}, "x", python.zeros(10), {}, setmetatable({}, {__mode = "k"})
load, unpack = loadstring or load, unpack or table.unpack
F = function(...) return ... end
function keep(value) K[#K + 1] = value or false end
function recurse(n) if n > 0 then local a, b = recurse(n - 1), n return a end return n end
function error_of(value) return select(2, pcall(error, value)) end
function nested(n, width, t)
  for _ = 1, n do local outer = {} for i = 1, width do outer[i] = t end t = outer end
  return t
end
function false_length() local t = {} for i = 27, 0, -1 do t[2^i] = 1 end return t end
function holes(n) local t = {} for i = n, 1, -1 do t[i * 3] = i end return t end
"""


class Script:
    """A random script."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.memory = self.random.choice(MEMORY)
        self.time = self.random.choice(TIME)
        count = self.random.randint(1, 6)
        self.code = PRELUDE + "\n".join(self.fill(self.random.choice(STATEMENTS), 3) for _ in range(count))

    def fill(self, text: str, depth: int) -> str:
        """Put something in the place of each of the single capitals that stand for something."""
        out = []
        for word in text.replace("E", "\0E\0").replace("N", "\0N\0").replace("V", "\0V\0").split("\0"):
            if word == "E":
                out.append("(" + self.fill(self.random.choice(EXPRESSIONS), depth - 1) + ")" if depth > 0 else "1")
            elif word == "N":
                out.append(str(self.random.choice((0, 1, 2, 3, 10, 100, -1, 2**31, 2**53))))
            elif word == "V":
                out.append("unpack(T)")
            else:
                out.append(word)
        code = "".join(out).replace("SMALL", str(self.random.choice((1, 10, 1000, 20000))))
        return code.replace("BIG", str(self.random.choice((10**5, 10**6, 10**7, 10**9)))).replace("P", "thing")


class Thing:
    """What the host exposes."""

    name = "thing"

    @property
    def made(self) -> object:
        """Something new each time."""
        return Thing()

    def method(self, *args: object) -> object:
        """Gives back what it gets."""
        return args[0] if args else None

    def __iter__(self):
        return iter([object(), "x", 1, None])


def fail(*args: object) -> None:
    """Raises."""
    raise ValueError(*args)


def work(lupa, script: Script) -> dict[str, object]:
    """Run a script in this process; gives what it has taken."""
    box = lupa.LuaRuntime(sandbox=True, max_memory=script.memory, timeout=script.time)
    thing = Thing()
    rights = {"attributes": ["name", "made", "method"], "iterate": True}
    box.expose(Thing, **rights)
    given = box.globals()
    given.thing = thing
    functions = {
        "echo": lambda *args, **named: args[0] if args else None,
        "fresh": lambda *args: Thing(),
        "numbers": lambda count: [0] * int(count),
        "fail": fail,
    }
    for name, function in functions.items():
        given[name] = box.expose(function)
    del given
    usage = resource.getrusage(resource.RUSAGE_SELF)
    begin, memory = time.process_time(), usage.ru_maxrss * 1024
    outcome = "ended"
    try:
        box.execute(script.code)
    except Exception as error:
        outcome = type(error).__name__
        # What a message holds is the host's from here on.
        del error
    seconds = time.process_time() - begin
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - memory
    problem = ""
    try:
        # What the script has kept may fill all that it had, which is no mistake.
        box.set_max_memory(script.memory + (1 << 20))
        box.execute("K, K2, T, S, A, W = {}, {}, {}, '', nil, {}")
        box.gccollect()
        if box.eval("1 + 1") != 2 or dict(box.eval("{1}")) != {1: 1}:
            problem = "the sandbox gives something else"
    except Exception as error:
        # A script may have replaced what is called here; not what memory and stacks do.
        if isinstance(error, MemoryError) or "overflow" in str(error):
            problem = f"the sandbox does not work: {error}"[:300]
    return {"outcome": outcome, "seconds": seconds, "taken": taken, "problem": problem}


def run(lupa, script: Script) -> dict[str, object]:
    """Run a script in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.write(writing, json.dumps(work(lupa, script)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], PATIENCE * (script.time + 1))
    text = os.read(reading, 65536) if ready else b""
    os.close(reading)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not text:
        return {"outcome": "died", "seconds": 0, "taken": 0, "problem": f"did not end well: {status}"}
    return json.loads(text)


def judge(script: Script, result: dict[str, object]) -> str:
    """What is wrong with a result, if anything is."""
    if result["problem"]:
        return str(result["problem"])
    if result["taken"] > 2 * script.memory + SLACK[0]:
        return f"{result['taken'] / script.memory:.1f} times its memory"
    if result["seconds"] > 2 * script.time + SLACK[1]:
        return f"{result['seconds'] / script.time:.1f} times its time"
    return ""


def soak(name: str, options: argparse.Namespace) -> int:
    """Run scripts on a module; gives the number of outliers."""
    lupa = importlib.import_module(f"lupa.{name}")
    lupa.LuaRuntime(sandbox=True).execute("python.zeros(1)")
    end = time.monotonic() + options.seconds
    seed, count, outliers = options.seed, 0, 0
    outcomes: Counter[str] = Counter()
    most = [0.0, 0.0]
    while time.monotonic() < end and (not options.count or count < options.count):
        script = Script(seed)
        result = run(lupa, script)
        count += 1
        outcomes[str(result["outcome"])] += 1
        most[0] = max(most[0], max(0, result["taken"] - SLACK[0]) / script.memory)
        most[1] = max(most[1], max(0, result["seconds"] - SLACK[1]) / script.time)
        problem = judge(script, result)
        if problem:
            outliers += 1
            text = f"-- {name}, seed {seed}: {problem}; {script.memory} bytes, {script.time} s\n{script.code}\n"
            options.into.mkdir(parents=True, exist_ok=True)
            (options.into / f"greedy-{name}-{seed}.lua").write_text(text)
            print(f"{name}: seed {seed}: {problem}", flush=True)
        seed += 1
    kinds = ", ".join(f"{kind} {number}" for kind, number in outcomes.most_common())
    print(
        f"{name}: {count} scripts, {outliers} outliers; at most {most[0]:.2f} times the memory and {most[1]:.2f} times"
    )
    print(f"  the time; {kinds}", flush=True)
    return outliers


def main() -> int:
    """Runs the soak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", action="append", choices=MODULES)
    parser.add_argument("--seconds", type=float, default=60, help="for each module")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=0, help="the most scripts for each module")
    parser.add_argument("--into", type=Path, default=Path("target/fuzz"))
    options = parser.parse_args()
    return 1 if sum(soak(name, options) for name in options.module or MODULES) else 0


if __name__ == "__main__":
    sys.exit(main())
