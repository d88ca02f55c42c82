"""Arrays in Lua: what Lua code can do with one, and the two ways between Python and Lua, without NumPy."""

from __future__ import annotations

import array
import ctypes
import mmap
import sys
from collections import namedtuple

import pytest

pytestmark = pytest.mark.beyond

Doubles = namedtuple("Doubles", "memory lua_value")


@pytest.fixture
def doubles(lupa):
    """Five doubles in Python, and the same as a Lua value to pass."""
    memory = array.array("d", [1, 2, 3, 4, 5])
    return Doubles(memory, lupa.as_array(memory))


def matrix(lupa, rows, columns, code="d"):
    """A Lua array of this shape over an array.array that counts up."""
    memory = array.array(code, range(rows * columns))
    return memory, lupa.as_array(memoryview(memory).cast("B").cast(code, (rows, columns)))


def test_elements_are_read_and_written_in_place(lua, doubles):
    lua.execute("local a = ...; a[1] = a[5] * 10; a[5] = -1", doubles.lua_value)
    assert doubles.memory.tolist() == [50, 2, 3, 4, -1]


def test_type_and_length(lua, doubles):
    assert lua.eval("type(...)", doubles.lua_value) == "userdata"
    assert lua.eval("#...", doubles.lua_value) == 5
    assert lua.eval("tostring(...)", doubles.lua_value) == "array float64 [5]"


def test_attributes(lua, lupa):
    _, value = matrix(lupa, 2, 3, "i")
    result = lua.execute(
        """
        local a = ...
        return a.ndim, a.size, a.nbytes, a.itemsize, a.dtype, a.readonly,
               table.concat(a.shape, 'x'), table.concat(a.strides, ' ')
        """,
        value,
    )
    assert result == (2, 6, 24, 4, "int32", False, "2x3", "12 4")


@pytest.mark.parametrize("index", ["0", "6", "-1", "2^53", "-2^53", "1e300", "-1e300", "1/0", "0/0", "1.5"])
@pytest.mark.parametrize("code", ["return (...)[{}]", "(...)[{}] = 1"])
def test_bounds(lua, doubles, index, code):
    with pytest.raises((IndexError, TypeError)):
        lua.execute(code.format(index), doubles.lua_value)
    assert doubles.memory.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("key", ["'x'", "true", "{}", "nil", "print", "'1'", "'__index'"])
def test_keys_that_are_no_index(lua, doubles, key):
    with pytest.raises((AttributeError, TypeError)):
        lua.eval(f"(...)[{key}]", doubles.lua_value)
    with pytest.raises((AttributeError, TypeError)):
        lua.execute(f"(...)[{key}] = 1", doubles.lua_value)


@pytest.mark.parametrize("value", ["'1'", "nil", "{}", "true", "print"])
def test_values_that_are_no_number(lua, doubles, value):
    with pytest.raises(TypeError):
        lua.execute(f"(...)[1] = {value}", doubles.lua_value)


def test_errors_name_the_bounds(lua, doubles):
    with pytest.raises(IndexError, match="index 6 is out of bounds: they go from 1 to 5"):
        lua.eval("(...)[6]", doubles.lua_value)


def test_errors_can_be_caught_in_lua(lua, doubles):
    ok, error = lua.eval("pcall(function(a) return a[0] end, ...)", doubles.lua_value)
    assert not ok
    assert isinstance(error, IndexError)


def test_base_zero(lupa, doubles):
    lua = lupa.LuaRuntime(array_base=0)
    assert lua.execute("local a = ...; return a[0], a[4], a:get(1), #a", doubles.lua_value) == (1, 5, 2, 5)
    with pytest.raises(IndexError, match="they go from 0 to 4"):
        lua.eval("(...)[5]", doubles.lua_value)
    keys = lua.execute("local t = {}; for i in (...):each() do t[#t + 1] = i end; return t", doubles.lua_value)
    assert list(keys.values()) == [0, 1, 2, 3, 4]
    assert memoryview(lua.eval("(...):slice(1, -2)", doubles.lua_value)).tolist() == [2, 3, 4]
    assert memoryview(lua.eval("(...):slice(0, 0)", doubles.lua_value)).tolist() == [1]


@pytest.mark.parametrize("base", [-1, 2, 10])
def test_other_bases_are_refused(lupa, base):
    with pytest.raises(ValueError, match="array_base"):
        lupa.LuaRuntime(array_base=base)


def test_iteration(lua, doubles):
    lines = lua.execute(
        "local t = {}; for i, v in (...):each() do t[#t + 1] = i .. '=' .. v end; return table.concat(t, ' ')",
        doubles.lua_value,
    )
    assert lines.replace(".0", "") == "1=1 2=2 3=3 4=4 5=5"


