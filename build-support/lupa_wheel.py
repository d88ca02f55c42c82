"""Writes wheel files, the same bytes for the same contents."""

from __future__ import annotations

import base64
import hashlib
import os
import time
import zipfile
from pathlib import Path
from types import TracebackType

# The earliest that a zip file can say: the beginning of 1980.
EARLIEST = 315532800


class WheelWriter:
    """A wheel that is being written: add files, and leave the ``with`` block to finish it."""

    def __init__(self, path: Path, dist_info: Path) -> None:
        self.path = path
        self._dist_info = dist_info
        self._record: list[str] = []
        self._partial = path.with_name(path.name + ".partial")
        self._zip = zipfile.ZipFile(self._partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9)

    def __enter__(self) -> WheelWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self._zip.close()
            self._partial.unlink()
            return
        # The metadata goes last, as the wheel specification advises.
        for file in sorted(self._dist_info.rglob("*")):
            if file.is_file() and file.name != "RECORD":
                self.add_file(file, file.relative_to(self._dist_info.parent))
        record = f"{self._dist_info.name}/RECORD"
        self._write(record, "".join([*self._record, f"{record},,\n"]).encode(), executable=False)
        self._zip.close()
        os.replace(self._partial, self.path)

    def add_file(self, file: Path, name: Path, executable: bool = False) -> None:
        """Adds a file of the disk under a name in the wheel."""
        self.add(name.as_posix(), file.read_bytes(), executable)

    def add(self, name: str, data: bytes, executable: bool = False) -> None:
        """Adds a file with these contents."""
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self._record.append(f"{name},sha256={digest},{len(data)}\n")
        self._write(name, data, executable)

    def _write(self, name: str, data: bytes, executable: bool) -> None:
        entry = zipfile.ZipInfo(name, time.gmtime(timestamp())[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = (0o100755 if executable else 0o100644) << 16
        # An entry of its own does not take over the level of the archive.
        self._zip.writestr(entry, data, compresslevel=9)


def timestamp() -> int:
    """When everything in an archive was made, in seconds; the same for the same contents."""
    return max(EARLIEST, int(os.environ.get("SOURCE_DATE_EPOCH", EARLIEST)))
