"""Tables and arrays as Python's collections: raw access, views, copies, arrays of NumPy's."""

import collections.abc
import copy
import pickle

import pytest


class TestRaw:
    def test_metatables_are_not_asked(self, lupa, lua):
        table = lua.execute("return setmetatable({1, x = 2}, {__index = error, __newindex = error, __len = error})")
        assert lupa.rawget(table, "x") == 2 and lupa.rawget(table, "y") is None
        assert lupa.rawget(table, "y", 7) == 7 and lupa.rawlen(table) == 1
        lupa.rawset(table, "y", 3)
        assert lupa.rawget(table, "y") == 3
        lupa.rawset(table, "y", None)
        assert lupa.rawget(table, "y", "gone") == "gone"

    def test_none_is_there(self, lupa, lua):
        assert lupa.rawget(lua.eval("{x = python.none}"), "x", 7) is None

    def test_metatables(self, lupa, lua):
        table, metatable = lua.execute("local mt = {__metatable = false} return setmetatable({}, mt), mt")
        assert lupa.getmetatable(table) == metatable
        assert lupa.setmetatable(table, None) is table and lupa.getmetatable(table) is None
        lupa.setmetatable(table, lua.table_from({"__index": lua.table_from({"x": 5})}))
        assert table.x == 5
        assert lupa.getmetatable(lua.eval("io.stdout")) is not None
        for wrong in [5, "x", object(), lua.eval("print")]:
            with pytest.raises(TypeError, match="metatable"):
                lupa.setmetatable(table, wrong)

    def test_the_mark_of_lists(self, lupa, lua):
        table = lupa.setmetatable(lua.table(), lupa.array_mt)
        assert lupa.to_python(table) == []
        assert lupa.getmetatable(table) == lua.eval("python.array_mt")
        assert repr(lupa.array_mt) == "lupa.array_mt"
        assert pickle.loads(pickle.dumps(lupa.array_mt)) is lupa.array_mt

    def test_wrong_objects(self, lupa, lua):
        for call in [lambda x: lupa.rawget(x, 1), lambda x: lupa.rawset(x, 1, 2), lambda x: lupa.setmetatable(x, None)]:
            for wrong in [5, {}, lua.eval("print")]:
                with pytest.raises(TypeError):
                    call(wrong)
        with pytest.raises(TypeError):
            lupa.rawlen([])
        with pytest.raises(lupa.LuaError):
            lupa.rawset(lua.table(), float("nan"), 1)

    def test_methods(self, lupa, lua):
        table = lua.execute("return {n = 5, add = function(self, a, b) return self.n + a + (b or 0) end}")
        assert lupa.call_method(table, "add", 1) == 6 and lupa.call_method(table, "add", 1, 2) == 8
        with pytest.raises(AttributeError, match="'nope'"):
            lupa.call_method(table, "nope")
        assert lupa.call_method(lua.eval("io.stdout"), "seek") is not False


class TestMapping:
    def test_it_is_one(self, lupa, lua):
        table = lua.eval("{name = 'wolf', [1] = 10}")
        view = lupa.as_mapping(table)
        assert isinstance(view, collections.abc.MutableMapping)
        assert dict(view) == {"name": "wolf", 1: 10} and len(view) == 2 and view == {"name": "wolf", 1: 10}
        assert "name" in view and "x" not in view and view.get("x", 7) == 7
        with pytest.raises(KeyError):
            view["x"]
        view["x"] = 5
        assert table.x == 5 and view.pop("x") == 5 and table.x is None
        with pytest.raises(KeyError):
            del view["x"]
        view.update(a=1)
        view.clear()
        assert len(view) == 0 and list(table) == []

    def test_raw(self, lupa, lua):
        view = lupa.as_mapping(lua.execute("return setmetatable({}, {__index = function() return 1 end})"))
        assert "x" not in view

    def test_wrong_objects(self, lupa, lua):
        for wrong in [5, {}, lua.eval("print"), lupa]:
            with pytest.raises(TypeError, match="Lua table"):
                lupa.as_mapping(wrong)
            with pytest.raises(TypeError, match="Lua table"):
                lupa.as_sequence(wrong)


class TestSequence:
    def test_it_is_one(self, lupa, lua):
        table = lua.eval("{10, 20, 30}")
        view = lupa.as_sequence(table)
        assert isinstance(view, collections.abc.MutableSequence)
        assert list(view) == [10, 20, 30] and view[0] == 10 and view[-1] == 30 and view[::-1] == [30, 20, 10]
        assert view.index(20) == 1 and 20 in view and list(reversed(view)) == [30, 20, 10]
        for bad in [3, -4]:
            with pytest.raises(IndexError):
                view[bad]
        with pytest.raises(TypeError):
            view["x"]

    def test_as_a_list_does(self, lupa, lua):
        table, twin = lua.table(), []
        view = lupa.as_sequence(table)
        for change in [
            lambda v: v.extend(range(10)),
            lambda v: v.insert(0, "first"),
            lambda v: v.insert(-2, "late"),
            lambda v: v.insert(100, "last"),
            lambda v: v.__delitem__(3),
            lambda v: v.__setitem__(slice(1, 3), ["a", "b", "c", "d"]),
            lambda v: v.__delitem__(slice(None, None, 3)),
            lambda v: v.pop(0),
            lambda v: v.reverse(),
            lambda v: v.__setitem__(-1, "end"),
            lambda v: v.__setitem__(slice(2, None), []),
            lambda v: v.append(5),
        ]:
            change(view)
            change(twin)
            assert list(view) == twin == list(table.values())

    def test_bisect(self, lupa, lua):
        from bisect import bisect

        assert bisect(lupa.as_sequence(lua.eval("{10, 20, 30}")), 25) == 2


