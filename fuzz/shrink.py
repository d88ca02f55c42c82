"""Delta debugging: the shortest list that still does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def shrink(items: Sequence[_T], fails: Callable[[list[_T]], bool], may_go_on: Callable[[], bool]) -> list[_T]:
    """Leave out what can be left out, in chunks that get smaller, while ``may_go_on()``."""
    items = list(items)
    chunk = max(1, len(items) // 2)
    while may_go_on():
        shorter = _without_chunks(items, chunk, fails, may_go_on)
        if len(shorter) < len(items):
            items = shorter
            chunk = max(1, min(chunk, len(items) // 2))
        elif chunk == 1:
            break
        else:
            chunk //= 2
    return items


def _without_chunks(
    items: list[_T], chunk: int, fails: Callable[[list[_T]], bool], may_go_on: Callable[[], bool]
) -> list[_T]:
    """One pass, from the end: what is late rarely matters."""
    end = len(items)
    while end > 0 and may_go_on():
        start = max(0, end - chunk)
        candidate = items[:start] + items[end:]
        if candidate and fails(candidate):
            items = candidate
        end = start
    return items
