"""What a script may call where its access to attributes is restricted: no way around a filter or handlers.

Each attack is an expression of Lua, with ``o``, an object that has a secret, ``code``, which a script must not run,
``b``, the builtins, and containers with functions in them, as Python code makes them.
"""

import builtins
import collections
import enum
import functools
import importlib
import io
import itertools
import operator
import os
import pickle
import string
import sys
import types

import pytest
from test_filter import Thing, getter, refuse_underscores, setter

pytestmark = pytest.mark.beyond

# What code that runs leaves behind.
WITNESS = []
CODE = f"__import__('sys').modules[{__name__!r}].WITNESS.append('code')"


def refuse_private(obj, name, is_setting):
    """As careless as a filter can be: it lets through what Python itself uses."""
    if name == "_private":
        raise AttributeError("get _private denied")
    return name


def private_getter(obj, name):
    return getattr(obj, refuse_private(obj, name, False))


OPTIONS = {
    "filter": {"attribute_filter": refuse_underscores},
    "handlers": {"attribute_handlers": (getter, setter)},
}
CARELESS = {
    "filter": {"attribute_filter": refuse_private},
    "handlers": {"attribute_handlers": (private_getter, None)},
}
FLAGS = {"as it is": {}, "without eval": {"register_eval": False}}


class Meta(type):
    """A metaclass."""


class Account(metaclass=Meta):
    """A class with a metaclass of its own."""


class Kind(enum.Enum):
    """An enumeration without members, by which others can be made."""


class Colour(enum.Enum):
    """An enumeration with members."""

    RED = 1


def numbers():
    """A generator, which has a frame."""
    yield 1


def things(lua):
    """What the host hands over, and what scripts get hold of."""
    given = {
        "o": Thing(), "o_class": Thing, "b": builtins, "code": CODE, "builtins_dict": vars(builtins),
        "names": ["_private"], "objects": [Thing()], "codes": [CODE, CODE], "evals": [eval, exec],
        "getattrs": [getattr],
        "types": [type], "strs": ["X"], "tuples": [()], "spaces": [{"__call__": eval}],
        "space": {"__call__": eval},
        "pairs": [[CODE]], "maps": [map], "opens": [open], "paths": [__file__], "formats": ["{0._private}"],
        "operator": operator, "functools": functools, "itertools": itertools, "importlib": importlib, "io": io,
        "enum": enum, "py_types": types, "string_formatter": string.Formatter(), "pickle": pickle,
        "pickles": [pickle.dumps(Thing)],
        "collections": collections, "Meta": Meta, "Account": Account, "Kind": Kind, "Colour": Colour,
        "module": [builtins], "eval_name": ["eval"], "partials": [functools.partial(eval, CODE)],
        "frame_reader": operator.attrgetter("gi_frame.f_globals"), "reader": operator.attrgetter("_private"),
        "eval_method": types.MethodType(getattr, Thing()),
        "eval_partial": functools.partial(eval, CODE), "os": os,
        "nested": functools.partial(functools.partial(functools.partial(eval), CODE), {}),
        "cached": functools.lru_cache(eval), "numbers": numbers(), "slots": type.__call__,
        "code_object": numbers.__code__,
        "methods": {"eval": eval.__call__, "getattr": getattr.__call__.__call__, "new": type.__new__},
        "globals": [{}], "reducible": [[CODE, {}]], "frames": [numbers()], "classes": [object], "metas": [Meta],
        "sortable": [CODE, CODE], "error": caught(), "path": __file__,
        "loader": importlib.machinery.BuiltinImporter, "sys_modules": [["this"]], "text": "{0._private}",
        "format_method": "{0._private}".format,
        "static": staticmethod(eval), "function_type": types.FunctionType, "property": property,
        "alias": type[int],
    }  # fmt: skip
    for name, value in given.items():
        lua.globals()[name] = value
    lua.globals().caught = caught
    lua.execute("attr, item = python.as_attrgetter, python.as_itemgetter")
    return given


