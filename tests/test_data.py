"""Nested data, from Lua to Python and back: ``to_python`` and ``to_lua``."""

import collections
import contextlib
import dataclasses
import datetime
import enum
import json
import types

import pytest


class TestToPython:
    @pytest.mark.parametrize(
        "code, expected",
        [
            ("{1, 2, 3}", [1, 2, 3]),
            ("{[3] = 3, [1] = 1, [2] = 2}", [1, 2, 3]),
            ("{x = 1, y = {z = {1}}}", {"x": 1, "y": {"z": [1]}}),
            ("{1, 2, x = 3}", {1: 1, 2: 2, "x": 3}),
            ("{[0] = 0, 1}", {0: 0, 1: 1}),
            ("{[1] = 1, [3] = 3}", {1: 1, 3: 3}),
            ("{[1e9] = 1}", {10**9: 1}),
            ("{[2^53] = 1}", {2**53: 1}),
            ("{[1.5] = true, [-1] = false}", {1.5: True, -1: False}),
            ("{{}, {{}}}", [{}, [{}]]),
            ("{}", {}),
            ("{'a', 'b', python.none}", ["a", "b", None]),
        ],
    )
    def test_lists_and_dicts(self, lupa, lua, code, expected):
        assert lupa.to_python(lua.eval(code)) == expected

    def test_what_is_no_table_stays(self, lupa, lua):
        thing = object()
        assert lupa.to_python(thing) is thing and lupa.to_python(5) == 5
        function = lua.eval("print")
        assert lupa.to_python(function) is function

    def test_objects_of_python_come_back(self, lupa, lua):
        thing = object()
        assert lupa.to_python(lua.table(thing, [1])) == [thing, [1]]

    def test_one_table_is_one_object(self, lupa, lua):
        data = lupa.to_python(lua.execute("local t = {1} return {a = t, b = {t}}"))
        assert data["a"] is data["b"][0]
        assert lupa.to_python(lua.execute("local t = {1} return {t, t}"), cycles=False) == [[1], [1]]

    def test_cycles(self, lupa, lua):
        table = lua.execute("local t = {x = {y = {}}} t.x.y.back = t.x t[1] = t return t")
        data = lupa.to_python(table)
        assert data[1] is data and data["x"]["y"]["back"] is data["x"]
        with pytest.raises(ValueError, match=r"contains itself at value\["):
            lupa.to_python(table, cycles=False)
        assert lupa.to_python(lua.eval("{{}, {{}}}"), cycles=False) == [{}, [{}]]

    def test_empty(self, lupa, lua):
        assert lupa.to_python(lua.eval("{{}}"), empty=list) == [[]]
        assert lupa.to_python(lua.eval("setmetatable({}, python.array_mt)")) == []
        assert lupa.to_python(lua.eval("setmetatable({}, {__jsontype = 'array'})")) == []
        assert lupa.to_python(lua.eval("setmetatable({x = 1}, python.array_mt)")) == {"x": 1}

    def test_the_metatable_of_cjson(self, lupa, lua):
        lua.execute("package.loaded.cjson = {array_mt = {}, empty_array_mt = {}}")
        for name in ["array_mt", "empty_array_mt"]:
            assert lupa.to_python(lua.eval(f"{{setmetatable({{}}, package.loaded.cjson.{name})}}")) == [[]]

    def test_keys(self, lupa, lua):
        with pytest.raises(ValueError, match=r"same in Python: value\['x'\]\["):
            lupa.to_python(lua.eval("{x = {[1] = 1, [true] = 2}}"))
        with pytest.raises(TypeError, match=r"at value\['x'\]"):
            lupa.to_python(lua.eval("{x = {[{}] = 1}}"))
        assert lupa.to_python(lua.eval("{[1] = 1, [true] = 2, x = 3}"), keys="str") == {"1": 1, "true": 2, "x": 3}
        assert lupa.to_python(lua.eval("{a = 1, [7] = 2}"), keys=lambda key: ("k", key)) == {("k", "a"): 1, ("k", 7): 2}
        assert lupa.to_python(lua.eval("{1, 2}"), keys="str") == [1, 2]
        assert lupa.to_python(lua.eval("{1, {2}, x = {3}}"), keys="str") == {"1": 1, "2": [2], "x": [3]}

    def test_a_key_that_has_no_hash(self, lupa, lua):
        table = lua.table()
        lua.eval("function(t, k) t[k] = 1 end")(table, [1])
        with pytest.raises(TypeError, match="value"):
            lupa.to_python(table)

    def test_other(self, lupa, lua):
        table = lua.eval("{f = print}")
        assert lupa.to_python(table)["f"] == lua.eval("print")
        with pytest.raises(TypeError, match=r"function at 0x\w+> at value\['f'\]"):
            lupa.to_python(table, other="error")
        with pytest.raises(TypeError):
            lupa.to_python(table.f, other="error")
        assert lupa.to_python(table, other=lupa.lua_type) == {"f": "function"}

    def test_limits(self, lupa, lua):
        deep, wide = lua.eval("{{{{}}}}"), lua.eval("{1, 2, {3, 4}}")
        assert lupa.to_python(deep, max_depth=4) == [[[{}]]]
        with pytest.raises(ValueError, match=r"deep, at value\[1\]\[1\]\[1\]"):
            lupa.to_python(deep, max_depth=3)
        assert lupa.to_python(wide, max_items=5) == [1, 2, [3, 4]]
        with pytest.raises(ValueError, match="more than 4 items"):
            lupa.to_python(wide, max_items=4)

    def test_a_sandbox_has_limits_by_default(self, lupa):
        lua = lupa.LuaRuntime(sandbox=True)
        deep = lua.execute("local t = {} local r = t for i = 1, 2000 do t[1] = {} t = t[1] end return r")
        with pytest.raises(ValueError, match="1000 deep"):
            lupa.to_python(deep)
        assert lupa.to_python(deep, max_depth=10_000)

    def test_wrong_arguments(self, lupa, lua):
        for wrong in [{"keys": "no"}, {"other": "no"}]:
            with pytest.raises(ValueError, match="must be"):
                lupa.to_python(lua.eval("{}"), **wrong)
        for wrong in [{"keys": 5}, {"other": 5}, {"empty": 5}]:
            with pytest.raises(TypeError, match="must be"):
                lupa.to_python(lua.eval("{}"), **wrong)

    def test_depth_costs_no_stack(self, lupa, lua):
        deep = lua.execute("local t = {} local r = t for i = 1, 100000 do t.x = {} t = t.x end return r")
        data, count = lupa.to_python(deep), 0
        while data:
            data, inner = None, data["x"]
            data, count = inner, count + 1
        assert count == 100_000

    def test_metamethods_only_if_asked(self, lupa, lua):
        table = lua.execute(
            "return setmetatable({secret = 1}, {__index = error, __len = error, __tostring = error,"
            " __pairs = function() return next, {1, 2}, nil end})"
        )
        assert lupa.to_python(table) == {"secret": 1}
        assert lupa.to_python(table, metamethods=True) == [1, 2]
        bad = lua.eval("setmetatable({}, {__pairs = function() error('no') end})")
        with pytest.raises(lupa.LuaError, match="no"):
            lupa.to_python(bad, metamethods=True)
        endless = lua.eval("setmetatable({}, {__pairs = function() return function(_, n) return 1, 1 end end})")
        with pytest.raises(lupa.LuaTimeoutError), lua.limits(seconds=0.1):
            lupa.to_python(endless, metamethods=True)

    def test_functions_of_the_caller_may_do_anything(self, lupa, lua):
        table = lua.execute("t = {} for i = 1, 200 do t['k' .. i] = {print} end return t")

        def wreck(value):
            lua.execute("for k in pairs(t) do t[k] = nil end for i = 1, 500 do t[i] = {} end collectgarbage()")
            return 1

        for wishes in [{"keys": wreck}, {"other": wreck}, {"empty": lambda: wreck(None)}]:
            with contextlib.suppress(lupa.LuaError, ValueError):
                lupa.to_python(table, **wishes)
            assert lua.eval("1 + 1") == 2

        def fail(value):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            lupa.to_python(lua.eval("{x = print}"), other=fail)

    def test_strings_that_are_no_text(self, lupa, lua):
        with pytest.raises(UnicodeDecodeError):
            lupa.to_python(lua.eval("{'\\255'}"))
        assert lupa.to_python(lupa.LuaRuntime(encoding=None).eval(b"{'\\255', x = 1}")) == {1: b"\xff", b"x": 1}

    def test_nothing_stays_behind(self, lupa):
        lua = lupa.LuaRuntime(max_memory=0)
        table = lua.execute("local t = {} for i = 1, 1000 do t[i] = {i, {x = i}} end return t")
        for _ in range(3):
            lupa.to_python(table)
        lua.gccollect()
        before = lua.get_memory_used()
        for _ in range(30):
            lupa.to_python(table)
        lua.gccollect()
        assert lua.get_memory_used() <= before + 1000

    def test_a_memory_limit(self, lupa):
        lua = lupa.LuaRuntime(max_memory=0)
        table = lua.execute("local t = {} for i = 1, 20000 do t[i] = {} end return t")
        lua.gccollect()
        lua.set_max_memory(lua.get_memory_used() + 10_000)
        with pytest.raises(lupa.LuaMemoryError):
            lupa.to_python(table)
        lua.set_max_memory(0)
        assert len(lupa.to_python(table)) == 20_000

    def test_json(self, lupa, lua):
        assert json.dumps({"a": lua.eval("{1, {x = 2}}")}, default=lupa.to_python) == '{"a": [1, {"x": 2}]}'


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    more: object = None


