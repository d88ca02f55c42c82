"""The command ``python -m lupa``, which works like the stand-alone ``lua``.

Code, arguments and messages are bytes here all the way, so that a script may contain any of them.
What needs Lua's own view of things (error values, tracebacks, C's streams) is in ``_cli.lua``.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import lupa

USAGE = """\
usage: python -m lupa [options] [script [args]]
Available options are:
  -e stat     execute string 'stat'
  -i          enter interactive mode after executing 'script'
  -l mod      require library 'mod' into global 'mod'
  -l g=mod    require library 'mod' into global 'g'
  -v          show version information (also --version)
  -E          ignore environment variables
  -W          turn warnings on (Lua 5.4 and later)
  --lua name  use this Lua: {backends}
  --          stop handling options
  -           stop handling options and execute stdin
"""

HISTORY = os.path.join(os.path.expanduser("~"), ".lupa_history")
HISTORY_LENGTH = 1000


class UsageError(Exception):
    """The command line makes no sense; the second argument is the exit status."""


class Options(NamedTuple):
    """A parsed command line."""

    backend: str | None
    steps: list[tuple[str, str]]  # ("-e", code) and ("-l", module), in order
    interactive: bool
    version: bool
    environment: bool
    warnings: bool
    rest: int  # the index of the script; without one, the number of arguments


def main(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit status."""
    try:
        options = parse(argv)
        if options is None:
            print(usage(), end="")
            return 0
        module = load_backend(options.backend)
        if options.warnings and module.LUA_VERSION < (5, 4):
            raise UsageError(f"unrecognized option '-W'\n{usage()}", 1)
    except UsageError as error:
        message, status = error.args
        print(f"lua: {message}", file=sys.stderr)
        return int(status)
    try:
        return Command(module, options, argv).run()
    except KeyboardInterrupt:
        print("lua: interrupted!", file=sys.stderr)
        return 130
    except module.LuaError as error:
        print(f"lua: {error}", file=sys.stderr)
        return 1


def usage() -> str:
    """The help text."""
    return USAGE.format(backends=", ".join(backends()))


def parse(argv: Sequence[str]) -> Options | None:
    """Parse a command line; None asks for help."""
    backend = None
    steps = []
    flags = set()
    index = 0
    while index < len(argv) and argv[index].startswith("-") and argv[index] != "-":
        option = argv[index]
        index += 1
        if option == "--":
            break
        if option in ("-h", "--help"):
            return None
        if option in ("-i", "-v", "-E", "-W"):
            flags.add(option)
        elif option == "--version":
            flags.add("-v")
        elif option.startswith("--lua="):
            backend = option[len("--lua=") :]
        elif option == "--lua" or option[:2] in ("-e", "-l"):
            name, value = (option, "") if option == "--lua" else (option[:2], option[2:])
            if not value:
                if index == len(argv) or (name != "-e" and argv[index].startswith("-")):
                    raise UsageError(f"'{name}' needs argument\n{usage()}", 1)
                value = argv[index]
                index += 1
            if name == "--lua":
                backend = value
            else:
                steps.append((name, value))
        else:
            raise UsageError(f"unrecognized option '{option}'\n{usage()}", 1)
    return Options(backend, steps, "-i" in flags, "-v" in flags, "-E" not in flags, "-W" in flags, index)


def backends() -> list[str]:
    """The names of the Lua modules that are installed."""
    names = (module.name for module in pkgutil.iter_modules(lupa.__path__))
    return sorted(name for name in names if re.fullmatch(r"lua(jit)?\d+", name))


def load_backend(name: str | None) -> Any:
    """The module of this name; without one, what ``import lupa`` stands for."""
    if name is not None and name not in backends():
        raise UsageError(f"no Lua named '{name}'; there are: {', '.join(backends()) or 'none'}", 2)
    try:
        return importlib.import_module(f"lupa.{name}" if name else lupa.LuaRuntime.__module__)
    except ImportError as error:
        raise UsageError(str(error), 2) from error


def encode(argument: str) -> bytes:
    """An argument or a file name as the bytes that C gets it in."""
    return argument.encode("mbcs", "replace") if os.name == "nt" else os.fsencode(argument)


@contextlib.contextmanager
def hidden_environment(names: Sequence[str]) -> Iterator[None]:
    """Environment variables are not set while this lasts."""
    saved: dict[str, str] = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)


