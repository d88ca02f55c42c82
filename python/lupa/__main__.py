"""``python -m lupa``: the Lua command; see :mod:`lupa._cli`."""

import sys

from lupa._cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
