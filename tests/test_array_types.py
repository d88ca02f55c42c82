"""Arrays in Lua: every element type, byte order and memory order, against NumPy."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.beyond

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
NUMBERS = INTEGERS + FLOATS
DTYPES = ["bool", *NUMBERS, *COMPLEX]

# All ways that three by four elements can be in memory.
LAYOUTS = {
    "C": lambda a: np.ascontiguousarray(a),
    "Fortran": lambda a: np.asfortranarray(a),
    "rows backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "all backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "gaps": lambda a: spread(a, 2, 3),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "not aligned": lambda a: shifted(a),
    "in records": lambda a: in_records(a),
    "repeated": lambda a: np.broadcast_to(a, a.shape),
}


def spread(a, *steps):
    room = np.zeros([n * s for n, s in zip(a.shape, steps)], a.dtype)
    view = room[tuple(slice(None, None, s) for s in steps)]
    view[...] = a
    return view


def shifted(a):
    view = np.zeros(a.nbytes + 1, "u1")[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


def in_records(a):
    records = np.zeros(a.shape, [("before", "u1"), ("value", a.dtype), ("after", "u1")])
    records["value"] = a
    return records["value"]


def sample(dtype):
    """Three by four values, with the extremes of the type."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return (np.arange(12) % 3 == 0).reshape(3, 4)
    values = np.arange(12).reshape(3, 4).astype(kind)
    if kind.kind in "iu":
        info = np.iinfo(kind)
        # Beyond 2^53 not every Lua has numbers: that is for a test of its own.
        values[0, 0], values[0, 1] = max(info.min, -(2**53)), min(info.max, 2**53)
    elif kind.kind == "f":
        values[0] = [-0.0, np.finfo(kind).max, np.finfo(kind).tiny, 1 / 3]
    else:
        values += 1j * np.arange(12)[::-1].reshape(3, 4).astype(values.real.dtype) - 0.5
    return values


@pytest.fixture
def lua(lupa):
    return lupa.LuaRuntime(convert_arrays=True)


READ = """
local a, real = ...
local t = {}
for i = 1, a.shape[1] do
  for j = 1, a.shape[2] do
    local v, row = a:get(i, j), a[i][j]
    if real then
      assert(v == row)
      t[#t + 1] = v
    else
      assert(v.re == row.re and v.im == row.im)
      t[#t + 1], t[#t + 2] = v.re, v.im
    end
  end
end
return t
"""


def read(lua, a):
    """All elements as Lua reads them, in two ways."""
    values = list(lua.execute(READ, a, a.dtype.kind != "c").values())
    if a.dtype.kind == "c":
        values = [complex(*pair) for pair in zip(values[::2], values[1::2])]
    return values


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_reading(lua, dtype, layout):
    a = LAYOUTS[layout](sample(dtype))
    assert read(lua, a) == a.ravel().tolist()


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "repeated"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_writing(lua, dtype, layout):
    source = sample(dtype)
    a = LAYOUTS[layout](np.zeros_like(source))
    lua.execute(
        """
        local from, to = ...
        for i = 1, #to do
          local row = to[i]
          for j = 1, #row do
            if j % 2 == 0 then row[j] = from:get(i, j) else to:set(i, j, from[i][j]) end
          end
        end
        """,
        source,
        a,
    )
    assert a.tolist() == source.tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_views_go_back(lua, dtype, layout):
    a = LAYOUTS[layout](sample(dtype))
    result = np.asarray(lua.eval("(...):slice({nil, nil, -2}, {2, 3})", a))
    expected = a[::-2, 1:3]
    assert np.shares_memory(result, a)
    assert result.dtype == a.dtype
    assert result.tolist() == expected.tolist()
    assert result.flags.writeable == a.flags.writeable
    assert lua.eval("...", a) is a


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_copies(lua, dtype, layout):
    a = LAYOUTS[layout](sample(dtype))
    copied = np.asarray(lua.eval("(...):copy()", a))
    assert copied.flags.c_contiguous
    assert copied.flags.aligned
    assert not np.shares_memory(copied, a)
    assert copied.dtype == a.dtype.newbyteorder("=")
    assert copied.tolist() == a.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
def test_made_in_lua(lua, dtype):
    made = lua.execute("local a = python.zeros({2, 3}, ...); a:fill(a.dtype == 'bool' or 1); return a", dtype)
    a = np.asarray(made)
    assert a.dtype == np.dtype(dtype)
    assert a.tolist() == np.ones((2, 3), dtype).tolist()
    a[1, 2] = 0
    assert not np.asarray(made)[1, 2]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_array_interface(lua, dtype, swapped):
    """The other way for NumPy to share memory says the same as the buffer protocol."""
    a = sample(dtype)
    if swapped:
        a = a.astype(a.dtype.newbyteorder())
    view = lua.eval("(...):slice(2)", a)
    interface = view.__array_interface__
    stand_in = type("StandIn", (), {"__array_interface__": interface})()
    b = np.asarray(stand_in)
    assert b.dtype == a.dtype
    assert b.tolist() == a[1:].tolist()
    assert np.shares_memory(a, b)
    assert interface["version"] == 3


