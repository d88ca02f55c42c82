"""eval, execute, compile and require: code in, values out."""

import pytest


def test_eval(lua):
    assert lua.eval("1 + 1") == 2
    assert lua.eval("nil") is None
    assert lua.eval("") is None
    assert lua.eval("1, 'a', nil") == (1, "a", None)


def test_execute(lua):
    assert lua.execute("x = 5") is None
    assert lua.execute("return x") == 5
    assert lua.execute("return 1, 2") == (1, 2)
    assert lua.execute("") is None


def test_arguments(lua):
    assert lua.eval("...", 1, None, "x") == (1, None, "x")
    assert lua.execute("local a, b = ...; return b, a", 1, 2) == (2, 1)
    assert lua.eval('select("#", ...)', None, None) == 2
    assert lua.eval('select("#", ...)') == 0


def test_keyword_arguments_are_refused(lua):
    with pytest.raises(TypeError):
        lua.eval("1", colour=1)


@pytest.mark.parametrize("kind", [str, lambda s: s.encode(), lambda s: bytearray(s.encode())])
def test_kinds_of_code(lua, kind):
    assert lua.eval(kind("'ä'")) == "ä"
    assert lua.execute(kind("return 2")) == 2
    assert lua.compile(kind("return 3"))() == 3


@pytest.mark.parametrize("code", [1, None, memoryview(b"1"), ["1"]])
def test_code_of_another_type(lua, code):
    for method in (lua.eval, lua.execute, lua.compile):
        with pytest.raises(TypeError, match="^Expected string, got <class"):
            method(code)


def test_source_encoding(lupa):
    lua = lupa.LuaRuntime(encoding=None, source_encoding="latin-1")
    assert lua.eval("'ä'") == b"\xe4"
    with pytest.raises(UnicodeEncodeError):
        lua.eval("'€'")


def test_code_that_cannot_be_encoded(lua):
    with pytest.raises(UnicodeEncodeError):
        lua.execute("x = '\ud800'")


def test_nul_in_code(lua):
    assert lua.eval(b"#'a\\0b'") == 3


def test_bytecode(lupa):
    lua = lupa.LuaRuntime(encoding=None)
    code = lua.eval("string.dump(function(...) return 7, ... end)")
    assert lua.execute(code, 1) == (7, 1)
    assert lua.compile(code)(2) == (7, 2)


def test_mode(lupa):
    """``mode`` says which kind of code is taken; by the documentation this has no effect on Lua 5.1."""
    lua = lupa.LuaRuntime(encoding=None)
    code = lua.eval("string.dump(function() return 7 end)")
    assert lua.execute(code, mode="b") == 7
    assert lua.execute("return 7", mode="t") == 7
    assert lua.execute(code, mode="bt") == 7
    if lupa.LUA_VERSION < (5, 2):
        return
    with pytest.raises(lupa.LuaSyntaxError):
        lua.execute(code, mode="t")
    with pytest.raises(lupa.LuaSyntaxError):
        lua.execute("return 7", mode="b")
    with pytest.raises(lupa.LuaSyntaxError):
        lua.compile("return 7", mode="b")


def test_bad_mode_and_name(lua):
    with pytest.raises(ValueError, match="expected string"):
        lua.eval("1", mode=3)
    with pytest.raises(UnicodeEncodeError):
        lua.eval("1", mode="ä")
    with pytest.raises(TypeError, match="^Expected string, got <class 'int'>"):
        lua.eval("1", name=3)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (None, '[string "<python>"]'),
        ("code", '[string "code"]'),
        (b"code", '[string "code"]'),
        ("=code", "code"),
        ("@code.lua", "code.lua"),
    ],
)
def test_name_in_messages(lupa, lua, name, shown):
    with pytest.raises(lupa.LuaError) as caught:
        lua.eval("(error('x'))", name=name)
    assert str(caught.value).startswith(f"{shown}:1: x")
    with pytest.raises(lupa.LuaError) as caught:
        lua.execute("error('x')", name=name)
    assert str(caught.value).startswith(f"{shown}:1: x")
    with pytest.raises(lupa.LuaError) as caught:
        lua.compile("error('x')", name)()
    assert str(caught.value).startswith(f"{shown}:1: x")


def test_name_in_syntax_errors(lupa, lua):
    with pytest.raises(lupa.LuaSyntaxError) as caught:
        lua.execute("\n\nx = = 1", name="=code")
    assert str(caught.value).startswith("error loading code: code:3: unexpected symbol near ")
    with pytest.raises(lupa.LuaSyntaxError) as caught:
        lua.compile("x = = 1", name="=code")
    assert str(caught.value).startswith("code:1: unexpected symbol near ")


@pytest.mark.parametrize("code", ["x =", "(", "1 + * 2", "x = 'abc", "x = [[", "for i=1 do end", "\0"])
def test_syntax_errors(lupa, lua, code):
    with pytest.raises(lupa.LuaSyntaxError):
        lua.execute(code)
    with pytest.raises(lupa.LuaSyntaxError):
        lua.compile(code)
    assert lua.eval("1") == 1


def test_compile(lupa, lua):
    function = lua.compile("local a, b = ...; return a + b")
    assert lupa.lua_type(function) == "function"
    assert function(1, 2) == 3
    assert function(3, 4) == 7


def test_compile_does_not_run(lua):
    function = lua.compile("ran = true")
    assert lua.globals().ran is None
    function()
    assert lua.globals().ran is True


def loaded(result):
    """The module of a result of require, to which 5.4 and later add where it was found."""
    return result[0] if isinstance(result, tuple) else result


def test_require(lua):
    lua.execute("package.preload.mine = function(name) return {name = name} end")
    module = loaded(lua.require("mine"))
    assert module.name == "mine"
    lua.globals().module = module
    assert lua.eval("require('mine') == module")
    assert lua.require(b"string").upper("a") == "A"


def test_require_of_python(lua):
    """The library ``python`` is a loaded module."""
    assert lua.eval("require('python') == python")


def test_require_of_a_missing_module(lupa, lua):
    with pytest.raises(lupa.LuaError, match="module 'no.such.module' not found"):
        lua.require("no.such.module")


def test_require_of_a_failing_module(lupa, lua):
    lua.execute("package.preload.bad = function() error('in the module') end")
    with pytest.raises(lupa.LuaError, match="in the module"):
        lua.require("bad")


def test_require_needs_a_string(lua):
    with pytest.raises(TypeError, match="^modulename must be a string$"):
        lua.require(1)


def test_require_that_was_removed(lupa, lua):
    lua.execute("require = nil")
    with pytest.raises(lupa.LuaError, match="^require is not defined$"):
        lua.require("string")


def test_require_from_a_path(lua, tmp_path):
    (tmp_path / "ours.lua").write_text("return {value = ...}")
    lua.execute("package.path = ...", f"{tmp_path}/?.lua")
    assert loaded(lua.require("ours")).value == "ours"


def test_eval_within_a_callback(lua):
    function = lua.eval("function(f) return f('1 + 1') + 1 end")
    assert function(lua.eval) == 3


def test_many_results(lua):
    count = 200
    results = lua.execute(f"local t = {{}} for i = 1, {count} do t[i] = i end return (table.unpack or unpack)(t)")
    assert results == tuple(range(1, count + 1))


def test_many_arguments(lua):
    count = 5000
    assert lua.eval("select('#', ...)", *range(count)) == count
    assert lua.eval("select(-1, ...)", *range(count)) == count - 1