def test_pairs(lua, lupa, is_luajit, doubles):
    if lupa.LUA_VERSION < (5, 2):
        pytest.skip("no __pairs before Lua 5.2")
    total = "local s = 0; for i, v in pairs(...) do s = s + i * v end; return s"
    assert lua.execute(total, doubles.lua_value) == 55


def test_rows(lua, lupa):
    memory, value = matrix(lupa, 3, 4)
    assert lua.execute("local m = ...; m[2][3] = -7; return m[3][4], #m, #m[1]", value) == (11, 3, 4)
    assert memory[6] == -7
    total = "local s = 0; for _, row in (...):each() do for _, v in row:each() do s = s + v end end; return s"
    assert lua.execute(total, value) == sum(memory)


def test_a_row_cannot_be_assigned(lua, lupa):
    _, value = matrix(lupa, 2, 2)
    with pytest.raises(TypeError, match="a:set"):
        lua.execute("(...)[1] = 5", value)


def test_get_and_set(lua, lupa):
    memory, value = matrix(lupa, 3, 4)
    assert lua.execute("local m = ...; m:set(1, 2, 99); return m:get(1, 2), m:get(3, 1)", value) == (99, 8)
    assert memory[1] == 99
    for call in ("get(1)", "get(1, 2, 3)", "get()", "set(1, 5)", "set(1, 2)", "set(1, 2, 3, 4)", "set()"):
        with pytest.raises(IndexError, match="indices"):
            lua.execute(f"(...):{call}", value)
    for call in ("get(0, 1)", "get(4, 1)", "get(1, 0)", "get(1, 5)", "set(4, 1, 0)", "get(1, 1.5)", "get(1, '1')"):
        with pytest.raises((IndexError, TypeError)):
            lua.execute(f"(...):{call}", value)


def test_three_dimensions(lua, lupa):
    memory = array.array("i", range(24))
    value = lupa.as_array(memoryview(memory).cast("B").cast("i", (2, 3, 4)))
    assert lua.execute("local a = ...; a:set(2, 3, 4, -1); return a:get(1, 2, 3), a[2][1][2]", value) == (6, 13)
    assert memory[23] == -1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("2", [2, 3, 4, 5]),
        ("2, 4", [2, 3, 4]),
        ("2, -2", [2, 3, 4]),
        ("-2", [4, 5]),
        ("1, 5, 2", [1, 3, 5]),
        ("nil, nil, -1", [5, 4, 3, 2, 1]),
        ("4, 2, -1", [4, 3, 2]),
        ("nil, nil, -2", [5, 3, 1]),
        ("3, 3", [3]),
        ("4, 3", []),
        ("2, 4, -1", []),
        ("6", []),
        ("0, 99", [1, 2, 3, 4, 5]),
        ("-99, 2", [1, 2]),
        ("1, 5, 100", [1]),
        ("1, 5, 2^62", [1]),
        ("5, 1, -2^62", [5]),
    ],
)
def test_slices(lua, doubles, arguments, expected):
    view = lua.eval(f"(...):slice({arguments})", doubles.lua_value)
    assert memoryview(view).tolist() == expected
    # In Lua it is the same.
    assert list(lua.eval(f"(...):slice({arguments}):totable()", doubles.lua_value).values()) == expected


