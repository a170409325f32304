"""What the tests share: the embedded channel, a machine of their own, baked projects.

Every program runs with an empty HOME and a cache that belongs to this test run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from filelock import FileLock
from template import export

ROOT = Path(__file__).resolve().parent.parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
# Byte-code beside the template's files would be copied into generated projects.
sys.pycache_prefix = str(ROOT / "build" / "pycache")

# Settings of the person who runs the tests. Without byte-code every start takes half a second more.
FOREIGN = ("CONDA", "MAMBA", "COOKIECUTTER", "RATTLER", "VIRTUAL_ENV", "PYTHONDONTWRITE")

Result = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Machine:
    """An account with an empty home: the environment in which programs under test run."""

    home: Path
    cache: Path
    template: Path
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def temporary(self) -> Path:
        """A folder for what programs leave behind in theirs."""
        folder = self.home / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        own = {
            "HOME": str(self.home),
            "USERPROFILE": str(self.home),
            "CONDAW_CACHE": str(self.cache),
            "TMPDIR": str(self.temporary),
            "PYTHONPYCACHEPREFIX": str(ROOT / "build" / "pycache"),
            "COLUMNS": "100",
        }
        return {**kept, **own, **self.extra}

    def run(self, *command: str | Path, cwd: Path, **extra: str) -> Result:
        """Run a program to its end; stdout and stderr are kept apart."""
        return subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**self.env, **extra},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def condaw(self, project: Path, *arguments: str, **extra: str) -> Result:
        """`python -m condaw ARGUMENTS` in `project`."""
        return self.run(sys.executable, "-m", "condaw", *arguments, cwd=project, **extra)

    def bake(self, folder: Path, **answers: str) -> Result:
        """Real cookiecutter, on this repository, into `folder`; no network unless asked for."""
        chosen = {"environment": "no", "python": VERSION, **answers}
        program = Path(sys.executable).with_name("cookiecutter")
        words = [f"{name}={value}" for name, value in chosen.items()]
        return self.run(program, "--no-input", self.template, *words, cwd=folder)


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
    """A project of the embedded channel, locked, without an environment: to be copied."""
    folder = shared / "locked"
    machine = Machine(shared / "home", shared / "cache", template)
    with FileLock(shared / "locked.lock"):
        if not folder.exists():
            machine.home.mkdir(exist_ok=True)
            baked = machine.bake(shared, project="demo", channel=channel.as_uri())
            assert baked.returncode == 0, baked.stderr
            done = machine.condaw(shared / "demo", "lock", "--pin")
            assert done.returncode == 0, done.stderr
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


@pytest.fixture
def bake(machine: Machine, tmp_path: Path) -> Callable[..., Path]:
    """Bake with some answers into this test's folder; gives the project."""

    def baked(**answers: str) -> Path:
        done = machine.bake(tmp_path, **answers)
        assert done.returncode == 0, done.stdout + done.stderr
        return tmp_path / answers.get("project", "ssh-uptime")

    return baked