def caught():
    """An exception with a traceback."""
    try:
        raise ValueError("caught")
    except ValueError as error:
        return error


# What a script tries with public names only.
ATTACKS = {
    "the class of the report": """(function()
        local values, keys = b.list(attr(b.vars(b)).values()), b.list(attr(b.vars(b)).keys())
        item(keys)[attr(keys).index('getattr')] = '__call__'
        return b.type('X', b.tuple(), b.dict(b.zip(keys, values)))()(o, '_private')
    end)()""",
    "the same with eval": "b.type('X', b.tuple(), space)()(code)",
    "with another map": "b.list(b.map(b.type, strs, tuples, spaces))",
    "with a map from a list": "b.list(item("
    "b.list(b.map(item(maps)[0], types, b.list(b.zip(strs)), b.list(b.zip(tuples)), b.list(b.zip(spaces)))))[0])",
    "keywords": "b.type(python.args{'X', b.tuple(), space})",
    "a list's type": "item(types)[0]('X', b.tuple(), space)",
    "types in map": "b.list(item("
    "b.list(b.map(b.map, types, b.list(b.zip(strs)), b.list(b.zip(tuples)), b.list(b.zip(spaces)))))[0])",
    "an alias of type": "item(b.type)[b.int]('X', b.tuple(), space)",
    "an alias": "alias('X', b.tuple(), space)",
    "a metaclass": "Meta('X', b.tuple(), space)",
    "its class": "b.type(Account)('X', b.tuple(), space)",
    "the class of a class": "b.type(b.type(o))('X', b.tuple(), space)",
    "mapped over metaclasses": "b.next(b.map(b.type, metas))('X', b.tuple(), space)",
    "the class of a function": "b.type(caught)(code_object, b.dict())",
    "a class to look at": "b.type(o)()",
    "of a number": "b.type(1)('5')",
    "an enumeration": "Kind('X', b.list(attr(space).items()))",
    "Enum itself": "enum.Enum('X', space)",
    "new_class": "py_types.new_class('X')",
    "functions of code": "py_types.FunctionType(code_object, b.dict())",
    "functions of code, by class": "function_type(code_object, b.dict())",
    "code objects": "py_types.CodeType()",
    "help": "b.help('this')",
    "exit": "b.exit()",
    "quit": "b.quit(1)",
    "license": "b.license()",
    "copyright": "b.copyright()",
    "credits": "b.credits()",
    "help by dict": "item(builtins_dict).help('this')",
    "eval by dict": "item(builtins_dict).eval(code)",
    "eval by vars": "item(b.vars(b)).eval(code)",
    "eval by get": "attr(b.vars(b)).get('eval')(code)",
    "eval by values": "(function() for f in python.iter(evals) do f(code, item(globals)[0]) end end)()",
    "eval by enumerate": "(function() for i, f in python.enumerate(evals) do f(code) end end)()",
    "eval by items": "(function() for k, f in python.iterex(attr(space).items()) do f(code) end end)()",
    "eval by next": "b.next(b.iter(evals))(code)",
    "eval popped": "attr(evals).pop()(code)",
    "eval of min": "b.min(python.args{evals, key = b.id})(code)",
    "map": "b.list(b.map(b.eval, codes))",
    "map of a list": "b.list(b.map(item(evals)[0], codes, globals))",
    "map of map": "b.list(item(b.list(b.map(b.map, evals, pairs)))[0])",
    "map in a list of map": "b.list(b.next(b.map(b.map, evals, b.list(b.zip(codes)))))",
    "map of iter": "b.list(b.next(b.map(b.iter, partials, codes)))",
    "map of filter": "b.list(b.next(b.map(b.filter, evals, pairs)))",
    "map of map of a list": "b.list(b.next(b.map(item(maps)[0], evals, pairs)))",
    "map of getattr": "b.list(b.map(b.getattr, objects, names))",
    "map of getattr of a list": "b.list(b.map(item(getattrs)[0], objects, names))",
    "map of getattr from builtins": "b.list(b.next(b.map(b.map, b.list(b.map(b.getattr, module, eval_name)), pairs)))",
    "map of open": "b.list(b.map(b.open, paths))",
    "filter": "b.list(b.filter(b.eval, codes))",
    "sorted": "b.sorted(python.args{codes, key = b.eval})",
    "list.sort": "attr(sortable).sort(python.args{key = b.eval})",
    "max": "b.max(python.args{codes, key = b.eval})",
    "min": "b.min(python.args{codes, key = item(evals)[0]})",
    "iter": "b.next(b.iter(b.input, 'x'))",
    "iter of partial": "b.next(b.iter(eval_partial, 'x'))",
    "partial": "functools.partial(b.eval, code)()",
    "the host's partial": "eval_partial()",
    "nested partials": "nested()",
    "a partial of getattr": "functools.partial(b.getattr, o, '_private')()",
    "a map of partials": "b.next(b.map(functools.partial, evals, codes))()",
    "a partial of map": "b.list(functools.partial(b.map, b.eval)(codes))",
    "a map of partials of map": "b.list(b.next(b.map(functools.partial, maps, evals, pairs))())",
    "reduce": "functools.reduce(b.eval, item(reducible)[0])",
    "a map of reduce": "b.list(b.map(functools.reduce, evals, reducible))",
    "starmap": "b.list(itertools.starmap(b.eval, pairs))",
    "a map of starmap": "b.list(b.next(b.map(itertools.starmap, evals, b.list(b.zip(pairs)))))",
    "a method": "eval_method('_private')",
    "a map of methods": "b.next(b.map(py_types.MethodType, evals, codes))()",
    "cached": "cached(code)",
    "a map of caches": "b.next(b.map(functools.lru_cache(128), evals))(code)",
    "a staticmethod": "b.staticmethod(b.eval)(code)",
    "the host's staticmethod": "static(code)",
    "a classmethod": "b.classmethod(b.eval)",
    "a property": "b.property(b.eval)",
    "super": "b.super(o_class, o)",
    "a slot": "methods.eval(code)",
    "a slot of a slot": "methods.getattr(o, '_private')",
    "a slot of type": "slots(item(types)[0], 'X', b.tuple(), space)",
    "a map of slots of type": "b.list(b.map(slots, types, strs, tuples, spaces))",
    "__new__ of type": "methods.new(b.type, 'X', b.tuple(), space)",
    "a map of __new__": "b.list(b.map(methods.new, types, strs, tuples, spaces))",
    "attrgetter": "attr(operator).attrgetter('_private')(o)",
    "a map of attrgetter": "b.list(b.map(attr(operator).attrgetter, names))",
    "the host's attrgetter": "reader(o)",
    "a map of the host's attrgetter": "b.list(b.map(reader, objects))",
    "sorted by an attrgetter": "b.sorted(python.args{objects, key = reader})",
    "methodcaller": "attr(operator).methodcaller('__getattribute__', '_private')(o)",
    "a map of methodcaller": "b.list(b.map(attr(operator).methodcaller('__getattribute__', '_private'), objects))",
    "operator.call": "attr(operator).call(b.eval, code)",
    "a map of attr(operator).call": "b.list(b.map(attr(operator).call, evals, codes))",
    "import_module": "importlib.import_module('this')",
    "reload": "importlib.reload(os)",
    "__import__ of importlib": "importlib['__import__']('this')",
    "a loader": "loader.load_module('this')",
    "io.open": "io.open(path)",
    "FileIO": "io.FileIO(path)",
    "open_code": "io.open_code(path)",
    "a reader of a file's class": "b.type(b.list())(codes)",
    "Formatter": "string_formatter.format('{0._private}', o)",
    "format": "attr(b.str).format(text, o)",
    "a map of format": "b.list(b.map(attr(b.str).format, formats, objects))",
    "pickle": "b.next(b.map(pickle.loads, pickles))",
    "a generator's frame": "item(numbers.gi_frame.f_builtins).eval(code)",
    "its globals": "numbers.gi_frame.f_globals",
    "its caller": "b.getattr(numbers.gi_frame, 'f_back')",
    "an attrgetter of frames": "b.list(b.map(frame_reader, frames))",
    "a function of builtins replaced": "(function() b.isinstance = function() return true end end)()",
    "the same by setattr": "b.setattr(b, 'isinstance', function() return true end)",
    "the same by delattr": "b.delattr(b, 'isinstance')",
    "as_function": "python.as_function(b.eval)(code)",
    "as_function of type": "python.as_function(b.type)('X', b.tuple(), space)",
    "an overflow": "(function() python.set_overflow_handler(b.eval); return b.eval(code) end)()",
    "a default factory": "item(collections.defaultdict(eval_partial)).x",
    "a map of default factories": "item(b.next(b.map(collections.defaultdict, partials))).x",
    "what came back": "(function() local t = b.list(); attr(t).append(b.eval); return item(t)[0](code) end)()",
    "what came back from a dict": "item(b.dict{f = b.eval}).f(code)",
    "what came back from Lua": "b.list(b.map(function(f) return f(code) end, evals))",
    "what Lua gives": "b.list(b.next(b.map(b.map, b.list(b.map(function(f) return f end, evals)), pairs)))",
    "a coroutine": "coroutine.wrap(function() return b.eval(code) end)()",
}

