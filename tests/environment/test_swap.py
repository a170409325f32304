"""What cannot be removed: named, and removed by a later run."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from condaw.base.project import Project
from condaw.environment import state, swap

STUCK = "Lib/site-packages/loaded.pyd"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the old environment that a swap has left."""
    retired = tmp_path / ".conda.old"
    swap.begin(retired)
    for name in (STUCK, "Lib/os.py", "python.exe"):
        (retired / name).parent.mkdir(parents=True, exist_ok=True)
        (retired / name).touch()
    return Project(tmp_path)


def refuse_removal(
    monkeypatch: pytest.MonkeyPatch, stuck: Callable[[str, int | None], bool]
) -> None:
    """Let nothing remove a file of which `stuck` holds, given its name and its folder."""
    really = os.unlink

    def unlink(path: str | os.PathLike[str], *, dir_fd: int | None = None) -> None:
        if stuck(os.fspath(path), dir_fd):
            raise PermissionError(13, "Access is denied", path)
        really(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    monkeypatch.setattr(swap, "TRIES", 3)


def test_what_cannot_be_removed_is_named_and_removed_later(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        refuse_removal(patch, lambda path, _: path.endswith("loaded.pyd"))
        swap.discard(project.retired)
        assert f"{project.retired / STUCK} cannot be removed" in capsys.readouterr().err
        assert not swap.is_foreign(project.retired)  # it still has the mark of condaw
        assert [path.name for path in project.retired.rglob("*.p*")] == ["loaded.pyd"]
    swap.discard(project.retired)
    assert list(project.root.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_read_only_files_are_removed_where_that_takes_two_steps(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: str, folder: int | None) -> bool:
        return not os.stat(path, dir_fd=folder, follow_symlinks=False).st_mode & 0o200

    (project.retired / STUCK).chmod(0o444)
    refuse_removal(monkeypatch, read_only)
    monkeypatch.setattr(swap, "READ_ONLY_STAYS", True)
    swap.discard(project.retired)
    assert list(project.root.iterdir()) == []


def test_the_new_environment_is_put_in_place_although_a_scanner_holds_it_for_a_moment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.retired.rename(project.staging)
    held, really = {project.staging: 3, project.prefix: 2}, Path.rename

    def refuse(source: Path, target: Path) -> Path:
        if held.get(source):
            held[source] -= 1
            error = PermissionError(13, "Access is denied")
            error.winerror = 5  # type: ignore[attr-defined]
            raise error
        return really(source, target)

    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", refuse)
    swap.put_in_place(project)
    swap.begin(project.staging)
    swap.put_in_place(project)
    assert held == {project.staging: 0, project.prefix: 0}
    assert [path.name for path in project.root.iterdir()] == [".conda"]


def test_one_that_cannot_be_moved_and_is_half_replaced_is_broken_until_the_next_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.retired.rename(project.prefix)
    (project.prefix / state.MARK).write_text("old")
    really, moves = shutil.move, itertools.count(1)

    def rename(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", source)

    def move(source: Path, target: Path) -> None:
        if next(moves) == 2:
            raise KeyboardInterrupt
        really(source, target)

    monkeypatch.setattr(swap, "_exchange", lambda one, other: False)
    monkeypatch.setattr(swap, "rename", rename)
    monkeypatch.setattr(shutil, "move", move)
    for number in range(2):
        swap.begin(project.staging)
        for name in ("bin/python", "lib/os.py", "conda-meta/history"):
            (project.staging / name).parent.mkdir(exist_ok=True)
            (project.staging / name).touch()
        (project.staging / state.MARK).write_text("new")
        if number == 0:
            with pytest.raises(KeyboardInterrupt):
                swap.put_in_place(project)
            assert state.state(project.root)[0] == "broken"
            assert not swap.is_foreign(project.prefix)
            assert not (project.prefix / "Lib").exists()  # of the old one
        else:
            swap.put_in_place(project)
            assert (project.prefix / state.MARK).read_text() == "new"
            assert (project.prefix / "lib" / "os.py").exists()
        swap.discard(project.staging)
    assert [path.name for path in project.root.iterdir()] == [".conda"]
