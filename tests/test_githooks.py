"""The optional git hooks: a pull that changed the lock says so, and nothing else is said."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from machine import Machine

TOLD = "stale: conda-lock.yml has changed since it was made; run: python -m condaw create"


class Clone:
    """A colleague's clone with the hooks switched on, and the one that it pulls from."""

    def __init__(self, machine: Machine, upstream: Path, own: Path) -> None:
        self.machine, self.upstream, self.own = machine, upstream, own
        for name, value in (("user.name", "t"), ("user.email", "t@example.invalid")):
            self.git(own, "config", "--global", name, value)
        self.git(upstream, "init", "-q", "-b", "main")
        self.commit(upstream)
        self.git(own, "clone", "-q", str(upstream), ".")
        self.git(own, "config", "core.hooksPath", ".githooks")

    def git(self, folder: Path, *words: str) -> str:
        done = self.machine.run("git", *words, cwd=folder)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def commit(self, folder: Path) -> None:
        self.git(folder, "add", "-A")
        self.git(folder, "commit", "-qm", "changes")

    def change(self, folder: Path, file: str) -> None:
        path = folder / file
        path.write_text(path.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
        self.commit(folder)


@pytest.fixture
def clone(machine: Machine, locked: Path, tmp_path: Path) -> Clone:
    (tmp_path / "clone").mkdir()
    upstream = Path(shutil.copytree(locked, tmp_path / "upstream"))
    return Clone(machine, upstream, tmp_path / "clone")


def test_a_pull_a_rebase_and_a_checkout_that_change_the_lock_say_so(clone: Clone) -> None:
    done = clone.machine.condaw(clone.own, "create")
    assert done.returncode == 0, done.stderr
    clone.change(clone.upstream, "README.md")
    assert "run: python -m condaw" not in clone.git(clone.own, "pull", "-q")
    clone.change(clone.upstream, "conda-lock.yml")
    assert TOLD in clone.git(clone.own, "pull", "-q").splitlines()
    assert TOLD not in clone.git(clone.own, "switch", "-q", "--detach", "HEAD~1").splitlines()
    assert TOLD in clone.git(clone.own, "switch", "-q", "main").splitlines()
    clone.git(clone.own, "reset", "-q", "--hard", "HEAD~1")
    clone.change(clone.own, "inventory.yml")
    assert TOLD in clone.git(clone.own, "pull", "-q", "--rebase").splitlines()


def test_without_a_python_git_works_as_without_the_hooks(clone: Clone) -> None:
    tools = clone.machine.home / "bin"
    tools.mkdir()
    for name in ("git", "sh", "dirname"):
        program = shutil.which(name)
        assert program
        (tools / name).symlink_to(program)
    env = {**clone.machine.env, "PATH": str(tools)}
    words = ["git", "switch", "-q", "--detach", "HEAD"]
    done = subprocess.run(
        words, cwd=clone.own, env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
