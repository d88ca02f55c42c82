"""Runs lupa 2.8's own test suite, unmodified, against the package installed in this environment.

The suite comes from lupa's source distribution. That is downloaded from the package index that pip
is configured for, but not by pip, which compiles a LuaJIT to learn the name of what it downloads::

    python build-support/upstream_suite.py FOLDER
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import unittest
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import lupa_modules

ARCHIVE = "lupa-2.8.tar.gz"
SHA256 = "d8022641b9ec8ecf2c5ecbe9f47e5a70e0b87c4b5ae921b92cb02a638e0acd08"

# What the suite does with lupa 2.8 itself: as many tests for each module, and for `lupa` without a version; and
# with all modules it skips some.
TESTS = 249
SKIPPED = 104


class Links(HTMLParser):
    """The targets of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attributes if name == "href" and value]


def pip_setting(name: str, default: str) -> str:
    """A setting of pip for ``pip install``: from the environment, or its files."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    settings = dict(line.split("=", 1) for line in listing.splitlines() if "=" in line)
    for section in (":env:", "install", "global"):
        value = settings.get(f"{section}.{name}")
        if value is not None:
            return value.strip("'\"")
    return default


def download(target: Path) -> None:
    """Downloads the source distribution, and verifies it."""
    index = pip_setting("index-url", "https://pypi.org/simple").rstrip("/")
    certificates = pip_setting("cert", "") or None
    context = ssl.create_default_context(cafile=certificates)
    accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    request = urllib.request.Request(f"{index}/lupa/", headers={"Accept": accept})
    with urllib.request.urlopen(request, context=context) as answer:
        page, text = answer.url, answer.read().decode()
        if answer.headers.get_content_type().endswith("json"):
            links = [file["url"] for file in json.loads(text)["files"]]
        else:
            parser = Links()
            parser.feed(text)
            links = parser.found
    urls = [urldefrag(urljoin(page, link)).url for link in links]
    url = next((url for url in urls if url.endswith("/" + ARCHIVE)), None)
    if url is None:
        raise SystemExit(f"error: {index} does not list {ARCHIVE}")
    print(f"downloading {url}", flush=True)
    with urllib.request.urlopen(url, context=context) as answer:
        data = answer.read()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise SystemExit(f"error: {url} has the SHA-256 {found}, not {SHA256}")
    partial = target.with_suffix(".partial")
    partial.write_bytes(data)
    partial.replace(target)


def arrange(folder: Path) -> Path:
    """A folder with the installed package and, where they look for it, lupa 2.8's tests."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    if not archive.is_file() or hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        download(archive)
    spec = importlib.util.find_spec("lupa")
    if spec is None or spec.origin is None:
        raise SystemExit("error: lupa is not installed in this environment")
    site = folder / "site"
    shutil.rmtree(site, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(spec.origin).parent, site / "lupa", ignore=ignored)
    prefix = ARCHIVE[: -len(".tar.gz")] + "/"
    with tarfile.open(archive) as members:
        for member in members:
            name = member.name[len(prefix) :]
            if member.isfile() and (name == "README.rst" or name.startswith("lupa/tests/")):
                contents = members.extractfile(member)
                assert contents is not None
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                (site / name).write_bytes(contents.read())
    return site


def main() -> int:
    parser = argparse.ArgumentParser(description="Run lupa 2.8's own tests on the installed package.")
    parser.add_argument("folder", type=Path, help="where to keep the download and the arranged copy")
    site = arrange(parser.parse_args().folder.resolve())
    os.chdir(site)
    sys.path.insert(0, str(site))
    from lupa.tests import suite  # type: ignore[import-not-found]

    result = unittest.TextTestRunner(verbosity=1).run(suite())
    wrong = []
    if not result.wasSuccessful():
        wrong.append("it has failures")
    expected = TESTS * (1 + len(lupa_modules.chosen_backends([])))
    if result.testsRun < expected:
        wrong.append(f"only {result.testsRun} of {expected} tests ran: is a module missing?")
    if len(result.skipped) > SKIPPED:
        wrong.append(f"{len(result.skipped)} tests were skipped, lupa 2.8 itself skips {SKIPPED}")
    for problem in wrong:
        print(f"error: lupa 2.8's suite: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
