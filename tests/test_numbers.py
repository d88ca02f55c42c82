"""Numbers in both directions, and what happens to integers that do not fit."""

import enum
import math
from decimal import Decimal
from fractions import Fraction

import pytest


@pytest.fixture
def echo(lua):
    """A Lua function that returns its argument."""
    return lua.eval("function(x) return x end")


@pytest.mark.parametrize("value", [0, 1, -1, 255, 2**31 - 1, 2**31, -(2**31), 2**32, 2**52, 2**53, -(2**53)])
def test_integers(echo, value):
    assert echo(value) == value
    assert type(echo(value)) is int


@pytest.mark.parametrize("value", [0.5, -0.5, 1e300, 5e-324, math.pi, math.inf, -math.inf])
def test_floats(echo, value):
    assert echo(value) == value
    assert type(echo(value)) is float


def test_nan(lua, echo):
    assert math.isnan(echo(math.nan))
    assert math.isnan(lua.eval("0/0"))


def test_infinity_from_lua(lua):
    assert lua.eval("1/0") == math.inf
    assert lua.eval("-1/0") == -math.inf
    assert lua.eval("math.huge") == math.inf


def test_floats_with_an_integer_value(lua, echo, has_integers):
    """Where Lua has one type of number, an integer value comes back as int; 5.3 and later keep the float."""
    expected = float if has_integers else int
    assert echo(3.0) == 3
    assert type(echo(3.0)) is expected
    assert type(lua.eval("3.0")) is expected
    assert type(lua.eval("6/2")) is expected
    assert type(lua.eval("3")) is int


def test_negative_zero(lua, echo, has_integers):
    if has_integers:
        assert math.copysign(1, echo(-0.0)) == -1
    else:
        assert echo(-0.0) == 0
    assert lua.eval("1 / ...", -0.0) == -math.inf


def test_large_floats(lua, echo, has_integers):
    """Floats out of the range of an integer stay floats."""
    for value in (1e19, -1e19, 1e100, -1e100, 2.0**64):
        assert echo(value) == value
        assert type(echo(value)) is float
    assert lua.eval("2^64") == 2.0**64
    assert type(lua.eval("2^62")) is (float if has_integers else int)
    assert lua.eval("2^62") == 2**62


@pytest.mark.beyond
def test_two_to_the_63(lua, echo, has_integers):
    """The first float beyond the range: the C conversion that 2.8 uses is undefined for it."""
    assert lua.eval("2^63") == 2.0**63
    assert type(lua.eval("2^63")) is float
    assert echo(2.0**63) == 2.0**63
    assert lua.eval("-2^63") == -(2**63)
    assert type(lua.eval("-2^63")) is (float if has_integers else int)


def test_64_bit_integers(lua, echo, has_integers):
    if has_integers:
        for value in (2**53 + 1, 2**63 - 1, -(2**63)):
            assert echo(value) == value
            assert lua.eval("...", value) == value
        assert lua.eval("math.maxinteger") == 2**63 - 1
        assert lua.eval("math.mininteger") == -(2**63)
        assert lua.eval("math.type(...)", 1) == "integer"
        assert lua.eval("math.type(...)", 1.0) == "float"
    else:
        assert echo(2**53 + 1) in (2**53, 2**53 + 2)
        assert echo(2**62) == 2**62


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**100])
def test_integers_that_do_not_fit(lua, echo, value):
    with pytest.raises(OverflowError):
        echo(value)
    with pytest.raises(OverflowError):
        lua.table(value)
    with pytest.raises(OverflowError):
        lua.table_from({value: 1})
    with pytest.raises(OverflowError):
        lua.table()[value] = 1
    with pytest.raises(OverflowError):
        lua.eval(f"python.eval('{value}')")
    assert echo(1) == 1


def test_overflow_handler(lupa):
    lua = lupa.LuaRuntime(overflow_handler=float)
    assert lua.eval("...", 2**70) == 2.0**70
    assert lua.table_from({"x": -(2**70)}).x == -(2.0**70)
    assert lua.table_from({2**70: 1})[2.0**70] == 1
    assert lua.eval("python.eval('2**70')") == 2.0**70


def test_overflow_handler_may_return_anything(lua):
    for handler, expected in ((str, str(2**70)), (lambda _: None, None), (lambda v: [v], [2**70])):
        lua.set_overflow_handler(handler)
        assert lua.eval("...", 2**70) == expected


