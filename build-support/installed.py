"""Shows which modules are installed in this environment; fails if one is missing or not its own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import lupa
import lupa_modules


def main() -> int:
    if not Path(lupa.__file__).is_relative_to(sys.prefix):
        print(f"error: lupa comes from {lupa.__file__}, not from {sys.prefix}", file=sys.stderr)
        return 1
    print(f"lupa {lupa.__version__} in {Path(lupa.__file__).parent}")
    for name in lupa_modules.chosen_backends([]):
        module = importlib.import_module(f"lupa.{name}")
        print(f"  {name:<9} {module.LuaRuntime().lua_implementation}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
