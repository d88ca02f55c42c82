"""Lua modules written in C or Rust: Debian's lua-cjson and lua-lpeg, and our own ``crates/lua-module-fixture``.

Each test has a process of its own, as what is loaded stays.  A module takes the functions of Lua's API from the one Lua
that the process shows to all (see ``allow_lua_module_loading``), so a second Lua has to refuse modules, not crash.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BACKENDS, run_python

pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(sys.platform == "win32", reason="a module is bound to lua5x.dll by its name there"),
]

# Works with an installed Lua, too; the rest needs a loader that is ours (see docs/packaging.md).
WITH_INSTALLED_LUA = {"test_allow_lua_module_loading", "test_a_broken_module"}


@pytest.fixture(autouse=True)
def _own_loader(request):
    installed = any(importlib.import_module(f"lupa.{name}")._INSTALLED_LUA for name in BACKENDS)
    if installed and request.node.originalname not in WITH_INSTALLED_LUA:
        pytest.skip("an installed Lua loads modules without our loader")


ROOT = Path(__file__).resolve().parent.parent
DEBIAN_PACKAGES = ("lua-cjson", "lua-lpeg")
# The version in the names of Debian's folders; LuaJIT loads modules for Lua 5.1.
DEBIAN_VERSION = {"lua51": "5.1", "lua52": "5.2", "lua53": "5.3", "lua54": "5.4", "luajit20": "5.1", "luajit21": "5.1"}
FEATURE = {"luajit20": "luajit", "luajit21": "luajit"}


def missing(reason: str):
    """Skip where a tool is absent; a run that has to be complete fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def debian() -> Path:
    """Debian's modules, unpacked under ``target``; nothing is installed."""
    folder = ROOT / "target" / "debian-modules"
    if (folder / "complete").exists():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        pytest.skip("apt-get and dpkg are needed for Debian's modules")
    folder.mkdir(parents=True, exist_ok=True)
    command = ["apt-get", "download", *DEBIAN_PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        missing(f"{' '.join(command)} failed: {done.stderr.strip()}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    (folder / "complete").touch()
    return folder


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder with ``<feature>/fixture.so`` of our own module: given, or built here."""
    given = os.environ.get("LUPA_FIXTURE_DIR")
    if given:
        return Path(given)
    if not (ROOT / "crates" / "lua-module-fixture").is_dir():
        pytest.skip("the source distribution is without lua-module-fixture")
    if not shutil.which("cargo"):
        missing("cargo is needed for lua-module-fixture")
    folder = ROOT / "target" / "fixtures"
    for feature in sorted({FEATURE.get(backend, backend) for backend in BACKENDS}):
        target = ROOT / "target" / "fixture-build" / feature
        command = ["cargo", "build", "--locked", "--release", "--package", "lua-module-fixture"]
        command += ["--no-default-features", "--features", feature, "--target-dir", str(target)]
        subprocess.run(command, cwd=ROOT, check=True)
        (folder / feature).mkdir(parents=True, exist_ok=True)
        suffix = "dylib" if sys.platform == "darwin" else "so"
        shutil.copy(target / "release" / f"liblua_module_fixture.{suffix}", folder / feature / "fixture.so")
    return folder


@pytest.fixture
def cpath(backend, debian) -> str:
    """The search pattern of Debian's modules for this backend."""
    if backend not in DEBIAN_VERSION:
        pytest.skip(f"Debian has no modules for {backend}")
    folders = list(debian.glob(f"usr/lib/*/lua/{DEBIAN_VERSION[backend]}"))
    if not folders:
        pytest.skip(f"this Debian has no modules for {backend}")
    (folder,) = folders
    return f"{folder}/?.so"


@pytest.fixture
def fixture_cpath(backend, fixtures) -> str:
    """The search pattern of our own module for this backend."""
    return f"{fixtures}/{FEATURE.get(backend, backend)}/?.so"


def test_cjson(isolated, cpath):
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        lua.execute('''
            json = require "cjson"
            decoded = json.decode('{"a": [1, 2, {"b": null}], "c": "text"}')
            encoded = json.encode({list = {1, 2, 3}, name = "x"})
            ok, message = pcall(json.decode, "{broken")
        ''')
        g = lua.globals()
        assert list(g.decoded.a.values())[:2] == [1, 2]
        assert g.decoded.c == "text"
        assert '"list":[1,2,3]' in g.encoded
        assert g.ok is False and "broken" in g.message or "invalid" in g.message
        for _ in range(200):
            try:
                g.json.decode("[1,")
            except lupa.LuaError:
                pass
            else:
                raise AssertionError
        large = lua.eval('''function(n)
            local t = {}
            for i = 1, n do t[i] = {id = i, name = "name " .. i} end
            return #json.decode(json.encode(t))
        end''')
        assert large(5000) == 5000
        """,
        cpath,
    )


def test_lpeg(isolated, cpath):
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        match = lua.execute('''
            local lpeg = require "lpeg"
            local number = lpeg.R("09")^1 / tonumber
            local list = lpeg.Ct(number * (lpeg.P(",") * number)^0)
            return function(text) return list:match(text) end
        ''')
        assert list(match("1,22,333").values()) == [1, 22, 333]
        assert match("x") is None
        """,
        cpath,
    )


def test_callbacks_of_python_in_a_module(isolated, cpath):
    """A Python function is called from C code of a module, and raises through it."""
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        run = lua.execute('''
            local lpeg = require "lpeg"
            return function(f, text)
                return (lpeg.R("az")^1 / python.as_function(f)):match(text)
            end
        ''')
        assert run(lambda text: text.upper(), "abc") == "ABC"
        def fail(text):
            raise KeyError(text)
        try:
            run(fail, "abc")
        except KeyError as error:
            assert error.args == ("abc",)
        else:
            raise AssertionError
        """,
        cpath,
    )


def test_runtime_ends_with_a_module_loaded(isolated, cpath):
    """The state closes before the module is unloaded, in this order or another, many times."""
    isolated(
        """
        import sys
        for _ in range(30):
            runtime = lupa.LuaRuntime()
            runtime.execute("package.cpath = ...", sys.argv[1])
            runtime.execute('lpeg = require "lpeg"; p = lpeg.P("x"); json = require "cjson"')
            del runtime
            gc.collect()
        """,
        cpath,
    )


def test_allow_lua_module_loading(backend, cpath):
    """2.8's way to say which Lua modules are for."""
    done = run_python(
        f"""
        import sys, lupa
        with lupa.allow_lua_module_loading():
            from lupa import {backend}
        lua = {backend}.LuaRuntime()
        lua.execute("package.cpath = ...", sys.argv[1])
        module = lua.require("cjson")
        module = module[0] if isinstance(module, tuple) else module
        assert module.encode(lua.table(1, 2)) == "[1,2]"
        """,
        cpath,
    )
    assert done.returncode == 0, done.stderr


def test_our_module(isolated, fixture_cpath):
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        lua.execute("fixture = require 'fixture'")
        fixture = lua.globals().fixture
        assert fixture.sum(1, 2, 3.5) == 6.5
        assert fixture.echo("text") == "text"
        assert list(fixture.list(3).values()) == [1, 2, 3]
        counter = fixture.counter(10)
        assert lupa.lua_type(counter) == "userdata"
        assert lua.eval("function(c) return c:add(5), c:get() end")(counter) == (15, 15)
        assert fixture.call(lua.eval("function(a, b) return b, a end"), 1, 2) == (2, 1)
        assert fixture.call(lua.eval("python.as_function(...)", lambda x: x + 1) and lua.eval("tostring"), 5) == "5"
        for _ in range(3):
            gc.collect()
            lua.gccollect()
        """,
        fixture_cpath,
    )


def test_errors_of_our_module(isolated, fixture_cpath):
    """An error of the module is caught in Lua and arrives in Python."""
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        lua.execute("fixture = require 'fixture'")
        fixture = lua.globals().fixture
        for _ in range(100):
            assert lua.eval("pcall(fixture.fail, 'message')")[0] is False
            assert "message" in lua.eval("select(2, pcall(fixture.fail, 'message'))").__str__()
            try:
                fixture.fail("message")
            except lupa.LuaError as error:
                assert "message" in str(error.value)
            else:
                raise AssertionError
        try:
            fixture.sum("no number", {})
        except lupa.LuaError:
            pass
        else:
            raise AssertionError
        assert lua.eval("1 + 1") == 2
        """,
        fixture_cpath,
    )