def test_slices_of_dimensions(lua, lupa):
    _, value = matrix(lupa, 3, 4)
    assert memoryview(lua.eval("(...):slice({2, 3}, {1, 4, 2})", value)).tolist() == [[4, 6], [8, 10]]
    assert memoryview(lua.eval("(...):slice(true, 2)", value)).tolist() == [1, 5, 9]
    assert memoryview(lua.eval("(...):slice(2, true)", value)).tolist() == [4, 5, 6, 7]
    assert memoryview(lua.eval("(...):slice({}, {nil, nil, -1})", value)).tolist()[0] == [3, 2, 1, 0]
    assert memoryview(lua.eval("(...):slice(2, 3)", value)).tolist() == [[4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize("arguments", ["1, 2, 0", "'a'", "1.5", "true, true, true", "1, 2, 3, 4", "{1, 2}, 9"])
def test_slices_that_are_none(lua, lupa, arguments):
    _, value = matrix(lupa, 3, 4)
    with pytest.raises((lupa.LuaError, ValueError, TypeError, IndexError)):
        lua.eval(f"(...):slice({arguments})", value)


def test_views_share_memory(lua, doubles):
    lua.execute("local v = (...):slice(nil, nil, -2); v[1] = 50; v:slice(2)[1] = 30", doubles.lua_value)
    assert doubles.memory.tolist() == [1, 2, 30, 4, 50]


def test_reshape(lua, lupa):
    memory = array.array("h", range(12))
    value = lupa.as_array(memory)
    assert memoryview(lua.eval("(...):reshape(3, 4)", value)).tolist()[1] == [4, 5, 6, 7]
    assert memoryview(lua.eval("(...):reshape{2, -1}", value)).shape == (2, 6)
    assert memoryview(lua.eval("(...):reshape(2, 3, 2):reshape(12)", value)).tolist() == list(range(12))
    lua.execute("(...):reshape(3, 4)[3][4] = 77", value)
    assert memory[11] == 77


@pytest.mark.parametrize("arguments", ["5", "-1, -1", "5, -1", "0, -1", "-2, -6", "1.5, 8", "'x'", "", "2^40, 2^40"])
def test_reshape_of_another_size(lua, lupa, arguments):
    value = lupa.as_array(array.array("h", range(12)))
    with pytest.raises((ValueError, lupa.LuaError)):
        lua.eval(f"(...):reshape({arguments})", value)


def test_reshape_needs_c_order(lua, doubles):
    with pytest.raises(ValueError, match="copy"):
        lua.eval("(...):slice(1, 4, 1):slice(nil, nil, 2):reshape(1, 2)", doubles.lua_value)
    reshaped = lua.eval("(...):slice(1, 5, 2):copy():reshape(3, 1)", doubles.lua_value)
    assert memoryview(reshaped).tolist() == [[1], [3], [5]]


def test_transpose(lua, lupa):
    memory, value = matrix(lupa, 2, 3)
    assert memoryview(lua.eval("(...):transpose()", value)).tolist() == [[0, 3], [1, 4], [2, 5]]
    lua.execute("(...):transpose():set(3, 1, -2)", value)
    assert memory[2] == -2


def test_copy_is_apart(lua, doubles):
    copied = lua.execute("local c = (...):slice(nil, nil, -1):copy(); c[1] = 0; return c", doubles.lua_value)
    assert memoryview(copied).tolist() == [0, 4, 3, 2, 1]
    assert doubles.memory.tolist() == [1, 2, 3, 4, 5]


def test_fill(lua, lupa, doubles):
    lua.execute("(...):slice(2, 4):fill(9)", doubles.lua_value)
    assert doubles.memory.tolist() == [1, 9, 9, 9, 5]
    with pytest.raises(TypeError):
        lua.execute("(...):fill('x')", doubles.lua_value)


def test_totable(lua, lupa):
    _, value = matrix(lupa, 2, 3, "i")
    assert lua.eval("table.concat((...):totable()[2], ' ')", value) == "3 4 5"


def test_equality(lua, doubles):
    code = "local a, b = ...; return a == b, a == a:slice(1, 2), a:slice(1, 2) == b:slice(1, 2), a ~= a:copy()"
    assert lua.execute(code, doubles.lua_value, doubles.lua_value) == (True, False, True, True)


def test_read_only(lua, lupa):
    value = lupa.as_array(memoryview(b"abc"))
    assert lua.execute("local a = ...; return a.readonly, a[1], a.dtype", value) == (True, 97, "uint8")
    for code in ("(...)[1] = 0", "(...):set(1, 0)", "(...):fill(0)", "(...):slice(2)[1] = 0"):
        with pytest.raises(ValueError, match="read-only"):
            lua.execute(code, value)
    assert memoryview(lua.eval("(...):slice(2)", value)).readonly
    assert lua.eval("(...):copy().readonly", value) is False


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(b"\1\2\3\4"),
        lambda: memoryview(bytearray(b"\1\2\3\4")),
        lambda: array.array("B", [1, 2, 3, 4]),
        lambda: (ctypes.c_uint8 * 4)(1, 2, 3, 4),
        lambda: (ctypes.c_char * 4)(1, 2, 3, 4),
    ],
)
def test_exporters(lua, lupa, make):
    exporter = make()
    lua.execute("local a = ...; a[2] = a[1] + a[4]", lupa.as_array(exporter))
    assert bytes(exporter) == b"\1\5\3\4"


def test_mmap(lua, lupa):
    with mmap.mmap(-1, 4096) as pages:
        lua.execute("local a = ...; a[4096] = 7; a:release()", lupa.as_array(pages))
        assert pages[4095] == 7


def test_ctypes_matrix(lua, lupa):
    rows = ((ctypes.c_int32 * 3) * 2)()
    lua.execute("(...):set(2, 3, 42)", lupa.as_array(rows))
    assert rows[1][2] == 42


