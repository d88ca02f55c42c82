"""`LuaRuntime(stdout=...)`: what Lua prints goes to Python; code with a shebang or a byte order mark."""

import contextlib
import io

import pytest


class TestStdout:
    def test_sys_stdout_at_the_time(self, lupa, capsys):
        lua = lupa.LuaRuntime(stdout=True)
        lua.execute("print('one', nil, 2, true) io.write('two', 3, '\\n')")
        assert capsys.readouterr().out == "one\tnil\t2\ttrue\ntwo3\n"
        kept = io.StringIO()
        with contextlib.redirect_stdout(kept):
            lua.execute("print('three')")
        assert kept.getvalue() == "three\n" and capsys.readouterr().out == ""

    def test_a_stream(self, lupa):
        kept = io.StringIO()
        lua = lupa.LuaRuntime(stdout=kept)
        lua.execute("print() print(setmetatable({}, {__tostring = function() return 'told' end}))")
        assert kept.getvalue() == "\ntold\n"

    def test_bytes_that_are_no_text(self, lupa):
        for encoding in ("UTF-8", None):
            kept = io.StringIO()
            lua = lupa.LuaRuntime(encoding=encoding, stdout=kept)
            lua.execute(b"print('a\\255b')")
            assert kept.getvalue() == "a\\xffb\n"

    def test_other_files_are_written_as_ever(self, lupa, tmp_path):
        kept = io.StringIO()
        lua = lupa.LuaRuntime(stdout=kept)
        path = str(tmp_path / "out.txt")
        lua.eval("function(p) local f = io.open(p, 'w') io.output(f) io.write('x', 1) io.close(f) end")(path)
        assert (tmp_path / "out.txt").read_text() == "x1" and kept.getvalue() == ""

    def test_errors(self, lupa):
        lua = lupa.LuaRuntime(stdout=True)
        with pytest.raises(lupa.LuaError, match="string expected, got table"):
            lua.execute("io.write({})")

        class Closed:
            def write(self, text):
                raise ValueError("closed")

        with pytest.raises(ValueError, match="closed"):
            lupa.LuaRuntime(stdout=Closed()).execute("print(1)")
        with pytest.raises(TypeError, match="stdout"):
            lupa.LuaRuntime(stdout=5)

    def test_a_sandbox(self, lupa):
        kept = io.StringIO()
        lupa.LuaRuntime(sandbox=True, stdout=kept).execute("print('in', 'a box')")
        assert kept.getvalue() == "in\ta box\n"

    @pytest.mark.parametrize("libs", [["base"], ["string"], ["base", "io"]])
    def test_few_libraries(self, lupa, libs):
        kept = io.StringIO()
        lua = lupa.LuaRuntime(libs=libs, stdout=kept)
        if "base" in libs:
            lua.execute("print('x', 1)")
            assert kept.getvalue() == "x\t1\n"


class TestFirstLines:
    @pytest.mark.parametrize("start", [b"#!/usr/bin/lua", b"# words", b"\xef\xbb\xbf#!x", b"\xef\xbb\xbf"])
    def test_of_scripts(self, lupa, lua, start):
        code = start + b"\nreturn 1"
        assert lua.execute(code) == 1 and lua.compile(code)() == 1
        if start != b"\xef\xbb\xbf":
            assert lua.execute(code.decode()) == 1
        with pytest.raises(lupa.LuaError) as caught:
            lua.execute(start + b"\nerror('x')")
        assert caught.value.message.endswith(":2: x")
        assert lua.execute(start) is None

    def test_not_of_expressions(self, lupa, lua):
        assert lua.eval("#'abc'") == 3
        assert lua.eval("#{1, 2}") == 2
