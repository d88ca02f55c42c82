"""The library ``python`` that Lua code has."""

import pytest


def test_contents(lua):
    assert set(lua.eval("python").keys()) >= {
        "args",
        "as_attrgetter",
        "as_function",
        "as_itemgetter",
        "builtins",
        "enumerate",
        "eval",
        "iter",
        "iterex",
        "none",
        "set_overflow_handler",
    }


def test_python_is_a_loaded_module(lua):
    assert lua.eval("package.loaded.python == python")


def test_eval(lua):
    assert lua.eval("python.eval('2 ** 2')") == 4
    assert lua.eval("python.eval('[1, 2]')") == [1, 2]
    with pytest.raises(SyntaxError):
        lua.eval("python.eval('1 +')")
    with pytest.raises(NameError):
        lua.eval("python.eval('no_such_name')")
    with pytest.raises(TypeError):
        lua.eval("python.eval()")


def test_eval_sees_the_names_of_the_caller(lua):
    """``eval`` is Python's: it looks at the frame that is running."""
    local_name = 41
    assert lua.eval("python.eval('local_name + 1')") == local_name + 1


def test_builtins(lua):
    assert lua.eval("python.builtins.max(1, 3, 2)") == 3
    with pytest.raises(AttributeError):
        lua.eval("python.builtins.no_such_name")


@pytest.fixture
def collect(lua):
    """Lua's loop over python.iter, as a table."""
    return lua.eval("function(o) local t = {} for x in python.iter(o) do t[#t + 1] = x end return t end")


def test_iter(collect):
    assert list(collect([1, 2, 3]).values()) == [1, 2, 3]
    assert list(collect({"a": 1}).values()) == ["a"]
    assert list(collect(x * x for x in range(3)).values()) == [0, 1, 4]
    assert list(collect(()).values()) == []
    assert list(collect([(1, 2)]).values()) == [(1, 2)]


def test_iterex(lua):
    pairs = lua.eval("function(o) local r = {} for k, v in python.iterex(o) do r[k] = v end return r end")
    assert dict(pairs({"a": 1, "b": 2}.items())) == {"a": 1, "b": 2}
    first = lua.eval("function(o) for a, b in python.iterex(o) do return a, b end end")
    assert first([5]) == (5, None)
    assert first([[1, 2]]) == ([1, 2], None)


def test_an_empty_tuple_ends_iterex(lua):
    count = lua.eval("function(o) local n = 0 for x in python.iterex(o) do n = n + 1 end return n end")
    assert count([(1,), (), (2,)]) == 1


def test_iter_with_unpacked_tuples(lupa):
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    assert lua.eval("function(o) for a, b in python.iter(o) do return a, b end end")([(1, 2)]) == (1, 2)
    first = lua.eval("function(o) for i, a, b in python.enumerate(o) do return i, a, b end end")
    assert first([(1, 2)]) == (0, 1, 2)


def test_enumerate(lua):
    collect = lua.eval("""function(...)
        local r = {}
        for i, x in python.enumerate(...) do r[#r + 1] = i .. tostring(x) end
        return table.concat(r, ",")
    end""")
    assert collect(["a", "b"]) == "0a,1b"
    assert collect(["a", "b"], 5) == "5a,6b"
    assert collect(["a"], -1) == "-1a"
    assert collect([None]) == "0nil"
    assert collect([]) == ""


def test_enumerate_of_tuples(lua):
    """Tuples stay tuples unless the runtime unpacks them."""
    first = lua.eval("function(o) for i, a, b in python.enumerate(o) do return i, a, b end end")
    assert first([(1, 2)]) == (0, (1, 2), None)


@pytest.mark.parametrize("start", ["'x'", "{}", "nil", "true", "print"])
def test_enumerate_from_what_is_no_integer(lupa, lua, start):
    with pytest.raises(lupa.LuaError):
        lua.eval(f"function(o) local x = python.enumerate(o, {start}) end")([])


def test_too_many_arguments(lupa, lua):
    with pytest.raises(lupa.LuaError, match=r"bad argument #3 to 'enumerate' \(invalid arguments\)"):
        lua.eval("function(o) local x = python.enumerate(o, 1, 2) end")([])
    with pytest.raises(lupa.LuaError, match=r"bad argument #2 to 'iter' \(invalid arguments\)"):
        lua.eval("function(o) local x = python.iter(o, 1) end")([])


@pytest.mark.parametrize("function", ["iter", "iterex", "enumerate"])
def test_not_iterable(lupa, lua, function):
    with pytest.raises(TypeError, match="not iterable"):
        lua.eval(f"python.{function}(...)", object())
    for value in ("1", "'text'", "{}", "nil", ""):
        with pytest.raises(lupa.LuaError, match=f"bad argument #1 to '{function}' \\(not a python object\\)"):
            lua.execute(f"local x = python.{function}({value})")


@pytest.mark.parametrize("function", ["iter", "iterex", "enumerate"])
def test_errors_of_iterators(lua, function):
    def broken():
        yield 1
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        lua.eval(f"function(o) for x in python.{function}(o) do end end")(broken())

    class Broken:
        def __iter__(self):
            raise ValueError("at the start")

    with pytest.raises(ValueError, match="at the start"):
        lua.eval(f"function(o) for x in python.{function}(o) do end end")(Broken())