def test_a_panic_in_our_module(backend, fixture_cpath):
    """mlua makes an error of it, which arrives like any other."""
    done = run_python(
        f"""
        import sys
        import lupa.{backend} as lupa
        lua = lupa.LuaRuntime()
        lua.execute("package.cpath = ...; fixture = require 'fixture'", sys.argv[1])
        try:
            lua.globals().fixture.panics("a panic")
        except lupa.LuaError as error:
            assert "a panic" in str(error.value), error.value
        else:
            raise AssertionError
        assert lua.eval("1 + 1") == 2
        """,
        fixture_cpath,
    )
    assert done.returncode == 0, done.stderr


def test_python_exceptions_through_our_module(isolated, fixture_cpath):
    """Python calls Lua calls Rust calls Lua calls Python, which raises."""
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1])
        lua.execute("fixture = require 'fixture'")
        through = lua.eval("function(f) return fixture.call(function(...) return f(...) end, 1, 2) end")
        assert through(lambda a, b: a + b) == 3
        def fail(a, b):
            raise KeyError(a, b)
        for _ in range(100):
            try:
                through(fail)
            except (KeyError, lupa.LuaError):
                pass
            else:
                raise AssertionError
        assert lua.eval("function(f) return pcall(fixture.call, function() f(1, 2) end) end")(fail)[0] is False
        assert through(lambda a, b: a + b) == 3
        """,
        fixture_cpath,
    )


def test_memory_limit_with_our_module(isolated, fixture_cpath):
    isolated(
        """
        import sys
        lua = lupa.LuaRuntime(max_memory=1_000_000)
        lua.execute("package.cpath = ...", sys.argv[1])
        lua.execute("fixture = require 'fixture'")
        try:
            lua.execute("return fixture.list(1e7)")
        except lupa.LuaError as error:
            assert "memory" in str(error.value)  # the value is a userdata of mlua's, with __tostring
        else:
            raise AssertionError
        lua.set_max_memory(0)
        assert lua.eval("#fixture.list(10)") == 10
        """,
        fixture_cpath,
    )


@pytest.mark.parametrize("second", BACKENDS)
def test_modules_in_two_backends(backend, second, fixtures):
    """The second Lua either loads its module or says that it can't."""
    if second == backend:
        pytest.skip("one backend only")
    done = run_python(
        f"""
        import sys
        import lupa.{backend} as one, lupa.{second} as two
        for module, path in ((one, sys.argv[1]), (two, sys.argv[2]), (one, sys.argv[1])):
            lua = module.LuaRuntime()
            lua.execute("package.cpath = ...", path)
            try:
                lua.execute("fixture = require 'fixture'")
                print(lua.eval("fixture.sum(1, 2)"), lua.eval("fixture.counter(1):add(1)"))
            except module.LuaError as error:
                assert module is two, error
                message = str(error)
                assert "fixture" in message and "another Lua" in message, message
                print("refused")
            assert lua.eval("1 + 1") == 2
        """,
        *[f"{fixtures}/{FEATURE.get(name, name)}/?.so" for name in (backend, second)],
    )
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    first, other, last = done.stdout.splitlines()
    assert [float(x) for x in first.split()] == [3, 2]
    assert first == last
    assert other == "refused" or [float(x) for x in other.split()] == [3, 2]


