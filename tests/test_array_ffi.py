"""Arrays on LuaJIT: pointers for ffi code, compiled access, and FFI memory handed to Python."""

from __future__ import annotations

import array
import gc
import weakref

import pytest

pytestmark = pytest.mark.beyond


@pytest.fixture
def lua(lupa, is_luajit):
    if not is_luajit:
        pytest.skip("no ffi in this Lua")
    lua = lupa.LuaRuntime()
    lua.execute("ffi = require 'ffi'")
    return lua


def test_no_ffi(lupa, is_luajit):
    if is_luajit:
        pytest.skip("this Lua has it")
    lua = lupa.LuaRuntime()
    for code in ("(...).data", "python.cdata(...)"):
        with pytest.raises(RuntimeError, match="no ffi"):
            lua.eval(code, lupa.as_array(array.array("d", [1])))


C_TYPES = {
    "b": "const char *|signed char *|char *",
    "B": "unsigned char *",
    "h": "short *",
    "H": "unsigned short *",
    "i": "int *",
    "I": "unsigned int *",
    "q": "int64_t *",
    "Q": "uint64_t *",
    "f": "float *",
    "d": "double *",
}


@pytest.mark.parametrize("code", C_TYPES)
def test_data_is_a_typed_pointer(lua, lupa, code):
    memory = array.array(code, [1, 2, 3])
    kind = lua.execute(
        "local a = ...; a.data[2] = a.data[0] + a.data[1]; return tostring(a.data)", lupa.as_array(memory)
    )
    assert any(f"cdata<{name}>" in kind for name in C_TYPES[code].split("|")), kind
    assert memory.tolist() == [1, 2, 3]
    lua.execute("(...).data[1] = 42", lupa.as_array(memory))
    assert memory[1] == 42


def test_data_of_read_only_memory_is_const(lua, lupa):
    value = lupa.as_array(memoryview(b"abc"))
    assert lua.eval("(...).data[1]", value) == ord("b")
    with pytest.raises(lupa.LuaError, match="constant"):
        lua.execute("(...).data[1] = 0", value)


def test_data_has_to_be_contiguous(lua, lupa):
    memory = array.array("d", range(6))
    with pytest.raises(ValueError, match="gaps"):
        lua.eval("(...):slice(nil, nil, 2).data", lupa.as_array(memory))
    code = """
        local p, shape, strides = python.cdata((...):slice(5, 1, -2))
        return p[0], p[strides[1]], shape[1], strides[1]
    """
    assert lua.execute(code, lupa.as_array(memory)) == (4, 2, 3, -2)


def test_cdata(lua, lupa):
    memory = array.array("i", range(12))
    value = lupa.as_array(memoryview(memory).cast("B").cast("i", (3, 4)))
    code = """
        local p, shape, strides = python.cdata(...)
        local s = 0
        for i = 0, shape[1] - 1 do for j = 0, shape[2] - 1 do s = s + p[i * strides[1] + j * strides[2]] end end
        return s
    """
    assert lua.execute(code, value) == sum(memory)
    with pytest.raises(TypeError):
        lua.eval("python.cdata(5)")


@pytest.mark.parametrize("swapped", [True, False])
def test_data_of_what_c_cannot_use(lua, lupa, swapped):
    np = pytest.importorskip("numpy")
    a = np.zeros(3, ">i4" if np.little_endian else "<i4") if swapped else np.zeros(13, "u1")[1:].view("i4")
    with pytest.raises(ValueError, match="byte order" if swapped else "aligned"):
        lua.eval("(...).data", lupa.as_array(a))
    with pytest.raises(ValueError, match="byte order" if swapped else "aligned"):
        lua.eval("python.cdata(...)", lupa.as_array(a))
    assert lua.eval("(...):copy().data[0]", lupa.as_array(a)) == 0


