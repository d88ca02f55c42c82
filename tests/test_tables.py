"""Wrapped tables: items, attributes, length, text, metamethods."""

import pytest


def test_items(lua):
    table = lua.eval("{10, 20, 30}")
    assert [table[1], table[3], table[4], table[0], table[-1], table["x"]] == [10, 30, None, None, None, None]
    table[2] = "new"
    assert table[2] == "new"
    del table[2]
    assert table[2] is None


def test_attributes(lua):
    table = lua.eval("{a = 1}")
    assert table.a == table["a"] == 1
    assert table.nothing is None
    table.b = 2
    assert table["b"] == 2
    del table.a
    assert table["a"] is None
    del table["not there"]
    del table.not_there


def test_attributes_that_the_wrapper_has(lua):
    """Names of methods are reachable as items only; assigning always goes to the table."""
    table = lua.table(keys=1)
    assert callable(table.keys)
    assert table["keys"] == 1
    table.values = 5
    assert table["values"] == 5
    assert callable(table.values)


@pytest.mark.parametrize("name", ["__foo__", "__len", "_private", "__x"])
def test_underscore_items(lua, name):
    table = lua.table()
    table[name] = 1
    assert table[name] == 1


def test_dunder_attributes_are_pythons(lua):
    table = lua.table()
    table["__foo__"] = 1
    with pytest.raises(AttributeError):
        table.__foo__  # noqa: B018
    with pytest.raises((AttributeError, TypeError)):
        table.__foo__ = 2
    with pytest.raises((AttributeError, TypeError)):
        del table.__foo__
    assert table["__foo__"] == 1
    assert not hasattr(table, "__nothing__")
    assert table._one is None


def test_length(lua):
    assert len(lua.eval("{10, 20, 30}")) == 3
    assert len(lua.eval("{a = 1}")) == 0
    assert len(lua.table()) == 0


def test_truth(lua):
    assert bool(lua.table()) is True
    assert bool(lua.table(1)) is True


def test_text(lua):
    table = lua.table()
    assert repr(table).startswith("<Lua table at 0x")
    assert str(table) == repr(table)


def test_tostring(lua):
    table = lua.eval("setmetatable({}, {__tostring = function() return 'hello' end})")
    assert str(table) == "hello"
    assert repr(table).startswith("<Lua table at 0x")


def test_tostring_that_fails(lupa, lua):
    with pytest.raises(TypeError, match="^__tostring returned non-string object$"):
        str(lua.eval("setmetatable({}, {__tostring = function() return {} end})"))
    with pytest.raises(lupa.LuaError, match="no text"):
        str(lua.eval("setmetatable({}, {__tostring = function() error('no text') end})"))
    with pytest.raises(lupa.LuaError, match="attempt to call a number value"):
        str(lua.eval("setmetatable({}, {__tostring = 5})"))


def test_tostring_of_other_values(lua):
    assert str(lua.eval("setmetatable({}, {__tostring = function() return 5 end})")) == "5"
    assert str(lua.eval("setmetatable({}, {__tostring = function() return '\\228' end})")) == "ä"


def test_table_constructor(lua):
    table = lua.table(10, 20, a=1, b=2)
    assert [table[1], table[2], table.a, table["b"], len(table)] == [10, 20, 1, 2, 2]
    assert list(lua.table()) == []


def test_table_keeps_python_objects(lua):
    thing = object()
    inner = [1]
    table = lua.table(thing, inner)
    assert table[1] is thing
    assert table[2] is inner


@pytest.mark.parametrize("make", [object, lambda: (1, 2), lambda: len, lambda: frozenset({1})])
def test_objects_as_keys(lua, make):
    key = make()
    table = lua.table()
    table[key] = 5
    assert table[key] == 5
    assert list(table) == [key]
    del table[key]
    assert list(table) == []


def test_unhashable_objects_as_keys(lua):
    """Lua looks at identity only."""
    key, equal = [], []
    table = lua.table()
    table[key] = 5
    assert table[key] == 5
    assert table[equal] is None


def test_tables_and_functions_as_keys(lua):
    table, key = lua.table(), lua.table()
    table[key] = 1
    table[lua.globals().print] = 2
    assert table[key] == 1
    assert table[lua.globals().print] == 2
    assert table[lua.table()] is None


def test_nested_tables(lua):
    table = lua.eval("{a = {b = {c = 5}}}")
    assert table.a.b.c == 5
    table.a.b.c = 6
    assert table["a"]["b"]["c"] == 6
    table["self"] = table
    assert table.self.self.a.b.c == 6


def test_index_metamethod(lua):
    table = lua.eval("setmetatable({}, {__index = function(t, k) return k .. '!' end})")
    assert table.x == "x!"
    assert table["y"] == "y!"
    table = lua.eval("setmetatable({}, {__index = {z = 5}})")
    assert (table.z, table.y) == (5, None)


def test_newindex_metamethod(lua):
    table = lua.eval("setmetatable({}, {__newindex = function(t, k, v) rawset(t, k, v * 2) end})")
    table.x = 5
    table["y"] = 6
    assert (table.x, table.y) == (10, 12)


@pytest.mark.beyond
def test_length_is_that_of_the_length_operator(lua):
    """A ``__len`` is asked where Lua's own ``#`` asks it; 2.8 never does, against its documentation."""
    table = lua.eval("setmetatable({1}, {__len = function() return 42 end})")
    assert len(table) == lua.eval("#...", table)


def test_call_metamethod(lua):
    assert lua.eval("setmetatable({}, {__call = function(self, a, b) return a + b end})")(1, 2) == 3


