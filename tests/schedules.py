"""Random schedules of greenlets in runtimes, and a model of what each has to give.

``python schedules.py lua54 FIRST COUNT`` tries COUNT schedules; it prints those that went wrong, and fails.
"""

from __future__ import annotations

import gc
import importlib
import random
import sys
from typing import Any

import greenlet

HUB = greenlet.getcurrent()


class Switching:
    """An object whose every use switches to the hub first."""

    __hash__ = None

    def __init__(self, value):
        self.value = value

    @property
    def x(self):
        HUB.switch()
        return self.value

    def __call__(self, *_args):
        HUB.switch()
        return self.value

    def __iter__(self):
        for step in range(3):
            HUB.switch()
            yield self.value + step

    def __len__(self):
        HUB.switch()
        return self.value

    def __eq__(self, _other):
        HUB.switch()
        return True

    def __str__(self):
        HUB.switch()
        return str(self.value)

    def __index__(self):
        HUB.switch()
        return self.value


class Boom(Exception):
    """What callbacks raise."""


def boom(value):
    HUB.switch()
    raise Boom(value)


# The code of a function, and what it gives for a value.
CODE: dict[str, tuple[str, Any]] = {
    "call": ("function(p) local s = 0 for i = 1, 3 do s = s + p() end return s end", lambda v: 3 * v),
    "attribute": ("function(p) local s = 0 for i = 1, 3 do s = s + p.x end return s end", lambda v: 3 * v),
    "iterate": ("function(p) local s = 0 for x in python.iter(p) do s = s + x end return s end", lambda v: 3 * v + 3),
    "length": ("function(p) return python.builtins.len(p) end", lambda v: v),
    "text": ("function(p) return tostring(p) .. 'x' end", lambda v: f"{v}x"),
    "pcall": (
        "function(p) local ok = pcall(function() local a = p() boom(a) end) return ok, p() end",
        lambda v: (False, v),
    ),
    "coroutine": (
        "function(p) local co = coroutine.wrap(function() coroutine.yield(p()) coroutine.yield(p.x) end)"
        " return co() + co() end",
        lambda v: 2 * v,
    ),
    "sort": (
        "function(p) local t = {5, 3, 1, 4} table.sort(t, function(a, b) p() return a < b end)"
        " return t[1] * 1000 + t[4] end",
        lambda v: 1005,
    ),
    "gsub": ("function(p) return (('abc'):gsub('.', function(c) return p() end)) end", lambda v: str(v) * 3),
    "metamethod": (
        "function(p) local t = setmetatable({}, {__index = function(_, k) return p() end}) return t.a + t.b end",
        lambda v: 2 * v,
    ),
    "nested": ("function(p) return nested(p) + 1 end", lambda v: 3 * v + 1),
    "other": ("function(p) return other(p) + 1 end", lambda v: 3 * v + 1),
    "table": (
        "function(p) local s = 0 for _, x in ipairs(to_table(p)) do s = s + x end return s end",
        lambda v: 3 * v + 3,
    ),
    "raises": ("function(p) p() boom(p.x) end", lambda v: Boom),
    "hook": (
        "function(p) local n = 0 debug.sethook(function() n = n + 1 p() end, '', 100)"
        " for i = 1, 300 do end debug.sethook() return p() end",
        lambda v: v,
    ),
    "finalizer": (
        "function(p) local function collect() p() end"
        " if newproxy then getmetatable(newproxy(true)).__gc = collect else setmetatable({}, {__gc = collect}) end"
        " collectgarbage() return p() end",
        lambda v: v,
    ),
}

WAYS = ["function", "function", "coroutine", "eval", "limits", "iterator"]


def use(lua, name, value, how):
    """What a task does; gives its result, or the class of the exception that the callback has raised."""
    code, _model = CODE[name]
    function, argument = lua.eval(code), Switching(value)
    try:
        if how == "coroutine":
            return list(function.coroutine(argument))[-1]
        if how == "eval":
            return lua.eval(f"({code})(...)", argument)
        if how == "iterator":
            steps = lua.eval("function(f, p) coroutine.yield(1) coroutine.yield(f(p)) end")
            return list(steps.coroutine(function, argument))[-1]
        if how == "limits":
            with lua.limits(seconds=600, instructions=10**8):
                return function(argument)
        return function(argument)
    except Boom:
        return Boom


def try_schedule(lupa, seed):
    """Runs some tasks in a random order; what went wrong, as text."""
    choose = random.Random(seed)
    options = {"timeout": 600} if choose.random() < 0.5 else {}
    runtimes = [lupa.LuaRuntime(unpack_returned_tuples=True, **options) for _ in range(choose.choice([1, 1, 2]))]
    sums = [lua.eval(CODE["call"][0]) for lua in runtimes]
    for index, lua in enumerate(runtimes):
        names = lua.globals()
        names.boom, names.to_table = boom, lua.table_from
        names.nested, names.other = sums[index].__call__, sums[index - 1].__call__
    results, tasks = [], []
    for value in range(1, choose.randint(3, 7)):
        name, how = choose.choice(list(CODE)), choose.choice(WAYS)
        if name == "hook" and how in ("coroutine", "iterator"):
            how = "function"
        task = (choose.choice(runtimes), name, value, how)

        def run(task=task):
            try:
                results.append((task[1:], use(*task)))
            except BaseException as error:  # noqa: BLE001
                results.append((task[1:], repr(error)))

        tasks.append((task, greenlet.greenlet(run)))
    waiting = [task for _, task in tasks]
    while waiting:
        task = choose.choice(waiting)
        task.switch()
        if task.dead:
            waiting.remove(task)
        if choose.random() < 0.05:
            gc.collect()
        if choose.random() < 0.05:
            choose.choice(runtimes).gccollect()
        if choose.random() < 0.02:
            try:
                choose.choice(runtimes).close()
                # Nobody was inside: nobody is to find it closed.
                return "" if not waiting else try_rest(waiting)
            except lupa.LuaError:
                pass
    wanted = [(task[1:], CODE[task[1]][1](task[2])) for task, _ in tasks]
    wrong = [result for result in results if result not in wanted]
    for lua in runtimes:
        assert lua.eval("1 + 1") == 2
        lua.close()
    return f"{wrong} of {[task[1:] for task, _ in tasks]}" if wrong or len(results) != len(wanted) else ""


def try_rest(waiting):
    """The others find a runtime closed, or use the other one: they come to an end."""
    while waiting:
        for task in list(waiting):
            task.switch()
            if task.dead:
                waiting.remove(task)
    return ""


def main():
    lupa = importlib.import_module(f"lupa.{sys.argv[1]}")
    first, count = int(sys.argv[2]), int(sys.argv[3])
    failed = 0
    for seed in range(first, first + count):
        wrong = try_schedule(lupa, seed)
        if wrong:
            failed += 1
            print(sys.argv[1], "schedule", seed, wrong)
    print(sys.argv[1], count, "schedules,", failed, "wrong")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
