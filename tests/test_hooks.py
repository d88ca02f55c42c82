"""Debug hooks of scripts around every operation: coverage tools and debuggers set them, and so does hostile code."""

from __future__ import annotations

import textwrap

import pytest

MASKS = ["c", "r", "l", "cr", "crl"]

# Each operation with what it gives; `lua` is the runtime, `t`, `f` and `co` are what Python has of it.
OPERATIONS = """
def operations(lupa, lua):
    t = lua.eval('{1, 2, 3, x = "y"}')
    f = lua.eval('function(...) return ... end')
    nested = lua.eval('setmetatable({}, {__index = function(t, k) return k end, __len = function() return 7 end})')
    gen = lua.eval('function(n) for i = 1, n do coroutine.yield(i) end end')
    cb = lua.eval('function(g, x) return g(x) end')
    thing = type('Thing', (), {'x': 1, 'm': lambda self, v: v})()
    g = lua.globals()
    get = lua.eval('function(o) return o.x end')
    put = lua.eval('function(o, v) o.x = v end')
    iterate = lua.eval('function(o) local s = 0 for x in python.iter(o) do s = s + x end return s end')
    pairs_ = lua.eval('function(o) local s = 0 for k, v in python.iterex(o) do s = s + v end return s end')
    method = lua.eval('function(o) return o:m(5) end')
    def raises():
        try:
            lua.execute('error("x")')
        except lupa.LuaError as error:
            return 'x' in str(error)
    def through():
        try:
            cb(lambda x: 1 // x, 0)
        except ZeroDivisionError:
            return True
    def fresh(value, key='new'):
        t[key] = value
        got = t[key]
        del t[key]
        return got
    return {
        'eval': (lambda: lua.eval('1 + 1'), 2),
        'execute': (lambda: lua.execute('local x = 1 return x'), 1),
        'compile': (lambda: lua.compile('return ... + 1')(2), 3),
        'call': (lambda: f(1, 'two', None, 4.5, b'x'), (1, 'two', None, 4.5, 'x')),
        'call object': (lambda: f(thing) is thing, True),
        'getitem': (lambda: t[1], 1),
        'getattr': (lambda: t.x, 'y'),
        'metamethod': (lambda: nested['a long key ' * 9], 'a long key ' * 9),
        'length': (lambda: len(t), 3),
        'setitem': (lambda: fresh('x' * 50), 'x' * 50),
        'set object': (lambda: fresh(thing) is thing, True),
        'set number': (lambda: fresh(5, 10), 5),
        'list': (lambda: sorted(map(str, t)), ['1', '2', '3', 'x']),
        'items': (lambda: dict(t.items()), {1: 1, 2: 2, 3: 3, 'x': 'y'}),
        'values': (lambda: sorted(map(str, t.values())), ['1', '2', '3', 'y']),
        'table': (lambda: dict(lua.table(1, 2, a=3)), {1: 1, 2: 2, 'a': 3}),
        'table_from': (lambda: list(lua.table_from([1, 'a' * 60, thing])) , [1, 2, 3]),
        'table_from dict': (lambda: dict(lua.table_from({'a' * 50: 1, 2: 'b'})), {'a' * 50: 1, 2: 'b'}),
        'table_from nested': (lambda: lua.table_from({'a': [1, [2]]}, recursive=True).a[2][1], 2),
        'table_from generator': (lambda: list(lua.table_from(x for x in 'abc').values()), ['a', 'b', 'c']),
        'coroutine': (lambda: list(gen.coroutine(4)), [1, 2, 3, 4]),
        'callback': (lambda: cb(lambda x: x + 1, 1), 2),
        'nested': (lambda: cb(lambda x: lua.eval('... * 2', x), 4), 8),
        'attribute': (lambda: get(thing), 1),
        'set attribute': (lambda: (put(thing, 2), put(thing, 1), thing.x)[2], 1),
        'iterate': (lambda: iterate([1, 2, 3]), 6),
        'iterate generator': (lambda: iterate(x for x in (1, 2, 3)), 6),
        'iterex': (lambda: pairs_({"a": 1, "b": 2}.items()), 3),
        'method': (lambda: method(thing), 5),
        'raises': (raises, True),
        'through': (through, True),
        'repr': (lambda: repr(t).startswith('<Lua table'), True),
        'str': (lambda: str(lua.eval('setmetatable({}, {__tostring = function() return "T" end})')), 'T'),
        'globals': (lambda: g.python is not None, True),
        'gc': (lambda: lua.gccollect(), None),
    }
"""


