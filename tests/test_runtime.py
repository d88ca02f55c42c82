"""LuaRuntime: the constructor's options and their checks, and the small methods."""

import pytest


def test_defaults(lua):
    assert lua.eval("python.eval ~= nil and python.builtins ~= nil")
    assert lua.eval("...", "ä") == "ä"
    assert lua.get_max_memory() is None


def test_positional_options(lupa):
    """The order of the options is part of the interface."""
    lua = lupa.LuaRuntime("latin-1", None, None, None, False, True, False, None, None, None)
    assert lua.eval('"\\228"') == "ä"
    assert lua.eval("python.eval == nil and python.builtins == nil")


@pytest.mark.parametrize("encoding", ["latin-1", b"latin-1", bytearray(b"latin-1")])
def test_encoding_may_be_bytes(lupa, encoding):
    assert lupa.LuaRuntime(encoding=encoding).eval('"\\228"') == "ä"


@pytest.mark.parametrize(
    ("encoding", "error"), [(5, ValueError), ("ä", UnicodeEncodeError), (b"\xe4", ValueError), ([], ValueError)]
)
def test_bad_encoding(lupa, encoding, error):
    with pytest.raises(error):
        lupa.LuaRuntime(encoding=encoding)
    with pytest.raises(error):
        lupa.LuaRuntime(source_encoding=encoding)


def test_unknown_encoding_shows_in_use(lupa):
    with pytest.raises(LookupError):
        lupa.LuaRuntime(encoding="no-such-encoding").eval('"a"')


def test_unknown_option(lupa):
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        lupa.LuaRuntime(colour="red")


def test_too_many_options(lupa):
    with pytest.raises(TypeError):
        lupa.LuaRuntime("utf-8", None, None, None, True, False, True, None, None, None, None)


def test_attribute_filter_has_to_be_callable(lupa):
    with pytest.raises(ValueError, match="^attribute_filter must be callable$"):
        lupa.LuaRuntime(attribute_filter=5)


@pytest.mark.parametrize("handlers", [5, (1, 2), (len,), (len, len, len), (len, 5), "ab", {1: 2}])
def test_attribute_handlers_have_to_be_two_callables(lupa, handlers):
    with pytest.raises(ValueError, match="^attribute_handlers must be a sequence of two callables$"):
        lupa.LuaRuntime(attribute_handlers=handlers)


@pytest.mark.parametrize("handlers", [None, (), 0, (None, None), (len, None), [None, len]])
def test_attribute_handlers_may_be_left_out(lupa, handlers):
    assert lupa.LuaRuntime(attribute_handlers=handlers).eval("1") == 1


def test_filter_and_handlers_exclude_each_other(lupa):
    with pytest.raises(ValueError, match="mutually exclusive"):
        lupa.LuaRuntime(attribute_filter=len, attribute_handlers=(len, len))
    assert lupa.LuaRuntime(attribute_filter=len, attribute_handlers=(None, None)).eval("1") == 1


def test_overflow_handler_has_to_be_callable(lupa, lua):
    with pytest.raises(ValueError, match="^overflow_handler must be callable$"):
        lupa.LuaRuntime(overflow_handler=5)
    with pytest.raises(ValueError, match="^overflow_handler must be callable$"):
        lua.set_overflow_handler(5)


def test_register_eval(lupa):
    lua = lupa.LuaRuntime(register_eval=False)
    assert lua.eval("python.eval") is None
    assert lua.eval("python.builtins ~= nil")


def test_register_builtins(lupa):
    lua = lupa.LuaRuntime(register_builtins=False)
    assert lua.eval("python.builtins") is None
    assert lua.eval("python.eval ~= nil")


def test_unpack_returned_tuples(lupa, lua):
    assert lua.eval('select("#", python.eval("(1, 2)"))') == 1
    unpacking = lupa.LuaRuntime(unpack_returned_tuples=True)
    assert unpacking.eval('select("#", python.eval("(1, None, None)"))') == 3


@pytest.mark.beyond
def test_string_hash_seed(lupa):
    """Taken by every backend (2.8 can't make a LuaJIT 2.0 with it)."""
    assert lupa.LuaRuntime(string_hash_seed=12345).eval("({abc=1}).abc") == 1


