"""Strings: encodings, bytes, and text that does not fit an encoding."""

import pytest


@pytest.mark.parametrize("text", ["", "abc", "ä", "€", "😀", "a\0b", "\0", "x" * 100_000, "\u0000\uffff\U0010ffff"])
def test_round_trip(lua, text):
    assert lua.eval("...", text) == text
    assert lua.eval("#...", text) == len(text.encode())


def test_bytes_go_in_as_they_are(lua):
    assert lua.eval("#...", b"\xff\xfe") == 2
    assert lua.eval("string.byte(..., 1)", b"\xff") == 255
    assert lua.eval("...", "ä".encode()) == "ä"


@pytest.mark.parametrize("literal", ["\\255", "\\237\\160\\128", "a\\195", "\\192\\128"])
def test_invalid_utf8_from_lua(lua, literal):
    with pytest.raises(UnicodeDecodeError):
        lua.eval(f'"{literal}"')
    with pytest.raises(UnicodeDecodeError):
        lua.eval(f'{{"{literal}"}}')[1]
    with pytest.raises(UnicodeDecodeError):
        list(lua.eval(f'{{["{literal}"] = 1}}'))
    with pytest.raises(UnicodeDecodeError):
        lua.eval(f'"valid", "{literal}"')
    with pytest.raises(UnicodeDecodeError):
        lua.eval(f'python.builtins.len("{literal}")')
    assert lua.eval("1") == 1


def test_lone_surrogate(lua):
    for use in (
        lambda: lua.eval("...", "\ud800"),
        lambda: lua.table("\ud800"),
        lambda: lua.table_from({"\ud800": 1}),
        lambda: lua.table()["\ud800"],
        lambda: lua.eval("python.eval('chr(0xd800)')"),
    ):
        with pytest.raises(UnicodeEncodeError):
            use()


def test_subclasses(lua):
    class Text(str):
        pass

    class Data(bytes):
        pass

    assert lua.eval("type(...)", Text("x")) == "string"
    assert lua.eval("...", Text("xy")) == "xy"
    assert type(lua.eval("...", Text("xy"))) is str
    assert lua.eval("...", Data(b"xy")) == "xy"


def test_subclass_with_its_own_encode(lua):
    """The text counts, not what an overridden method says."""

    class Text(str):
        def encode(self, *_):
            return b"other"

    assert lua.eval("...", Text("mine")) == "mine"


def test_buffers_are_objects(lua):
    for value in (bytearray(b"x"), memoryview(b"x")):
        assert lua.eval("type(...)", value) == "userdata"
        assert lua.eval("...", value) is value


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("latin-1", "äöü"),
        ("utf-8", "äöü€"),
        ("UTF8", "äöü€"),
        ("ascii", "abc"),
        ("cp1252", "€"),
        ("koi8-r", "Луа"),
        ("utf-16", "ab😀"),
        ("utf-16-le", "ab😀"),
        ("utf-32", "ab😀"),
        ("utf-7", "ä+"),
        ("utf-8-sig", "ä"),
        ("cp037", "abc"),
        ("shift-jis", "日本"),
    ],
)
def test_encodings(lupa, encoding, text):
    lua = lupa.LuaRuntime(encoding=encoding, source_encoding="utf-8")
    assert lua.eval("...", text) == text
    assert lua.eval("#...", text) == len(text.encode(encoding))
    table = lua.table_from({text: text})
    assert list(table.items()) == [(text, text)]
    assert table[text] == text


def test_text_outside_the_encoding(lupa):
    lua = lupa.LuaRuntime(encoding="latin-1")
    with pytest.raises(UnicodeEncodeError):
        lua.eval("...", "€")
    with pytest.raises(UnicodeEncodeError):
        lua.execute("x = '€'")
    assert lua.eval("...", b"\x80") == "\x80"


def test_bytes_outside_the_encoding(lupa):
    lua = lupa.LuaRuntime(encoding="ascii")
    with pytest.raises(UnicodeDecodeError):
        lua.eval('"\\228"')
    assert lua.eval('"a"') == "a"


def test_no_encoding(lupa):
    """With ``encoding=None`` strings of Lua are bytes, and text becomes an object like any other."""
    lua = lupa.LuaRuntime(encoding=None)
    assert lua.eval('"abc"') == b"abc"
    assert lua.eval('"\\255\\0"') == b"\xff\x00"
    assert lua.eval("...", b"x") == b"x"
    assert lua.eval("type(...)", "text") == b"userdata"
    assert lua.eval("...", "text") == "text"
    assert list(lua.eval("{a = 1}")) == [b"a"]
    assert lua.eval("{a = 1}")[b"a"] == 1
    assert lua.eval("{a = 1}").a == 1
    assert lua.eval("{a = 1}")["a"] is None
    assert lua.lua_implementation.startswith(b"Lua")
    assert str(lua.eval("{}")).startswith("<Lua table at ")
    assert lua.eval('python.builtins.len("abc")') == 3
    assert lua.eval("tostring(...)", [1, "x"]) == b"[1, 'x']"


@pytest.mark.beyond
def test_no_encoding_and_keyword_arguments(lupa):
    """``table(a=1)`` gives a table whose key Lua can use (E13: 2.8 makes the key a Python object)."""
    lua = lupa.LuaRuntime(encoding=None)
    lua.globals().t = lua.table(a=1)
    assert lua.eval("t.a") == 1


def test_no_encoding_assigns_attributes(lupa):
    lua = lupa.LuaRuntime(encoding=None)
    table = lua.table()
    table.x = b"1"
    assert list(table.items()) == [(b"x", b"1")]
    del table.x
    assert list(table) == []


def test_attributes_of_python_objects_without_encoding(lupa):
    class Thing:
        name = "n"

    lua = lupa.LuaRuntime(encoding=None)
    assert lua.eval("function(o) return o.name end")(Thing()) == "n"
    thing = Thing()
    lua.eval("function(o) o.name = 'new' end")(thing)
    assert thing.name == b"new"


def test_str_uses_utf8_whatever_the_encoding(lupa):
    """``str()`` of a Lua object is text, even where strings are bytes."""
    for encoding in (None, "latin-1", "utf-8"):
        lua = lupa.LuaRuntime(encoding=encoding)
        assert str(lua.eval("setmetatable({}, {__tostring = function() return 'text' end})")) == "text"


def test_names_of_attributes_use_the_source_encoding(lupa):
    lua = lupa.LuaRuntime(encoding="latin-1", source_encoding="utf-8")
    table = lua.table()
    table.ä = 1
    assert list(table) == ["Ã¤"]


def test_string_methods(lua):
    assert lua.eval("(...):upper()", "abc") == "ABC"
    assert lua.globals().string.rep("ab", 3) == "ababab"
    assert lua.eval("... .. 'x'", 5) == "5x"
    assert lua.eval("string.format('%s-%d', ...)", "a", 3) == "a-3"


def test_keys_are_bytes_or_text(lua):
    table = lua.table()
    table[b"key"] = 1
    assert table["key"] == 1
    assert list(table) == ["key"]


def test_long_strings(lua):
    """Well above what any buffer on the way might hold."""
    text = "äb\0" * 700_000
    assert lua.eval("...", text) == text
    assert lua.table_from([text])[1] == text


def test_repetitions(lua):
    repeat = lua.eval("string.rep")
    for text in ["", "a", "ab", "abc" * 100]:
        for count in [-1, 0, 1, 2, 3, 1000, 1023, 1024, 1025, 8191, 8192, 8193, 20_000]:
            assert repeat(text, count) == text * count
