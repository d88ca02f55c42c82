"""Arrays in Lua: code that tries to break them.  Nothing may crash, each snippet in a process of its own."""

from __future__ import annotations

import textwrap

import pytest

pytestmark = pytest.mark.beyond

PRELUDE = """
import array, struct
def fresh(n=8): return lupa.as_array(array.array('d', range(n)))
anything = {'check': False, 'allowed': Exception}
lua.globals().fresh = lambda n=8: fresh(int(n))
lua.execute('make = function(n) return python.array(fresh(n or 8)) end')
"""


@pytest.fixture
def run(hostile):
    return lambda code: hostile(PRELUDE + textwrap.dedent(code))


def test_metatables_are_protected(run):
    run(
        """
        assert lua.eval('getmetatable(make())') is False
        fails(lambda: lua.execute('setmetatable(make(), {})'))
        """
    )


def test_foreign_metatables(run):
    """A metatable makes no array, and an array stays one without it."""
    run(
        """
        codes = '''
            local a = make(); debug.setmetatable(io.stdout, debug.getmetatable(a)); return io.stdout[1]
            local a = make(); debug.setmetatable(io.stdout, debug.getmetatable(a)); io.stdout[1] = 1
            local a = make(); debug.setmetatable(io.stdout, debug.getmetatable(a)); return #io.stdout
            local a = make(); debug.setmetatable(python.builtins, debug.getmetatable(a)); return python.builtins[1]
            local a = make(); debug.setmetatable(a, debug.getmetatable(python.builtins)); return a[1]
            local a = make(); debug.setmetatable(a, debug.getmetatable(python.builtins)); return a.x
            local a = make(); debug.setmetatable(a, debug.getmetatable(python.builtins)); return tostring(a)
            local a = make(); debug.setmetatable(a, nil); return python.array(a)
            local a = make(); debug.setmetatable(a, nil); a = nil; collectgarbage() collectgarbage()
            local m = debug.getmetatable(make()); for k in pairs(m) do m[k] = nil end; return make()[1]
            local m = debug.getmetatable(make()); m.__gc = nil; for i = 1, 100 do make() end; collectgarbage()
            local m = debug.getmetatable(make()); m.__index = function() return 1 end; return make()[1]
            local t = setmetatable({}, debug.getmetatable(make())); return t[1]
            local t = debug.setmetatable(5, debug.getmetatable(make())); return (5)[1]
            local t = debug.setmetatable('', debug.getmetatable(make())); return (''):get(1)
            debug.setmetatable(coroutine.create(print), debug.getmetatable(make()))
        '''
        for code in codes.strip().splitlines():
            lua = lupa.LuaRuntime()
            lua.globals().fresh = lambda n=8: fresh(int(n))
            lua.execute('make = function(n) return python.array(fresh(n or 8)) end')
            attempt(lambda: lua.execute(code))
            gc.collect()
        """
    )


def test_metamethods_are_called_by_hand(run):
    run(
        """
        things = ['nil', '5', '"text"', '{}', 'print', 'io.stdout', 'python.builtins', 'make()', 'python.none',
                  'coroutine.create(print)', 'true', '-1', '2^60', '0/0']
        lua.execute('m = debug.getmetatable(make())')
        for name in ['__index', '__newindex', '__len', '__eq', '__gc', '__tostring', '__pairs', '__ipairs']:
            for a in things:
                for b in things:
                    attempt(lambda: lua.execute(f'return m.{name}({a}, {b}, 1)'), **anything)
                attempt(lambda: lua.execute(f'return m.{name}({a})'), **anything)
            attempt(lambda: lua.execute(f'return m.{name}()'), **anything)
        """
    )


def test_methods_are_called_by_hand(run):
    run(
        """
        things = ['nil', '5', '"text"', '{}', 'print', 'io.stdout', 'python.builtins', 'make()', '-1', '2^63', '{1, 2}',
                  '{nil, {}}', 'true']
        for name in ['get', 'set', 'slice', 'reshape', 'copy', 'fill', 'release', 'each', 'totable', 'transpose']:
            for a in things:
                for b in things:
                    attempt(lambda: lua.execute(f'local a = make(); return a.{name}({a}, {b})'), **anything)
                    attempt(lambda: lua.execute(f'local a = make(); return a.{name}(a, {a}, {b}, {a})'), **anything)
            attempt(lambda: lua.execute(f'local a = make(); return a.{name}()'), **anything)
        for name in ['array', 'zeros', 'array_from', 'cdata']:
            for a in things:
                for b in things:
                    if (a, name) in (('5', 'zeros'), ('2^63', 'zeros')): continue
                    attempt(lambda: lua.execute(f'return python.{name}({a}, {b})'), **anything)
            attempt(lambda: lua.execute(f'return python.{name}()'), **anything)
        """
    )


