"""The licences of what a wheel contains: lupa's own, those of each Lua and those of the Rust crates.

Lua's are taken from the sources that are compiled, the crates' from where cargo keeps them, so that
they are always those of the very versions that go in.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import lupa_modules

# The notice that each Lua has at the end of its lua.h.
NOTICE = re.compile(r"/\*{10,}\n(\* Copyright \(C\).*?)\n\*{10,}/", re.DOTALL)


def collect(backends: dict[str, str]) -> dict[str, bytes]:
    """The licence files for a wheel with these backends: names below ``licenses/``, and contents."""
    found = {"LICENSE": (lupa_modules.ROOT / "LICENSE").read_bytes()}
    if not all(lupa_modules.is_installed(name) for name in backends):
        found.update(of_luas(lupa_modules.lua_sources()))
    found.update(_of_crates(set(backends.values())))
    return found


def of_luas(sources: Path) -> dict[str, bytes]:
    """The notices of all Luas whose sources are in this folder."""
    found = {}
    for header in sorted(sources.rglob("lua.h")):
        folder = header.parent.parent if header.parent.name == "src" else header.parent
        name = f"lua/{folder.name}.txt"
        copyright = folder / "COPYRIGHT"
        if copyright.is_file():
            found[name] = copyright.read_bytes()
            continue
        notice = NOTICE.search(header.read_text(encoding="utf-8", errors="replace"))
        if notice is None:
            raise lupa_modules.BuildError(f"{header} has no copyright notice at its end")
        lines = [line.lstrip("*").strip() for line in notice[1].splitlines()]
        found[name] = ("\n".join(lines) + "\n").encode()
    return found


def _of_crates(packages: set[str]) -> dict[str, bytes]:
    """The licence files of the crates that are linked into these packages."""
    metadata = lupa_modules.cargo_metadata(["--filter-platform", lupa_modules.target()])
    by_id: dict[str, Any] = {package["id"]: package for package in metadata["packages"]}
    nodes: dict[str, Any] = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    waiting = [identity for identity, package in by_id.items() if package["name"] in packages]
    seen: set[str] = set()
    found: dict[str, bytes] = {}
    while waiting:
        identity = waiting.pop()
        package = by_id[identity]
        if identity in seen or any("proc-macro" in target["kind"] for target in package["targets"]):
            continue
        seen.add(identity)
        # A dependency of a build script, or of tests, has a kind that is not null.
        for dependency in nodes[identity]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                waiting.append(dependency["pkg"])
        if package["source"] is not None:
            found.update(_of_crate(package))
    return found


def _of_crate(package: dict[str, Any]) -> dict[str, bytes]:
    folder = Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.name.upper().startswith(("LICENSE", "COPYING")))
    # Where there is a choice, it is the licence that is also lupa's.
    chosen = [file for file in files if "MIT" in file.name.upper()] or files
    if not chosen:
        raise lupa_modules.BuildError(f"the crate {package['name']} comes without a licence file")
    return {f"rust/{package['name']}/{file.name}": file.read_bytes() for file in chosen}
