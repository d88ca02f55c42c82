"""table and table_from: what becomes of mappings, sequences, iterators, cycles and shared objects."""

from collections import OrderedDict, UserDict, UserList, deque, namedtuple
from types import MappingProxyType

import pytest
from conftest import FREE_THREADED

Point = namedtuple("Point", "x y")


def plain(table):
    """The items of a table as a dict, with tables in it as dicts too."""
    items = dict(table.items()).items()
    return {key: plain(value) if type(value).__name__ == "_LuaTable" else value for key, value in items}


def test_one_argument(lua):
    assert plain(lua.table_from([1, 2])) == {1: 1, 2: 2}
    assert plain(lua.table_from({"a": 1})) == {"a": 1}
    assert plain(lua.table_from(())) == {}
    assert plain(lua.table_from()) == {}


def test_several_arguments(lua):
    """As in the documentation: sequences follow each other, mappings override from left to right."""
    table = lua.table_from([10, 20, 30], {"a": 11, "b": 22}, (40, 50), {"b": 42})
    assert plain(table) == {1: 10, 2: 20, 3: 30, 4: 40, 5: 50, "a": 11, "b": 42}
    assert plain(lua.table_from({1: "a"}, ["b"])) == {1: "b"}
    assert plain(lua.table_from(["b"], {1: "a"})) == {1: "a"}


@pytest.mark.parametrize(
    "values",
    [
        lambda: range(1, 4),
        lambda: iter([1, 2, 3]),
        lambda: (x for x in (1, 2, 3)),
        lambda: {1: None, 2: None, 3: None}.keys(),
        lambda: deque([1, 2, 3]),
        lambda: map(int, "123"),
        lambda: b"\1\2\3",
        lambda: UserList([1, 2, 3]),
    ],
)
def test_iterables(lua, values):
    assert list(lua.table_from(values()).values()) == [1, 2, 3]


def test_text_is_a_sequence(lua):
    assert list(lua.table_from("aß€").values()) == ["a", "ß", "€"]


def test_old_sequence_protocol(lua):
    class Old:
        def __getitem__(self, index):
            if index > 2:
                raise IndexError
            return index * 10

    assert list(lua.table_from(Old()).values()) == [0, 10, 20]


@pytest.mark.parametrize("mapping", [UserDict(a=1), OrderedDict(a=1), MappingProxyType({"a": 1})])
def test_mappings(lua, mapping):
    assert plain(lua.table_from(mapping)) == {"a": 1}


def test_lua_tables(lua):
    """A Lua table is copied, keys and all."""
    source = lua.eval("{1, 2, a = 3}")
    copy = lua.table_from(source, {"b": 4})
    assert plain(copy) == {1: 1, 2: 2, "a": 3, "b": 4}
    copy.a = 5
    assert source.a == 3


@pytest.mark.parametrize("value", [5, None, 1.5, object(), len])
def test_not_iterable(lua, value):
    with pytest.raises(TypeError, match="not iterable"):
        lua.table_from(value)
    with pytest.raises(TypeError, match="not iterable"):
        lua.table_from([1], value)


def test_nested_values_are_objects_by_default(lua):
    inner = [1, 2]
    table = lua.table_from({"a": inner})
    assert table.a is inner


def test_recursive(lua):
    data = [[[10, 20], {"a": 11}], [(40, 50), {"b": 42, "c": {"d": [1]}}]]
    table = lua.table_from(data, recursive=True)
    assert plain(table) == {
        1: {1: {1: 10, 2: 20}, 2: {"a": 11}},
        2: {1: {1: 40, 2: 50}, 2: {"b": 42, "c": {"d": {1: 1}}}},
    }


def test_recursive_kinds(lua):
    """Sequences and mappings become tables; text, bytes, sets and iterators do not."""
    values = {
        "text": "text",
        "bytes": b"bytes",
        "range": range(2),
        "named": Point(1, 2),
        "deque": deque([1]),
        "user_list": UserList([1]),
        "user_dict": UserDict(x=1),
        "proxy": MappingProxyType({"x": 1}),
    }
    table = lua.table_from(values, recursive=True)
    assert plain(table) == {
        "text": "text",
        "bytes": "bytes",
        "range": {1: 0, 2: 1},
        "named": {1: 1, 2: 2},
        "deque": {1: 1},
        "user_list": {1: 1},
        "user_dict": {"x": 1},
        "proxy": {"x": 1},
    }
    for value in ({1}, iter([1]), (x for x in ()), object(), len):
        assert lua.table_from([value], recursive=True)[1] is value