# What a script tries besides if a filter lets it read what begins with two underscores.
DUNDERS = {
    "__call__": "b.eval.__call__(code)",
    "__call__ of __call__": "b.eval.__call__.__call__.__call__(code)",
    "__self__": "b.eval.__call__.__self__(code)",
    "__class__": "o.__class__.__class__('X', b.tuple(), space)",
    "__class__ of a function": "numbers.__class__.__class__('X', b.tuple(), space)",
    "a function's class": "caught.__class__(code_object, b.dict())",
    "__class__.__call__": "b.next(b.map(o.__class__.__class__.__call__, types, strs, tuples, spaces))",
    "__new__": "o.__class__.__class__.__new__(b.type, 'X', b.tuple(), space)",
    "mapped __new__": "b.list(b.map(o.__class__.__class__.__new__, types, strs, tuples, spaces))",
    "__subclasses__": "b.object.__subclasses__()",
    "__subclasses__ of type": "b.type.__subclasses__(b.object)",
    "mapped __subclasses__": "b.list(b.map(b.type.__subclasses__, classes))",
    "__getattribute__": "o.__getattribute__('_private')",
    "__getattribute__ of object": "b.object.__getattribute__(o, '_private')",
    "mapped __getattribute__": "b.list(b.map(b.object.__getattribute__, objects, names))",
    "__get__": "attr(b.str).format.__get__(text, b.str)(o)",
    "__setattr__": "o.__setattr__('_private', 5)",
    "__delattr__": "b.object.__delattr__(o, '_private')",
    "__loader__": "b.__loader__.load_module('this')",
    "__build_class__": "b.__build_class__(function() end, 'X')",
    "__import__": "b.__import__('this')",
    "the loader of a module": "enum.__spec__.loader.get_data(path)",
    "attrgetter's class": "reader.__class__('_private')(o)",
    "a traceback": "error.__traceback__.tb_frame.f_builtins",
    "a partial's class": "b.next(b.map(eval_partial.__class__, evals, codes))()",
    "a method of a partial": "eval_partial.__call__()",
    "format": "format_method.__call__(o)",
}