def test_call_of_a_plain_table(lupa, lua):
    with pytest.raises(lupa.LuaError, match="attempt to call a table value"):
        lua.table()()


def test_errors_of_metamethods(lupa, lua):
    table = lua.eval("setmetatable({}, {__index = function(t, k) error('bad ' .. k) end})")
    with pytest.raises(lupa.LuaError, match="bad x"):
        table.x  # noqa: B018
    with pytest.raises(lupa.LuaError, match="bad y"):
        table["y"]


def test_python_functions_as_metamethods(lua):
    with_index = lua.eval("function(f) return setmetatable({}, {__index = python.as_function(f)}) end")
    assert with_index(lambda t, k: k * 2).ab == "abab"

    def fail(table, key):
        raise KeyError(key)

    with pytest.raises(KeyError, match="ab"):
        with_index(fail).ab  # noqa: B018


def test_python_objects_as_index(lua):
    """An ``__index`` that is not a function is itself indexed."""
    assert lua.eval("function(d) return setmetatable({}, {__index = d}) end")({"ab": 5}).ab == 5


def test_equality_is_identity_of_the_wrapper(lua):
    table = lua.table()
    assert table == table
    assert table != lua.table()
    assert {table: 1}[table] == 1


def test_getattr_and_hasattr(lua):
    table = lua.table(a=1)
    assert getattr(table, "a", 5) == 1
    assert getattr(table, "b", 5) is None
    assert hasattr(table, "b")


def test_membership_looks_at_keys(lua):
    """Like a mapping's; there is no method of its own, iteration decides."""
    table = lua.table_from({"a": 1, 7: 2})
    assert "a" in table
    assert 7 in table
    assert "b" not in table


def test_slices_are_keys(lua):
    table = lua.table(1, 2, 3)
    assert table[1, 2] is None


def test_lua_type(lupa, lua):
    assert lupa.lua_type(lua.table()) == "table"
    assert lupa.lua_type(lua.eval("setmetatable({}, {__call = print})")) == "table"


def test_libraries_are_tables(lua):
    string = lua.eval("string")
    assert string.lower("A") == "a"
    assert string["upper"]("a") == "A"


def test_operators_are_not_passed_on(lua):
    table = lua.eval("setmetatable({}, {__add = function() return 1 end})")
    with pytest.raises(TypeError):
        table + 1
    with pytest.raises(TypeError):
        table < table  # noqa: B015


def test_a_table_outlives_its_runtime_object(lupa):
    table = lupa.LuaRuntime().table(1, 2)
    assert list(table.values()) == [1, 2]


def test_methods_of_tables_called_from_python(lua):
    """The receiver has to be passed, as there is no colon in Python."""
    account = lua.execute("""
        local Account = {balance = 0}
        function Account:deposit(v) self.balance = self.balance + v; return self.balance end
        return Account
    """)
    assert account.deposit(account, 5) == 5
    assert account.balance == 5


def test_directory(lua):
    public = [name for name in dir(lua.table()) if not name.startswith("_")]
    assert public == ["items", "keys", "values"]


@pytest.mark.beyond
def test_lengths_that_are_none(lupa, lua):
    """What ``__len`` gives is checked as Python checks its own."""
    lua.execute("""
        function with(length)
            local object = newproxy and newproxy(true)
            if not object then return setmetatable({}, {__len = function() return length end}) end
            getmetatable(object).__len = function() return length end
            return object
        end
        huge = 2^62
    """)
    make = lua.globals()["with"]
    assert len(make(3)) == 3
    assert len(make(0)) == 0
    for length in (-1, -2, -5, -(2**31), -(2**53)):
        with pytest.raises(ValueError, match=r"^__len__\(\) should return >= 0$"):
            len(make(length))
    for length in (1.5, float("nan"), float("inf"), -float("inf"), "x", "3", True, False, None, lua.table(), object()):
        with pytest.raises(TypeError, match="^object length is not an integer$"):
            len(make(length))
    with pytest.raises((OverflowError, TypeError)):
        len(make(lua.eval("2^63")))
    with pytest.raises(lupa.LuaError, match="no length"):
        len(
            lua.execute("""
            local object = newproxy and newproxy(true) or setmetatable({}, {})
            getmetatable(object).__len = function() error("no length") end
            return object
        """)
        )


@pytest.mark.beyond
def test_length_of_cdata(lupa, lua, is_luajit):
    if not is_luajit:
        pytest.skip("there is no ffi")
    lua.execute("ffi = require('ffi') ffi.cdef('typedef struct { int n; } lupa_sized;')")
    with pytest.raises(lupa.LuaError, match="attempt to get length of"):
        len(lua.eval("ffi.new('int[3]')"))
    lua.execute("ffi.metatype('lupa_sized', {__len = function(self) return self.n end})")
    assert len(lua.eval("ffi.new('lupa_sized', 7)")) == 7
    with pytest.raises(ValueError):
        len(lua.eval("ffi.new('lupa_sized', -7)"))


@pytest.mark.parametrize("name", [1, None, b"name", (1,)], ids=repr)
def test_attribute_names_that_are_no_strings(lua, name):
    # `setattr()` looks at the name before it asks the type; a call of the type's own methods does not.
    table = lua.eval("{}")
    kind = type(table)
    with pytest.raises(TypeError, match="^attribute name must be string, not "):
        kind.__getattribute__(table, name)
    with pytest.raises(TypeError, match="^attribute name must be string, not "):
        kind.__setattr__(table, name, 1)
    with pytest.raises(TypeError, match="^attribute name must be string, not "):
        kind.__delattr__(table, name)
    assert list(table.items()) == []
