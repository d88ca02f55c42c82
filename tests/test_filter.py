"""attribute_filter and attribute_handlers can't be walked around with Python's own functions (CVE-2026-34444)."""

import builtins
import functools

import pytest

pytestmark = pytest.mark.beyond

CODE = ("eval", "exec", "compile", "__import__", "open", "breakpoint", "input", "globals", "locals")


class Thing:
    """An object with something to hide."""

    def __init__(self):
        self.public = "public"
        self._private = "private"


def refuse_underscores(obj, name, is_setting):
    if isinstance(name, str) and not name.startswith("_"):
        return name
    raise AttributeError(f"{'set' if is_setting else 'get'} {name} denied")


def getter(obj, name):
    return getattr(obj, refuse_underscores(obj, name, False))


def setter(obj, name, value):
    setattr(obj, refuse_underscores(obj, name, True), value)


@pytest.fixture(params=["filter", "handlers"])
def restricted(request, lupa):
    """``restricted(...)`` makes a runtime that refuses names with an underscore."""
    option = {"filter": {"attribute_filter": refuse_underscores}, "handlers": {"attribute_handlers": (getter, setter)}}

    def make(**options):
        return lupa.LuaRuntime(**option[request.param], **options)

    return make


# How Lua code may get hold of a function: all these take the function, and give what a call of it gives.
WAYS = {
    "called": "function(f, ...) return f(...) end",
    "as_function": "function(f, ...) return python.as_function(f)(...) end",
    "as_attrgetter": "function(f, ...) return python.as_attrgetter(f)(...) end",
    "args": "function(f, ...) return f(python.args{...}) end",
    "in a table": "function(f, ...) local t = {f}; return t[1](...) end",
    "in a coroutine": "function(f, ...) return coroutine.wrap(function(...) return f(...) end)(...) end",
}


@pytest.fixture(params=WAYS)
def way(request):
    """Lua code that calls its first argument."""
    return WAYS[request.param]


def test_getattr(restricted, way):
    lua = restricted()
    call = lua.eval(way)
    assert call(getattr, Thing(), "public") == "public"
    with pytest.raises(AttributeError, match="get _private denied"):
        call(getattr, Thing(), "_private")
    assert call(getattr, Thing(), "_private", 5) == 5
    assert call(getattr, Thing(), "missing", 5) == 5


def test_setattr_and_delattr(restricted, way):
    call, thing = restricted().eval(way), Thing()
    call(setattr, thing, "public", 5)
    assert thing.public == 5
    with pytest.raises(AttributeError, match="set _private denied"):
        call(setattr, thing, "_private", 5)
    with pytest.raises(AttributeError, match=r"denied|no way to delete"):
        call(delattr, thing, "_private")
    assert thing._private == "private"


def test_delattr_with_a_filter(lupa):
    lua, thing = lupa.LuaRuntime(attribute_filter=refuse_underscores), Thing()
    lua.eval("function(o) python.builtins.delattr(o, 'public') end")(thing)
    assert not hasattr(thing, "public")


def test_hasattr(restricted, way):
    call = restricted().eval(way)
    assert call(hasattr, Thing(), "public") is True
    assert call(hasattr, Thing(), "_private") is False
    assert call(hasattr, Thing(), "__class__") is False
    assert call(hasattr, Thing(), "missing") is False


def test_vars_and_dir(restricted, way):
    call, thing = restricted().eval(way), Thing()
    found = call(vars, thing)
    assert found == {"public": "public"}
    found["public"] = 5
    assert thing.public == "public"
    assert call(dir, thing) == ["public"]
    for function in (vars, dir):
        with pytest.raises(PermissionError, match=r"\(\) .* without an argument"):
            call(function)


def test_names_that_the_filter_changes(lupa):
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, setting: "public" if name == "alias" else name)
    assert lua.eval("python.builtins.getattr(..., 'alias')", Thing()) == "public"
    thing = Thing()
    lua.eval("python.builtins.setattr(..., 'alias', 5)", thing)
    assert thing.public == 5


def test_wrong_arguments_are_type_errors(restricted):
    lua = restricted()
    for call in ("getattr(1)", "getattr(1, 2, 3, 4)", "setattr(1)", "hasattr(1)", "vars(1, 2)", "dir(1, 2)"):
        with pytest.raises(TypeError):
            lua.eval(f"python.builtins.{call}")
    with pytest.raises(TypeError):
        lua.eval("python.builtins.getattr(python.args{1, 'real', default = 5})")


@pytest.mark.parametrize("name", CODE)
def test_code_is_refused(restricted, name):
    lua = restricted()
    function = getattr(builtins, name)
    for way in WAYS.values():
        with pytest.raises(PermissionError, match=rf"Lua code cannot use {function.__name__}\(\)"):
            lua.eval(way)(function, "1")
    if not name.startswith("_"):
        with pytest.raises(PermissionError):
            lua.eval(f"python.builtins.{name}('1')")


def test_python_eval(restricted):
    with pytest.raises(PermissionError, match="register_eval=True"):
        restricted().eval("python.eval('1 + 1')")
    assert restricted(register_eval=True).eval("python.eval('1 + 1')") == 2
    assert restricted(register_builtins=True).eval("python.eval('1 + 1')") == 2
    assert restricted(register_eval=False).eval("python.eval") is None
    with pytest.raises(PermissionError):
        restricted(register_eval=True).eval("python.builtins.exec('1')")


def test_asked_for_expressly(restricted):
    lua = restricted(register_builtins=True)
    assert lua.eval("python.builtins.eval('1 + 1')") == 2
    assert lua.eval("python.builtins.compile('1', 'x', 'eval') ~= nil") is True
    with pytest.raises(AttributeError, match="denied"):
        lua.eval("python.builtins.getattr(..., '_private')", Thing())


