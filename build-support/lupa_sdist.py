"""Writes the source distribution: all that a machine without network needs to build and test lupa.

That is what git tracks, apart from tasks of the project itself, with the pinned sources of each Lua
and of the Rust crates that the modules are made of, and cargo's configuration to use those.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import lupa_metadata
import lupa_modules
from lupa_wheel import timestamp

# What nobody needs who builds or tests the package. Without it, a third of the crates is not needed.
LEFT_OUT = (".cargo/", ".ci/", ".github/", "benches/", "crates/lua-module-fixture/", "fuzz/", "xtask/")

# The members of the workspace that are left.
MEMBERS = 'members = ["crates/*"]'

CRATES = "vendor/crates"

CARGO_CONFIG = f"""\
# The crates that the modules are made of, as Cargo.lock names them, are in this folder.
[source.crates-io]
replace-with = "inside"

[source.inside]
directory = "{CRATES}"

# As in a clone: for musl, Rust makes no shared library otherwise.
[target.'cfg(target_env = "musl")']
rustflags = ["-C", "target-feature=-crt-static"]
"""


def write(directory: Path) -> Path:
    """Writes the sdist into this folder; its path."""
    # In an unpacked sdist there is no git, and everything is as it shall be.
    if (lupa_modules.ROOT / "PKG-INFO").is_file():
        return _pack(lupa_modules.ROOT, _files_below(lupa_modules.ROOT), directory)
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)
        _copy_tracked(stage)
        shutil.copytree(lupa_modules.lua_sources(), stage / "vendor" / "sources", dirs_exist_ok=True)
        _reduce_workspace(stage)
        _vendor_crates(stage)
        metadata = lupa_metadata.core_metadata(["LICENSE"])
        (stage / "PKG-INFO").write_bytes(metadata.encode())
        return _pack(stage, _files_below(stage), directory)


def _copy_tracked(stage: Path) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=lupa_modules.ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if listing.returncode != 0:
        raise lupa_modules.BuildError("an sdist is made of what git tracks, in a clone; git's message is above")
    for name in filter(None, listing.stdout.split("\0")):
        source = lupa_modules.ROOT / name
        # git lists a deleted file until the deletion is committed.
        if source.is_file() and not name.startswith(LEFT_OUT):
            target = stage / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _reduce_workspace(stage: Path) -> None:
    manifest = stage / "Cargo.toml"
    text, found = re.subn(r"(?m)^members = .*$", MEMBERS, manifest.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^(exclude|default-members) = .*\n", "", text)
    if found != 1:
        raise lupa_modules.BuildError("Cargo.toml has no line with the members of the workspace")
    manifest.write_bytes(text.encode())


def _vendor_crates(stage: Path) -> None:
    # Not --locked: cargo drops from the lock file what the members that are left do not need. It
    # keeps the versions of the rest, which is checked.
    before = _locked(stage)
    command = [lupa_modules.cargo(), "vendor", "--respect-source-config", CRATES]
    if subprocess.run(command, cwd=stage, stdout=subprocess.DEVNULL, check=False).returncode != 0:
        raise lupa_modules.BuildError("the Rust crates cannot be fetched; cargo's message is above")
    added = _locked(stage) - before
    if added:
        raise lupa_modules.BuildError(f"Cargo.lock is out of date: cargo has added {added}")
    config = stage / ".cargo" / "config.toml"
    config.parent.mkdir()
    config.write_bytes(CARGO_CONFIG.encode())


def _locked(stage: Path) -> set[tuple[str, str]]:
    """Names and versions in the lock file."""
    text = (stage / "Cargo.lock").read_text(encoding="utf-8")
    return set(re.findall(r'(?m)^name = "(.*)"\nversion = "(.*)"$', text))


def _files_below(folder: Path) -> list[Path]:
    names = (file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    # What a build of an unpacked sdist has left behind.
    return sorted(name for name in names if name.parts[0] not in ("target", "dist") and name.suffix != ".pyc")


def _pack(folder: Path, files: list[Path], directory: Path) -> Path:
    stem = lupa_metadata.stem()
    path = directory / f"{stem}.tar.gz"
    partial = path.with_name(path.name + ".partial")
    seconds = timestamp()
    with (
        partial.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=seconds) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name in files:
            data = (folder / name).read_bytes()
            entry = tarfile.TarInfo(f"{stem}/{name.as_posix()}")
            entry.size = len(data)
            entry.mode = 0o644
            entry.mtime = seconds
            archive.addfile(entry, io.BytesIO(data))
    partial.replace(path)
    return path
