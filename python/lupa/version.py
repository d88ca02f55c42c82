"""The version, also where lupa 2 has it: ``from lupa.version import __version__``."""

from lupa import __version__

__all__ = ["__version__"]
