"""Wrappers as values of Python: equality, hash, ``repr``, ``dir`` and what tools look for."""

import threading

import pytest


class TestEquality:
    @pytest.mark.parametrize("code", ["{}", "print", "function() end", "coroutine.wrap(function() end)", "io.stdout"])
    def test_one_lua_value_is_one_value(self, lua, code):
        get = lua.execute(f"local value = {code} return function() return value end")
        first, second = get(), get()
        assert first is not second
        assert first == second and hash(first) == hash(second)
        assert (first != second) is False
        assert {first: 1}[second] == 1 and len({first, second}) == 1
        assert first != lua.eval("{}") and first != 1 and first is not None and first != object()

    def test_globals(self, lua):
        assert lua.globals() == lua.globals()
        assert lua.globals() == lua.globals()._G

    def test_others_may_say_that_they_are_equal(self, lua):
        class Any:
            def __eq__(self, other):
                return True

        assert lua.eval("{}") == Any()

    def test_another_runtime(self, lupa, lua):
        other = lupa.LuaRuntime()
        assert lua.globals() != other.globals()

    def test_metamethods_are_not_asked(self, lua):
        one, two = lua.execute("local mt = {__eq = error} return setmetatable({}, mt), setmetatable({}, mt)")
        assert one != two and one == one

    def test_there_is_no_order(self, lua):
        with pytest.raises(TypeError):
            assert lua.eval("{}") < lua.eval("{}")

    def test_after_the_end(self, lua):
        one, two = lua.globals(), lua.globals()
        before = hash(one)
        lua.close()
        assert one == two and hash(one) == hash(two) == before
        assert repr(one) == str_of(one)

    def test_while_another_thread_is_inside(self, lua):
        one, two = lua.globals(), lua.globals()
        inside, go = threading.Event(), threading.Event()

        def wait():
            inside.set()
            go.wait()

        holder = threading.Thread(target=lua.eval("function(f) f() end"), args=(wait,))
        holder.start()
        inside.wait()
        try:
            assert one == two and hash(one) == hash(two)
            assert repr(one) == str_of(one)
            assert "keys" in dir(one)
        finally:
            go.set()
            holder.join()

    def test_an_address_is_not_used_again(self, lua):
        lua.globals().keep = lua.table()
        one = lua.globals().keep
        lua.globals().keep = None
        lua.gccollect()
        for _ in range(1000):
            assert lua.table() != one


def str_of(table):
    return repr(table).partition(":")[0].rstrip(">") + ">"


class TestRepr:
    def test_the_first_entries(self, lua):
        table = lua.eval("{10, 20, name = 'wolf'}")
        assert repr(table) == f"{str(table)[:-1]}: 1=10, 2=20, name='wolf'>"
        assert repr(lua.eval("{}")).count(":") == 0

    def test_keys_that_are_no_names(self, lua):
        assert repr(lua.table_from({"a b": 1})).endswith(": ['a b']=1>")
        assert repr(lua.eval("{[true] = 1.5}")).endswith(": [True]=1.5>")

    def test_it_has_an_end(self, lua):
        table = lua.execute("local t = {} for i = 1, 100 do t[i] = ('x'):rep(1000) end return t")
        assert repr(table).endswith(", ...>") and len(repr(table)) < 1000

    def test_tables_inside_are_named(self, lua):
        table = lua.execute("local t = {} t[1] = t return t")
        assert repr(table) == f"{str(table)[:-1]}: 1={table}>"

    def test_metamethods_are_not_asked(self, lua):
        table = lua.execute(
            "return setmetatable({1}, {__index = error, __pairs = error, __tostring = error, __len = error})"
        )
        assert repr(table).endswith(": 1=1>")

    def test_objects_that_raise_or_come_back(self, lua):
        class Bad:
            def __repr__(self):
                raise ValueError

        class Loop:
            def __repr__(self):
                return repr(lua.globals().t)

        lua.globals().t = lua.table(Bad(), Loop())
        assert "<Python object without a repr>" in repr(lua.globals().t)

    def test_an_exception_that_is_none_comes_through(self, lua):
        class Stop:
            def __repr__(self):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            repr(lua.table(Stop()))

    def test_in_a_sandbox_no_object_is_asked(self, lupa):
        class Trap:
            def __repr__(self):
                raise AssertionError("asked")

        lua = lupa.LuaRuntime(sandbox=True)
        assert repr(lua.table(Trap(), 1)).endswith(": 1=<Python object>, 2=1>")

    def test_str_is_as_it_was(self, lua):
        assert str(lua.eval("{1, 2}")).startswith("<Lua table at 0x") and ":" not in str(lua.eval("{1, 2}"))


class TestNames:
    def test_dir_has_the_fields_that_are_names(self, lua):
        table = lua.eval("{one = 1, ['two words'] = 2, [3] = 3, ['end'] = 4}")
        assert {"one", "end", "keys", "items", "values", "__len__"} <= set(dir(table))
        assert "two words" not in dir(table)
        assert set(table._ipython_key_completions_()) == {"one", "two words", "end"}

    def test_dir_has_an_end(self, lua):
        table = lua.execute("local t = {} for i = 1, 5000 do t['x' .. i] = i end return t")
        assert 1000 <= len(dir(table)) < 1100

    def test_strings_as_bytes(self, lupa):
        table = lupa.LuaRuntime(encoding=None).eval(b"{x = 1}")
        assert "keys" in dir(table)

    def test_tools_do_not_find_what_is_not_there(self, lua):
        table = lua.eval("{}")
        for name in [
            "_repr_html_",
            "_repr_mimebundle_",
            "_ipython_display_",
            "_ipython_canary_method_should_not_exist_",
        ]:
            assert not hasattr(table, name)
        assert table.missing is None and table._missing is None

    def test_unless_the_table_has_it(self, lua):
        assert lua.eval("{_repr_html_ = 5}")._repr_html_ == 5

    def test_the_public_attributes_are_three(self, lua):
        own = [name for name in dir(type(lua.eval("{}"))) if not name.startswith("_")]
        assert own == ["items", "keys", "values"]