if sys.version_info < (3, 10):
    # A staticmethod cannot be called there.
    del ATTACKS["the host's staticmethod"]

# With handlers, items are attributes: an attack that needs an item of a list ends there.
REFUSED = "Lua code cannot|Lua's access|denied|has no attribute|have no way|attribute name must be string"


def attack(make, code):
    """Run an attack; nothing of it may come out, nor happen."""
    lua = make()
    given = things(lua)
    modules, own = set(sys.modules), dict(vars(builtins))
    try:
        with pytest.raises((PermissionError, AttributeError, TypeError), match=REFUSED):
            lua.eval(code)
    finally:
        changed = vars(builtins) != own
        vars(builtins).update(own)
    assert not WITNESS
    assert "this" not in set(sys.modules) - modules
    assert not changed
    assert given["o"]._private == "private"


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ATTACKS)
def test_public_names(lupa, name, option, flags):
    attack(lambda: lupa.LuaRuntime(**OPTIONS[option], **FLAGS[flags]), ATTACKS[name])


@pytest.mark.parametrize("option", CARELESS)
@pytest.mark.parametrize("name", [*ATTACKS, *DUNDERS])
def test_names_of_python(lupa, name, option):
    attack(lambda: lupa.LuaRuntime(**CARELESS[option]), {**ATTACKS, **DUNDERS}[name])


