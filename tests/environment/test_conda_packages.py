"""Hostile archives: refused by rattler or uv, or harmless."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import harm
import pytest
import yaml
from archives import Member, conda, entry, member, symlink, wheel
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.environment import pypi_packages
from condaw.lockfile.package import Package
from machine import ROOT, Machine

pytestmark = pytest.mark.xdist_group("hostile archives")
# What a package brings, and the paths that it lists.
REFUSED_BY_RATTLER: dict[str, tuple[list[Member], list[Any]]] = {
    "member-through-a-symlink": ([symlink("d", "{outside}"), member("d/x")], [entry("d/x")]),
    "hard-link-out": (
        [member("h", kind=tarfile.LNKTYPE, linkname="../../../../secret")],
        [entry("h")],
    ),
    "hard-link-to-the-root": (
        [member("h", kind=tarfile.LNKTYPE, linkname="{outside}/secret")],
        [entry("h")],
    ),
    "size-that-lies": ([member("big", size=1 << 40)], [entry("big")]),
    "size-below-nothing": ([member("big", size=-5)], [entry("big")]),
    "listed-and-not-there": ([member("good")], [entry("good"), entry("bad")]),
}
BROKEN_LISTINGS = {"no-json": b"{", "no-mapping": b"[]", "deep": b"[" * 100_000}
HARMLESS: dict[str, tuple[list[Member], list[Any]]] = {
    "member-beside-the-folder": ([member("../../x"), member("good")], [entry("good")]),
    "absolute-member": ([member("{outside}/x"), member("good")], [entry("good")]),
    "pipe": ([member("p", kind=tarfile.FIFOTYPE)], [entry("p", b"")]),
    "device": ([member("n", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)], [entry("n", b"")]),
    "set-user-id": ([member("s", mode=0o6755)], [entry("s")]),
    "name-with-an-escape": ([member("a\n\x1b[31m")], [entry("a\n\x1b[31m")]),
    "symlink-inside": ([symlink("a/s", "../b/./c")], [entry("a/s", b"", "softlink")]),
}
# Installs each of the given packages by itself, and prints what came of it.
INSTALL = """
import json, resource, sys
from pathlib import Path
from condaw.base import process
from condaw.lockfile.package import Package
from condaw.base.errors import CannotError
from condaw.environment.conda_packages import _install
cases = json.loads(sys.stdin.read())
for case, folder, packages, largest in cases:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    project = Path(folder)
    try:
        locked = [Package(**each, line=1) for each in packages]
        urls = [package.url for package in locked]
        _install(locked, urls, project / ".conda.part", project / ".conda")
        said = ""
    except CannotError as error:
        said = error.cause
    print(json.dumps([case, said]), flush=True)
