"""Errors as programs use them: their texts, copies, pickles, and which class they are of."""

import copy
import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor

import pytest


def raised(lupa, lua, code, *args, **options):
    with pytest.raises(lupa.LuaError) as caught:
        lua.execute(code, *args, **options)
    return caught.value


class TestText:
    def test_a_table_shows_what_is_in_it(self, lupa, lua):
        error = raised(lupa, lua, "error({code = 404})")
        assert str(error) == "(error object is a table value: code=404)"
        assert error.value.code == 404
        assert str(raised(lupa, lua, "error({})")) == "(error object is a table value)"

    def test_nested_tables_and_long_ones(self, lupa, lua):
        error = raised(lupa, lua, "local t = {} for i = 1, 100 do t[i] = i end error(t)")
        assert str(error).startswith("(error object is a table value: 1=1, 2=2, ")
        assert str(error).endswith(", ...)")
        error = raised(lupa, lua, "local t = {} t[1] = t error(t)")
        assert str(error).startswith("(error object is a table value: 1=<Lua table at 0x")

    def test_tostring_is_asked(self, lupa, lua):
        make = "error(setmetatable({}, {__tostring = function() %s end}))"
        assert str(raised(lupa, lua, make % "return 'told'")) == "told"
        for bad in ["error('no')", "return {}", "return nil", "error({})", "error(setmetatable({}, nil))"]:
            assert str(raised(lupa, lua, make % bad)) == "(error object is a table value)"

    def test_tostring_that_raises_the_like_of_itself(self, lupa, lua):
        code = "local mt = {} mt.__tostring = function(t) error(setmetatable({}, mt)) end error(setmetatable({}, mt))"
        assert str(raised(lupa, lua, code)) == "(error object is a table value)"

    def test_tostring_has_an_end(self, lupa):
        lua = lupa.LuaRuntime(timeout=0.1)
        with pytest.raises(lupa.LuaTimeoutError):
            lua.execute("error(setmetatable({}, {__tostring = function() while true do end end}))")
        assert lua.eval("1 + 1") == 2

    @pytest.mark.parametrize(
        "value, kind", [("true", "boolean"), ("print", "function"), ("coroutine.create(function() end)", "thread")]
    )
    def test_other_values(self, lupa, lua, value, kind):
        assert str(raised(lupa, lua, f"error({value})")) == f"(error object is a {kind} value)"

    def test_in_a_sandbox_no_object_is_asked(self, lupa):
        class Trap:
            def __repr__(self):
                raise AssertionError("asked")

        lua = lupa.LuaRuntime(sandbox=True)
        lua.globals().trap = Trap()
        assert str(raised(lupa, lua, "error({trap})")) == "(error object is a table value: 1=<Python object>)"


class TestClass:
    def test_it_does_not_depend_on_the_text(self, lupa):
        # A LuaJIT 2.0 whose memory is not counted does not tell what it lacked.
        lua = lupa.LuaRuntime(max_memory=0)
        error = raised(lupa, lua, "error('xx not enough memory yy')")
        assert type(error) is lupa.LuaError

    @pytest.mark.parametrize("exception", [StopIteration, StopAsyncIteration])
    def test_the_end_of_an_iteration_in_a_coroutine(self, lupa, lua, exception):
        def end():
            raise exception("inner")

        make = lua.eval("function(f) coroutine.yield(1) f() end")
        for resume in (next, lambda running: running.send(1), lambda running: running.send(None)):
            running = make.coroutine(end)
            assert next(running) == 1
            with pytest.raises(lupa.LuaStopIterationError, match=exception.__name__) as caught:
                resume(running)
            assert isinstance(caught.value, RuntimeError) and isinstance(caught.value, lupa.LuaError)
            assert type(caught.value.__cause__) is exception and caught.value.__cause__.args == ("inner",)
        with pytest.raises(RuntimeError):
            list(make.coroutine(end))

    def test_a_plain_call_raises_it_as_it_is(self, lupa, lua):
        def end():
            raise StopIteration(5)

        with pytest.raises(StopIteration):
            lua.eval("function(f) f() end")(end)


