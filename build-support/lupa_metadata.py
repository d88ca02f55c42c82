"""The metadata of a distribution: what ``pyproject.toml`` says, in the form of wheels and sdists."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import lupa_modules
import lupa_target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GENERATOR = "lupa_backend"


def project() -> dict[str, Any]:
    """The ``[project]`` table."""
    text = (lupa_modules.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["project"]
    known = {
        *("name", "version", "description", "readme", "requires-python", "license", "license-files", "authors"),
        *("keywords", "classifiers", "urls", "optional-dependencies", "scripts"),
    }
    unknown = table.keys() - known
    if unknown:
        raise lupa_modules.BuildError(f"lupa_metadata.py does not write the keys {', '.join(sorted(unknown))}")
    return table


def stem() -> str:
    """Name and version, as the names of files and folders have them."""
    table = project()
    return f"{table['name']}-{table['version']}"


def core_metadata(licenses: list[str]) -> str:
    """The text of METADATA and PKG-INFO."""
    table = project()
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {table['name']}",
        f"Version: {table['version']}",
        f"Summary: {table['description']}",
        f"Keywords: {','.join(table['keywords'])}",
        *(f"Author: {author['name']}" for author in table["authors"]),
        f"License-Expression: {table['license']}",
        *(f"License-File: {name}" for name in licenses),
        *(f"Classifier: {classifier}" for classifier in table["classifiers"]),
        f"Requires-Python: {table['requires-python']}",
        *(f"Project-URL: {label}, {url}" for label, url in table.get("urls", {}).items()),
    ]
    for extra, requirements in table["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for requirement in requirements:
            needed, _, marker = requirement.partition(";")
            both = f"({marker.strip()}) and extra == '{extra}'" if marker else f"extra == '{extra}'"
            lines.append(f"Requires-Dist: {needed.strip()}; {both}")
    lines.append("Description-Content-Type: text/markdown")
    readme: str = (lupa_modules.ROOT / table["readme"]).read_text(encoding="utf-8")
    return "\n".join(lines) + "\n\n" + readme


def wheel_metadata(tags: list[str]) -> str:
    """The text of WHEEL."""
    lines = ["Wheel-Version: 1.0", f"Generator: {GENERATOR} {project()['version']}", "Root-Is-Purelib: false"]
    return "\n".join([*lines, *(f"Tag: {tag}" for tag in tags)]) + "\n"


def entry_points() -> str:
    """The text of entry_points.txt: the commands that installers make."""
    return "\n".join(["[console_scripts]", *(f"{name} = {call}" for name, call in project()["scripts"].items())]) + "\n"


def tags(options: lupa_modules.Options) -> list[str]:
    """The tags of a wheel that is built now: Python, its ABI, and where it runs."""
    if options.abi3:
        python, abi = "cp" + "".join(map(str, lupa_modules.ABI3_FLOOR)), "abi3"
    else:
        python, abi = _python_tags()
    return [f"{python}-{abi}-{system}" for system in _platforms(options.manylinux)]


def wheel_name(tags: list[str]) -> str:
    """The file name of a wheel with these tags."""
    # Several tags share one file name, in which each part lists its values: cp311-cp311-a.b
    parts = zip(*(tag.split("-") for tag in tags))
    compressed = "-".join(".".join(dict.fromkeys(part)) for part in parts)
    return f"{stem()}-{compressed}.whl"


def _python_tags() -> tuple[str, str]:
    """The tags of this Python and of its ABI."""
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    flags = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    flags += "d" if hasattr(sys, "gettotalrefcount") else ""
    return f"cp{version}", f"cp{version}{flags}"


def _platforms(manylinux: str | None) -> list[str]:
    """The platform tags of what is compiled on this machine."""
    foreign = lupa_target.foreign()
    system = lupa_target.platform(foreign) if foreign else sysconfig.get_platform().replace("-", "_").replace(".", "_")
    if foreign is None and system.startswith("linux") and sys.maxsize < 2**32:
        # The kernel may have more bits than Python.
        system = {"linux_x86_64": "linux_i686", "linux_aarch64": "linux_armv7l"}.get(system, system)
    if manylinux is not None:
        machine = system.partition("_")[2]
        # The name that tags of this age had before they said the version; pip before 20.3 knows only that.
        return [f"manylinux_{manylinux}_{machine}"] + ([f"manylinux2014_{machine}"] if manylinux == "2_17" else [])
    if system.startswith("macosx"):
        # Python may be for two machines and an older system; the modules are as rustc makes them.
        version = os.environ.get("MACOSX_DEPLOYMENT_TARGET") or _rustc_deployment_target()
        major, minor = (version.split(".") + ["0"])[:2]
        machine = system.removeprefix("macosx_") if foreign else platform.machine()
        return [f"macosx_{major}_{'0' if int(major) > 10 else minor}_{machine}"]
    return [system]


def _rustc_deployment_target() -> str:
    command = [lupa_modules.rustc(), "--print", "deployment-target", "--target", lupa_modules.target()]
    # MACOSX_DEPLOYMENT_TARGET=11.0
    answer = subprocess.run(command, cwd=lupa_modules.ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return answer.strip().rpartition("=")[2]


def write_dist_info(folder: Path, tags: list[str], licenses: dict[str, bytes]) -> Path:
    """Writes the dist-info folder of a wheel, all but the RECORD; its path."""
    dist_info = folder / f"{stem()}.dist-info"
    dist_info.mkdir()
    (dist_info / "METADATA").write_bytes(core_metadata(sorted(licenses)).encode())
    (dist_info / "WHEEL").write_bytes(wheel_metadata(tags).encode())
    (dist_info / "entry_points.txt").write_bytes(entry_points().encode())
    for name, text in licenses.items():
        target = dist_info / "licenses" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text)
    return dist_info
