"""Renames that scanners on Windows get in the way of."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from condaw.base import files


def held_open(monkeypatch: pytest.MonkeyPatch, times: int, winerror: int) -> list[float]:
    """Let the first renames fail as on Windows; return how long each wait was."""
    failures, really, waits = itertools.count(1), Path.rename, list[float]()

    def refuse(source: Path, target: Path) -> Path:
        if next(failures) > times:
            return really(source, target)
        error = PermissionError(13, "Access is denied")
        error.winerror = winerror  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(Path, "rename", refuse)
    monkeypatch.setattr(files, "clock", lambda: sum(waits))
    monkeypatch.setattr(files, "sleep", waits.append)
    return waits


@pytest.mark.parametrize("winerror", [5, 32])
def test_it_waits_for_a_program_that_holds_a_file_open(
    winerror: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = held_open(monkeypatch, 3, winerror)
    (tmp_path / "one").mkdir()
    files.rename(tmp_path / "one", tmp_path / "two")
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    assert len(waits) == 3


def test_it_gives_up_after_some_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = held_open(monkeypatch, 10**6, 5)
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "one", tmp_path / "two")
    assert files.PATIENCE <= sum(waits) < 2 * files.PATIENCE


def test_what_waiting_does_not_help_is_raised_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = held_open(monkeypatch, 1, 183)
    with pytest.raises(PermissionError):
        files.rename(tmp_path / "one", tmp_path / "two")
    assert waits == []