def test_recursive_wrapped(lupa, lua):
    """A protocol wrapper says: leave this object as it is."""
    inner = {"a": 1}
    assert lua.table_from([lupa.as_attrgetter(inner)], recursive=True)[1] is inner


def test_recursive_keeps_lua_tables(lua):
    inner = lua.table(1)
    table = lua.table_from({"t": inner}, recursive=True)
    table.t[2] = "new"
    assert inner[2] == "new"


def test_recursive_keys(lua):
    """A tuple as a key is converted as well."""
    key = next(iter(lua.table_from({(1, 2): 3}, recursive=True)))
    assert plain(key) == {1: 1, 2: 2}


def test_cycles(lua):
    data = [1]
    data.append(data)
    table = lua.table_from(data, recursive=True)
    assert table[2][2][1] == 1
    mapping = {}
    mapping["inner"] = {"outer": mapping}
    table = lua.table_from(mapping, recursive=True)
    assert lua.eval("function(t) return t.inner.outer == t end")(table)


@pytest.mark.beyond
def test_shared_objects(lua):
    """R6: an object that occurs twice is one table that occurs twice (2.8: the second one is empty)."""
    shared = {"x": 1}
    table = lua.table_from({"a": shared, "b": shared, "c": [shared]}, recursive=True)
    assert (table.a.x, table.b.x, table.c[1].x) == (1, 1, 1)
    assert lua.eval("function(t) return t.a == t.b and t.a == t.c[1] end")(table)
    inner = [1, 2]
    table = lua.table_from([inner, inner], [inner], recursive=True)
    assert [list(row.values()) for row in table.values()] == [[1, 2]] * 3


@pytest.mark.beyond
def test_equal_but_separate_objects_stay_separate(lua):
    table = lua.table_from([[1], [1]], recursive=True)
    assert lua.eval("function(t) return t[1] ~= t[2] end")(table)


@pytest.mark.beyond
def test_temporary_objects_are_not_confused(lua):
    """Identity counts while objects live: values that are made on the way, one at the address of another."""

    class Fresh(UserDict):
        def __getitem__(self, key):
            return [key]

    table = lua.table_from(Fresh({i: None for i in range(200)}), recursive=True)
    assert all(table[i][1] == i for i in range(200))


@pytest.mark.beyond
def test_generator_that_calls_lua(isolated):
    """R5 (2.8 crashes)."""
    isolated("""
        double = lua.eval("function(x) return x * 2 end")
        assert list(lua.table_from(double(i) for i in range(5)).values()) == [0, 2, 4, 6, 8]
        assert list(lua.table_from([0], (double(i) for i in range(3)), [9]).values()) == [0, 0, 2, 4, 9]

        def rows():
            for i in range(3):
                yield lua.table_from([i], recursive=True)
        assert [t[1] for t in lua.table_from(rows()).values()] == [0, 1, 2]
    """)


@pytest.mark.beyond
def test_mapping_that_calls_lua(isolated):
    isolated("""
        from collections import UserDict
        f = lua.eval("function(x) return x .. '!' end")

        class Calls(UserDict):
            def __iter__(self):
                for key in self.data:
                    yield f(key)
            def __getitem__(self, key):
                return lua.eval("{...}", key)[1]

        for recursive in (False, True):
            t = lua.table_from({"in": Calls(a=1, b=2)}, Calls(c=3), recursive=recursive)
            assert t["c!"] == "c!"
        assert t["in"]["a!"] == "a!"
    """)


def test_errors_of_the_iterable(lua):
    def broken():
        yield 1
        raise KeyError("in the middle")

    with pytest.raises(KeyError, match="in the middle"):
        lua.table_from(broken())

    class Broken(UserDict):
        def __getitem__(self, key):
            raise KeyError("no item")

    with pytest.raises(KeyError, match="no item"):
        lua.table_from(Broken(a=1))
    with pytest.raises(KeyError, match="no item"):
        lua.table_from([[Broken(a=1)]], recursive=True)
    assert plain(lua.table_from([1])) == {1: 1}