@pytest.mark.parametrize("name", DTYPES)
def test_names(lua, name):
    dtype = np.dtype(name)
    assert lua.eval("(...).dtype", np.zeros(1, dtype)) == name
    for spelling in (name, dtype.str, dtype.str[1:]):
        assert lua.eval("python.zeros(1, ...).dtype", spelling) == name
    swapped = dtype.newbyteorder()
    assert np.dtype(lua.eval("(...).dtype", np.zeros(1, swapped))) == swapped


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("double", "float64"),
        ("complex", "complex128"),
        ("int32_t", "int32"),
        ("uint8_t", "uint8"),
        ("unsigned char", "uint8"),
        ("complex float", "complex64"),
    ],
)
def test_names_of_c(lua, spelling, name):
    assert lua.eval("python.zeros(1, ...).dtype", spelling) == name


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_out_of_range(lua, dtype):
    a = np.zeros(2, dtype)
    info = np.iinfo(dtype)
    beyond = [info.min - 1, info.max + 1] if info.bits < 64 else [-(2.0**64), 2.0**64]
    for value in [*map(float, beyond), float("inf"), -float("inf")]:
        with pytest.raises(OverflowError):
            lua.execute("local a, v = ...; a[1] = v", a, value)
    for value in (0.5, -0.25):
        with pytest.raises(ValueError, match="no integer"):
            lua.execute("local a, v = ...; a[1] = v", a, value)
    with pytest.raises((ValueError, OverflowError)):
        lua.execute("local a, v = ...; a[1] = v", a, float("nan"))
    assert a.tolist() == [0, 0]
    lua.execute("local a, v = ...; a[1] = v", a, 2.0)
    assert a.tolist() == [2, 0]


@pytest.mark.parametrize("dtype", NUMBERS)
def test_booleans_are_no_numbers(lua, dtype):
    with pytest.raises(TypeError):
        lua.execute("(...)[1] = true", np.zeros(1, dtype))


def test_numbers_are_no_booleans(lua):
    with pytest.raises(TypeError, match="true and false"):
        lua.execute("(...)[1] = 1", np.zeros(1, "bool"))


@pytest.mark.parametrize("swap", [False, True])
def test_int64_keeps_its_value(lua, has_integers, is_luajit, swap):
    values = [-(2**63), -(2**53) - 1, -(2**53), -1, 0, 2**53, 2**53 + 1, 2**63 - 1]
    a = np.array(values, "int64")
    if swap:
        a = a.astype(a.dtype.newbyteorder())
    for index, value in enumerate(values, 1):
        exact = abs(value) <= 2**53
        if has_integers or exact:
            assert lua.eval(f"(...)[{index}]", a) == value
        elif is_luajit and not swap:
            assert lua.eval(f"tostring((...)[{index}])", a) == f"{value}LL"
        else:
            with pytest.raises(OverflowError, match="without losing digits"):
                lua.eval(f"(...)[{index}]", a)


@pytest.mark.parametrize("swap", [False, True])
def test_uint64_keeps_its_value(lua, has_integers, is_luajit, swap):
    values = [0, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1]
    a = np.array(values, "uint64")
    if swap:
        a = a.astype(a.dtype.newbyteorder())
    for index, value in enumerate(values, 1):
        if (has_integers and value < 2**63) or value <= 2**53:
            assert lua.eval(f"(...)[{index}]", a) == value
        elif is_luajit and not swap:
            assert lua.eval(f"tostring((...)[{index}])", a) == f"{value}ULL"
        else:
            with pytest.raises(OverflowError, match="without losing digits"):
                lua.eval(f"(...)[{index}]", a)


def test_large_integers_through_the_overflow_handler(lupa, is_luajit):
    if is_luajit:
        pytest.skip("LuaJIT has cdata for these")
    lua = lupa.LuaRuntime(convert_arrays=True, overflow_handler=float)
    assert lua.eval("(...)[1]", np.array([2**64 - 1], "uint64")) == 2.0**64