Pair = collections.namedtuple("Pair", "left right")


class Model:
    """As models of pydantic are."""

    model_fields = {"name": None, "point": None}

    def model_dump(self):
        raise AssertionError("models inside stay models")

    name = "m"
    point = Point(1)


class OldModel:
    __fields__ = {"name": None}
    __fields_set__ = {"name"}
    name = "old"


class Attrs:
    __attrs_attrs__ = (types.SimpleNamespace(name="a"),)
    a = (1, 2)


class TestToLua:
    @pytest.mark.parametrize(
        "value, expected",
        [
            ([1, [2, (3,)], {"x": [4]}], [1, [2, [3]], {"x": [4]}]),
            (
                {"c": Colour.RED, "p": Point(1, Point(2, [3]))},
                {"c": "red", "p": {"x": 1, "more": {"x": 2, "more": [3]}}},
            ),
            ([Pair(1, Pair(2, 3))], [{"left": 1, "right": {"left": 2, "right": 3}}]),
            (Model(), {"name": "m", "point": {"x": 1}}),
            (OldModel(), {"name": "old"}),
            (Attrs(), {"a": [1, 2]}),
            ({"e": [], "d": {}, "t": ()}, {"e": [], "d": {}, "t": []}),
            (collections.OrderedDict(a=collections.deque([1, 2])), {"a": [1, 2]}),
            (range(3), [0, 1, 2]),
            ({"x": [1, None, 3]}, {"x": {1: 1, 3: 3}}),
        ],
    )
    def test_there_and_back(self, lupa, lua, value, expected):
        assert lupa.to_python(lua.to_lua(value)) == expected

    def test_what_becomes_no_table(self, lua):
        assert lua.to_lua(5) == 5 and lua.to_lua(None) is None and lua.to_lua(Colour.RED) == "red"
        assert lua.to_lua(Point) is Point and lua.to_lua(print) is print

    def test_none(self, lupa, lua):
        table = lua.to_lua({"x": None, "l": [1, None, 3]}, none="none")
        assert lupa.to_python(table) == {"x": None, "l": [1, None, 3]}
        assert lua.eval("function(t) return t.x == python.none, #t.l end")(table) == (True, 3)
        with pytest.raises(ValueError, match="none must be"):
            lua.to_lua([], none="no")

    def test_default(self, lupa, lua):
        def data(value):
            return sorted(value) if isinstance(value, (set, frozenset)) else str(value)

        assert lupa.to_python(lua.to_lua([{2, 1}, datetime.date(2020, 1, 2)], default=data)) == [[1, 2], "2020-01-02"]
        thing = {1}
        assert lua.to_lua([thing])[1] is thing
        assert lua.to_lua([thing], default=lambda value: value)[1] is thing
        with pytest.raises(ValueError, match="callable"):
            lua.to_lua([], default=5)

    def test_default_that_never_ends(self, lua):
        class Again:
            pass

        with pytest.raises(RecursionError):
            lua.to_lua([Again()], default=lambda value: Again())

    def test_shared_and_cyclic(self, lua):
        data = {"list": [1]}
        data["again"] = data["list"]
        data["self"] = data
        table = lua.to_lua(data)
        assert table.self == table and table.again == table.list
        point = Point(1)
        point.more = point
        table = lua.to_lua(point)
        assert table.more == table

    def test_tables(self, lupa, lua):
        own = lua.eval("{1}")
        assert lua.to_lua(own) is own and lua.to_lua([own])[1] == own
        other = lupa.LuaRuntime().eval("{1, {x = 2}}")
        assert lupa.to_python(lua.to_lua({"o": other})) == {"o": [1, {"x": 2}]}

    def test_tables_of_another_lua(self, lupa, lua, backend):
        from importlib import import_module

        import lupa as package

        for name in package._available():
            if name != backend:
                other = import_module(f"lupa.{name}").LuaRuntime().eval("{1, {x = 2}}")
                assert lupa.to_python(lua.to_lua([other])) == [[1, {"x": 2}]]
                break

    def test_numpy(self, lupa, lua):
        numpy = pytest.importorskip("numpy")
        data = {"f": numpy.float32(1.5), "i": numpy.int64(3), "a": numpy.arange(4).reshape(2, 2)}
        assert lupa.to_python(lua.to_lua(data)) == {"f": 1.5, "i": 3, "a": [[0, 1], [2, 3]]}
        shared = lupa.LuaRuntime(convert_arrays=True)
        array = numpy.arange(3)
        shared.globals().t = shared.to_lua({"a": array})
        shared.execute("t.a[1] = 7")
        assert array[0] == 7

    def test_table_from(self, lupa, lua):
        data = {"n": Pair(1, 2), "p": Point(3), "e": Colour.RED}
        plain = lua.table_from(data, recursive=True)
        assert lupa.to_python(plain) == {"n": [1, 2], "p": data["p"], "e": Colour.RED}
        converted = lua.table_from(data, Point(7), convert=True)
        assert lupa.to_python(converted) == {"n": {"left": 1, "right": 2}, "p": {"x": 3}, "e": "red", "x": 7}

    def test_deep_data(self, lua):
        data = []
        for _ in range(100_000):
            data = [data]
        with pytest.raises(RecursionError):
            lua.to_lua(data)
        while data:
            data = data.pop()

    def test_properties_that_raise(self, lupa, lua):
        class Bad(Point):
            @property
            def more(self):
                raise KeyError("mine")

            @more.setter
            def more(self, value):
                pass

        with pytest.raises(KeyError, match="mine"):
            lua.to_lua([Bad(1)])
        assert lua.eval("1 + 1") == 2
