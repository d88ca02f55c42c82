"""Python objects in Lua, and userdata of Lua in Python."""

import pytest


class Thing:
    """An object with attributes."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Both:
    """An object with items and attributes."""

    attribute = "attribute"

    def __getitem__(self, key):
        return ("item", key)


@pytest.fixture
def get(lua):
    """``get(o)`` reads ``o.x`` in Lua."""
    return lua.eval("function(o) return o.x end")


@pytest.fixture
def put(lua):
    """``put(o, v)`` writes ``o.x`` in Lua."""
    return lua.eval("function(o, v) o.x = v end")


def test_round_trip(lua):
    for thing in (object(), [], {}, {1}, len, Thing, lua, 1j, b"".join, Exception("x"), ...):
        assert lua.eval("...", thing) is thing
        assert lua.eval("type(...)", thing) == "userdata"


def test_identity(lua):
    """The same object pushed twice is one value in Lua."""
    same = lua.eval("function(a, b) return a == b, rawequal(a, b) end")
    one, two = [], []
    assert same(one, one) == (True, True)
    assert same(one, two) == (False, False)
    lua.globals().kept = one
    assert lua.eval("function(o) return kept == o end")(one)
    assert lua.eval("function(o) local t = {[kept] = 1}; return t[o] end")(one) == 1


def test_identity_of_views(lupa, lua):
    """Each view of an object (by attribute, by item) has an identity of its own."""
    same = lua.eval("function(a, b) return a == b end")
    data, plain = {}, Thing()
    assert same(lupa.as_attrgetter(data), lupa.as_attrgetter(data))
    assert same(lupa.as_itemgetter(data), data)
    assert not same(lupa.as_attrgetter(data), data)
    assert same(lupa.as_attrgetter(plain), plain)
    assert not same(lupa.as_itemgetter(plain), plain)
    assert lua.eval("function(o) return python.as_attrgetter(o) == python.as_attrgetter(o) end")(data)
    assert lua.eval("...", lupa.as_attrgetter(data)) is data


def test_attributes(get, put):
    thing = Thing(x=1)
    assert get(thing) == 1
    put(thing, "new")
    assert thing.x == "new"
    put(thing, None)
    assert thing.x is None


def test_items_come_before_attributes(lua, get, put):
    data = {"x": 1}
    assert get(data) == 1
    put(data, 2)
    assert data == {"x": 2}
    assert lua.eval("function(o) return o.attribute end")(Both()) == ("item", "attribute")


def test_items_of_sequences(lua):
    """The index is Python's: it starts at 0."""
    item = lua.eval("function(o, i) return o[i] end")
    assert item([10, 20], 0) == 10
    assert item([10, 20], -1) == 20
    assert item((1, 2), 1) == 2
    assert item({1: "one"}, 1) == "one"
    assert item({None: 3}, None) == 3
    assert item({True: 4}, True) == 4


def test_missing(lua, get):
    with pytest.raises(AttributeError, match="has no attribute 'x'"):
        get(Thing())
    with pytest.raises(KeyError, match="x"):
        get({})
    with pytest.raises(IndexError):
        lua.eval("function(o) return o[5] end")([])
    with pytest.raises(TypeError, match="list indices must be integers"):
        get([])


def test_assignment_that_fails(lua, put):
    with pytest.raises(AttributeError):
        put(object(), 1)
    with pytest.raises(TypeError):
        put((1, 2), 1)
    with pytest.raises(IndexError):
        lua.eval("function(o) o[5] = 1 end")([])


@pytest.mark.parametrize("key", ["1", "1.5", "true", "nil", "{}"])
def test_attribute_names_are_text(lua, key):
    with pytest.raises(TypeError, match="attribute name must be string"):
        lua.eval(f"function(o) return o[{key}] end")(Thing())


def test_as_attrgetter(lupa, lua):
    data = {"get": "value"}
    read = lua.eval("function(o) return o.get end")
    assert read(data) == "value"
    assert read(lupa.as_itemgetter(data)) == "value"
    assert read(lupa.as_attrgetter(data))("get") == "value"
    assert lua.eval("function(o) return python.as_attrgetter(o).get('get') end")(data) == "value"
    assert lua.eval("function(o) return python.as_itemgetter(o).get end")(lupa.as_attrgetter(data)) == "value"


def test_as_itemgetter_of_an_object_without_items(lupa, lua, get):
    with pytest.raises(TypeError, match="not subscriptable"):
        get(lupa.as_itemgetter(Thing(x=1)))


def test_views_of_plain_values(lupa, lua):
    """A wrapped number or string stays an object in Lua."""
    assert lua.eval("function(o) return o.real end")(lupa.as_attrgetter(5)) == 5
    assert lua.eval("function(o) return o.upper() end")(lupa.as_attrgetter("x")) == "X"
    assert lua.eval("type(...)", lupa.as_attrgetter(lua.table())) == "userdata"


def test_views_take_one_python_object(lupa, lua):
    for name in ("as_attrgetter", "as_itemgetter", "as_function"):
        for argument in ("1", "'x'", "{}", "print", ""):
            with pytest.raises(lupa.LuaError, match=f"bad argument #1 to '{name}' \\(not a python object\\)"):
                lua.execute(f"local x = python.{name}({argument})")
        with pytest.raises(lupa.LuaError, match=f"bad argument #2 to '{name}' \\(invalid arguments\\)"):
            lua.execute(f"local x = python.{name}(python.none, 1)")


def test_views_of_views(lupa, lua):
    view = lupa.as_attrgetter([])
    assert type(lua.eval("...", lupa.as_attrgetter(view))) is type(view)


def test_wrappers_are_not_made_by_hand(lupa):
    with pytest.raises(TypeError):
        type(lupa.as_attrgetter(1))()


