"""Ways out of the sandbox that others have found elsewhere, or that we could think of: none may lead anywhere."""

import builtins
import functools
import gc
import operator
import sys
import unittest.mock

import pytest

pytestmark = pytest.mark.beyond


@pytest.fixture
def denied(lupa, box):
    """``denied(code, *args)``: every value that the code gives is an error of the sandbox, false or nil."""

    def check(code, *args):
        try:
            result = box.execute(code, *args)
        except lupa.LuaSandboxError:
            return
        for value in result if isinstance(result, tuple) else (result,):
            error = isinstance(value, lupa.LuaSandboxError)
            # What Lua makes of an error in a message handler.
            error = error or value in ("error in error handling", "<no error object>")
            assert value is None or value is False or error, (code, value)

    return check


@pytest.fixture
def precompiled(lupa):
    """Bytecode that returns 42, as an unrestricted runtime makes it."""
    return lupa.LuaRuntime(encoding=None).eval(b"string.dump(function() return 42 end)")


def test_reachable_functions(box, lupa):
    """Whatever a script can walk to, also through environments: only functions that are named here."""
    found = box.execute(
        """
        local seen, names, queue = {}, {}, {{_G, "_G"}}
        local function visit(value, name)
            if (type(value) == "table" or type(value) == "function") and not seen[value] then
                seen[value] = true
                queue[#queue + 1] = {value, name}
            end
        end
        seen[_G] = true
        while #queue > 0 do
            local value, name = queue[1][1], queue[1][2]
            table.remove(queue, 1)
            names[#names + 1] = name
            if type(value) == "table" then
                for k, v in next, value do visit(k, name .. "[key]"); visit(v, name .. "." .. tostring(k)) end
            elseif getfenv then
                visit(getfenv(value), "env of " .. name)
            end
            visit(getmetatable(value), "metatable of " .. name)
        end
        for _, value in next, {"", 1, true, print, coroutine.create(function() end), python.none, python.zeros(1)} do
            visit(getmetatable(value), "metatable of a " .. type(value))
        end
        if getfenv then visit(getfenv(0), "getfenv(0)"); visit(getfenv(1), "getfenv(1)") end
        for _, item in next, queue do names[#names + 1] = item[2] end
        return table.concat(names, "\\n")
        """
    ).split("\n")
    dangerous = {"dofile", "loadfile", "dump", "execute", "exit", "getenv", "remove_file", "rename", "tmpname", "popen"}
    dangerous |= {"loadlib", "searchpath", "sethook", "getregistry", "setupvalue", "upvaluejoin", "newproxy", "module"}
    dangerous |= {"eval", "builtins", "cdata", "set_overflow_handler", "ffi", "jit", "io", "getinfo", "getlocal"}
    assert not {name.rpartition(".")[2] for name in found} & dangerous
    assert "_G.string.upper" in found
    assert len(found) > 70
    unknown = [name for name in found if not name.startswith("_G") and name != "metatable of a string"]
    assert unknown == []


def test_precompiled_code(lupa, box, precompiled):
    box.globals().code = precompiled.decode("latin-1")
    box = lupa.LuaRuntime(sandbox=True, encoding="latin-1")
    box.globals().code = precompiled.decode("latin-1")
    assert box.eval("code:byte()") == 27
    box.execute(
        """
        function try(loader, ...)
            local done, loaded, message = pcall(loader, ...)
            return done and loaded or nil, done and message or loaded
        end
        function pieces(...)
            local list, i = {...}, 0
            return function() i = i + 1; return list[i] end
        end
        """
    )
    for attempt in (
        "try(load, code)",
        "try(load, code, 'x')",
        "try(load, code, 'x', 'b')",
        "try(load, code, 'x', 'bt')",
        "try(load, code, 'x', 'tb')",
        "try(load, code, 'x', 'b', _G)",
        "try(load, code, 'x', nil)",
        "try(load, code, 'x', setmetatable({}, {__tostring = function() return 'b' end}))",
        "try(load, pieces(code))",
        "try(load, pieces(code:sub(1, 1), code:sub(2)))",
        "try(load, pieces('', code))",
        "try(load, pieces(code), 'x', 'b')",
        "try(loadstring or load, code)",
        "try(loadstring or load, code, 'x', 'b')",
        "try(coroutine.wrap(function(...) return load(...) end), pieces(code))",
        "try(load, coroutine.wrap(function() coroutine.yield(code) end))",
    ):
        loaded = box.eval(f"(({attempt}))")
        assert not callable(loaded) or loaded() is None, attempt  # An empty first piece is the end of the code.
    box.execute("string.byte = function() return 1 end; string.find = string.byte; getmetatable('').__index = nil")
    box.execute("type = function() return 'nil' end; rawget = type; error = type; select = type")
    for attempt in ("load(code)", "load(pieces(code))", "(loadstring or load)(code)", "load(code, 'x', 'b')"):
        assert box.eval(f"select(2, pcall(function() return ({attempt})() end))") != 42, attempt


