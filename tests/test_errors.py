"""Errors: Lua's in Python, Python's in Lua, and through both."""

import gc
import traceback
import weakref

import pytest


def error_of(function, *arguments):
    """The exception that a call raises."""
    try:
        function(*arguments)
    except BaseException as error:
        return error
    return pytest.fail("no exception was raised")


def test_message(lupa, lua):
    error = error_of(lua.execute, "error('text')")
    assert type(error) is lupa.LuaError
    assert str(error).splitlines()[0] == '[string "<python>"]:1: text'
    assert error.args == (str(error),)


def test_traceback_in_the_message(lupa, lua):
    """The traceback follows on lines of its own; the innermost call is the last line, as in Python."""
    error = error_of(lua.execute, "local function f() error('deep') end; local function g() f() end; g()")
    lines = str(error).splitlines()
    assert lines[0] == '[string "<python>"]:1: deep'
    assert lines[1] == "stack traceback:"
    assert all(line.startswith("\t[") for line in lines[2:])
    assert "in main chunk" in lines[2]
    assert "'error'" in lines[-1]
    assert len(lines) == 6


def test_traceback_of_one_line(lua):
    """A short traceback is left in Lua's order."""
    lines = str(error_of(lua.eval("error"), "x")).splitlines()
    assert lines[:2] == ["x", "stack traceback:"]


def test_no_position(lua):
    assert str(error_of(lua.execute, "error('text', 0)")).splitlines()[0] == "text"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("local x = nil; x.y = 1", "attempt to index"),
        ("local x = nil; x.y = 1", "local 'x'"),
        ("undefined()", "attempt to call"),
        ("undefined()", "global 'undefined'"),
        ("return 1 < 'a'", "attempt to compare number with string"),
        ("return {} .. 'a'", "attempt to concatenate a table value"),
        ("return #5", "attempt to get length of a number value"),
        ("assert(false)", "assertion failed!"),
        ("assert(nil, 'message')", "message"),
        ("string.rep()", "bad argument #1 to 'rep'"),
    ],
)
def test_errors_of_lua(lupa, lua, code, message):
    error = error_of(lua.execute, code)
    assert type(error) is lupa.LuaError
    assert message in str(error)


def test_numbers_as_errors(lua):
    assert str(error_of(lua.execute, "error(42)")).splitlines()[0].endswith("42")


def test_errors_without_text(lupa, lua):
    for value in ("{}", "true", "print", "io.stdout"):
        error = error_of(lua.execute, f"error({value})")
        assert type(error) is lupa.LuaError


@pytest.mark.parametrize(
    ("code", "value"),
    [("error('text', 0)", "text"), ("error(42, 0)", 42), ("error(4.5, 0)", 4.5), ("error(true)", True)],
)
@pytest.mark.beyond
def test_value(lua, code, value):
    """D2: the error value itself, without the traceback."""
    assert error_of(lua.execute, code).value == value


@pytest.mark.beyond
def test_value_of_nil(lupa, lua):
    """Lua 5.5 puts a text of its own in the place of nil."""
    value = error_of(lua.execute, "error()").value
    assert value == ("<no error object>" if lupa.LUA_VERSION >= (5, 5) else None)


@pytest.mark.beyond
def test_value_of_text_has_the_position(lua):
    assert error_of(lua.execute, "error('text')").value == '[string "<python>"]:1: text'


@pytest.mark.beyond
def test_value_of_error_objects(lua):
    lua.execute("E = {code = 42}")
    value = error_of(lua.execute, "error(E)").value
    assert value.code == 42
    assert lua.eval("function(e) return e == E end")(value)


@pytest.mark.beyond
def test_value_of_coroutine_errors(lua):
    error = error_of(next, lua.eval("function() error({code = 42}) end").coroutine())
    assert error.value.code == 42


@pytest.mark.beyond
def test_value_of_errors_made_by_hand(lupa):
    assert lupa.LuaError("text").value is None


@pytest.mark.beyond
def test_messages_that_are_not_utf8(lupa, lua):
    """D6: the error is reported with what can be read of it (2.8: a UnicodeDecodeError in its place)."""
    for run in (
        lambda: lua.execute("error('bad \\255 byte')"),
        lambda: lua.eval("function() error('bad \\255 byte') end")(),
        lambda: next(lua.eval("function() error('bad \\255 byte') end").coroutine()),
        lambda: lua.eval("setmetatable({}, {__index = function() error('bad \\255 byte') end})").x,
        lambda: str(lua.eval("setmetatable({}, {__tostring = function() error('bad \\255 byte') end})")),
    ):
        error = error_of(run)
        assert type(error) is lupa.LuaError
        assert "bad" in str(error)
        assert "byte" in str(error)


