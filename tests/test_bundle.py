"""One file takes a project's environment to a machine without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import harm
import pytest
from filelock import FileLock
from machine import VERSION, Machine, Namespace

BASE = Path(sys.base_prefix, "bin", "python3")


@pytest.fixture(scope="session")
def bundle(shared: Path, template: Path, small_locked: Path) -> Path:
    """A bundle of the small project, made with a home and a cache that later tests do not see."""
    folder = shared / "bundle"
    with FileLock(shared / "bundle.lock"):
        if not folder.exists():
            (folder / "home").mkdir(parents=True)
            machine = Machine(folder / "home", shared / "cache", template)
            made = machine.condaw(small_locked, "bundle", str(folder / "demo.bundle"))
            assert made.returncode == 0, made.stderr
    return folder / "demo.bundle"


@pytest.fixture
def far(machine: Machine, tmp_path: Path) -> Machine:
    """A machine on which nothing was ever fetched."""
    return replace(machine, cache=tmp_path / "cache")


def without_network(*command: str | Path) -> list[str | Path]:
    """`command` in a network namespace that has no interface, not even a loopback that is up."""
    words = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*words, "true"], check=False).returncode:
        pytest.skip("this system does not let its users make network namespaces")
    return [*words, *command]


def test_an_environment_is_made_from_it_without_a_network(
    small: Path, bundle: Path, far: Machine, tmp_path: Path
) -> None:
    harm.smoke(small, ["python", "-c", "import iniconfig, textfsm"])
    elsewhere = small.rename(tmp_path / "another place")
    done = far.run(
        *without_network(BASE, "-m", "condaw", "create", "--bundle", bundle), cwd=elsewhere
    )
    assert done.returncode == 0, done.stderr
    verified = far.run(*without_network(BASE, "-m", "condaw", "verify"), cwd=elsewhere)
    assert verified.returncode == 0, verified.stderr
    left = [path.name for path in far.temporary.iterdir()]
    assert [name for name in left if not name.startswith("uv-")] == []  # uv keeps a lock there


@pytest.fixture
def without_pip(tmp_path: Path) -> dict[str, str]:
    """Variables for a Python that finds neither pip nor uv."""
    hide = tmp_path / "hide"
    hide.mkdir()
    # A finder that says what Debian's python3 without python3-pip and python3-venv says.
    (hide / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name in ('pip', 'ensurepip') else find(name, *a)\n"
    )
    return {"PYTHONPATH": str(hide), "PATH": "/usr/bin:/bin"}


def test_it_brings_its_own_installer_where_python_has_none(
    small: Path, bundle: Path, far: Machine, without_pip: dict[str, str]
) -> None:
    command = without_network(BASE, "-m", "condaw", "create", "--bundle", bundle)
    done = far.run(*command, cwd=small, **without_pip)
    assert done.returncode == 0, done.stderr
    # The wheels stay, and the bundle may go.
    with (small / "pyproject.toml").open("a", encoding="utf-8") as out:
        out.write("# later\n")
    again = without_network(BASE, "-m", "condaw", "create")
    shutil.rmtree(far.cache / "uv")
    [wheel] = (far.cache / "wheels").glob("textfsm-*.whl")
    content = wheel.read_bytes()
    done = far.run(*again, cwd=small, **without_pip)
    assert done.returncode == 0, done.stderr
    # One that was damaged there is not used.
    wheel.write_bytes(content[:-9] + bytes(9))
    shutil.rmtree(far.cache / "uv")
    done = far.run(*again, "--repair", cwd=small, **without_pip)
    assert done.returncode == 3
    assert "the PyPI packages could not be installed: " in done.stderr
    done = far.run(*again, "--repair", "--bundle", bundle, cwd=small, **without_pip)
    assert done.returncode == 0, done.stderr
    assert wheel.read_bytes() == content


def test_an_installer_that_is_not_the_pinned_one_is_not_started(
    small: Path, bundle: Path, far: Machine, without_pip: dict[str, str], tmp_path: Path
) -> None:
    copy, started = tmp_path / "copy.bundle", tmp_path / "started"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(copy, "w") as out:
        for name in source.namelist():
            content = source.read(name)
            if name.startswith("wheels/uv-"):
                with zipfile.ZipFile(wheel := tmp_path / "uv.whl", "w") as archive:
                    archive.writestr("uv-1.data/scripts/uv", f"#!/bin/sh\ntouch {started}\n")
                content = wheel.read_bytes()
            out.writestr(name, content)
    words = ("-m", "condaw", "create", "--bundle", str(copy))
    done = far.run(BASE, *words, cwd=small, **without_pip)
    assert done.returncode == 3
    assert "copy.bundle cannot be used: uv-" in done.stderr
    assert "is not the pinned file" in done.stderr
    assert not started.exists()


@pytest.mark.parametrize("verb", ["create", "bundle"])
def test_one_that_is_told_to_stop_leaves_nothing_behind(
    verb: str, small: Path, bundle: Path, far: Machine, tmp_path: Path
) -> None:
    words = ["create", "--bundle", str(bundle)]
    words = words if verb == "create" else ["bundle", str(tmp_path / "x")]
    with subprocess.Popen(
        [sys.executable, "-m", "condaw", *words], cwd=small, env=far.env, stderr=subprocess.PIPE
    ) as process:
        while not list(far.temporary.glob("tmp*/*")):
            assert process.poll() is None
            time.sleep(0.001)  # until it has begun to write
        process.terminate()
        _, said = process.communicate()
    assert (process.returncode, b"Traceback" in said) == (3, False), said
    assert said.endswith(b"condaw: stopped; nothing is half done\n")
    assert list(far.temporary.iterdir()) == []
    assert not list(tmp_path.glob("x*"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's namespaces")
def test_no_room_to_unpack_it_is_not_its_fault(
    small: Path, bundle: Path, far: Machine, namespace: Namespace, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    namespace.run(far, "mount", "-t", "tmpfs", "-o", "size=9m", "none", disk, cwd=disk)
    full = replace(far, extra={"TMPDIR": str(disk)})
    words = ("-m", "condaw", "create", "--bundle", str(bundle))
    done = namespace.run(full, sys.executable, *words, cwd=small)
    assert done.returncode == 3
    assert "cannot be used: No space left on device" in done.stderr
    assert f"make room in {disk}, or set TMPDIR to another folder" in done.stderr
    assert list(namespace.look(disk).iterdir()) == []


def test_an_engine_that_fails_is_not_another_platform(
    small: Path, bundle: Path, far: Machine, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.bundle"
    with zipfile.ZipFile(bundle) as source, zipfile.ZipFile(copy, "w") as out:
        for name in source.namelist():
            if "py_rattler" not in name:
                out.writestr(name, source.read(name))
    done = far.run(BASE, "-m", "condaw", "create", "--bundle", copy, cwd=small)
    assert done.returncode == 3
    assert "the packages of condaw/engine.txt could not be fetched: " in done.stderr
    assert (
        "next: copy the bundle again, or use it where it was made for, with one of Python 3.10, "
        in done.stderr
    )


def test_a_bundle_that_is_not_there_is_an_error_when_there_is_nothing_to_do(
    shown: Path, machine: Machine
) -> None:
    assert machine.condaw(shown, "create").returncode == 0
    done = machine.condaw(shown, "create", "--bundle", "nowhere")
    assert done.returncode == 3
    assert "the bundle nowhere cannot be used: No such file" in done.stderr


def truncated(bundle: Path) -> None:
    with bundle.open("r+b") as file:
        file.truncate(bundle.stat().st_size // 2)


def flipped(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        place = next(m for m in archive.infolist() if "iniconfig" in m.filename).header_offset
    with bundle.open("r+b") as file:
        file.seek(place + 1000)
        byte = file.read(1)[0]
        file.seek(place + 1000)
        file.write(bytes([byte ^ 1]))


def not_a_bundle(bundle: Path) -> None:
    bundle.write_bytes(b"hello\n")


def missing(bundle: Path) -> None:
    bundle.unlink()


def without_lock(bundle: Path) -> None:
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("../conda-lock.yml", "version: 1\n")


def of_another_lock(bundle: Path) -> None:
    with zipfile.ZipFile(bundle, "w") as archive:
        archive.writestr("conda-lock.yml", "version: 1\n")


def of_another_platform(bundle: Path) -> None:
    def rename(name: str) -> str:
        return name.replace("linux-64/", "win-64/")

    rewritten(bundle, lambda name, content: (rename(name), content))


def rewritten(bundle: Path, change: Callable[[str, bytes], tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(bundle) as archive:
        members = [change(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)


DEFECTS: dict[Callable[[Path], None], str] = {
    truncated: "cannot be used",
    flipped: "cannot be used: Bad CRC-32 for file 'noarch/iniconfig",
    not_a_bundle: "cannot be used: File is not a zip file",
    missing: "cannot be used: No such file",
    without_lock: "was not made from this conda-lock.yml",
    of_another_lock: "was not made from this conda-lock.yml",
    of_another_platform: "was not made from this conda-lock.yml for ",
}


@pytest.mark.parametrize("damage", DEFECTS, ids=lambda damage: damage.__name__)
def test_a_defective_bundle_is_refused_before_anything_is_touched(
    damage: Callable[[Path], None], small: Path, bundle: Path, far: Machine, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(bundle, tmp_path / "copy.bundle"))
    damage(copy)
    done = far.condaw(small, "create", "--bundle", str(copy))
    assert done.returncode == 3
    assert DEFECTS[damage] in done.stderr
    assert done.stderr.splitlines()[-1].startswith("condaw: next: ")
    assert not (small / ".conda").exists()
    assert not far.cache.exists()
    assert list(far.temporary.iterdir()) == []


@pytest.mark.parametrize("name", ["noarch/iniconfig", "wheels/textfsm"])
def test_a_package_that_is_not_the_locked_one_is_refused(
    name: str, small: Path, bundle: Path, far: Machine, tmp_path: Path
) -> None:
    copy = Path(shutil.copy(bundle, tmp_path / "copy.bundle"))
    rewritten(copy, lambda n, content: (n, content + b"\0" if n.startswith(name) else content))
    done = far.condaw(small, "create", "--bundle", str(copy))
    assert done.returncode == 3
    assert name.rpartition("/")[2] in done.stderr
    assert not (small / ".conda").exists()


def test_what_cannot_be_fetched_leaves_the_bundle_that_is_there(
    project: Path, machine: Machine, tmp_path: Path
) -> None:
    there = tmp_path / "demo.bundle"
    there.write_bytes(b"from yesterday")
    text = (project / "conda-lock.yml").read_text(encoding="utf-8")
    begin = text.index("sha256: ", text.index("name: pygments")) + len("sha256: ")
    (project / "conda-lock.yml").write_text(text[:begin] + "a" * 64 + text[begin + 64 :])
    done = machine.condaw(project, "bundle", str(there))
    assert done.returncode == 3
    assert "is not the file that is locked" in done.stderr
    assert there.read_bytes() == b"from yesterday"
    assert [path.name for path in tmp_path.glob("demo.bundle*")] == ["demo.bundle"]


def for_this_python(project: Path) -> None:
    """Let a bundle bring the engine for one Python alone: pip takes a second for each."""
    path = project / "condaw" / "bundle.py"
    text = path.read_text(encoding="utf-8")
    text, count = re.subn(r"(?m)^PYTHONS = .*$", f'PYTHONS = ("{VERSION}",)', text)
    assert count == 1
    path.write_text(text, encoding="utf-8")


def test_a_bundle_can_leave_out_what_only_developers_need_and_is_the_same_each_time(
    project: Path, machine: Machine, tmp_path: Path
) -> None:
    for_this_python(project)
    file, twin = tmp_path / "small.bundle", tmp_path / "twin.bundle"
    for each in (file, twin):
        made = machine.condaw(project, "bundle", str(each), "--without", "dev")
        assert made.returncode == 0, made.stderr
    assert file.read_bytes() == twin.read_bytes()
    with zipfile.ZipFile(file) as archive:
        names = [Path(name).name for name in archive.namelist()]
    assert any(name.startswith("paramiko-") for name in names)
    assert not [name for name in names if name.startswith(("ruff-", "pytest-"))]
    used = machine.condaw(project, "create", "--bundle", str(file), "--without", "dev")
    assert used.returncode == 0, used.stderr


def test_a_server_that_cannot_be_found_is_named(
    small: Path, fresh: Machine, channel: Path, tmp_path: Path
) -> None:
    harm.point(small, channel.as_uri(), "https://nowhere.invalid/channel")
    for words in (["create"], ["bundle", str(tmp_path / "x.bundle")]):
        done = fresh.condaw(small, *words)
        assert done.returncode == 3
        *_, cause, step = done.stderr.splitlines()
        assert cause.endswith("the name of nowhere.invalid cannot be resolved")
        assert step.startswith("condaw: next: check the spelling; check the network")