def test_overflow_handler_can_be_taken_away(lua):
    lua.set_overflow_handler(float)
    lua.set_overflow_handler(None)
    with pytest.raises(OverflowError):
        lua.eval("...", 2**70)


def test_overflow_handler_that_fails(lua):
    """The OverflowError stands, whatever the handler raises."""
    lua.set_overflow_handler(lambda value: 1 / 0)
    with pytest.raises(OverflowError):
        lua.eval("...", 2**70)
    lua.set_overflow_handler(lua.eval("function(x) error('no') end"))
    with pytest.raises(OverflowError):
        lua.eval("...", 2**70)
    assert lua.eval("1 + 1") == 2


def test_overflow_handler_that_returns_its_argument(lua):
    """The integer then arrives as a Python object."""
    lua.set_overflow_handler(lua.eval("function(x) return type(x) end"))
    assert lua.eval("...", 2**70) == "userdata"
    assert lua.eval("(...)", 1) == 1


def test_overflow_handler_set_in_lua(lua):
    lua.execute("python.set_overflow_handler(function(x) return 'big' end)")
    assert lua.eval("...", 2**70) == "big"
    lua.execute("python.set_overflow_handler(python.builtins.float)")
    assert lua.eval("...", 2**70) == 2.0**70
    lua.execute("python.set_overflow_handler(nil)")
    with pytest.raises(OverflowError):
        lua.eval("...", 2**70)


@pytest.mark.parametrize("handler", ["1", "'x'", "{}", "io.stdout"])
def test_bad_overflow_handler_in_lua(lupa, lua, handler):
    with pytest.raises(lupa.LuaError, match="bad argument #1 to 'set_overflow_handler'"):
        lua.execute(f"python.set_overflow_handler({handler})")


def test_booleans_are_not_numbers(lua, echo):
    assert echo(True) is True
    assert echo(False) is False
    assert lua.eval("type(...)", True) == "boolean"
    table = lua.table()
    table[True] = "yes"
    table[1] = "one"
    assert (table[True], table[1]) == ("yes", "one")


def test_subclasses(lua):
    class Int(int):
        pass

    class Float(float):
        pass

    class Colour(enum.IntEnum):
        RED = 3

    assert lua.eval("...", Int(5)) == 5
    assert lua.eval("...", Float(5.5)) == 5.5
    assert lua.eval("...", Colour.RED) == 3
    assert [lua.eval("type(...)", v) for v in (Int(5), Float(5.5), Colour.RED)] == ["number"] * 3


@pytest.mark.parametrize("value", [1j, Fraction(1, 2), Decimal(1)])
def test_other_numbers_are_objects(lua, echo, value):
    assert lua.eval("type(...)", value) == "userdata"
    assert echo(value) is value


def test_keys(lua, has_integers):
    """As in Lua, 1 and 1.0 are the same key."""
    table = lua.table()
    table[1.0] = "a"
    assert table[1] == "a"
    assert list(table) == [1]
    assert type(next(iter(table))) is int
    table[1.5] = "b"
    assert table[1.5] == "b"
    table[2**53] = "c"
    assert table[2**53] == "c"


def test_numbers_as_text(lua, has_integers):
    tostring = lua.globals().tostring
    assert tostring(1.5) == "1.5"
    assert tostring(7) == "7"
    assert tostring(3.0) == ("3.0" if has_integers else "3")
    assert tostring(2**53) == ("9007199254740992" if has_integers else tostring(2.0**53))


def test_arithmetic(lua, has_integers):
    assert lua.eval("... / 2", 7) == 3.5
    assert lua.eval("... + 0.5", 7) == 7.5
    assert lua.eval("... % 4", -7) == 1
    assert lua.eval("math.floor(3.7)") == 3
    assert type(lua.eval("math.floor(3.7)")) is int
    if has_integers:
        assert lua.execute("return ... // 2", 7) == 3
        assert lua.execute("return math.maxinteger + 1 == math.mininteger")


def test_random_doubles(lua, echo):
    """Round trips of values of every magnitude, by a fixed sequence."""
    state = 12345
    for _ in range(2000):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        value = math.ldexp((state >> 11) - 2**52, (state & 1023) - 560)
        assert echo(value) == value
