"""Where programs of the fuzzer run: pools of live objects, hostile Python objects, and the checks after each statement.

Each reproduction script has a copy of this file, so it needs nothing but Python and lupa.
"""

import builtins
import codecs
import collections
import copy
import faulthandler
import functools
import gc
import importlib
import os
import pickle
import random
import signal
import sys
import threading
import traceback
import types
import weakref

FOUND = 70  # the exit status after a finding that is not a crash
FUEL = 300  # how often hostile objects may act in one statement
SECONDS_TO_JOIN = 60
MOST_MEMORY = 4 << 30
SLOTS = {"t": 3, "f": 3, "c": 3, "i": 2, "o": 4, "k": 2, "r": 3}

# What lets the grammar of Lua code count on some globals, on every Lua.
GLOBALS = """
t1 = {1, 2, 3, x = 1, y = {}}
t2 = setmetatable({}, {__index = t1, __call = function(self, ...) return ... end})
f1 = function(...) return ... end
f2 = function(f, ...) return f(...) end
co1 = coroutine.create(function(...) while true do coroutine.yield(...) end end)
x, y = 1, "y"
function collectible(f)
    local made = setmetatable({}, {__gc = f})
    if newproxy then
        made.proxy = newproxy(true)
        getmetatable(made.proxy).__gc = f
    end
    return made
end
function loaded(code)
    if type(code) ~= "function" then return (loadstring or load)(code) end
    local pieces = 0
    return load(function() pieces = pieces + 1; if pieces < 9 then return code() end end)
end
"""


# Has Lua collect wherever it may, with a finalizer that is made anew each time and does something at its k-th run.
EAGER = """function(k, wreck, minor)
    local runs, wanted, again = 0, true, nil
    local function arm()
        if newproxy then getmetatable(newproxy(true)).__gc = again else setmetatable({}, {__gc = again}) end
    end
    function again()
        if not wanted then return end
        runs = runs + 1
        arm()
        if minor == 2 then collectgarbage("restart") end
        if runs == k then wreck(runs) end
    end
    local function eager(pause, step)
        if minor == 5 then
            collectgarbage("param", "pause", pause) collectgarbage("param", "stepmul", step)
        elseif minor == 4 then
            collectgarbage("incremental", 200, 100, pause == 0 and 60 or 13) collectgarbage("setpause", pause)
        else
            collectgarbage("setpause", pause) collectgarbage("setstepmul", pause == 0 and 10000000 or 200)
        end
    end
    eager(0, 0)
    collectgarbage()
    arm()
    return function() wanted = false eager(200, 200) end
end"""


class Finding(BaseException):
    """Something that must not be."""


class Exhausted(Exception):
    """A hostile object has done enough in this statement."""


class Canary:
    """An object that must be gone when all is gone."""

    alive: "weakref.WeakSet[Canary]" = weakref.WeakSet()

    def __init__(self):
        self.x = 1
        Canary.alive.add(self)

    def __call__(self, *args):
        return args


class World:
    """The names that statements use, and what has to be put back in order after them."""

    def __init__(self, module):
        self.lupa = importlib.import_module(f"lupa.{module}")
        self.fuel = 0
        self.threads = []
        self.code = {}
        self.names = {}
        shared = (builtins, gc, sys, self.lupa, self.lupa.LuaError, self.lupa.LuaRuntime, Canary)
        self.shared = [(thing, dict(vars(thing))) for thing in shared]
        self.reset()

    def reset(self):
        """Empty pools."""
        modules = (codecs, collections, copy, functools, gc, pickle, sys, types, weakref)
        self.names.update({module.__name__: module for module in modules}, lupa=self.lupa, codec="a[0]")
        self.names.update({slot: None for slot in slots()})
        self.names.update(Canary=Canary, Callback=lambda source: Callback(self, source), lock=self.lupa.FastRLock())
        tools = Tools(self)
        self.names.update({name: getattr(tools, name) for name in dir(tools) if not name.startswith("_")})

    def evaluate(self, source, /, **local):
        """The value of an expression, for hostile objects and for tools."""
        self.fuel -= 1
        if self.fuel < 0:
            raise Exhausted
        code = self.code.get(source)
        if code is None:
            code = self.code[source] = compile(source, "<hostile>", "eval")
        return eval(code, self.names, local)

    def run(self, statement):
        """Run a statement; nothing that it raises matters but what says that lupa is broken."""
        self.fuel = FUEL
        try:
            exec(compile(statement, "<statement>", "exec"), self.names)
        except BaseException as error:
            judge(error)

    def finish(self, number):
        """Let go of everything, in an order that the number decides, and look at what is left."""
        self.join()
        gc.set_threshold(700, 10, 10)
        for name in ("r0", "r1", "r2"):
            if type(self.names[name]) is self.lupa.LuaRuntime:
                self.run(f"check_alive({name})")
        names = slots()
        random.Random(number).shuffle(names)
        for name in names:
            self.run(f"{name} = None")
        self.code.clear()
        self.names.clear()
        for thing, before in self.shared:
            restore(thing, before)
        for _ in range(5):
            self.fuel = FUEL
            gc.collect()
        self.reset()
        alive = list(Canary.alive)
        if alive:
            holders = [type(holder) for canary in alive for holder in gc.get_referrers(canary)]
            report(f"a leak: {len(alive)} objects live on, held by {holders}")

    def end(self):
        """Say that all has run.  What is still there has the exit of the interpreter before it."""
        self.join()
        sys.stderr.write("nothing was found\n")

    def join(self):
        """Wait for the threads of this program."""
        for thread in self.threads:
            thread.join(SECONDS_TO_JOIN)
            if thread.is_alive():
                faulthandler.dump_traceback(all_threads=True)
                report(f"a deadlock: a thread has not ended within {SECONDS_TO_JOIN} seconds")
        self.threads.clear()