class TestCopies:
    def test_shallow(self, lupa, lua):
        table = lua.execute("t = setmetatable({1, inner = {}}, {__index = {x = 5}}) return t")
        twin = copy.copy(table)
        assert twin != table and twin.inner == table.inner and twin.x == 5 and list(twin) == list(table)
        twin[2] = 7
        assert table[2] is None

    def test_deep(self, lua):
        table = lua.execute("local t = {list = {1}, f = print} t.again, t.self, t[t] = t.list, t, 1 return t")
        table.thing = thing = {"x": [1]}
        twin = copy.deepcopy(table)
        assert twin != table and twin.list != table.list and twin.list == twin.again and twin.self == twin
        assert twin[twin] == 1 and twin[table] is None
        assert twin.f == table.f and twin.thing == thing and twin.thing is not thing

    def test_inside_of_python_data(self, lua):
        table = lua.table(1)
        data = copy.deepcopy({"a": table, "b": [table], "f": lua.eval("print")})
        assert data["a"] != table and data["a"] == data["b"][0] and data["f"] == lua.eval("print")

    @pytest.mark.parametrize("code, name", [("{}", "table"), ("print", "function"), ("io.stdout", "userdata")])
    def test_pickle_refuses(self, lua, code, name):
        with pytest.raises(TypeError, match=f"a Lua {name} cannot be pickled"):
            pickle.dumps(lua.eval(code))
        if name == "table":
            with pytest.raises(TypeError, match="to_python"):
                pickle.dumps([lua.eval(code)])


class TestNumpy:
    def test_tables_are_their_values(self, lua):
        numpy = pytest.importorskip("numpy")
        array = numpy.array(lua.eval("{{1, 2}, {3, 4.5}}"))
        assert array.tolist() == [[1, 2], [3, 4.5]] and array.shape == (2, 2)
        assert numpy.asarray(lua.eval("{1, 2}"), dtype="float32").dtype == "float32"
        with pytest.raises(ValueError, match="to_python"):
            numpy.array(lua.eval("{x = 1}"))
        assert numpy.arange(10)[lua.eval("{1, 3}")].tolist() == [1, 3]

    def test_numbers_as_keys(self, lua):
        numpy = pytest.importorskip("numpy")
        table = lua.eval("{10, 20}")
        assert table[numpy.int64(1)] == 10 and table[numpy.uint8(2)] == 20
        table[numpy.int32(3)] = 30
        assert table[3] == 30 and len(table) == 3
        del table[numpy.int64(3)]
        assert len(table) == 2


class TestArrays:
    @pytest.fixture
    def grid(self, lua):
        return lua.eval("python.array_from({{1, 2, 3}, {4, 5, 6}}, 'int32')")

    def test_elements_and_views(self, grid):
        assert grid[0, 1] == 2 and grid[-1, -1] == 6 and grid[1].tolist() == [4, 5, 6]
        assert grid[:, 1].tolist() == [2, 5] and grid[::-1, ::2].tolist() == [[4, 6], [1, 3]]
        assert grid[..., 0].tolist() == [1, 4] and grid[...].tolist() == grid.tolist() == [[1, 2, 3], [4, 5, 6]]
        assert grid[1:][0].tolist() == [4, 5, 6] and grid[5:].tolist() == [] and len(grid[:1]) == 1
        assert grid[10**30 :].tolist() == []

    def test_views_share_the_memory(self, grid):
        row = grid[1]
        row[0] = 40
        assert grid[1, 0] == 40 and memoryview(grid).tolist() == [[1, 2, 3], [40, 5, 6]]
        grid[:, 2] = 0
        assert grid.tolist() == [[1, 2, 0], [40, 5, 0]]

    def test_iteration(self, grid):
        assert [row.tolist() for row in grid] == [[1, 2, 3], [4, 5, 6]]
        assert list(grid[0]) == [1, 2, 3] and 2 in grid[0] and max(grid[1]) == 6

    def test_errors(self, grid):
        for bad in [2, -3, 10**30, (0, 3), (0, 0, 0)]:
            with pytest.raises(IndexError):
                grid[bad]
        for bad in ["x", 1.5, None, (0, "x")]:
            with pytest.raises(TypeError):
                grid[bad]
        with pytest.raises(IndexError):
            grid[..., ...]
        with pytest.raises(ValueError, match="step"):
            grid[::0]
        with pytest.raises(TypeError):
            del grid[0]
        with pytest.raises(OverflowError):
            grid[0, 0] = 2**40
        with pytest.raises(TypeError):
            grid[0, 0] = "x"

    @pytest.mark.parametrize(
        "kind, values",
        [
            ("float64", [1.5, 2.0]),
            ("bool", [True, False]),
            ("uint64", [2**64 - 1]),
            ("complex64", [1 + 2j]),
            ("float16", [0.5]),
        ],
    )
    def test_types(self, lua, kind, values):
        array = lua.eval(f"python.zeros({len(values)}, '{kind}')")
        for index, value in enumerate(values):
            array[index] = value
        assert array.tolist() == values and list(array) == values

    def test_read_only(self, lupa):
        array = lupa.as_array(b"abc")
        assert array[0] == 97 and bytes(array[1:]) == b"bc"
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1

    def test_without_dimensions(self, lupa):
        numpy = pytest.importorskip("numpy")
        array = lupa.as_array(numpy.array(5.0))
        assert array[()] == 5.0 and array.tolist() == 5.0 and array[...] == 5.0
        with pytest.raises(TypeError):
            iter(array)
        with pytest.raises(IndexError):
            array[0]

    def test_views_outlive_all(self, lua):
        row = lua.eval("python.array_from({{1, 2}, {3, 4}})")[1]
        lua.close()
        assert row.tolist() == [3, 4]