def test_large_integers_are_copied_within_lua(lua, has_integers, is_luajit):
    if not (has_integers or is_luajit):
        pytest.skip("numbers of this Lua do not hold them")
    a = np.array([-(2**63), 2**63 - 1, 2**53 + 1], "int64")
    b = np.zeros_like(a)
    lua.execute("local a, b = ...; for i = 1, #a do b[i] = a[i] end", a, b)
    assert b.tolist() == a.tolist()
    c = np.zeros_like(a)
    lua.execute("local a, c = ...; for i = 1, #a do c:set(i, a:get(i)) end", a, c)
    assert c.tolist() == a.tolist()


def test_large_integers_as_python_objects(lupa):
    """What an overflow handler lets through is a Python integer in a box; it goes into an array exactly."""
    lua = lupa.LuaRuntime(convert_arrays=True, overflow_handler=lambda n: lupa.as_attrgetter(n))
    a = np.zeros(2, "uint64")
    lua.execute("local a, n = ...; a[1] = n; a:set(2, n)", a, 2**64 - 1)
    assert a.tolist() == [2**64 - 1] * 2


def test_float16_is_rounded_as_numpy_does(lua):
    exact = np.concatenate([np.arange(2**16, dtype="uint16").view("float16").astype("float64")])
    exact = exact[np.isfinite(exact)]
    ties = (exact[:-1] + exact[1:]) / 2
    numbers = np.concatenate([exact, ties, np.nextafter(ties, np.inf), [65519.9, 65520, 1e300, -1e300, 1e-30]])
    halves = np.zeros(len(numbers), "float16")
    lua.execute("local from, to = ...; for i = 1, #from do to[i] = from[i] end", numbers, halves)
    with np.errstate(over="ignore"):
        expected = numbers.astype("float16")
    assert halves.tobytes() == expected.tobytes()
    back = np.zeros(len(numbers))
    lua.execute("local from, to = ...; for i = 1, #from do to[i] = from[i] end", halves, back)
    assert back.tobytes() == expected.astype("float64").tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_floats(lua, dtype):
    a = np.array([np.nan, np.inf, -np.inf, -0.0], dtype)
    b = np.zeros_like(a)
    lua.execute("local a, b = ...; for i = 1, #a do b[i] = a[i] end", a, b)
    assert np.isnan(b[0])
    assert b[1:].tobytes() == a[1:].tobytes()


@pytest.mark.parametrize("dtype", COMPLEX)
def test_complex_numbers(lua, dtype):
    a = np.array([1 + 2j, 3 - 4j, 0], dtype)
    assert lua.execute("local a = ...; return a[1].re, a[1].im, a.real[2], a.imag[2]", a) == (1, 2, 3, -4)
    lua.execute("local a = ...; a[3] = {re = 5, im = 6}; a[2] = 7; a.imag[1] = 9", a)
    assert a.tolist() == [1 + 9j, 7, 5 + 6j]
    lua.execute("local a, z = ...; a[1] = z", a, 2.5 - 1j)
    assert a[0] == 2.5 - 1j
    for value in ("{}", "{re = 1}", "{re = 'x', im = 1}", "'x'", "true"):
        with pytest.raises(TypeError):
            lua.execute(f"(...)[1] = {value}", a)
    assert np.asarray(lua.eval("(...).imag", a)).base is not None
    with pytest.raises(TypeError):
        lua.execute("local a, z = ...; a[1] = z", np.zeros(1), 1j)
    made = lua.eval("python.array_from({{re = 1, im = 2}, 3}, ...)", dtype)
    assert np.asarray(made).tolist() == [1 + 2j, 3]


def test_fortran_order_is_seen(lua):
    a = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert lua.execute("local a = ...; return a.strides[1], a.strides[2]", a) == (8, 16)
    with pytest.raises(ValueError, match="copy"):
        lua.eval("(...):reshape(6)", a)
    assert lua.execute("local a = ...; return (a:copy():reshape(6))[2]", a) == 1


def test_orders_for_consumers(lua):
    """What the buffer protocol offers, it has to be."""
    a = np.arange(12.0).reshape(3, 4)
    fortran = lua.eval("(...):transpose()", a)
    assert np.asarray(fortran).flags.f_contiguous
    assert np.asarray(fortran).tolist() == a.T.tolist()
    assert bytes(lua.eval("(...):slice(2)", a)) == a[1:].tobytes()
    with pytest.raises((BufferError, TypeError)):
        np.frombuffer(lua.eval("(...):slice(nil, nil, 2)", a))
    with pytest.raises((BufferError, ValueError)):
        np.frombuffer(fortran)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3), (1,), (1, 1, 1), (2, 1, 3)])
def test_shapes(lua, shape):
    a = np.arange(np.prod(shape, dtype=int), dtype="float64").reshape(shape)
    assert lua.execute("local a = ...; return a.ndim, a.size", a) == (a.ndim, a.size)
    assert list(lua.eval("(...).shape", a).values()) == list(shape)
    assert np.asarray(lua.eval("(...):copy()", a)).tolist() == a.tolist()
    assert np.asarray(lua.eval("(...):transpose()", a)).shape == shape[::-1]


