"""What the fuzzer found: each case ended the process once."""

import pytest


@pytest.mark.parametrize("use", ["tostring(o)", "io.type(o)", "o:close()", "o:read('a')", "io.output(o)", "nil"])
@pytest.mark.beyond
def test_object_with_the_metatable_of_files(isolated, use):
    isolated(f"""
        lua.globals().o = object()
        for code in (
            "debug.setmetatable(o, getmetatable(io.stdout)); return {use}",
            "o = nil; collectgarbage(); collectgarbage()",
        ):
            try:
                lua.execute(code)
            except lupa.LuaError:
                pass
        assert lua.eval("1 + 1") == 2
    """)


@pytest.mark.parametrize("key", range(1, 12))
@pytest.mark.parametrize("value", ["nil", "1", "{}", "o", "print"])
@pytest.mark.beyond
def test_registry_with_other_values(isolated, key, value):
    # Without its globals in the registry (key 2), Lua 5.5 itself cannot load code.
    isolated(f"""
        if not (lupa.LUA_VERSION == (5, 5) and {key} == 2):
            lua.globals().o = object()
            function = lua.eval("function(f) return f() end")
            lua.execute("if debug.getregistry then debug.getregistry()[{key}] = {value} end")
            table = {{"a": [1], "b": "c"}}
            for thing in (
                lambda: lua.globals().x, lambda: lua.eval("1 + 1"), lambda: lua.execute("error('x')"),
                lambda: lua.table_from(table, recursive=True), lambda: lua.compile("x")(), lambda: function(len),
                lambda: list(lua.table(1, 2)), lambda: str(function), lambda: lua.eval("...", object()),
            ):
                try:
                    thing()
                except Exception:
                    pass
    """)


@pytest.mark.beyond
def test_many_results_of_a_coroutine_after_a_collection(isolated):
    isolated("""
        for count in range(250, 330):
            lua = lupa.LuaRuntime()
            code = f"for i = 1, 30 do coroutine.yield((table.unpack or unpack)({{}}, 1, {count})) end"
            for result in lua.compile(code).coroutine():
                assert len(result) == count
                lua.execute("for i = 1, 50 do local t = {i} end")
    """)


@pytest.mark.beyond
def test_finalizer_that_raises_while_code_is_loaded(isolated):
    isolated("""
        for count in range(60):
            lua = lupa.LuaRuntime()
            litter = lua.eval('''function(n)
                for i = 1, n do
                    local p = newproxy and newproxy(true) or setmetatable({}, {__gc = error})
                    if newproxy then getmetatable(p).__gc = error end
                end
            end''')
            for run in [litter] + [lua.eval] * 150 + [lua.compile] * 50:
                try:
                    run(count if run is litter else "true" if run == lua.eval else "return true")
                except lupa.LuaError:
                    pass
    """)


@pytest.mark.parametrize("kind", ["call", "attribute", "coroutine", "table_from"])
@pytest.mark.parametrize("kib", [512, 1024])
@pytest.mark.beyond
def test_recursion_on_a_small_stack(isolated, kind, kib):
    out = isolated(f"""
        import threading
        step = lua.eval("function(f) return f() end")
        coroutine = lua.eval("function(f) coroutine.yield(f()) end")
        class Deep:
            def __getattr__(self, name):
                return lua.eval("function(o) return o.x end")(self)
        def call():
            return step(call)
        def attribute():
            return Deep().x
        def again():
            return next(coroutine.coroutine(again))
        def table_from():
            nested = 1
            for _ in range(100_000):
                nested = [nested]
            return lua.table_from(nested, recursive=True)
        work = {{"call": call, "attribute": attribute, "coroutine": again, "table_from": table_from}}["{kind}"]
        def run():
            try:
                work()
            except (RecursionError, lupa.LuaError) as error:
                print(type(error).__name__)
        threading.stack_size({kib} << 10)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        assert lua.eval("1 + 1") == 2
    """)
    assert out.strip() in ("RecursionError", "LuaError")


@pytest.mark.parametrize("inside", ["lua", "sleep", "calls"])
@pytest.mark.beyond
def test_daemon_thread_at_exit(isolated, inside):
    isolated(f"""
        import threading, time
        def in_lua():
            lua.execute("local f = ...; while true do f() for i = 1, 1000 do end end", lambda: 1)
        def in_sleep():
            lua.execute("local f = ...; while true do f(0.0001) end", time.sleep)
        def in_calls():
            function = lua.eval("function(...) return ... end")
            while True:
                function(1)
        for _ in range(2):
            threading.Thread(target=in_{inside}, daemon=True).start()
        time.sleep(0.05)
    """)


