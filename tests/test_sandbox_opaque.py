"""Whatever Lua code in a sandbox tries with an opaque object, nothing of the object runs."""

import contextlib

import pytest

pytestmark = pytest.mark.beyond

NOTED = """call getitem setitem delitem delattr len iter next contains bool eq ne lt le gt ge add radd sub mul truediv
    floordiv mod pow neg and or xor invert lshift rshift int float complex index str repr format bytes enter exit
    reversed missing instancecheck get set dir sizeof reduce_ex buffer"""

NOTED_OF_CLASSES = "call repr str len iter contains eq instancecheck subclasscheck dir bool"

# What was done with traps, by the names of their methods.
USED: list = []


def note(name):
    def method(self, *args, **kwargs):
        USED.append(name)
        return ""

    return method


class Alert(type):
    """The class of a class that notes everything that is done with it."""

    def __getattribute__(cls, name):
        USED.append(f"class's {name}")
        return type.__getattribute__(cls, name)

    for _name in NOTED_OF_CLASSES.split():
        locals()[f"__{_name}__"] = note(f"class's {_name}")
    __hash__ = type.__hash__


class Trap(metaclass=Alert):
    """An object that notes everything that is done with it."""

    for _name in NOTED.split():
        locals()[f"__{_name}__"] = note(_name)
    __hash__ = object.__hash__

    def __setattr__(self, name, value):
        USED.append("setattr")

    def __getattribute__(self, name):
        USED.append(f"getattribute {name}")
        return object.__getattribute__(self, name)


class Attributes(metaclass=Alert):
    """The same for an object that has no methods of its own."""

    def __getattr__(self, name):
        USED.append(f"getattr {name}")
        raise AttributeError(name)


def trap(kind=Trap):
    """A trap that nothing was done with."""
    made = object.__new__(kind)
    object.__setattr__(made, "attribute", 1)
    USED.clear()
    return made


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
@pytest.mark.parametrize("kind", [Trap, Attributes], ids=["methods", "attributes"])
def test_an_opaque_object_does_nothing(lupa, box, kind, code):
    opaque = trap(kind)
    with contextlib.suppress(lupa.LuaError, TypeError, ValueError, OverflowError, IndexError):
        box.execute(f"local o = ...\n{code}", opaque)
    assert USED == []
    assert object.__getattribute__(opaque, "__dict__") == {"attribute": 1}


def test_an_opaque_class_does_nothing(lupa, box):
    for code in [line.strip() for line in ATTEMPTS.strip().splitlines()]:
        USED.clear()
        with contextlib.suppress(lupa.LuaError, TypeError, ValueError, OverflowError, IndexError):
            box.execute(f"local o = ...\n{code}", Trap)
        assert USED == [], code


@pytest.mark.parametrize("way", ["global", "result", "item", "attribute", "element", "table", "exception"])
def test_nothing_of_an_object_runs_on_its_way(lupa, box, way):
    """However it comes into the sandbox, and whoever looks at it there."""
    opaque = trap(Attributes)

    class Fault(Exception):
        def __getattr__(self, name):
            USED.append(f"getattr {name}")
            raise AttributeError(name)

    class Holder:
        attribute = opaque

        def __getitem__(self, key):
            return opaque

        def __iter__(self):
            return iter([opaque])

        def method(self):
            return opaque

    @box.expose
    def fail():
        raise Fault("text")

    holder = box.expose(Holder(), attributes=["attribute", "method"], items=True, iterate=True)
    box.globals().holder, box.globals().fail = holder, fail
    box.globals().echo = box.expose(lambda *values: values)
    USED.clear()
    codes = {
        "global": "return o",
        "result": "return python.as_attrgetter(holder).method()",
        "item": "return python.as_itemgetter(holder)[1]",
        "attribute": "return python.as_attrgetter(holder).attribute",
        "element": "for o in python.iter(holder) do return o end",
        "table": "return t[1]",
        "exception": "return select(2, pcall(fail))",
    }
    box.globals().o = opaque
    box.globals().t = box.table_from([opaque])
    box.execute(f"""
        local function get() {codes[way]} end
        local x = get()
        echo(x, {{x}})
        tostring(x)
        pcall(echo, get())
    """)
    assert USED == []