NOT_TRIED = {
    "a function of builtins replaced", "the same by setattr", "the same by delattr", "help", "help by dict",
    "exit", "quit",
    "license", "copyright", "credits", "iter", "code objects", "import_module", "__import__ of importlib", "__import__",
    "a loader", "__loader__", "map of iter", "iter of partial", "__build_class__",
}  # fmt: skip


@pytest.mark.skipif(sys.version_info < (3, 11), reason="some of what is used is newer")
@pytest.mark.parametrize("name", sorted({*ATTACKS, *DUNDERS} - NOT_TRIED))
def test_attacks_are_real(lua, name):
    """Without a filter all of them succeed."""
    things(lua)
    try:
        lua.eval({**ATTACKS, **DUNDERS}[name])
    except TypeError:
        # What the code has given cannot be compared.
        assert WITNESS
    finally:
        WITNESS.clear()


def test_every_builtin_has_a_verdict(isolated):
    """A new Python may fail here: then its new builtins belong into the table in ``rights/restrict/builtins.rs``."""
    isolated("""
        import builtins
        verdicts = lupa._verdicts_on_builtins()
        unknown = set(dir(builtins)) - set(verdicts)
        assert not unknown, unknown
        for name in ("eval", "exec", "compile", "open", "__import__", "help", "super", "property", "exit"):
            assert verdicts[name][0] == "refused", name
        assert {verdict for verdict, why in verdicts.values()} == {"allowed", "obeys", "refused"}
        assert all(why for verdict, why in verdicts.values())
    """)


@pytest.mark.parametrize("option", OPTIONS)
def test_refused_builtins_are_refused(lupa, option):
    lua = lupa.LuaRuntime(**OPTIONS[option])
    for name, (verdict, _) in lupa._verdicts_on_builtins().items():
        value = getattr(builtins, name, None)
        if verdict == "refused" and callable(value):
            with pytest.raises(PermissionError, match="register_builtins=True allows it"):
                lua.eval("function(f) f() end")(value)


def test_builtins_that_are_not_in_the_table(isolated):
    """Those of a newer Python are refused; what a program has added is its own affair."""
    isolated("""
        import builtins

        def newer(): return 5
        def added(): return 5
        newer.__module__ = "builtins"
        builtins.newer, builtins._ = newer, added
        lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: name)
        assert lua.eval("python.builtins._()") == 5
        try:
            lua.eval("python.builtins.newer()")
        except PermissionError as error:
            assert "newer than this version of lupa" in str(error)
        else:
            raise AssertionError("not refused")
    """)