def test_precompiled_code_of_the_host(lupa, box, precompiled):
    for run in (box.execute, box.compile):
        with pytest.raises(lupa.LuaError):
            run(precompiled)
        for mode in ("b", "bt", b"b", "tb"):
            with pytest.raises(ValueError, match="no precompiled code"):
                run(precompiled, mode=mode)
    with pytest.raises(ValueError, match="no precompiled code"):
        box.eval("1", mode="bt")
    assert box.eval("1", mode="t") == 1
    assert box.compile("return 2", mode="t")() == 2


def test_the_ffi(lupa, box, is_luajit):
    if not is_luajit:
        pytest.skip("this Lua has none")
    assert type(box.eval("getmetatable(1LL)")) is str
    assert box.execute("x = 1LL; y = 0x7fULL; z = 2i; return tostring(x + 1)") == "2LL"
    for code in ("require('ffi')", "package.loaded.ffi.C", "package.preload.ffi()"):
        with pytest.raises(lupa.LuaError):
            box.eval(code)
    for code in ("(1LL).x", "(1LL)()", "python.array(1LL)", "python.array(1LL, 4)", "python.array(2i)"):
        with pytest.raises((lupa.LuaError, RuntimeError, TypeError)):
            box.eval(code)
    with pytest.raises(RuntimeError):
        box.eval("python.zeros(2).data")


def test_iterators(box, denied):
    """The function of a loop steps only iterators that were made for one."""
    secret = iter([1, 2, 3])
    opened = box.expose([4, 5, 6], iterate=True)
    generator = (n for n in range(3))
    step = "local opened, secret = ...; local step, inner = python.iter(opened); return "
    denied(step + "step(secret)", opened, secret)
    denied(step + "step(python.as_attrgetter(secret))", opened, secret)
    denied(step + "step(python.as_itemgetter(secret), nil)", opened, secret)
    denied(step + "step(secret)", opened, generator)
    denied(step + "inner.__next__", opened, secret)
    denied(step + "python.as_attrgetter(inner).__next__()", opened, secret)
    assert box.execute(step + "step(inner)", opened, secret) == 4
    assert (next(secret), next(generator)) == (1, 0)
    # A generator's frame, which is how jails of Python are left.
    box.expose(generator, iterate=True)
    for name in ("gi_frame", "gi_code", "gi_yieldfrom", "throw", "close", "send"):
        denied(f"return (...).{name}", generator)


def test_errors_stay_opaque(lupa, box, denied):
    class Failure(Exception):
        pass

    def fail():
        secret = "in the frame"
        raise Failure("the message", secret) from KeyError("cause")

    box.expose(fail)
    for name in ("args", "__traceback__", "__cause__", "__context__", "with_traceback", "add_note", "__class__"):
        denied(f"local _, e = pcall(...); return e.{name}", fail)
        denied(f"local _, e = pcall(...); return python.as_attrgetter(e).{name}", fail)
        denied(f"local _, e = xpcall(..., function(e) return e.{name} end); return e", fail)
        denied(f"local _, e = coroutine.resume(coroutine.create(function(f) f() end), ...); return e.{name}", fail)
    assert box.execute("local _, e = pcall(...); return tostring(e)", fail) == "Failure"
    assert box.execute("local _, e = pcall(...); return type(e)", fail) == "userdata"
    text = box.execute("return select(2, xpcall(..., function(e) return debug.traceback(tostring(e)) end))", fail)
    assert "the message" not in text and __file__ not in text
    assert "the message" not in box.execute("return select(2, xpcall(..., tostring))", fail)
    # For the host it is what it was.
    with pytest.raises(Failure, match="the message") as caught:
        box.execute("local _, e = pcall(...); error(e)", fail)
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_errors_of_the_wall_can_be_read(box):
    text = box.execute("local _, e = pcall(...); return tostring(e)", len)
    assert text.startswith("Lua code may not call this 'builtin_function_or_method'")