class TestSyntax:
    def test_the_place(self, lupa, lua):
        error = raised(lupa, lua, "local a = 1\nlocal b = ?", name="@conf.lua")
        assert isinstance(error, SyntaxError)
        assert (error.filename, error.lineno, error.offset, error.text) == ("conf.lua", 2, 11, "local b = ?")
        assert error.msg.startswith("unexpected symbol") and not error.incomplete
        assert str(error).startswith("error loading code: conf.lua:2: unexpected symbol") and error.args == (
            str(error),
        )

    @pytest.mark.parametrize("code", ["x =", "for i = 1, 2 do", "x = {1,\n\n2", "return f("])
    def test_incomplete_code(self, lupa, lua, code):
        error = raised(lupa, lua, code)
        assert error.incomplete
        assert error.offset == len(error.text) + 1

    def test_eval(self, lupa, lua):
        with pytest.raises(lupa.LuaSyntaxError) as caught:
            lua.eval("1 + ? + 2")
        assert (caught.value.lineno, caught.value.text, caught.value.offset) == (1, "1 + ? + 2", 5)

    @pytest.mark.parametrize(
        "name", ["=x:1: y", "a\nb", '[string "z"]:7:', "@" + "d/" * 60 + "f.lua", "=" + "n" * 100, ""]
    )
    def test_names_with_anything_in_them(self, lupa, lua, name):
        error = raised(lupa, lua, "x = = 1", name=name)
        assert error.lineno == 1 and error.text == "x = = 1"

    def test_what_has_no_line(self, lupa, lua):
        error = raised(lupa, lua, b"\x1bLuanonsense")
        assert error.filename == "<python>" and error.text is None

    def test_python_shows_the_line(self, lupa, lua):
        error = raised(lupa, lua, "local a = ?", name="=conf")
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        assert 'File "conf", line 1' in text and "local a = ?" in text and "^" in text

    def test_strings_as_bytes(self, lupa):
        lua = lupa.LuaRuntime(encoding=None)
        error = raised(lupa, lua, b"x = = 1")
        assert error.lineno == 1 and error.text == "x = = 1"


class TestCopies:
    def test_the_value_of_a_copy_is_the_same(self, lupa, lua):
        error = raised(lupa, lua, "error({1})")
        error.more = ["kept"]
        for twin in copy.copy(error), copy.deepcopy(error):
            assert type(twin) is lupa.LuaError and str(twin) == str(error)
            assert twin.value == error.value and twin.more == ["kept"]

    def test_pickle_takes_plain_data_along(self, lupa, lua):
        error = pickle.loads(pickle.dumps(raised(lupa, lua, "error({code = 1, list = {1, 2, {x = true}}})")))
        assert error.value == {"code": 1, "list": [1, 2, {"x": True}]}
        assert type(error) is lupa.LuaError

    @pytest.mark.parametrize("value", ["print", "{f = print}", "io.stdout", "coroutine.create(function() end)"])
    def test_pickle_marks_what_stays_behind(self, lupa, lua, value):
        error = pickle.loads(pickle.dumps(raised(lupa, lua, f"error({value})")))
        assert isinstance(error.value, str) and error.value.endswith("(stayed in its process)")

    @pytest.mark.parametrize("code", ["error('x')", "error(nil)", "error(12)", "error(true)", "x = = 1"])
    def test_plain_values(self, lupa, lua, code):
        error = raised(lupa, lua, code)
        twin = pickle.loads(pickle.dumps(error))
        assert type(twin) is type(error) and twin.args == error.args and twin.value == error.value
        assert getattr(twin, "lineno", None) == getattr(error, "lineno", None)

    def test_every_class(self, lupa):
        for name in dir(lupa):
            if name.startswith("Lua") and name.endswith("Error"):
                error = getattr(lupa, name)("text")
                assert repr(pickle.loads(pickle.dumps(error))) == repr(error)
                assert repr(copy.deepcopy(error)) == repr(error)

    def test_a_process_pool(self, backend):
        with ProcessPoolExecutor(1) as pool:
            error = pool.submit(fail_in, backend).exception()
        assert type(error).__name__ == "LuaError" and error.value == {"code": 7}

    def test_a_closed_runtime(self, lupa, lua):
        error = raised(lupa, lua, "error({1})")
        lua.close()
        assert isinstance(pickle.loads(pickle.dumps(error)).value, str)


def fail_in(backend):
    from importlib import import_module

    import_module(f"lupa.{backend}").LuaRuntime().execute("error({code = 7})")
