"""Sub-interpreters: a module belongs to the first interpreter that imports it, and says so to all others."""

import sys

import pytest
from conftest import run_python

pytestmark = pytest.mark.beyond

MODULE = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"

# ``run(code, isolated)`` runs code in a new interpreter, whatever this Python calls that.  What is in the code as
# ``say`` comes back.
PRELUDE = """
import os, sys, textwrap

def create(isolated):
    try:
        import _interpreters
    except ImportError:
        import _xxsubinterpreters
        return _xxsubinterpreters, _xxsubinterpreters.create(isolated=isolated)
    return _interpreters, _interpreters.create("isolated" if isolated else "legacy")

def run(code, isolated=False):
    module, interpreter = create(isolated)
    reader, writer = os.pipe()
    head = f"import os, sys; sys.path[:] = {sys.path!r}; say = lambda text: os.write({writer}, str(text).encode())"
    try:
        failed = module.run_string(interpreter, head + textwrap.dedent(code))
        assert failed is None, failed
    finally:
        os.close(writer)
        said = os.read(reader, 10_000).decode()
        os.close(reader)
        module.destroy(interpreter)
    return said

IMPORT = '''
    try:
        import lupa.BACKEND
    except ImportError as error:
        say(f"{type(error).__name__}: {error}")
    else:
        say(lupa.BACKEND.LuaRuntime().eval("1 + 1"))
'''.replace("BACKEND", lupa.__name__.rpartition(".")[2])
"""


@pytest.fixture
def with_interpreters(isolated):
    """Runs code with ``run`` in a process of its own."""

    def run(code):
        pytest.importorskip(MODULE, reason="this Python has no sub-interpreters")
        return isolated(PRELUDE + code)

    return run


def test_a_second_interpreter_is_refused(with_interpreters, backend):
    with_interpreters(f"""
for _ in range(2):
    said = run(IMPORT)
    assert said == "ImportError: lupa.{backend} can be used in one interpreter of a process only", said
assert lua.eval("1 + 1") == 2
""")


def test_an_interpreter_with_a_gil_of_its_own_is_refused(with_interpreters):
    """Where Python has such interpreters (3.12), it is Python itself that refuses."""
    with_interpreters("""
said = run(IMPORT, isolated=True)
assert said.startswith("ImportError: "), said
assert "interpreter" in said, said
assert lua.eval("1 + 1") == 2
""")


def test_use_goes_on_after_a_refusal(with_interpreters):
    """The import that fails leaves the objects of the first interpreter alone."""
    with_interpreters("""
import gc
table = lua.table_from({"a": [1, 2]}, recursive=True)
run(IMPORT)
gc.collect()
assert list(table.a.values()) == [1, 2]
assert type(table) is type(lua.table()) and isinstance(lua, lupa.LuaRuntime)
try:
    lua.execute("error('text')")
except lupa.LuaError as error:
    assert "text" in str(error)
""")


def test_the_first_interpreter_is_the_one(backend):
    """Whichever interpreter imports the module first has it; when that one is gone, nobody gets it any more."""
    pytest.importorskip(MODULE, reason="this Python has no sub-interpreters")
    code = (
        f"import types; lupa = types.SimpleNamespace(__name__='lupa.{backend}')\n"
        + PRELUDE
        + f"""
assert run(IMPORT) == "2"
try:
    import lupa.{backend}
except ImportError as error:
    assert "one interpreter of a process only" in str(error)
else:
    raise AssertionError("imported")
"""
    )
    done = run_python(code)
    assert done.returncode == 0, done.stdout + done.stderr
