"""attribute_filter and attribute_handlers: who may read and write which attributes."""

import pytest


class Thing:
    """An object with attributes."""

    public = "public"
    _private = "private"


def refuse_underscores(obj, name, is_setting):
    if isinstance(name, str) and name.startswith("_"):
        raise AttributeError(f"{'set' if is_setting else 'get'} {name} denied")
    return name


@pytest.fixture
def filtered(lupa):
    """A runtime whose filter refuses names with an underscore."""
    return lupa.LuaRuntime(attribute_filter=refuse_underscores)


def test_filter_allows(filtered):
    thing = Thing()
    assert filtered.eval("function(o) return o.public end")(thing) == "public"
    filtered.eval("function(o) o.new = 5 end")(thing)
    assert thing.new == 5


def test_filter_refuses(filtered):
    with pytest.raises(AttributeError, match="^get _private denied$"):
        filtered.eval("function(o) return o._private end")(Thing())
    with pytest.raises(AttributeError, match="^get __class__ denied$"):
        filtered.eval("function(o) return o.__class__ end")(Thing())
    with pytest.raises(AttributeError, match="^set _private denied$"):
        filtered.eval("function(o) o._private = 1 end")(Thing())


def test_filter_is_asked_each_time(lupa):
    seen = []
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: seen.append((name, is_setting)) or name)
    lua.eval("function(o) o.x = 5; local a, b = o.x, o.x end")(Thing())
    assert seen == [("x", True), ("x", False), ("x", False)]


def test_filter_gets_the_object(lupa):
    seen = []
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: seen.append(obj) or name)
    thing = Thing()
    lua.eval("function(o) return o.public end")(thing)
    assert seen == [thing]


def test_filter_may_rename(lupa):
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: "_private")
    assert lua.eval("function(o) return o.anything end")(Thing()) == "private"
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: b"public")
    assert lua.eval("function(o) return o.anything end")(Thing()) == "public"


@pytest.mark.parametrize("name", [5, None, ["x"]])
def test_filter_returns_something_else(lupa, name):
    lua = lupa.LuaRuntime(attribute_filter=lambda *_: name)
    with pytest.raises(TypeError, match="attribute name must be string"):
        lua.eval("function(o) return o.x end")(Thing())
    with pytest.raises(TypeError, match="attribute name must be string"):
        lua.eval("function(o) o.x = 1 end")(Thing())


def test_filter_does_not_see_items(lupa):
    """Items of a container are not attributes."""
    seen = []
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: seen.append(name) or name)
    assert lua.eval("function(o) o.y = 2; return o.x end")({"x": 1}) == 1
    assert seen == []


def test_filter_sees_attribute_views(filtered, lupa):
    with pytest.raises(AttributeError, match="denied"):
        filtered.eval("function(o) return o.__class__ end")(lupa.as_attrgetter({}))
    with pytest.raises(AttributeError, match="denied"):
        filtered.eval("function(o) return python.as_attrgetter(o).__class__ end")({})


def test_filter_gets_names_that_are_no_text(lupa):
    seen = []
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: seen.append(name) or "public")
    assert lua.eval("function(o) return o[1], o[1.5], o[true] end")(Thing()) == ("public",) * 3
    assert seen == [1, 1.5, True]


def test_filter_without_encoding_gets_bytes(lupa):
    seen = []
    lua = lupa.LuaRuntime(encoding=None, attribute_filter=lambda obj, name, is_setting: seen.append(name) or name)
    assert lua.eval("function(o) return o.public end")(Thing()) == "public"
    assert seen == [b"public"]


def test_filter_guards_python_functions(filtered):
    def function():
        pass

    with pytest.raises(AttributeError, match="denied"):
        filtered.eval("function(f) return f.__globals__ end")(function)


def test_filter_errors_reach_lua(filtered):
    ok, error = filtered.eval("function(o) return pcall(function() return o._x end) end")(Thing())
    assert ok is False
    assert isinstance(error, AttributeError)


def test_filter_that_fails_otherwise(lupa):
    lua = lupa.LuaRuntime(attribute_filter=lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lua.eval("function(o) return o.x end")(Thing())


def getter(obj, name):
    if name == "yes":
        return getattr(obj, name)
    raise AttributeError(f"not allowed to read {name}")


def setter(obj, name, value):
    if name == "put":
        setattr(obj, name, value)
        return
    raise AttributeError(f"not allowed to write {name}")


class Guarded:
    """An object that the handlers above guard."""

    yes = 123
    put = "abc"
    no = 2.1


def test_handlers(lupa):
    lua = lupa.LuaRuntime(attribute_handlers=(getter, setter))
    guarded = Guarded()
    assert lua.eval("function(o) return o.yes end")(guarded) == 123
    lua.eval("function(o) o.put = 'ABC' end")(guarded)
    assert guarded.put == "ABC"
    with pytest.raises(AttributeError, match="^not allowed to read no$"):
        lua.eval("function(o) return o.no end")(guarded)
    with pytest.raises(AttributeError, match="^not allowed to write no$"):
        lua.eval("function(o) o.no = 1 end")(guarded)


def test_one_handler(lupa):
    """The other direction then works as usual."""
    lua = lupa.LuaRuntime(attribute_handlers=(getter, None))
    guarded = Guarded()
    lua.eval("function(o) o.no = 5 end")(guarded)
    assert guarded.no == 5
    lua = lupa.LuaRuntime(attribute_handlers=(None, setter))
    assert lua.eval("function(o) return o.no end")(guarded) == 5
    with pytest.raises(AttributeError):
        lua.eval("function(o) o.no = 5 end")(guarded)


def test_handlers_replace_items_too(lupa):
    """A handler is asked for containers as well, where a filter is not."""
    seen = []
    lua = lupa.LuaRuntime(attribute_handlers=(lambda o, n: seen.append(n) or n, lambda o, n, v: seen.append((n, v))))
    assert lua.eval("function(o) o[2] = 'v'; return o.x, o[1] end")({"x": 5}) == ("x", 1)
    assert seen == [(2, "v"), "x", 1]


def test_handlers_and_unpacked_tuples(lupa):
    """What a getter returns is one value."""
    lua = lupa.LuaRuntime(attribute_handlers=(lambda o, n: (1, 2), None), unpack_returned_tuples=True)
    assert lua.eval("function(o) return select('#', o.x) end")(Thing()) == 1


def test_handlers_of_builtins(lupa):
    lua = lupa.LuaRuntime(attribute_handlers=(lambda o, n: n.upper(), None))
    assert lua.eval("python.builtins.len") == "LEN"


def test_setter_result_is_ignored(lupa):
    lua = lupa.LuaRuntime(attribute_handlers=(None, lambda o, n, v: "ignored"))
    assert lua.execute("local o = ...; o.x = 1; return 'done'", Thing()) == "done"


def test_wrong_signature(lupa):
    lua = lupa.LuaRuntime(attribute_handlers=(lambda o: 1, lambda o: 1))
    with pytest.raises(TypeError, match="positional argument"):
        lua.eval("function(o) return o.x end")(Thing())
    with pytest.raises(TypeError, match="positional argument"):
        lua.eval("function(o) o.x = 1 end")(Thing())