def test_iterators_are_shared(lua):
    """Two loops over one iterator take turns."""
    iterator = iter([1, 2, 3])
    first = lua.eval("function(o) for x in python.iter(o) do return x end end")
    assert [first(iterator), first(iterator), list(iterator)] == [1, 2, [3]]


def test_generators_may_call_lua(lua):
    double = lua.eval("function(x) return x * 2 end")
    total = lua.eval("function(o) local s = 0 for x in python.iter(o) do s = s + x end return s end")
    assert total(double(i) for i in range(5)) == 20


def test_iterator_triplet(lua):
    """What Lua's generic ``for`` gets: a function, a state, a first value."""
    step, state, first = lua.eval("python.iter(...)", [7])
    assert (step(state, first), step(state)) == (7, None)
    lua.execute("step, state, first = python.enumerate(...)", [7, 8])
    assert lua.eval("first") == -1
    assert lua.eval("step(state, first)") == (0, 7)
    assert lua.eval("step(state, 0)") == (1, 8)
    assert lua.eval("step(state, 1)") is None


def test_iterator_step_with_wrong_arguments(lupa, lua):
    step, _, _ = lua.eval("python.iter(...)", [7])
    for arguments in ((), (5,), ("x",), (None,)):
        with pytest.raises(lupa.LuaError, match="not a python object"):
            step(*arguments)
    with pytest.raises(TypeError, match="not an iterator"):
        step([1])


def keywords(*args, **kwargs):
    return args, kwargs


def test_args(lua):
    call = lua.eval("function(f) return f(0, python.args{1, 2, a = 3}, 9, python.args{b = 4}) end")
    assert call(keywords) == ((0, 1, 2, 9), {"a": 3, "b": 4})
    assert lua.eval("function(f) return f(python.args{}) end")(keywords) == ((), {})
    assert lua.eval("function(f) return f(python.args{[1] = 1, [2] = 2}) end")(keywords) == ((1, 2), {})


def test_args_twice_the_same_name(lua):
    with pytest.raises(TypeError, match="multiple values for keyword argument 'a'"):
        lua.eval("function(f) return f(python.args{a = 3}, python.args{a = 4}) end")(keywords)


@pytest.mark.parametrize("key", ["0", "-1", "3"])
def test_args_with_an_index_out_of_range(lua, key):
    with pytest.raises(IndexError, match="^table index out of range$"):
        lua.eval(f"python.args{{[{key}] = 1}}")


@pytest.mark.parametrize("key", ["1.5", "true", "{}", "print"])
def test_args_with_another_key(lua, key):
    with pytest.raises(TypeError, match="^table key is neither an integer nor a string$"):
        lua.eval(f"python.args{{[{key}] = 1}}")


def test_args_takes_a_table(lupa, lua):
    for argument in ("", "1", "'x'", "python.none"):
        with pytest.raises(lupa.LuaError, match="bad argument #1 to 'args'"):
            lua.execute(f"local x = python.args({argument})")


@pytest.mark.beyond
def test_args_in_a_table_with_holes(isolated):
    """A hole in the positions is None or an error, never an unset slot (2.8 crashes on it)."""
    isolated("""
        call = lua.eval("function(f, t) return f(python.args(t)) end")
        t = lua.execute("local t = {1, 2, 3, 4}; t[2] = nil; return t")
        try:
            print(call(lambda *a: a, t))
        except (IndexError, TypeError):
            pass
    """)


def test_args_through_methods(lua):
    class Thing:
        def method(self, *args, **kwargs):
            return args, kwargs

    thing = Thing()
    assert lua.eval("function(o) return o:method(python.args{1, a = 2}) end")(thing) == ((1,), {"a": 2})
    assert lua.eval("function(o) return o.method(python.args{1, a = 2}) end")(thing) == ((1,), {"a": 2})


def test_args_without_encoding(lupa):
    lua = lupa.LuaRuntime(encoding=None)
    assert lua.eval("function(f) return f(python.args{1, a = 2}) end")(keywords) == ((1,), {"a": 2})


def test_as_function(lua):
    assert lua.eval("type(python.as_function(...))", len) == "function"
    assert lua.eval("python.as_function(...)('abc')", len) == 3
    assert lua.eval("python.as_function(...)", len) is len
    assert lua.eval("python.as_function(python.as_function(...))('ab')", len) == 2


def test_as_function_is_a_python_object_for_the_library(lua):
    assert lua.eval("python.as_attrgetter(python.as_function(...)).__name__", len) == "len"
    assert lua.eval("python.as_function(python.as_itemgetter(...))", len) is len


def test_as_function_in_the_standard_library(lua):
    items = lua.table(3, 1, 2)
    lua.eval("function(t, f) table.sort(t, python.as_function(f)) end")(items, lambda a, b: a < b)
    assert list(items.values()) == [1, 2, 3]
    replaced = lua.eval("string.gsub('abc', '%w', python.as_function(...))", lambda c: c + c)
    assert replaced == ("aabbcc", 3)


def test_as_function_errors(lua):
    def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        lua.eval("python.as_function(...)()", fail)
    assert lua.eval("pcall(python.as_function(...))", fail)[0] is False


def test_none(lua):
    assert lua.eval("function(o) return o == python.none end")(None) is False
    assert lua.eval("tostring(python.none)") == "None"