LOOPS = {
    "a[i]": "for i = 1, #a do s = s + a[i]; a[i] = a[i] * 2 end",
    "get and set": "for i = 1, #a do s = s + a:get(i); a:set(i, a:get(i) * 2) end",
    "data": "local p = a.data; for i = 0, #a - 1 do s = s + p[i]; p[i] = p[i] * 2 end",
    "two dimensions": """
        local m = a:reshape(50, -1)
        local n, k = m.shape[1], m.shape[2]
        for i = 1, n do for j = 1, k do s = s + m:get(i, j); m:set(i, j, m:get(i, j) * 2) end end
    """,
    "each": "for i, v in a:each() do s = s + v; a[i] = v * 2 end",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_loops_are_compiled(lua, lupa, loop):
    """The inner loop leaves a compiled trace that did not give up."""
    memory = array.array("d", range(1000))
    lua.execute(
        """
        traces = 0
        local util = require 'jit.util'
        counter = function()
            local n = 0
            for i = 1, 1000 do
                local info = util.traceinfo(i)
                if info and info.link == i and info.linktype ~= 'none' or info and info.link == i then n = n + 1 end
            end
            return n
        end
        """
    )
    run = lua.execute("return function(a) local s = 0; " + LOOPS[loop] + " return s end")
    before = lua.eval("counter()")
    assert run(lupa.as_array(memory)) == sum(range(1000))
    assert memory.tolist() == [2 * i for i in range(1000)]
    for _ in range(100):
        run(lupa.as_array(array.array("d", range(1000))))
    # A trace that is linked to itself is a loop.
    assert lua.eval("counter()") > before


def test_compiled_code_checks_bounds(lua, lupa):
    memory = array.array("d", range(1000))
    run = lua.eval("function(a, n) local s = 0; for i = 1, n do s = s + a[i] end return s end")
    for _ in range(200):
        run(lupa.as_array(memory), 1000)
    with pytest.raises(IndexError, match="index 1001 is out of bounds"):
        run(lupa.as_array(memory), 1001)
    short = array.array("d", range(10))
    with pytest.raises(IndexError, match="index 11 is out of bounds"):
        run(lupa.as_array(short), 1000)
    fill = lua.eval("function(a, n) for i = 1, n do a[i] = i end end")
    for _ in range(200):
        fill(lupa.as_array(memory), 1000)
    with pytest.raises(IndexError):
        fill(lupa.as_array(short), 1000)
    with pytest.raises(ValueError, match="read-only"):
        fill(lupa.as_array(memoryview(b"x" * 1000)), 1000)


def test_compiled_code_checks_values(lua, lupa):
    fill = lua.eval("function(a, from, step) for i = 1, #a do a[i] = from + i * step end end")
    memory = array.array("b", [0] * 100)
    for _ in range(200):
        fill(lupa.as_array(memory), 0, 1)
    assert memory[99] == 100
    with pytest.raises(OverflowError):
        fill(lupa.as_array(memory), 100, 1)
    with pytest.raises(ValueError, match="no integer"):
        fill(lupa.as_array(memory), 0, 0.5)


def test_compiled_code_checks_release(lua, lupa):
    memory = bytearray(1000)
    run = lua.eval(
        """
        function(a, n)
            local s = 0
            for i = 1, 1000 do
                if i == n then a:release() end
                s = s + a[i]
            end
            return s
        end
        """
    )
    for _ in range(100):
        run(lupa.as_array(memory), 0)
    with pytest.raises(TypeError, match="released"):
        run(lupa.as_array(memory), 500)
    lua.gccollect()
    lua.gccollect()
    memory.append(1)


def test_types_change_under_compiled_code(lua, lupa):
    run = lua.eval("function(a) local s = 0; for i = 1, #a do s = s + tonumber(a[i]) end return s end")
    for code in "dfbBhHiIqQ" * 3:
        memory = array.array(code, range(100))
        for _ in range(30):
            assert run(lupa.as_array(memory)) == 4950


def test_large_integers_are_cdata(lua, lupa):
    memory = array.array("q", [2**53 + 1, 5])
    assert lua.eval("tostring((...)[1])", lupa.as_array(memory)) == "9007199254740993LL"
    assert lua.eval("type((...)[2])", lupa.as_array(memory)) == "number"
    lua.execute("local a = ...; a[2] = a[1] + 1; a[1] = -9223372036854775807LL - 1", lupa.as_array(memory))
    assert memory.tolist() == [-(2**63), 2**53 + 2]
    unsigned = array.array("Q", [0, 0])
    lua.execute("local a = ...; a[1] = 0xffffffffffffffffULL; a[2] = 7LL", lupa.as_array(unsigned))
    assert unsigned.tolist() == [2**64 - 1, 7]
    for value in ("-1LL", "-1"):
        with pytest.raises(OverflowError):
            lua.execute(f"(...)[1] = {value}", lupa.as_array(unsigned))
    with pytest.raises(OverflowError):
        lua.execute("(...)[1] = 0xffffffffffffffffULL", lupa.as_array(memory))
    small = array.array("b", [0])
    with pytest.raises(OverflowError):
        lua.execute("(...)[1] = 128LL", lupa.as_array(small))
    lua.execute("(...)[1] = -128LL", lupa.as_array(small))
    assert small[0] == -128


def test_tables_of_cdata(lua):
    made = lua.eval("python.array_from({1LL, 2^40, 0x7fffffffffffffffLL}, 'int64')")
    assert memoryview(made).tolist() == [1, 2**40, 2**63 - 1]


def test_values_of_ffi_that_are_no_number(lua, lupa):
    for value in ("ffi.new('int[3]')", "ffi.new('struct {int x;}')", "ffi.typeof('int')", "ffi.C"):
        with pytest.raises((TypeError, lupa.LuaError)):
            lua.execute(f"(...)[1] = {value}", lupa.as_array(array.array("d", [1])))


@pytest.mark.parametrize("name", ["double[10]", "double[?]"])
def test_ffi_arrays_are_handed_over(lua, name):
    made = lua.execute(
        """
        local name = ...
        memory = name:find('?', 1, true) and ffi.new(name, 10) or ffi.new(name)
        memory[3] = 5
        return python.array(memory)
        """,
        name,
    )
    view = memoryview(made)
    assert (view.format, view.shape) == ("d", (10,))
    assert view[3] == 5
    view[4] = 6
    assert lua.eval("memory[4]") == 6


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("int8_t", "int8"),
        ("unsigned char", "uint8"),
        ("short", "int16"),
        ("uint16_t", "uint16"),
        ("int", "int32"),
        ("unsigned int", "uint32"),
        ("int64_t", "int64"),
        ("uint64_t", "uint64"),
        ("float", "float32"),
        ("double", "float64"),
        ("bool", "bool"),
        ("complex float", "complex64"),
        ("complex", "complex128"),
    ],
)
def test_types_of_ffi_arrays(lua, name, dtype):
    made = lua.eval("python.array(ffi.new(...))", f"{name}[4]")
    assert (made.dtype, made.shape, made.readonly) == (dtype, (4,), False)


