"""After a LuaMemoryError everything works at once, on every backend, and no other error says that memory is missing."""

import pytest

FILL = "local t = {} while true do t[#t + 1] = ('x'):rep(1000) end"
SMALL = "local t = {} while true do t[#t + 1] = {} end"
# What leaves so little that even a stack cannot grow; each is done with a full memory, and its error is caught.
FULL = {"strings": FILL, "tables": SMALL, "a string": "local s = 'x' while true do s = s .. s end"}

USES = {
    "dict(table)": "dict(table)",
    "list(table)": "list(table.items())",
    "many arguments": "lua.eval('select(\"#\", ...)', *range(5000))",
    "many results": "lua.eval('(unpack or table.unpack)(t, 1, 5000)')",
    "python.args": "lua.eval('take(python.args(t))')",
    "a callback with many arguments": "lua.eval('take((unpack or table.unpack)(t, 1, 5000))')",
    "deep recursion": "lua.eval('(function() local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end "
    "return f(5000) end)()')",
    "a coroutine": "list(lua.eval('function(...) for i = 1, 100 do coroutine.yield(i, ...) end end').coroutine(1, 2))",
    "a coroutine with many arguments": 'lua.eval(\'coroutine.wrap(function(...) return select("#", ...) end)'
    "((unpack or table.unpack)(t, 1, 5000))')",
    "deep recursion in a coroutine": "lua.eval('coroutine.wrap(function() local function f(n) if n == 0 then return 0 "
    "end return 1 + f(n - 1) end return f(5000) end)()')",
    "strings": "len(lua.eval('(\"x\"):rep(100000)'))",
    "a string as an argument": "lua.eval('#...', 'y' * 100000)",
    "numbers as strings": "lua.eval('tostring(12345.5) .. 7')",
    "concat": "len(lua.eval('table.concat(t)'))",
    "sort": "lua.execute('table.sort(t)')",
    "patterns": 'lua.eval(\'("x"):rep(1000):gsub("(x)(x)(x)", "%3%2%1")\')',
    "bytes": "lua.eval('(\"x\"):rep(5000):byte(1, 5000)')",
    "compiling": "lua.execute('local x = {' + '1,' * 5000 + '}')",
    "a table": "len(lua.table_from({i: i for i in range(1, 5000)}))",
    "an array": "lua.eval('#python.zeros(1000)')",
    "errors": "pytest_raises(lua, 'error(\"no\")')",
    "items": "[table[i] for i in range(1, 10)]",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_everything_works(isolated, use):
    """Whatever has filled the memory, and also where it was full for the second time."""
    isolated(f"""
        def pytest_raises(lua, code):
            try:
                lua.execute(code)
            except lupa.LuaMemoryError:
                raise
            except lupa.LuaError:
                return
            raise AssertionError(code)

        for fill in {list(FULL.values())!r}:
            for sandbox in (False, True):
                lua = lupa.LuaRuntime(max_memory=8_000_000, sandbox=sandbox, timeout=120)
                table = lua.eval("{{1, 2, 3}}")
                take = lambda *args: len(args)
                lua.globals().take = lua.expose(take) if sandbox else take
                lua.execute("t = {{}} for i = 1, 5000 do t[i] = i end")
                wanted = {use}
                for _ in range(2):
                    try:
                        lua.execute(fill)
                    except lupa.LuaMemoryError:
                        pass
                    else:
                        raise AssertionError
                    assert repr({use}) == repr(wanted)
    """)


NEVER = ("overflow", "too many")


@pytest.mark.parametrize(
    "code",
    [
        "local function f(n) return 1 + f(n + 1) end f(1)",
        "(unpack or table.unpack)(t, 1, 7000)",
        "select('#', (unpack or table.unpack)(t, 1, 7000))",
        "('x'):rep(7000):byte(1, 7000)",
        "coroutine.wrap(function(...) return ... end)((unpack or table.unpack)(t, 1, 7000))",
        "coroutine.wrap(function() local function f(n) return 1 + f(n + 1) end f(1) end)()",
        "take((unpack or table.unpack)(t, 1, 7000))",
        "take(python.args(t))",
        "table.concat({(unpack or table.unpack)(t, 1, 7000)})",
    ],
)
def test_missing_memory_is_not_said_to_be_an_overflow(isolated, code):
    """Where a stack cannot grow, since all memory is in use by what is kept."""
    isolated(f"""
        for limit in range(20_000, 400_000, 20_000):
            lua = lupa.LuaRuntime(max_memory=0)
            lua.globals().take = lambda *args: len(args)
            lua.execute("t = {{}} for i = 1, 7000 do t[i] = i end")
            lua.gccollect()
            lua.set_max_memory(lua.get_memory_used() + limit)
            try:
                lua.execute({code!r})
            except lupa.LuaMemoryError:
                continue
            except lupa.LuaError as error:
                # With room for all of it, recursion without end is what it is.
                endless = "f(n" in {code!r} and limit > 100_000
                assert endless and "stack overflow" in str(error), (limit, str(error)[:200])
    """)


@pytest.mark.parametrize("code", ["'return [[' .. long .. ']]'", "'return ' .. digits", "'--' .. long", "long"])
def test_compiling_without_memory(isolated, code):
    """LuaJIT 2.0 ended the process: the error of a C function took the place of its caller."""
    isolated(f"""
        for limit in (2, 3, 5, 8, 13, 21):
            box = lupa.LuaRuntime(sandbox=True, max_memory=limit * 1_000_000)
            for _ in range(3):
                try:
                    box.execute("local long, digits = ('x'):rep(1000000), ('1'):rep(1000000) "
                                "local load = loadstring or load load(" + {code!r} + ")")
                except lupa.LuaMemoryError:
                    pass
            assert box.eval("1 + 1") == 2
    """)


def test_errors_say_what_was_asked_for(lupa):
    """And where, and of how much."""
    box = lupa.LuaRuntime(sandbox=True, max_memory=1_000_000)
    with pytest.raises(lupa.LuaMemoryError) as caught:
        box.execute("\n\npython.zeros(1000000)", name="=script")
    text = str(caught.value)
    assert text.startswith("not enough memory: 8000") and "more are asked for" in text
    assert "are in use" in text and "(at script:3)" in text
    # A refusal says which line has tried what, and which option of the host allows it.
    with pytest.raises(lupa.LuaSandboxError) as caught:
        box.execute("local x = ...\n\nx.name = 1", object(), name="=script")
    assert str(caught.value) == (
        "Lua code may not set 'name' of this 'object': the host has not exposed it with writable=['name'] or "
        "writable_items=True (at script:3)"
    )
    with pytest.raises(lupa.LuaSandboxError, match=r"call this 'object': .* with call=True \(at script:2\)$"):
        box.execute("local x = ...\nx()", object(), name="=script")
    with pytest.raises(lupa.LuaSandboxError, match=r"iterate over this 'object': .* iterate=True \(at script:1\)$"):
        box.execute("for x in python.iter(...) do end", object(), name="=script")


@pytest.mark.parametrize(
    "code",
    [
        "local c = coroutine.wrap(function() while true do coroutine.yield((growing())) end end) "
        "while true do keep(c()) end",
        "while true do keep(nested(5, 20)) end",
        "while true do keep({{}, {n}}) n = n + 1 end",
        "while true do n = n + 1 keep(('x'):rep(n % 50) .. n) end",
        "while true do keep(function() return n end) end",
    ],
)
def test_loops_that_run_out_of_memory(isolated, code):
    """Also where LuaJIT has compiled them: 2.0 took a base for true that compiled code does not keep."""
    isolated(f"""
        for limit in range(500_000, 4_000_000, 170_000):
            lua = lupa.LuaRuntime(max_memory=limit)
            lua.execute('''
                kept, n = {{}}, 0
                function keep(value) kept[#kept + 1] = value end
                function growing() local t = {{}} for i = 20, 0, -1 do t[2^i] = 1 end return t end
                function nested(levels, width)
                    local t = {{}}
                    for _ = 1, levels do local outer = {{}} for i = 1, width do outer[i] = t end t = outer end
                    return t
                end
            ''')
            for _ in range(3):
                try:
                    lua.execute({code!r})
                except lupa.LuaMemoryError:
                    pass
                else:
                    raise AssertionError
                lua.set_max_memory(2 * limit)  # for what is kept leaves no room for any code
                lua.execute("kept = {{}}")
                lua.gccollect()
                lua.set_max_memory(limit)
            assert lua.eval("1 + 1") == 2
    """)
