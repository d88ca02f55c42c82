"""Whatever Lua code in a sandbox tries with an opaque object, nothing of the object runs."""

import pytest

pytestmark = pytest.mark.beyond

NOTED = """call getitem setitem delitem delattr len iter next contains bool eq ne lt le gt ge add radd sub mul truediv
    floordiv mod pow neg and or xor invert lshift rshift int float complex index str repr format bytes enter exit
    reversed missing instancecheck get set dir sizeof reduce_ex buffer"""


class Trap:
    """An object that notes everything that is done with it."""

    used: list = []

    def __init__(self):
        self.attribute = 1

    def note(name):
        def method(self, *args, **kwargs):
            Trap.used.append(name)
            return ""

        return method

    for _name in NOTED.split():
        locals()[f"__{_name}__"] = note(_name)
    __hash__ = object.__hash__

    def __setattr__(self, name, value):
        if name != "attribute":
            Trap.used.append("setattr")
        object.__setattr__(self, name, value)

    def __getattribute__(self, name):
        # The host's side asks for `__getitem__` when it passes an object on; no script has a say in that.
        if name != "__getitem__":
            Trap.used.append(f"getattribute {name}")
        return object.__getattribute__(self, name)


# Each gets an opaque object `o` as its argument, and must not get it to do anything.
ATTEMPTS = """
    o()
    o(1, 2, 3)
    o{x = 1}
    o"x"
    pcall(o)
    pcall(pcall, o)
    xpcall(o, o)
    xpcall(error, o)
    xpcall(error, python.as_function(o))
    error(o)
    return o.attribute
    return o["attribute"]
    return o[1]
    return o[o]
    return o[{}]
    return o.__class__
    return o.__dict__
    return o.__init__.__globals__
    return o.__reduce_ex__(4)
    o.attribute = 2
    o[1] = 2
    o[o] = o
    o.__class__ = o
    return #o
    return o + o
    return 1 + o
    return o .. "x"
    return "x" .. o
    return -o
    return o < o
    return o <= o
    return o == o
    return o == 1
    return o ~= python.none
    return tostring(o)
    print(o)
    return ("%s"):format(o)
    return ("%d"):format(o)
    return ("%q"):format(o)
    return ("x"):rep(o)
    return tonumber(o)
    return tonumber(o, 10)
    return math.floor(o)
    return math.max(o, o)
    return string.len(o)
    return table.concat({o})
    return table.concat({1, 2}, o)
    return table.concat(o)
    table.sort({1, 2, 3}, o)
    table.sort({1, 2, 3}, python.as_function(o))
    table.sort({o, o, o})
    table.sort(o)
    table.insert(o, 1)
    table.remove(o)
    return (unpack or table.unpack)(o)
    return select(o)
    return next(o)
    for k in pairs(o) do end
    for k in ipairs(o) do end
    for k in o do end
    for k in python.as_function(o) do end
    for k in python.iter(o) do end
    for k in python.iterex(o) do end
    for k in python.enumerate(o) do end
    for k in python.enumerate(o, 5) do end
    local step = python.iter(...) ; step(o)
    return python.iter(python.as_itemgetter(o))
    return python.as_attrgetter(o).attribute
    return python.as_itemgetter(o)[1]
    return python.as_attrgetter(python.as_itemgetter(o)).attribute
    return python.as_function(o)()
    return python.as_function(python.as_function(o))()
    return pcall(python.as_function(o))
    return python.as_attrgetter(python.as_function(o)).attribute
    return python.array(o)
    return python.zeros(o)
    return python.zeros(2, o)
    return python.array_from(o)
    return python.array_from({o, o})
    return python.array_from({1, 2}, o)
    local a = python.zeros(2); a[1] = o
    local a = python.zeros(2); return a[o]
    local a = python.zeros(2); a[o] = 1
    local a = python.zeros({2, 2}, "complex128"); a[1] = {re = o, im = o}
    local a = python.zeros(2, "complex128"); a[1] = {re = o, im = o}
    local a = python.zeros(2); return a + o
    return python.args(o)
    python.args{o, x = o}()
    return getmetatable(o).__index
    getmetatable(o).__index = print
    setmetatable(o, {})
    return rawget(o, "attribute")
    rawset(o, "attribute", 1)
    return rawlen(o)
    return setmetatable({}, o)
    return setmetatable({}, {__index = o}).attribute
    return setmetatable({}, {__index = python.as_function(o)}).attribute
    setmetatable({}, {__newindex = o}).attribute = 1
    setmetatable({}, {__newindex = python.as_function(o)}).attribute = 1
    setmetatable({}, {__call = o})()
    setmetatable({}, {__call = python.as_function(o)})()
    return setmetatable({}, {__add = o}) + 1
    return setmetatable({}, {__add = python.as_function(o)}) + 1
    return setmetatable({}, {__concat = python.as_function(o)}) .. o
    return o .. setmetatable({}, {__concat = python.as_function(o)})
    return #setmetatable({}, {__len = python.as_function(o)})
    return tostring(setmetatable({}, {__tostring = o}))
    return tostring(setmetatable({}, {__tostring = python.as_function(o)}))
    return setmetatable({}, {__eq = python.as_function(o)}) == setmetatable({}, {__eq = python.as_function(o)})
    return setmetatable({}, {__lt = python.as_function(o)}) < o
    for k in pairs(setmetatable({}, {__pairs = python.as_function(o)})) do end
    setmetatable({}, {__gc = o})
    setmetatable({}, {__gc = python.as_function(o)}); collectgarbage()
    setmetatable({}, {__mode = o}); collectgarbage()
    setmetatable({}, {__metatable = o}); return getmetatable(setmetatable({}, {__metatable = o})).attribute
    getmetatable("").__index = o; return ("x").attribute
    getmetatable("").__add = python.as_function(o); return "x" + 1
    getmetatable("").__call = o; return ("x")()
    getmetatable("").__index = python.as_function(o); return ("x").attribute
    return ("x"):gsub("x", o)
    return string.gsub("x", "x", python.as_function(o))
    return string.gsub("x", "x", setmetatable({}, {__index = o}))
    for k in string.gmatch("x", o) do end
    load(o)
    load(python.as_function(o))
    load("return 1", o)
    load("return attribute", "x", "t", o)()
    load("return attribute", "x", "t", setmetatable({}, {__index = o}))()
    load("attribute = 1", "x", "t", setmetatable({}, {__newindex = o}))()
    if setfenv then setfenv(function() return attribute end, setmetatable({}, {__index = o}))() end
    if setfenv then setfenv(1, o) end
    if setfenv then setfenv(o, {}) end
    return getfenv(o)
    setmetatable(_G, {__index = o}); return attribute
    setmetatable(_G, {__newindex = o}); attribute = 1
    coroutine.wrap(o)()
    coroutine.wrap(python.as_function(o))()
    return coroutine.resume(coroutine.create(python.as_function(o)))
    coroutine.wrap(function() error(o) end)()
    coroutine.wrap(function() return coroutine.yield(o) end)()(1)
    coroutine.wrap(function(...) return (...)() end)(o)
    coroutine.wrap(function(...) return (...).attribute end)(o)
    return coroutine.status(o)
    require(o)
    package.preload.x = o; require("x")
    package.preload.x = python.as_function(o); require("x")
    package.loaded = o; require("y")
    debug.traceback(o)
    return debug.traceback("x", o)
    os.time(o)
    os.time{year = o, month = 1, day = 1}
    os.date(o)
    os.date("%Y", o)
    os.difftime(o, o)
    math.random(o)
    math.randomseed(o)
    assert(false, o)
    assert(o).attribute = 1
    select("#", o)()
    collectgarbage(o)
    return utf8.char(o)
    return utf8.len(o)
    return bit32.band(o)
    return bit.band(o)
    warn(o)
    return type(o).attribute
    print = o; print()
    tostring = python.as_function(o); print(1)
    _G.error = python.as_function(o); error("x")
    python.iter = o; python.iter()
    goto x; ::x:: o()
    local c <close> = o
    local c <close> = setmetatable({}, {__close = python.as_function(o)})
    return {o}, {[o] = o}
    return function() return o end
"""


@pytest.mark.parametrize("code", [line.strip() for line in ATTEMPTS.strip().splitlines()])
def test_an_opaque_object_does_nothing(lupa, box, code):
    trap = Trap()
    Trap.used.clear()
    try:
        box.execute(f"local o = ...\n{code}", trap)
    except (lupa.LuaError, TypeError, ValueError, OverflowError, IndexError):
        pass
    except Trap:
        pass
    assert Trap.used == []
    assert trap.__dict__ == {"attribute": 1}
