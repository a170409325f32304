"""What the tests share: the embedded channel, a machine of their own, baked projects.

Every program runs with an empty HOME and a cache that belongs to this test run: see machine.py.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import harm
import pytest
import unix
import yaml
from filelock import FileLock
from machine import ROOT, Machine, Namespace
from template import export

# Byte-code beside the template's files would be copied into generated projects.
sys.pycache_prefix = str(ROOT / "build" / "pycache")

# A shell has what it runs in the background ignore Ctrl-C, and so all that is started from there.
signal.signal(signal.SIGINT, signal.default_int_handler)


SLOW = {"channel", "farm", "machine", "python", "sshd", "template", "verdicts"}
"""Fixtures that make environments, generate projects or start servers."""


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what this platform cannot run, or even import."""
    return True if unix.is_left_out(collection_path) else None


def pytest_report_header() -> list[str]:
    """Say what is left out, and why."""
    return [f"left out: {name}: it {why}" for name, why in unix.LEFT_OUT.items()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the slowest tests start first, so that no worker ends alone; mark for `make quick`."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        slow = SLOW & {*getattr(item, "fixturenames", ())} or item.get_closest_marker("slow")
        if not slow and Path(__file__).parent / "sample" not in item.path.parents:
            item.add_marker("quick")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder of this run that all its workers see."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def template(shared: Path) -> Path:
    """The template as a clone has it, without .venv and build."""
    folder = shared / "template"
    with FileLock(shared / "template.lock"):
        return folder if folder.exists() else export(folder)


@pytest.fixture(scope="session")
def channel() -> Path:
    """The embedded conda channel; made once, then found in build/."""
    tool = [sys.executable, str(ROOT / "tools" / "channel.py")]
    made = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.splitlines()[-1])


@pytest.fixture
def machine(shared: Path, template: Path, tmp_path: Path) -> Machine:
    """A home for this test alone, and the cache of this run."""
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home, shared / "cache", template)


@pytest.fixture(scope="session")
def locked(shared: Path, template: Path, channel: Path) -> Path:
    """A project of the embedded channel, locked, without an environment: to be copied.

    It has no smoke commands, which take most of the time of `create`.
    """
    folder = shared / "locked"
    machine = Machine(shared / "home", shared / "cache", template)
    with FileLock(shared / "locked.lock"):
        if not folder.exists():
            machine.home.mkdir(exist_ok=True)
            baked = machine.bake(shared, project="demo", channel=channel.as_uri(), extras="all")
            assert baked.returncode == 0, baked.stderr
            done = machine.condaw(shared / "demo", "lock", "--pin")
            assert done.returncode == 0, done.stderr
            harm.smoke(shared / "demo")
            (shared / "demo").rename(folder)
    return folder


@pytest.fixture
def project(locked: Path, tmp_path: Path) -> Path:
    """A locked project of this test's own, without an environment."""
    return Path(shutil.copytree(locked, tmp_path / "demo"))


@pytest.fixture
def made(project: Path, machine: Machine) -> Path:
    """A project of this test's own, with its environment."""
    done = machine.condaw(project, "create")
    assert done.returncode == 0, done.stderr
    return project


SMALL = {"python", "python_abi", "iniconfig", "mdurl", "textfsm"}


@pytest.fixture(scope="session")
def small_locked(locked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked project that needs little but Python: to be copied."""
    project = Path(shutil.copytree(locked, tmp_path_factory.mktemp("small") / "demo"))
    lock, source = project / "conda-lock.yml", project / "environment.yml"
    document = yaml.safe_load(lock.read_text(encoding="utf-8"))
    document["package"] = [entry for entry in document["package"] if entry["name"] in SMALL]
    lock.write_text(yaml.safe_dump(document), encoding="utf-8")
    document = yaml.safe_load(source.read_text(encoding="utf-8"))
    document["dependencies"] = ["python"]
    source.write_text(yaml.safe_dump(document), encoding="utf-8")
    pyproject = project / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^dependencies = .*$", "dependencies = []", text)
    pyproject.write_text(text, encoding="utf-8")
    return project


@pytest.fixture
def small(small_locked: Path, tmp_path: Path) -> Path:
    """A small project of this test's own, without an environment."""
    return Path(shutil.copytree(small_locked, tmp_path / "demo"))


@pytest.fixture
def small_made(small: Path, machine: Machine) -> Path:
    """A small project of this test's own, with its environment."""
    done = machine.condaw(small, "create")
    assert done.returncode == 0, done.stderr
    return small


@pytest.fixture
def own_channel(request: pytest.FixtureRequest, channel: Path, tmp_path: Path) -> Path:
    """A copy of the channel that this test may harm; its `small` or `project` is locked to it."""
    copy = Path(shutil.copytree(channel, tmp_path / "channel", copy_function=os.link))
    project = request.getfixturevalue("small" if "small" in request.fixturenames else "project")
    harm.point(project, channel.as_uri(), copy.as_uri())
    return copy


@pytest.fixture
def fresh(machine: Machine, tmp_path: Path) -> Machine:
    """A machine whose cache holds no conda package; wheels come from the shared one."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (machine.cache / "uv").mkdir(parents=True, exist_ok=True)
    (cache / "uv").symlink_to(machine.cache / "uv")
    return replace(machine, cache=cache)


@pytest.fixture(scope="session")
def shown(
    locked: Path, shared: Path, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project with its environment for tests that only look; it must not be changed."""
    folder = Path(shutil.copytree(locked, tmp_path_factory.mktemp("shown") / "demo"))
    machine = Machine(shared / "home", shared / "cache", template)
    done = machine.condaw(folder, "create")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def bare(shared: Path) -> Path:
    """A Python with pip and nothing else, as on a new colleague's machine."""
    python = shared / "bare" / "bin" / "python"
    with FileLock(shared / "bare.lock"):
        if not python.exists():
            venv.create(shared / "bare", with_pip=True)
    return python


@pytest.fixture
def bake(machine: Machine, tmp_path: Path) -> Callable[..., Path]:
    """Bake with some answers into this test's folder; gives the project."""

    def baked(**answers: str) -> Path:
        done = machine.bake(tmp_path, **answers)
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path / answers.get("project", "ssh-uptime")

    return baked


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare")
    program = ["unshare", "-rm", "--kill-child", "sh", "-c", "echo ready; exec cat"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(program, text=True, **pipes) as process:  # type: ignore[call-overload]
        if process.stdout.readline() != "ready\n":
            pytest.skip(f"this machine has no user namespaces: {process.stderr.read().strip()}")
        yield Namespace(process)
        process.stdin.close()
