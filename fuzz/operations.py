"""The grammar of programs: operations on runtimes and on the objects in the pools of a ``World``.

New API of the package is one line here, with a condition if older builds lack it: ``@LuaRuntime.close`` for a method,
``@LuaRuntime(timeout)`` for an argument of the class, ``@lupa.name`` for a name in the module.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import lua_code
import values
from grammar import Draw, Grammar

RULES = {
    "setup": """
        3: r0 = lupa.LuaRuntime()
        3: r0 = lupa.LuaRuntime(max_memory=0)
        5: r0 = lupa.LuaRuntime($options)
    """,
    "second": """
        5: r1 = r2 = r0
        3: r1 = r2 = lupa.LuaRuntime($options); fill(r1, 'r1')
    """,
    "statement": """
        30: $expr
        25: $slot = $expr
        6: $callableslot = $callable
        5: $wrapperslot = $expr
        4: r0.globals().$global = $value
        5: del $slot
        3: gc.collect()
        2: gc.set_threshold($threshold)
        1: $runtime = lupa.LuaRuntime($options)
        1: fill(r0, 'r0')
        3: failing(r0, $small, $expr!r)
        3: squeezed(r0, $size, $expr!r)
        6: wrecked(r0, $small, $wreck!r, $expr!r)
        2: near_limit($small, $expr!r)
        2: with_nogc(r0, $expr!r)
        2: thread($expr!r, $expr!r)
        2: join()
        2: traced($expr!r, $expr!r)
        2: interrupted($microseconds, $action!r, $expr!r)
        1: in_small_thread($expr!r)
        1: forked($expr!r, $expr!r)
        2: check_identity(r0)
        1: check_numbers(r0)
        1: r0.__init__($options)
        1: codec = $expr!r
        2: @LuaRuntime.close $lua.close()
        2: @LuaRuntime.limits limited($lua, $expr!r, $limits)
        2: @LuaRuntime.interrupt later($microseconds, '$lua.interrupt()'); $expr
        1: @LuaRuntime.__enter__ with_runtime($lua, $expr!r)
    """,
    "runtime": "r0 r1 r2",
    "lua": "r0 r0 r0 r0 r0 r0 r0 r0 r0 r0 r0 r0 r1 r1 r1 r2",
    "options": """
        1:
        4: max_memory=0
        1: encoding=$encoding, max_memory=0
        3: encoding=$encoding
        1: encoding=$encoding, source_encoding=$encoding
        2: unpack_returned_tuples=True
        2: max_memory=$memory
        2: attribute_filter=$callable
        2: attribute_handlers=($callable, $callable)
        1: attribute_handlers=$value
        1: overflow_handler=$callable
        1: register_eval=$value, register_builtins=$value
        1: unpack_returned_tuples=True, encoding=$encoding, max_memory=0
        1: string_hash_seed=$integer
        2: @LuaRuntime(timeout) timeout=$seconds
        1: @LuaRuntime(libs) libs=$libs
        2: @LuaRuntime(sandbox) sandbox=True
        1: @LuaRuntime(sandbox) sandbox=$value, timeout=$seconds
    """,
    "limits": """
        3: seconds=$seconds
        3: instructions=$size
        2: memory=$size
        seconds=$seconds, instructions=$size, memory=$size
        seconds=$value
    """,
    "seconds": "0.001 0.001 0.05 0.05 1 0 -1 float('inf')",
    "libs": """
        None
        []
        ['string', 'table', 'coroutine']
        ['base', 'math']
        ['debug']
        $value
    """,
    "encoding": """
        4: None
        4: 'latin-1'
        2: 'utf-8'
        1: 'ascii'
        1: 'utf-16'
        1: 'rot13'
        1: 'nonsense'
        3: 'fuzzed'
        1: $value
    """,
    "memory": """
        4: 0
        2: 100000
        1: 10000
        1: 10**7
        1: 1
        1: $value
    """,
    "expr": """
        6: $lua.eval($lua_function!r)
        14: $lua.eval($lua_function!r)($args)
        4: $lua.eval($lua_function!r).coroutine($args)
        4: take($lua.eval($lua_function!r).coroutine($args))
        14: $lua.eval($lua_expr!r, $args)
        16: $lua.execute($lua_chunk!r, $args)
        4: $lua.compile($lua_chunk!r)
        1: $lua.compile($lua_chunk!r, name=$value, mode=$value)
        1: $lua.execute($value, $args)
        2: $lua.eval('collectible(...)', $value)
        3: $lua.globals()
        3: $lua.table($args)
        1: $lua.table($value, **{'$attribute': $value})
        5: $lua.table_from($value)
        3: $lua.table_from($value, recursive=True)
        2: $lua.table_from($value, $value, $value)
        1: $lua.require($value)
        4: $lua.gccollect()
        1: $lua.set_overflow_handler($callable)
        1: $lua.set_max_memory($value, $value)
        1: ($lua.get_memory_used(), $lua.get_max_memory(True), $lua.lua_version, $lua.lua_implementation)
        6: $table[$value]
        5: $table.__setitem__($value, $value)
        2: $table.__delitem__($value)
        4: $table.$attribute
        4: setattr($table, '$attribute', $value)
        2: delattr($table, '$attribute')
        3: len($table)
        4: take($table)
        2: take($table.$view())
        3: $table.$view()
        2: iter($any)
        1: dict($table)
        1: $value in $table
        10: $function($args)
        5: $function.coroutine($args)
        5: next($coroutine)
        5: $coroutine.send($value)
        3: take($coroutine)
        1: bool($coroutine)
        4: next($iterator)
        2: take($iterator)
        2: $any == $any
        1: $any < $any
        1: hash($any)
        2: repr($any)
        2: str($any)
        1: bool($any)
        1: dir($any)
        1: $any($args)
        1: $any.$attribute
        1: $any[$value]
        1: lupa.lua_type($any)
        2: lupa.as_attrgetter($value)
        2: lupa.as_itemgetter($value)
        2: wrecked($lua, $small, $wreck!r, $expr!r)
        3: @lupa.as_array $lua.eval($lua_function!r)(lupa.as_array(bytearray(b'array of bytes')), $args)
        1: @lupa.as_array memoryview($any).tolist()
        1: @lupa.as_array lupa.as_array($value)
        1: lupa.unpacks_lua_table($callable)($value)
        1: lupa.unpacks_lua_table_method($callable)
        1: $any.__lua_args__()
        1: type($wrapper)($args)
        1: type($wrapper).__new__(type($wrapper), $args)
        1: type($wrapper).__init__($any, $args)
        2: getattr(type($wrapper), '$method')($any, $value)
        1: getattr(type($wrapper), '$method')($any)
        1: type('Sub', (type($wrapper),), {})($args)
        1: setattr($wrapper, '__class__', type($wrapper))
        1: copy.copy($wrapper)
        1: pickle.dumps($wrapper)
        1: $any.__reduce_ex__(4)
        1: weakref.ref($any, $callable)
        1: gc.get_referents($any)
        1: sys.getsizeof($any)
        1: lupa.FastRLock()
        1: lock.acquire(False)
        1: lock.$lockmethod($lockargs)
        1: with_lock($expr!r)
        1: $expr or $expr
        2: throw($exception)
        1: near_limit($small, $expr!r)
        1: failing($lua, $small, $expr!r)
        1: gc.collect()
        2: @LuaRuntime(timeout) $lua.execute($lua_chunk!r, timeout=$seconds)
        1: @LuaRuntime.expose $lua.expose($value, attributes=['$attribute'], call=$value, items=$value)
        1: @LuaRuntime.expose $lua.expose($value)
        1: @LuaRuntime.close $lua.close()
        1: @LuaRuntime.interrupt $lua.interrupt()
    """,
    "wreck": """
        6: $expr
        2: o1.clear()
        2: take(i0)
        2: next(i1)
        1: c0.send(a)
        1: r0.close()
        2: r0.eval('1')
        1: gc.collect()
        1: throw($exception)
        1: [$slot, exec('$slot = None', globals())]
    """,
    "action": """
        3: throw(KeyboardInterrupt())
        2: throw($exception)
        2: gc.collect()
        3: $expr
    """,
    "args": """
        2:
        6: $value
        5: $value, $value
        3: $value, $value, $value
        1: *range(250)
        1: *$any
        1: *[$value] * 30
    """,
    "table": """
        12: $tableslot
        1: $any
        1: $lua.globals()
    """,
    "function": """
        12: $functionslot
        1: $any
    """,
    "coroutine": """
        12: $coroutineslot
        1: $any
    """,
    "iterator": """
        12: $iteratorslot
        1: $any
    """,
    "wrapper": """
        4: $tableslot
        4: $functionslot
        3: $coroutineslot
        2: $iteratorslot
        1: r0
        1: lupa.as_attrgetter([])
        1: lupa.FastRLock()
    """,
    "slot": "$tableslot $functionslot $coroutineslot $iteratorslot $objectslot $objectslot $objectslot",
    "wrapperslot": (
        "$tableslot $tableslot $functionslot $functionslot $coroutineslot $coroutineslot $iteratorslot $iteratorslot"
    ),
    "tableslot": "t0\nt1\nt2",
    "functionslot": "f0\nf1\nf2",
    "coroutineslot": "c0\nc1\nc2",
    "iteratorslot": "i0\ni1",
    "objectslot": "o0\no1\no2\no3",
    "callableslot": "k0\nk1",
    "attribute": "x x x x x x y y keys coroutine __class__ __dict__ __doc__ __name__ send ü",
    "view": "keys values items items",
    "method": (
        "__getitem__ __setitem__ __getattribute__ __iter__ __next__ __call__ __len__ __repr__ __bool__ __del__ "
        "__eq__ __hash__ send coroutine keys items eval acquire __lua_args__ __class__ __sizeof__"
    ),
    "lockmethod": "release release _is_owned __exit__",
    "lockargs": """
        4: False
        1:
        1: None, None, None
    """,
    "global": "p1 p1 p1 p2 p2 p3 x t1 f1",
    "small": "0 1 2 3 5 8 13 30",
    "size": "1 100 1000 10000 0 -1",
    "threshold": "1 1 3 700 0",
    "microseconds": "20 100 500 2000",
}

MOST_STATEMENTS = 40


class Generator:
    """Draws programs for one module."""

    def __init__(self, features: Collection[str], functions: Collection[str]):
        """What the module has, and the functions of its standard library."""
        lua = {**lua_code.RULES, "libraryfunction": " ".join(lua_code.callable_functions(functions))}
        # Lua has its own `value` and `function`.
        renamed = {f"lua_{name}": re.sub(r"\$(\w+)", r"$lua_\1", block) for name, block in lua.items()}
        self._grammar = Grammar({**RULES, **values.RULES, **renamed}, {*features, *functions})

    def program(self, draw: Draw) -> list[str]:
        """The statements of a program."""
        statements = [self._grammar.expand("setup", draw, 2), "fill(r0, 'r0')", self._grammar.expand("second", draw, 2)]
        for _ in range(1 + draw(MOST_STATEMENTS)):
            statements.append(self._grammar.expand("statement", draw, 3 + draw(7)))
        return statements