def test_tostring(lua):
    assert lua.eval("tostring(...)", [1, "ä"]) == "[1, 'ä']"
    assert lua.eval("tostring(...)", {"a": 1}) == "{'a': 1}"


def test_tostring_that_fails(lua):
    class Fails:
        def __str__(self):
            raise ValueError("no text")

    with pytest.raises(ValueError, match="^no text$"):
        lua.eval("tostring(...)", Fails())


def test_operations_that_objects_do_not_have(lupa, lua):
    for operation in ("#o", "o + 1", "o .. 'x'", "o < o", "-o"):
        with pytest.raises(lupa.LuaError, match="attempt to"):
            lua.eval(f"function(o) local x = {operation} end")([])
    with pytest.raises(lupa.LuaError, match="table expected"):
        lua.eval("function(o) local x = table.concat(o) end")([])


def test_metatable(lua):
    fields = set(lua.eval("getmetatable(...)", object()).keys())
    assert {"__call", "__index", "__newindex", "__tostring", "__gc"} <= fields
    assert lua.eval("function(a, b) return getmetatable(a) == getmetatable(b) end")([], {})


@pytest.mark.beyond
def test_metatable_is_protected(lupa, lua):
    """What ``getmetatable`` gives is a copy: to change it changes nothing."""
    lua.globals().o = [5]
    lua.execute("""
        local copy = getmetatable(o)
        for name in pairs(copy) do copy[name] = function() return "changed" end end
        for name in pairs(copy) do copy[name] = nil end
    """)
    assert lua.eval("o[0]") == 5
    assert lua.eval("tostring(o)") == "[5]"
    assert lua.eval("rawequal(getmetatable(o), debug.getmetatable(o))") is False
    with pytest.raises(lupa.LuaError):
        lua.execute("setmetatable(o, {})")
    with pytest.raises(lupa.LuaError, match="protected"):
        lua.execute("setmetatable(setmetatable({}, debug.getmetatable(o)), {})")


@pytest.mark.beyond
def test_metatable_is_hidden_where_access_is_restricted(lupa):
    for options in ({"attribute_filter": lambda o, name, setting: name}, {"attribute_handlers": (getattr, setattr)}):
        lua = lupa.LuaRuntime(**options)
        assert lua.eval("getmetatable(...)", object()) is False


def test_hasattr_that_fails(lua):
    class Fails:
        def __getattr__(self, name):
            raise RuntimeError(name)

    with pytest.raises(RuntimeError, match="__getitem__"):
        lua.eval("...", Fails())


def test_getitem_on_the_instance_counts(lua):
    """Whether an object has items is asked of the object, as ``hasattr`` does."""
    thing = Thing(__getitem__=None, x=1)
    with pytest.raises(TypeError, match="not subscriptable"):
        lua.eval("function(o) return o.x end")(thing)


def test_properties(get, put):
    class Guarded:
        @property
        def x(self):
            raise ValueError("get")

        @x.setter
        def x(self, value):
            raise ValueError(f"set {value}")

    with pytest.raises(ValueError, match="^get$"):
        get(Guarded())
    with pytest.raises(ValueError, match="^set 5$"):
        put(Guarded(), 5)


def test_modules_and_builtins(lua):
    assert lua.eval("python.builtins.len('abc')") == 3
    assert lua.eval("python.builtins.str(4)") == "4"
    math = lua.eval("python.builtins.__import__('math')")
    assert lua.eval("function(m) return m.floor(2.5) end")(math) == 2


def test_tables_stored_in_python_objects(lua):
    thing = Thing()
    lua.eval("function(o) o.t = {1, 2} end")(thing)
    assert list(thing.t.values()) == [1, 2]
    assert lua.eval("function(o) return o.t[2] end")(thing) == 2


def test_files_of_lua(lupa, lua, tmp_path):
    """Other userdata is a wrapped object whose methods are reachable."""
    lua.globals().path = str(tmp_path / "file.txt")
    file = lua.eval("(io.open(path, 'w'))")
    assert lupa.lua_type(file) == "userdata"
    assert repr(file).startswith("<Lua userdata at 0x")
    assert str(file).startswith("file (0x")
    assert file.write(file, "hello")
    assert file.close(file) is True
    assert (tmp_path / "file.txt").read_text() == "hello"
    assert str(file) == "file (closed)"


def test_userdata_of_lua_goes_back_as_itself(lua):
    assert lua.eval("function(f) return f == io.stdout, io.type(f) end")(lua.eval("io.stdout")) == (True, "file")


def test_userdata_of_lua_is_not_a_python_object(lupa, lua):
    with pytest.raises(lupa.LuaError, match="not a python object"):
        lua.execute("python.iter(io.stdout)")
    with pytest.raises(TypeError):
        iter(lua.eval("io.stdout"))
    assert lua.eval("io.stdout").no_such_method is None
    with pytest.raises(AttributeError):
        lua.eval("io.stdout").x = 1


def test_light_userdata(lua, is_luajit):
    """An address without a type, where the library has one to give."""
    if not is_luajit and lua.eval("debug.upvalueid"):
        wrapped = lua.execute("local x; return debug.upvalueid(function() return x end, 1)")
        assert repr(wrapped).startswith("<Lua userdata at 0x")


def test_cdata_of_luajit(lupa, lua, is_luajit):
    """LuaJIT's own numbers and structures are wrapped as they are."""
    if is_luajit:
        number = lua.eval("5LL")
        assert lupa.lua_type(number) == "cdata"
        assert repr(number) == "<Lua cdata>"
        assert str(number).startswith("<Lua cdata") or str(number) == "5LL"
        assert lua.eval("function(x) return tonumber(x) end")(number) == 5