def test_nothing_changes_without_filter_and_handlers(lua):
    assert lua.eval("python.eval('1 + 1')") == 2
    assert lua.eval("python.builtins.getattr(..., '_private')", Thing()) == "private"
    assert lua.eval("function(f) return f end")(getattr) is getattr
    assert lua.eval("python.as_attrgetter(python.builtins.str).format('{0.__class__.__name__}', 5)") == "int"


def test_functions_that_call_functions(restricted):
    lua = restricted()
    lua.globals().map, lua.globals().partial = map, functools.partial
    lua.globals().list = list
    with pytest.raises(AttributeError, match="denied"):
        lua.eval("list(map(python.builtins.getattr, ...))", [Thing()], ["_private"])
    with pytest.raises(AttributeError, match="denied"):
        lua.eval("partial(python.builtins.getattr, ...)('_private')", Thing())
    with pytest.raises(PermissionError):
        lua.eval("list(map(python.eval, {x = 1}))")
    with pytest.raises(PermissionError):
        lua.eval("python.builtins.max(python.args{{1, 2}, key = python.eval})")
    with pytest.raises(PermissionError):
        lua.eval("list(map(python.as_function(python.eval), {x = 1}))")


def test_classes_made_by_lua_code(restricted):
    lua = restricted()
    with pytest.raises(PermissionError):
        lua.execute("""
            local b = python.builtins
            local class = b.type("X", b.tuple(), b.dict({__call__ = b.eval}))
            return class()("1 + 1")
        """)


def test_items_that_lua_code_sets(lupa):
    lua, items = lupa.LuaRuntime(attribute_filter=refuse_underscores), [None]
    lua.eval("function(items, f) python.as_itemgetter(items)[0] = f end")(items, getattr)
    with pytest.raises(AttributeError, match="denied"):
        items[0](Thing(), "_private")


def test_names_that_lie(lupa):
    """A name that is of a subclass of str tells a filter what it wants."""

    class Name(str):
        __slots__ = ()

        def startswith(self, _):
            return False

    for options in ({"attribute_filter": refuse_underscores}, {"attribute_handlers": (getter, setter)}):
        lua = lupa.LuaRuntime(**options)
        name = lupa.as_attrgetter(Name("_private"))
        for code in ("o[n]", "python.builtins.getattr(o, n)"):
            with pytest.raises(AttributeError, match="denied"):
                lua.eval(f"function(o, n) return {code} end")(Thing(), name)
        for code in ("o[n] = 1", "python.builtins.setattr(o, n, 1)"):
            with pytest.raises(AttributeError, match="denied"):
                lua.eval(f"function(o, n) {code} end")(Thing(), name)


HARMFUL = ("{0.__class__}", "{0.public}", "{{{0._private}}}", "{0[:].x}", "{1:{0._private}}", "{0[a].x}", "{0[}].x}")


@pytest.mark.parametrize("template", HARMFUL)
def test_format_strings_that_read_attributes(lupa, restricted, template):
    lua, text, objects = restricted(), lupa.as_attrgetter(template), [Thing(), 5]
    lua.globals().list, lua.globals().map = list, map
    for code in (
        "t.format(o, 5)",
        "python.as_attrgetter(python.builtins.str).format(t, o, 5)",
        "python.as_function(t.format)(o, 5)",
        "t.format(python.args{o, 5})",
        "list(map(t.format, os))",
        "list(map(python.as_attrgetter(python.builtins.str).format, ts, os))",
    ):
        with pytest.raises(AttributeError, match="format string"):
            lua.eval(f"function(t, o, ts, os) return {code} end")(text, objects[0], [template], objects)


def test_format_map(lupa, restricted):
    lua = restricted()
    call = lua.eval("function(t, m) return t.format_map(m) end")
    assert call(lupa.as_attrgetter("{x:.1f}"), {"x": 1.25}) == "1.2"
    with pytest.raises(AttributeError, match="format string"):
        call(lupa.as_attrgetter("{x.__class__}"), {"x": 1.25})


def test_format_strings_that_do_not(lupa, restricted):
    lua = restricted()
    call = lua.eval("function(t, ...) return t.format(...) end")
    for template in ("{} {}", "{0:.2f}.x", "{{0.x}}", "{1!r:>5.3}", "a.b", "plain"):
        assert call(lupa.as_attrgetter(template), 1.5, "x") == template.format(1.5, "x")


def test_subclasses_of_str(lupa, restricted):
    class Text(str):
        __slots__ = ()

    with pytest.raises(AttributeError, match="format string"):
        restricted().eval("function(t, o) return t.format(o) end")(lupa.as_attrgetter(Text("{0._private}")), Thing())


def test_errors_of_the_filter(lupa):
    def broken(obj, name, is_setting):
        raise ZeroDivisionError(name)

    lua = lupa.LuaRuntime(attribute_filter=broken)
    lua.globals().getattr, lua.globals().hasattr, lua.globals().dir = getattr, hasattr, dir
    for code in ("getattr({}, 'x')", "getattr({}, 'x', 5)", "hasattr({}, 'x')", "dir({})"):
        with pytest.raises(ZeroDivisionError):
            lua.eval(code)


def test_runtimes_are_collected(lupa):
    import gc
    import weakref

    class Filter:
        def __call__(self, obj, name, is_setting):
            return name

    restrict = Filter()
    alive = weakref.ref(restrict)
    lua = lupa.LuaRuntime(attribute_filter=restrict)
    restrict.kept = [lua, lua.eval("function(f) return f end")(getattr)]
    lua.globals().kept = restrict.kept[1]
    del restrict, lua
    gc.collect()
    assert alive() is None
