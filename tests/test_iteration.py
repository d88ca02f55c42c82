"""Iterating over Lua tables in Python.  (Python objects in Lua's loops: test_python_lib.py.)"""

import gc
import random

import pytest


def test_keys_values_items(lua):
    table = lua.eval("{10, 20, 30}")
    assert list(table) == [1, 2, 3]
    assert list(table.keys()) == [1, 2, 3]
    assert list(table.values()) == [10, 20, 30]
    assert list(table.items()) == [(1, 10), (2, 20), (3, 30)]


def test_mapping_protocol(lua):
    assert dict(lua.eval("{10, 20}")) == {1: 10, 2: 20}
    assert dict(**lua.eval("{a = 1}")) == {"a": 1}
    assert [*lua.eval("{5, 6}").values()] == [5, 6]
    a, b = lua.eval("{5, 6}")
    assert (a, b) == (1, 2)


def test_every_entry_once(lua):
    table = lua.execute("local t = {1, 2, 3} for i = 1, 1000 do t['k' .. i] = i end return t")
    assert len(list(table)) == len(set(table)) == 1003
    assert sum(value for key, value in table.items() if isinstance(key, str)) == sum(range(1001))


def test_empty(lua):
    assert list(lua.table()) == []
    with pytest.raises(StopIteration):
        next(lua.table().items())


def test_iterator_protocol(lua):
    iterator = iter(lua.eval("{1, 2}"))
    assert iter(iterator) is iterator
    assert list(iterator) == [1, 2]
    assert list(iterator) == []
    with pytest.raises(StopIteration):
        next(iterator)


def test_iterators_are_independent(lua):
    table = lua.eval("{1, 2, 3}")
    one, two = iter(table), iter(table)
    assert [next(one), next(one), next(two), next(one), next(two)] == [1, 2, 1, 3, 2]


def test_iterator_keeps_its_table_and_runtime(lupa):
    iterator = lupa.LuaRuntime().eval("{1, 2, 3}").values()
    assert list(iterator) == [1, 2, 3]


def test_a_table_is_not_its_own_iterator(lua):
    with pytest.raises(TypeError):
        next(lua.eval("{1}"))


def test_text(lua):
    assert repr(lua.table().items()).startswith("LuaIter(<Lua table at 0x")


def test_pairs_metamethod_is_not_asked(lua):
    table = lua.eval("setmetatable({1}, {__pairs = function() error('asked') end})")
    assert list(table.values()) == [1]


def test_values_may_change_during_iteration(lua):
    """Lua allows assignments to entries that exist."""
    table = lua.eval("{1, 2, 3}")
    for key in table:
        table[key] = table[key] * 10
    assert list(table.values()) == [10, 20, 30]


def test_entries_may_be_cleared_during_iteration(lua):
    table = lua.table_from({f"k{i}": i for i in range(100)})
    seen = []
    for key in table:
        seen.append(key)
        del table[key]
    assert len(seen) == 100
    assert list(table) == []


def test_lua_may_run_during_iteration(lua):
    function = lua.eval("function(x) return {x} end")
    assert [function(key)[1] for key in lua.eval("{4, 5, 6}")] == [1, 2, 3]
    table = lua.eval("{1, 2, 3}")
    for key in table:
        for _ in table:
            lua.gccollect()
        assert table[key] == key


def test_break_and_go_on(lua):
    table = lua.eval("{1, 2, 3}")
    iterator = table.items()
    for _key, value in iterator:
        if value == 2:
            break
    assert list(iterator) == [(3, 3)]


def test_entries_of_every_type(lua):
    thing = object()
    table = lua.eval("function(o) return {[o] = 1, [true] = 2, [1.5] = 3, x = 4, [print] = 5} end")(thing)
    assert len(list(table.items())) == 5
    assert thing in list(table)


def test_only_tables_are_iterable(lua):
    for value in ("print", "io.stdout"):
        with pytest.raises(TypeError, match="^iteration is only supported for tables$"):
            iter(lua.eval(value))


def test_conversion_error_does_not_stop_the_iterator(lua):
    """The bad key is skipped on the next step, as the position has advanced."""
    iterator = iter(lua.eval('{1, ["\\255"] = 2}'))
    assert next(iterator) == 1
    with pytest.raises(UnicodeDecodeError):
        next(iterator)
    with pytest.raises(StopIteration):
        next(iterator)


