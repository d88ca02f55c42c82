"""``python -m lupa``, and the command ``lupa``: the Lua command; see :mod:`lupa._cli`."""

import signal
import sys

from lupa._cli import main


def command() -> int:
    """Run the command with the arguments of this process and return its exit status."""
    # A closed pipe ends it, as it ends programs in C: Python ignores the signal, and children inherit that.
    pipe = getattr(signal, "SIGPIPE", None)
    if pipe is not None:
        signal.signal(pipe, signal.SIG_DFL)
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(command())
