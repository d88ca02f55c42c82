"""``LuaRuntime(libs=...)``: which standard libraries Lua code has."""

import pytest

pytestmark = pytest.mark.beyond

SAFE = ("base", "table", "string", "math")

NAMES = {
    "lua51": "base coroutine package table io os string math debug",
    "lua52": "base package coroutine table io os string bit32 math debug",
    "lua53": "base package coroutine table io os string math utf8 debug",
    "lua54": "base package coroutine table io os string math utf8 debug",
    "lua55": "base package coroutine debug io math os string table utf8",
    "luajit20": "base coroutine package table io os string math debug bit jit ffi",
    "luajit21": "base coroutine package table io os string math debug bit jit ffi string.buffer",
}
IN_MODULES = {"base": "_G"}


@pytest.fixture
def names(backend):
    """All libraries that this Lua has."""
    return NAMES[backend].split()


def globals_of(lua):
    return set(lua.globals().keys())


def added_by_builder(lupa):
    """Libraries of Lua 5.2 that an installed Lua 5.3 may have, and that lupa does not know by name."""
    return {"bit32"} if lupa._INSTALLED_LUA and lupa.LUA_VERSION == (5, 3) else set()


def test_all_is_the_default(lupa, names):
    everything = globals_of(lupa.LuaRuntime())
    assert globals_of(lupa.LuaRuntime(libs=None)) == everything
    assert globals_of(lupa.LuaRuntime(libs=names)) == everything - added_by_builder(lupa)
    assert {name for name in names if "." not in name} - {"base", "ffi"} <= everything


def test_modules_are_as_by_default(lupa, names):
    code = "local t = {} for k in pairs(package.loaded) do t[#t + 1] = k end return t"
    loaded = set(lupa.LuaRuntime().execute(code).values())
    assert set(lupa.LuaRuntime(libs=names).execute(code).values()) == loaded - added_by_builder(lupa)


def test_some(lupa):
    lua = lupa.LuaRuntime(libs=SAFE)
    for missing in ("io", "os", "package", "require", "debug", "coroutine", "jit", "ffi", "bit", "utf8", "bit32"):
        assert lua.eval(missing) is None, missing
    assert lua.eval("('x'):rep(3) .. table.concat({1, 2}) .. math.floor(1.5)") == "xxx121"
    with pytest.raises(lupa.LuaError):
        lua.require("string")


def test_each_alone(lupa, names):
    everything = globals_of(lupa.LuaRuntime(libs=["base"]))
    for name in names:
        if name in ("base", "ffi", "string.buffer"):
            continue
        lua = lupa.LuaRuntime(libs=[name])
        found = globals_of(lua)
        assert name in found, (name, found)
        extra = {"require", "module"} if name == "package" else set()
        if lupa._INSTALLED_LUA:
            extra |= {"unpack"}  # as its builder chose
        assert found <= {name, "python"} | extra, name
        assert not found & (everything - {"python"}), name
        lua = lupa.LuaRuntime(libs=["base", name])
        assert name in globals_of(lua)
        assert lua.eval("type(...)", lua.globals()[name]) == "table"


def test_base_alone(lupa):
    lua = lupa.LuaRuntime(libs=["base"])
    assert {"print", "pairs", "pcall", "_G", "_VERSION", "python"} <= globals_of(lua)
    assert not {"coroutine", "string", "table", "package", "require"} & globals_of(lua)


def test_hidden_libraries_are_not_loaded(lupa):
    lua = lupa.LuaRuntime(libs=["base", "package", "string"])
    loaded = set(lua.eval("package.loaded").keys())
    assert loaded == {"_G", "package", "string", "python"}
    for name in ("coroutine", "io", "jit", "jit.opt", "jit.util", "jit.profile", "ffi", "string.buffer", "bit"):
        with pytest.raises(lupa.LuaError, match="not found"):
            lua.require(name)


def test_none_at_all(lupa):
    lua = lupa.LuaRuntime(libs=[])
    assert globals_of(lua) == {"python"}
    assert lua.eval("1 + 1") == 2
    assert lua.eval("#'abc'") == 3
    assert lua.eval("python.builtins.len({1, 2})") == 2


