"""Lua functions called from Python, Python callables called from Lua."""

import functools

import pytest


def test_call(lua):
    function = lua.eval("function(a, b) return b, a end")
    assert function(1, 2) == (2, 1)
    assert function(1) == (None, 1)
    assert function() == (None, None)
    assert function(*[1, 2, 3]) == (2, 1)


def test_number_of_results(lua):
    assert lua.eval("function() end")() is None
    assert lua.eval("function() return nil end")() is None
    assert lua.eval("function() return nil, nil end")() == (None, None)
    assert lua.eval("function(...) return ... end")(1, None) == (1, None)


def test_no_keyword_arguments(lua):
    function = lua.eval("function() end")
    with pytest.raises(TypeError, match="unexpected keyword argument|no keyword arguments"):
        function(x=1)
    assert function() is None


def test_closures(lua):
    counter = lua.eval("(function() local n = 0; return function() n = n + 1; return n end end)()")
    assert [counter(), counter(), counter()] == [1, 2, 3]


def test_functions_go_back_as_themselves(lupa, lua):
    function = lua.eval("print")
    assert lua.eval("function(f) return f == print end")(function)
    assert lupa.lua_type(lua.eval("function(f) return f end")(function)) == "function"


def test_text(lua):
    for function in (lua.eval("function() end"), lua.eval("print")):
        assert repr(function).startswith("<Lua function at 0x")
        assert str(function) == repr(function)


def test_functions_have_no_items(lua):
    function = lua.eval("print")
    with pytest.raises(AttributeError, match="^item/attribute access not supported on functions$"):
        function.name  # noqa: B018
    with pytest.raises(TypeError, match="^item/attribute access not supported on functions$"):
        function["name"]
    with pytest.raises(AttributeError):
        function.name = 5


def test_identity_and_hash(lua):
    function = lua.eval("print")
    assert function == function
    assert {function: 1}[function] == 1
    assert bool(function) is True


def test_varargs_of_any_length(lua):
    count = lua.eval("function(...) return select('#', ...) end")
    for n in (0, 1, 5, 19, 20, 21, 100, 1000):
        assert count(*[None] * n) == n


def test_python_function(lua):
    call = lua.eval("function(f, ...) return f(...) end")
    assert call(lambda *a: a, 1, "x", None) == (1, "x", None)
    assert call(lambda: None) is None
    assert call(len, "abc") == 3
    assert call(max, 1, 5, 3) == 5


@pytest.mark.parametrize(
    "make",
    [
        lambda: lambda x: x + 1,
        lambda: functools.partial(lambda a, b: a + b, 1),
        lambda: type("Callable", (), {"__call__": lambda self, x: x + 1})(),
        lambda: (1).__add__,
        lambda: functools.lru_cache(lambda x: x + 1),
    ],
)
def test_kinds_of_callables(lua, make):
    assert lua.eval("function(f) return f(41) end")(make()) == 42


def test_classes_are_called(lua):
    assert lua.eval("function(c) return c('12') end")(int) == 12
    assert lua.eval("function(c) return c() end")(dict) == {}


def test_not_callable(lua):
    call = lua.eval("function(f) return f() end")
    with pytest.raises(TypeError, match="'list' object is not callable"):
        call([])


def test_wrong_arguments(lua):
    with pytest.raises(TypeError, match="positional argument"):
        lua.eval("function(f) f(1) end")(lambda: None)


def test_arguments_arrive_converted(lua):
    call = lua.eval("function(f) return f(true, 1.5, 'x', {}, print, nil) end")
    kinds = [type(x).__name__ for x in call(lambda *a: a)]
    assert kinds == ["bool", "float", "str", "_LuaTable", "_LuaFunction", "NoneType"]


def test_returned_tuples_stay_tuples(lua):
    returned = (1, 2)
    assert lua.eval("function(f) return f() end")(lambda: returned) is returned
    assert lua.eval("function(f) return select('#', f()) end")(lambda: (1, 2)) == 1


