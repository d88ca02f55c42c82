"""``python -m lupa``, which is to work like the ``lua`` command."""

import os
import signal
import subprocess
import sys

import pytest

pytestmark = pytest.mark.beyond

SECONDS = 300


class Command:
    """Runs ``python -m lupa --lua BACKEND`` and keeps how it ended."""

    def __init__(self, backend, folder):
        self.words = [sys.executable, "-m", "lupa", "--lua", backend]
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("LUA_")}

    def __call__(self, *words, stdin=b"", env=None):
        done = subprocess.run(
            [*self.words, *words],
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            timeout=SECONDS,
            check=False,
        )
        self.status = done.returncode
        self.out = done.stdout.replace(b"\r\n", b"\n")
        self.err = done.stderr.replace(b"\r\n", b"\n")
        return self.out.decode("latin-1")

    def write(self, name, code):
        (self.folder / name).write_bytes(code if isinstance(code, bytes) else code.encode())
        return name


@pytest.fixture
def command(backend, tmp_path):
    """The command, in a folder of its own."""
    return Command(backend, tmp_path)


def test_script_gets_its_arguments(command):
    command.write("s.lua", "print(select('#', ...), ...) print(#arg, arg[0], arg[1], arg[2], arg[-1], arg[-2])")
    assert command("-e", "x = 1", "s.lua", "a", "") == "2\ta\t\n2\ts.lua\ta\t\tx = 1\t-e\n"
    assert command.status == 0 and command.err == b""


def test_arg_begins_with_the_python_command(command):
    out = command("-e", "local i = 0 while arg[i - 1] do i = i - 1 end print(i, arg[i + 1], arg[0], arg[1])")
    assert out.split("\t")[1:] == ["-m", "lupa", "--lua\n"]


def test_arguments_are_any_bytes(command):
    if os.name == "nt":
        pytest.skip("arguments are text on Windows")
    command.write("s.lua", "io.write(..., '|', arg[1])")
    command("s.lua", b"\xff\xc3\xa9\x01")
    assert command.out == b"\xff\xc3\xa9\x01|\xff\xc3\xa9\x01"


def test_source_is_any_bytes(command):
    command.write("s.lua", b"#!/usr/bin/env lua\nlocal s = '\xff\xfe\x80' io.write(#s, s) error(s, 0)")
    command("s.lua")
    assert command.out == b"3\xff\xfe\x80"
    assert command.err.startswith(b"lua: \xff\xfe\x80\nstack traceback:\n")


def test_bytecode_runs(command):
    command("-e", "local f = io.open('s.luac', 'wb') f:write(string.dump(function(...) print(...) end)) f:close()")
    assert command("s.luac", "x") == "x\n"


def test_options_run_in_order(command):
    command.write("mod.lua", "print('mod', x) return {y = 5}")
    out = command("-e", "x = 1", "-lmod", "-eprint(x)", "-e", "print(package.loaded.mod.y)")
    assert out == "mod\t1\n1\n5\n"


def test_library_becomes_a_global(command, lupa):
    command.write("mod.lua", "return {y = 5}")
    assert command("-l", "g=mod", "-e", "print(g.y)") == "5\n"
    kind = "table" if lupa.LUA_VERSION >= (5, 2) else "nil"  # before, that was the module's business
    assert command("-l", "mod", "-e", "print(type(mod))") == f"{kind}\n"


def test_first_failure_ends_it(command):
    command.write("s.lua", "print('not reached')")
    assert command("-e", "error('one')", "-e", "print('two')", "s.lua") == ""
    assert command.status == 1


def test_double_dash_ends_the_options(command):
    command.write("-e", "print('script', ...)")
    assert command("--", "-e", "a") == "script\ta\n"


def test_script_from_the_input(command):
    assert command("-", "a", stdin=b"print('in', arg[0], ...)") == "in\t-\ta\n"
    assert command(stdin=b"print('in', ...)") == "in\n"


def is_c_function(line):
    """The last line of a traceback, as each Lua writes it: a C function has called the main chunk."""
    return line in ("\t[C]: in ?", "\t[C]: ?") or line.startswith("\t[C]: at 0x")


