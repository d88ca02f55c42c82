"""``LuaRuntime.expose`` and ``exposed``: what the host lets a sandbox do with Python objects."""

import gc
import math
import weakref

import pytest
from test_sandbox import Account

pytestmark = pytest.mark.beyond


def test_nothing_is_exposed_by_itself(box, refused):
    account = Account()
    refused(lambda: box.eval("(...).owner", account), "may not read 'owner' of this 'Account'")
    refused(lambda: box.execute("(...).owner = 1", account), "may not set 'owner' of this 'Account'")
    refused(lambda: box.eval("(...)()", len), "may not call this 'builtin_function_or_method'.*call=True")
    refused(lambda: box.eval("(...)()", Account), "may not call this 'type'.*construct=True")
    refused(lambda: box.eval("(...)[1]", [1]), "may not read items of this 'list'.*items=True")
    refused(lambda: box.execute("(...)[1] = 2", [1, 2]), "may not set items of this 'list'.*writable_items=True")
    for function in ("iter", "iterex", "enumerate"):
        refused(lambda name=function: box.eval(f"python.{name}(...)", [1]), "may not iterate over this 'list'")
    refused(lambda: box.eval("python.array(...)", bytearray(3)), "array of this 'bytearray'")
    assert account.owner == "Ann"


def test_plain_data_passes(box):
    assert box.eval("...", 1, 2.5, "x", True, None, b"y") == (1, 2.5, "x", True, None, "y")
    table = box.table_from({"a": [1, {"b": 2}]}, recursive=True)
    assert box.eval("(...).a[2].b", table) == 2


def test_identity_passes(box):
    account = Account()
    assert box.eval("...", account) is account
    assert box.eval("{...}", account)[1] is account
    assert box.eval("function(a, b) return a == b, a ~= b end")(account, account) == (True, False)


def test_text(lupa, box):
    assert box.eval("tostring(...)", Account()) == "<Account object>"
    assert box.eval("tostring(...)", ValueError("secret")) == "ValueError"
    assert box.eval("tostring(python.none)") == "None"
    box.expose(Account, text=True)
    account = Account()
    assert box.eval("tostring(...)", account) == str(account)
    box.expose(Exception, text=True)
    assert box.eval("tostring(...)", ValueError("shown")) == "shown"
    boxed = lupa.LuaRuntime(sandbox=True, encoding=None)
    assert boxed.eval(b"tostring(...)", Account()) == b"<Account object>"


def test_functions(box, refused):
    def double(n):
        return 2 * n

    assert box.expose(double) is double
    box.globals().double = double
    assert box.eval("double(21)") == 42
    assert box.eval("pcall(double, 21)") == (True, 42)
    assert box.eval("python.as_function(double)(21)") == 42
    assert box.eval("double(python.args{n = 4})") == 8
    refused(lambda: box.eval("double.__globals__"))
    refused(lambda: box.eval("(...)(1)", lambda n: n))


def test_kinds_of_functions(box):
    assert box.eval("(...)('abc')", box.expose(len)) == 3
    assert box.eval("(...)(1)", box.expose([5].append)) is None
    assert box.eval("(...)(3)", box.expose(Account().deposit)) == 3
    with pytest.raises(TypeError, match="say what"):
        box.expose(Account())
    with pytest.raises(TypeError, match="say what"):
        box.expose(Account)


def test_decorators(box):
    @box.expose
    def triple(n):
        return 3 * n

    @box.expose(attributes=["owner"], construct=True)
    class Owned(Account):
        pass

    assert box.eval("(...)(3)", triple) == 9
    assert box.eval("(...)('Bob').owner", Owned) == "Bob"


def test_attributes(box, refused):
    account = box.expose(Account(), attributes=["owner", "balance", "deposit", "friends"], writable=["owner"])
    box.globals().account = account
    assert box.eval("account.owner, account.balance") == ("Ann", 0)
    assert box.eval("account:deposit(5) + account.deposit(3)") == 13
    assert box.eval("account.deposit(2)") == 10
    box.execute("account.owner = 'Bob'")
    assert account.owner == "Bob"
    refused(lambda: box.execute("account.balance = 1e9"))
    refused(lambda: box.eval("account.pin"))
    refused(lambda: box.eval("account:drain()"))
    refused(lambda: box.eval("account.friends[0]"))
    refused(lambda: box.eval("account.__class__"))
    refused(lambda: box.eval("account[1]"))
    refused(lambda: box.eval("account()"))


