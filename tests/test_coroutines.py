"""Coroutines of Lua in Python."""

import gc

import pytest


def test_iteration(lua):
    count = lua.eval("function(n) for i = 1, n do coroutine.yield(i) end end")
    assert list(count.coroutine(3)) == [1, 2, 3]
    assert list(count.coroutine(0)) == []


def test_send(lua):
    coroutine = lua.eval("""function(a)
        local b = coroutine.yield(a)
        local c = coroutine.yield(b)
        return c
    end""").coroutine(1)
    assert [coroutine.send(None), coroutine.send(2), coroutine.send(3)] == [1, 2, 3]
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_first_send_takes_none(lua):
    coroutine = lua.eval("function() return 1 end").coroutine()
    with pytest.raises(TypeError, match="^can't send non-None value to a just-started generator$"):
        coroutine.send(5)
    assert coroutine.send(None) == 1


def test_sending_tuples(lua):
    """A tuple becomes several values."""
    make = lua.eval("function() local n = select('#', coroutine.yield()); coroutine.yield(n) end")
    for sent, count in ((None, 0), ((), 0), ((1, 2), 2), ((None, None), 2), ([1, 2], 1), (5, 1)):
        coroutine = make.coroutine()
        next(coroutine)
        assert coroutine.send(sent) == count


def test_yielding_several_values(lua):
    coroutine = lua.eval("function() coroutine.yield(1, nil, 2); return 3, 4 end").coroutine()
    assert next(coroutine) == (1, None, 2)
    assert next(coroutine) == (3, 4)


def test_results_at_the_end(lua):
    assert next(lua.eval("function() return nil end").coroutine()) is None
    with pytest.raises(StopIteration):
        next(lua.eval("function() end").coroutine())
    assert list(lua.eval("function() coroutine.yield(1) return 'end' end").coroutine()) == [1, "end"]


def test_truth(lua):
    """True while there may be more to come."""
    coroutine = lua.eval("function() coroutine.yield(1) end").coroutine()
    assert coroutine
    next(coroutine)
    assert coroutine
    assert list(coroutine) == []
    assert not coroutine


def test_truth_inside(lua):
    seen = []
    coroutine = lua.eval("function(f) f() end").coroutine(lambda: seen.append(bool(coroutine)))
    list(coroutine)
    assert seen == [True]


def test_finished(lua):
    coroutine = lua.eval("function() coroutine.yield(1) end").coroutine()
    assert list(coroutine) == [1]
    assert list(coroutine) == []
    with pytest.raises(StopIteration):
        next(coroutine)


def test_errors(lupa, lua):
    coroutine = lua.eval("function() coroutine.yield(1); error('inside') end").coroutine()
    assert next(coroutine) == 1
    with pytest.raises(lupa.LuaError, match="inside"):
        next(coroutine)
    assert not coroutine


@pytest.mark.beyond
def test_python_exceptions(lua):
    """C3: the exception itself comes out (2.8: an empty LuaError)."""

    def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside") as caught:
        next(lua.eval("function(f) f() end").coroutine(fail))
    assert caught.traceback[-1].name == "fail"


@pytest.mark.beyond
def test_python_exceptions_after_a_yield(lua):
    def fail():
        raise KeyError("inside")

    coroutine = lua.eval("function(f) coroutine.yield(1); f() end").coroutine(fail)
    assert next(coroutine) == 1
    with pytest.raises(KeyError, match="inside"):
        next(coroutine)


def test_python_exceptions_through_wrap(lua):
    def fail():
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        lua.eval("function(f) return coroutine.wrap(function() f() end)() end")(fail)


def test_python_exceptions_seen_by_resume(lua):
    def fail():
        raise KeyError("inside")

    resume = lua.eval("function(f) return coroutine.resume(coroutine.create(function() f() end)) end")
    ok, error = resume(fail)
    assert ok is False
    assert isinstance(error, KeyError)


