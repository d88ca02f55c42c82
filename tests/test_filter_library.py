"""Functions of Python's standard library that refuse where Lua's access to attributes is restricted."""

import importlib

import pytest

pytestmark = pytest.mark.beyond


def public(obj, name, is_setting):
    """A filter as people write them."""
    if isinstance(name, str) and name.startswith("_"):
        raise AttributeError("denied")
    return name


def get(obj, name):
    return getattr(obj, public(obj, name, False))


OPTIONS = {"filter": {"attribute_filter": public}, "handlers": {"attribute_handlers": (get, setattr)}}

NAMES = """
    os.system os.popen os.open os.fdopen os.remove os._exit os.execv os.kill os.chdir os.makedirs os.rename
    subprocess.run subprocess.Popen subprocess.getoutput
    sys.settrace sys._getframe sys.exit sys.call_tracing gc.get_objects gc.get_referrers
    ctypes.CDLL ctypes.string_at ctypes.cast signal.raise_signal faulthandler.dump_traceback
    importlib.util.spec_from_file_location importlib.metadata.version logging.config.dictConfig pkgutil.resolve_name
    unittest.main unittest.mock.patch unittest.defaultTestLoader.loadTestsFromName doctest.testmod cProfile.run
    trace.Trace site.addsitedir compileall.compile_file py_compile.compile typing.get_type_hints marshal.loads
    pickle.loads runpy.run_path timeit.timeit code.interact codeop.compile_command pdb.run
    io.open io.FileIO codecs.open tokenize.open linecache.getline fileinput.input shutil.rmtree tempfile.mkdtemp
    gzip.open bz2.open lzma.open zipfile.ZipFile tarfile.open sqlite3.connect dbm.open shelve.open mmap.mmap
    pathlib.Path.read_text pathlib.PosixPath.open pathlib.Path.unlink
    socket.socket socket.create_connection urllib.request.urlopen http.client.HTTPConnection ftplib.FTP smtplib.SMTP
    webbrowser.open xml.etree.ElementTree.parse logging.FileHandler logging.handlers.SocketHandler
    asyncio.create_subprocess_shell asyncio.open_connection multiprocessing.Process inspect.getsource
"""
REFUSED = NAMES.split()

# What a host may pass still, and what scripts need.
ALLOWED = {
    "os.path.join": ("f('a', 'b')", "a"),
    "os.getcwd": ("f()", ""),
    "math.sqrt": ("f(4)", 2.0),
    "json.dumps": ("f('x')", '"x"'),
    "json.loads": ("f('5')", 5),
    "time.time": ("f() > 0", True),
    "re.escape": ("f('.')", "\\."),
    "pathlib.PurePosixPath": ("f('a/b').name", "b"),
    "datetime.date": ("f(2000, 1, 2).day", 2),
    "random.random": ("f() < 1", True),
    "collections.OrderedDict": ("f() ~= nil", True),
    "sys.getsizeof": ("f('x') > 0", True),
    "typing.cast": ("f('x', 5)", 5),
    "string.capwords": ("f('a b')", "A B"),
    "textwrap.dedent": ("f(' a')", "a"),
    "base64.b64encode": ("f(python.builtins.bytearray(0))", ""),
}


def find(name):
    """What has this name, or None where this Python has no such module or function."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        return found
    return None


@pytest.mark.parametrize("option", OPTIONS)
def test_refused(lupa, option):
    lua = lupa.LuaRuntime(**OPTIONS[option])
    tried = 0
    for name in REFUSED:
        function = find(name)
        if function is None:
            continue
        with pytest.raises(PermissionError, match="register_builtins=True allows it"):
            lua.eval("function(f) f() end")(function)
            raise AssertionError(name)
        tried += 1
    assert tried > len(REFUSED) / 2


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(lupa, name):
    code, result = ALLOWED[name]
    lua = lupa.LuaRuntime(**OPTIONS["filter"])
    found = lua.eval(f"function(f) return {code} end")(find(name))
    assert isinstance(found, str) and found.startswith(result) if isinstance(result, str) else found == result


def test_a_module_leads_to_others(lupa):
    """The way of the public names from an innocent module."""
    import json

    lua = lupa.LuaRuntime(**OPTIONS["filter"])
    lua.globals().json = json
    for code in (
        "json.codecs.sys.modules['os'].system('exit 3')",
        "json.codecs.sys.modules.os.popen('exit 3')",
        "json.codecs.open('x')",
        "json.codecs.builtins.open('x')",
        "json.codecs.sys.exit()",
        "python.builtins.next(python.builtins.map(json.codecs.sys.modules['os'].system, python.builtins.list{'x'}))",
    ):
        with pytest.raises((PermissionError, AttributeError, lupa.LuaError, TypeError)) as caught:
            lua.eval(code)
        assert not isinstance(caught.value, SystemExit)


def test_a_module_of_the_host_is_its_own_affair(lupa):
    """It may have a name that begins like one of Python's."""

    def function():
        return 5

    lua = lupa.LuaRuntime(**OPTIONS["filter"])
    for module in ("site.models", "trace_tools", "profile.views", "my.os", "oslo", "system"):
        function.__module__ = module
        assert lua.eval("function(f) return f() end")(function) == 5
    for module in ("importlib.resources", "ctypes.util", "os"):
        function.__module__ = module
        function.__name__ = "system"
        with pytest.raises(PermissionError):
            lua.eval("function(f) return f() end")(function)


def test_it_can_be_allowed(lupa):
    lua = lupa.LuaRuntime(attribute_filter=public, register_builtins=True)
    assert lua.eval("function(f) return f('HOME', 'x') ~= nil end")(find("os.getenv"))
    assert lua.eval("function(f) return f() == nil end")(lambda: None)
    compile_command = find("codeop.compile_command")
    assert lua.eval("function(f) return f('x = 1', '<string>', 'exec') ~= nil end")(compile_command) is True