@pytest.mark.beyond
def test_syntax_errors_that_are_not_utf8(lupa, lua):
    for run in (lua.execute, lua.compile):
        error = error_of(run, b"x = '\xff' '\xff'")
        assert type(error) is lupa.LuaSyntaxError


def test_messages_in_another_encoding(lupa):
    lua = lupa.LuaRuntime(encoding="latin-1")
    assert str(error_of(lua.execute, "error('\\228', 0)")).splitlines()[0] == "ä"
    lua = lupa.LuaRuntime(encoding=None)
    assert str(error_of(lua.execute, "error('\\228', 0)")).splitlines()[0] == "ä"


@pytest.mark.beyond
def test_messages_in_a_wide_encoding(lupa):
    lua = lupa.LuaRuntime(encoding="utf-16", source_encoding="utf-8")
    assert isinstance(error_of(lua.execute, "error('x', 0)"), lupa.LuaError)
    assert isinstance(error_of(lua.execute, "x = ="), lupa.LuaSyntaxError)


def test_syntax_errors(lupa, lua):
    error = error_of(lua.execute, "x =")
    assert type(error) is lupa.LuaSyntaxError
    assert str(error).startswith('error loading code: [string "<python>"]:1: ')
    error = error_of(lua.compile, "x =")
    assert type(error) is lupa.LuaSyntaxError
    assert str(error).startswith('[string "<python>"]:1: ')


def test_text_that_looks_like_a_traceback(lua):
    """Only Lua's own traceback is put in order."""
    lines = str(error_of(lua.execute, "error('a\\nstack traceback:\\nmine', 0)")).splitlines()
    assert lines[:3] == ["a", "stack traceback:", "mine"]


def test_stack_overflow(lupa, lua):
    error = error_of(lua.execute, "local function f() return f() + 1 end f()")
    assert isinstance(error, lupa.LuaError)
    assert "stack overflow" in str(error)
    assert lua.eval("1") == 1


def test_the_runtime_works_after_errors(lupa, lua):
    for _ in range(300):
        error_of(lua.execute, "error('x')")
        error_of(lua.eval, "x x")
        error_of(lua.eval("function() error({}) end"))
    assert lua.eval("1 + 1") == 2


class Custom(Exception):
    """An exception with a constructor that takes two arguments."""

    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