def test_unstarted_threads_are_callables(lupa, lua):
    """A coroutine that was created but not started comes over as a function that makes coroutines."""
    function = lua.eval("coroutine.create(function(a, b) coroutine.yield(a); coroutine.yield(b) end)")
    assert lupa.lua_type(function) == "function"
    assert list(function(1, 2)) == [1, 2]
    assert list(function(3, 4)) == [3, 4]
    assert list(function.coroutine(5, 6)) == [5, 6]


def test_started_threads_are_threads(lupa, lua):
    lua.execute("co = coroutine.create(function(a) coroutine.yield(a); coroutine.yield(2) end)")
    lua.execute("coroutine.resume(co, 1)")
    thread = lua.globals().co
    assert lupa.lua_type(thread) == "thread"
    assert list(thread) == [2]
    assert lua.eval("coroutine.status(co)") == "dead"


def test_dead_threads(lupa, lua):
    lua.execute("co = coroutine.create(function() end) coroutine.resume(co)")
    thread = lua.globals().co
    assert not thread
    assert list(thread) == []


def test_coroutines_go_back_to_lua(lua):
    coroutine = lua.eval("function(x) coroutine.yield(x * 2) end").coroutine(5)
    next(coroutine)
    assert lua.eval("function(c) return type(c), coroutine.status(c) end")(coroutine) == ("thread", "suspended")
    assert lua.eval("function(c) return coroutine.resume(c) end")(coroutine) is True
    assert not coroutine


def test_text(lua):
    coroutine = lua.eval("function() end").coroutine()
    assert repr(coroutine).startswith("<Lua thread at 0x")


def test_no_attributes(lua):
    coroutine = lua.eval("function() end").coroutine()
    with pytest.raises(AttributeError):
        coroutine.no_such_method  # noqa: B018
    with pytest.raises(TypeError):
        coroutine["x"]


def test_only_lua_functions_make_coroutines(lua):
    with pytest.raises(TypeError, match="^Lua object is not a function$"):
        lua.eval("print").coroutine()


def test_iterators(lua):
    coroutine = lua.eval("function() coroutine.yield(1) end").coroutine()
    assert iter(coroutine) is coroutine
    count = lua.eval("function(n) for i = 1, n do coroutine.yield(i) end end")
    assert list(zip("ab", count.coroutine(2))) == [("a", 1), ("b", 2)]


def test_coroutines_in_coroutines(lua):
    inner = lua.eval("function() coroutine.yield(1); coroutine.yield(2) end")
    outer = lua.eval("function(f) coroutine.yield(f()); coroutine.yield(f()) end")
    assert list(outer.coroutine(lambda: list(inner.coroutine()))) == [[1, 2], [1, 2]]


def test_interleaved(lua):
    count = lua.eval("function(n) while true do n = n + (coroutine.yield(n) or 1) end end")
    coroutines = [count.coroutine(start) for start in (0, 10, 20)]
    assert [next(c) for c in coroutines for _ in range(2)] == [0, 1, 10, 11, 20, 21]
    assert [c.send(5) for c in coroutines] == [6, 16, 26]


def test_eval_inside_a_coroutine(lua):
    """Python code that a coroutine calls may use the runtime freely."""

    def work():
        table = lua.table(1, 2, 3)
        lua.execute("shared = (shared or 0) + 1")
        return sum(table.values()) + lua.eval("shared") + len(table)

    coroutine = lua.eval("function(f) for i = 1, 3 do coroutine.yield(f()) end end").coroutine(work)
    assert list(coroutine) == [10, 11, 12]


def test_yield_outside(lupa, lua):
    with pytest.raises(lupa.LuaError, match="attempt to yield"):
        lua.execute("coroutine.yield(1)")


def test_yield_across_python(lupa, lua):
    """Lua can't yield through a Python function; that is an error, not a crash."""
    coroutine = lua.eval("function(f) f(coroutine.yield) end").coroutine(lambda yield_: yield_(1))
    with pytest.raises(lupa.LuaError):
        next(coroutine)
    assert lua.eval("1") == 1


