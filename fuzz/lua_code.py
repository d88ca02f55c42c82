"""The grammar of Lua code in programs.

A chunk knows ``a``, ``b`` and ``c``, which it gets as arguments, and the globals that ``World.fill`` makes.  Loops
are bounded, so that a program that goes on forever is a finding.  ``RULES`` is for ``grammar.Grammar``.
"""

from __future__ import annotations

from collections.abc import Iterable

# What would end the process, wait for input, change files, or run programs; what Lua itself calls unsafe (bytecode
# and foreign functions); and what goes through numbers far apart one by one.
DENIED = """
    os.exit os.execute os.remove os.rename os.tmpname os.setlocale os.getenv
    io.open io.popen io.output dofile load loadfile print module debug.debug package.loadlib loadlib
    string.rep table.move table.insert table.remove table.concat python.eval python.builtins
"""
DENIED_LIBRARIES = ("ffi.", "jit.", "_G.", "package.loaded.", "package.preload.")


def callable_functions(paths: Iterable[str]) -> list[str]:
    """The functions that a program may call with anything."""
    denied = DENIED.split()
    return sorted(path for path in paths if path not in denied and not path.startswith(DENIED_LIBRARIES))


RULES = {
    "chunk": """
        20: local a, b, c = ...; $stats return $exprs
        10: return $exprs
        5: $stats
        1: $garbage
        1:
    """,
    "function": """
        20: function(...) local a, b, c = ...; $stats return $exprs end
        5: function(a, b, c, ...) $stats end
        3: function(...) return $exprs end
        2: function(...) return ... end
    """,
    "garbage": """
        return return
        goto nowhere
        break
        for
        \x1bLua
        x = = 1
        return "\\u{7FFFFFFFF}"
        local x <const> = 1; x = 2
        return ((((((((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))))))))
        --[==[
    """,
    "stats": """
        4: $stat;
        4: $stat; $stat;
        3: $stat; $stat; $stat; $stat;
        1: $stat; $stat; $stat; $stat; $stat; $stat; $stat; $stat;
        1:
    """,
    "stat": """
        10: local a = $expr
        4: b = $expr
        12: $variable = $expr
        4: t1.$name = $expr
        4: t1[$expr] = $expr
        3: $prefix.$name = $expr
        3: $prefix[$expr] = $expr
        12: local _ = $call
        8: $call
        3: for i = 1, $count do $stats end
        2: for i = $number, $number, $number do $stats break end
        4: do local n = 0; for a, b in pairs($expr) do n = n + 1; if n > 9 then break end; $stats end end
        4: do local n = 0; for a, b in $expr do n = n + 1; if n > 9 then break end; $stats end end
        4: do local n = 0; for a, b in python.$iterator($expr) do n = n + 1; if n > 9 then break end; $stats end end
        3: if $expr then $stats else $stats end
        2: do return $exprs end
        4: local ok, e = pcall($function, $exprs); $variable = e
        2: setmetatable(t1, $metatable)
        2: setmetatable($prefix, $metatable)
        1: setmetatable(_G, $metatable)
        2: debug.setmetatable($prefix, $metatable)
        1: local m = getmetatable("") or {}; m.__index = $expr
        1: local m = getmetatable(p1); if type(m) == "table" then m.$field = $expr end
        1: local m = debug.getmetatable(p1); if type(m) == "table" then m.$field = $expr end
        3: collectible($function)
        2: garbage = {collectible($function), $exprs}; garbage = nil
        3: collectgarbage($gcmode)
        1: for k in pairs(python) do python[k] = $expr; break end
        1: $library = $expr
        2: debug.sethook($expr, "$hookmask", $count)
        2: debug.sethook()
        1: @goto do local n = 0; ::again:: n = n + 1; if n < 5 then do $stats end goto again end end
        4: @close local x <close> = setmetatable({}, {__close = $function})
        2: @close local x <close> = $expr
        1: @close for i in next, {1}, nil, setmetatable({}, {__close = $function}) do $stats end
        2: @jit jit.$jitswitch()
        1: @jit pcall(jit.opt.start, "hotloop=1", "hotexit=1")
        2: @jit local s = 0; for i = 1, 200 do s = s + #tostring($expr) end
        2: @jit for i = 1, 100 do local _ = $expr end
    """,
    "exprs": """
        8: $expr
        4: $expr, $expr
        2: $expr, $expr, $expr
        1: ...
        1: (table.unpack or unpack)({}, 1, 300)
    """,
    "expr": """
        20: $variable
        8: $number
        8: $text
        3: nil
        3: true
        2: false
        2: ...
        4: {$exprs}
        3: {$name = $expr, $expr; [$number] = $expr}
        8: $function
        20: $call
        6: ($expr $operator $expr)
        2: -$prefix
        3: #$prefix
        2: not $expr
        4: $prefix.$name
        4: $prefix[$expr]
        5: setmetatable({$exprs}, $metatable)
        2: setmetatable({}, {__index = $expr, __newindex = $expr})
        2: coroutine.create($function)
        2: coroutine.wrap($function)
        2: collectible($function)
        1: @string.dump string.dump($function)
        1: @newproxy newproxy(true)
        2: @lupa.as_array python.zeros($edge, "$dtype")
        1: @lupa.as_array python.zeros({$edge, $edge})
        1: @lupa.as_array python.array_from({$exprs}, "$dtype")
        4: @lupa.as_array python.zeros(4):slice($edge, $edge, $edge)
        2: @lupa.as_array $variable:slice({$edge, $edge, $edge}, $edge)
        2: @lupa.as_array python.zeros({2, 3}):reshape($edge, $edge)
        3: @lupa.as_array $variable:$arraymethod($edge, $edge, $expr)
        2: @lupa.as_array python.zeros(3):$arraymethod($edge, $expr)
    """,
    "edge": """
        4: $number
        2: 0
        2: 1
        2: 2
        2: -1
        1: nil
        2: (math.maxinteger or 2^53)
        2: (math.mininteger or -2^53)
        1: 2^31
        1: 2^32 - 1
        1: 2^63
        1: -2^63
        1: $expr
    """,
    "dtype": "float64 int8 uint8 int64 uint64 bool complex128 float16",
    "arraymethod": "get set fill totable copy transpose reshape slice each release",
    "prefix": """
        10: $variable
        2: ($expr)
        1: ("x")
        1: $call
    """,
    "call": """
        8: $prefix($exprs)
        2: $prefix()
        5: $prefix:$name($exprs)
        10: $libraryfunction($exprs)
        5: pcall($expr, $exprs)
        4: xpcall($expr, $expr, $exprs)
        3: error($expr, $number)
        2: error($expr)
        3: coroutine.yield($exprs)
        3: coroutine.resume(coroutine.create($function), $exprs)
        2: coroutine.resume(co1, $exprs)
        3: coroutine.wrap($function)($exprs)
        2: @coroutine.close coroutine.close(coroutine.create($function))
        1: @coroutine.close coroutine.close(co1)
        1: collectgarbage($gcmode)
        3: string.gsub("abcabc", "(.)", $expr)
        2: table.sort({3, 1, $exprs, 2}, $expr)
        1: table.concat({$exprs}, $text)
        1: table.insert({1, 2}, $expr)
        1: table.insert({1, 2, 3}, $count, $expr)
        1: table.remove({1, 2, 3}, $count)
        1: @table.move table.move({1, 2, 3}, 1, 3, $count, t1)
        2: string.format($format, $exprs)
        1: string.rep($text, $count)
        1: string.rep("x", $size)
        2: tostring($expr)
        3: loaded($expr)
        1: loaded($function)
        1: load(coroutine.wrap(function() for i = 1, 3 do coroutine.yield("local x = 1;") end end))
        2: (loadstring or load)(string.dump($function))
        1: @setfenv setfenv($expr, $expr)
        1: @setfenv setfenv(1, setmetatable({}, {__index = $expr}))
        2: next($expr, $expr)
        2: rawset($prefix, $expr, $expr)
        1: rawequal($expr, $expr)
        1: select($number, $exprs)
        1: (table.unpack or unpack)($expr, $number, $count)
        1: require($text)
        1: @LuaRuntime.close os.exit($expr)
        1: @LuaRuntime.close debug.setmetatable($variable, getmetatable(io.stdout))
        1: package.preload.fuzzed == nil and rawset(package.preload, "fuzzed", $expr) and require("fuzzed")
        3: python.$viewer($expr)
        2: python.as_function($expr)($exprs)
        3: python.builtins.$builtin($exprs)
        2: python.eval($python!r)
        1: python.set_overflow_handler($expr)
        1: debug.setmetatable($expr, $metatable)
        1: debug.getinfo($expr, "$infomask")
        1: debug.traceback($exprs)
        1: debug.setlocal($count, $count, $expr)
        1: debug.getlocal($count, $count)
        2: debug.setupvalue($expr, $count, $expr)
        1: @debug.upvaluejoin debug.upvaluejoin($function, 1, $function, 1)
        1: @debug.setuservalue debug.setuservalue($expr, $expr)
        1: @utf8.char utf8.char($number, $number)
        1: @string.pack string.pack("$packing", $exprs)
        1: @string.unpack string.unpack("$packing", $text)
        1: @string.buffer require("string.buffer").encode($expr)
        1: @string.buffer require("string.buffer").decode(require("string.buffer").encode({$exprs}))
    """,
    "metatable": """
        4: {$field = $expr}
        6: {$metamethod = $function, $metamethod = $function}
        3: {__index = $expr, __newindex = $expr, __call = $function, __len = $function, __eq = $function}
        2: {__gc = $function, __index = $expr}
        2: {__mode = "$weakness", $field = $expr}
        1: {__metatable = $expr, __name = $expr}
        2: getmetatable($expr)
        1: debug.getmetatable(p1)
        1: nil
        1: t1
    """,
    # A `__call` that can be called through itself keeps Lua 5.4 busy for very long.
    "field": (
        "__index __index __index __newindex __newindex __newindex __gc __gc __len __len __eq "
        "__eq __tostring __tostring __pairs __pairs __ipairs __lt __le __add __concat __unm __close __name __mode "
        "__metatable __idiv __band __bnot __lua_args__"
    ),
    "metamethod": (
        "__index __index __index __newindex __newindex __newindex __call __call __call __gc __gc __len __len __eq "
        "__eq __tostring __tostring __pairs __pairs __ipairs __lt __le __add __concat __unm __close __name __mode "
        "__metatable __idiv __band __bnot __lua_args__"
    ),
    "variable": (
        "a a a a a a b b b b b c c c c t1 t1 t1 t1 t2 t2 f1 f1 f1 f1 f2 f2 co1 co1 p1 p1 p1 p1 p1 p2 p2 p2 p2 p2 "
        "p3 p3 p3 x x y _G python string io.stdout python.none debug.getregistry()"
    ),
    "number": """
        5: 1
        3: 0
        2: 2
        -1
        3.5
        0/0
        1/0
        -1/0
        -0.0
        2^31
        -2^31
        2^53
        2^63
        -2^63
        1e308
        255
        @math.tointeger math.maxinteger
        @math.tointeger math.mininteger
    """,
    "count": "1 1 1 2 2 2 3 0 5 -1 20",
    "size": "1000 100000 1e7 2^31 -1 2^53",
    "text": """
        4: "x"
        2: ""
        2: "abc"
        "__class__"
        "\\0"
        "\\255\\254"
        "\\195\\188"
        "10"
        "0x10"
        ("long"):rep(100)
        "return 1"
        "string"
    """,
    "format": """
        3: "%s"
        "%d"
        "%q"
        "%5.1f %s"
        "%c"
        "%x %s %s"
        "%99s"
    """,
    "packing": "i4 z s1 d !8xXi8",
    "infomask": "nSlufL S f nSlutfrL",
    "operator": """
        3: ..
        3: ==
        2: <
        <=
        2: +
        -
        *
        /
        %
        ^
        and
        or
        ~=
        @math.tointeger //
        @math.tointeger &
        @math.tointeger <<
        @math.tointeger ~
    """,
    "name": (
        "x x x x x x y y y append append pop pop __class__ __dict__ keys real format n close __init__ __del__ "
        "__getattribute__ gi_frame send"
    ),
    "iterator": "iter iter iter iterex iterex enumerate enumerate",
    "viewer": (
        "as_attrgetter as_attrgetter as_attrgetter as_itemgetter as_itemgetter as_itemgetter as_function "
        "as_function as_function iter iter iterex enumerate"
    ),
    "builtin": (
        "len len len str str str repr repr repr list list tuple tuple dict dict iter iter next next getattr "
        "getattr getattr setattr setattr delattr type type isinstance map map zip sorted min hash id int float "
        "bytes bytearray memoryview callable dir vars super property object Exception StopIteration SystemExit "
        "KeyboardInterrupt GeneratorExit print exec eval globals compile"
    ),
    "python": """
        1/0
        None
        [1, [2]]
        lambda *a: a
        __import__('gc').collect()
        (i for i in 'abc')
        x x
        __import__('sys').exit(3)
        {'x': 1}
    """,
    "gcmode": """
        4: "collect"
        3: "step"
        2: "step", $count
        2: "stop"
        2: "restart"
        2: "count"
        "setpause", $number
        "setstepmul", $number
        "isrunning"
        "generational"
        "incremental"
        "generational", 1, 1
        "incremental", 1, 1000, 1
        "param", "pause", 1
        $expr
    """,
    "hookmask": "c c r l crl 1:",
    "weakness": "k v kv",
    "jitswitch": "on off flush",
    "library": (
        "string table debug coroutine python package.loaded package.path debug.traceback tostring pcall error "
        "package _G"
    ),
}
