"""Random programs in a sandbox: whatever they do with an opaque object, nothing of it may run.

``LUPA_FUZZ_PROGRAMS`` says how many programs each Lua gets, ``LUPA_FUZZ_SEED`` where they begin.
"""

import os
import random

import pytest
from test_sandbox_opaque import USED, trap

pytestmark = pytest.mark.beyond

PROGRAMS = int(os.environ.get("LUPA_FUZZ_PROGRAMS", "200"))
SEED = int(os.environ.get("LUPA_FUZZ_SEED", "0"))


def words(text):
    """What is between the spaces."""
    return text.split()


ATOMS = words("""o o o o t u s f g it a e c nil true 0 1 -1 2.5 "x" "attribute" "__class__" "" {} {o} {x=o,1}
    print error _G python string""")
FUNCTIONS = words("""o f g pcall xpcall error assert tostring tonumber type select next rawget rawset rawequal rawlen
    setmetatable getmetatable load loadstring require ipairs pairs getfenv setfenv unpack collectgarbage print
    python.args python.as_attrgetter python.as_itemgetter python.as_function python.iter python.iterex
    python.enumerate python.array python.zeros python.array_from
    string.format string.rep string.gsub string.gmatch string.find string.char string.byte string.pack
    table.concat table.insert table.remove table.sort table.unpack table.pack table.move
    coroutine.create coroutine.wrap coroutine.resume coroutine.status coroutine.close coroutine.yield
    math.max math.floor math.type math.random os.time os.date os.difftime debug.traceback
    bit32.band bit.band utf8.char utf8.len""")
EVENTS = words("""__index __newindex __call __add __sub __concat __eq __lt __le __len __tostring __pairs __close
    __gc __mode __metatable __unm __name __idiv __band""")
OPERATORS = words("+ - * / % ^ .. == < <= ~= and or")
NAMES = ["x", "attribute", "__class__", "__dict__", "__call__", "upper", "len", "1"]

START = """
local o, exposed = ...
local t, u, s = {o, 1}, {x = o}, "text"
local f, g = python.as_function(o), function(...) return o, ... end
local it, a, c = select(2, python.iter(exposed)), python.zeros(3), coroutine.create(function(...) return o end)
local e = select(2, pcall(function() return o.x end))
local function try(...) return select(2, pcall(...)) end
"""


class Programs:
    """A grammar of things that one can do in Lua."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def expression(self, depth=3):
        pick = self.random.choice
        if depth == 0:
            return pick(ATOMS)
        inner = [self.expression(depth - 1) for _ in range(3)]
        return pick(
            [
                lambda: pick(ATOMS),
                lambda: f"try({pick(FUNCTIONS)}, {inner[0]}, {inner[1]}, {inner[2]})",
                lambda: f"try({pick(FUNCTIONS)}, {inner[0]})",
                lambda: f"try(function() return ({inner[0]}){pick(['', '()', ':upper()', '(o)'])} end)",
                lambda: f"try(function() return ({inner[0]})[{inner[1]}] end)",
                lambda: f"try(function() return ({inner[0]}).{pick(NAMES[:-1])} end)",
                lambda: f"try(function() return ({inner[0]}) {pick(OPERATORS)} {inner[1]} end)",
                lambda: f"try(function() return {pick(words('# - not'))} ({inner[0]}) end)",
                lambda: f"try(setmetatable, {{}}, {{{pick(EVENTS)} = {inner[0]}, {pick(EVENTS)} = {inner[1]}}})",
                lambda: f"try(function() for k, v in {inner[0]}, {inner[1]}, {inner[2]} do return k, v end end)",
                lambda: f"try(function() for k, v in python.iterex({inner[0]}) do return k, v end end)",
                lambda: f"{{{inner[0]}, x = {inner[1]}}}",
                lambda: f"try(coroutine.wrap(function(...) return {inner[0]} end), {inner[1]})",
            ]
        )()

    def statement(self):
        pick = self.random.choice
        target = pick(words("t u s e a it _G python package getmetatable('')"))
        name = pick(["x", "attribute", "__index", "__call", "__concat", "iter", "load", "type", "loaded"])
        return pick(
            [
                lambda: f"{pick(words('t u s f g it a e c'))} = {self.expression()}",
                lambda: f"try(function() {target}.{name} = {self.expression()} end)",
                lambda: f"try(function() ({self.expression(2)})[{self.expression(1)}] = {self.expression(1)} end)",
                lambda: f"local _ = {self.expression()}",
            ]
        )()

    def program(self):
        return START + "\n".join(self.statement() for _ in range(self.random.randint(1, 12)))


def test_random_programs(lupa):
    done = 0
    for number in range(SEED, SEED + PROGRAMS):
        code = Programs(number).program()
        opaque = trap()
        box = lupa.LuaRuntime(sandbox=True, max_memory=1_000_000, timeout=0.2)
        exposed = box.expose([opaque], iterate=True)
        USED.clear()
        try:
            box.execute(code, opaque, exposed)
            done += 1
        except (lupa.LuaError, TypeError, ValueError, OverflowError, IndexError, AttributeError, RecursionError):
            pass
        assert USED == [], f"seed {number}\n{code}"
        assert object.__getattribute__(opaque, "__dict__") == {"attribute": 1}, f"seed {number}\n{code}"
        assert exposed[0] is opaque
        USED.clear()
        assert box.compile("return 1")() == 1
    assert done > PROGRAMS / 2
