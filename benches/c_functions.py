"""How long one call of each of Lua's own functions can take in a sandbox of 64 MiB, and whether a time limit stops it.

The table in SECURITY.md was made by this: ``python3 benches/c_functions.py lua54 luajit21 ...``.  Time is that of the
processor, so that other programs matter less.  A call that is stopped has ended soon after its time limit of 20 ms;
one that is bounded takes at most as long as is said; one that is neither took longer than the script waits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

MEMORY = 64 << 20
LIMIT = 0.02
SOON = 0.1
PATIENCE = 20

# What is made before, and the call.  `S` is a long string, `T` a long sequence.
LONG = "S = ('x'):rep(%d)"
LIST = "T = {} for i = 1, %d do T[i] = i end"
LIES = "T = setmetatable({}, {__len = function() return 2^31 - 8 end, __index = function() return 1 end})"

CASES = {
    "string.rep": ("", "('x'):rep(60000000)"),
    "string.rep with a separator": ("", "('x'):rep(30000000, ',')"),
    "string.rep of nothing": ("", "(''):rep(1e9)"),
    "string.find, plain": (LONG % 20_000_000 + " P = ('x'):rep(200000) .. 'y'", "S:find(P, 1, true)"),
    "string.find, plain, short": (LONG % 30_000_000 + " P = ('x'):rep(60) .. 'y'", "S:find(P, 1, true)"),
    "string.find": (LONG % 30_000_000, "S:find('x-y')"),
    "string.find, one by one": (LONG % 30_000_000, "S:find('y')"),
    "string.find of a set": (LONG % 3_000_000 + " P = '[' .. ('y'):rep(100000) .. ']'", "S:find(P)"),
    "string.match": (LONG % 30_000_000, "S:match('^x-y')"),
    "string.match, nested": (LONG % 100_000, "S:match('.-.-.-.-y')"),
    "string.match, balance": ("S = ('('):rep(30000000)", "S:match('%b()')"),
    "string.gmatch": (LONG % 10_000_000, "for _ in S:gmatch('.-y') do end"),
    "string.gsub": (LONG % 10_000_000, "S:gsub('x', 'y')"),
    "string.gsub, no match": (LONG % 10_000_000, "S:gsub('x-y', '')"),
    "string.gsub with a table": (LONG % 10_000_000, "S:gsub('x', {x = 'y'})"),
    "string.format, %s": (LONG % 20_000_000, "('%s'):format(S)"),
    "string.format, %q": ("S = ('\\0'):rep(8000000)", "('%q'):format(S)"),
    "string.format, long": (
        "S, T = ('%d'):rep(200), {} for i = 1, 200 do T[i] = i end",
        "S:format((unpack or table.unpack)(T))",
    ),
    "string.format, text": ("S = ('x'):rep(20000000)", "S:format()"),
    "string.byte": (LONG % 900_000, "select('#', S:byte(1, -1))"),
    "string.char": ("T = {} for i = 1, 200 do T[i] = 65 end", "string.char((unpack or table.unpack)(T))"),
    "string.reverse": (LONG % 30_000_000, "S:reverse()"),
    "string.upper": (LONG % 30_000_000, "S:upper()"),
    "string.lower": (LONG % 30_000_000, "S:lower()"),
    "string.sub": (LONG % 30_000_000, "S:sub(2)"),
    "string.len": (LONG % 60_000_000, "S:len()"),
    "string.pack": (LONG % 20_000_000, "if string.pack then string.pack('s', S) end"),
    "string.pack, long format": ("S = ('!'):rep(30000000)", "if string.pack then string.pack(S) end"),
    "string.pack, padding": ("", "if string.pack then string.pack('c60000000', '') end"),
    "string.packsize": ("S = ('b'):rep(30000000)", "if string.packsize then string.packsize(S) end"),
    "string.unpack": ("S = ('x'):rep(30000000)", "if string.unpack then string.unpack(S, '') end"),
    "concatenation": (LONG % 15_000_000, "return S .. 'y' .. S"),
    "comparison": (LONG % 15_000_000 + " Q = S .. 'y'", "return S < Q"),
    "comparison of zeros": ("S = ('\\0'):rep(15000000) Q = S .. 'y'", "return S < Q"),
    "equality": ("S = ('x'):rep(15000000) Q = ('x'):rep(15000000)", "return S == Q"),
    "table.concat": (LIST % 1_500_000, "table.concat(T)"),
    "table.concat, long": ("T = {} for i = 1, 2000 do T[i] = ('x'):rep(10000) end", "table.concat(T)"),
    "table.concat that lies": (LIES, "table.concat(T)"),
    "table.insert": (LIST % 2_000_000, "table.insert(T, 1, 0)"),
    "table.insert that lies": (LIES, "table.insert(T, 1, 0)"),
    "table.remove": (LIST % 2_000_000, "table.remove(T, 1)"),
    "table.remove that lies": (LIES, "table.remove(T, 1)"),
    "table.sort": ("T = {} for i = 1, 2000000 do T[i] = (i * 7919) % 1000003 end", "table.sort(T)"),
    "table.sort of strings": (
        "T = {} local p = ('x'):rep(20000) for i = 1, 2000 do T[i] = p .. (i * 7919) % 1000003 end",
        "table.sort(T)",
    ),
    "table.sort, a false order": (LIST % 2_000_000, "table.sort(T, function() return true end)"),
    "table.sort that lies": (LIES, "table.sort(T)"),
    "table.unpack": (LIST % 900_000, "select('#', (unpack or table.unpack)(T))"),
    "table.pack": (LIST % 200_000, "if table.pack then table.pack(table.unpack(T)) end"),
    "table.move": (LIST % 2_000_000, "if table.move then table.move(T, 1, #T, 2) end"),
    "table.move of nothing": ("", "if table.move then table.move({}, 1, 2^26 - 1, 2) end"),
    "table.maxn": (LIST % 2_000_000, "if table.maxn then table.maxn(T) end"),
    "table.foreach": (LIST % 2_000_000, "if table.foreach then table.foreach(T, function() end) end"),
    "table.create": ("", "if table.create then table.create(4000000) end"),
    "#": (LIST % 2_000_000, "return #T"),
    "next, empty": (LIST % 2_000_000 + " for i = 1, #T do T[i] = nil end", "next(T)"),
    "next, each time": (
        "T = {} for i = 1, 500000 do T['x' .. i] = 1 end for k in pairs(T) do T[k] = nil end",
        "for _ = 1, 2000 do next(T) end",
    ),
    "pairs": (LIST % 2_000_000, "for _ in pairs(T) do end"),
    "a table that grows": ("T = {} for i = 1, 2^20 do T[i + 0.5] = 1 end", "T[0.25] = 1"),
    "keys that collide": ("T = {} for i = 1, 20000 do T[i * 2^32] = 1 end", "T[0.5] = 1"),
    "select('#')": (LIST % 900_000, "select('#', (unpack or table.unpack)(T))"),
    "select(-1)": (LIST % 900_000, "select(-1, (unpack or table.unpack)(T))"),
    "setmetatable": ("", "setmetatable({}, {})"),
    "rawequal": (LONG % 30_000_000, "rawequal(S, S)"),
    "load": ("S = ('x = 1 '):rep(3000000)", "(loadstring or load)(S)"),
    "load, one line": ("S = 'return ' .. ('1 + '):rep(1000000) .. '1'", "(loadstring or load)(S)"),
    "load, many names": (
        "local t = {} for i = 1, 400000 do t[i] = 'x' .. i .. '=1' end S = table.concat(t, ' ')",
        "(loadstring or load)(S)",
    ),
    "load, a long string": ("S = 'return [[' .. ('x'):rep(20000000) .. ']]'", "(loadstring or load)(S)"),
    "load, a long comment": ("S = '--[[' .. ('x'):rep(30000000) .. ']]'", "(loadstring or load)(S)"),
    "load, spaces": ("S = (' '):rep(40000000)", "(loadstring or load)(S)"),
    "load, lines": ("S = ('\\n'):rep(40000000)", "(loadstring or load)(S)"),
    "load, nested": ("S = 'return ' .. ('{'):rep(190) .. ('}'):rep(190)", "(loadstring or load)(S)"),
    "load, jumps": ("S = ('if x then '):rep(150) .. ('end '):rep(150)", "(loadstring or load)(S)"),
    "load, elseif": (
        "S = 'if x then ' .. ('elseif x then y = 1 '):rep(400000) .. 'end'",
        "(loadstring or load)(S)",
    ),
    "load, a number": ("S = 'return ' .. ('1'):rep(20000000)", "(loadstring or load)(S)"),
    "load by pieces": ("", "load(function() return ' ' end)"),
    "tostring": (LONG % 30_000_000, "tostring(S)"),
    "tonumber": ("S = ('1'):rep(30000000)", "tonumber(S)"),
    "tonumber, hexadecimal": ("S = '0x' .. ('f'):rep(30000000)", "tonumber(S)"),
    "tonumber, spaces": ("S = (' '):rep(30000000) .. '1'", "tonumber(S)"),
    "tonumber with a base": ("S = ('1'):rep(30000000)", "tonumber(S, 7)"),
    "arithmetic on a string": ("S = ('1'):rep(30000000)", "return S + 1"),
    "math.max": (LIST % 900_000, "math.max((unpack or table.unpack)(T))"),
    "math.max of long strings": (
        "T = {} local s = ('1'):rep(10000000) for i = 1, 7000 do T[i] = s end",
        "math.max((unpack or table.unpack)(T))",
    ),
    "bit operations": (LIST % 7000, "local b = bit or bit32 if b then b.band((unpack or table.unpack)(T)) end"),
    "bit operations on strings": (
        "T = {} local s = ('1'):rep(10000000) for i = 1, 7000 do T[i] = s end",
        "local b = bit or bit32 if b then b.band((unpack or table.unpack)(T)) end",
    ),
    "utf8.len": (LONG % 30_000_000, "if utf8 then utf8.len(S) end"),
    "utf8.codes": (LONG % 10_000_000, "if utf8 then for _ in utf8.codes(S) do end end"),
    "utf8.codepoint": (LONG % 900_000, "if utf8 then select('#', utf8.codepoint(S, 1, -1)) end"),
    "utf8.offset": (LONG % 30_000_000, "if utf8 then utf8.offset(S, 29000000) end"),
    "utf8.offset, continuations": ("S = ('\\191'):rep(30000000)", "if utf8 then utf8.offset(S, 2, #S + 1) end"),
    "utf8.char": (LIST % 200_000, "if utf8 then utf8.char((unpack or table.unpack)(T)) end"),
    "coroutine.wrap": (LIST % 900_000, "coroutine.wrap(function(...) return ... end)((unpack or table.unpack)(T))"),
    "coroutine.close": (
        "local function f(n) if n > 0 then return (f(n - 1)) end coroutine.yield() end "
        "C = coroutine.create(f) coroutine.resume(C, 15000)",
        "if coroutine.close then coroutine.close(C) end",
    ),
    "collectgarbage": ("T = {} for i = 1, 600000 do T[i] = {} end", "collectgarbage()"),
    "collectgarbage, weak keys": (
        "T = setmetatable({}, {__mode = 'k'}) local k = {} H = k for i = 1, 200000 do local n = {} T[k] = n k = n end",
        "collectgarbage()",
    ),
    "collectgarbage, a chain": ("T = {} for i = 1, 600000 do T = {T} end", "collectgarbage()"),
    "error": (LONG % 30_000_000, "pcall(error, S)"),
    "error with a place": (LONG % 20_000_000, "pcall(error, S, 1)"),
    "debug.traceback": (
        "function R(n) if n > 0 then return (R(n - 1)) end return #debug.traceback(S) end " + LONG % 10_000_000,
        "R(15000)",
    ),
    "xpcall": (LIST % 200_000, "xpcall(function() end, function() end, (unpack or table.unpack)(T))"),
    "print, many": (LIST % 7000, "-- print writes to the terminal"),
    "os.date": ("S = ('%Y'):rep(10000000)", "pcall(os.date, S)"),
    "os.date, text": (LONG % 20_000_000, "pcall(os.date, S)"),
    "require": ("package.preload[('x'):rep(10)] = function() return 1 end", "require(('x'):rep(10))"),
}

CHILD = """
import importlib, json, re, sys, time
lupa = importlib.import_module("lupa." + sys.argv[1])
setup, call, memory, limit, patience = json.loads(sys.argv[2])
box = lupa.LuaRuntime(sandbox=True, max_memory=memory, timeout=patience)
halve = lambda found: str(int(found[0]) // 2)
while True:
    try:
        box.execute(setup)
        break
    except lupa.LuaMemoryError:
        # Some Luas need more memory to make a string than others.
        setup = re.sub("[0-9]{7,}", halve, setup)

def run(limit):
    begin = time.process_time()
    how = "ended"
    try:
        with box.limits(seconds=limit):
            box.execute(call)
    except lupa.LuaTimeoutError:
        how = "stopped"
    except lupa.LuaMemoryError:
        how = "memory"
    except lupa.LuaError as error:
        how = "error: " + str(error)[:40]
    return how, time.process_time() - begin

print(json.dumps(run(limit)), flush=True)
"""


def measure(module: str, case: str, limit: float) -> tuple[str, float]:
    """How one call has ended, and its time of the processor."""
    setup, call = CASES[case]
    arguments = json.dumps([setup, call, MEMORY, limit, 10 * PATIENCE])
    child = [sys.executable, "-c", CHILD, module, arguments]
    try:
        done = subprocess.run(child, capture_output=True, text=True, timeout=5 * PATIENCE, check=False, env=os.environ)
    except subprocess.TimeoutExpired:
        return "killed", float("inf")
    if done.returncode != 0:
        return f"exit status {done.returncode}: {done.stderr[-200:]}", 0.0
    how, seconds = json.loads(done.stdout)
    return how, seconds


def judge(module: str, case: str) -> tuple[str, float, str]:
    """The verdict on a function, its worst time, and how it ended."""
    how, seconds = measure(module, case, LIMIT)
    if how == "stopped" and seconds < LIMIT + SOON:
        return "stopped", seconds, how
    if how != "stopped" and seconds < LIMIT + SOON:
        return "bounded", seconds, how
    how, seconds = measure(module, case, PATIENCE)
    return ("not" if seconds > PATIENCE / 2 else "bounded"), seconds, how


def main() -> None:
    """Prints a line for each function and module."""
    modules = [name for name in sys.argv[1:] if not name.startswith("-")]
    only = [name[1:] for name in sys.argv[1:] if name.startswith("-")]
    for case in CASES:
        if only and not any(part in case for part in only):
            continue
        for module in modules:
            verdict, seconds, how = judge(module, case)
            print(f"{case:28} {module:9} {verdict:8} {seconds:8.3f}  {how}", flush=True)


if __name__ == "__main__":
    main()
