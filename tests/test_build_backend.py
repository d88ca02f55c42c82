"""The build backend: what is chosen, the names and the metadata of wheels, the licences in them."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from conftest import BACKENDS, run_python

SUPPORT = Path(__file__).resolve().parent.parent / "build-support"
pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="the backend wants tomli there, which nothing else does"),
]


@pytest.fixture(scope="module")
def support():
    """``support("lupa_modules")`` imports a module of the backend."""
    sys.path.insert(0, str(SUPPORT))
    yield importlib.import_module
    sys.path.remove(str(SUPPORT))


@pytest.fixture
def modules(support, monkeypatch):
    """``lupa_modules``, with two Luas and a LuaJIT to choose from, and an empty environment."""
    module = support("lupa_modules")
    available = {"lua54": "lupa-lua54", "lua55": "lupa-lua55", "luajit20": "lupa-luajit20"}
    monkeypatch.setattr(module, "available_backends", lambda: available)
    monkeypatch.setattr(module, "target", lambda: "x86_64-unknown-linux-gnu")
    for name in ("LUPA_BACKENDS", "LUPA_SYSTEM", "LUPA_SYSTEM_LUA54", "LUPA_LUA54_LIB"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_all_backends_are_chosen(modules):
    assert list(modules.chosen_backends([])) == ["lua54", "lua55", "luajit20"]


def test_the_environment_chooses(modules, monkeypatch):
    monkeypatch.setenv("LUPA_BACKENDS", "lua54,luajit20")
    assert modules.chosen_backends([]) == {"lua54": "lupa-lua54", "luajit20": "lupa-luajit20"}
    assert list(modules.chosen_backends(["lua55"])) == ["lua55"]


def test_an_unknown_backend(modules):
    with pytest.raises(modules.BuildError, match="no backend 'lua99', only lua54, lua55, luajit20"):
        modules.chosen_backends(["lua99"])


def test_a_missing_make(modules, monkeypatch, tmp_path):
    monkeypatch.setattr(modules, "cargo", lambda: pytest.fail("nothing is compiled before"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MAKE", raising=False)
    chosen = {"lua54": "lupa-lua54", "luajit21": "lupa-luajit21"}
    message = "^make is not on PATH; luajit21 cannot be built without it .LUPA_BACKENDS=lua54 "
    with pytest.raises(modules.BuildError, match=message):
        modules.build(chosen, modules.Options())
    monkeypatch.setenv("MAKE", "gmake")
    with pytest.raises(modules.BuildError, match="^gmake is not on PATH"):
        modules.build(chosen, modules.Options())


@pytest.mark.parametrize(
    ("machine", "left_out"),
    [
        ("x86_64-unknown-linux-musl", []),
        ("aarch64-unknown-linux-gnu", ["luajit20"]),
        ("riscv64gc-unknown-linux-gnu", ["luajit20", "luajit21"]),
        ("x86_64-apple-darwin", ["luajit20"]),
        ("aarch64-apple-darwin", ["luajit20"]),
        ("x86_64-pc-windows-msvc", ["luajit20"]),
        ("aarch64-pc-windows-msvc", ["luajit20"]),
    ],
)
def test_what_a_machine_cannot_have(modules, machine, left_out):
    names = ("lua51", "lua55", "luajit20", "luajit21")
    assert [name for name in names if modules.no_bundled_lua(name, machine)] == left_out


def test_what_is_left_out_is_said(modules, monkeypatch, capsys):
    monkeypatch.setattr(modules, "target", lambda: "aarch64-apple-darwin")
    assert list(modules.chosen_backends([])) == ["lua54", "lua55"]
    assert "lupa.luajit20 is left out" in capsys.readouterr().err
    # Asked for by name, it is tried.
    assert list(modules.chosen_backends(["luajit20"])) == ["luajit20"]


@pytest.mark.parametrize(
    ("machine", "platform", "suffix"),
    [
        ("aarch64-unknown-linux-gnu", "linux_aarch64", ".cpython-{}-aarch64-linux-gnu.so"),
        ("x86_64-unknown-linux-musl", "linux_x86_64", ".cpython-{}-x86_64-linux-musl.so"),
        ("i686-unknown-linux-gnu", "linux_i686", ".cpython-{}-i386-linux-gnu.so"),
        ("armv7-unknown-linux-gnueabihf", "linux_armv7l", ".cpython-{}-arm-linux-gnueabihf.so"),
        ("powerpc64le-unknown-linux-gnu", "linux_ppc64le", ".cpython-{}-powerpc64le-linux-gnu.so"),
        ("riscv64gc-unknown-linux-gnu", "linux_riscv64", ".cpython-{}-riscv64-linux-gnu.so"),
        ("x86_64-pc-windows-msvc", "win_amd64", ".cp{}-win_amd64.pyd"),
        ("i686-pc-windows-msvc", "win32", ".cp{}-win32.pyd"),
        ("aarch64-pc-windows-msvc", "win_arm64", ".cp{}-win_arm64.pyd"),
    ],
)
def test_builds_for_other_machines(modules, support, monkeypatch, machine, platform, suffix):
    metadata = support("lupa_metadata")
    monkeypatch.setattr(modules, "target", lambda: machine)
    monkeypatch.setenv("CARGO_BUILD_TARGET", machine)
    monkeypatch.setattr("sysconfig.get_platform", lambda: "macosx-11.0-arm64")
    version, abi = metadata._python_tags()
    assert metadata.tags(modules.Options()) == [f"{version}-{abi}-{platform}"]
    assert modules.file_name("lua54", modules.Options()) == "lua54" + suffix.format(abi[2:])
    stable = ".pyd" if "windows" in machine else ".abi3.so"
    assert modules.file_name("lua54", modules.Options(abi3=True)) == "lua54" + stable


def test_builds_for_another_mac(modules, support, monkeypatch):
    metadata = support("lupa_metadata")
    monkeypatch.setenv("CARGO_BUILD_TARGET", "aarch64-apple-darwin")
    monkeypatch.setenv("MACOSX_DEPLOYMENT_TARGET", "11.0")
    monkeypatch.setattr("sysconfig.get_platform", lambda: "linux-x86_64")
    version, abi = metadata._python_tags()
    assert metadata.tags(modules.Options()) == [f"{version}-{abi}-macosx_11_0_arm64"]
    assert modules.extension_suffix() == f".cpython-{abi[2:]}-darwin.so"


@pytest.mark.skipif(sys.maxsize < 2**32, reason="the machine of the example has 64 bits")
@pytest.mark.parametrize("named", [False, True])
def test_builds_for_this_machine_believe_python(modules, support, monkeypatch, named):
    libc = "musl" if "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")) else "gnu"
    monkeypatch.setenv("CARGO_BUILD_TARGET", f"x86_64-unknown-linux-{libc}")
    monkeypatch.setattr("sysconfig.get_platform", lambda: "linux-x86_64")
    if not named:
        monkeypatch.delenv("CARGO_BUILD_TARGET", raising=False)
    assert modules.extension_suffix() == sysconfig.get_config_var("EXT_SUFFIX")


@pytest.mark.parametrize(
    ("variables", "installed"),
    [
        ({}, False),
        ({"LUPA_SYSTEM": "1"}, True),
        ({"LUPA_SYSTEM": "0"}, False),
        ({"LUPA_SYSTEM": "1", "LUPA_SYSTEM_LUA54": "0"}, False),
        ({"LUPA_SYSTEM": "0", "LUPA_SYSTEM_LUA54": "lua5.4"}, True),
        ({"LUPA_SYSTEM_LUA54": "0", "LUPA_LUA54_LIB": "/lib/liblua5.4.so"}, True),
    ],
)
def test_which_luas_are_installed_ones(modules, monkeypatch, variables, installed):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert modules.is_installed("lua54") is installed


def test_tags(support):
    modules, metadata = support("lupa_modules"), support("lupa_metadata")
    if sys.platform.startswith("linux"):
        tags = metadata.tags(modules.Options(abi3=True, manylinux="2_17"))
        name = metadata.wheel_name(tags)
        assert name.startswith(f"{metadata.stem()}-cp312-abi3-manylinux_2_17_") and ".manylinux2014_" in name
        with pytest.raises(modules.BuildError, match="as 2_17, not '2014'"):
            modules.Options(manylinux="2014")
    (tag,) = metadata.tags(modules.Options())
    assert tag.startswith(f"cp3{sys.version_info[1]}-cp3{sys.version_info[1]}")
    # What pip calls this Python, if it is here, has the last word.
    tags_of_pip = pytest.importorskip("pip._vendor.packaging.tags")
    assert tag in {str(known) for known in tags_of_pip.sys_tags()}


def test_metadata(support):
    text = support("lupa_metadata").core_metadata(["LICENSE", "lua/lua-5.4.9.txt"])
    fields = Parser().parsestr(text)
    import lupa

    assert (fields["Name"], fields["Version"]) == ("lupa", lupa.__version__)
    assert fields.get_all("License-File") == ["LICENSE", "lua/lua-5.4.9.txt"]
    assert fields.get_all("Requires-Dist") == ["numpy; extra == 'numpy'"]
    assert fields["Requires-Python"] == ">=3.9"
    assert "# lupa" in fields.get_payload()


def test_licences_of_luas(support, tmp_path):
    licenses = support("lupa_licenses")
    stars = "*" * 78
    notice = f"/{stars}\n* Copyright (C) 1994-2020 Lua.org.\n*\n* Permission\n{stars}/\n"
    for folder, name, text in [
        ("lua-1.2", "lua.h", f"/*\n** head\n*/\n{notice}\n#endif\n"),
        ("Jit/src", "lua.h", notice),
        ("Jit", "COPYRIGHT", "whole text"),
    ]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_text(text)
    assert licenses.of_luas(tmp_path) == {
        "lua/Jit.txt": b"whole text",
        "lua/lua-1.2.txt": b"Copyright (C) 1994-2020 Lua.org.\n\nPermission\n",
    }
    (tmp_path / "lua-1.2" / "lua.h").write_text("no notice")
    with pytest.raises(support("lupa_modules").BuildError, match="no copyright notice"):
        licenses.of_luas(tmp_path)


def test_a_wheel_and_its_record(support, tmp_path):
    modules, metadata, wheel = support("lupa_modules"), support("lupa_metadata"), support("lupa_wheel")
    tags = metadata.tags(modules.Options())
    dist_info = metadata.write_dist_info(tmp_path, tags, {"LICENSE": b"MIT", "lua/lua.txt": b"Lua"})
    path = tmp_path / metadata.wheel_name(tags)
    with wheel.WheelWriter(path, dist_info) as written:
        written.add("lupa/a.so", b"module", executable=True)
    with zipfile.ZipFile(path) as archive:
        record = dict(
            line.rsplit(",", 2)[:2] for line in archive.read(f"{dist_info.name}/RECORD").decode().splitlines()
        )
        assert set(record) == set(archive.namelist())
        for name in set(record) - {f"{dist_info.name}/RECORD"}:
            digest = hashlib.sha256(archive.read(name)).digest()
            assert record[name] == "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert f"{dist_info.name}/licenses/lua/lua.txt" in record
        assert f"Tag: {tags[0]}" in archive.read(f"{dist_info.name}/WHEEL").decode()
        commands = archive.read(f"{dist_info.name}/entry_points.txt").decode()
        assert commands == "[console_scripts]\nlupa = lupa.__main__:command\n"


def test_the_same_archive_for_the_same_contents(support, tmp_path):
    sdist = support("lupa_sdist")
    for folder in ("a", "b"):
        (tmp_path / folder / "src" / "target").mkdir(parents=True)
        (tmp_path / folder / "target").mkdir()
        (tmp_path / folder / "target" / "made").write_text("by a build")
        (tmp_path / folder / "src" / "target" / "code.rs").write_text("code")
        (tmp_path / folder / "out").mkdir()
    packed = [
        sdist._pack(tmp_path / name, sdist._files_below(tmp_path / name), tmp_path / name / "out")
        for name in ("a", "b")
    ]
    assert packed[0].read_bytes() == packed[1].read_bytes()
    with tarfile.open(packed[0]) as archive:
        assert [name.partition("/")[2] for name in archive.getnames()] == ["src/target/code.rs"]


def test_import_adapts_to_what_was_built(tmp_path):
    """A package with one module stands for that one, and says what it lacks."""
    import lupa

    name = BACKENDS[-1]
    module = importlib.import_module(f"lupa.{name}")
    package = tmp_path / "lupa"
    package.mkdir()
    for file in [*Path(lupa.__file__).parent.glob("*.py"), Path(module.__file__)]:
        (package / file.name).write_bytes(file.read_bytes())
    code = """
        import lupa
        print(lupa.LuaRuntime.__module__, lupa.LuaRuntime().eval("6 * 7"))
        try:
            import lupa.lua99
        except ImportError as error:
            print(error)
    """
    done = run_python(code, env={"PYTHONPATH": str(tmp_path)})
    assert done.stdout.splitlines() == [
        f"lupa.{name} 42",
        f"this lupa has no module 'lupa.lua99'; built were: {name}",
    ], done.stderr


def test_maturin_knows_each_module():
    """``maturin develop -m crates/lua54/Cargo.toml`` builds one."""
    import tomllib

    root = SUPPORT.parent
    crates = sorted(path.parent.name for path in root.glob("crates/lua*/Cargo.toml") if "cdylib" in path.read_text())
    modules = [name for name in crates if name[3:].isdigit() or name.startswith("luajit")]
    assert len(modules) == 7
    for name in modules:
        project = tomllib.loads((root / "crates" / name / "pyproject.toml").read_text())
        assert project["project"]["name"] == f"lupa-{name}"
        assert project["tool"]["maturin"]["module-name"] == f"lupa.{name}"
        assert (root / "crates" / name / project["tool"]["maturin"]["python-source"] / "lupa").resolve().is_dir()
