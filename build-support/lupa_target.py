"""What the files of a build are called that is for another machine than this one (``CARGO_BUILD_TARGET``).

Python's own tools say it of the machine that Python runs on; a Python that was set up for cross builds says it
of the other machine, and then it is believed. Else it follows from what Rust calls
the target, and from this Python's version.
"""

from __future__ import annotations

import os
import sys
import sysconfig

# What Rust calls a processor that others call otherwise: in tags, and in the names of modules.
_IN_TAGS = {
    "i586": "i686",
    "armv7": "armv7l",
    "powerpc64le": "ppc64le",
    "riscv64gc": "riscv64",
}
_IN_NAMES = {"i586": "i386", "i686": "i386", "armv7": "arm", "riscv64gc": "riscv64"}

_WINDOWS = {"x86_64": "win_amd64", "i686": "win32", "aarch64": "win_arm64"}


def foreign() -> str | None:
    """The target, if Python knows nothing of it."""
    target = os.environ.get("CARGO_BUILD_TARGET")
    if not target:
        return None
    known = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if known.startswith("macosx"):
        # Which may be for several machines.
        same = "apple" in target and known.endswith(("universal2", _mac(target)))
    elif known.startswith("linux"):
        musl = "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE") or sysconfig.get_config_var("EXT_SUFFIX"))
        narrow = {"linux_x86_64": "linux_i686", "linux_aarch64": "linux_armv7l"} if sys.maxsize < 2**32 else {}
        same = "linux" in target and platform(target) == narrow.get(known, known) and ("musl" in target) == musl
    else:
        same = platform(target) == known
    return None if same else target


def platform(target: str) -> str:
    """The platform tag of wheels; without what says how old a system may be."""
    processor = target.partition("-")[0]
    if "windows" in target:
        return _WINDOWS.get(processor, f"win_{processor}")
    if "apple" in target:
        return f"macosx_{_mac(target)}"
    return f"linux_{_IN_TAGS.get(processor, processor)}"


def extension_suffix(target: str) -> str:
    """How the names of modules for this version of Python end."""
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    version += "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    version += "d" if hasattr(sys, "gettotalrefcount") else ""
    if "windows" in target:
        return f".cp{version}-{platform(target)}.pyd"
    if "apple" in target:
        return f".cpython-{version}-darwin.so"
    processor, system = target.partition("-")[0], target.rpartition("-")[2]
    return f".cpython-{version}-{_IN_NAMES.get(processor, processor)}-linux-{system}.so"


def stable_suffix(target: str) -> str:
    """The same for all Pythons with the stable ABI."""
    return ".pyd" if "windows" in target else ".abi3.so"


def python_version() -> str:
    """The version that PyO3 is told to build for."""
    free_threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{free_threaded}"


def _mac(target: str) -> str:
    return "arm64" if target.startswith("aarch64") else "x86_64"