@pytest.mark.parametrize(
    "exception",
    [
        KeyError("k"),
        ValueError("v", 2),
        StopIteration("s"),
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        MemoryError("m"),
        RecursionError("r"),
        BaseException("b"),
        Custom(1, 2),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "reason"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_python_exceptions_pass_through(lua, exception):
    """The very object comes out."""

    def fail(*_):
        raise exception

    class Fails:
        __getitem__ = __setitem__ = __str__ = __iter__ = fail

    assert error_of(lua.eval("function(f) f() end"), fail) is exception
    for operation in ("local x = o.x", "o.x = 1", "tostring(o)", "python.iter(o)"):
        assert error_of(lua.eval(f"function(o) {operation} end"), Fails()) is exception


def test_python_traceback(lua):
    """The frames of the function that failed are in the traceback."""

    def inner():
        raise KeyError("x")

    def outer():
        inner()

    error = error_of(lua.eval("function(f) f() end"), outer)
    names = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert names[-2:] == ["outer", "inner"]


def test_cause_and_context(lua):
    def fail():
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    error = error_of(lua.eval("function(f) f() end"), fail)
    assert type(error) is ValueError
    assert type(error.__cause__) is KeyError


def test_pcall_sees_python_exceptions(lua):
    exception = KeyError("k")

    def fail():
        raise exception

    assert lua.eval("function(f) return pcall(f) end")(fail) == (False, exception)
    check = lua.eval("function(f) local ok, e = pcall(f) return type(e), tostring(e), e.args end")
    assert check(fail) == ("userdata", "'k'", ("k",))


def test_caught_exceptions_are_gone(lua):
    def fail():
        raise KeyError("k")

    assert lua.eval("function(f) pcall(f) return 5 end")(fail) == 5
    assert lua.eval("1") == 1
    error = error_of(lua.eval("function(f) pcall(f) error('other', 0) end"), fail)
    assert str(error).splitlines()[0] == "other"


def test_rethrown_exceptions(lua):
    exception = KeyError("k")

    def fail():
        raise exception

    assert error_of(lua.eval("function(f) local ok, e = pcall(f) error(e) end"), fail) is exception


def test_the_second_exception_counts(lua):
    def first():
        raise KeyError("first")

    def second():
        raise ValueError("second")

    error = error_of(lua.eval("function(f, g) pcall(f) g() end"), first, second)
    assert str(error) == "second"


def test_xpcall(lua):
    def fail():
        raise KeyError("k")

    check = lua.eval("function(f) return xpcall(f, function(e) return 'handled ' .. tostring(e) end) end")
    assert check(lua.eval("function() error('x', 0) end")) == (False, "handled x")
    check = lua.eval("""function(f)
        return xpcall(function() f() end, function(e) return 'handled ' .. tostring(e) end)
    end""")
    assert check(fail) == (False, "handled 'k'")


def test_python_function_as_a_handler(lua):
    handle = lua.eval("function(f) return xpcall(function() error('x', 0) end, python.as_function(f)) end")
    assert handle(lambda message: message + "!") == (False, "x!")


def test_lua_errors_through_python(lupa, lua):
    """Lua calls Python calls Lua, which fails: the LuaError passes through as it is."""
    errors = []

    def middle():
        try:
            lua.execute("error('inner', 0)")
        except lupa.LuaError as error:
            errors.append(error)
            raise

    assert error_of(lua.eval("function(f) f() end"), middle) is errors[0]
    ok, error = lua.eval("function(f) return pcall(f) end")(middle)
    assert ok is False
    assert error is errors[1]


def test_python_may_handle_lua_errors(lupa, lua):
    def middle():
        try:
            lua.execute("error('inner', 0)")
        except lupa.LuaError:
            return "handled"

    assert lua.eval("function(f) return f() end")(middle) == "handled"


def test_deep_alternation(lua):
    """An exception through twenty levels of Lua and Python."""
    step = lua.eval("function(f, n) return f(n) end")

    def again(n):
        if n == 0:
            raise KeyError("bottom")
        return step(again, n - 1)

    error = error_of(again, 20)
    assert type(error) is KeyError
    assert len([f for f in traceback.extract_tb(error.__traceback__) if f.name == "again"]) == 21


def test_exceptions_of_another_runtime(lupa):
    one, two = lupa.LuaRuntime(), lupa.LuaRuntime()
    error = error_of(one.eval("function(f) f() end"), lambda: two.execute("error('two', 0)"))
    assert str(error).splitlines()[0] == "two"


def test_caught_exceptions_are_freed(lua):
    """What ``pcall`` has caught and dropped does not live on in Python."""

    class Marker:
        pass

    references = []

    def fail():
        marker = Marker()
        references.append(weakref.ref(marker))
        raise KeyError(marker)

    for _ in range(5):
        lua.eval("function(f) pcall(f) end")(fail)
        lua.gccollect()
        gc.collect()
    assert [reference() for reference in references[:-1]] == [None] * 4


@pytest.mark.beyond
def test_passed_exceptions_are_freed(lua):
    class Marker:
        pass

    references = []

    def fail():
        marker = Marker()
        references.append(weakref.ref(marker))
        raise KeyError(marker)

    for _ in range(5):
        with pytest.raises(KeyError):
            lua.eval("function(f) f() end")(fail)
        lua.gccollect()
        gc.collect()
    lua.gccollect()
    gc.collect()
    assert [reference() for reference in references[:-1]] == [None] * 4


def test_removed_libraries(lupa, lua):
    """The message does not depend on what Lua code has left of the libraries."""
    lua.execute("debug = nil; tostring = nil; error_ = error; error = nil")
    assert str(error_of(lua.execute, "error_('x', 0)")).splitlines()[0] == "x"
    assert str(error_of(lua.execute, "error('x')")).splitlines()[0].startswith('[string "<python>"]:1: attempt to call')


@pytest.mark.beyond
def test_replaced_traceback_function(lupa, lua):
    """A chunk can't change how errors are reported."""
    lua.execute("function debug.traceback() return 'replaced' end")
    assert str(error_of(lua.execute, "error('x', 0)")).splitlines()[0] == "x"
    lua.execute("function debug.traceback() error('again') end")
    assert str(error_of(lua.execute, "error('x', 0)")).splitlines()[0] == "x"