@pytest.mark.parametrize(("seed", "error"), [("x", TypeError), (-1, OverflowError), (2**32, OverflowError)])
def test_bad_string_hash_seed(lupa, seed, error):
    with pytest.raises(error):
        lupa.LuaRuntime(string_hash_seed=seed)


def test_a_failed_constructor_leaves_nothing_behind(lupa):
    for _ in range(50):
        with pytest.raises(ValueError, match="callable"):
            lupa.LuaRuntime(overflow_handler=5)


def test_globals_is_the_global_table(lua):
    lua.globals().answer = 42
    assert lua.eval("answer") == 42
    assert lua.eval("function(t) return t == _G end")(lua.globals())


def test_runtimes_are_separate(lupa):
    one, two = lupa.LuaRuntime(), lupa.LuaRuntime()
    one.execute("x = 1")
    assert two.eval("x") is None


def test_objects_do_not_mix(lupa, lua):
    foreign = lupa.LuaRuntime().eval("{}")
    for use in (
        lambda: lua.eval("...", foreign),
        lambda: lua.table(foreign),
        lambda: setattr(lua.globals(), "x", foreign),
        lambda: lua.globals()[foreign],
        lambda: lua.eval("function(x) end")(foreign),
    ):
        with pytest.raises(lupa.LuaError, match="cannot mix objects from different Lua runtimes"):
            use()


def test_nogc(lupa, lua):
    if lupa.LUA_VERSION < (5, 2):
        with lua.nogc() as inner:
            assert inner is None
        return
    running = lua.eval('function() return collectgarbage("isrunning") end')
    with lua.nogc():
        assert running() is False
    assert running() is True


@pytest.mark.beyond
def test_nogc_blocks_nest_and_overlap(lupa, lua):
    """The last one that ends switches the collector on; 2.8 lets the first do so."""

    def collects():
        lua.execute("marker = setmetatable({}, {__mode = 'k'}) marker[{}] = true")
        lua.execute("local last = {} for i = 1, 2e5 do last[i % 10] = {'x' .. i} end")
        return lua.eval("next(marker) == nil")

    assert collects()
    first, second, third = lua.nogc(), lua.nogc(), lua.nogc()
    with first:
        with second:
            assert not collects()
        assert not collects()
        with second, first:
            assert not collects()
        assert not collects()
    assert collects()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not collects()
    # Of one that has not begun, the end ends nothing.
    third.__exit__(None, None, None)
    first.__exit__(None, None, None)
    assert not collects()
    second.__exit__(None, None, None)
    assert collects()
    third.__exit__(None, None, None)
    assert collects()


def test_nogc_ends_with_an_exception(lupa, lua):
    with pytest.raises(KeyError), lua.nogc():
        raise KeyError
    if lupa.LUA_VERSION >= (5, 2):
        assert lua.eval('collectgarbage("isrunning")') is True


def test_gccollect(lua):
    lua.execute('weak = setmetatable({{}}, {__mode = "v"})')
    assert lua.gccollect() is None
    assert lua.eval("#weak") == 0


def test_no_attributes_of_its_own(lua):
    with pytest.raises(AttributeError):
        lua.something = 5
    with pytest.raises(AttributeError):
        lua.lua_version = 5


def test_subclass(lupa):
    class Runtime(lupa.LuaRuntime):
        def twice(self, code):
            return self.eval(code) * 2

    assert Runtime().twice("21") == 42


def test_subclass_with_its_own_init(lupa):
    """The options are read when the object is made; a subclass may have an ``__init__`` of its own."""

    class Runtime(lupa.LuaRuntime):
        def __init__(self, encoding):
            self.note = encoding

    lua = Runtime("latin-1")
    assert (lua.note, lua.eval('"\\228"')) == ("latin-1", "ä")


def test_runtime_as_an_object_in_lua(lua):
    """A runtime is an ordinary Python object for its own Lua code."""
    lua.globals().me = lua
    assert lua.eval('me.eval("1 + 1")') == 2
    assert lua.eval("me") is lua


def test_copy_and_pickle_are_refused(lua):
    import copy
    import pickle

    with pytest.raises(TypeError):
        copy.copy(lua)
    with pytest.raises(TypeError):
        pickle.dumps(lua)
