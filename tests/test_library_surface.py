"""The standard libraries of each Lua have the surface that they have in lupa 2.8.

Programs that test for a function to find out where they run depend on it; a compatibility switch of the build changes
it.
"""

import pytest

# The names of each library that differ between the versions, per backend: what is there.
SURFACE = {
    "lua51": {
        "_G": "gcinfo getfenv loadstring module newproxy setfenv unpack",
        "table": "foreach foreachi getn maxn setn",
        "math": "atan2 cosh frexp ldexp log10 mod pow sinh tanh",
        "string": "gfind",
        "coroutine": "",
        "debug": "getfenv setfenv",
        "package": "loaders seeall",
    },
    "lua52": {
        "_G": "bit32 rawlen",
        "table": "pack unpack",
        "math": "atan2 cosh frexp ldexp pow sinh tanh",
        "string": "",
        "coroutine": "",
        "debug": "getuservalue setuservalue upvalueid upvaluejoin",
        "package": "searchers searchpath",
    },
    "lua53": {
        "_G": "rawlen utf8",
        "table": "move pack unpack",
        "math": "maxinteger mininteger tointeger type ult",
        "string": "pack packsize unpack",
        "coroutine": "isyieldable",
        "debug": "getuservalue setuservalue upvalueid upvaluejoin",
        "package": "searchers searchpath",
    },
    "lua54": {
        "_G": "rawlen utf8 warn",
        "table": "move pack unpack",
        "math": "maxinteger mininteger tointeger type ult",
        "string": "pack packsize unpack",
        "coroutine": "close isyieldable",
        "debug": "getuservalue setcstacklimit setuservalue upvalueid upvaluejoin",
        "package": "searchers searchpath",
    },
    "lua55": {
        "_G": "rawlen utf8 warn",
        "table": "create move pack unpack",
        "math": "frexp ldexp maxinteger mininteger tointeger type ult",
        "string": "pack packsize unpack",
        "coroutine": "close isyieldable",
        "debug": "getuservalue setuservalue upvalueid upvaluejoin",
        "package": "searchers searchpath",
    },
    "luajit20": {
        "_G": "bit gcinfo getfenv jit loadstring module newproxy setfenv unpack",
        "table": "foreach foreachi getn maxn",
        "math": "atan2 cosh frexp ldexp log10 mod pow sinh tanh",
        "string": "gfind",
        "coroutine": "",
        "debug": "getfenv setfenv upvalueid upvaluejoin",
        "package": "loaders searchpath seeall",
    },
    "luajit21": {
        "_G": "bit gcinfo getfenv jit loadstring module newproxy setfenv unpack",
        "table": "foreach foreachi getn maxn move",
        "math": "atan2 cosh frexp ldexp log10 pow sinh tanh",
        "string": "",
        "coroutine": "isyieldable",
        "debug": "getfenv setfenv upvalueid upvaluejoin",
        "package": "loaders searchpath seeall",
    },
}
COMMON = {
    "_G": """_G _VERSION assert collectgarbage coroutine debug dofile error getmetatable io ipairs load loadfile
        math next os package pairs pcall print python rawequal rawget rawset require select setmetatable
        string table tonumber tostring type xpcall""",
    "table": "concat insert remove sort",
    "math": """abs acos asin atan ceil cos deg exp floor fmod huge log max min modf pi rad random randomseed sin sqrt
        tan""",
    "string": "byte char dump find format gmatch gsub len lower match rep reverse sub upper",
    "coroutine": "create resume running status wrap yield",
    "debug": """debug gethook getinfo getlocal getmetatable getregistry getupvalue sethook setlocal setmetatable
        setupvalue traceback""",
    "package": "config cpath loaded loadlib path preload",
    "io": "close flush input lines open output popen read stderr stdin stdout tmpfile type write",
    "os": "clock date difftime execute exit getenv remove rename setlocale time tmpname",
}


@pytest.mark.parametrize("library", [*SURFACE["lua51"], "io", "os"])
def test_names(backend, lupa, lua, library):
    expected = set(COMMON[library].split()) | set(SURFACE[backend].get(library, "").split())
    found = {name for name in lua.globals()[library] if isinstance(name, str)}
    # Who built an installed Lua may have switched functions of older versions on.
    assert found >= expected if lupa._INSTALLED_LUA else found == expected


def test_compatibility_of_5_2(lupa, lua):
    assert lua.eval("unpack") is None or lua.lua_version == (5, 1) or lupa._INSTALLED_LUA
    assert lua.eval("setmetatable({}, {__len = function() return 7 end})") is not None