def test_finalizers_that_collect_while_lua_is_closed(isolated, lupa):
    """Lua 5.3 by itself never ends this: it finds no finalizer due, and waits for there to be none."""
    if lupa._INSTALLED_LUA and lupa.LUA_VERSION == (5, 3):
        pytest.skip("mended in the bundled Lua 5.3 only")
    isolated("""
        for steps in range(60):
            lua = lupa.LuaRuntime()
            lua.execute('''
                local steps = ...
                kept = {}
                for i = 1, 5 do kept[i] = setmetatable({}, {__gc = function() collectgarbage() end}) end
                setmetatable({}, {__gc = function() end})
                collectgarbage("stop")
                for i = 1, steps do collectgarbage("step", 0) end''', steps)
            lua.close()
    """)


@pytest.mark.parametrize(
    "numbers",
    ["-2^31, 1", "2^53, 1", "-2^31, -1", "-2^31, 2^31 - 1", "1, 2^31 - 1", "-5, 2^31 - 5", "2^31 - 1, 2^31 - 1"],
)
@pytest.mark.beyond
def test_ranges_that_overflow(isolated, lupa, numbers):
    if lupa._INSTALLED_LUA:
        pytest.skip("an installed Lua may have been compiled so that integers do not wrap")
    isolated(f"""
        try:
            lua.execute("return select('#', (table.unpack or unpack)({{}}, {numbers}))")
        except lupa.LuaError as error:
            assert "too many results" in str(error) or "bad argument" in str(error), error
        assert lua.eval("1 + 1") == 2
    """)


@pytest.mark.parametrize("use", ["python.zeros(4)[1]", "tonumber(require('ffi').new('int[1]', 0)[0])"])
@pytest.mark.beyond
def test_the_ffi_is_opened_without_memory(lupa, hostile, is_luajit, use):
    """However far it comes; and with memory it is opened then."""
    if "ffi" in use and not is_luajit:
        pytest.skip("this Lua has no ffi")
    hostile(f"""
        import gc
        for turn in range(320):
            lua = lupa.LuaRuntime(max_memory=0)
            lua.set_max_memory(lua.get_memory_used() + turn // 2 * 250 + 1)
            try:
                lua.eval("{use}")
            except (lupa.LuaError, MemoryError):
                pass
            lua.set_max_memory(0)
            lua.gccollect()
            junk = lua.eval("(function() local t = {{}} for i = 1, 200 do t[i] = {{i}} end return t end)()")
            if turn % 2:
                # Lua 5.1 notes that an attempt to load a module has failed.
                lua.execute("if package and type(package.loaded.ffi) ~= 'table' then package.loaded.ffi = nil end")
                assert lua.eval("{use}") == 0
            del lua, junk
            gc.collect()
    """)


@pytest.mark.parametrize(
    "loop",
    [
        "for i = 1, 20000 do end",
        "local function f(i) return i end for i = 1, 20000 do f(i) end",
        "local t = {} for i = 1, 20000 do t.x = i end",
        "for i = 1, 2000 do for j = 1, 20 do local x = i .. j end end",
    ],
)
@pytest.mark.beyond
def test_compiled_loops_without_memory(hostile, loop):
    """LuaJIT goes on trying to compile a loop for which it has no memory."""
    hostile(f"""
        for allowed in range(60):
            lua = lupa.LuaRuntime(max_memory=0)
            run = lua.eval("function() {loop} end")
            lua._fail_allocations_after(allowed)
            try:
                run()
            except (lupa.LuaError, MemoryError):
                pass
            lua._fail_allocations_after(None)
            run()
            assert lua.eval("(function() local s = 0 for i = 1, 1000 do s = s + i end return s end)()") == 500500
    """)


@pytest.mark.parametrize("co", ["co", "coroutine.running() or co"])
@pytest.mark.beyond
def test_resuming_without_memory(hostile, co):
    """A coroutine that is dead, or that runs, is an error, and its message may need memory."""
    hostile(f"""
        for allowed in range(12):
            lua = lupa.LuaRuntime(max_memory=0)
            resume = lua.eval('''coroutine.wrap(function()
                local co = coroutine.create(function() end)
                coroutine.resume(co)
                coroutine.yield()
                while true do
                    coroutine.yield(coroutine.resume({co}))
                end
            end)''')
            resume()
            lua._fail_allocations_after(allowed)
            for _ in range(3):
                try:
                    resume()
                except (lupa.LuaError, MemoryError):
                    break
            lua._fail_allocations_after(None)
            assert lua.eval("1 + 1") == 2
    """)
