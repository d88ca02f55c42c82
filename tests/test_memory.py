"""Memory limits, on every backend.  (Failing allocations one by one: test_memerr_sweep.py.)"""

import pytest

KB = 1024


@pytest.fixture
def limited(lupa):
    """A runtime that counts its memory; no limit yet."""
    return lupa.LuaRuntime(max_memory=0)


def test_without_max_memory(lua):
    """As documented: None, and setting a limit later is refused."""
    assert lua.get_max_memory() is None
    assert lua.get_memory_used() is None
    assert lua.get_max_memory(total=True) is None
    assert lua.get_memory_used(total=True) is None
    with pytest.raises(RuntimeError, match="^max_memory must be set on LuaRuntime creation$"):
        lua.set_max_memory(100)


@pytest.mark.beyond
def test_counting(limited):
    """On each backend, LuaJIT 2.0 included (2.8 can't make one)."""
    before = limited.get_memory_used()
    limited.execute("t = {} for i = 1, 10000 do t[i] = i end")
    after = limited.get_memory_used()
    assert after - before > 40 * KB
    limited.execute("t = nil")
    limited.gccollect()
    assert limited.get_memory_used() < after


@pytest.mark.beyond
def test_base_memory_is_not_counted(limited):
    assert limited.get_memory_used() < 3 * KB
    base = limited.get_memory_used(total=True) - limited.get_memory_used()
    assert base > 5 * KB


@pytest.mark.beyond
def test_limits_can_be_read(lupa, limited):
    assert limited.get_max_memory() in (0, None) or limited.get_max_memory() > 2**63
    limited.set_max_memory(100 * KB)
    assert limited.get_max_memory() == 100 * KB
    base = limited.get_memory_used(total=True) - limited.get_memory_used()
    assert limited.get_max_memory(total=True) == 100 * KB + base
    limited.set_max_memory(10_000 * KB, total=True)
    assert limited.get_max_memory(total=True) == 10_000 * KB
    assert lupa.LuaRuntime(max_memory=50 * KB).get_max_memory() == 50 * KB


@pytest.mark.beyond
@pytest.mark.parametrize(
    "code",
    [
        "local t = {} for i = 1, 1e7 do t[i] = {} end",
        "local s = 'x' while true do s = s .. s end",
        "local s = string.rep('x', 1e7)",
        "local function f(...) return f(1, ...) end f()",
        "local t = {} while true do t[#t + 1] = function() return t end end",
        "local s = 0 for i = 1, 1e7 do s = #tostring(i) + #('x' .. i) t = {t, s} end",
    ],
)
def test_lua_code_hits_the_limit(isolated, code):
    """Also where a LuaJIT has compiled the code: an error has to find its way out of a trace."""
    isolated(f"""
        for limit in (50, 100, 200, 1000):
            lua = lupa.LuaRuntime(max_memory=limit * 1024)
            for _ in range(3):
                try:
                    lua.execute({code!r})
                except MemoryError as error:
                    assert isinstance(error, lupa.LuaMemoryError)
                except lupa.LuaError as error:
                    assert "stack overflow" in str(error), error
                else:
                    raise AssertionError
                lua.globals().t = None
                assert lua.eval("1 + 1") == 2
    """)


@pytest.mark.beyond
def test_the_message(lupa):
    lua = lupa.LuaRuntime(max_memory=200 * KB)
    with pytest.raises(lupa.LuaMemoryError, match="not enough memory"):
        lua.execute("local s = string.rep('x', 1e6)")


@pytest.mark.beyond
def test_pcall_sees_the_limit(lupa):
    lua = lupa.LuaRuntime(max_memory=200 * KB)
    ok, message = lua.eval("pcall(string.rep, 'x', 1e6)")
    assert ok is False
    assert "not enough memory" in message
    assert lua.eval("1") == 1


@pytest.mark.beyond
def test_the_limit_can_be_lifted(lupa):
    lua = lupa.LuaRuntime(max_memory=200 * KB)
    with pytest.raises(lupa.LuaMemoryError):
        lua.execute("s = string.rep('x', 1e6)")
    lua.set_max_memory(0)
    assert lua.eval("#string.rep('x', 1e6)") == 1_000_000
    lua.gccollect()
    lua.set_max_memory(200 * KB)
    with pytest.raises(lupa.LuaMemoryError):
        lua.execute("s = string.rep('x', 1e6)")


@pytest.mark.beyond
def test_a_limit_below_what_is_used(lupa, limited):
    """Then whatever needs memory fails, and nothing else breaks."""
    limited.set_max_memory(1)
    with pytest.raises(MemoryError):
        limited.execute("local t = {} for i = 1, 1000 do t[i] = {} end")
    limited.set_max_memory(0)
    assert limited.eval("1 + 1") == 2