def test_unpack_returned_tuples(lupa):
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    call = lua.eval("function(f) return f() end")
    count = lua.eval("function(f) return select('#', f()) end")
    assert call(lambda: (1, 2)) == (1, 2)
    assert [count(lambda n=n: (None,) * n) for n in range(5)] == [0, 1, 2, 3, 4]
    assert call(lambda: [1, 2]) == [1, 2]
    assert call(lambda: ((1, 2),)) == (1, 2)
    assert count(lambda: tuple(range(1000))) == 1000


def test_subclasses_of_tuple_are_unpacked(lupa):
    class Pair(tuple):
        __slots__ = ()

    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    assert lua.eval("function(f) return select('#', f()) end")(lambda: Pair((1, 2))) == 2


class Thing:
    """Methods of every kind."""

    value = 5

    def method(self, *args):
        return args

    @classmethod
    def of_class(cls, *args):
        return args

    @staticmethod
    def static(*args):
        return args


def test_methods_with_a_colon(lua):
    """``x:m(a)`` passes x as the first argument in Lua; a bound method gets it once."""
    thing = Thing()
    assert lua.eval("function(o) return o:method(1, 2) end")(thing) == (1, 2)
    assert lua.eval("function(o) return o.method(1, 2) end")(thing) == (1, 2)
    assert lua.eval("function(o) return o:method() end")(thing) == ()


def test_class_and_static_methods_with_a_colon(lua):
    thing = Thing()
    assert lua.eval("function(o) return o:of_class(1) end")(thing) == (1,)
    assert lua.eval("function(o) return o:of_class(1) end")(Thing) == (1,)
    assert lua.eval("function(o) return o:static(1) end")(thing) == (thing, 1)
    assert lua.eval("function(o) return o.static(1) end")(thing) == (1,)


def test_self_is_dropped_only_for_its_own_method(lua):
    thing, other = Thing(), Thing()
    call = lua.eval("function(m, o) return m(o, 1) end")
    assert call(thing.method, thing) == (1,)
    assert call(thing.method, other) == (other, 1)


def test_builtin_methods_know_self(lua):
    items = []
    lua.eval("function(l) python.as_attrgetter(l).append(1) end")(items)
    lua.eval("function(l) python.as_attrgetter(l):append(2) end")(items)
    assert items == [1, 2]


def test_nested_calls(lua):
    """Python to Lua to Python and so on."""
    step = lua.eval("function(f, n) if n == 0 then return 'end' end return f(n - 1) end")

    def again(n):
        return step(again, n)

    assert again(20) == "end"


def test_calls_do_not_disturb_each_other(lua):
    """A call inside a callback leaves the arguments of the outer call alone."""
    add = lua.eval("function(a, b) return a + b end")
    outer = lua.eval("function(f, a, b, c) local x = f(a); return a, b, c, x end")
    assert outer(lambda a: add(a, 10), 1, 2, 3) == (1, 2, 3, 11)


def test_recursive_lua_function(lua):
    fib = lua.execute("local function f(n) if n < 2 then return n end return f(n - 1) + f(n - 2) end return f")
    assert fib(20) == 6765


def test_functions_outlive_the_runtime_object(lupa):
    function = lupa.LuaRuntime().eval("function(x) return x * 2 end")
    assert function(21) == 42


def test_functions_as_callbacks_of_python(lua):
    assert sorted([3, 1, 2], key=lua.eval("function(x) return -x end")) == [3, 2, 1]
    assert list(map(lua.eval("function(x) return x * x end"), range(4))) == [0, 1, 4, 9]


def test_other_userdata_is_called(lupa, lua):
    with pytest.raises(lupa.LuaError, match="attempt to call a"):
        lua.eval("io.stdout")()


def test_lua_standard_functions(lua):
    g = lua.globals()
    assert g.tostring(5) == "5"
    assert g.select("#", 1, 2) == 2
    assert g.math.floor(2.5) == 2
    assert list(g.table.pack(1, 2).values())[:2] == [1, 2] if g.table.pack else True
    t = lua.table(3, 1, 2)
    g.table.sort(t)
    assert list(t.values()) == [1, 2, 3]
    g.table.sort(t, lua.eval("function(a, b) return a > b end"))
    assert list(t.values()) == [3, 2, 1]
