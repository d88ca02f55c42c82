"""Grammars as text, and programs drawn from them.

A rule without line ends is a list of words, each a production.  Otherwise each line is one: an optional weight
(``5:``), optional conditions (``@string.pack``, ``@!jit``: the module has this, or has it not), and text in which
``$name`` stands for another rule.  ``$name!r`` is the expansion as a Python string literal, which is how Lua code
gets into Python code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

# Gives a number below the one it gets: all that a program depends on.
Draw = Callable[[int], int]

_LINE = re.compile(r"(?:(?P<weight>\d+):(?: |$))?(?P<conditions>(?:@\S+ )*)(?P<text>.*)")
_PLACE = re.compile(r"\$(\w+)(!r)?")
_UNREACHABLE = 10**6


@dataclass(frozen=True)
class Production:
    """One way to expand a rule."""

    weight: int
    parts: tuple[str, ...]
    """Text and names of rules in turn; the first is text."""
    quoted: tuple[bool, ...]
    """For each rule, whether its expansion becomes a string literal."""


class Grammar:
    """The productions whose conditions hold."""

    def __init__(self, rules: Mapping[str, str], features: Collection[str]):
        self._rules: dict[str, list[Production]] = {}
        for name, block in rules.items():
            lines = block.splitlines() if "\n" in block else block.split()
            lines = [line.strip() for line in lines if line.strip()]
            found = [_parse(line, features) for line in lines]
            self._rules[name] = [production for production in found if production]
        self._depths = {name: _UNREACHABLE for name in self._rules}
        self._measure()
        for name, depth in self._depths.items():
            if depth == _UNREACHABLE:
                raise ValueError(f"the rule {name!r} never ends in text")

    def _measure(self) -> None:
        """How deep the shallowest expansion of each rule is."""
        changed = True
        while changed:
            changed = False
            for name, productions in self._rules.items():
                depth = min((self._depth(production) for production in productions), default=_UNREACHABLE)
                if depth < self._depths[name]:
                    self._depths[name] = depth
                    changed = True

    def _depth(self, production: Production) -> int:
        return min(_UNREACHABLE, 1 + max((self._depths[rule] for rule in production.parts[1::2]), default=0))

    def expand(self, name: str, draw: Draw, depth: int) -> str:
        """Text for a rule, nested about as deep as ``depth``."""
        productions = self._rules[name]
        allowed = max(depth, self._depths[name])
        productions = [production for production in productions if self._depth(production) <= allowed]
        number = draw(sum(production.weight for production in productions))
        for production in productions:
            number -= production.weight
            if number < 0:
                break
        pieces = [production.parts[0]]
        for place, quoted in enumerate(production.quoted):
            inner = self.expand(production.parts[1 + 2 * place], draw, depth - 1)
            pieces += [repr(inner) if quoted else inner, production.parts[2 + 2 * place]]
        return "".join(pieces)


def _parse(line: str, features: Collection[str]) -> Production | None:
    """A line of a rule; None if a condition does not hold."""
    match = _LINE.fullmatch(line)
    assert match is not None
    for condition in match["conditions"].split():
        if (condition.lstrip("@!") in features) == condition.startswith("@!"):
            return None
    pieces = _PLACE.split(match["text"])
    parts = [piece for number, piece in enumerate(pieces) if number % 3 != 2]
    return Production(int(match["weight"] or 1), tuple(parts), tuple(piece == "!r" for piece in pieces[2::3]))