def test_error_looks_as_in_lua(command):
    command.write("s.lua", "local function f() error('boom') end\nlocal function g() f() f() end\ng()\n")
    command("s.lua")
    lines = command.err.decode().splitlines()
    assert command.status == 1
    assert lines[:2] == ["lua: s.lua:1: boom", "stack traceback:"]
    assert [line.partition(" in ")[0] for line in lines[2:-1]] == ["\t[C]:", "\ts.lua:1:", "\ts.lua:2:", "\ts.lua:3:"]
    assert lines[-2] == "\ts.lua:3: in main chunk" and is_c_function(lines[-1])


def test_syntax_error_has_no_traceback(command):
    command("-e", "x =")
    assert command.err.startswith(b"lua: (command line):1: unexpected symbol near ")
    assert command.err.count(b"\n") == 1 and command.status == 1


def test_missing_script(command):
    command("missing.lua")
    assert command.err.startswith(b"lua: cannot open missing.lua") and command.status == 1


def test_error_values(command, lupa, is_luajit):
    old, told = lupa.LUA_VERSION < (5, 2), "error(setmetatable({}, {__tostring = function() return 'told' end}))"
    command("-e", "error({})")
    if old:
        assert command.err == b"lua: (error object is not a string)\n"
    elif lupa.LUA_VERSION == (5, 2):
        assert command.err == b"lua: (no error message)\n"
    else:
        assert command.err.startswith(b"lua: (error object is a table value)\nstack traceback:\n")
    command("-e", told)
    if old and not is_luajit:
        assert command.err == b"lua: (error object is not a string)\n"
    else:
        assert command.err.startswith(b"lua: told\nstack traceback:\n" if is_luajit else b"lua: told\n")
    command("-e", "error(12, 0)")
    assert command.err.startswith(b"lua: 12\nstack traceback:\n")
    command("-e", "error()")
    assert command.status == 1
    if lupa.LUA_VERSION < (5, 3):
        assert command.err == b""
    else:
        assert command.err.startswith(b"lua: (error object is a nil value)\nstack traceback:\n")


def test_one_c_function_is_below_the_main_chunk(command):
    """Scripts find out by that whether they are run or required."""
    command.write("m.lua", "print(pcall(debug.getlocal, 4, 1)) return 1")
    assert command("m.lua").startswith("false\t")
    assert command("-e", "require('m')").startswith("true\t")
    assert command(stdin=b"print(pcall(debug.getlocal, 4, 1))").startswith("false\t")
    command.write(
        "s.lua", "local n = 0 while debug.getinfo(n + 1) do n = n + 1 end print(n, debug.getinfo(2, 'S').what)"
    )
    assert command("s.lua") == "2\tC\n"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="there is no such signal")
