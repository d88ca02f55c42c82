"""Programs that lupa 2.8 crashes on or answers wrongly, each in a process of its own."""

import os

import pytest

pytestmark = pytest.mark.beyond


def test_r1_the_right_object(isolated):
    """Two attributes of one object, read in turns, many times."""
    isolated("""
        class A:
            def name(self): return "A"
        class B:
            def name(self): return "B"
        class Root: pass
        root = Root()
        root.a, root.b = A(), B()
        lua.globals().root = root
        f = lua.eval('''function(n)
          for i = 1, n do
            local x, y = root.a.name(), root.b.name()
            if x ~= "A" or y ~= "B" then return i, x, y end
          end
          return 0
        end''')
        assert f(300000) == 0
    """)


def test_r2_no_use_after_free(isolated):
    """Objects passed again after their first wrappers have died, while finalisers are pending."""
    isolated("""
        lua.execute('''store = {}
        function keep(i, f) store[i] = f end
        function touch(f) end
        function call(i) return store[i]() end
        function churn(n) for i = 1, n do local t = {i} end end''')
        g = lua.globals()
        keep, touch, call, churn = g.keep, g.touch, g.call, g.churn
        for rnd in range(300):
            fs = [(lambda k=k: k) for k in range(40)]
            for f in fs: touch(f)
            churn(rnd % 97 + 5)
            for k, f in enumerate(fs): keep(k, f)
            del fs, f
            junk = [(lambda k=k: -k) for k in range(40)]
            churn(300)
            for k in range(40): assert call(k) == k
    """)


def test_r3_a_callback_outlives_its_coroutine(isolated):
    isolated("""
        saved = []
        co = lua.eval('''function(save)
            save(function(x) return x + 1 end)
            coroutine.yield()
        end''').coroutine(saved.append)
        list(co)
        del co
        gc.collect()
        lua.gccollect()
        assert saved[0](1) == 2
    """)


def test_r4_a_timer_resumes_its_coroutine(isolated):
    isolated("""
        q = []
        lua.globals().py_timer = lambda f: q.append(f)
        lua.execute('''
        function sleep()
          local co = coroutine.running()
          py_timer(function() return coroutine.resume(co) end)
          coroutine.yield()
        end
        n = 0
        co = coroutine.create(function() for i = 1, 200 do n = i; sleep() end end)
        coroutine.resume(co)''')
        while q: q.pop(0)()
        assert lua.globals().n == 200
    """)


def test_r5_a_generator_in_table_from_calls_lua(isolated):
    isolated("""
        g = lua.eval("function(x) return x * 2 end")
        t = lua.table_from(g(i) for i in range(5))
        assert list(t.values()) == [0, 2, 4, 6, 8]
    """)


def test_r6_a_shared_object_is_one_table(isolated):
    isolated("""
        s = {"x": 1}
        t = lua.table_from({"a": s, "b": s}, recursive=True)
        assert (t.a.x, t.b.x) == (1, 1)
        assert lua.eval("function(t) return t.a == t.b end")(t)
        t.a.x = 2
        assert t.b.x == 2
    """)


def test_a1_same_object_through_both_views(isolated):
    """The identity cache holds a view each; finalisers of one don't touch the other."""
    isolated("""
        data = {"get": 1}
        lua.execute('''kept = {}
        function keep(i, o) kept[i] = o end
        function churn() for i = 1, 200 do local t = {i} end end''')
        keep, churn = lua.globals().keep, lua.globals().churn
        for i in range(3000):
            keep(i % 7, data)
            keep(i % 5 + 10, lupa.as_attrgetter(data))
            churn()
            assert lua.globals().kept[i % 7] is data
            assert lua.eval("function(i) return kept[i].get end")(i % 7) == 1
            assert callable(lua.eval("function(i) return kept[i].get end")(i % 5 + 10))
    """)


def test_a2_double_release(isolated):
    """Many callbacks of many dead coroutines, dropped in an arbitrary order."""
    isolated("""
        import random
        random.seed(1)
        make = lua.eval('''function(save)
            save(function(x) return x end)
            save({})
            coroutine.yield()
        end''')
        saved = []
        for i in range(2000):
            co = make.coroutine(saved.append)
            next(co)
            if i % 3 == 0:
                list(co)
            del co
            if len(saved) > 100:
                random.shuffle(saved)
                del saved[:50]
            if i % 50 == 0:
                lua.gccollect()
                gc.collect()
        for thing in saved:
            if lupa.lua_type(thing) == "function":
                assert thing(i) == i
    """)


def test_a3_callbacks_of_callbacks(isolated):
    """Coroutines nested in Python callbacks nested in coroutines; what is saved inside still works outside."""
    isolated("""
        saved = []
        def level(n):
            if n == 0:
                return 0
            co = lua.eval('''function(f, save, n)
                save(function() return n end)
                coroutine.yield(f(n - 1))
            end''').coroutine(level, saved.append, n)
            result = next(co)
            return result + n
        assert level(15) == sum(range(16))
        gc.collect()
        lua.gccollect()
        assert [f() for f in saved] == list(range(15, 0, -1))
    """)