def test_methods_in_a_loop_are_one_box(box):
    account = box.expose(Account(), attributes=["deposit"])
    box.execute("local a = ...; for i = 1, 1000 do a:deposit(1) end", account)
    assert account.balance == 1000
    assert box.eval("function(a) return a.deposit == a.deposit end")(account) is True


def test_modules(box, refused):
    box.globals().math2 = box.expose(math, attributes=["sqrt", "pi"])
    assert box.eval("math2.sqrt(16), math2.pi") == (4.0, math.pi)
    refused(lambda: box.eval("math2.floor(1)"))


def test_static_and_class_methods(box):
    class Tools:
        @staticmethod
        def one():
            return 1

        @classmethod
        def name(cls):
            return cls.__name__

    tools = box.expose(Tools(), attributes=["one", "name"])
    assert box.eval("function(t) return t.one(), t.name() end")(tools) == (1, "Tools")


def test_items(box, refused):
    config = box.expose({"colour": "grey", "inner": {"x": 1}, 1: "one"}, items=True)
    assert box.eval("function(c) return c.colour, c['colour'], c[1] end")(config) == ("grey", "grey", "one")
    refused(lambda: box.eval("(...).inner.x", config))
    refused(lambda: box.execute("(...).colour = 1", config))
    refused(lambda: box.eval("python.as_attrgetter(...).keys", config))
    box.expose(config, items=True, writable_items=True)
    box.execute("(...).colour = 'red'", config)
    assert config["colour"] == "red"


def test_items_and_attributes(box, refused):
    class Both(dict):
        x = "attribute"

    both = Both(x="item")
    read = box.eval("function(o) return o.x end")
    read_attribute = box.eval("function(o) return python.as_attrgetter(o).x end")
    read_item = box.eval("function(o) return python.as_itemgetter(o).x end")
    box.expose(both, items=True)
    assert (read(both), read_item(both)) == ("item", "item")
    refused(lambda: read_attribute(both))
    box.expose(both, attributes=["x"])
    assert (read(both), read_attribute(both)) == ("attribute", "attribute")
    box.expose(both, attributes=["x"], items=True)
    assert (read(both), read_attribute(both), read_item(both)) == ("item", "attribute", "item")
    box.expose(both, attributes=())
    for function in (read, read_attribute, read_item):
        refused(lambda function=function: function(both))


def test_iteration(box, refused):
    collect = "local t = {} for x in python.WAY(...) do t[#t + 1] = x end return t"
    for values in ([1, 2], (1, 2), {1: "a", 2: "b"}, iter([1, 2]), range(1, 3)):
        refused(lambda values=values: box.execute(collect.replace("WAY", "iter"), values))
        box.expose(values, iterate=True)
        assert list(box.execute(collect.replace("WAY", "iter"), values).values()) == [1, 2]
    items = box.expose([Account(), [1]], iterate=True)
    for name in ("iter", "iterex"):
        found = box.execute(collect.replace("WAY", name), items)
        assert list(found.values()) == items
    refused(lambda: box.execute("for x in python.iter(...) do local _ = x.owner end", items))
    enumerated = box.execute("local t = {} for i, x in python.enumerate(...) do t[i] = x end return t", items)
    assert dict(enumerated) == {0: items[0], 1: items[1]}


def test_tuples_in_an_iteration(box, refused):
    pairs = box.expose([(1, "a"), (2, "b")], iterate=True)
    take = box.eval("function(x) for a, b in python.iterex(x) do return a, b end end")
    assert take(pairs) == (pairs[0], None)
    items = {"k": "v"}.items()
    refused(lambda: take(items))
    box.expose(items, iterate=True)
    assert take(items) == ("k", "v")
    box.expose(tuple, iterate=True)
    assert take(pairs) == (1, "a")


def test_unpacked_returns(lupa):
    box = lupa.LuaRuntime(sandbox=True, unpack_returned_tuples=True)
    account = Account()
    assert box.eval("(...)()", box.expose(lambda: (1, account))) == (1, account)


def test_classes(box, refused):
    class Savings(Account):
        rate = 2

    box.expose(Account, attributes=["owner"])
    assert box.eval("(...).owner", Account("Eve")) == "Eve"
    assert box.eval("(...).owner", Savings("Sam")) == "Sam"
    refused(lambda: box.eval("(...).rate", Savings()))
    refused(lambda: box.eval("(...).owner", Account), "of this 'type'")
    refused(lambda: box.eval("(...)()", Account))
    box.expose(Savings, attributes=["rate"])
    assert box.eval("(...).rate", Savings()) == 2
    refused(lambda: box.eval("(...).owner", Savings()))
    mine = box.expose(Savings(), attributes=["pin"])
    assert box.eval("(...).pin", mine) == 1234
    refused(lambda: box.eval("(...).rate", mine))