# What goes on as in a runtime without a filter.
ORDINARY = {
    "b.len('four')": 4,
    "b.int('12') + b.float('0.5')": 12.5,
    "b.str(b.list(b.map(function(x) return x * 2 end, b.range(3))))": "[0, 2, 4]",
    "b.sum(b.map(b.int, b.list('123')))": 6,
    "b.str(b.sorted(python.args{b.list('cab'), key = b.ord, reverse = true}))": "['c', 'b', 'a']",
    "b.max(python.args{b.list('ab'), key = function(c) return -b.ord(c) end})": "a",
    "b.str(b.dict(b.zip(b.list('ab'), b.range(2))))": "{'a': 0, 'b': 1}",
    "b.str(b.list(b.filter(nil, b.range(3))))": "[1, 2]",
    "b.next(b.iter(function() return 7 end, 8))": 7,
    "attr(b.str).upper('x')": "X",
    "attr(b.dict).fromkeys('a') ~= nil": True,
    "b.isinstance(1, b.int)": True,
    "b.isinstance(1, b.type(2))": True,
    "b.isinstance(1, b.tuple(b.list(b.map(b.type, b.list(b.range(2))))))": True,
    "b.isinstance(b.int, b.type)": True,
    "b.isinstance(b.len, b.type(b.eval))": True,
    "b.issubclass(b.bool, b.int)": True,
    "b.issubclass(b.type(true), b.type(1))": True,
    "b.type(1) == b.int": True,
    "b.type(1) == b.type(2)": True,
    "b.type(1) == b.type('x')": False,
    "b.int == b.int": True,
    "b.int == b.str": False,
    "b.type(b.int) == b.type": True,
    "b.type(o) == o_class": True,
    "tostring(b.type(1))": "<class 'int'>",
    "b.repr(b.type(1))": "<class 'int'>",
    "b.str(b.len)": "<built-in function len>",
    "python.eval == b.eval": True,
    "tostring(python.eval)": "<built-in function eval>",
    "b.callable(b.eval)": True,
    "b.str(o_class() ~= nil)": "True",
    "Account() ~= nil": True,
    "Colour(1) == attr(Colour).RED": True,
    "functools.partial(b.int, python.args{base = 2})('11')": 3,
    "b.str(b.ValueError('x'))": "x",
    "b.len(collections.defaultdict(b.list))": 0,
    "numbers.gi_frame ~= nil": True,
    "b.str(b.list(b.map(attr(operator).attrgetter, b.list()))) == '[]'": True,
    "caught().args ~= nil": True,
    "public_reader(o)": "public",
    "public_path('o.x')": "O.X",
    "b.str(b.list(b.map(attr(operator).methodcaller('split', 'b'), b.list{x = 1})))": "[['x']]",
}


@pytest.mark.parametrize("option", [*OPTIONS, "none"])
@pytest.mark.parametrize("code", ORDINARY)
def test_ordinary_use(lupa, code, option):
    lua = lupa.LuaRuntime(**OPTIONS.get(option, {}))
    things(lua)
    lua.globals().public_reader = operator.attrgetter("public")
    lua.globals().public_path = operator.methodcaller("upper")
    assert lua.eval(code) == ORDINARY[code]


@pytest.mark.parametrize("option", OPTIONS)
def test_classes_from_type(lupa, option):
    """What ``type`` gives can be compared and printed, in Python too, and is not called by anybody."""
    lua = lupa.LuaRuntime(**OPTIONS[option])
    shown = lua.eval("python.builtins.type(...)", Thing())
    assert shown == Thing
    assert Thing == shown
    other = str
    assert shown != other
    assert {Thing: 1}[shown] == 1
    assert str(shown) == repr(shown) == repr(Thing)
    assert shown.__name__ == "Thing"
    assert shown.__qualname__ == "Thing"
    assert isinstance(Thing(), shown)
    assert issubclass(Thing, shown)
    assert lua.eval("function(a, b) return a == b end")(shown, Thing) is True
    with pytest.raises(PermissionError, match=r"Lua code cannot use Thing\(\)"):
        shown()
    with pytest.raises(PermissionError):
        list(map(shown, [1]))


