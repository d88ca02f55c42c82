"""How Lua calls what it has read from a Python object: by a colon, a dot, a variable, pcall."""

import datetime
import functools
import io
import math
import threading

import pytest


class Vector:
    def dot(self, other):
        return "dot", other

    def optional(self, a=1, b=2):
        return "optional", a, b

    def any(self, *args):
        return ("any", *args)

    @classmethod
    def of_class(cls, *args):
        return ("class", *args)

    @staticmethod
    def static(*args):
        return ("static", *args)

    def _part(self, a, b):
        return "part", a, b

    part = functools.partialmethod(_part, "A")


@pytest.fixture
def vector(lua):
    vector = Vector()
    vector.own = lambda *args: ("own", *args)
    lua.globals().v = vector
    return vector


# What is called; what is expected, with "v" for the object.  Each in the middle of a function, and as a tail call.
CALLS = [
    ("v:dot(7)", ("dot", 7)),
    ("v.dot(7)", ("dot", 7)),
    ("v.dot(v, 7)", ("dot", 7)),
    ("v.dot(v)", ("dot", "v")),
    ("v:dot(v)", ("dot", "v")),
    ("v.dot(v, v)", ("dot", "v")),
    ("v:dot()", TypeError),
    ("v:optional()", ("optional", 1, 2)),
    ("v:optional(7)", ("optional", 7, 2)),
    ("v.optional(v)", ("optional", 1, 2)),
    ("v:any()", ("any",)),
    ("v:any(7, v)", ("any", 7, "v")),
    ("v.any(v)", ("any",)),
    ("v:of_class()", ("class",)),
    ("v:of_class(7)", ("class", 7)),
    ("v.of_class(7)", ("class", 7)),
    ("v.of_class(v, 7)", ("class", "v", 7)),
    ("v:static(7)", ("static", "v", 7)),
    ("v.static(7)", ("static", 7)),
    ("v:own(7)", ("own", "v", 7)),
    ("v.own(7)", ("own", 7)),
    ("v:part(7)", ("part", "A", 7)),
    ("v.part(7)", ("part", "A", 7)),
    ("v:of_class(v:of_class(7))", ("class", ("class", 7))),
    ("v:of_class(id(v))", ("class", "v")),
]


def plain(result, vector):
    if isinstance(result, tuple):
        return tuple(plain(item, vector) for item in result)
    return "v" if result is vector else result


@pytest.mark.parametrize("call, expected", CALLS)
@pytest.mark.parametrize(
    "shape", ["return (%s)", "return %s", "local r = %s return r", "return select(2, pcall(function() return %s end))"]
)
def test_calls(lua, vector, call, expected, shape):
    lua.globals().id = lambda value: value
    code = shape % call
    if expected is TypeError:
        if "pcall" in shape:
            assert isinstance(lua.execute(code), TypeError)
        else:
            with pytest.raises(TypeError):
                lua.execute(code)
    else:
        assert plain(lua.execute(code), vector) == expected


def test_what_lua_does_not_know(lua, vector):
    assert lua.execute("local f = v.of_class return (f(v, 7))") == ("class", vector, 7)
    assert lua.execute("return select(2, pcall(v.of_class, v, 7))") == ("class", vector, 7)
    assert lua.execute("return select(2, pcall(v.dot, v, 7))") == ("dot", 7)
    lua.execute("local ok = pcall(function() return v:of_class(error('no')) end)")
    assert lua.execute("return (v.of_class(v))") == ("class", vector)


def test_objects_of_c(lupa, lua):
    g = lua.globals()
    g.s, g.l, g.f, g.d = {1}, lupa.as_attrgetter([1]), lupa.as_attrgetter(io.StringIO()), datetime.date(2020, 1, 2)
    g.lock, g.numbers, g.m = threading.Lock(), (n for n in range(9)), math
    g.t, g.t2 = lupa.as_attrgetter({"a": 1}), lupa.as_attrgetter(dict)
    lua.execute("s:add(5) s.add(6)")
    assert lua.globals().s == {1, 5, 6}
    lua.execute("l:append(3) l.append(l)")
    items = lua.eval("l")
    assert items[:2] == [1, 3] and items[2] is items
    assert lua.execute("f:write('x') f.write('y') return f:getvalue()") == "xy"
    assert lua.eval("d:isoformat()") == "2020-01-02"
    assert lua.execute("lock:acquire() return (lock:locked())") is True
    assert lua.execute("return numbers:__next__(), numbers.__next__(), numbers:send(python.none)") == (0, 1, 2)
    assert lua.eval("m:sqrt(4)") == lua.eval("m.sqrt(4)") == 2
    assert lua.eval("t:get('a')") == lua.eval("t.get('a')") == 1
    assert lua.eval("s:__len__()") == 3
    assert lua.eval("t2:fromkeys({'x'})") is not None


def test_colon_calls_as_in_python(lupa):
    lua = lupa.LuaRuntime(colon_calls="python")
    vector = Vector()
    vector.own = lambda *args: ("own", *args)
    lua.globals().v = vector
    assert lua.eval("v:static(7)") == ("static", 7)
    assert lua.eval("v:own(7)") == ("own", 7)
    assert lua.eval("v:dot(7)") == ("dot", 7)
    assert lua.eval("v:of_class(7)") == ("class", 7)
    assert lua.eval("v.static(v, 7)") == ("static", vector, 7)
    # A table of Lua's that has a Python function is an object of Lua's.
    assert lua.execute("local t = {f = v.static} return (t:f(7))")[1] is not None
    with pytest.raises(ValueError, match="colon_calls"):
        lupa.LuaRuntime(colon_calls="no")


def test_a_body_runs_once(lua):
    class Counts:
        calls = 0

        def method(self, other):
            self.calls += 1
            raise TypeError("mine")

    counts = Counts()
    lua.globals().c = counts
    with pytest.raises(TypeError, match="mine"):
        lua.execute("c.method(c, 1)")
    with pytest.raises(TypeError, match="mine"):
        lua.execute("c.method(c)")
    assert counts.calls == 2


def test_in_a_sandbox(lupa):
    class Asked(type):
        def __subclasscheck__(cls, other):
            raise AssertionError("asked")

        def __instancecheck__(cls, other):
            raise AssertionError("asked")

    class Opaque(metaclass=Asked):
        @classmethod
        def make(cls, *args):
            return args

    lua = lupa.LuaRuntime(sandbox=True)
    thing = Opaque()
    lua.expose(thing, attributes=["make"])
    lua.globals().o = thing
    lua.globals().s = lua.expose({1}, attributes=["add"])
    assert lua.eval("o:make(7)") == (7,)
    lua.execute("s:add(5)")
    assert lua.globals().s == {1, 5}


def test_keyword_arguments(lua, vector):
    class Takes:
        @classmethod
        def make(cls, *args, **kwargs):
            return args, kwargs

    lua.globals().t = Takes()
    assert lua.eval("t:make(python.args{1, x = 2})") == ((1,), {"x": 2})