def test_methods(box, denied):
    class Thing:
        def method(self):
            return self

        def secret(self):
            raise AssertionError("called")

        def give(self):
            return self.secret

        def give_function(self):
            return Thing.secret

        def take(self, function):
            return function

    thing = box.expose(Thing(), attributes=["method", "give", "give_function", "take"])
    assert box.eval("(...):method()", thing) is thing
    for name in ("__func__", "__self__", "__globals__", "__code__", "__closure__", "__call__", "__get__"):
        denied(f"return (...).method.{name}", thing)
        denied(f"return python.as_attrgetter((...).method).{name}", thing)
    denied("return (...):give()()", thing)
    denied("return (...):give_function()(...)", thing)
    denied("return python.as_function((...):give())()", thing)
    # A right to call does not survive the way through Python.
    denied("return (...):take((...).method)()", thing)
    # Nor does it go to others who look the same.
    denied("return (...):secret()", Thing())
    other = Thing()
    denied("local thing, other = ...; return thing.method, other.method", thing, other)
    assert box.eval("(...).method == (...).method", thing) in (True, False)


def test_an_equal_method_has_no_rights(box, denied):
    class Thing:
        def method(self):
            return 1

    thing = box.expose(Thing(), attributes=["method"])
    box.execute("keep = (...).method", thing)
    assert box.eval("keep()") == 1
    denied("return (...)()", thing.method)


def test_a_right_to_call_cannot_be_made(box, denied):
    """An attribute that holds what Lua code has put there is no method."""

    def secret():
        raise AssertionError("called")

    class Button:
        label = "press"

        def __init__(self):
            self.handler = None
            self._handler = None

        def set_handler(self, function):
            self.handler = self._handler = function

        def method(self):
            raise AssertionError("called")

        def shadowed(self):
            raise AssertionError("called")

        by_property = property(lambda self: self._handler)

    names = ["label", "handler", "set_handler", "by_property", "shadowed"]
    button = box.expose(Button(), attributes=names, writable=["label", "shadowed"])
    for function in (secret, button.method, len, [].append, "".join):
        denied("local b, f = ...; b.label = f; return b.label()", button, function)
        denied("local b, f = ...; b.shadowed = f; return b:shadowed()", button, function)
        del button.shadowed
        for name in ("handler", "by_property"):
            denied(f"local b, f = ...; b:set_handler(f); return b.{name}()", button, function)


def test_callable_attributes_that_are_no_functions(box, denied):
    class Callable:
        def __call__(self):
            raise AssertionError("called")

    class Thing:
        inner = Callable()
        kind = Callable
        partial = functools.partial(len, "abc")
        getter = operator.attrgetter("__class__")
        caller = operator.methodcaller("__init__")

    thing = box.expose(Thing(), attributes=["inner", "kind", "partial", "getter", "caller"])
    for name in ("inner", "kind", "partial", "getter", "caller"):
        denied(f"return (...).{name}(...)", thing)


def test_pythons_own_functions_even_if_exposed(box):
    class Holder:
        pass

    for name in ("getattr", "setattr", "delattr", "hasattr", "vars", "dir", "eval", "exec", "compile", "open", "input"):
        function = getattr(builtins, name)
        box.expose(function, call=True)
        with pytest.raises(PermissionError, match="in a sandbox"):
            box.eval("function(f, o) return f(o, '__class__') end")(function, Holder())
    box.expose(map, construct=True)
    box.expose(functools.reduce)
    with pytest.raises(PermissionError, match="in a sandbox"):
        box.eval("function(reduce, get, o, names) return reduce(get, names, o) end")(
            functools.reduce, getattr, Holder(), ["__class__"]
        )