@pytest.mark.parametrize("option", OPTIONS)
def test_frames_are_opaque(lupa, option):
    lua = lupa.LuaRuntime(**OPTIONS[option])
    frame = numbers().gi_frame
    with pytest.raises(AttributeError, match="through a frame"):
        lua.eval("(...).f_globals", frame)
    assert lua.eval("python.builtins.getattr(..., 'f_globals', 5)", frame) == 5
    assert lua.eval("python.builtins.hasattr(..., 'f_globals')", frame) is False
    assert lupa.LuaRuntime(**OPTIONS[option], register_builtins=True).eval("(...).f_lineno", frame) == frame.f_lineno


@pytest.mark.parametrize("option", OPTIONS)
def test_print_asks_for_write(lupa, option):
    class File:
        """A file that is not for Lua."""

        @property
        def write(self):
            raise RuntimeError("write")

    def deny(obj, name, *_):
        raise AttributeError(f"{name} denied")

    denying = {"filter": {"attribute_filter": deny}, "handlers": {"attribute_handlers": (deny, None)}}
    lua = lupa.LuaRuntime(**denying[option])
    lua.globals().print_, lua.globals().file = print, File()
    with pytest.raises(AttributeError, match="write denied"):
        lua.eval("print_(python.args{'x', file = file})")
    out = io.StringIO()
    lua = lupa.LuaRuntime(**OPTIONS[option])
    lua.eval("function(file) python.builtins.print(python.args{'x', file = file}) end")(out)
    assert out.getvalue() == "x\n"


@pytest.mark.parametrize("option", OPTIONS)
def test_vars_gives_what_stands_for_functions(lupa, option):
    lua = lupa.LuaRuntime(**OPTIONS[option])
    found = lua.eval("python.builtins.vars(python.builtins)")
    assert found["len"] is len
    assert found["eval"] is not eval
    assert found["eval"] == eval
    with pytest.raises(PermissionError):
        found["eval"]("1")
    with pytest.raises(PermissionError):
        list(lua.eval("python.builtins.map(python.builtins.getattr, ...)", [builtins], ["eval"]))[0]("1")


@pytest.mark.parametrize("option", OPTIONS)
def test_what_the_flags_allow(lupa, option):
    lua = lupa.LuaRuntime(**OPTIONS[option], register_eval=True)
    things(lua)
    try:
        assert lua.eval("b.list(b.map(b.eval, codes)) ~= nil") is True
        assert WITNESS == ["code", "code"]
    finally:
        WITNESS.clear()
    with pytest.raises(PermissionError):
        lua.eval("b.type('X', b.tuple(), space)")
    lua = lupa.LuaRuntime(**OPTIONS[option], register_builtins=True)
    things(lua)
    assert lua.eval("b.type('X', b.tuple(), space)()('1 + 1')") == 2
    assert lua.eval("b.type(o)") is Thing
    partial = "functools.partial(b.getattr, o)('_private')"
    for code in (partial, "reader(o)", "b.list(b.map(b.getattr, objects, names))"):
        with pytest.raises(AttributeError, match="denied"):
            lua.eval(code)


def test_a_reader_obeys_names_with_dots(lupa):
    seen = []
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: seen.append(name) or name)
    thing = Thing()
    thing.other = thing
    read = operator.attrgetter("other.public", "public")
    assert lua.eval("function(f, o) return f(o) end")(read, thing) == ("public",) * 2
    assert seen == ["other", "public", "public"]
    caller = operator.methodcaller("split", sep="b")
    assert lua.eval("function(f, o) return f(o) end")(caller, lupa.as_attrgetter("abc")) == ["a", "c"]


def test_nothing_changes_without_a_filter(lua):
    given = things(lua)
    assert lua.eval("b.type(o)") is Thing
    assert lua.eval("function(...) return ... end")(type, map, given["reader"]) == (type, map, given["reader"])
    assert lua.eval("b.type('X', b.tuple(), space)()('1 + 1')") == 2
