"""cruft brings a project from one version of the template to the next, and spares its lock."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import reader
from condaw.lockfile.satisfies import unmet
from machine import VERSION, Machine, Result
from rattler import Channel
from template import export

pytestmark = pytest.mark.xdist_group("cruft")  # they share what takes longest
CRUFT = Path(sys.executable).with_name("cruft")
CHANNEL = [str(Channel("conda-forge").base_url).rstrip("/")]
SHIPPED = f"templates/conda-lock/python-{VERSION}-paramiko-5.yml"
IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")


def version_in(lock_file: Path, name: str = "markdown-it-py") -> str:
    [version] = set(re.findall(rf"- name: {name}\n  version: (\S+)", lock_file.read_text()))
    return str(version)


def git(machine: Machine, folder: Path, *words: str) -> Result:
    return machine.run("git", *IDENTITY, *words, cwd=folder)


def commit(machine: Machine, folder: Path) -> None:
    if not (folder / ".git").exists():
        assert git(machine, folder, "init", "-q", "-b", "main").returncode == 0
    assert git(machine, folder, "add", "-A").returncode == 0
    done = git(machine, folder, "commit", "-qm", "changes")
    assert done.returncode == 0, done.stdout + done.stderr


def edit(file: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, new, file.read_text(encoding="utf-8"))
    assert count
    file.write_text(text, encoding="utf-8")


def relock(file: Path, name: str, suffix: str = ".9") -> None:
    """Move a package to a version that has `suffix` more, on all platforms."""
    edit(file, rf"(?<=- name: {name}\n  version: )(\S+)", rf"\1{suffix}")
    edit(file, rf"(?<=/){name}-([\d.]+)-", rf"{name}-\1{suffix}-")


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template in git, with the tags v1 and v2: a newer rich, which needs a newer library."""
    folder = tmp_path_factory.mktemp("cruft")
    template = export(folder / "template")
    machine = Machine(folder, folder / "cache", template)
    commit(machine, template)
    git(machine, template, "tag", "v1")
    edit(template / "{{cookiecutter.project}}" / "environment.yml", r"(rich.*==[\d.]+)", r"\1.9")
    relock(template / SHIPPED, "rich")
    relock(template / SHIPPED, "markdown-it-py")
    edit(template / SHIPPED, "(?<=markdown-it-py: )'.*'", f"'>={version_in(template / SHIPPED)}'")
    commit(machine, template)
    git(machine, template, "tag", "v2")
    return template