def test_format_strings(box, lupa):
    with pytest.raises(AttributeError, match="format string"):
        box.eval("(...)(python.none)", box.expose("{0.__class__}".format))
    bytes_box = lupa.LuaRuntime(sandbox=True, encoding=None)
    with pytest.raises(lupa.LuaSandboxError):
        bytes_box.eval("(...).format(...)", "{0.__class__}")
    assert box.eval("('{0.__class__}'):format(...)", object()) == "{0.__class__}"


# Who lies about what it is


class Opened:
    x = 1


@pytest.mark.parametrize("kind", ["property", "mock", "attribute", "metaclass", "getattr"])
def test_lying_about_the_class(box, denied, kind):
    class Property:
        x = 1
        __class__ = property(lambda self: Opened)

    class Attribute:
        x = 1
        __class__ = Opened

    class Meta(type):
        def __instancecheck__(cls, instance):
            return True

        def __subclasscheck__(cls, subclass):
            return True

        def __eq__(cls, other):
            return True

        def __hash__(cls):
            return hash(Opened)

    class Getattr:
        def __getattr__(self, name):
            return {"attributes": ["x"], "call": True}

    box.expose(Opened, attributes=["x"], call=True)
    liars = {
        "property": Property,
        "mock": lambda: unittest.mock.Mock(spec=Opened, x=1),
        "attribute": Attribute,
        "metaclass": Meta("Metaclass", (), {"x": 1}),
        "getattr": Getattr,
    }
    liar = liars[kind]()
    denied("return (...).x", liar)
    denied("return (...)()", liar)
    assert box.eval("(...).x", Opened()) == 1


def test_equal_objects_are_not_the_same(box, denied):
    class Equal:
        x = 1

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

    one, other = box.expose(Equal(), attributes=["x"]), Equal()
    assert box.eval("(...).x", one) == 1
    denied("return (...).x", other)
    denied("return (...)[0]", [1])
    box.expose([1], items=True)
    denied("return (...)[0]", [1])


def test_marks_in_the_wrong_places(box, denied):
    class Thing:
        x = 1

    thing = Thing()
    thing.__lupa_exposed__ = (None, {"attributes": ("x",)})
    denied("return (...).x", thing)
    denied("return (...)()", functools.partial(len))

    def function():
        return 1

    function.__lupa_exposed__ = (None, "nonsense")
    denied("return (...)()", function)


def test_names_of_subclasses_of_str(lupa):
    class Name(str):
        def __eq__(self, other):
            return other == "x"

        def __hash__(self):
            return hash("x")

        def encode(self, *args):
            return b"x"

    class Thing:
        x = 1
        secret = 2

    for encoding in ("UTF-8", None, "latin-1"):
        box = lupa.LuaRuntime(sandbox=True, encoding=encoding)
        thing = box.expose(Thing(), attributes=["x"], writable=["x"])
        with pytest.raises(lupa.LuaSandboxError):
            box.eval("function(o, name) return o[name] end")(thing, Name("secret"))
        with pytest.raises(lupa.LuaSandboxError):
            box.eval("function(o, name) o[name] = 1 end")(thing, Name("secret"))


def test_addresses_are_used_again(box, denied):
    class Thing:
        x = 1

    addresses = set()
    for _ in range(50):
        thing = box.expose(Thing(), attributes=["x"])
        addresses.add(id(thing))
        del thing
    gc.collect()
    others = [Thing() for _ in range(2000)]
    if sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)():
        assert addresses & {id(other) for other in others}
    for other in others:
        denied("return (...).x", other)


# Other runtimes


def test_rights_are_of_one_runtime(lupa, box, denied):
    class Thing:
        x = 1

    thing = Thing()
    lupa.LuaRuntime(sandbox=True).expose(thing, attributes=["x"])
    lupa.LuaRuntime().expose(thing, attributes=["x"])
    denied("return (...).x", thing)


def test_objects_of_other_runtimes(lupa, box, denied):
    whole = lupa.LuaRuntime()
    for code in ("{}", "print", "coroutine.create(function() end)", "os", "python"):
        with pytest.raises(lupa.LuaError, match="different Lua runtimes"):
            box.eval("...", whole.eval(code))
    denied("return (...).eval", whole)
    denied("return (...):globals()", whole)
    denied("return (...).os", box.expose(lambda: whole) and whole)
    table = whole.eval("{1, 2}")
    denied("return (...)()", table.keys)
    denied("return python.iter(...)", iter(table))
    denied("return python.iter(...)", table.items())