def slots():
    """The names of all slots."""
    return [f"{kind}{n}" for kind, count in SLOTS.items() for n in range(count)]


def restore(thing, before):
    """Undo what a program did to the attributes of something that outlives it."""
    now = dict(vars(thing))
    for name in now.keys() - before.keys():
        delattr(thing, name)
    for name, value in before.items():
        if now.get(name) is not value:
            setattr(thing, name, value)


def report(text):
    """End the process with a finding."""
    sys.stderr.write(f"\nFINDING: {text}\n")
    traceback.print_stack()
    sys.stderr.flush()
    os._exit(FOUND)


def judge(error):
    """End the process if an exception, or one that it came from, is one that must not be."""
    for _ in range(100):
        if issubclass(type(error), Finding) or type(error).__name__ in ("PanicException", "SystemError"):
            traceback.print_tb(BaseException.__traceback__.__get__(error))
            report(f"{type(error).__name__}: {BaseException.__str__(error)}")
        error = BaseException.__cause__.__get__(error) or BaseException.__context__.__get__(error)
        if error is None:
            break


class Callback:
    """A callable that evaluates an expression, in which ``a`` is the arguments."""

    def __init__(self, world, source):
        self._world = world
        self._source = source

    def __call__(self, *a, **k):
        return self._world.evaluate(self._source, self=self, a=a, k=k)