@pytest.fixture(scope="module")
def created(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that `cruft create` has made from v1, to be copied; nothing is in git yet."""
    folder = tmp_path_factory.mktemp("created")
    machine = Machine(folder, folder / "cache", history)
    answers = json.dumps({"environment": "no", "python": VERSION})
    words = ["create", str(history), "--checkout", "v1", "--no-input", "--extra-context", answers]
    done = machine.run(CRUFT, *words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    # No environment may be created where cruft renders again, whatever the answer was.
    edit(folder / "ssh-uptime" / ".cruft.json", '"environment": "no"', '"environment": "required"')
    return folder / "ssh-uptime"


@pytest.fixture
def fresh(created: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(created, tmp_path / "ssh-uptime"))


@pytest.fixture
def project(machine: Machine, fresh: Path) -> Path:
    """The same, committed as it was made."""
    commit(machine, fresh)
    return fresh


def update(machine: Machine, project: Path, *words: str) -> Result:
    done = machine.run(CRUFT, "update", "-y", "--checkout", "v2", *words, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def problems(project: Path) -> list[str]:
    """What condaw says to the lock, on one platform, without a network."""
    try:
        packages = reader.read(project / "conda-lock.yml", "linux-64", CHANNEL)
    except CannotError as error:
        return [error.cause]
    return unmet(Project(project), packages)


def test_a_project_that_left_its_lock_alone_gets_the_new_one(
    machine: Machine, project: Path, history: Path
) -> None:
    machine = replace(machine, cache=machine.home / "unused")
    done = machine.run(CRUFT, "check", "--checkout", "v2", cwd=project)
    assert done.returncode == 1
    update(machine, project)
    assert (project / "conda-lock.yml").read_bytes() == (history / SHIPPED).read_bytes()
    assert ".9\n" in (project / "environment.yml").read_text(encoding="utf-8")
    assert problems(project) == []
    assert machine.run(CRUFT, "diff", "--exit-code", cwd=project).returncode == 0
    assert not (project / ".conda").exists()
    assert not machine.cache.exists()


@pytest.mark.parametrize("moved", ["markdown-it-py", "zstd"], ids=["near", "far"])
def test_a_lock_of_the_projects_own_stays_to_the_byte_and_the_conflict_is_told(
    moved: str, machine: Machine, project: Path, history: Path
) -> None:
    own = project / "conda-lock.yml"
    relock(own, moved)
    commit(machine, project)
    before = own.read_bytes()
    update(machine, project)
    assert own.read_bytes() == before
    assert git(machine, project, "status", "--short", "conda-lock.yml").stdout.startswith("UU ")
    was = version_in(own, "rich")
    assert problems(project) == [f"environment.yml asks for rich=={was}.9, and {was} is locked"]
    git(machine, project, "checkout", "--theirs", "conda-lock.yml")
    assert own.read_bytes() == (history / SHIPPED).read_bytes()


def test_a_library_that_the_project_added_stays(machine: Machine, project: Path) -> None:
    edit(project / "environment.yml", "  - pip==", "  - httpx==0.28.1\n  - pip==")
    commit(machine, project)
    update(machine, project)
    assert re.search(r"rich==.*\.9\n", (project / "environment.yml").read_text(encoding="utf-8"))
    assert problems(project) == ["environment.yml asks for httpx==0.28.1, which is not locked"]


def test_where_cruft_can_only_patch_by_lines_a_mixed_lock_is_refused(
    machine: Machine, fresh: Path
) -> None:
    edit(fresh / "environment.yml", "rich==", "rich ==")  # before the first commit
    relock(fresh / "conda-lock.yml", "markdown-it-py", ".8")
    commit(machine, fresh)
    done = update(machine, fresh)
    assert "*.rej files" in done.stdout
    own = version_in(fresh / "conda-lock.yml")
    assert f"rich needs markdown-it-py >={own[:-1]}9, and {own} is locked" in problems(fresh)[0]


def test_other_answers_bring_the_files_that_belong_to_them(
    machine: Machine, project: Path, history: Path
) -> None:
    update(machine, project, "--variables-to-update", '{"python": "3.14", "extras": "all"}')
    assert (project / "Dockerfile").is_file()
    shipped = history / "templates" / "conda-lock" / "python-3.14-paramiko-5.yml"
    assert (project / "conda-lock.yml").read_bytes() == shipped.read_bytes()
    assert 'requires-python = ">=3.14"' in (project / "pyproject.toml").read_text(encoding="utf-8")


def test_two_branches_that_both_relocked_conflict_and_are_never_mixed(
    machine: Machine, project: Path
) -> None:
    own = project / "conda-lock.yml"
    git(machine, project, "switch", "-qc", "colleague")
    relock(own, "zstd")
    commit(machine, project)
    git(machine, project, "switch", "-q", "main")
    relock(own, "markdown-it-py")
    commit(machine, project)
    before = own.read_bytes()
    done = git(machine, project, "merge", "-q", "colleague")
    assert done.returncode != 0
    assert "conda-lock.yml" in done.stdout + done.stderr
    assert own.read_bytes() == before


def test_a_project_made_by_cookiecutter_alone_is_linked_later(
    machine: Machine, history: Path, tmp_path: Path
) -> None:
    git(machine, history, "checkout", "-q", "v1")
    done = replace(machine, template=history).bake(tmp_path, description="My own words")
    git(machine, history, "checkout", "-q", "main")
    assert done.returncode == 0, done.stderr
    project = tmp_path / "ssh-uptime"
    answers = json.dumps({"python": VERSION, "description": "My own words", "environment": "no"})
    words = ["link", str(history), "--checkout", "v1", "--no-input", "--extra-context", answers]
    linked = machine.run(CRUFT, *words, cwd=project)
    assert linked.returncode == 0, linked.stdout + linked.stderr
    assert machine.run(CRUFT, "diff", "--exit-code", cwd=project).returncode == 0
    commit(machine, project)
    update(machine, project)
    assert problems(project) == []
    assert "My own words" in (project / "pyproject.toml").read_text(encoding="utf-8")


def test_cruft_create_in_the_temporary_folder_is_not_taken_for_a_comparison(
    machine: Machine, history: Path
) -> None:
    words = ["create", str(history), "--no-input", "--extra-context", '{"environment": "no"}']
    done = machine.run(CRUFT, *words, cwd=machine.temporary)
    assert done.stdout.splitlines()[-2:] == ["  cd ssh-uptime", "  python -m condaw create"]


def test_the_version_of_the_tool_is_that_of_the_changelog(locked: Path, machine: Machine) -> None:
    changelog = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.M)
    assert newest
    done = machine.condaw(locked, "--version")
    assert done.stdout == f"condaw {newest[1]}\n"
