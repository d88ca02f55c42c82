"""The operations that the sweeps go through: failing allocations, and finalizers that do their worst.

Each has a name, an expression for the set-up, whose value is ``m``, and an expression that is swept. Names that they
use are defined by the programs of the sweeps (``SWEEP``).
"""


def parse(text):
    """Paragraphs of a name, an expression for the set-up (its value is ``m``) and the operation that is swept."""
    return {name: (setup, operation) for name, setup, operation in (map(str.strip, p.split("\n")) for p in text)}


OPERATIONS = parse(
    r"""
eval
    None
    lua.eval('1, "abc", {}')

eval_fresh_code
    str(object())
    lua.eval('{' + repr(m) + '}')

execute
    None
    lua.execute('local t = {} for i = 1, 20 do t[i] = {i, tostring(i)} end return t')

execute_name
    None
    lua.execute('return 1', name='a name ' * 20)

compile
    str(object())
    lua.compile('return function() return ' + repr(m) + ' end')

syntax_error
    str(object())
    lua.eval(repr(m) + ' x x')

call_str
    lua.eval('function(...) return ... end')
    m('a' * 50, str(object()), b'bytes' * 9)

call_many
    lua.eval('function(...) return ... end')
    m(*range(300))

call_objects
    lua.eval('function(...) return ... end')
    m(Thing(), [1], object(), len)

call_same_object
    (lua.eval('function(a, b) return a == b end'), Thing())
    m[0](m[1], m[1])

call_views
    lua.eval('function(a) return a.get end')
    m(lupa.as_attrgetter({})), m(lupa.as_itemgetter({'get': 1}))

callback
    lua.eval('function(f, s) return f(s .. "x", {}) end')
    m(lambda *a: a, str(object()))

callback_results
    lua.eval('function(f) return f() end')
    m(lambda: (1, 'x' * 50)), m(lambda: Thing())

table
    None
    lua.table(1, 'two', [3], a=1, b='x' * 50)

table_from
    None
    lua.table_from([1, 'x' * 40, [2]], {'a': 1, 'b': Thing()}, (str(i) * 9 for i in range(9)))

table_from_table
    lua.table_from(range(20))
    lua.table_from(m, m)

table_from_recursive
    None
    lua.table_from({'a': [1, {'b': (2, 'x' * 50)}], 'c': {'d': [Thing()]}}, recursive=True)

table_from_generator
    lua.eval('function(x) return {x} end')
    lua.table_from(m(i) for i in range(5))

getitem
    lua.eval('{a = {1}}')
    m['a'], m[str(object())], m[1], m['a'][1]

getattr
    lua.eval('{abc = {1}}')
    m.abc, m.abd, m.abc[1]

getitem_metamethod
    lua.eval('setmetatable({}, {__index = function(t, k) return {k} end})')
    m['k' * 50], m[1]

setitem
    lua.table()
    m.__setitem__(str(object()), 'v' * 50), m.__setitem__(1, Thing()), m.__setitem__(None, 2)

setattr
    lua.table()
    setattr(m, 'name' * 20, 'v' * 50), setattr(m, 'o', Thing())

setitem_metamethod
    lua.eval('setmetatable({}, {__newindex = rawset})')
    m.__setitem__(str(object()), {})

delitem
    lua.eval('{a = 1}')
    m.__delitem__('a'), m.__delitem__(str(object()))

iteration
    lua.eval('{1, 2, {3}, a = "x"}')
    list(m), list(m.values()), list(m.items())

len_bool_repr
    lua.eval('{1, 2}')
    len(m), bool(m), repr(m), str(m), lupa.lua_type(m)

tostring
    lua.eval('setmetatable({}, {__tostring = function() return ("x"):rep(99) end})')
    str(m)

globals
    None
    lua.globals().string.rep('x', 50), lua.globals()

coroutine
    lua.eval('function(...) for i = 1, 3 do coroutine.yield({i}, ...) end end')
    list(m.coroutine('a' * 50, Thing()))

coroutine_send
    lua.eval('function() while true do coroutine.yield({coroutine.yield()}) end end').coroutine()
    m.send(None), m.send(('x' * 50, Thing()))

coroutine_return
    lua.eval('function() return coroutine.create(function() end), coroutine.running() end')
    m()

coroutine_error
    lua.eval('function() error({}) end')
    next(m.coroutine())

require
    lua.execute('package.loaded.m = nil; package.preload.m = function() return {} end')
    lua.require('m')

require_missing
    str(object())
    lua.require(m)

lua_error
    lua.eval('function() error("x") end')
    m()

lua_error_object
    lua.eval('function() error({}) end')
    m()

deep_lua_error
    lua.execute('local function f(n) if n == 0 then error("x") end f(n - 1) return 1 end return f')
    m(20)

method
    (lua.eval('function(o) return o:method(1), o.x, tostring(o) end'), Thing())
    m[0](m[1])

assign
    (lua.eval('function(o) o.y = {}; o.z = "text" end'), Thing())
    m[0](m[1])

python_iter
    lua.eval('function(o) for x in python.iter(o) do end for x, y in python.iterex({}) do end end')
    m([1, 'x' * 40, Thing()])

python_iterex
    lua.eval('function(o) for a, b in python.iterex(o) do end end')
    m([(1, 'x' * 40), (Thing(), 2)])

python_enumerate
    lua.eval('function(o) for i, x in python.enumerate(o) do end end')
    m([1, 'x' * 40, Thing()])

python_args
    lua.eval('function(f) return f(python.args{1, a = "x"}) end')
    m(lambda *a, **k: (a, k))

python_as_function
    lua.eval('function(f) return python.as_function(f) end')
    m(len), m(lambda: 1)

python_views
    lua.eval('function(o) return python.as_attrgetter(o).get, python.as_itemgetter(o).get end')
    m({'get': 1})

python_eval
    None
    lua.eval('python.eval("[1, 2]"), python.builtins.str(5)')

overflow_handler
    lua.set_overflow_handler(float)
    lua.set_overflow_handler(float), lua.eval('...', 2**70)

unpacks_lua_table
    (lua.eval('function(f) return f{1, a = 2} end'), lupa.unpacks_lua_table(lambda *a, **k: 1))
    m[0](m[1])

gccollect
    lua.eval('setmetatable({{}}, {__mode = "v"})')
    lua.gccollect()

lua_version
    None
    lua.lua_version, lua.lua_implementation

new_wrappers
    lua.eval('function() return {}, {}, print, io.stdout, coroutine.running() end')
    [m() for _ in range(20)]

to_python
    lua.table_from({'a': [1, {'b': [2, 'x' * 50]}], 'c': {'d': [Thing(), []]}}, recursive=True)
    lupa.to_python(m), lupa.to_python(m, keys='str'), lupa.to_python(m, empty=list)

to_python_metamethods
    lua.eval('setmetatable({}, {__index = rawget, __pairs = function() return next, {"x", ("y"):rep(50), {1}} end})')
    lupa.to_python(m, metamethods=True)

to_python_other
    lua.eval('{print, {("k"):rep(50), [("n"):rep(50)] = coroutine.create(function() end)}}')
    lupa.to_python(m, other=lambda x: str(type(x)) * 9, keys=lambda k: (k, 1))

to_lua
    None
    lua.to_lua({'a': [1, {'b' * 50: (2, 'x' * 50, [])}], 'c': {'d': Thing(), 'e': {1}}}, default=lambda x: ['y' * 50])

to_lua_again
    [['shared ' * 9]] * 2
    lua.to_lua({'m': m, 'n': m, 'none': None}, none='none')

as_mapping
    lua.table_from({'a': 1, 'b': 'x' * 50})
    [len(v := lupa.as_mapping(m)), dict(v), v.update({'n' * 50: 'v' * 50, 'o': Thing()}), v.pop('a', 0), v.clear()]

as_sequence
    lua.table_from([1, 'x' * 50, 3])
    [len(v := lupa.as_sequence(m)), list(v), v.append('v' * 50), v.insert(0, Thing()), v[1:3], v.pop(), v.reverse()]

raw_access
    lua.eval('setmetatable({a = 1, f = function(o, x) return x .. "!" end}, {__index = error, __newindex = error})')
    lupa.rawset(m, 'k' * 50, 'v' * 50), lupa.rawget(m, 'n' * 50), lupa.rawlen(m), lupa.call_method(m, 'f', 'x' * 50)

metatables
    lua.table(1)
    lupa.setmetatable(m, lua.table_from({'__index': {'k': Thing()}})), lupa.getmetatable(m), lupa.setmetatable(m, None)

table_shown
    lua.eval('{1, ("x"):rep(50), {}, print, [("k"):rep(50)] = 2, name = 3}')
    len(repr(m)) > 99, dir(m), m == m, hash(m) == hash(m), lua.eval('...', m) == m

table_copies
    lua.eval('{1, {("x"):rep(50)}, k = {{}}}')
    copy.copy(m), copy.deepcopy(m)

error_frames
    lua.execute('local function f(n) if n > 0 then return (f(n - 1)) end error({("x"):rep(50)}) end return f')
    frames_of(lambda: m(5))

error_frames_of_python
    lua.execute('return function(f, s) local ok, e = pcall(f, s .. "!") error(e) end')
    frames_of(lambda: m(lambda s: fail(), 'text ' * 9))

error_frames_of_coroutines
    lua.execute('return function(f) coroutine.wrap(function() local function g() f("x" .. 1) end g() end)() end')
    frames_of(lambda: m(lambda s: fail())), frames_of(lambda: list(m.coroutine(lambda s: fail())))

array_items
    (lua.eval('python.array_from({1, 2, 3}, "i4")'), lua.eval('python.zeros(3, "f8"):reshape(3, 1)'))
    m[0][0], list(m[0]), m[0][1:].tolist(), m[1].tolist(), m[0].__setitem__(0, 7), repr(m[1][0])
""".strip().split("\n\n")
)