def test_sorted_sum_zip(lua):
    table = lua.eval("{3, 1, 2}")
    assert sorted(table.values()) == [1, 2, 3]
    assert sum(table.values()) == 6
    assert list(zip(table, table.values())) == [(1, 3), (2, 1), (3, 2)]


def test_nested_tables_arrive_as_tables(lua):
    rows = lua.eval("{{1, 2}, {3, 4}}")
    assert [[*row.values()] for row in rows.values()] == [[1, 2], [3, 4]]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 15, 16, 17, 1000, 5000])
def test_sizes(lua, size):
    """Around any size at which entries might be read in batches."""
    table = lua.execute("local t = {} for i = 1, ... do t[i] = i * 2 end return t", size)
    assert list(table.items()) == [(i, i * 2) for i in range(1, size + 1)]


def test_change_between_steps_is_seen(lua):
    """The value is the one at the time of the step, also when steps are far apart."""
    table = lua.eval("{1, 2, 3}")
    iterator = table.values()
    assert next(iterator) == 1
    table[2] = "changed"
    assert next(iterator) == "changed"


def test_pairs_that_are_kept_stay_as_they_are(lua):
    table = lua.eval("{10, 20, 30, 40, 50}")
    items = table.items()
    first = next(items)
    assert first == (1, 10)
    assert [key + value for key, value in items] == [22, 33, 44, 55]
    assert first == (1, 10)
    items = table.items()
    next(items)  # A pair that nobody keeps is given again, with other items.
    second, third = next(items), next(items)
    assert (second, third, list(items)) == ((2, 20), (3, 30), [(4, 40), (5, 50)])


def test_pairs_are_seen_by_the_collector_when_they_have_to_be(lua):
    table = lua.eval("{1, {}, 2, {}, {}, 3}")
    items = table.items()
    for _ in range(len(table)):
        pair = next(items)
        assert isinstance(pair[1], int) or gc.is_tracked(pair)
        del pair  # So that it is given again.


def test_what_was_in_a_pair_may_use_the_iterator_when_it_goes(lua):
    class Item:
        def __del__(self):
            meanwhile.append(next(items))

    meanwhile = []
    table = lua.table(Item(), 20, 30, 40)
    items = table.items()
    next(items)
    table[1] = None
    lua.gccollect()
    given = [next(items)]
    # When it goes depends on whether pairs are given again; each is given once.
    assert len(meanwhile) == 1
    assert sorted([*given, *meanwhile, *items]) == [(2, 20), (3, 30), (4, 40)]


def order(lua, table):
    """The keys in the order of Lua's own `next`."""
    list_of = lua.eval("function(t) local keys = {} for k in next, t do keys[#keys + 1] = k end return keys end")
    return list(list_of(table).values())


@pytest.mark.parametrize("change", ["assign", "clear", "run"])
def test_the_order_is_that_of_next_whatever_happens_between(lua, change):
    """Numbers of both kinds and strings as keys, and steps between which existing entries change, or Lua runs."""
    rng = random.Random(change)
    for size in (1, 3, 4, 5, 31, 32, 33, 100, 300):
        table = lua.eval("""function(n, random)
            local t = {}
            for i = 1, n do
                local kind = random(6)
                if kind < 3 then t[i] = i
                elseif kind == 3 then t[i * 1.25] = 'x' .. i
                elseif kind == 4 then t['key' .. i] = {i}
                elseif kind == 5 then t[-i] = i % 2 == 0
                else t[string.rep('long', 20) .. i] = i end
            end
            return t
        end""")(size, lambda n: rng.randint(1, n))
        expected = order(lua, table)
        seen = []
        for key, value in table.items():
            seen.append(key)
            assert lua.eval("function(a, b) return a == b end")(table[key], value)
            if rng.random() < 0.2:
                if change == "assign":
                    table[rng.choice(expected)] = 7
                elif change == "clear":
                    table[rng.choice(seen)] = None
                else:
                    lua.execute("local t = {} for i = 1, 10 do t[i] = {} end")
            if change == "assign":
                table[key] = key
        assert seen == expected
        assert list(table.keys()) == order(lua, table)
        same = lua.eval("function(a, b) return rawequal(a, b) end")
        assert all(map(same, table.values(), [table[key] for key in order(lua, table)]))


