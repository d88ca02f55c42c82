"""Draws a comparison: how many times faster each thing is than with lupa 2.8.

    python benches/chart.py RESULTS.json PICTURE.png

It shows small programs and single operations with one Lua, and the mean of all rows for each Lua.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from report import geometric_mean, rows_of

PROGRAMS = {
    "users.redis_script": "Redis-like script",
    "users.wiki_template": "wiki template",
    "users.game_frame": "frame of a game",
    "users.game_events": "events of a game",
    "users.config_file": "configuration file",
    "users.rules": "rule for records",
    "users.text_filter": "text filter (gsub)",
    "users.scheduler": "scheduler of coroutines",
    "users.json_like": "document in and out",
}
PARTS = {
    "call.noargs": "f()",
    "call.int": "f(1)",
    "call.3mixed": "f(1, 2.5, 'abc')",
    "callback.int": "Python function called from Lua",
    "callback.method": "obj:method(1) in Lua",
    "pyobj.getattr": "obj.attribute in Lua",
    "table.getitem_str": "table['key']",
    "table.getattr_str": "table.key",
    "table.dict": "dict(table)",
    "table_from.recursive": "table_from(..., recursive=True)",
    "table_from.list": "table_from(list)",
    "pyobj.iter_list": "python.iter(list)",
    "coroutine.send": "coroutine.send(1)",
    "error.lua_to_python": "error of Lua caught in Python",
    "eval.expr": "eval('1 + 1')",
    "runtime.create": "LuaRuntime()",
}
BLUE, TEAL, VIOLET, RED, GREY = "#2f6fb3", "#3d9488", "#7a5ea8", "#c0504d", "#667080"
NEVER_SLOWER = 1.0


class NothingToDraw(Exception):
    """None of the chart's rows was measured."""


def bars(axes: Axes, title: str, values: dict[str, float], colour: str, most: float) -> None:
    """Horizontal bars that begin at 1: to the right is faster."""
    colours = [colour if value >= NEVER_SLOWER else RED for value in values.values()]
    widths = [value - 1 for value in values.values()]
    axes.barh(list(values), widths, left=1, color=colours, height=0.72, zorder=2)
    for place, value in enumerate(values.values()):
        end = max(value, 1)
        axes.text(end * 1.03, place, f"{value:.1f}" if value >= 1.05 else f"{value:.2f}", va="center", fontsize=9)
    axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", color="#222222")
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(0.97, *values.values()), most)
    ticks = [tick for tick in (1, 2, 4, 8, 16, 32) if tick < most]
    axes.set_xticks(ticks, [f"{tick}×" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color=GREY, linewidth=1, zorder=3)
    axes.grid(axis="x", color="#dde1e6", zorder=0)
    axes.tick_params(axis="y", length=0, labelsize=9.5)
    axes.tick_params(axis="x", length=0, labelsize=9, colors=GREY)
    axes.invert_yaxis()
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def label(module: str) -> str:
    """The name of a module's Lua: of lua54, Lua 5.4."""
    name, major, minor = re.fullmatch(r"(\D+)(\d)(\d+)", module).groups()
    return f"{name.replace('lua', 'Lua').replace('jit', 'JIT')} {major}.{minor}"


def chosen(ratios: dict[str, float], labels: dict[str, str]) -> dict[str, float]:
    """The ratios of labelled rows that were measured, best first."""
    found = {words: ratios[name] for name, words in labels.items() if name in ratios}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def draw(result: dict[str, Any], picture: Path) -> None:
    """Draws what ``compare.py`` has found."""
    modules = result["modules"]
    means = {
        label(name): geometric_mean(best for best, _ in rows_of(module).values())
        for name, module in modules.items()
        if rows_of(module)
    }
    main = "lua54" if "lua54" in modules else next(iter(modules))
    ratios = {name: best for name, (best, _) in rows_of(modules[main]).items()}
    programs = (f"Programs, {label(main)}", chosen(ratios, PROGRAMS), BLUE)
    parts = (f"Single operations, {label(main)}", chosen(ratios, PARTS), TEAL)
    all_rows = ("Every row, geometric mean", means if len(means) > 1 else {}, VIOLET)
    columns = [[panel for panel in column if panel[1]] for column in ([programs, all_rows], [parts])]
    columns = [column for column in columns if column]
    if not columns:
        raise NothingToDraw("none of the rows that it shows was measured")
    panels = [panel for column in columns for panel in column]
    most = 1.4 * max(value for _, values, _ in panels for value in values.values())
    heights = [[len(values) + 2 for _, values, _ in column] for column in columns]
    tallest = max(sum(column) for column in heights)
    figure = pyplot.figure(figsize=(5.6 * len(columns), 0.25 * tallest + 0.7), layout="constrained")
    areas = figure.subfigures(1, len(columns), squeeze=False)[0]
    for area, column, rows in zip(areas, columns, heights):
        grid = area.subplots(len(column), 1, height_ratios=rows, squeeze=False)[:, 0]
        for axes, (title, values, colour) in zip(grid, column):
            bars(axes, title, values, colour, most)
    identity = modules[main]["identity"]
    head = f"How many times faster than lupa {identity['upstream']['version']}"
    figure.suptitle(head, x=0.01, ha="left", fontsize=13, fontweight="bold")
    foot = f"{identity['ours']['python']}, {result['machine']}, {result['time'][:10]}"
    figure.supxlabel(foot, x=0.99, ha="right", fontsize=8.5, color=GREY)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """The command line."""
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    draw(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