def test_a_module_for_another_lua_is_not_loaded_into_it(fixtures):
    """In a process where one Lua has modules, ``package.loadlib`` of another is refused too."""
    if not {"lua54", "lua51"} <= set(BACKENDS):
        pytest.skip("needs lua51 and lua54")
    done = run_python(
        """
        import sys
        import lupa.lua54 as one, lupa.lua51 as two
        lua = one.LuaRuntime()
        lua.execute("package.cpath = ...; require 'fixture'", sys.argv[1] + "/lua54/?.so")
        other = two.LuaRuntime()
        print(other.execute("return package.loadlib(...)", sys.argv[1] + "/lua51/fixture.so", "luaopen_fixture"))
        """,
        str(fixtures),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("(None, ", "<Lua function"))


def test_a_broken_module(isolated, tmp_path):
    """What is no library at all is an error with the loader's words."""
    (tmp_path / "broken.so").write_bytes(b"no library")
    isolated(
        """
        import sys
        lua.execute("package.cpath = ...", sys.argv[1] + "/?.so")
        try:
            lua.require("broken")
        except lupa.LuaError as error:
            assert "broken" in str(error)
        else:
            raise AssertionError
        assert lua.eval("package.loadlib('/no/such/file.so', 'x')")[0] is None
        """,
        str(tmp_path),
    )