def test_a_list_may_grow_during_iteration(lua):
    """Lua leaves open what then comes, yet the integers behind the last one are found."""
    table = lua.eval("{1, 2, 3}")
    seen = []
    for key in table:
        seen.append(key)
        if len(table) < 200:
            table[len(table) + 1] = key
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) >= 3


def until_lost(iterator, lupa):
    """What an iterator gives; Lua may say that it finds the last key no more, where that has been removed."""
    try:
        yield from iterator
    except lupa.LuaError as error:
        assert str(error).startswith("invalid key to 'next'")


@pytest.mark.parametrize("keys", ["i", "i + 0.5", "'key' .. i", "{}", "i % 3 == 0 and i or 'key' .. i"])
def test_a_table_may_be_rebuilt_during_iteration(lua, lupa, keys):
    """It may give an entry twice, or not at all, as Lua says, but it ends, and gives nothing that never was there."""
    for size in (1, 5, 40, 200):
        table = lua.eval(f"function(n) local t = {{}} for i = 1, n do t[{keys}] = i end return t end")(size)
        grow = lua.eval("function(t, n) for i = 1, n do t['new' .. i] = -i end end")
        shrink = lua.eval("function(t, n) for i = 1, n do t['new' .. i] = nil end t.x = 1 t.y = 2 t.z = 3 end")
        values = []
        for number, value in enumerate(until_lost(table.values(), lupa)):
            values.append(value)
            if number % 7 == 2:
                grow(table, 3 * number)
            elif number % 7 == 5:
                shrink(table, 3 * number)
            if number > 3000:
                break
        assert set(values) <= set(range(-9000, size + 1))


def test_an_iterator_goes_on_from_each_of_the_entries_it_has_read(lua):
    """What was read ahead is read again, from wherever the loop is, when Lua has run."""
    for keys in ("i", "'key' .. i", "i * 1.5", "-i"):
        table = lua.eval(f"function() local t = {{}} for i = 1, 70 do t[{keys}] = i end return t end")()
        expected = order(lua, table)
        for stop in range(70):
            iterator = iter(table)
            seen = [next(iterator) for _ in range(stop)]
            lua.execute("x = 1")
            seen += [next(iterator) for _ in range(min(3, 70 - stop))]
            lua.execute("x = 2")
            assert seen + list(iterator) == expected


def test_finalizers_run_while_keys_are_kept(lua, lupa):
    """Reading keys that are no numbers takes memory; so garbage is collected, and finalizers may change the table."""
    if lupa.LUA_VERSION < (5, 2):
        make = "local p = newproxy(true) getmetatable(p).__gc = f"
    else:
        make = "setmetatable({}, {__gc = f})"
    lua.execute(f"""
        t = {{}}
        for i = 1, 500 do t['key' .. i] = i end
        local n = 0
        function f()
            n = n + 1
            if n % 2 == 0 then for i = 1, 50 do t['new' .. n .. 'x' .. i] = i end
            else for k in pairs(t) do if k:sub(1, 3) == 'new' then t[k] = nil end end end
        end
        function litter() for i = 1, 20 do {make} end end
    """)
    table, litter = lua.globals().t, lua.globals().litter
    collect = lua.eval("function() collectgarbage('step', 1) end")
    for _ in range(30):
        litter()
        for number, (key, value) in enumerate(until_lost(table.items(), lupa)):
            assert key.startswith(("key", "new")) and isinstance(value, int)
            if number % 50 == 0:
                collect()
            if number > 5000:
                break


def test_keys_are_kept_while_garbage_is_collected(isolated):
    """The room on the stack is still there when a collection has made the stack smaller, as LuaJIT's does."""
    isolated("""
        lua.execute("t = {} for i = 1, 64 do t['k' .. i] = 'v' .. i end")
        @lupa.unpacks_lua_table
        def count(**arguments): return len(arguments)
        lua.globals().count = count
        assert lua.execute("for i = 1, 20000 do local s = {} if count(t) ~= 64 then return i end end") is None
        table = lua.globals().t
        deep = "local function call(n, f) if n == 0 then f() return 0 end return 1 + call(n - 1, f) end call(50, ...)"
        for _ in range(300):
            lua.execute(deep, lambda: list(table.items()))
    """)
