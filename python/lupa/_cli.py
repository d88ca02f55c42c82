"""The command ``python -m lupa``, which works like the stand-alone ``lua``.

Code, arguments and messages are bytes here all the way, so that a script may contain any of them.
What needs Lua's own view of things (error values, tracebacks, C's streams) is Lua code: ``HOST``.
"""

import contextlib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import lupa

USAGE = """\
usage: python -m lupa [options] [script [args]]
Available options are:
  -e stat     execute string 'stat'
  -i          enter interactive mode after executing 'script'
  -l mod      require library 'mod' into global 'mod'
  -l g=mod    require library 'mod' into global 'g'
  -v          show version information
  -E          ignore environment variables
  --lua name  use this Lua: {backends}
  --          stop handling options
  -           stop handling options and execute stdin
"""

# Functions for the Python side, as fields of a table. Locals keep what a script may take away.
HOST = rb"""
local on_exception, flush_python = ...
local loadfile, load, require = loadfile, loadstring or load, require
local type, tostring, select, xpcall = type, tostring, select, xpcall
local unpack = unpack or table.unpack
local find, gsub, sub = string.find, string.gsub, string.sub
local traceback, getmetatable = debug.traceback, debug.getmetatable
local stdin, stdout, stderr, exit = io.stdin, io.stdout, io.stderr, os.exit
local globals = _G
local host = {prefix = "lua: "}

function os.exit(...)
  flush_python()  -- the C function knows nothing of Python's buffers
  exit(...)
end

local function pack(...)
  return {n = select("#", ...), ...}
end

local function report(message)
  stdout:flush()
  stderr:write(message, "\n")
  stderr:flush()
  return false
end

-- The traceback of an error, as if nothing but C were below the function that `call` has called.
local function stack(message, own_frames)
  local text = traceback(message, 4)
  for _ = 1, own_frames do
    text = gsub(text, "\n[^\n]*$", "")
  end
  -- Lua would say so itself, had C called the chunk.
  text = gsub(text, "(\n\t[^%[\n][^\n]*: in )[^\n]*$", "%1main chunk")
  return text .. "\n\t[C]: in ?"
end

-- The message for an error value, ready to be shown; nil if there is nothing to show.
local function describe(value, own_frames)
  if type(value) == "string" or type(value) == "number" then
    return host.prefix .. stack(tostring(value), own_frames)
  end
  if type(value) == "userdata" then
    local shows_stack = on_exception(value, host.prefix)
    if shows_stack ~= nil then
      return shows_stack and sub(stack("", own_frames), 2) or nil
    end
  end
  local metatable = getmetatable(value)
  if type(metatable) == "table" and metatable.__tostring then
    local text = metatable.__tostring(value)
    if type(text) == "string" then
      return host.prefix .. text
    end
  end
  return host.prefix .. "(error object is a " .. type(value) .. " value)"
end

-- Calls a function and reports its error. Gives true and the packed results, or false.
local function call(f, ...)
  local arguments = pack(...)
  -- The frames from here down, and two above: xpcall and the function that it calls.
  local own_frames = 2 + select(2, gsub(traceback("", 1), "\n\t", ""))
  local handled = false
  local ok, result = xpcall(function()
    local results = pack(f(unpack(arguments, 1, arguments.n)))
    return results
  end, function(value)
    local message = describe(value, own_frames)
    handled = true
    return message
  end)
  if ok then
    return true, result
  end
  if not handled then  -- no memory, or an error in the handler: Lua's own message
    result = host.prefix .. tostring(result)
  end
  if result then
    report(result)
  end
  return false
end

local function run(chunk, message, ...)
  if not chunk then
    return report(host.prefix .. message)
  end
  return (call(chunk, ...))
end

function host.run_string(code, name)
  return run(load(code, name))
end

-- Runs a file; without a name, the standard input.
function host.run_file(name, ...)
  local chunk, message = loadfile(name)
  return run(chunk, message, ...)
end

function host.require(name, global)
  local ok, results = call(require, name)
  if ok and global then
    globals[global] = results[1]
  end
  return ok
end

function host.set_arguments(...)
  local arguments = pack(...)
  local first = arguments[1]
  globals.arg = {}
  for index = 2, arguments.n do
    globals.arg[first + index - 2] = arguments[index]
  end
end

function host.write(text)
  stdout:write(text)
  stdout:flush()
end

-- The lines of an interaction that are not yet a statement, if there are any.
local pending

function host.forget_pending()
  pending = nil
end

function host.prompt()
  local prompt = pending and globals._PROMPT2 or not pending and globals._PROMPT
  return prompt and tostring(prompt) or pending and ">> " or "> "
end

-- Runs what was typed and prints its results. True if more has to follow.
local function interpret(code, is_all)
  code = gsub(code, "^=", "return ")
  local chunk, message = load("return " .. code, "=stdin")
  if not chunk then
    chunk, message = load(code, "=stdin")
  end
  if not chunk then
    if not is_all and find(message, "<eof>'?$") then
      return true
    end
    return report(message)
  end
  local ok, results = call(chunk)
  if ok and results.n > 0 then
    call(globals.print, unpack(results, 1, results.n))
  end
  return false
end

function host.feed(line)
  local code = pending and pending .. "\n" .. line or line
  pending = nil
  if interpret(code) then
    pending = code
  end
end

-- Reads a line and takes it; false at the end of the input.
function host.feed_from_input()
  local line = stdin:read("*l")
  if line then
    host.feed(line)
  end
  return line ~= nil
end

function host.finish()
  if pending then
    interpret(pending, true)
  end
end

return host
"""