def test_in_lua(lua, doubles):
    """``python.array`` does the same for an object that Lua has."""
    lua.execute("local a = python.array(...); a[1] = 100", doubles.memory)
    assert doubles.memory[0] == 100
    assert lua.execute("local a = python.array(...); return python.array(a) == a", doubles.memory) is True


@pytest.mark.parametrize("thing", [object(), 5.0, "text", [1, 2], {}, None, len])
def test_what_is_no_array(lua, lupa, thing):
    with pytest.raises(TypeError):
        lupa.as_array(thing)
    with pytest.raises((TypeError, lupa.LuaError)):
        lua.eval("python.array(...)", thing)


def test_what_is_no_array_in_lua(lua, lupa):
    for code in ("python.array({})", "python.array()", "python.array(print)", "python.array(io.stdout)"):
        with pytest.raises(lupa.LuaError, match="bad argument #1"):
            lua.eval(code)


def test_formats_that_are_no_numbers(lupa):
    class Pair(ctypes.Structure):
        _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_double)]

    for exporter in ((Pair * 2)(), (ctypes.c_wchar * 2)(), (ctypes.c_void_p * 2)()):
        with pytest.raises(TypeError, match="format"):
            lupa.as_array(exporter)


def test_by_default_nothing_changes(lua):
    """An exporter that is passed as it is stays a Python object."""
    memory = bytearray(b"abc")
    assert lua.eval("(...)[0]", memory) == 97
    memory.append(1)


def test_the_same_object_comes_back(lua, lupa, doubles):
    assert lua.eval("...", doubles.lua_value) is doubles.memory
    assert lua.eval("python.array(...)", doubles.memory) is doubles.memory
    assert lua.eval("(...):slice(1, 2)", doubles.lua_value) is not doubles.memory
    made = lua.eval("python.zeros(3)")
    assert lua.eval("...", made) is made
    view = lua.eval("(...):slice(2)", made)
    assert lua.eval("...", view) is view


def test_python_functions_get_the_object(lua, lupa, doubles):
    assert lua.eval("python.builtins.sum(...)", doubles.lua_value) == 15
    assert lua.eval("python.as_attrgetter(...).typecode", doubles.lua_value) == "d"
    lua.globals().a = doubles.lua_value
    assert lua.globals().a is doubles.memory


def test_zeros(lua):
    made = lua.eval("python.zeros({2, 3}, 'int16')")
    assert memoryview(made).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert (made.shape, made.dtype, made.ndim, made.size, made.nbytes) == ((2, 3), "int16", 2, 6, 12)
    assert (made.strides, made.readonly, len(made)) == ((6, 2), False, 2)
    assert repr(made) == "<Lua array int16 [2 x 3]>"
    assert lua.eval("python.zeros(4).dtype") == "float64"


def test_memory_of_lua_is_written_from_python(lua):
    lua.execute("made = python.zeros(4, 'double')")
    memoryview(lua.globals().made)[2] = 2.5
    assert lua.eval("made[3]") == 2.5


@pytest.mark.parametrize("shape", ["-1", "1.5", "'x'", "{1, -1}", "{'a'}", "print", "2^70"])
def test_shapes_that_are_none(lua, lupa, shape):
    with pytest.raises((lupa.LuaError, ValueError, TypeError)):
        lua.eval(f"python.zeros({shape})")


@pytest.mark.parametrize("shape", ["2^40", "{2^31, 2^31}", "{2^62, 2^62}", "{2^62, 0, 2^62}"])
def test_shapes_that_are_too_large(lupa, shape):
    lua = lupa.LuaRuntime(max_memory=1 << 24)
    with pytest.raises((ValueError, lupa.LuaMemoryError)):
        lua.eval(f"python.zeros({shape})")


def test_dtypes_that_are_none(lua, lupa):
    for name in ("'quad'", "'float'", "'int'", "5", "{}", "''", "'O'", "'S4'", "'M8'", "'>f8'"):
        with pytest.raises(lupa.LuaError, match="bad argument #2"):
            lua.eval(f"python.zeros(1, {name})")


def test_array_from(lua):
    assert memoryview(lua.eval("python.array_from{1, 2.5, -3}")).tolist() == [1, 2.5, -3]
    nested = lua.eval("python.array_from({{1, 2, 3}, {4, 5, 6}}, 'uint8')")
    assert memoryview(nested).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert lua.eval("#python.array_from{}") == 0
    assert lua.eval("python.array_from({true, false}, 'bool')[1]") is True