@pytest.mark.beyond
@pytest.mark.parametrize(
    "work",
    [
        lambda lua: lua.table_from(range(1_000_000)),
        lambda lua: lua.table_from({i: i for i in range(200_000)}),
        lambda lua: lua.table_from([[i] for i in range(100_000)], recursive=True),
        lambda lua: lua.table_from(object() for _ in range(100_000)),
        lambda lua: lua.table(*range(200_000)),
        lambda lua: lua.eval("#...", "x" * 5_000_000),
        lambda lua: lua.eval("#...", b"x" * 5_000_000),
        lambda lua: lua.table("x" * 5_000_000),
        lambda lua: lua.execute("x = '" + "x" * 5_000_000 + "'"),
        lambda lua: lua.compile("x = '" + "x" * 5_000_000 + "'"),
        lambda lua: lua.eval("function(f) return f() end")(lambda: "x" * 5_000_000),
        lambda lua: lua.eval("tostring(...)", "x" * 5_000_000),
        lambda lua: setattr(lua.globals(), "x", "x" * 5_000_000),
        lambda lua: lua.globals()["x" * 5_000_000],
        lambda lua: lua.require("x" * 5_000_000),
        lambda lua: lua.eval("select('#', ...)", *[str(i) * 10 for i in range(100_000)]),
        lambda lua: next(lua.eval("function(...) coroutine.yield(...) end").coroutine("x" * 5_000_000)),
        lambda lua: lua.eval("function(o) for x in python.iter(o) do end end")(["x" * 5_000_000]),
        lambda lua: lua.eval("function(o) return o.x end")({"x": "x" * 5_000_000}),
    ],
)
def test_python_hits_the_limit(lupa, work):
    """Work on the Python side runs into the limit as an exception."""
    lua = lupa.LuaRuntime(max_memory=500 * KB)
    with pytest.raises((MemoryError, lupa.LuaError)) as caught:
        work(lua)
    assert isinstance(caught.value, MemoryError) or "too many" in str(caught.value)
    lua.set_max_memory(0)
    assert lua.eval("1 + 1") == 2
    assert list(lua.table_from([1, 2]).values()) == [1, 2]


@pytest.mark.beyond
def test_overflow_of_the_limit(lupa, limited):
    """Limits near the largest number don't wrap around."""
    limited.set_max_memory(2**64 - 1)
    assert limited.eval("1") == 1
    with pytest.raises(OverflowError):
        limited.set_max_memory(2**64)
    with pytest.raises(OverflowError):
        limited.set_max_memory(-1)
    assert lupa.LuaRuntime(max_memory=2**62).eval("1") == 1


@pytest.mark.beyond
def test_memory_is_given_back(lupa, limited):
    """What was used before is used after, for errors too."""
    code = "local t = {} for i = 1, 1000 do t[i] = {i} end error('x')"
    for _ in range(3):
        with pytest.raises(lupa.LuaError):
            limited.execute(code)
        limited.gccollect()
        limited.gccollect()
    used = limited.get_memory_used()
    for _ in range(10):
        with pytest.raises(lupa.LuaError):
            limited.execute(code)
        limited.gccollect()
        limited.gccollect()
    assert abs(limited.get_memory_used() - used) < 4 * KB


@pytest.mark.beyond
def test_python_objects_survive_the_limit(lupa):
    """References that a failed operation took are given back."""
    import gc
    import weakref

    class Thing:
        pass

    lua = lupa.LuaRuntime(max_memory=300 * KB)
    references = []

    def things():
        while True:
            thing = Thing()
            references.append(weakref.ref(thing))
            yield thing

    with pytest.raises(MemoryError):
        lua.table_from(things())
    lua.set_max_memory(0)
    for _ in range(3):
        lua.gccollect()
        gc.collect()
    assert len(references) > 100
    assert sum(reference() is not None for reference in references) == 0


@pytest.mark.beyond
def test_runtimes_have_separate_limits(lupa):
    small, large = lupa.LuaRuntime(max_memory=100 * KB), lupa.LuaRuntime(max_memory=10_000 * KB)
    code = "#string.rep('x', 1e6)"
    with pytest.raises(lupa.LuaMemoryError):
        small.eval(code)
    assert large.eval(code) == 1_000_000


def test_limits_below_zero(lupa):
    """As a new runtime has none, and no limit that is set later."""
    for limit in (-1, -5, -(2**40)):
        assert lupa.LuaRuntime(max_memory=limit).eval("#('x'):rep(1000000)") == 1_000_000
    lua = lupa.LuaRuntime(max_memory=0)
    for total in (False, True):
        for limit in (-1, -5, -(2**40), 2**70):
            with pytest.raises(OverflowError):
                lua.set_max_memory(limit, total=total)
        for limit in ("5", None, [], object()):
            with pytest.raises(TypeError):
                lua.set_max_memory(limit, total=total)
    assert lua.eval("#('x'):rep(1000000)") == 1_000_000
    lua.set_max_memory(100_000.9)
    with pytest.raises(lupa.LuaMemoryError):
        lua.eval("#('x'):rep(1000000)")
