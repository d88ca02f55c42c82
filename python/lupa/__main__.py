"""``python -m lupa``, and the command ``lupa``: the Lua command; see :mod:`lupa._cli`."""

import sys

from lupa._cli import main


def command() -> int:
    """Run the command with the arguments of this process and return its exit status."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(command())