def test_finalizers_called_twice(run):
    run(
        """
        lua.execute('''
            local a, b = make(), make()
            local m = debug.getmetatable(a)
            local v = a:slice(2)
            m.__gc(a); m.__gc(a); m.__gc(v)
            for i = 1, 100 do make() end
            assert(not pcall(function() return a[1] end))
            assert(not pcall(function() return v[1] end))
            assert(b[1] == 0)
        ''')
        """
    )


def test_upvalues_and_registry(run):
    run(
        """
        attempt(lambda: lua.execute('''
            local m = debug.getmetatable(make())
            local seen = {}
            local function spoil(f)
                if type(f) ~= 'function' or seen[f] then return end
                seen[f] = true
                for i = 1, 60 do
                    local name, value = debug.getupvalue(f, i)
                    if name == nil then break end
                    spoil(value)
                    debug.setupvalue(f, i, 5)
                end
            end
            for _, f in pairs(m) do spoil(f) end
            for _, f in pairs(m.methods) do spoil(f) end
            local a = make()
            pcall(function() return a[1] end)
            pcall(function() a[1] = 1 end)
            pcall(function() return a.dtype end)
            pcall(function() return a:get(1) end)
            pcall(function() for i, v in a:each() do end end)
        '''), **anything)
        lua = lupa.LuaRuntime()
        lua.globals().a = fresh()
        attempt(lambda: lua.execute('''
            local r = debug.getregistry()
            for k, v in pairs(r) do
                if type(k) == 'number' and v ~= _G and type(v) ~= 'thread' then r[k] = 5 end
            end
            return a[1], a:slice(2)
        '''), **anything)
        attempt(lambda: lua.eval('a'), **anything)
        attempt(lambda: lua.execute('...', fresh()), **anything)
        """
    )


def test_exporters_that_lie(run):
    """What Python code can do in ``__buffer__`` (from 3.12 on), and what NumPy can be talked into."""
    run(
        """
        class Liar:
            def __init__(self, memory): self.memory = memory
            def __buffer__(self, flags):
                lua.execute('collectgarbage()')
                if self.memory is None: raise ValueError('no')
                return memoryview(self.memory)
            def __release_buffer__(self, view):
                attempt(lambda: lua.eval('#make()'), **anything)
        if sys.version_info >= (3, 12):
            for memory in (bytearray(10), None, b'', 5):
                attempt(lambda: lua.execute('local a = ...; a[1] = 1; return a', lupa.as_array(Liar(memory))))
        class Described:
            def __init__(self, interface): self.__array_interface__ = interface
        for interface in ({}, None, 5, {'version': 3}, {'shape': (3,), 'typestr': '<f8', 'version': 3, 'data': None},
                          {'shape': (-3,), 'typestr': '<f8', 'version': 3, 'data': b'12345678'}):
            attempt(lambda: lupa.as_array(Described(interface)), allowed=Exception)
        """
    )


def test_python_code_in_the_middle(run):
    """Values that are Python objects run Python code while they are written."""
    run(
        """
        target = bytearray(8)
        class Number:
            def __init__(self, action): self.action = action
            def __index__(self):
                self.action()
                return 7
        lua.globals().a = lupa.as_array(target)
        lua.globals().number = Number(lambda: lua.execute('a:release()'))
        attempt(lambda: lua.execute('a[1] = number'))
        assert target == b'\\7' + bytes(7) or target == bytes(8)
        target.append(1)

        target = bytearray(8)
        lua.globals().a = lupa.as_array(target)
        def action():
            lua.execute('a:release(); a = nil; collectgarbage()')
            attempt(lambda: target.extend(bytes(1 << 20)), allowed=BufferError)
        lua.globals().number = Number(action)
        attempt(lambda: lua.execute('a:fill(number)'))
        attempt(lambda: lua.execute('return a'))

        class Worse:
            def __index__(self): raise KeyError('no')
            def __float__(self): raise RuntimeError('no')
        lua.globals().a = fresh()
        for thing in (Worse(), object(), 'text', 10**100, 1j, None, float('nan')):
            lua.globals().number = lupa.as_attrgetter(thing)
            attempt(lambda: lua.execute('a[1] = number'), allowed=Exception)
            attempt(lambda: lua.execute('a:fill(number)'), allowed=Exception)
        """
    )


