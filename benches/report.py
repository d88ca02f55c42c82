"""What a comparison says: ratios, their means, and tables for people."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

UNITS = {
    "ns": ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns")),
    "B": ((1e6, "MB"), (1e3, "kB"), (1, "B")),
    "x": ((1, "x"),),
}

GROWTH = {"scale.wrappers": "live wrappers", "scale.objects": "Python objects in Lua", "scale.runtimes": "runtimes"}


def headline(result: dict[str, Any]) -> float:
    """The number that stands for a row: the fastest time; of what is not a time, the median."""
    return float(result["min" if result["unit"] == "ns" else "median"])


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, float]:
    """How many times better ours is, by headline and by median."""
    return headline(theirs) / headline(ours), theirs["median"] / ours["median"]


def geometric_mean(values: Iterable[float]) -> float:
    """The mean of ratios."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else math.nan


def shown(value: float, unit: str) -> str:
    """A number with three digits or more, in a unit that suits it."""
    factor, name = next((step for step in UNITS[unit] if value >= step[0]), UNITS[unit][-1])
    value /= factor
    return f"{value:.{0 if value >= 1000 else 1 if value >= 100 else 2}f} {name}"


def rows_of(module: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The ratios of all timed rows that both sides could run."""
    both = {
        name: (ours, module["upstream"][name])
        for name, ours in module["ours"].items()
        if "error" not in ours and "error" not in module["upstream"].get(name, {"error": ""})
    }
    return {name: ratios(*pair) for name, pair in both.items() if pair[0]["unit"] == "ns"}


def problems(module: dict[str, Any]) -> list[str]:
    """What is wrong apart from speed: rows that only upstream can run, and results that differ."""
    found = []
    for name, ours in module["ours"].items():
        theirs = module["upstream"].get(name, {"error": "not measured"})
        if "error" in theirs:
            continue
        if "error" in ours:
            found.append(f"{name}: only lupa 2.8 can run this")
        elif ours["returned"] != theirs["returned"]:
            found.append(f"{name}: gives {ours['returned']}, with lupa 2.8 {theirs['returned']}")
    return found


def table(name: str, module: dict[str, Any]) -> str:
    """A module's rows, and what they come to."""
    version = module["identity"]["upstream"]["version"]
    head = f"{name:27} {'ours':>10} {'lupa ' + version:>10}   ratio  median   spread"
    lines = [head, "-" * len(head)]
    for row, ours in module["ours"].items():
        theirs = module["upstream"].get(row, {"error": "not measured"})
        if "error" in ours or "error" in theirs:
            for side, result in (("ours", ours), ("lupa " + version, theirs)):
                said = result.get("error") or shown(headline(result), result["unit"])
                lines.append(f"{row:27} {side}: {said}")
            continue
        best, median = ratios(ours, theirs)
        values = f"{shown(headline(ours), ours['unit']):>10} {shown(headline(theirs), theirs['unit']):>10}"
        spreads = f"{ours['spread']:>4.0%} {theirs['spread']:>4.0%}"
        lines.append(f"{row:27} {values} {best:7.2f} {median:7.2f}  {spreads}")
    return "\n".join([*lines, "", *conclusion(module)])


def conclusion(module: dict[str, Any]) -> list[str]:
    """The lines below a table."""
    rows = rows_of(module)
    lines = []
    if rows:
        best = geometric_mean(best for best, _ in rows.values())
        median = geometric_mean(median for _, median in rows.values())
        worst = sorted((ratio, row) for row, (ratio, _) in rows.items())
        lines.append(f"geometric mean of {len(rows)} rows: {best:.2f} (medians: {median:.2f})")
        slowest = (f"{ratio:.2f} {row}" for ratio, row in worst if ratio < 1.1)
        lines.append(f"worst: {worst[0][0]:.2f} {worst[0][1]}; below 1.1: {', '.join(slowest) or 'none'}")
    for prefix, what in GROWTH.items():
        lines += growth(module, prefix, what)
    sizes = [shown(module["identity"][side]["size"], "B") for side in ("ours", "upstream")]
    lines.append(f"file of the module: {sizes[0]}, with lupa 2.8 {sizes[1]}")
    return lines + [f"PROBLEM: {problem}" for problem in problems(module)]


def growth(module: dict[str, Any], prefix: str, what: str) -> list[str]:
    """How many times more an operation costs when many are alive than when one is."""
    parts = []
    for side in ("ours", "upstream"):
        rows = {name: row for name, row in module[side].items() if name.startswith(f"{prefix}_") and "error" not in row}
        first = rows.pop(f"{prefix}_1", None)
        if first is None or not rows:
            return []
        steps = (f"{name.rpartition('_')[2]} {row['min'] / first['min']:.2f}" for name, row in rows.items())
        parts.append(f"{side} {', '.join(steps)}")
    return [f"cost with many {what}, over that with one: {'; '.join(parts)}"]


def floor_table(module: dict[str, Any], floor: dict[str, Any], peer: dict[str, Any]) -> str:
    """What a bare extension takes for the same, and what mlua takes without Python."""
    head = f"{'floor':27} {'floor':>10} {'ours':>10} {'/floor':>7} {'lupa 2.8':>10} {'/floor':>7} {'mlua':>10}"
    lines = [head, "-" * len(head)]
    for row, bare in floor.items():
        if "error" in bare:
            lines.append(f"{row:27} {bare['error']}")
            continue
        least = bare["min"]
        cells = [f"{shown(least, 'ns'):>10}"]
        for side in ("ours", "upstream"):
            result = module[side].get(row, {"error": ""})
            cells.append("" if "error" in result else f"{shown(result['min'], 'ns'):>10} {result['min'] / least:7.2f}")
        if row in peer:
            cells.append(f"{shown(peer[row]['min'], 'ns'):>10}")
        lines.append(f"{row:27} {' '.join(cells)}")
    return "\n".join(lines)