# Operations of these that end in a LuaError when memory is sufficient.
ENDING_IN_ERRORS = {"syntax_error", "require_missing", "coroutine_error", "python_iter"}
ENDING_IN_ERRORS |= {name for name in OPERATIONS if "lua_error" in name}

# Operations that end in an exception of their own when memory is sufficient.
FAILING = parse(
    r"""
python_error
    lua.eval('function(f) f() end')
    m(fail)

python_error_in_coroutine
    lua.eval('function(f) f() end')
    next(m.coroutine(fail))

python_error_in_pcall
    lua.eval('function(f) local ok, e = pcall(f); error(e) end')
    m(fail)

python_error_in_index
    lua.eval('function(o) return o.missing end')
    m({})

python_error_in_iter
    lua.eval('function(o) for x in python.iter(o) do end end')
    m(fail() for _ in [1])

python_error_in_table_from
    None
    lua.table_from(['x' * 40, [1]], (fail() for _ in [1]))
""".strip().split("\n\n")
)

# What is read while a finalizer may change it: targets are noted in the set-up.
READING = parse(
    r"""
list
    targets.append([f'item {i} ' * 5 for i in range(12)] + [1, Thing(), None, b'bytes' * 9])
    list(lua.table_from(targets[-1]).values())

dict
    targets.append({f'key {i} ' * 5: [f'value {i} ' * 5, Thing(), 2.5][i % 3] for i in range(12)})
    dict(lua.table_from(targets[-1]))

nested
    targets.extend([[f'inner {i} ' * 5] for i in range(3)] + [{'k' * 50: ['deep ' * 9]}])
    lua.table_from([targets[0], {'a': targets[1], 'b ' * 9: targets[2]}, targets[3], [['x' * 40]]], recursive=True)

shared
    targets.append(['shared ' * 9])
    lua.table_from([targets[0], targets[0], {'again': targets[0]}], recursive=True)

generator
    None
    list(lua.table_from(f'made {i} ' * 5 for i in range(9)).values())

table_of_table
    targets.append(lua.table_from({f'key {i} ' * 5: f'value {i} ' * 5 for i in range(12)}))
    dict(lua.table_from(targets[0]))

keys
    targets.append(lua.table_from({f'key {i} ' * 5: i for i in range(12)}))
    sorted(targets[0].keys())

items
    targets.append(lua.table_from({f'key {i} ' * 5: f'value {i} ' * 5 for i in range(40)}))
    sorted(targets[0].items())

items_of_objects
    targets.append(lua.table_from({f'key {i} ' * 5: Thing() for i in range(9)}))
    len(list(targets[0].items()))

iterator
    (targets.append(lua.table_from(texts(40))), targets.append(iter(targets[0].values())))
    list(targets[1])

iter_list
    loop('x in python.iter', '#x', [f'item {i} ' * 5 for i in range(30)])
    m(targets[0])

iter_dict
    loop('x in python.iter', '#x', {f'item {i} ' * 5: i for i in range(30)})
    m(targets[0])

iterex
    loop('x, y in python.iterex', '#x + #y', {f'item {i} ' * 5: f'value {i}' * 5 for i in range(30)})
    m(targets[0].items())

iter_calls
    loop('x in python.iter', 'f(x .. "!")', [f'item {i} ' * 5 for i in range(20)])
    m(targets[0], len)

iter_wrappers
    loop('x in python.iter', '#x', [lua.table(1, 2) for i in range(10)])
    m(targets[0])

enumerate
    loop('i, x in python.enumerate', 'i + #x', [f'item {i} ' * 5 for i in range(20)])
    m(targets[0])

args
    noting('function(f, t) return f(python.args(t)) end', lua.table_from({1: 'one ' * 9, 2: 'x', 'n ' * 9: 'y ' * 9}))
    m(lambda *a, **k: (a, k), targets[0])

unpacks
    noting('function(f, t) return f(t) end', lua.table_from(['one ' * 9, 'two ' * 9]))
    m(lupa.unpacks_lua_table(lambda *a, **k: (a, k)), targets[0])

arguments
    targets.append([f'argument {i} ' * 5 for i in range(9)])
    lua.eval('function(...) return ... end')(*targets[0], Thing().x, *[s + '!' for s in targets[0]])

assignments
    targets.append(lua.table_from({'present ' * 6: 1}))
    [put(targets[0], 'present ' * 6, f'value {i} ' * 6) or put(targets[0], f'new {i}' * 6, Thing()) for i in range(5)]

metamethods
    lua.eval(METAMETHODS)
    (m['k' * 50], put(m, 'n' * 50, 'v' * 50), len(m), m.name)

methods
    (lua.eval('function(o, s) return o:method(s .. "!"), o.x, o.method(s, s .. "?") end'), Thing())
    m[0](m[1], 'text ' * 10)

callbacks
    (lua.eval('function(f, ...) return f(..., {}, "a" .. "b", function() end) end'), [])
    m[0](lambda *a: tuple(f'{x} ' * 20 for x in a[:2]), 'x' * 50, 'y' * 50)

results
    lua.eval('function(f) return f() end')
    m(lambda: tuple(f'result {i} ' * 5 for i in range(12)) + (Thing(), 'x'))

coroutine_arguments
    coroutines.append(lua.eval('function(...) coroutine.yield(1, ...) end').coroutine('a ' * 30, Thing()))
    [quiet(lambda: coroutines[-1].send(('b ' * 30, str(i) * 60) if i else None)) for i in range(3)]

coroutine_values
    lua.eval('function() for i = 1, 12 do coroutine.yield(("x"):rep(50) .. i, {}) end end')
    [a for a, b in m.coroutine()]

errors
    lua.eval('function(s) error(s .. "!") end')
    m('message ' * 10)

error_values
    lua.eval('function(s) error({s, setmetatable({}, {__tostring = function() return "T" .. s end})}) end')
    m('message ' * 10)

python_errors
    lua.eval('function(f, s) local ok, e = pcall(f, s .. "!") return ok, tostring(e), f(s) end')
    m(lambda s: fail(), 'message ' * 9)

array_from
    lua.eval('function() local t = {} for i = 1, 20 do t[i] = {i, i + 0.5} end return t end')
    memoryview(lua.eval('python.array_from(...)', m())).tolist()

array_views
    lua.eval('function(a) return a:slice(2, 5):totable(), tostring(a), a:copy():reshape(5, 2), a.shape, a:fill(1) end')
    m(lupa.as_array(bytearray(range(10))))

array_release
    arrays.append(lua.table_from([lupa.as_array(bytearray(range(64))) for _ in range(3)]))
    lua.eval('function(a) for i, x in (a or {each = pairs}):each() do local t = {i, x .. "!"} end end')(arrays[-1][1])

array_buffers
    lupa.as_array(memoryview(bytearray(range(16))))
    [lua.eval('...', m) for _ in range(5)], len(lua.eval('python.zeros(10)'))

as_function
    lua.eval('function(f, s) return python.as_function(f)(s .. "!"), python.as_attrgetter(f).__name__ end')
    m(len, 'text ' * 9)

overflow
    lua.set_overflow_handler(lua.eval('function(o) return "big" .. tostring(o) end'))
    (lua.eval('...', 2**70), lua.eval('{...}', 2**71)[1], lua.set_overflow_handler(None))

eval_again
    [lua.eval('"constant" .. 1') for _ in range(3)]
    [lua.eval('"constant" .. 1') for _ in range(3)], [lua.execute('return {...}', 'x' * i)[1] for i in range(30, 34)]

compile_and_load
    None
    lua.compile('local t = {...} return t[1] .. "x"', name='n ' * 30)('y' * 50)

wrappers
    lua.eval('function() return {}, print, coroutine.create(print), io.stdout, function() end end')
    [type(x).__name__ for _ in range(5) for x in m()]

strings
    lua.eval('function(s) local t = {} for i = 1, 30 do t[i] = s .. i end return t end')
    [s.upper() for s in m('text ' * 9).values()] + [f'{m("k" * 40)[3]}']

nested_to_python
    targets.append(lua.table_from({f'key {i} ' * 5: [f'v {i} ' * 9, {'k' * 9: [i]}] for i in range(9)}, recursive=True))
    lupa.to_python(targets[0])

to_python_with_functions
    targets.append(lua.table_from({f'key {i} ' * 5: [print, [i]] for i in range(6)}, recursive=True))
    lupa.to_python(targets[0], keys=lambda k: lua.eval('...', k), other=lambda o: lua.table(1))

to_python_with_metamethods
    targets.append(lua.eval('setmetatable({a = {("x"):rep(50)}}, {__pairs = function(t) return next, t end})'))
    lupa.to_python(targets[0], metamethods=True)

nested_to_lua
    targets.extend([[f'inner {i} ' * 5] for i in range(3)] + [{'k' * 50: ['deep ' * 9]}])
    lua.to_lua({'a ' * 9: targets[0], 'b': targets[1:3], 'c': targets[3], 'd': {1}}, default=lambda x: ['made ' * 9])

mapping_view
    targets.append(lua.table_from(pairs(20)))
    [len(v := lupa.as_mapping(targets[0])), len(list(v.items())), dict(v), v.get('none'), v.update(pairs(3)), v == v]

sequence_view
    targets.append(lua.table_from(texts(20)))
    [len(v := lupa.as_sequence(targets[0])), list(v), v[2:5], v.extend(texts(3)), v.count('item 0 ' * 5)]

shown
    targets.append(lua.table_from(pairs(20)))
    len(repr(targets[0])) > 20, len(dir(targets[0]))

copied
    targets.append(lua.table_from({'a': texts(9), 'b': {'c': texts(3)}}, recursive=True))
    copy.deepcopy(targets[0]), copy.copy(targets[0])

frames
    lua.execute('local function f(g, n) if n > 0 then return (f(g, n - 1)) end g(("x"):rep(50)) end return f')
    frames_of(lambda: m(lambda s: fail(), 5)), frames_of(lambda: m(error_in_lua, 2))
""".strip().split("\n\n")
)

# Operations that make nothing that Lua's collector sees, and so give it no occasion to run a finalizer.
WITHOUT = {
    "lua_version",
    "getattr",
    "len_bool_repr",
    "delitem",
    "gccollect",
    "call_same_object",
    "getitem",
    "iterator",
    "call_many",
    "array_buffers",
    "array_items",
}