def test_a_closed_pipe_ends_it(command):
    words = [*command.words, "-e", "while true do print('x') end"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"x\n"
        process.stdout.close()
        assert process.wait(timeout=SECONDS) == -signal.SIGPIPE
        assert process.stderr.read() == b""


def test_a_library_that_is_not_there(command):
    command("-l", "nomod")
    assert command.err.startswith(b"lua: module 'nomod' not found:") and command.status == 1


def test_warnings(command, lupa):
    if lupa.LUA_VERSION < (5, 4):
        command("-W", "-e", "x = 1")
        assert command.err.startswith(b"lua: unrecognized option '-W'") and command.status == 1
        return
    command("-e", "warn('off')")
    assert command.err == b""
    command("-W", "-e", "warn('on')")
    assert command.err == b"Lua warning: on\n"


def test_error_in_tostring_of_the_error(command):
    command("-e", "error(setmetatable({}, {__tostring = function() error('again') end}))")
    assert command.err.startswith(b"lua: ") and command.status == 1


def test_script_may_spoil_its_globals(command):
    command("-e", "local g = _G for name in pairs(g) do if name ~= 'error' then g[name] = nil end end error('boom')")
    assert command.err.startswith(b"lua: (command line):1: boom\nstack traceback:\n") and command.status == 1


@pytest.mark.parametrize("code, status", [("os.exit(7)", 7), ("os.exit(0)", 0), ("os.exit()", 0)])
def test_exit_writes_all_that_was_printed(command, code, status):
    out = command("-e", f"python.builtins.print('python') io.write('lua') {code}")
    assert sorted(out.split("\n")) == ["lua", "python"]
    assert command.status == status


def test_exit_with_a_boolean(command, lupa):
    if lupa.LUA_VERSION < (5, 2):
        pytest.skip("Lua 5.1 takes numbers only")
    command("-e", "os.exit(false)")
    assert command.status == 1
    command("-e", "os.exit(true, true)")
    assert command.status == 0


def test_python_exception(command):
    command.write("s.lua", "\npython.eval('1/0')")
    command("s.lua")
    lines = command.err.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "ZeroDivisionError: division by zero" in lines
    assert lines[-2] == "\ts.lua:2: in main chunk" and is_c_function(lines[-1])
    assert command.status == 1


def test_system_exit(command):
    command("-e", "python.eval('__import__(\"sys\")').exit(9)", "-e", "print('not reached')")
    assert command.status == 9 and command.out == command.err == b""


def test_keyboard_interrupt_from_python(command, lupa):
    command("-e", "python.eval('__import__(\"signal\")').raise_signal(2)")
    assert command.status == 130
    assert command.err.endswith(b"lua: interrupted!\n")
    # In an installed Lua, the message handler shows the exception before it is stopped, too.
    assert lupa._INSTALLED_LUA or command.err == b"lua: interrupted!\n"


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that can be sent")
def test_interrupt_of_a_loop_in_lua(command, lupa, is_luajit):
    if lupa._INSTALLED_LUA and is_luajit:
        pytest.skip("an installed LuaJIT does not look at hooks in compiled code")
    code = "io.write('started\\n') io.flush() io.write('kept') while true do end"
    with subprocess.Popen(
        [*command.words, "-e", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=command.folder
    ) as process:
        try:
            assert process.stdout.readline() == b"started\n"
            process.send_signal(signal.SIGINT)
            process.wait(timeout=SECONDS)  # what it writes is little: a pipe holds it
            out, err = process.stdout.read(), process.stderr.read()
        finally:
            process.kill()
    assert (process.returncode, out) == (130, b"kept")
    # No handler of Lua's, and so no traceback: nothing in Lua runs any more. Of an installed Lua, see above.
    assert err.endswith(b"lua: interrupted!\n")
    assert lupa._INSTALLED_LUA or err == b"lua: interrupted!\n"


def test_interaction(command):
    out = command("-i", stdin=b"x = 1\nx + 1, nil\n=x\nfor i = 1, 2 do\nprint(i)\nend\n-- nothing\n\n'a'\n")
    version, _, rest = out.partition("\n")
    assert "(lupa " in version
    assert rest == "> > 2\tnil\n> 1\n> >> >> 1\n2\n> > > a\n> \n"
    assert command.err == b"" and command.status == 0


def test_interaction_prints_all_results(command):
    out = command("-i", stdin=b"return 1, 2\n1, nil;\n(function() end)()\n=('x'):rep(2), nil\n-- nothing\n")
    assert out.partition("\n")[2] == "> 1\t2\n> 1\tnil\n> > xx\tnil\n> > \n"


def test_interaction_goes_on_after_errors(command):
    out = command("-i", stdin=b"error('one')\nx y\npython.eval('1/0')\nerror()\n1\nf(")
    lines = command.err.decode().splitlines()
    assert lines[:2] == ["stdin:1: one", "stack traceback:"]
    assert "ZeroDivisionError: division by zero" in lines
    assert "<eof>" in lines[-1]
    assert out.endswith("> 1\n> >> \n") and command.status == 0


def test_interaction_uses_the_print_of_lua(command):
    out = command("-i", stdin=b"function print(...) io.write('<', ..., '>\\n') end\n'a'\n")
    assert out.endswith("> <a>\n> \n")
    command("-i", stdin=b"print = nil\n1\n")
    assert b"attempt to call" in command.err and command.status == 0


def test_prompts(command):
    out = command("-i", stdin=b"_PROMPT, _PROMPT2 = '\xff? ', '... '\nfor i = 1, 1 do\nend\n")
    assert out.endswith("> ÿ? ... ÿ? \n")


def test_interaction_after_a_script(command):
    command.write("s.lua", "x = ...")
    assert command("-i", "s.lua", "7", stdin=b"x\n").endswith("> 7\n> \n")
    command.write("bad.lua", "error('no')")
    assert "> " not in command("-i", "bad.lua", stdin=b"x\n") and command.status == 1


def test_exit_from_an_interaction(command):
    command("-i", stdin=b"os.exit(3)\nprint('not reached')\n")
    assert command.status == 3 and b"not" not in command.out


def test_lines_of_any_bytes(command):
    assert "> 2\n" in command("-i", stdin=b"#'\xff\xfe'\n")


def test_version(command, lupa):
    out = command("-v")
    assert out.startswith(lupa.LuaRuntime().lua_implementation + " (lupa ") and out.count("\n") == 1
    assert command("-v", "-e", "print(1)").endswith(")\n1\n")


def test_version_by_its_long_name(command):
    assert command("--version") == command("-v") and command.out.count(b"\n") == 1


def test_init_variable(command):
    assert command("-e", "print(x)", env={"LUA_INIT": "x = 'init'"}) == "init\n"
    command.write("init.lua", "x = 'file'")
    assert command("-e", "print(x)", env={"LUA_INIT": "@init.lua"}) == "file\n"
    assert command("-E", "-e", "print(x)", env={"LUA_INIT": "x = 'init'"}) == "nil\n"
    assert command("-e", "print(1)", env={"LUA_INIT": "error('bad')"}) == ""
    assert command.err.startswith(b"lua: LUA_INIT:1: bad\nstack traceback:\n") and command.status == 1


def test_versioned_init_variable(command, lupa):
    name = "LUA_INIT_{}_{}".format(*lupa.LUA_VERSION)
    expected = "versioned" if lupa.LUA_VERSION >= (5, 2) else "plain"
    env = {name: "x = 'versioned'", "LUA_INIT": "x = 'plain'"}
    assert command("-e", "print(x)", env=env) == f"{expected}\n"


def test_path_variable(command):
    code = "print(package.path:find('somewhere', 1, true) ~= nil, os.getenv('LUA_PATH'))"
    env = {"LUA_PATH": "/somewhere/?.lua"}
    assert command("-e", code, env=env) == "true\t/somewhere/?.lua\n"
    assert command("-E", "-e", code, env=env) == "false\t/somewhere/?.lua\n"


@pytest.mark.parametrize("words", [["-x"], ["-iv"], ["--what"], ["-e"], ["-l"], ["-l", "-i"]])
def test_wrong_options(command, words):
    command(*words)
    assert command.status == 1
    assert command.err.startswith(b"lua: ") and b"\nusage: python -m lupa " in command.err


def test_help(command, backend):
    assert backend in command("--help") and command.status == 0


def test_unknown_backend(command, backend):
    command("--lua=lua99", "-e", "print(1)")
    assert command.status == 2 and command.out == b""
    assert command.err.startswith(b"lua: no Lua named 'lua99'; there are: ") and backend.encode() in command.err


def test_default_backend(command, tmp_path):
    code = "import lupa; print(lupa.LuaRuntime().lua_implementation)"
    expected = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, check=True).stdout
    command.words = [sys.executable, "-m", "lupa"]
    assert command("-v").split(" (")[0] == expected.decode().strip()


def test_the_command_that_installers_make(backend):
    """What the `lupa` script of an installation does."""
    code = "import sys; from lupa.__main__ import command; sys.argv[0] = 'lupa'; sys.exit(command())"
    words = [sys.executable, "-c", code, "--lua", backend, "-e", "print(1 + 1) os.exit(3)"]
    done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (3, [b"2"], b"")
