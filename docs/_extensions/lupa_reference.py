"""The directive `lupa`: a class or function as it is when imported, with its docstrings.

Sphinx's own autodoc takes `LuaTable` for an alias, since the class is called `_LuaTable` as ever. Here
names and the order of members are those of the stub, types of results too; signatures and docstrings
come from the compiled module.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lupa
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

STUBS = [Path(lupa.__file__).with_name(name) for name in ("_api.pyi", "__init__.pyi")]
# What the stub's own names mean to a reader.
SPOKEN = {
    "_Str_co": "str",
    "_Count_co": "int | None",
    "Self": "LuaRuntime",
    "_F": "Callable",
    "_LuaType": "str",
    "tuple[_LuaFrame, ...]": "tuple",
}


def result_of(node: ast.FunctionDef) -> str:
    """The type of a result as the page shows it; empty for a class that has no public name."""
    text = ast.unparse(node.returns) if node.returns else ""
    for name, meaning in SPOKEN.items():
        text = text.replace(name, meaning)
    return "" if text.startswith("_") else text


def definitions(body: list[ast.stmt]) -> dict[str, Any]:
    """The classes and functions of a stub; of overloads the last, which is for all arguments."""
    return {node.name: node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def public() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for stub in STUBS:
        found |= definitions(ast.parse(stub.read_text(encoding="utf-8")).body)
    return found


def signature(function: object) -> str:
    """The parameters without `self`."""
    parameters = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    if parameters and parameters[0].name == "self":
        del parameters[0]
    return str(inspect.Signature(parameters))


def described(kind: str, heading: str, thing: object, option: str = "", bases: str = "") -> Iterator[str]:
    yield f".. py:{kind}:: {heading}"
    if option:
        yield f"   {option}"
    yield ""
    if bases:
        yield f"   Base classes: {bases}"
        yield ""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{heading} has no docstring")
    yield from (f"   {line}" for line in text.splitlines())
    yield ""


def function_lines(kind: str, name: str, node: ast.FunctionDef, thing: object) -> Iterator[str]:
    result = result_of(node)
    if any(ast.unparse(decorator) == "property" for decorator in node.decorator_list):
        return described("attribute", name, thing, f":type: {result}")
    arrow = f" -> {result}" if result else ""
    return described(kind, f"{name}{signature(thing)}{arrow}", thing)


def class_lines(name: str, node: ast.ClassDef, thing: type) -> Iterator[str]:
    """A class with its public members."""
    kind = "exception" if issubclass(thing, BaseException) else "class"
    parameters = (thing.__text_signature__ or "") if kind == "class" else ""
    bases = [base.id for base in node.bases if isinstance(base, ast.Name)]
    links = ", ".join(f":py:class:`{base}`" if hasattr(lupa, base) else f"``{base}``" for base in bases)
    yield from described(kind, name + parameters, thing, bases=links)
    for member, definition in definitions(node.body).items():
        if not member.startswith("_"):
            lines = function_lines("method", member, definition, inspect.getattr_static(thing, member))
            yield from (f"   {line}" for line in lines)


class Lupa(SphinxDirective):
    """`.. lupa:: LuaRuntime`"""

    required_arguments = 1

    def run(self) -> list[Any]:
        name = self.arguments[0]
        for stub in STUBS:
            self.env.note_dependency(str(stub))
        node, thing = public().get(name), getattr(lupa, name)
        if isinstance(node, ast.ClassDef):
            lines = class_lines(name, node, thing)
        elif isinstance(node, ast.FunctionDef):
            lines = function_lines("function", name, node, thing)
        else:
            raise self.error(f"the stubs have no class or function {name}")
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("lupa", Lupa)
    return {"parallel_read_safe": True}