@pytest.mark.parametrize(
    "table",
    ["{1, 'x'}", "{1, {2}}", "{{1}, 2}", "{{1, 2}, {3}}", "{{1}, {2, 3}}", "5", "'x'", "{{{1}}, {{1, 2}}}"],
)
def test_tables_that_are_no_array(lua, lupa, table):
    with pytest.raises((ValueError, TypeError, lupa.LuaError)):
        lua.eval(f"python.array_from({table})")


def test_array_from_a_table_that_contains_itself(lua, lupa):
    with pytest.raises(lupa.LuaError, match="levels"):
        lua.execute("local t = {}; t[1] = t; return python.array_from(t)")


def test_no_dimensions(lua):
    assert lua.execute("local a = python.zeros({}); a:set(2.5); return a:get(), a.ndim, a.size") == (2.5, 0, 1)
    for code in ("#a", "a[1]", "a:slice(1)"):
        with pytest.raises(TypeError, match="without dimensions"):
            lua.execute(f"local a = python.zeros({{}}); return {code}")
    assert lua.eval("tostring(python.zeros({}))") == "array float64 []"


def test_nothing_in_it(lua, lupa):
    value = lupa.as_array(bytearray())
    assert lua.execute("local a = ...; return #a, a.size, tostring(a)", value) == (0, 0, "array uint8 [0]")
    with pytest.raises(IndexError, match="there are none"):
        lua.eval("(...)[1]", value)
    assert lua.execute("for _ in (...):each() do return 1 end", value) is None
    assert memoryview(lua.eval("python.zeros({3, 0, 2})")).shape == (3, 0, 2)
    assert memoryview(lua.eval("python.zeros({3, 0}):copy():reshape(0, 7)")).shape == (0, 7)
    lua.execute("(...):fill(1)", value)


def test_arrays_of_two_runtimes(lupa):
    one, two = lupa.LuaRuntime(), lupa.LuaRuntime()
    made = one.eval("python.zeros(3)")
    two.execute("(...)[1] = 5", made)
    assert one.eval("(...)[1]", made) == 5


def test_in_coroutines(lua, doubles):
    code = "function(a) for i = 1, #a do coroutine.yield(a[i]) end end"
    assert list(lua.eval(code).coroutine(doubles.lua_value)) == [1, 2, 3, 4, 5]


def test_table_from(lua, lupa, doubles):
    table = lua.table_from({"a": doubles.lua_value, "b": [doubles.lua_value]}, recursive=True)
    lua.execute("local t = ...; t.a[1] = 10; t.b[1][2] = 20", table)
    assert doubles.memory.tolist() == [10, 20, 3, 4, 5]


def test_many_at_a_time(lua, lupa):
    values = [lupa.as_array(array.array("d", [i])) for i in range(100)]
    assert lua.execute("local s = 0; for _, a in ipairs{...} do s = s + a[1] end; return s", *values) == 4950


def test_handlers_are_not_passed_by(lupa):
    """Attribute handlers do all access, so a script cannot open an object's memory; the host still can."""
    lua = lupa.LuaRuntime(attribute_handlers=(getattr, setattr))
    memory = bytearray(b"abc")
    with pytest.raises(TypeError, match="attribute_handlers"):
        lua.eval("python.array(...)", memory)
    assert lua.eval("(...)[1]", lupa.as_array(memory)) == ord("a")


def test_numpy_is_not_needed(isolated):
    out = isolated(
        """
        import array, sys
        sys.modules['numpy'] = None
        lua = lupa.LuaRuntime(convert_arrays=True)
        a = lua.eval('python.zeros(3)')
        memory = array.array('d', [1, 2])
        print(lua.eval('(...)[2]', lupa.as_array(memory)), a, lua.eval('type(...)', object()))
        class Described:
            __array_interface__ = {}
        try:
            lupa.as_array(Described())
        except ImportError as error:
            print(error)
        """
    )
    assert out.splitlines()[0] in ("2.0 <Lua array float64 [3]> userdata", "2 <Lua array float64 [3]> userdata")
    assert "pip install lupa[numpy]" in out


def test_numpy_is_not_imported(isolated):
    out = isolated(
        """
        import sys
        lua = lupa.LuaRuntime(convert_arrays=True)
        a = lua.eval('python.array_from{1, 2}')
        lua.eval('...', object())
        lua.execute('(...)[1] = 5', lupa.as_array(bytearray(3)))
        print(a.__array_interface__['typestr'], 'numpy' in sys.modules)
        """
    )
    assert out.split() == ["<f8" if sys.byteorder == "little" else ">f8", "False"]