def test_objects_of_other_luas(lupa, box, denied, backend):
    from conftest import BACKENDS

    other = next((name for name in BACKENDS if name != backend), None)
    if other is None:
        pytest.skip("only one Lua was built")
    whole = __import__(f"lupa.{other}", fromlist=["LuaRuntime"]).LuaRuntime()
    denied("return (...).exit", whole.globals().os)
    denied("return (...)['exit']", whole.globals().os)
    denied("return (...)('os.exit()')", whole.eval("loadstring or load"))
    denied("return python.iter(...)", whole.globals())


def test_the_runtime_itself(box, denied):
    denied("return (...).eval", box)
    denied("return (...):globals()", box)
    denied("return (...):expose(python.none)", box)
    denied("return (...)()", box.expose)


def test_wrappers(lupa, box, denied):
    class Thing:
        x = 1

    thing = Thing()
    denied("return (...).x", lupa.as_attrgetter(thing))
    denied("return (...).x", lupa.as_itemgetter(thing))
    box.expose(thing, attributes=["x"])
    assert box.eval("(...).x", lupa.as_attrgetter(thing)) == 1
    denied("return (...).__class__", lupa.as_attrgetter(thing))
    denied("return (...).args", box.eval("python.args{1, x = 2}"))
    with pytest.raises(AttributeError, match="an array has no field"):
        box.eval("(...).__array_interface__", box.eval("python.zeros(3)"))


def test_returned_values_and_items(box, denied):
    class Thing:
        x = 1

    thing = Thing()
    box.globals().give = box.expose(lambda: thing)
    box.globals().list = box.expose([thing], items=True, iterate=True)
    holder = type("Holder", (), {"thing": property(lambda self: thing)})()
    box.globals().holder = box.expose(holder, attributes=["thing"])
    for code in (
        "return give().x",
        "return list[0].x",
        "for o in python.iter(list) do return o.x end",
        "for i, o in python.enumerate(list) do return o.x end",
        "for o in python.iterex(list) do return o.x end",
        "return holder.thing.x",
        "return python.as_attrgetter(give()).x",
        "return coroutine.wrap(function() return give() end)().x",
        "return coroutine.wrap(function(f) return f() end)(python.as_function(give)).x",
        "return ({give()})[1].x",
        "local t = setmetatable({}, {__index = give()}); return t.x",
        "return give().__class__.__base__.__subclasses__()",
    ):
        denied(code)


def test_tampering_with_the_own_globals(box, denied):
    box.execute(
        """
        for name in pairs(python) do if name ~= "iter" then python[name] = nil end end
        for _, name in ipairs{"pcall", "tostring", "getmetatable", "string", "table"} do _G[name] = nil end
        """
    )
    denied("return (...).x", object())
    denied("return python.iter(...)", [1])
    assert box.eval("1 + 1") == 2


def test_environments(box, denied, lupa):
    if lupa.LUA_VERSION != (5, 1):
        pytest.skip("this Lua has no setfenv")
    box.execute("for _, f in pairs{load, loadstring, require, setmetatable} do pcall(setfenv, f, {}) end")
    box.execute("setfenv(0, {})")
    denied("return (...).x", object())
    assert box.eval("1 + 1") == 2


def test_overflowing_integers_stay_opaque(box, denied):
    box.execute("seen = {}")
    box.set_overflow_handler(box.eval("function(number) seen[1] = number; return 0 end"))
    assert box.eval("...", 2**100) == 0
    denied("return seen[1].real")
    denied("return seen[1]:to_bytes(20, 'little')")
    assert box.eval("tostring(seen[1])") == "<int object>"


def test_fake_userdata(box, denied, lupa):
    """Nothing that a script has is taken for a Python object, and no object for another."""
    box.globals().give = box.expose(lambda: 1)
    assert box.eval("newproxy") is None
    assert box.eval("getmetatable(give)") is False
    assert box.eval("getmetatable(python.zeros(1))") is False
    with pytest.raises(lupa.LuaError):
        box.eval("setmetatable(give, {})")
    with pytest.raises(lupa.LuaError):
        box.eval("debug.setmetatable(give, {})")
