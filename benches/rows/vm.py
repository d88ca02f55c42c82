"""Lua alone: how well its C code is compiled."""

from __future__ import annotations

from rows import Bench, Work, row


def program(bench: Bench, body: str, argument: int) -> Work:
    """A Lua function of ``n``, called with an argument."""
    function = bench.eval(f"(function() {body} end)()")
    return Work(lambda: function(argument))


@row("vm.fib22")
def calls(bench: Bench) -> Work:
    code = "local function fib(n) if n < 2 then return n end; return fib(n - 1) + fib(n - 2) end; return fib"
    return program(bench, code, 22)


@row("vm.float_loop")
def arithmetic(bench: Bench) -> Work:
    return program(
        bench, "return function(n) local s = 0.0; for i = 1, n do s = s + i * 0.5 / (i + 1) end; return s end", 200_000
    )


@row("vm.strings")
def strings(bench: Bench) -> Work:
    code = """return function(n)
        local t = {}
        for i = 1, n do t[#t + 1] = tostring(i) .. "x" end
        return #table.concat(t)
    end"""
    return program(bench, code, 20_000)


@row("vm.patterns")
def patterns(bench: Bench) -> Work:
    code = """
        local text = ("the quick brown fox jumps over the lazy dog "):rep(100)
        return function(n)
            local count = 0
            for i = 1, n do for word in text:gmatch("%a+") do count = count + #word end end
            return count
        end"""
    return program(bench, code, 5)


@row("vm.sort")
def sort(bench: Bench) -> Work:
    code = """return function(n)
        local t, x = {}, 42
        for i = 1, n do x = (x * 16807) % 2147483647; t[i] = x end
        table.sort(t, function(a, b) return a < b end)
        return t[1]
    end"""
    return program(bench, code, 5_000)


@row("vm.objects")
def objects(bench: Bench) -> Work:
    # Small tables and closures: mostly the allocator and the collector.
    code = """return function(n)
        local list
        for i = 1, n do
            local previous = list
            list = {value = i, next = i % 100 > 0 and previous or nil, get = function() return i end}
        end
        return list.get()
    end"""
    return program(bench, code, 20_000)


@row("vm.matrix")
def matrix(bench: Bench) -> Work:
    code = """return function(n)
        local a, sum = {}, 0
        for i = 1, n do a[i] = {}; for j = 1, n do a[i][j] = i + j end end
        for i = 1, n do for j = 1, n do
            local s = 0
            for k = 1, n do s = s + a[i][k] * a[k][j] end
            sum = sum + s
        end end
        return sum
    end"""
    return program(bench, code, 40)