def test_python_works_without_any(lupa):
    lua = lupa.LuaRuntime(libs=())
    assert lua.execute("local s = 0 for x in python.iter(...) do s = s + x end return s", [1, 2, 3]) == 6
    table = lua.table_from({"a": [1, 2]}, recursive=True)
    assert list(table.a.values()) == [1, 2]
    assert lua.eval("python.as_attrgetter(...).imag", [1j][0]) == 1
    assert list(lua.eval("python.zeros(3, 'int32')").shape) == [3]
    with pytest.raises(ZeroDivisionError):
        lua.eval("(...)()", lambda: 1 / 0)
    with pytest.raises(lupa.LuaError, match="attempt to call"):
        lua.eval("missing()")


def test_coroutines_without_their_library(lupa):
    lua = lupa.LuaRuntime(libs=["base"])
    assert list(lua.eval("function(...) return ... end").coroutine(5)) == [5]


def test_implementation_is_known_without_libraries(lupa):
    assert lupa.LuaRuntime(libs=[]).lua_implementation == lupa.LuaRuntime().lua_implementation


def test_ffi(lupa, is_luajit):
    if not is_luajit:
        with pytest.raises(ValueError, match="no library is named"):
            lupa.LuaRuntime(libs=["ffi"])
        return
    with pytest.raises(ValueError, match='"ffi" is of no use without'):
        lupa.LuaRuntime(libs=["ffi"])
    lua = lupa.LuaRuntime(libs=["base", "package", "string", "ffi"])
    assert lua.eval("require('ffi').sizeof('int32_t')") == 4
    array = lua.eval("python.array(require('ffi').new('int32_t[3]', 1, 2, 3))")
    assert memoryview(array).tolist() == [1, 2, 3]


def test_string_buffer(lupa, names):
    if "string.buffer" not in names:
        pytest.skip("this Lua has none")
    lua = lupa.LuaRuntime(libs=["base", "package", "string", "string.buffer"])
    assert lua.eval("require('string.buffer').encode(1) ~= nil") is True


def test_literals_do_not_bring_the_ffi_back(lupa, is_luajit):
    if not is_luajit:
        pytest.skip("this Lua has no such literals")
    lua = lupa.LuaRuntime(libs=["base", "package", "string"])
    assert lua.execute("x = 1LL; y = 2ULL; z = 3i; return tostring(x + 1)") == "2LL"
    assert lua.eval("package.loaded.ffi") is None
    assert lua.eval("package.preload.ffi") is None
    with pytest.raises(lupa.LuaError, match="not found"):
        lua.require("ffi")


def test_closing_without_the_ffi(lupa, isolated):
    # LuaJIT 2.0 ended the process when the library that it had opened by itself was collected.
    isolated(
        """
        for _ in range(20):
            other = lupa.LuaRuntime(libs=["base", "string"])
            try:
                other.execute("x = 1LL")
            except lupa.LuaSyntaxError:
                pass
            other.gccollect()
            other.gccollect()
            other.close()
        """
    )


def test_the_compiler_works_without_its_library(lupa, is_luajit):
    if not is_luajit:
        pytest.skip("there is no compiler")
    lua = lupa.LuaRuntime(libs=["base"])
    assert lua.execute("local s = 0 for i = 1, 1e6 do s = s + i end return s") == 500000500000


def test_unknown_names(lupa, names):
    with pytest.raises(ValueError, match="no library is named") as caught:
        lupa.LuaRuntime(libs=["base", "nonsense"])
    for name in names:
        assert name in str(caught.value)


@pytest.mark.parametrize("wrong", ["base", 5, [5], [None]])
def test_wrong_types(lupa, wrong):
    with pytest.raises(TypeError):
        lupa.LuaRuntime(libs=wrong)


def test_memory_limit(lupa):
    lua = lupa.LuaRuntime(libs=["base", "string"], max_memory=100_000)
    with pytest.raises(lupa.LuaMemoryError):
        lua.eval("('x'):rep(1000000)")
    assert lua.eval("1 + 1") == 2
