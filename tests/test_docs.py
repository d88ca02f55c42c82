"""The examples of the documentation: README.md, docs/, and the docstrings of the package and of each Lua's module."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from conftest import BACKENDS

pytestmark = pytest.mark.beyond

ROOT = Path(__file__).resolve().parent.parent
# Docstrings are run on each Lua, whose exceptions have other names.
DOCSTRINGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
NAMES_OF_LUAS = re.compile(r"\b(?:lua5\d|luajit2\d)\b")
PAGES = sorted((ROOT / "docs").glob("*.md"))
CLASSES = (
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaMemoryError",
    "LuaSandboxError",
    "LuaTimeoutError",
    "LuaInstructionLimitError",
    "LuaInterruptedError",
    "LuaObject",
    "LuaTable",
    "LuaFunction",
    "LuaCoroutineFunction",
    "LuaCoroutine",
    "LuaIterator",
    "LuaArray",
    "FastRLock",
)
FUNCTIONS = (
    "lua_type",
    "as_array",
    "exposed",
    "as_attrgetter",
    "as_itemgetter",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
)


def run_examples(text: str, name: str, namespace: dict, options: int = doctest.ELLIPSIS) -> int:
    """Run the examples in a text and return their number; the first failures are in the assertion."""
    test = doctest.DocTestParser().get_doctest(text, namespace, name, name, 0)
    report: list[str] = []
    failed, attempted = doctest.DocTestRunner(optionflags=options).run(test, out=report.append)
    assert failed == 0, "".join(report)
    return attempted


def skip_without_its_luas(text: str) -> None:
    """Skip a page whose examples name a Lua that is not there.  They are for the Luas that lupa brings along."""
    examples = "\n".join(line for line in text.splitlines() if line.lstrip().startswith((">>>", "...")))
    for name in sorted(set(NAMES_OF_LUAS.findall(examples))):
        pytest.importorskip(f"lupa.{name}", reason=f"has examples for lupa.{name}", exc_type=ImportError)
    if any(importlib.import_module(f"lupa.{name}")._INSTALLED_LUA for name in BACKENDS):
        pytest.skip("has examples for the Luas that lupa brings along")


def documented(lupa):
    """The public things of a module that have, or should have, a docstring: (name, thing)."""
    for name in (*CLASSES, *FUNCTIONS):
        thing = getattr(lupa, name)
        yield name, thing
        if inspect.isclass(thing) and not issubclass(thing, Exception):
            for member, value in vars(thing).items():
                if not member.startswith("_"):
                    yield f"{name}.{member}", value


def test_readme():
    pytest.importorskip("numpy")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    skip_without_its_luas(text)
    assert run_examples(text, "README.md", {}) > 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page):
    text = page.read_text(encoding="utf-8")
    skip_without_its_luas(text)
    if "import numpy" in text:
        pytest.importorskip("numpy")
    examples = run_examples(text, page.name, {})
    assert examples > 0 or ">>>" not in text


def test_package():
    package = importlib.import_module("lupa")
    skip_without_its_luas(package.__doc__)
    assert run_examples(package.__doc__, "lupa", {}) > 0


def test_docstrings_of_a_module(lupa):
    """Each example works on each Lua, whatever ``import lupa`` would have given."""
    texts = [(lupa.__name__, lupa.__doc__)]
    texts += [(f"{lupa.__name__}.{name}", thing.__doc__) for name, thing in documented(lupa)]
    if lupa._INSTALLED_LUA:
        # It is not stopped without a limit, and LuaJIT not in compiled code.
        texts = [(name, text) for name, text in texts if "while true do" not in (text or "")]
    names = {**vars(lupa), "lupa": lupa}
    total = sum(run_examples(text or "", name, {**names}, DOCSTRINGS) for name, text in texts)
    assert total > 0


def test_everything_public_is_documented(lupa):
    assert lupa.__doc__
    assert [name for name, thing in documented(lupa) if not thing.__doc__] == []
