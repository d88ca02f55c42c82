"""Importing: the lazy package, the cascade of the documentation, names and versions."""

import importlib

import pytest
from conftest import BACKENDS, KNOWN_BACKENDS, run_python

PUBLIC_NAMES = {
    "LUA_VERSION",
    "LUA_MAXINTEGER",
    "LUA_MININTEGER",
    "LuaRuntime",
    "LuaError",
    "LuaSyntaxError",
    "LuaMemoryError",
    "as_itemgetter",
    "as_attrgetter",
    "lua_type",
    "unpacks_lua_table",
    "unpacks_lua_table_method",
}
VERSIONS = {
    "lua51": ((5, 1), "Lua 5.1"),
    "lua52": ((5, 2), "Lua 5.2"),
    "lua53": ((5, 3), "Lua 5.3"),
    "lua54": ((5, 4), "Lua 5.4"),
    "lua55": ((5, 5), "Lua 5.5"),
    "luajit20": ((5, 1), "LuaJIT 2.0"),
    "luajit21": ((5, 1), "LuaJIT 2.1"),
}


def printed(code: str) -> str:
    """What code prints in a new interpreter."""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def is_there(name: str) -> bool:
    """Whether this module was built."""
    try:
        importlib.import_module(f"lupa.{name}")
    except ImportError:
        return False
    return True


def test_import_loads_no_lua():
    """The package imports a Lua only when one is used."""
    assert printed("import sys, lupa; print([m for m in sys.modules if m.startswith('lupa.lua')])") == "[]"


def test_default_is_the_newest_puc_lua():
    there = [name for name in KNOWN_BACKENDS if is_there(name)]
    names = [name for name in there if not name.startswith("luajit")] or there
    assert printed("import lupa; print(lupa.LuaRuntime.__module__)") == f"lupa.{max(names)}"


def test_default_loads_one_lua():
    code = "import sys, lupa; lupa.LuaRuntime; print(sum(m.startswith('lupa.lua') for m in sys.modules))"
    assert printed(code) == "1"


def test_default_is_kept():
    assert printed("import lupa; print(lupa.LuaRuntime is lupa.LuaRuntime, 'LuaRuntime' in vars(lupa))") == "True True"


def test_from_import_of_names():
    assert printed("from lupa import LuaRuntime, LuaError, lua_type; print(LuaRuntime().eval('1 + 1'))") == "2"


@pytest.mark.parametrize("form", ["import lupa.{0} as m", "from lupa import {0} as m", "import lupa; m = lupa.{0}"])
def test_forms_of_import(backend, form):
    assert printed(f"{form.format(backend)}; print(m.LuaRuntime().eval('1 + 1'), m.__name__)") == f"2 lupa.{backend}"


def test_import_cascade():
    """As in the documentation: a Lua that is not there is an ImportError."""
    code = """
        try:
            import lupa.lua99 as lupa
        except ImportError:
            import lupa
        print(lupa.LuaRuntime().eval("7"))
    """
    assert printed(code) == "7"


def test_missing_lua_from_import():
    with pytest.raises(ImportError):
        from lupa import lua99  # noqa: F401


@pytest.mark.beyond
def test_missing_lua_names_those_that_are_there():
    lupa = importlib.import_module("lupa")
    with pytest.raises((ImportError, AttributeError)) as caught:
        lupa.lua99  # noqa: B018
    for name in BACKENDS:
        assert name in str(caught.value)


def test_missing_attribute():
    lupa = importlib.import_module("lupa")
    with pytest.raises(AttributeError):
        lupa.no_such_name  # noqa: B018


def test_version():
    assert printed("import lupa; print(lupa.__version__)").split(".")[0].isdigit()


@pytest.mark.parametrize("requirement", ["lupa>=2.0,<3", "lupa>=1.8,<3.0", "lupa~=2.8", "lupa>2.7"])
def test_packages_that_ask_for_lupa_take_it(requirement):
    """In their words; without a pre-release being asked for, as pip has it."""
    version = printed("import lupa; print(lupa.__version__)").strip()
    specifier = pytest.importorskip("packaging.requirements").Requirement(requirement).specifier
    assert list(specifier.filter(["1.0", version])) == [version]


