"""Lua functions in Python's tracebacks."""

import copy
import linecache
import pickle
import traceback

import pytest


def caught(call, *args):
    with pytest.raises(BaseException) as info:  # noqa: PT011
        call(*args)
    return info.value


def shown(error):
    """Name, line and source line of each frame, without that of `caught`."""
    return [(frame.name, frame.lineno, frame.line) for frame in traceback.extract_tb(error.__traceback__)[1:]]


class TestFrames:
    def test_functions_and_their_lines(self, lua):
        lua.execute("function inner()\n  error('no')\nend\nfunction outer()\n  inner()\n  return 1\nend")
        error = caught(lua.globals().outer)
        assert [line for _, line, _ in shown(error)] == [5, 2]
        assert [text for _, _, text in shown(error)] == ["inner()", "error('no')"]
        assert shown(error)[1][0] == "inner"

    def test_the_main_chunk(self, lua):
        for _ in range(3):
            error = caught(lua.execute, "local a = 1\nlocal b = nil .. a")
            assert shown(error) == [("main chunk", 2, "local b = nil .. a")]

    def test_eval(self, lua):
        assert shown(caught(lua.eval, "nil .. 'x'")) == [("main chunk", 1, "nil .. 'x'")]

    def test_between_frames_of_python(self, lua):
        def fail():
            raise KeyError("mine")

        call = lua.eval("function(f)\n  local x = f()\n  return x\nend")
        error = caught(call, fail)
        assert type(error) is KeyError
        names = [name for name, _, _ in shown(error)]
        assert names[1:] == ["fail"] and len(names) == 2 and shown(error)[0][1:] == (2, "local x = f()")

    def test_lua_below_python_below_lua(self, lua):
        lua.execute("function low()\n  error('low')\nend")
        middle = lua.globals().low

        def again():
            middle()

        high = lua.eval("function(f)\n  f()\n  return 1\nend")
        lines = [line for _, line, _ in shown(caught(high, again))]
        assert len(lines) == 3 and lines[0] == 2 and lines[2] == 2
        assert shown(caught(high, again))[1][0] == "again"

    def test_a_nested_runtime(self, lupa, lua):
        other = lupa.LuaRuntime()
        inner = other.eval("function()\n\n  error('there')\nend")
        outer = lua.eval("function(f)\n  f()\n  return 1\nend")
        lines = [line for _, line, _ in shown(caught(outer, lambda: inner()))]
        assert lines[0] == 2 and lines[-1] == 3

    def test_coroutines(self, lua):
        running = lua.eval("function()\n  coroutine.yield(1)\n  error('late')\nend").coroutine()
        assert next(running) == 1
        assert shown(caught(next, running)) == [(shown_name(lua, 1), 3, "error('late')")]

    def test_metamethods_and_other_ways_in(self, lua):
        table = lua.execute(
            "return setmetatable({}, {\n"
            "__index = function(t, k) error('index') end,\n"
            "__newindex = function(t, k) error('newindex') end,\n"
            "__len = function() error('len') end,\n"
            "})"
        )
        assert shown(caught(lambda: table.x))[-1][1] == 2
        assert shown(caught(lambda: table.__setitem__("x", 1)))[-1][1] == 3

    def test_a_file(self, lua, tmp_path):
        path = tmp_path / "plug.lua"
        path.write_text("local function f()\n  error('in a file')\nend\nf()\nreturn 1\n")
        error = caught(lua.eval("function(path) return (dofile(path)) end"), str(path))
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert (last.filename, last.lineno, last.line) == (str(path), 2, "error('in a file')")

    def test_code_that_lua_loads(self, lua):
        load = "load" if lua.lua_version > (5, 1) else "loadstring"
        error = caught(lua.execute, f"{load}('local a = 1\\nerror(a)')()")
        assert shown(error)[-1][1:] == (2, "error(a)")

    def test_many(self, lua):
        lua.execute("function down(n)\n  if n == 0 then error('deep') end\n  local x = down(n - 1)\n  return x\nend")
        for depth in (10, 100, 5000):
            frames = shown(caught(lua.globals().down, depth))
            assert len(frames) == min(depth + 1, 22)
            assert frames[-1][1] == 2
            assert any("left out" in name for name, _, _ in frames) == (depth > 20)

    def test_a_full_stack(self, lupa, lua):
        error = caught(lua.execute, "local function f() return 1 + f() end f()")
        assert isinstance(error, (lupa.LuaError, RecursionError)) and len(shown(error)) <= 22

    def test_stops(self, lupa):
        lua = lupa.LuaRuntime(timeout=0.05)
        error = caught(lua.execute, "\nwhile true do end")
        assert isinstance(error, lupa.LuaTimeoutError) and shown(error) == [("main chunk", 2, "while true do end")]

    def test_a_sandbox(self, lupa):
        lua = lupa.LuaRuntime(sandbox=True)
        error = caught(lua.eval("function(o)\n  return o.x, 1\nend"), object())
        assert isinstance(error, lupa.LuaSandboxError) and shown(error)[-1][1] == 2
        assert (error.lineno, error.lua_frames[-1].line) == (2, 2)

    def test_none(self, lupa):
        lua = lupa.LuaRuntime(traceback_frames=False)
        error = caught(lua.execute, "error('x')")
        assert shown(error) == [] and error.lua_frames == () and error.lineno is None


