"""Making runtimes and compiling code: what a program pays before anything runs."""

from __future__ import annotations

from rows import Bench, Values, Work, row

IMPORT = """
import importlib, sys, time
begin = time.perf_counter_ns()
importlib.import_module(sys.argv[1])
print(time.perf_counter_ns() - begin)
"""

MEMORY = """
import importlib, sys
module = importlib.import_module(sys.argv[1])
what, count = sys.argv[2], int(sys.argv[3])

def resident():
    try:
        with open("/proc/self/statm") as file:
            import resource
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

class Thing:
    __slots__ = ()

lua = module.LuaRuntime()
new, put = lua.eval("function() return {} end"), lua.eval("function(t, o) t[#t + 1] = o end")
kept = lua.table()
things = [Thing() for _ in range(count)]
make = {
    "runtime": module.LuaRuntime,
    "wrapper": new,
    "object": lambda: put(kept, things.pop()),
}[what]
alive = [make() for _ in range(20)]
alive += [None] * count
before = resident()
for index in range(count - 20):
    alive[index] = make()
print((resident() - before) / (count - 20))
"""

CHUNK = """
local Account = {}
Account.__index = Account

function Account.new(owner, balance)
    return setmetatable({owner = owner, balance = balance or 0, log = {}}, Account)
end

function Account:deposit(amount)
    if amount <= 0 then error("amount must be positive: " .. tostring(amount)) end
    self.balance = self.balance + amount
    self.log[#self.log + 1] = {kind = "deposit", amount = amount}
    return self.balance
end

function Account:withdraw(amount)
    if amount > self.balance then return nil, "not enough" end
    self.balance = self.balance - amount
    self.log[#self.log + 1] = {kind = "withdrawal", amount = amount}
    return self.balance
end

return Account
"""


@row("runtime.create")
def create(bench: Bench) -> Work:
    return Work(bench.module.LuaRuntime)


@row("runtime.create_max_memory")
def create_with_limit(bench: Bench) -> Work:
    return Work(lambda: bench.module.LuaRuntime(max_memory=0))


@row("runtime.create_and_use")
def create_and_use(bench: Bench) -> Work:
    return Work(lambda: bench.module.LuaRuntime().execute(CHUNK).new("Ann", 5).balance)


@row("eval.expr")
def evaluate(bench: Bench) -> Work:
    return bench.loop("eval('1 + 1')", eval=bench.lua.eval)


@row("eval.arguments")
def evaluate_with_arguments(bench: Bench) -> Work:
    return bench.loop("eval('... + 1', 41)", eval=bench.lua.eval)


@row("execute.stmt")
def execute(bench: Bench) -> Work:
    return bench.loop("execute('x = 1')", execute=bench.lua.execute)


@row("compile.chunk")
def compile_chunk(bench: Bench) -> Work:
    return bench.loop("compile(code)", compile=bench.lua.compile, code=CHUNK)


@row("import.module", alone=True)
def import_module(bench: Bench) -> Values:
    times = [float(bench.child(IMPORT, bench.name)) for _ in range(5 if bench.quick else 15)]
    # The first one may have read the files from a disk.
    return Values(times[1:], "ns")


def memory(bench: Bench, what: str, count: int) -> Values:
    """Resident memory of a new process for each of so many."""
    return Values([float(bench.child(MEMORY, bench.name, what, count)) for _ in range(1 if bench.quick else 3)], "B")


@row("memory.runtime", alone=True)
def memory_of_runtime(bench: Bench) -> Values:
    return memory(bench, "runtime", 500)


@row("memory.wrapper", alone=True)
def memory_of_wrapper(bench: Bench) -> Values:
    """A table in Lua and its wrapper in Python."""
    return memory(bench, "wrapper", 50_000)


@row("memory.object", alone=True)
def memory_of_object(bench: Bench) -> Values:
    """What it takes that Lua has a Python object."""
    return memory(bench, "object", 50_000)