class Tools:
    """Functions that statements can use: each is a name in the world."""

    def __init__(self, world):
        self._world = world

    def throw(self, error):
        """Raise something, if it can be raised."""
        raise error

    def take(self, iterable):
        """A few items."""
        return [item for item, _ in zip(iterable, range(20))]

    def hostile(self, base, arguments, **methods):
        """An object of a new class, whose special methods evaluate expressions."""
        world = self._world

        def method(source):
            return lambda self, *a, **k: world.evaluate(source, self=self, a=a, k=k)

        members = {name: method(source) for name, source in methods.items()}
        if "__class__" in members:
            members["__class__"] = property(members["__class__"])
        return types.new_class("Hostile", (base,), exec_body=lambda body: body.update(members))(
            *eval(f"({arguments},)" if arguments else "()")
        )

    def generator(self, first, last):
        """A generator that works between its items and when it is closed."""
        try:
            yield self._world.evaluate(first)
            yield 2
            yield self._world.evaluate(last)
        finally:
            self._world.evaluate(last)

    def cyclic(self):
        """A structure that contains itself."""
        inner: dict = {"x": []}
        inner["x"] += [inner, inner["x"], {"y": inner}]
        return inner

    def nested(self, depth):
        """Lists and dicts within each other."""
        made: object = 1
        for _ in range(depth):
            made = [{"x": made}]
        return made

    def fill(self, runtime, name):
        """Give a runtime its globals and the slots objects of it."""
        self._world.run(f"{name}.execute({GLOBALS!r})")
        made = {
            "t0": "globals().t1", "t1": "table(1, 'x', x=2)", "t2": "eval('setmetatable({1, 2}, {__index = _G})')",
            "f0": "globals().f1", "f1": "eval('function(f, ...) return f(...) end')", "f2": "globals().f2",
            "c0": "eval('function(...) for i = 1, 5 do coroutine.yield(i, ...) end end').coroutine(1)",
            "c1": "globals().co1", "c2": "eval('function(f) local x = f(1) coroutine.yield(x) end').coroutine(k0)",
            "i0": "globals().t1.items()", "i1": "table(1, 2, 3).keys()",
        }  # fmt: skip
        for slot, source in made.items():
            self._world.run(f"{slot} = {name}.{source}")
        for slot, source in {"o0": "Canary()", "o1": "[1, [2], {'x': 3}]", "k0": "Callback('a')"}.items():
            self._world.run(f"{slot} = {source}")
        for slot, source in {"p1": "o0", "p2": "o1", "p3": "k0"}.items():
            self._world.run(f"{name}.globals().{slot} = {source}")

    def failing(self, runtime, count, source):
        """Evaluate while Lua's allocations fail, from one on."""
        runtime._fail_allocations_after(count)
        try:
            return self._world.evaluate(source)
        finally:
            runtime._fail_allocations_after(None)

    def squeezed(self, runtime, more, source):
        """Evaluate with so much more memory than is used."""
        runtime.set_max_memory(max(1, runtime.get_memory_used() + more))
        try:
            return self._world.evaluate(source)
        finally:
            runtime.set_max_memory(0)

    def wrecked(self, runtime, count, wreck, source):
        """Evaluate while Lua collects at each point where it may, and a finalizer that evaluates something at the
        count-th of them.
        """
        arm = runtime.eval(EAGER)
        disarm = arm(count, lambda *a: self._world.evaluate(wreck, a=a), self._world.lupa.LUA_VERSION[1])
        try:
            return self._world.evaluate(source)
        finally:
            disarm()

    def near_limit(self, more, source):
        """Evaluate with few frames left before a RecursionError."""
        depth, frame = 1, sys._getframe()
        while frame.f_back:
            depth, frame = depth + 1, frame.f_back
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(depth + 5 + more)
        try:
            return self._world.evaluate(source)
        finally:
            sys.setrecursionlimit(limit)

    def with_nogc(self, runtime, source):
        """Evaluate without collections in Lua."""
        with runtime.nogc():
            return self._world.evaluate(source)

    def with_runtime(self, runtime, source):
        """Evaluate in a runtime's ``with`` block, which closes it."""
        with runtime:
            return self._world.evaluate(source)

    def limited(self, runtime, source, **limits):
        """Evaluate with limits."""
        with runtime.limits(**limits):
            return self._world.evaluate(source)

    def with_lock(self, source):
        """Evaluate with a lock of lupa's held, unless another thread has it."""
        lock = self._world.names["lock"]
        if lock.acquire(False):
            try:
                return self._world.evaluate(source)
            finally:
                lock.release()

    def thread(self, *sources):
        """Run statements in another thread."""
        sys.setswitchinterval(1e-5)
        thread = threading.Thread(target=lambda: [self._world.run(source) for source in sources], daemon=True)
        self._world.threads.append(thread)
        thread.start()

    def join(self):
        """Wait for the other threads."""
        if threading.current_thread() is threading.main_thread():
            self._world.join()

    def in_small_thread(self, source):
        """Run a statement in a thread with a small stack, and wait for it."""
        before = threading.stack_size(512 * 1024)
        try:
            self.thread(source)
        finally:
            threading.stack_size(before)
        self.join()

    def later(self, microseconds, source):
        """Run a statement in another thread, a little later."""
        timer = threading.Timer(microseconds / 1e6, self._world.run, [source])
        timer.daemon = True
        self._world.threads.append(timer)
        timer.start()

    def traced(self, hook, source):
        """Evaluate while Python calls a profiler that does something too."""

        def profiler(*_):
            sys.setprofile(None)
            self._world.evaluate(hook)
            sys.setprofile(profiler)

        sys.setprofile(profiler)
        try:
            return self._world.evaluate(source)
        finally:
            sys.setprofile(None)

    def interrupted(self, microseconds, action, source):
        """Evaluate; a signal arrives meanwhile, and its handler does something."""
        if threading.current_thread() is not threading.main_thread():
            return self._world.evaluate(source)
        armed = True

        def handle(*_):
            if armed:
                self._world.evaluate(action)

        signal.signal(signal.SIGALRM, handle)
        try:
            signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)
            return self._world.evaluate(source)
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)

    def forked(self, *sources):
        """Run statements in a copy of the process."""
        if threading.active_count() > 1:
            return
        child = os.fork()
        if child == 0:
            signal.alarm(SECONDS_TO_JOIN)
            for source in sources:
                self._world.run(source)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            raise Finding(f"a forked process ended with wait status {status}")

    def check_identity(self, runtime):
        """An object that went through Lua is the same object."""
        for value in (Canary(), [1], {"x": 1}, self.throw):
            back = runtime.eval("...", value)
            if back is not value:
                raise Finding(f"{value!r} came back as {back!r}")

    def check_numbers(self, runtime):
        """A number that went through Lua is the same number."""
        for value in (0, -1, 2**31, -(2**53), 0.5, 1e300):
            back = runtime.eval("...", value)
            if back != value:
                raise Finding(f"{value!r} came back as {back!r}")

    def check_alive(self, runtime):
        """A runtime that answers at all answers right, whatever was done to it."""
        value = runtime.eval("1 + 1")
        if value != 2:
            raise Finding(f"1 + 1 is {value!r}")

    def finish(self, number):
        """The end of a program."""
        self._world.finish(number)


def fuzzed_codec(world):
    """A codec that evaluates the expression in ``codec``."""

    def search(name):
        if name != "fuzzed":
            return None

        def convert(*a):
            return world.evaluate(world.names["codec"], a=a, self=None)

        return codecs.CodecInfo(name="fuzzed", encode=convert, decode=convert)

    return search


def start(module):
    """Prepare the process, and give the world in which statements run."""
    faulthandler.enable()
    sys.unraisablehook = lambda unraisable: judge(unraisable.exc_value)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if "asan" not in os.environ.get("LD_PRELOAD", ""):  # which reserves terabytes
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    world = World(module)
    codecs.register(fuzzed_codec(world))
    return world


def replay(module, statements):
    """Run statements, and say so if nothing was found."""
    world = start(module)
    for statement in statements:
        world.run(statement)
    world.end()