def test_many_dimensions(lua, lupa):
    a = np.zeros((1,) * 32)
    assert lua.eval("(...).ndim", a) == 32
    lua.execute("local a = ...; for _ = 1, 31 do a = a[1] end; a[1] = 8", a)
    assert a.ravel()[0] == 8
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        with pytest.raises(BufferError, match="33 dimensions"):
            lua.eval("...", np.zeros((1,) * 33))


@pytest.mark.parametrize("dtype", ["O", "S3", "U3", "M8[s]", "m8[s]", "i4,f8", "V4", "longdouble", "clongdouble"])
def test_types_that_are_refused(lua, lupa, dtype):
    a = np.zeros(2, dtype)
    if a.dtype.itemsize in (8, 16) and dtype in ("longdouble", "clongdouble") and np.dtype(dtype).char in "dD":
        pytest.skip("no long double here")
    with pytest.raises(TypeError, match="as_itemgetter"):
        lua.eval("...", a)
    assert lua.eval("...", lupa.as_itemgetter(a)) is a


def test_masked_arrays_are_refused(lua):
    with pytest.raises(TypeError, match="mask"):
        lua.eval("...", np.ma.masked_array([1.0, 2.0], [False, True]))


def test_subclasses_come_back(lua):
    class Mine(np.ndarray):
        pass

    a = np.arange(3.0).view(Mine)
    assert lua.eval("...", a) is a
    assert lua.eval("(...)[3]", a) == 2


def test_scalars(lua):
    """NumPy's scalars are numbers and booleans."""
    kinds = lua.eval("function(...) local t = {...}; for i, v in ipairs(t) do t[i] = type(v) end; return t end")
    scalars = [np.dtype(name).type(1) for name in NUMBERS]
    assert set(kinds(*scalars).values()) == {"number"}
    assert set(kinds(np.bool_(True), np.bool_(False)).values()) == {"boolean"}
    assert lua.eval("...", np.int64(3)) == 3
    assert lua.eval("...", np.float32(1.5)) == 1.5
    assert lua.eval("...", np.bool_(True)) is True
    assert isinstance(lua.eval("...", np.complex64(1j)), np.complex64)
    assert lua.eval("...", np.str_("x")) == "x"
    assert lua.eval("...", np.datetime64("2020-01-01")) == np.datetime64("2020-01-01")


def test_scalars_that_are_too_large(lupa):
    lua = lupa.LuaRuntime(convert_arrays=True)
    with pytest.raises(OverflowError):
        lua.eval("...", np.uint64(2**64 - 1))
    lua = lupa.LuaRuntime(convert_arrays=True, overflow_handler=str)
    assert lua.eval("...", np.uint64(2**64 - 1)) == str(2**64 - 1)


def test_without_the_option(lupa):
    lua = lupa.LuaRuntime()
    a = np.arange(3.0)
    assert lua.eval("(...)[0]", a) == 0
    assert lua.eval("type(...)", np.int64(3)) == "userdata"
    assert lua.eval("(...)[1]", lupa.as_array(a)) == 0


def test_results_of_python_functions(lua):
    """The option holds for all that gets into Lua."""
    lua.globals().linspace = np.linspace
    assert lua.eval("linspace(0, 1, 5)[3]") == 0.5
    assert lua.eval("python.as_attrgetter(linspace(0, 1, 5)).sum()") == 2.5


def test_array_interface_objects(lua, lupa):
    class Described:
        def __init__(self, a):
            self.a = a
            self.__array_interface__ = a.__array_interface__

    described = Described(np.arange(3.0))
    lua.execute("(...)[1] = 7", lupa.as_array(described))
    assert described.a[0] == 7
    assert lua.eval("...", lupa.as_array(described)) is described


def test_dlpack_objects(lua, lupa):
    class Packed:
        def __init__(self, a):
            self.a = a

        def __dlpack__(self, **options):
            return self.a.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.a.__dlpack_device__()

    packed = Packed(np.arange(3.0))
    assert lua.eval("(...)[3]", lupa.as_array(packed)) == 2


def test_large_integers_in_three_dimensions(lua, has_integers, is_luajit):
    if not (has_integers or is_luajit):
        pytest.skip("numbers of this Lua do not hold them")
    a = np.array([[[2**53 + 1, -(2**63)]]], "int64")
    b = np.zeros_like(a)
    lua.execute("local a, b = ...; for i = 1, 2 do b:set(1, 1, i, a:get(1, 1, i)) end", a, b)
    assert b.tolist() == a.tolist()