def shown_name(lua, line):
    """What a function without a name is called."""
    return f"function at line {line}"


class TestSource:
    def test_wrong_lines_are_not_shown(self, lua):
        one = lua.eval("function() error('one') end")
        two = lua.eval("function() error('two') end")
        for function in (one, two):
            name, line, text = shown(caught(function))[0]
            assert line == 1 and text in ("", None)

    def test_names_of_chunks_that_are_names_of_files(self, lua):
        with pytest.raises(Exception) as info:
            lua.execute("\n\nerror('x')", name="=" + __file__)
        error = info.value
        frame = traceback.extract_tb(error.__traceback__)[-1]
        assert frame.filename != __file__ and frame.line == "error('x')"
        assert linecache.getline(__file__, 1).startswith('"""Lua functions')

    def test_functions_keep_their_lines_beside_much_other_code(self, lua):
        lua.execute("function kept()\n  error('kept')\nend")
        for number in range(200):
            assert lua.eval(f"{number} + 1") == number + 1
        assert shown(caught(lua.globals().kept))[-1][2] == "error('kept')"

    def test_much_code_is_not_kept(self, lua):
        import sys

        codes = [f"local function f{number}() end --" + "x" * 50_000 for number in range(100)]

        def held():
            return sum(sys.getrefcount(code) for code in codes)

        before = held()
        for code in codes:
            lua.execute(code)
        del code
        assert held() - before < 30

    def test_names_are_not_given_twice(self, lua):
        first = caught(lua.execute, "local first = 1\nerror(first)")
        for number in range(600):
            caught(lua.execute, f"local a = {number}\nerror(a)")
        for error in (first, caught(lua.execute, "local first = 1\nerror(first)")):
            linecache.checkcache()
            assert shown(error)[-1][2] in ("error(first)", "", None)

    def test_linecache_does_not_grow(self, lua):
        before = len(linecache.cache)
        for number in range(600):
            caught(lua.execute, f"local a = {number}\nerror(a)")
        assert len(linecache.cache) - before < 300

    def test_names_with_anything_in_them(self, lua):
        for name in ["=", "x\ny", "=<a>", "\u20ac", "@/no/such/file.lua", "=" + "n" * 500]:
            with pytest.raises(Exception) as info:
                lua.execute("error('x')", name=name)
            assert traceback.format_exception(type(info.value), info.value, info.value.__traceback__)


class TestAttributes:
    def test_parts_of_the_text(self, lua):
        error = caught(lua.execute, "\nerror('no')")
        assert error.message == '[string "<python>"]:2: no'
        assert error.lua_traceback.startswith("stack traceback:") and "main chunk" in error.lua_traceback
        assert (error.filename, error.lineno) == (error.lua_frames[-1].source, 2)
        assert [frame.name for frame in error.lua_frames] == ["main chunk"]

    def test_without_a_place(self, lupa):
        error = lupa.LuaError("plain")
        assert (error.message, error.lua_traceback, error.lua_frames) == ("plain", "", ())
        assert error.filename is None and error.lineno is None

    def test_programs_may_set_their_own(self, lupa):
        error = lupa.LuaError("plain")
        error.filename, error.message = "mine", 5
        assert (error.filename, error.message) == ("mine", 5)
        assert copy.copy(error).filename == "mine" and pickle.loads(pickle.dumps(error)).message == 5

    def test_syntax_errors_keep_those_of_python(self, lupa, lua):
        error = caught(lua.execute, "x = = 1")
        assert (error.filename, error.lineno) == ("<python>", 1)


def test_errors_do_not_keep_much(lupa):
    lua = lupa.LuaRuntime(max_memory=0)

    def work():
        caught(lua.execute, "local function f() error({1}) end f()")

    import gc

    for _ in range(20):
        work()
    gc.collect()
    lua.gccollect()
    before, objects = lua.get_memory_used(), len(gc.get_objects())
    for _ in range(200):
        work()
    gc.collect()
    lua.gccollect()
    assert lua.get_memory_used() - before < 8192 and len(gc.get_objects()) - objects < 50