def operations(lupa, lua):
    """The operations, as a dict of functions and what each gives."""
    space = {}
    exec(OPERATIONS, space)
    return space["operations"](lupa, lua)


NAMES = list(operations(__import__("lupa"), __import__("lupa").LuaRuntime()))


@pytest.mark.parametrize("mask", MASKS)
def test_operations_are_right_under_a_hook(lupa, lua, mask):
    """A hook that only looks, one that calls Python, and one that uses the runtime change no result."""
    made = operations(lupa, lua)
    lua.globals().python_function = lambda *args: object()
    lua.globals().uses = lambda *args: (lua.eval("1 + 1"), lua.table_from(["x" * 50]), len(lua.globals()))
    hooks = [
        "function() end",
        "function() n = (n or 0) + 1; local s = ('x'):rep(n % 60) end",
        "function() python_function() end",
        "function() uses() end",
        "function() collectgarbage() end",
    ]
    for hook in hooks:
        for name, (operation, expected) in made.items():
            lua.execute(f"debug.sethook({hook}, '{mask}')")
            try:
                assert operation() == expected, (hook, name)
            finally:
                lua.execute("debug.sethook()")
            assert lua.eval("1 + 1") == 2, (hook, name)


def disarm(lupa, lua):
    """Take the hook away, which may still raise before it is gone."""
    for _ in range(20):
        try:
            lua.execute("debug.sethook()")
            return
        except lupa.LuaError:
            pass
    raise AssertionError("the hook stays")


@pytest.mark.parametrize("mask", ["c", "r", "l"])
def test_hooks_that_raise_once(lupa, lua, mask):
    """An error at the k-th event comes out of the operation, or not at all; nothing else is wrong after it."""
    made = operations(lupa, lua)
    lua.execute(
        """
        function arm(k, mask)
            local left = k
            debug.sethook(function()
                left = left - 1
                if left == 0 then debug.sethook() error('from the hook', 0) end
            end, mask)
        end
        """
    )
    arm = lua.globals().arm
    for name, (operation, expected) in made.items():
        for k in range(1, 12):
            try:
                arm(k, mask)
                result = operation()
            except (lupa.LuaError, KeyError, AssertionError):
                pass
            except Exception as error:  # an operation's own code may see what it does not expect
                assert "from the hook" in str(error), (name, k, error)
            else:
                assert result == expected or name in ("raises", "through"), (name, k, result)
            disarm(lupa, lua)
            assert lua.eval("1 + 1") == 2, (name, k)
            assert lua.eval("(...)", "x" * 100) == "x" * 100, (name, k)
    for name, (operation, expected) in operations(lupa, lua).items():
        assert operation() == expected, name


ENTRY = """
functions = []
lua.globals().keep = lambda f: functions.append(f)
# What scripts can get hold of: C functions that our own code is entered by.
lua.execute('''
    local found = {}
    for k, v in pairs(debug.getregistry()) do if type(v) == 'function' then found[#found + 1] = v end end
    for _, v in ipairs(found) do keep(v) end
''')
"""