def test_allow_lua_module_loading_is_a_context_manager():
    code = """
        import sys, lupa
        before = sys.getdlopenflags()
        with lupa.allow_lua_module_loading():
            pass
        print(sys.getdlopenflags() == before)
    """
    assert printed(code) == "True"


def test_public_names(lupa):
    assert set(lupa.__all__) >= PUBLIC_NAMES
    for name in lupa.__all__:
        assert hasattr(lupa, name)


def test_lua_version(backend, lupa, lua):
    version, implementation = VERSIONS[backend]
    assert version == lupa.LUA_VERSION
    assert lua.lua_version == version
    assert lua.lua_implementation.startswith(implementation)


def test_integer_limits(lupa):
    assert lupa.LUA_MAXINTEGER == 2**63 - 1
    assert lupa.LUA_MININTEGER == -(2**63)


def test_classes_name_their_module(backend, lupa):
    for cls in (lupa.LuaRuntime, lupa.LuaError, lupa.LuaSyntaxError, lupa.LuaMemoryError, lupa.LuaSandboxError):
        assert cls.__module__ == f"lupa.{backend}"


def test_error_classes(lupa):
    assert issubclass(lupa.LuaError, Exception)
    assert issubclass(lupa.LuaSyntaxError, lupa.LuaError)
    assert issubclass(lupa.LuaMemoryError, lupa.LuaError)
    assert issubclass(lupa.LuaMemoryError, MemoryError)


def test_all_backends_in_one_process():
    """Seven Luas side by side, each its own."""
    modules = [importlib.import_module(f"lupa.{name}") for name in BACKENDS]
    runtimes = [module.LuaRuntime() for module in modules]
    for number, runtime in enumerate(runtimes):
        runtime.globals().number = number
    assert [runtime.globals().number for runtime in runtimes] == list(range(len(runtimes)))
    assert len({module.LuaRuntime for module in modules}) == len(modules)


def test_backends_do_not_share_objects():
    modules = [importlib.import_module(f"lupa.{name}") for name in BACKENDS]
    if len(modules) < 2:
        pytest.skip("one module only")
    foreign = modules[0].LuaRuntime().table(1)
    other = modules[1].LuaRuntime()
    assert modules[1].lua_type(foreign) is None
    assert other.eval("type(...)", foreign) == "userdata"


@pytest.mark.parametrize("order", [KNOWN_BACKENDS, KNOWN_BACKENDS[::-1]], ids=["up", "down"])
def test_load_order_does_not_matter(order):
    names = [name for name in order if name in BACKENDS]
    code = "import importlib\n" + "\n".join(
        f"print(importlib.import_module('lupa.{name}').LuaRuntime().lua_implementation.split('-')[0])" for name in names
    )
    lines = printed(code).splitlines()
    assert [line[: len(VERSIONS[name][1])] for name, line in zip(names, lines)] == [VERSIONS[name][1] for name in names]


def test_probing_for_a_missing_module_finds_none():
    """`find_spec` asks, it does not import: the answer is no, not an error."""
    code = "import importlib.util as u, lupa; print(u.find_spec('lupa.lua99'), hasattr(lupa, 'lua99'))"
    assert printed(code) == "None False"


@pytest.mark.beyond
@pytest.mark.parametrize("statement", ["import lupa.lua99", "from lupa import lua99", "lupa.lua99"])
def test_every_way_to_a_missing_module_names_those_there_are(statement):
    code = f"import lupa\ntry: {statement}\nexcept (ImportError, AttributeError) as error: print(error)"
    assert all(name in printed(code) for name in BACKENDS)


@pytest.mark.beyond
def test_a_python_with_other_integers(backend):
    """How an int is laid out is part of what a module is built for."""
    done = run_python(f"""
        import sys, types
        sys.int_info = types.SimpleNamespace(bits_per_digit=15)
        try:
            import lupa.{backend} as lupa
        except ImportError as error:
            print(error)
        else:
            print(lupa.LuaRuntime().eval("...", 2**20 + 1))
    """)
    assert done.stdout in (
        "the integers of this Python have digits of 15 bits; lupa needs 30\n",
        f"{2**20 + 1}\n",  # by the stable ABI, which knows nothing of digits
    ), done.stderr


def test_version_module():
    assert printed("import lupa, lupa.version; print(lupa.version.__version__ == lupa.__version__)") == "True"
