"""None, nil and python.none, as the section "None vs. nil" of lupa's documentation has them."""

import pytest


def test_none_is_nil(lua):
    assert lua.eval("nil") is None
    assert lua.eval("function(x) return x == nil end")(None) is True
    assert lua.eval("...", None) is None
    assert lua.eval("function(f) return f() == nil end")(lambda: None) is True


def test_nil_arguments_are_kept(lua):
    assert lua.eval("function(f) return f(nil, 1, nil) end")(lambda *a: a) == (None, 1, None)
    assert lua.eval("select('#', ...)", None, None) == 2


def test_python_none_in_lua(lua):
    assert lua.eval("type(python.none)") == "userdata"
    assert lua.eval("python.none == nil") is False
    assert lua.eval("python.none == python.none") is True
    assert lua.eval("tostring(python.none)") == "None"
    assert lua.eval("python.none") is None


def test_python_none_as_an_argument(lua):
    assert lua.eval("function(f) return f(python.none) end")(lambda *a: a) == (None,)


def test_iter_replaces_none(lua):
    """A nil would end the loop, so the loop sees python.none."""
    seen = lua.eval("""function(items)
        local t = {}
        for x in python.iter(items) do t[#t + 1] = x == python.none end
        return t
    end""")([1, None, 2])
    assert list(seen.values()) == [False, True, False]


def test_iterex_replaces_the_first_value_only(lua):
    check = lua.eval("""function(items)
        for a, b, c in python.iterex(items) do
            return a == python.none, b == nil, c == nil
        end
    end""")
    assert check([(None, None, None)]) == (True, True, True)
    assert check([(None,)]) == (True, True, True)
    assert check([(1, None, 3)]) == (False, True, False)


def test_enumerate_replaces_nothing(lua):
    check = lua.eval("function(items) for i, x in python.enumerate(items) do return i, x == nil end end")
    assert check([None]) == (0, True)


def test_none_as_a_key(lua):
    """A table can't have the key nil; the key None is python.none."""
    table = lua.table()
    assert table[None] is None
    table[None] = 1
    assert table[None] == 1
    assert list(table) == [None]
    assert lua.eval("function(t) return t[python.none] end")(table) == 1
    del table[None]
    assert list(table) == []
    assert list(lua.table_from({None: 2}).items()) == [(None, 2)]


def test_none_as_a_value(lua):
    table = lua.table(a=1)
    table["a"] = None
    assert list(table) == []
    assert list(lua.table_from({"a": None})) == []
    assert list(lua.table(1, None, 3).items()) == [(1, 1), (3, 3)]


def test_none_as_an_attribute_getter(lupa, lua):
    assert lua.eval("type(...)", lupa.as_attrgetter(None)) == "userdata"
    assert lua.eval("...", lupa.as_attrgetter(None)) is None


def test_yielded_nil(lua):
    coroutine = lua.eval("function() coroutine.yield(nil); coroutine.yield() end").coroutine()
    assert next(coroutine) is None
    assert next(coroutine) is None
    with pytest.raises(StopIteration):
        next(coroutine)