@pytest.mark.beyond
def test_yield_across_python_says_so(lupa, lua):
    coroutine = lua.eval("function(f) f(coroutine.yield) end").coroutine(lambda yield_: yield_(1))
    with pytest.raises(lupa.LuaError, match="yield"):
        next(coroutine)


def test_resuming_itself(lupa, lua):
    coroutine = lua.eval("function(f) coroutine.yield(f()) end").coroutine(lambda: next(coroutine))
    with pytest.raises(lupa.LuaError):
        next(coroutine)
    assert lua.eval("1") == 1


@pytest.mark.beyond
def test_resuming_itself_says_so(lupa, lua):
    coroutine = lua.eval("function(f) coroutine.yield(f()) end").coroutine(lambda: next(coroutine))
    with pytest.raises(lupa.LuaError, match="cannot resume"):
        next(coroutine)


@pytest.mark.beyond
def test_callback_from_a_coroutine_that_still_lives(isolated):
    """2.8 may crash when the callback and the coroutine are dropped."""
    isolated("""
        saved = []
        function = lua.eval("function(save) save(function(x) return x + 1 end) coroutine.yield() end")
        coroutine = function.coroutine(saved.append)
        next(coroutine)
        assert saved[0](1) == 2
        del coroutine
        gc.collect()
        del saved
    """)


@pytest.mark.beyond
def test_tables_from_a_coroutine_that_died(isolated):
    """Wrappers made inside a coroutine belong to the runtime, whatever their kind."""
    isolated("""
        saved = []
        co = lua.eval('''function(save)
            local t = {1, 2, 3, a = 1}
            save(t); save(io.stdout); save(coroutine.create(function(x) coroutine.yield(x) end))
            save(t, t)
            coroutine.yield()
        end''').coroutine(lambda *a: saved.extend(a))
        iterators = []
        next(co)
        iterators = [iter(saved[0]), saved[0].items()]
        del co
        for _ in range(3):
            gc.collect()
            lua.gccollect()
        lua.execute("for i = 1, 1000 do local t = {i} end")
        t = saved[0]
        assert list(t.values())[:3] == [1, 2, 3]
        t.b = 2
        del t.a
        assert len(t) == 3 and t.b == 2
        assert [len(list(i)) for i in iterators] == [4, 4]
        assert str(saved[1]).startswith("file")
        assert list(saved[2](7)) == [7]
        assert lua.table_from(t)[3] == 3
        assert lupa.lua_type(t) == "table"
    """)


def test_abandoned_coroutines(lua):
    function = lua.eval("function() local t = {} coroutine.yield(t) end")
    for _ in range(200):
        next(function.coroutine())
    gc.collect()
    lua.gccollect()
    assert lua.eval("1") == 1


def test_many_live_coroutines(lua):
    function = lua.eval("function(i) coroutine.yield(i); coroutine.yield(i + 1) end")
    coroutines = [function.coroutine(i) for i in range(500)]
    assert [next(c) for c in coroutines] == list(range(500))
    lua.gccollect()
    assert [next(c) for c in coroutines] == list(range(1, 501))


@pytest.mark.beyond
def test_many_values(lua):
    """More values than a fresh stack has room for (2.8 writes past the stack)."""
    function = lua.eval("function(...) coroutine.yield(select('#', ...)); coroutine.yield(...) end")
    coroutine = function.coroutine(*range(1000))
    assert next(coroutine) == 1000
    assert next(coroutine) == tuple(range(1000))


def test_coroutine_of_python_tuples(lupa):
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    assert list(lua.eval("function() coroutine.yield(python.eval('(1, 2)')) end").coroutine()) == [(1, 2)]


def test_lua_resumes_what_python_started(lua):
    """The same coroutine driven from both sides."""
    coroutine = lua.eval("function() for i = 1, 4 do coroutine.yield(i) end end").coroutine()
    assert next(coroutine) == 1
    assert lua.eval("function(c) return select(2, coroutine.resume(c)) end")(coroutine) == 2
    assert next(coroutine) == 3