def test_values_that_cannot_be_converted(lupa, lua):
    with pytest.raises(OverflowError):
        lua.table_from([1, 2**70])
    with pytest.raises(UnicodeEncodeError):
        lua.table_from({"a": "\ud800"})
    with pytest.raises(lupa.LuaError, match="different Lua runtimes"):
        lua.table_from([lupa.LuaRuntime().table()])


def test_dict_changed_while_it_is_read(lua):
    """A key's conversion may run Python code (here: an overflow handler)."""
    data = {2**70: 1, 2**71: 2}
    lua.set_overflow_handler(lambda value: data.pop(value, None) and float(value))
    if FREE_THREADED:  # what is read there is a copy
        assert plain(lua.table_from(data)) == {2.0**70: 1, 2.0**71: 2}
        return
    with pytest.raises(RuntimeError, match="changed"):
        lua.table_from(data)
    assert lua.eval("1") == 1


@pytest.mark.beyond
def test_list_changed_while_it_is_read(isolated):
    isolated("""
        import sys
        data = [2**70] * 50
        lua.set_overflow_handler(lambda value: data.clear() or 1.0)
        t = lua.table_from(data)
        # Where other threads run at the same time, what is read is a copy.
        read = 1 if getattr(sys, "_is_gil_enabled", lambda: True)() else 50
        assert t[1] == 1.0 and len(t) == read, len(t)
        data = [[2**70] * 50, 1, 2]
        lua.set_overflow_handler(lambda value: [part.clear() for part in data[:1]] and data.clear() or 1.0)
        lua.table_from(data, recursive=True)
    """)


def test_deep_nesting(lua):
    data = []
    for _ in range(100):
        data = [data]
    table = lua.table_from(data, recursive=True)
    for _ in range(100):
        table = table[1]
    assert len(table) == 0


@pytest.mark.beyond
def test_very_deep_nesting_ends_in_an_error_or_a_table(isolated):
    isolated("""
        data = []
        for _ in range(100_000):
            data = [data]
        try:
            lua.table_from(data, recursive=True)
        except (RecursionError, MemoryError, lupa.LuaError):
            pass
        assert lua.eval("1 + 1") == 2
        while data:
            data = data[0]
    """)


def test_large_table(lua):
    table = lua.table_from(range(100_000))
    assert len(table) == 100_000
    assert sum(table.values()) == sum(range(100_000))


def test_keywords(lua):
    with pytest.raises(TypeError):
        lua.table_from([1], deep=True)
    assert lua.table_from([[1]], recursive=1)[1][1] == 1


@pytest.mark.beyond
@pytest.mark.parametrize(
    "module, use",
    [
        ("collections.abc", "lupa.LuaRuntime().table_from(iter([1]))"),
        ("types", "lupa.LuaRuntime(sandbox=True).eval('pcall(function(o) return o.append end, ...)', [])"),
        ("threading", "lupa.LuaRuntime().eval('(function() while true do end end)()', timeout=0.2)"),
        ("numpy", "lupa.as_array(type('Described', (), {'__array_interface__': {}})())"),
    ],
)
def test_an_import_comes_back(isolated, module, use):
    """What is imported when it is first needed may need the same."""
    isolated(
        """
        import sys
        module, use = sys.argv[1:]

        class Hook:
            depth = 0
            def find_spec(self, name, path=None, target=None):
                if name == module and self.depth < 3:
                    self.depth += 1
                    attempt()

        def attempt():
            try:
                eval(use)
            except Exception as error:
                assert type(error).__name__ in ("LuaTimeoutError", "ImportError", "TypeError", "ValueError",
                                                "ModuleNotFoundError", "AttributeError"), error

        hook = Hook()
        sys.modules.pop(module, None)
        sys.meta_path.insert(0, hook)
        attempt()
        attempt()
        sys.meta_path.remove(hook)
        """,
        module,
        use,
    )