class Command:
    """One run of the command: a Lua with what it shall do."""

    def __init__(self, module: Any, options: Options, argv: Sequence[str]) -> None:
        self.options = options
        self.argv = argv
        self.version: tuple[int, int] = module.LUA_VERSION
        self.leaving: SystemExit | None = None
        hidden = () if options.environment else self.variables("LUA_PATH", "LUA_CPATH")
        with hidden_environment(hidden):
            # An installed Lua looks for Ctrl-C only under a limit.
            self.runtime = module.LuaRuntime(timeout=math.inf if module._INSTALLED_LUA else None)
        self.runtime._restore_exit()  # a command ends like Lua's own, from anywhere
        host = pkgutil.get_data("lupa", "_cli.lua")
        assert host is not None, "a file of the package"
        self.host = self.runtime.execute(host, self.on_exception, flush_streams, name="=lupa")

    def variables(self, *names: str) -> list[str]:
        """Names of environment variables, the versioned ones first, as this Lua looks at them."""
        if self.version < (5, 2):
            return list(names)
        suffix = "_{}_{}".format(*self.version)
        return [name + end for name in names for end in (suffix, "")]

    def run(self) -> int:
        """Do all that the command line asks for; return the exit status."""
        options = self.options
        script = self.argv[options.rest :]
        self.set_arguments()
        if options.version or options.interactive:
            self.print_version()
        if options.warnings:
            self.runtime.globals().warn("@on")
        works = self.run_init() and all(self.run_step(*step) for step in options.steps)
        if works and script:
            name = None if script[0] == "-" and not self.follows_dashes() else encode(script[0])
            works = self.run_chunk(self.host.load_file(name), *map(encode, script[1:]))
        if works:
            if options.interactive:
                self.interact()
            elif not script and not options.version and not any(s[0] == "-e" for s in options.steps):
                works = self.run_input()
        if self.leaving is not None:
            raise self.leaving
        return 0 if works else 1

    def run_chunk(self, chunk: Any, *args: bytes) -> bool:
        """Call what has been loaded, if it could be; report its error."""
        if chunk is None:
            return False
        return bool(self.runtime._run_main(self.host.handler, chunk, self.host.done, *args))

    def follows_dashes(self) -> bool:
        """Whether the script's name comes after ``--``, where ``-`` is a name like any other."""
        return self.options.rest > 0 and self.argv[self.options.rest - 1] == "--"

    def set_arguments(self) -> None:
        """Set ``arg``: the script is at 0, its arguments follow, the command is before it."""
        original = list(getattr(sys, "orig_argv", ()))
        ours = len(original) - len(self.argv)
        if os.path.basename(sys.argv[0]).partition(".")[0] == "lupa":
            # The command that installers make, which scripts can start again by one word.
            original, ours = [sys.argv[0], *self.argv], 1
        if ours < 1 or original[ours:] != list(self.argv):
            original = [sys.executable, "-m", "lupa", *self.argv]
            ours = 3
        has_script = self.options.rest < len(self.argv)
        script = ours + self.options.rest if has_script else ours - 1
        self.host.set_arguments(-script, *map(encode, original))

    def run_init(self) -> bool:
        """Run what the environment variable LUA_INIT, or that of this version, holds."""
        if not self.options.environment:
            return True
        for name in self.variables("LUA_INIT"):
            code = os.environ.get(name)
            if code is None:
                continue
            if code.startswith("@"):
                return self.run_chunk(self.host.load_file(encode(code[1:])))
            return self.run_chunk(self.host.load_string(encode(code), f"={name}"))
        return True

    def run_step(self, option: str, value: str) -> bool:
        """Run the option ``-e`` or ``-l``."""
        if option == "-e":
            return self.run_chunk(self.host.load_string(encode(value), "=(command line)"))
        name, equals, module = value.partition("=")
        if not equals:
            # Before 5.2 it was the module that made its global.
            name, module = (value.partition("-")[0] if self.version >= (5, 2) else ""), value
        if not self.run_chunk(self.host.require, encode(module)):
            return False
        if name:
            self.host.keep(encode(name))
        return True

    def run_input(self) -> bool:
        """What happens without a script: interaction on a terminal, elsewhere the input is the script."""
        if not is_terminal():
            return self.run_chunk(self.host.load_file(None))
        if not self.options.interactive:
            self.print_version()
        self.interact()
        return True

    def print_version(self) -> None:
        """Print the version line."""
        python = ".".join(map(str, sys.version_info[:3]))
        line = f"{self.runtime.lua_implementation} (lupa {lupa.__version__}, Python {python})\n"
        self.host.write(line.encode())

    def interact(self) -> None:
        """Read lines, run them and print their results, until the input ends."""
        self.host.prefix = ""
        with line_editing() as read:
            while self.leaving is None:
                try:
                    if not self.feed_line(read):
                        self.run_typed(self.host.finish())
                        self.host.write("\n")
                        break
                except KeyboardInterrupt:
                    self.host.write("\n")
                    self.host.forget_pending()

    def feed_line(self, read: Callable[[str], str] | None) -> bool:
        """Read one line and run what is complete with it; False at the end of the input."""
        if read is None:
            taken = self.host.feed_from_input()
            if taken is False:
                return False
            self.run_typed(taken[1])
            return True
        try:
            prompt = self.host.prompt()
        except UnicodeDecodeError as error:
            prompt = error.object.decode("utf-8", "replace")
        self.host.write("")  # flushes
        try:
            line = read(prompt)
        except EOFError:
            return False
        self.run_typed(self.host.feed(line.encode(sys.stdin.encoding, sys.stdin.errors or "strict")))
        return True

    def run_typed(self, chunk: Any) -> None:
        """Run what was typed, if it is complete, and print its results."""
        if chunk is not None and self.run_chunk(chunk) and self.host.has_results():
            self.run_chunk(self.host.print_results)

    def on_exception(self, error: object) -> bool | None:
        """Take note of a Python exception that leaves Lua code.

        Return whether Lua's stack is of interest too; None if the object is no exception.
        """
        if not isinstance(error, BaseException):
            return None
        if isinstance(error, SystemExit):
            self.leaving = error
            return False
        flush_streams()
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        print("".join(lines), end="", file=sys.stderr, flush=True)
        return True


def is_terminal() -> bool:
    """Whether a person types the input."""
    return sys.stdin is not None and sys.stdin.isatty()


def flush_streams() -> None:
    """Write out what Python's streams hold back, before C writes or the process ends."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):  # a closed pipe or file
                stream.flush()


@contextlib.contextmanager
def line_editing() -> Iterator[Callable[[str], str] | None]:
    """What reads lines from the terminal, with a history if Python has readline; else None."""
    if not is_terminal():
        yield None
        return
    try:
        import readline
    except ImportError:
        yield input
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(HISTORY)
    readline.set_history_length(HISTORY_LENGTH)

    def read(prompt: str) -> str:
        line = input(prompt)
        with contextlib.suppress(OSError):  # after each line, for `os.exit` ends the process
            readline.write_history_file(HISTORY)
        return line

    yield read