def test_construct(box, refused):
    class Savings(Account):
        pass

    box.expose(Account, attributes=["owner"], construct=True)
    assert box.eval("(...)('Ann').owner", Account) == "Ann"
    refused(lambda: box.eval("(...)('Ann')", Savings))
    refused(lambda: box.eval("(...).bank", Account))
    with pytest.raises(TypeError, match="for classes"):
        box.expose(Account(), construct=True)


def test_builtin_classes(box, refused):
    box.expose(dict, items=True, iterate=True)
    assert box.eval("(...).a.b", {"a": {"b": 1}}) == 1
    refused(lambda: box.eval("(...).a[0]", {"a": [1]}))


def test_exposed(lupa, refused):
    @lupa.exposed(attributes=["name"], construct=True)
    class Person:
        def __init__(self, name):
            self.name = name
            self.secret = 1

    class Child(Person):
        pass

    @lupa.exposed
    def greet(person):
        return f"Hello {person.name}"

    for _ in range(2):
        box = lupa.LuaRuntime(sandbox=True)
        assert box.eval("(...).name", Person("Ann")) == "Ann"
        assert box.eval("(...).name", Child("Bob")) == "Bob"
        assert box.eval("(...)('Eve').name", Person) == "Eve"
        assert box.eval("function(f, p) return f(p) end")(greet, Person("Ann")) == "Hello Ann"
        refused(lambda box=box: box.eval("(...).secret", Person("Ann")))
        refused(lambda box=box: box.eval("(...)('Eve')", Child))
    for wrong in (len, Person("x"), 5):
        with pytest.raises(TypeError):
            lupa.exposed(wrong, call=True)
    with pytest.raises(TypeError):
        lupa.exposed(dict, items=True)


def test_a_copied_mark_is_none(lupa, box, refused):
    import functools

    @lupa.exposed
    def harmless():
        return 1

    @functools.wraps(harmless)
    def wrapper():
        raise AssertionError("nobody has exposed this")

    assert wrapper.__lupa_exposed__ == harmless.__lupa_exposed__
    refused(lambda: box.eval("(...)()", wrapper))


def test_arguments_of_expose(box):
    account = Account()
    with pytest.raises(TypeError, match="not a string"):
        box.expose(account, attributes="owner")
    with pytest.raises(TypeError):
        box.expose(account, attributes=[1])
    with pytest.raises(ValueError, match="__class__ is Python's own"):
        box.expose(account, attributes=["owner", "__class__"])
    with pytest.raises(ValueError, match="__dict__ is Python's own"):
        box.expose(account, writable=["__dict__"])
    with pytest.raises(TypeError, match="'atributes' is not an option"):
        box.expose(account, atributes=["owner"])


def test_expose_where_there_is_no_sandbox(lua):
    account = Account()
    assert lua.expose(account, attributes=["owner"]) is account
    assert lua.eval("(...).pin", account) == 1234
    with pytest.raises(ValueError, match="Python's own"):
        lua.expose(account, attributes=["__class__"])


def test_closed(lupa, box):
    box.close()
    with pytest.raises(lupa.LuaError, match="closed"):
        box.expose(len)


def test_an_exposed_object_dies(box):
    account = box.expose(Account(), attributes=["owner"])
    gone = weakref.ref(account)
    account.friends.clear()
    del account
    gc.collect()
    assert gone() is None


def test_many_exposed_objects_are_forgotten(box):
    for _ in range(1000):
        box.expose(lambda: None)
    kept = box.expose(lambda: 1)
    assert box.eval("(...)()", kept) == 1


def test_the_runtime_dies_with_what_it_exposes(lupa):
    class Data(dict):
        __slots__ = ()

    box = lupa.LuaRuntime(sandbox=True)
    data = Data()
    data["back"] = box.eval("{}")
    data["runtime"] = box
    data["function"] = lambda box=box: box
    box.expose(data, items=True)
    box.expose(data["function"])
    box.globals().data = data
    gone = weakref.ref(box)
    del box, data
    gc.collect()
    assert gone() is None