def test_functions_of_the_registry_do_nothing(hostile):
    """Whatever arguments a script calls them with, outside of, or in the middle of an operation."""
    hostile(
        ENTRY
        + textwrap.dedent(
            """
            call = lua.eval('function(f, ...) return pcall(f, ...) end')
            for f in functions:
                for args in [(), (0,), (1,), (2**53,), (-1,), (float('nan'),), ('x',), (None,), (lua.table(),)]:
                    attempt(lambda: call(f, *args))
            for number in range(3000):
                for f in functions[:4]:
                    attempt(lambda: call(f, number), check=False)
            assert lua.eval('1 + 1') == 2
            """
        )
    )


def test_a_hook_calls_the_entry_function(hostile):
    """With its own argument, at once or later: the operation fails or is right, and all others go on."""
    hostile(
        """
        space = {}
        lua.execute('''
            kept, seen = {}, 0
            function arm(mode)
                debug.sethook(function()
                    local info = debug.getinfo(2, 'f')
                    if not info then return end
                    local name, ticket = debug.getlocal(2, 1)
                    if type(ticket) ~= 'number' then return end
                    kept[#kept + 1] = {info.func, ticket}
                    seen = seen + 1
                    if mode == 'call' then pcall(info.func, ticket)
                    elseif mode == 'twice' then pcall(info.func, ticket) pcall(info.func, ticket)
                    elseif mode == 'raise' then error('hook')
                    elseif mode == 'coroutine' then coroutine.wrap(function() pcall(info.func, ticket) end)()
                    elseif mode == 'old' and kept[1] then pcall(kept[1][1], kept[1][2]) end
                end, 'c')
            end
            function again() for _, pair in ipairs(kept) do pcall(pair[1], pair[2]) pcall(pair[1]) end kept = {} end
        ''')
        g = lua.globals()
        arm, again = g.arm, g.again
        for mode in ['keep', 'call', 'twice', 'raise', 'coroutine', 'old']:
            for number in range(30):
                t = lua.table()
                def use():
                    t['a' * 50 + str(number)] = 'x' * 50
                    t['new'] = object()
                    return lua.table_from([object(), 'y' * 100])[2]
                arm(mode)
                attempt(use, check=False)
                lua.execute('debug.sethook()')
                again()
                assert lua.eval('1 + 1') == 2
                again()
        """
    )


def test_errors_at_the_end_of_the_stack_leave_no_job(hostile):
    """The protected call fails before it begins; what was to be done is forgotten with it."""
    hostile(
        ENTRY
        + textwrap.dedent(
            """
            call = lua.eval('function(f, ...) return pcall(f, ...) end')
            def deep(n):
                t['k' * 50] = 'v' * 60
                return nest(deep, n + 1)
            t = lua.table()
            nest = lua.eval('function(f, n) return f(n) end')
            endless = 'local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]'
            for number in range(3):
                attempt(lambda: deep(0))
                attempt(lambda: lua.execute(endless))
                for f in functions:
                    attempt(lambda: call(f), lambda: call(f, number), check=False)
            wrap = lua.eval('''function(f)
                local function nest(n)
                    if n == 0 then return f() end
                    return coroutine.wrap(function() return nest(n - 1) end)()
                end
                for n = 150, 230 do pcall(nest, n) end
            end''')
            def touch():
                t['z' * 50] = 'w' * 60
                return t['z' * 50]
            attempt(lambda: wrap(touch))
            for f in functions:
                attempt(lambda: call(f), lambda: call(f, 1), check=False)
            """
        )
    )


def test_memory_limit_holds_in_hooks(lupa):
    """A hook that runs in the middle of an operation has no more memory than other code."""
    lua = lupa.LuaRuntime(max_memory=8_000_000)
    t = lua.table()
    lua.execute("kept = {} debug.sethook(function() kept[#kept + 1] = ('x'):rep(500000 + #kept) end, 'c')")
    with pytest.raises(MemoryError):
        for number in range(100):
            t[f"key {number}"] = "x" * 60
    lua.set_max_memory(0)
    disarm(lupa, lua)
    assert lua.get_memory_used(total=True) < 8_000_000 + 3_000_000