process.finish(0)
"""


def locked(archive: Path) -> dict[str, Any]:
    """The fields of a Package that locks `archive`."""
    name, version, _ = archive.name.removesuffix(".conda").removesuffix(".tar.bz2").rsplit("-", 2)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    where = {"platform": "linux-64", "url": archive.as_uri(), "sha256": digest, "md5": None}
    return {"manager": "conda", "name": name, "version": version, **where, "dependencies": {}}


def inside(outside: Path, members: list[Member]) -> list[Member]:
    """The members, with the real path of the folder that nothing may be written to."""
    for info, _ in members:
        info.name = info.name.replace("{outside}", str(outside))
        info.linkname = info.linkname.replace("{outside}", str(outside))
    return members


def everything(folder: Path) -> dict[str, Any]:
    """What a folder holds, but for environments that are in the making."""
    found: dict[str, Any] = {}
    for path in folder.rglob("*"):
        if ".conda.part" not in path.parts:
            found[str(path)] = path.read_bytes() if path.is_file() else path.lstat().st_mode
    return found


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What is said about each package; before that, that nothing was written elsewhere."""
    base = tmp_path_factory.mktemp("archives")
    outside = base / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (base / "secret").write_text("secret")
    known = REFUSED_BY_RATTLER | HARMLESS
    cases: list[Any] = []

    def add(name: str, *archives: Path, largest: int = 1 << 40) -> None:
        folder = base / "projects" / name
        folder.mkdir(parents=True)
        cases.append((name, str(folder), list(map(locked, archives)), largest))

    for name, (members, paths) in known.items():
        add(name, conda(base / "channel", name, inside(outside, members), paths))
    for name, listing in BROKEN_LISTINGS.items():
        add(name, conda(base / "channel", name, [member("good")], [], listing=listing))
    python = conda(base / "channel", "python", [member("bin/python3.13")], [], version="3.13.1")
    for name, command in (("script-outside", "../../x"), ("script-at-the-root", "/tmp/x")):
        site = "site-packages/a.py"
        points = [f"{command} = os:getcwd"]
        brought = conda(base / "channel", name, [member(site)], [entry(site)], entry_points=points)
        add(name, python, brought)
    bomb = conda(base / "channel", "bomb", [member("zeros", bytes(50 << 20))], [entry("zeros")])
    assert bomb.stat().st_size < 100_000
    add("bomb", bomb, largest=10 << 20)

    before = everything(base)
    env = {**os.environ, "CONDAW_CACHE": str(base / "cache"), "HOME": str(base / "home")}
    env["PYTHONPATH"] = str(ROOT / "{{cookiecutter.project}}")
    done = subprocess.run(
        [sys.executable, "-c", INSTALL],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    after = everything(base)
    new = sorted(path for path in after if after[path] != before.get(path))
    assert not [path for path in new if not path.startswith(str(base / "cache"))]
    left = [path.name for path in (base / "cache" / "pkgs").iterdir() if path.is_dir()]
    said = dict(json.loads(line) for line in done.stdout.splitlines())
    assert not [name for name in left if name.startswith(".")]
    return said


@pytest.mark.parametrize(
    "case",
    [*REFUSED_BY_RATTLER, *BROKEN_LISTINGS, "script-outside", "script-at-the-root", "bomb"],
)
def test_rattler_refuses(case: str, verdicts: dict[str, str]) -> None:
    assert verdicts[case].startswith("the conda packages could not be installed: ")


@pytest.mark.parametrize("case", HARMLESS)
def test_a_strange_package_does_no_harm(case: str, verdicts: dict[str, str]) -> None:
    assert verdicts[case] == ""


def add(project: Path, archive: Path) -> None:
    """Lock one more package, of a channel of its own."""
    lock = project / "conda-lock.yml"
    content = yaml.safe_load(lock.read_text(encoding="utf-8"))
    made = {**locked(archive), "hash": {"sha256": locked(archive)["sha256"]}}
    content["package"].append({key: made[key] for key in made if key not in ("sha256", "md5")})
    lock.write_text(yaml.safe_dump(content), encoding="utf-8")
    environment = project / "environment.yml"
    channel = f"channels:\n- {archive.parents[1].as_uri()}\n"
    text = environment.read_text(encoding="utf-8").replace("channels:\n", channel)
    environment.write_text(text, encoding="utf-8")


def test_a_post_link_script_is_not_run_even_where_rattler_is_told_to_run_them(
    small: Path, fresh: Machine, tmp_path: Path
) -> None:
    name, ran = "bin/.scripted-post-link.sh", tmp_path / "ran"
    script = f"#!/bin/sh\ntouch '{ran}'\n".encode()
    members = [member(name, script, mode=0o755)]
    add(small, conda(tmp_path / "channel-2", "scripted", members, [entry(name, script)]))
    settings = fresh.home / ".rattler" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text('run-post-link-scripts = "insecure"\n', encoding="utf-8")
    done = fresh.condaw(small, "create")
    assert done.returncode == 0, done.stderr
    assert (small / ".conda" / name).read_bytes() == script
    assert not ran.exists()


def test_files_with_the_names_of_byte_code_and_of_marks_belong_to_the_package_that_brings_them(
    small: Path, machine: Machine, tmp_path: Path
) -> None:
    names = ["lib/odd/.DS_Store", "lib/odd/CACHEDIR.TAG", "lib/odd/__pycache__/data.txt"]
    add(small, conda(tmp_path / "odd", "odd", list(map(member, names)), list(map(entry, names))))
    done = machine.condaw(small, "create")
    assert done.returncode == 0, done.stderr
    harm.rewrite(small / ".conda" / names[2], b"y")
    done = machine.condaw(small, "verify")
    assert f"file-changed: odd: {names[2]} is not the file that was installed" in done.stderr
    assert "1 finding" in done.stderr


def test_an_environment_with_a_file_outside_of_it_is_not_put_in_its_place(
    small: Path, machine: Machine, tmp_path: Path
) -> None:
    name = "evil-of-create"
    add(small, conda(tmp_path / "evil", name, [member("x")], [entry(f"../{name}-1.0-0/x")]))
    done = machine.condaw(small, "create")
    assert done.returncode == 3
    assert f"what was installed is not what is locked: {name}: ../{name}-1.0-0/x" in done.stderr
    assert not (small / ".conda").exists()


INFO = "evil-1.0.dist-info"
DATA = "evil-1.0.data"
WHEELS: dict[str, dict[str, bytes]] = {
    "a member beside the folder": {"../../../../escaped": b""},
    "an absolute member": {"/{outside}/escaped": b""},
    "data beside the prefix": {f"{DATA}/data/../../../../escaped": b""},
    "a script beside the prefix": {f"{DATA}/scripts/../../../escaped": b""},
    "backslashes": {"..\\..\\..\\escaped": b""},
    "an entry point beside the prefix": {
        f"{INFO}/entry_points.txt": b"[console_scripts]\n../../../escaped = os:getcwd\n"
    },
    "an entry point at the root": {
        f"{INFO}/entry_points.txt": b"[console_scripts]\n{outside}/escaped = os:getcwd\n"
    },
    "an entry point with code in it": {
        f"{INFO}/entry_points.txt": b"[console_scripts]\nx = os:getcwd();import this#\n"
    },
    "a name with an escape": {"a\n\x1b[31m": b""},
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of this Python; quickly made, to be copied."""
    folder = tmp_path_factory.mktemp("wheels") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def pinned(archive: Path) -> Package:
    """A wheel as it is locked."""
    name, version, *_ = archive.name.split("-")
    url = f"https://files.example/{archive.name}"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package("pip", name, version, "linux-64", url, digest, None, {}, 1)


@pytest.mark.parametrize("case", [*WHEELS, "a RECORD that lists others' files", "a bad RECORD"])
def test_a_wheel_writes_nothing_outside_the_environment(
    case: str, python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = tmp_path / "a" / "b" / "c"
    prefix = Path(shutil.copytree(python, box / ".conda.part", symlinks=True))
    record = {"a RECORD that lists others' files": "../../../../../secret,,\n", "a bad RECORD": '"'}
    files = {
        path.replace("{outside}", str(tmp_path)): content.replace(
            b"{outside}", str(tmp_path).encode()
        )
        for path, content in WHEELS.get(case, {}).items()
    }
    archive = wheel(tmp_path, "evil", {"evil.py": b"", **files}, record=record.get(case))
    (tmp_path / "secret").write_text("secret")
    before = everything(tmp_path)
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    package = pinned(archive)
    env = {**pypi_packages.environment(), "UV_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1"}
    site = next(prefix.glob("lib/*/site-packages"))
    said = ""
    try:
        pypi_packages.install(Project(tmp_path), [package], prefix, site, env)
    except CannotError as error:
        said = error.cause
    after = everything(tmp_path)
    new = [path for path in after if after[path] != before.get(path)]
    assert not [path for path in new if not path.startswith(str(tmp_path / "cache"))]
    assert len(said.splitlines()) <= 1


def test_of_two_wheels_that_share_a_file_the_same_one_wins_each_time(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("early", "last")
    packages = [pinned(wheel(tmp_path, n, {"shared.py": n.encode()})) for n in names]
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    env = {**pypi_packages.environment(), "UV_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1"}
    for number in range(6):
        prefix = Path(shutil.copytree(python, tmp_path / str(number), symlinks=True))
        site = next(prefix.glob("lib/*/site-packages"))
        pypi_packages.install(Project(tmp_path), packages, prefix, site, env)
        assert (site / "shared.py").read_bytes() == b"last", number


def test_a_wheel_that_is_not_the_locked_one_is_refused_whatever_uv_is_told(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pinned(wheel(tmp_path, "changed", {"changed.py": b"good"}))
    wheel(tmp_path, "changed", {"changed.py": b"evil"})
    monkeypatch.setenv("CONDAW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_VERIFY_HASHES", "1")
    env = {**pypi_packages.environment(), "UV_FIND_LINKS": str(tmp_path), "UV_NO_INDEX": "1"}
    prefix = Path(shutil.copytree(python, tmp_path / "env", symlinks=True))
    site = next(prefix.glob("lib/*/site-packages"))
    with pytest.raises(CannotError, match="Hash mismatch"):
        pypi_packages.install(Project(tmp_path), [package], prefix, site, env)
    assert not (site / "changed.py").exists()
