"""The type stubs: that they are shipped, and that they name just what there is."""

import ast
import importlib
import pathlib
import sys

import lupa as package
import pytest

pytestmark = pytest.mark.beyond

PACKAGE = pathlib.Path(package.__file__).parent
CLASSES = (
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaMemoryError",
    "LuaSandboxError",
    "FastRLock",
    "_LuaObject",
    "_LuaTable",
    "_LuaFunction",
    "_LuaCoroutineFunction",
    "_LuaThread",
    "_LuaIter",
    "_LuaArray",
)
# What any class of Python has, or what C types have for the machinery of calls.
# `copy` and `pickle` leave `__slotnames__` on a class that they have tried.
ANY_CLASS = {
    "__doc__",
    "__module__",
    "__new__",
    "__weakref__",
    "__vectorcalloffset__",
    "__getattribute__",
    "__slotnames__",
}
# What only later Pythons show of a slot that all have.
NOT_YET = {"__buffer__", "__release_buffer__"} if sys.version_info < (3, 12) else set()


def parse(name):
    return ast.parse((PACKAGE / f"{name}.pyi").read_text(encoding="utf-8"))


def defined(nodes):
    """The names that statements of a stub define, with the statements; no type variables and aliases."""
    found = {}
    for node in nodes:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            only_for_checkers = any("type_check_only" in ast.unparse(d) for d in node.decorator_list)
            if not only_for_checkers:
                found[node.name] = node
        elif isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) != "TypeAlias":
            found[node.target.id] = node
    return found


def exported(name):
    """The names that the stub of a module gives, star imports and all."""
    tree = parse(name)
    found = set(defined(tree.body))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "lupa":
            for alias in node.names:
                if alias.name == "*":
                    found |= set(all_of(node.module.rpartition(".")[2]))
                elif alias.asname == alias.name:  # what makes an import of a stub public
                    found.add(alias.name)
    return found - {"__all__"}


def all_of(name):
    for node in parse(name).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"no __all__ in {name}.pyi")


def is_dunder(name):
    return name.startswith("__") and name.endswith("__")


@pytest.fixture(scope="module")
def api():
    return defined(parse("_api").body)


def test_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_api_is_for_type_checkers_only():
    with pytest.raises(ImportError):
        importlib.import_module("lupa._api")


def test_module_has_just_the_names_of_its_stub(backend, lupa):
    assert {name for name in vars(lupa) if not is_dunder(name)} == exported(backend)
    assert sorted(lupa.__all__) == sorted(all_of("_api"))


def test_stubs_of_the_modules_are_the_same(backend):
    assert exported(backend) == set(defined(parse("_api").body))


def test_package_has_the_names_of_its_stub(backend):
    names = exported("__init__")
    assert names >= {*package.__all__, backend, "__version__"}
    assert sorted(package.__all__) == sorted(all_of("__init__"))
    for name in names:
        if not name.startswith("lua") or name == "lua_type":  # not every Lua has to be there
            assert hasattr(package, name)


@pytest.mark.parametrize("name", CLASSES)
def test_class_has_just_the_members_of_its_stub(lupa, api, name):
    kind = getattr(lupa, name)
    stub = set()
    for base in kind.__mro__:
        if base.__name__ in CLASSES:
            stub |= set(defined(api[base.__name__].body))
    assert set(vars(kind)) - ANY_CLASS <= stub | vars(object).keys()
    assert stub - NOT_YET <= set(dir(kind))


@pytest.mark.parametrize("name", CLASSES)
def test_class_has_the_bases_of_its_stub(lupa, api, name):
    bases = [ast.unparse(base) for base in api[name].bases if not ast.unparse(base).startswith("Generic")]
    assert bases == [base.__name__ for base in getattr(lupa, name).__bases__ if base is not object]


def test_constructor_has_the_parameters_of_its_stub(lupa, api):
    arguments = defined(api["LuaRuntime"].body)["__new__"].args
    names = [argument.arg for argument in arguments.args]
    assert len(arguments.defaults) == len(names) - 1
    positional = dict(zip(names[1:], map(ast.unparse, arguments.defaults)))
    by_name = dict(zip((a.arg for a in arguments.kwonlyargs), map(ast.unparse, arguments.kw_defaults)))
    parts = [f"{name}={default}" for name, default in positional.items()]
    parts += ["*"] * bool(by_name) + [f"{name}={default}" for name, default in by_name.items()]
    assert lupa.LuaRuntime.__text_signature__ == f"({', '.join(parts)})"
    lupa.LuaRuntime(**{name: ast.literal_eval(default) for name, default in {**positional, **by_name}.items()})
