"""unpacks_lua_table and unpacks_lua_table_method: keyword arguments by a table."""

import pytest


@pytest.fixture
def function(lupa):
    """A decorated function that returns what it got."""

    @lupa.unpacks_lua_table
    def echo(*args, **kwargs):
        """Return the arguments."""
        return args, kwargs

    return echo


def test_ways_to_call(lua, function):
    call = lua.eval("function(f) return f(1, 2), f{1, 2}, f{1, a = 2}, f{a = 1, b = 2}, f(), f{} end")
    assert call(function) == (
        ((1, 2), {}),
        ((1, 2), {}),
        ((1,), {"a": 2}),
        ((), {"a": 1, "b": 2}),
        ((), {}),
        ((), {}),
    )


def test_python_passes_keyword_arguments_as_ever(lupa, lua, function):
    class Shop:
        @lupa.unpacks_lua_table_method
        def price(self, item, count=1):
            return item, count

    assert function(1, a=2) == ((1,), {"a": 2})
    assert function(a=1, self=2) == ((), {"a": 1, "self": 2})
    assert Shop().price("egg", count=3) == ("egg", 3)
    assert lua.eval("function(f) return f(python.args{1, a = 2}) end")(function) == ((1,), {"a": 2})
    table = lua.table(1)
    assert function(table, a=2) == ((table,), {"a": 2})


def test_only_a_single_table_is_unpacked(lua, function):
    args, kwargs = lua.eval("function(f) return f({1}, 2) end")(function)
    assert (list(args[0].values()), args[1], kwargs) == ([1], 2, {})
    args, kwargs = lua.eval("function(f) return f(2, {1}) end")(function)
    assert args[0] == 2


def test_named_and_default_arguments(lupa, lua):
    @lupa.unpacks_lua_table
    def add(a, b=10):
        return a + b

    call = lua.eval("function(f) return f{a = 1, b = 2}, f{1, b = 2}, f{1}, f(1), f{a = 5} end")
    assert call(add) == (3, 3, 11, 11, 15)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        lua.eval("function(f) return f{b = 1} end")(add)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        lua.eval("function(f) return f{1, c = 1} end")(add)


def test_python_objects_in_the_table(lua, function):
    thing = object()
    assert lua.eval("function(f, o) return f{o, key = o} end")(function, thing) == ((thing,), {"key": thing})


def test_none_in_the_table(lua, function):
    assert lua.eval("function(f) return f{python.none, a = python.none} end")(function) == ((None,), {"a": None})
    assert lua.eval("function(f) return f{a = nil} end")(function) == ((), {})


def test_wrong_keys(lua, function):
    with pytest.raises(TypeError, match="^table key is neither an integer nor a string$"):
        lua.eval("function(f) return f{[true] = 1} end")(function)
    with pytest.raises(IndexError, match="^table index out of range$"):
        lua.eval("function(f) return f{[5] = 1} end")(function)


def test_called_from_python(lupa, lua, function):
    assert function(1, 2) == ((1, 2), {})
    assert function(lua.table(1, a=2)) == ((1,), {"a": 2})
    assert function({"a": 1}) == (({"a": 1},), {})


def test_looks_like_the_function(lupa, function):
    assert function.__name__ == "echo"
    assert function.__doc__ == "Return the arguments."
    assert callable(function.__wrapped__)


def test_wrapping_by_hand(lupa, lua):
    import operator

    assert lua.eval("function(f) return f{5, 6} end")(lupa.unpacks_lua_table(operator.add)) == 11


def test_methods(lupa, lua):
    class Thing:
        @lupa.unpacks_lua_table_method
        def method(self, a, b=2, **kwargs):
            return a, b, kwargs

    calls = lua.eval("function(o) return o:method{1, b = 5}, o:method(1), o.method{a = 4}, o:method{1, z = 3} end")
    assert calls(Thing()) == ((1, 5, {}), (1, 2, {}), (4, 2, {}), (1, 2, {"z": 3}))


def test_without_encoding(lupa):
    lua = lupa.LuaRuntime(encoding=None)
    function = lupa.unpacks_lua_table(lambda *a, **k: (a, k))
    assert lua.eval("function(f) return f{'x', key = 'y'} end")(function) == ((b"x",), {"key": b"y"})


def test_errors_pass(lupa, lua):
    @lupa.unpacks_lua_table
    def fail(**kwargs):
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        lua.eval("function(f) return f{a = 1} end")(fail)
