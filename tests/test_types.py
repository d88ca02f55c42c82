"""The names for annotations, the stubs, and the cases of tests/typing at run time.

That the stubs name just what there is, and what type checkers make of them, is for mypy, stubtest and
pyright to say: `cargo xtask test --only types`.
"""

import ast
import importlib
import importlib.util
import inspect
import pathlib
import sys
import types
import typing

import lupa as package
import pytest

pytestmark = pytest.mark.beyond

PACKAGE = pathlib.Path(package.__file__).parent
CASES = pathlib.Path(__file__).parent / "typing" / "results.py"
PUBLIC_NAMES = {
    "LuaObject": "_LuaObject",
    "LuaTable": "_LuaTable",
    "LuaFunction": "_LuaFunction",
    "LuaCoroutineFunction": "_LuaCoroutineFunction",
    "LuaCoroutine": "_LuaThread",
    "LuaIterator": "_LuaIter",
    "LuaArray": "_LuaArray",
}


def stub(name):
    return (PACKAGE / f"{name}.pyi").read_text(encoding="utf-8")


def test_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_api_is_for_type_checkers_only():
    with pytest.raises(ImportError):
        importlib.import_module("lupa._api")


def test_modules_share_one_stub(backend):
    assert stub(backend) == stub("lua54")


def test_classes_have_public_names(lupa):
    for public, name in PUBLIC_NAMES.items():
        kind = getattr(lupa, public)
        # What lupa 2.8 calls the class is what its `__name__` stays.
        assert kind is getattr(lupa, name)
        assert kind.__name__ == name
        assert public in lupa.__all__


def test_public_names_are_for_isinstance(lupa):
    lua = lupa.LuaRuntime()
    function = lua.eval("function() end")
    assert isinstance(lua.table(), lupa.LuaTable)
    assert isinstance(function, lupa.LuaFunction)
    assert isinstance(function.coroutine(), lupa.LuaCoroutine)
    assert isinstance(lua.eval("coroutine.create(...)", function), lupa.LuaCoroutineFunction)
    assert isinstance(iter(lua.table()), lupa.LuaIterator)
    assert isinstance(lua.eval("python.zeros(3)"), lupa.LuaArray)
    assert isinstance(lua.eval("io.stdout"), lupa.LuaObject)
    assert not isinstance([], lupa.LuaObject)


def test_generic_classes_have_parameters_for_annotations(lupa):
    assert typing.get_origin(lupa.LuaRuntime[bytes, int]) is lupa.LuaRuntime
    assert typing.get_args(lupa.LuaIterator[str]) == (str,)

    class Runtime(lupa.LuaRuntime[str, int]):
        pass

    assert Runtime().eval("1") == 1


def test_package_exports_what_its_modules_do(lupa):
    assert {*package.__all__} == {*lupa.__all__, "allow_lua_module_loading"}


def test_constructor_has_the_parameters_of_its_stub(lupa):
    """stubtest sees no signature where there is a `__new__` only."""
    tree = ast.parse(stub("_api"))
    runtime = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "LuaRuntime")
    constructors = [node for node in runtime.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    arguments = constructors[-1].args
    kind = inspect.Parameter
    declared = [
        kind(argument.arg, kind.POSITIONAL_OR_KEYWORD, default=ast.literal_eval(default))
        for argument, default in zip(arguments.args[1:], arguments.defaults)
    ]
    declared += [
        kind(argument.arg, kind.KEYWORD_ONLY, default=ast.literal_eval(default))
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults)
    ]
    assert list(inspect.signature(lupa.LuaRuntime).parameters.values()) == declared
    lupa.LuaRuntime(**{parameter.name: parameter.default for parameter in declared})


def test_methods_have_signatures(lupa):
    for kind in (lupa.LuaRuntime, lupa.LuaTable, lupa.LuaFunction, lupa.LuaCoroutine, lupa.FastRLock):
        for name, member in vars(kind).items():
            if callable(member) and not name.startswith("__"):
                assert "Ellipsis" not in str(inspect.signature(member)), name


def is_of(value, kind, names):
    """Whether a value is of a type, as far as that can be seen."""
    if isinstance(kind, str):
        kind = eval(kind, names)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if kind is typing.Any:
        return True
    if origin is typing.Literal:
        return value in args
    if origin is typing.Union:
        return any(is_of(value, arg, names) for arg in args)
    return isinstance(value, origin or kind)


@pytest.fixture
def cases(monkeypatch):
    """tests/typing/results.py, with an `assert_type` that looks at the values."""
    pytest.importorskip("lupa.lua54")
    checked = []

    def assert_type(value, kind):
        assert is_of(value, kind, vars(module)), f"{value!r} is not of the type {kind}"
        checked.append(kind)

    monkeypatch.setitem(sys.modules, "typing_extensions", types.SimpleNamespace(assert_type=assert_type))
    spec = importlib.util.spec_from_file_location("results", CASES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, checked


def test_cases_of_the_type_checkers_are_true(cases):
    module, checked = cases
    lua = package.LuaRuntime(max_memory=0)
    function = lua.eval("function(n) for i = 1, 3 do coroutine.yield(i) end end")
    arguments = {
        "annotated": (lua, package.LuaRuntime(None, max_memory=0)),
        "functions": (lua.eval("function(n) if coroutine.isyieldable() then coroutine.yield(n) end end"),),
        "kinds": (lua.table(), function, function.coroutine(), lua.eval("io.stdout")),
        "limited": (None,),
        "limits": (lua,),
        "running_code": (lua,),
        "tables": (lua.table(10, 20, name="wolf"),),
        "unions": ({},),
    }
    functions = {name: case for name, case in vars(module).items() if inspect.isfunction(case)}
    for name in functions.keys() - {"area", "assert_type"}:
        functions[name](*arguments.get(name, ()))
    assert len(checked) > 50
