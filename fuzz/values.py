"""The grammar of the Python values that programs pass around, hostile ones above all."""

from __future__ import annotations

RULES = {
    "value": """
        30: $any
        8: $constant
        6: $integer
        6: $string
        14: $object
        8: $callable
        3: $exception
        2: [$value, $value]
        2: ($value, $value)
        2: {'x': $value, 2: $value}
        1: {$value, 1}
    """,
    "any": """
        4: $tableslot
        4: $functionslot
        3: $coroutineslot
        2: $iteratorslot
        8: $objectslot
        2: $callableslot
        1: $lua
    """,
    "constant": (
        "None None None None True True False 0.5 0.5 0.5 float('nan') float('inf') -0.0 ... NotImplemented 1j b'x' "
        "b'\\xff\\x00' bytearray(b'abc') memoryview(b'abc') range(5) object type int dict sys gc len print "
        "str.upper [].append cyclic() nested(2000) lupa lupa.LuaError lupa.LuaRuntime"
    ),
    "integer": """
        4: 1
        2: 2
        0
        -1
        2**31
        2**53 + 1
        2**63 - 1
        -2**63
        2**63
        2**64
        -2**70
        10**400
        True
        hostile(int, '7', __index__=$expr!r)
    """,
    "string": """
        4: 'x'
        2: ''
        'ü'
        '\\ud800'
        '\\0'
        '\\U0001f40d'
        'a' * 5000
        '__class__'
        b'\\xc3'
        hostile(str, '"sub"', __str__=$expr!r)
    """,
    "object": """
        4: Canary()
        3: [1, 2, 3]
        2: {'x': 1, 'y': [2]}
        2: (1, 2)
        2: (i for i in [1, 2, 3])
        3: generator($expr!r, $expr!r)
        2: iter([1, 2, 3])
        3: hostile(object, '', $special=$expr!r)
        5: hostile(object, '', $special=$expr!r, $special=$expr!r, __del__=$expr!r)
        2: hostile($base, '', $special=$expr!r, $special=$expr!r)
        3: hostile(object, '', __class__=$lie!r)
        3: hostile(object, '', __del__=$expr!r)
        2: hostile(object, '', __iter__='self', __next__=$expr!r)
        1: lupa.as_attrgetter($value)
        1: lupa.as_itemgetter({'x': 1})
        1: functools.partial($callable, $value)
        1: collections.OrderedDict(x=1)
        1: types.SimpleNamespace(x=$value)
        1: weakref.proxy($wrapper)
        1: types.MappingProxyType({'x': 1})
    """,
    "base": (
        "list list dict dict int float bytes tuple set str Exception Exception BaseException "
        "type(lupa.as_attrgetter) dict"
    ),
    "special": (
        "__getattr__ __getattr__ __getattr__ __getattribute__ __getattribute__ __setattr__ __setattr__ __getitem__ "
        "__getitem__ __getitem__ __setitem__ __setitem__ __iter__ __iter__ __iter__ __next__ __next__ __len__ "
        "__len__ __call__ __call__ __call__ __str__ __str__ __repr__ __repr__ __eq__ __eq__ __eq__ __hash__ "
        "__hash__ __bool__ __bool__ __index__ __index__ __int__ __float__ __lt__ __contains__ __keys__ keys items "
        "__length_hint__ __dir__ __del__ __lua_args__ __reduce_ex__ __instancecheck__ __add__ __get__ __buffer__ "
        "__traverse__"
    ),
    "throwing": """
        throw($exception)
    """,
    "lie": """
        type(t0)
        type(f0)
        type(c0)
        int
        str
        dict
        type(None)
        lupa.LuaRuntime
        5
        throw($exception)
        r0.eval('...', self)
    """,
    "callable": """
        6: Callback($expr!r)
        4: Callback('a')
        3: Callback($throwing!r)
        2: Callback('(' + $expr!r + ', ' + $expr!r + ')')
        1: Callback('a[0]')
        1: Callback('a[1]')
        3: $callableslot
        1: len
        1: $function
        1: None
    """,
    "exception": """
        3: KeyError('x')
        2: ValueError('\\ud800')
        2: SystemExit(3)
        2: KeyboardInterrupt()
        2: GeneratorExit()
        2: StopIteration(5)
        StopAsyncIteration()
        RecursionError()
        MemoryError()
        lupa.LuaError('x')
        lupa.LuaMemoryError()
        lupa.LuaSyntaxError(5)
        UnicodeDecodeError('x', b'x', 0, 1, 'x')
        OSError(2, 'x')
        hostile(Exception, '', __str__=$expr!r)
        hostile(BaseException, '', __getattribute__=$expr!r, __del__=$expr!r)
        hostile(Exception, '', __class__='int', __setattr__=$expr!r)
        hostile(lupa.LuaError, '', __init__=$expr!r, __str__=$expr!r)
        $any
        Exception
        AttributeError('x')
        @lupa.LuaTimeoutError lupa.LuaTimeoutError()
        @lupa.LuaInterruptedError lupa.LuaInterruptedError('x')
        @lupa.LuaInstructionLimitError lupa.LuaInstructionLimitError('x')
    """,
}