HISTORY = os.path.join(os.path.expanduser("~"), ".lupa_history")
HISTORY_LENGTH = 1000

LineReader = Callable[[str], str]


class UsageError(Exception):
    """The command line makes no sense; the second argument is the exit status."""


class Options(NamedTuple):
    """A parsed command line."""

    backend: Optional[str]
    steps: List[Tuple[str, str]]  # ("-e", code) and ("-l", module), in order
    interactive: bool
    version: bool
    environment: bool
    rest: int  # the index of the script; without one, the number of arguments


def main(argv: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit status."""
    try:
        options = parse(argv)
        if options is None:
            print(usage(), end="")
            return 0
        module = load_backend(options.backend)
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


def parse(argv: Sequence[str]) -> Optional[Options]:
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
        if option in ("-i", "-v", "-E"):
            flags.add(option)
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
    return Options(backend, steps, "-i" in flags, "-v" in flags, "-E" not in flags, index)


def backends() -> List[str]:
    """The names of the Lua modules that are installed."""
    names = (module.name for module in pkgutil.iter_modules(lupa.__path__))
    return sorted(name for name in names if re.fullmatch(r"lua(jit)?\d+", name))


def load_backend(name: Optional[str]) -> Any:
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
    saved: Dict[str, str] = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(saved)


class Command:
    """One run of the command: a Lua with what it shall do."""

    def __init__(self, module: Any, options: Options, argv: Sequence[str]) -> None:
        self.options = options
        self.argv = argv
        self.version: Tuple[int, int] = module.LUA_VERSION
        self.leaving: Optional[SystemExit] = None
        self.interrupted = False
        hidden = () if options.environment else self.variables("LUA_PATH", "LUA_CPATH")
        with hidden_environment(hidden):
            self.runtime = module.LuaRuntime()
        self.host = self.runtime.execute(HOST, self.on_exception, flush_streams, name="=lupa")

    def variables(self, *names: str) -> List[str]:
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
        works = self.run_init() and all(self.run_step(*step) for step in options.steps)
        if works and script:
            name = None if script[0] == "-" and not self.follows_dashes() else encode(script[0])
            works = self.host.run_file(name, *map(encode, script[1:]))
        if works:
            if options.interactive:
                self.interact()
            elif not script and not options.version and not any(s[0] == "-e" for s in options.steps):
                works = self.run_input()
        if self.leaving is not None:
            raise self.leaving
        if self.interrupted:
            return 130
        return 0 if works else 1

    def follows_dashes(self) -> bool:
        """Whether the script's name comes after ``--``, where ``-`` is a name like any other."""
        return self.options.rest > 0 and self.argv[self.options.rest - 1] == "--"

    def set_arguments(self) -> None:
        """Set ``arg``: the script is at 0, its arguments follow, the command is before it."""
        original = list(getattr(sys, "orig_argv", ()))
        ours = len(original) - len(self.argv)
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
                return bool(self.host.run_file(encode(code[1:])))
            return bool(self.host.run_string(encode(code), f"={name}"))
        return True

    def run_step(self, option: str, value: str) -> bool:
        """Run the option ``-e`` or ``-l``."""
        if option == "-e":
            return bool(self.host.run_string(encode(value), "=(command line)"))
        name, equals, module = value.partition("=")
        if equals:
            return bool(self.host.require(encode(module), encode(name)))
        # Before 5.2 it was the module that made its global.
        name = None if self.version < (5, 2) else encode(value.partition("-")[0])
        return bool(self.host.require(encode(value), name))

    def run_input(self) -> bool:
        """What happens without a script: interaction on a terminal, elsewhere the input is the script."""
        if not is_terminal():
            return bool(self.host.run_file(None))
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
                        self.host.finish()
                        self.host.write("\n")
                        break
                except KeyboardInterrupt:
                    self.host.write("\n")
                    self.host.forget_pending()
                self.interrupted = False

    def feed_line(self, read: Optional[LineReader]) -> bool:
        """Read one line and run what is complete with it; False at the end of the input."""
        try:
            prompt = self.host.prompt()
        except UnicodeDecodeError as error:
            prompt = error.object.decode("utf-8", "replace")
        if read is None:
            self.host.write(prompt)
            return bool(self.host.feed_from_input())
        self.host.write("")
        try:
            line = read(prompt)
        except EOFError:
            return False
        self.host.feed(line.encode(sys.stdin.encoding, sys.stdin.errors or "strict"))
        return True

    def on_exception(self, error: object, prefix: str) -> Optional[bool]:
        """Take note of a Python exception that leaves Lua code.

        Return whether Lua's stack is of interest too; None if the object is no exception.
        """
        if not isinstance(error, BaseException):
            return None
        if isinstance(error, SystemExit):
            self.leaving = error
            return False
        flush_streams()
        if isinstance(error, KeyboardInterrupt):
            self.interrupted = True
            print(f"{prefix}interrupted!", file=sys.stderr, flush=True)
        else:
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
def line_editing() -> Iterator[Optional[LineReader]]:
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