def test_memory_runs_out(run):
    """Every allocation fails once, of making arrays and of using them."""
    run(
        """
        codes = ['local a = make(); return a[1], a:slice(2), a:copy(), a:totable()',
                 'local a = python.zeros({3, 3}); a[1][2] = 5; return tostring(a), a.shape, a',
                 'return python.array_from{{1, 2}, {3, 4}}',
                 'local a = python.zeros(2, "complex"); a[1] = {re = 1, im = 2}; return a[1].re, a.real']
        for code in codes:
            for k in range(3000):
                lua = lupa.LuaRuntime(max_memory=0)
                lua.globals().fresh = lambda n=8: fresh(int(n))
                lua.execute('make = function(n) return python.array(fresh(n or 8)) end')
                lua.gccollect()
                lua._fail_allocations_after(k)
                failed = []
                try:
                    lua.execute(code)
                except (lupa.LuaError, MemoryError) as error:
                    failed.append(error)
                lua._fail_allocations_after(None)
                assert lua.eval('make()[8]') == 7
                lua.execute(code)
                if not failed: break
            assert not failed, code
        """
    )


def test_deep_views(run):
    run(
        """
        lua.execute('''
            local a = python.zeros({3, 3})
            for i = 1, 10000 do a = a:transpose() end
            for i = 1, 1000 do a = a:slice(1, 3) end
            a:set(2, 2, 5)
            assert(a:get(2, 2) == 5)
        ''')
        view = lua.eval('python.zeros(3)')
        for _ in range(5000):
            view = lua.eval('(...):slice(1)', view)
        assert len(memoryview(view)) == 3
        del view
        """
    )


def test_it_cannot_be_made_in_python(run):
    run(
        """
        kind = type(fresh())
        for arguments in ((), (5,), (b'abc',)):
            attempt(lambda: kind(*arguments), lambda: kind.__new__(kind, *arguments), lambda: object.__new__(kind))
        attempt(lambda: type('Sub', (kind,), {}))
        value = fresh()
        attempt(lambda: setattr(value, 'shape', (9,)), lambda: delattr(value, 'shape'))
        attempt(lambda: copy.copy(value), lambda: copy.deepcopy(value), lambda: pickle.dumps(value))
        attempt(lambda: value[0], lambda: hash(value), lambda: value == value, lambda: value())
        """
    )


EDGES = [
    "nil",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "-1",
    "-3",
    "-4",
    "math.maxinteger or 2^63",
    "math.mininteger or -2^63",
    "math.maxinteger and math.maxinteger - 1 or 2^53",
    "math.mininteger and math.mininteger + 1 or -2^53",
    "2^31",
    "-2^31",
    "2^31 - 1",
    "1e300",
    "-1e300",
]


@pytest.mark.parametrize("base", [0, 1])
def test_slices_at_the_edges_of_integers(lupa, base):
    """A slice is what ``string.sub`` would cut out, whichever integers describe it: never memory of others."""
    lua = lupa.LuaRuntime(sandbox=True, array_base=base)
    edges = ", ".join(f"function() return {edge} end" for edge in EDGES)
    code = """
        local edges, base = {EDGES}, ...
        local a = python.zeros(4)
        for i = 0, 3 do a[i + base] = 100 + i end
        for _, first in ipairs(edges) do for _, last in ipairs(edges) do for _, step in ipairs(edges) do
            local first, last, step = first(), last(), step()
            local ok, b = pcall(a.slice, a, first, last, step)
            if ok then
                assert(#b <= 4)
                for i = base, #b - 1 + base do
                    local x = b[i]
                    assert(x >= 100 and x <= 103 and x % 1 == 0, tostring(x))
                end
                assert(pcall(tostring, b) and #b:copy() == #b)
                local row = python.zeros{2, 4}:slice(true, {first, last, step})
                assert(#row == 2)
            end
        end end end
    """.replace("EDGES", edges)
    lua.execute(code, base)
    whole = lua.eval(
        "python.array_from({1, 2, 3, 4}):slice(math.mininteger or -2^62, math.maxinteger or 2^62):totable()"
    )
    assert list(whole.values()) == [1, 2, 3, 4]
    assert lua.eval("#python.array_from({1, 2, 3, 4}):slice(math.maxinteger or 2^62, math.mininteger or -2^62)") == 0
    reverse = lua.eval(
        "python.array_from({1, 2, 3, 4}):slice(math.maxinteger or 2^62, math.mininteger or -2^62, -1):totable()"
    )
    assert list(reverse.values()) == [4, 3, 2, 1]


SHAPES = ["2^31", "2^32", "2^32 - 1", "2^40", "2^61", "2^62", "2^63", "{2^40, 2^40}", "{2^62, 4}"]


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_that_no_memory_has(box, shape):
    """A shape is either made as it is asked for or refused."""
    made = box.eval(f"function() local ok, a = pcall(python.zeros, {shape}, 'uint8') return ok and a.size or ok end")()
    assert made is False or made == box.eval(shape)
    assert box.eval(f"pcall(function() return python.zeros(0):reshape({shape}) end)") is not True