def test_shapes_of_ffi_arrays(lua, lupa):
    assert lua.eval("python.array(ffi.new('int[3][4]'))").shape == (3, 4)
    assert lua.eval("python.array(ffi.new('int[12]'), 5)").shape == (5,)
    assert lua.eval("python.array(ffi.new('int[12]'), {3, 4})").shape == (3, 4)
    assert lua.eval("python.array(ffi.new('const double[3]'))").readonly
    for code in (
        "python.array(ffi.new('int[12]'), 13)",
        "python.array(ffi.new('int[12]'), {4, 4})",
        "python.array(ffi.new('int[12]'), -1)",
        "python.array(ffi.new('int[12]'), 2^62)",
    ):
        with pytest.raises((ValueError, lupa.LuaError)):
            lua.eval(code)


def test_pointers_need_a_length(lua, lupa):
    lua.execute("memory = ffi.new('double[10]', {1, 2, 3})")
    with pytest.raises(lupa.LuaError, match="how many"):
        lua.eval("python.array(memory + 1)")
    view = lua.eval("python.array(memory + 1, 2)")
    assert memoryview(view).tolist() == [2, 3]


@pytest.mark.parametrize(
    "code",
    ["ffi.new('struct {int x;}')", "5LL", "ffi.new('void *')", "ffi.typeof('int')", "ffi.new('char *[3]')", "ffi.C"],
)
def test_cdata_that_is_no_array(lua, lupa, code):
    with pytest.raises((lupa.LuaError, TypeError, ValueError)):
        lua.eval(f"python.array({code}, 1)")


def test_ffi_memory_is_kept_alive(lupa, lua):
    made = lua.eval("python.array(ffi.new('double[1000]'))")
    view = memoryview(made)
    view[999] = 1.5
    del made
    for _ in range(5):
        lua.execute("for i = 1, 1000 do local x = ffi.new('double[1000]'); x[999] = 7 end; collectgarbage()")
    assert view[999] == 1.5
    gone = weakref.ref(lua)
    del lua
    gc.collect()
    view[0] = 2
    assert (view[0], view[999]) == (2, 1.5)
    assert gone


def test_ffi_memory_in_a_cycle(isolated, is_luajit):
    """A runtime, garbage with the memory that it gave away, is closed, but not before that is gone."""
    if not is_luajit:
        pytest.skip("no ffi in this Lua")
    out = isolated(
        """
        import weakref

        class Holder:
            def __del__(self):
                # While garbage is finalized, all of it can still be used.
                self.view[0] = self.view[999] + 1
                print('read', self.view[999], self.view[0])

        def cycle():
            lua = lupa.LuaRuntime()
            holder = Holder()
            holder.view = memoryview(lua.eval("python.array(require 'ffi'.new('double[1000]', 3))"))
            holder.lua = lua
            lua.globals().holder = holder
            return weakref.ref(lua)

        gone = [cycle() for _ in range(20)]
        gc.collect()
        assert all(g() is None for g in gone)
        print('fine')
        """
    )
    assert out.count("read 3.0 4.0") == 20
    assert "fine" in out


def test_without_ffi_elements_still_work(lupa, is_luajit):
    """Where a script has taken the ffi away before the first array came, access is as without it."""
    if not is_luajit:
        pytest.skip("no ffi in this Lua")
    lua = lupa.LuaRuntime()
    lua.execute("package.preload.ffi = nil; package.loaded.ffi = nil")
    memory = array.array("d", [1, 2, 3])
    assert lua.execute("local a = ...; a[1] = 5; return a[1] + a[3], #a", lupa.as_array(memory)) == (8, 3)
    with pytest.raises(RuntimeError, match="ffi"):
        lua.eval("(...).data", lupa.as_array(memory))