def test_a7_deallocation_in_another_thread(isolated):
    """Dropping a Lua object while another thread holds the runtime neither waits nor corrupts."""
    isolated("""
        import threading
        stop = False
        work = lua.eval("function(f) for i = 1, 200 do f() local t = {i} end end")
        queue = []

        def produce():
            for _ in range(30):
                work(lambda: queue.append(lua.table(1)))

        def drop():
            while not stop:
                queue.clear()

        dropper = threading.Thread(target=drop)
        producer = threading.Thread(target=produce)
        dropper.start()
        producer.start()
        producer.join()
        stop = True
        dropper.join()
        queue.clear()
        assert lua.eval("1") == 1
    """)


def test_a8_none_as_a_key_and_failing_index(isolated):
    isolated("""
        assert lua.table_from({None: 1})[None] == 1
        t = lua.eval("setmetatable({}, {__index = function() error('no', 0) end})")
        for read in (lambda: t.x, lambda: t["x"], lambda: t[1], lambda: t[None]):
            try:
                read()
            except lupa.LuaError as error:
                assert str(error).startswith("no")
            else:
                raise AssertionError
    """)


def test_a10_errors_in_nested_runtimes(isolated):
    """Two runtimes that call each other; an exception is raised where it belongs."""
    isolated("""
        other = lupa.LuaRuntime()
        def inner():
            raise KeyError("inner")
        def outer():
            try:
                other.eval("function(f) f() end")(inner)
            except KeyError:
                return lua.eval("'handled'")
        for _ in range(100):
            assert lua.eval("function(f) return f() end")(outer) == "handled"
    """)


def test_a11_many_runtimes(isolated):
    isolated("""
        runtimes = [lupa.LuaRuntime() for _ in range(100)]
        for number, runtime in enumerate(runtimes):
            runtime.execute("x = ...", number)
        assert [r.globals().x for r in runtimes] == list(range(100))
        for _ in range(200):
            lupa.LuaRuntime().eval("1")
    """)


def test_c3_exceptions_in_coroutines(isolated):
    isolated("""
        def boom():
            raise KeyError("boom")
        co = lua.eval("function(f) coroutine.yield(1) f() end").coroutine(boom)
        next(co)
        try:
            next(co)
        except KeyError as error:
            assert error.args == ("boom",)
        else:
            raise AssertionError
    """)


def test_d6_messages_with_any_bytes(isolated):
    isolated("""
        for code in range(128, 256):
            try:
                lua.execute(f"error('a\\\\{code}z', 0)")
            except lupa.LuaError as error:
                first = str(error).split("\\n")[0]
                assert first.startswith("a") and first.endswith("z"), first
            else:
                raise AssertionError
    """)


def test_e13_keywords_without_encoding(isolated):
    isolated("""
        lua = lupa.LuaRuntime(encoding=None)
        lua.globals().t = lua.table(x=1)
        assert lua.eval("t.x") == 1
    """)


@pytest.mark.skipif(os.name == "nt", reason="needs a signal that can be sent")
def test_r8_ctrl_c(isolated):
    """A signal ends a loop of Lua in the main thread, which would otherwise take far longer."""
    out = isolated(
        """
        import os, threading
        timer = threading.Timer(0.2, os.kill, (os.getpid(), 2))
        timer.start()
        done = lua.eval("{}")
        # An installed Lua looks for signals only under a limit, and LuaJIT not in compiled code.
        limit = float("inf") if lupa._INSTALLED_LUA else None
        if limit and lua.lua_implementation.startswith("LuaJIT"):
            lua.execute("jit.off()")
        try:
            lua.execute("local done = ... for i = 1, 1e12 do local x = i end done[1] = true", done, timeout=limit)
        except KeyboardInterrupt:
            print("interrupted", len(done))
        """
    )
    assert out == "interrupted 0\n"


def test_r9_getattr_obeys_the_filter(lupa):
    """Python's ``getattr`` is no way around it."""

    def public(obj, name, is_setting):
        if isinstance(name, str) and name.startswith("_"):
            raise AttributeError("no")
        return name

    lua = lupa.LuaRuntime(attribute_filter=public)
    lua.globals().u = user = type("User", (), {"name": "Ann"})()
    assert lua.eval("python.builtins.getattr(u, 'name')") == user.name
    for code in ("getattr(u, '__class__')", "getattr(u, '__class__', nil)", "vars(u)['__class__']"):
        with pytest.raises((AttributeError, KeyError, lupa.LuaError)):
            lua.eval(f"python.builtins.{code}.__name__")


def test_r10_the_metatable_of_objects(lupa):
    """A script can't change what all Python objects do."""
    lua = lupa.LuaRuntime(attribute_filter=lambda obj, name, is_setting: name, register_builtins=False)
    lua.globals().u = type("User", (), {"name": "Ann"})()
    lua.globals().v = type("User", (), {"name": "Eve"})()
    with pytest.raises(lupa.LuaError):
        lua.execute("getmetatable(u).__index = function() return 1 end")
    assert lua.eval("v.name") == "Eve" and lua.eval("u.name") == "Ann"