def test_length_and_pairs_metamethods(lupa, lua):
    """``__len`` and ``__pairs`` of tables came with 5.2; a LuaJIT has them only with a switch that is not set."""
    has_them = lupa.LUA_VERSION >= (5, 2)
    assert lua.eval("#setmetatable({}, {__len = function() return 7 end})") == (7 if has_them else 0)
    keys = lua.execute("""
        local keys = 0
        for k in pairs(setmetatable({}, {__pairs = function() return next, {1, 2, 3} end})) do keys = keys + 1 end
        return keys
    """)
    assert keys == (3 if has_them else 0)


def test_load(lupa, lua, is_luajit):
    """5.1's ``load`` takes functions only; LuaJIT's takes strings too."""
    if lupa.LUA_VERSION >= (5, 2) or is_luajit:
        assert lua.eval("load('return 5')()") == 5
    else:
        assert lua.eval("pcall(load, 'return 5')")[0] is False


def test_integer_division_and_bits(lupa, lua):
    if lupa.LUA_VERSION >= (5, 3):
        assert lua.execute("return 7 // 2, 6 & 3, 1 << 4, ~0") == (3, 2, 16, -1)


def test_goto(lupa, lua, is_luajit):
    code = "goto done; do return 1 end ::done:: return 2"
    if lupa.LUA_VERSION >= (5, 2) or is_luajit:
        assert lua.execute(code) == 2
    else:
        with pytest.raises(lupa.LuaSyntaxError):
            lua.execute(code)


def test_attributes_of_locals(lupa, lua):
    if lupa.LUA_VERSION >= (5, 4):
        assert lua.execute("local a <const> = 5; return a") == 5
        lua.execute("closed = 0; do local x <close> = setmetatable({}, {__close = function() closed = 1 end}) end")
        assert lua.globals().closed == 1


def test_environments(lupa, lua):
    if lupa.LUA_VERSION >= (5, 2):
        assert lua.execute("return _ENV == _G")
    else:
        assert lua.execute("return getfenv(1) == _G")


def test_luajit_libraries(lua, is_luajit):
    if is_luajit:
        assert lua.eval("bit.band(6, 3)") == 2
        assert lua.eval("jit.status()")[0] is True
        lua.execute("ffi = require('ffi')")
        assert lua.eval("ffi.abi('64bit'), tonumber(ffi.new('int', 5))") == (True, 5)


def test_jit_compiles(lua, is_luajit):
    """The compiler works: a trace is made for a hot loop."""
    if is_luajit:
        lua.execute("""
            traces = 0
            jit.attach(function(what) if what == "stop" then traces = traces + 1 end end, "trace")
            local x = 0
            for i = 1, 10000 do x = x + i % 7 end
            jit.attach(function() end)
        """)
        assert lua.globals().traces >= 1


def test_popen_is_there(lua):
    assert lua.eval("type(io.popen)") == "function"


@pytest.mark.beyond
def test_popen(lua):
    """2.8's builds of PUC Lua refuse it."""
    assert lua.eval("io.popen('echo hello'):read('*l')") == "hello"


def test_files(lua, tmp_path):
    path = str(tmp_path / "file.txt")
    lua.execute("local f = assert(io.open(..., 'w')); f:write('one\\ntwo\\n'); f:close()", path)
    assert lua.execute("local t = {} for line in io.lines(...) do t[#t + 1] = line end return t[1], t[2]", path) == (
        "one",
        "two",
    )
    assert lua.eval("io.open('/no/such/file')")[0] is None


def test_os(lua):
    assert lua.eval("os.time() > 0 and os.clock() >= 0")
    assert lua.eval("os.date('!%Y-%m-%d', 0)") == "1970-01-01"
    assert lua.eval("type(os.tmpname())") == "string"
    assert lua.eval("os.getenv('PATH') ~= nil")


def test_paths(lua):
    assert "?.lua" in lua.eval("package.path")
    assert "?.so" in lua.eval("package.cpath") or "?.dll" in lua.eval("package.cpath")


def test_searchers(lua):
    assert len(list((lua.eval("package.searchers") or lua.eval("package.loaders")).values())) == 4


def test_number_of_loaded_modules(lua):
    loaded = set(lua.eval("package.loaded"))
    assert {"_G", "string", "table", "math", "os", "io", "coroutine", "debug", "package", "python"} <= loaded
