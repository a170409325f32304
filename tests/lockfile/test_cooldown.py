"""What is too new to be locked: by the settings of the project, pip, uv and conda."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import cooldown
from condaw.lockfile.cooldown import Cooldown

NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cooldown, "_now", lambda: NOW)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home of somebody who has configured nothing."""
    home = tmp_path / "nobody"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "PIP_CONFIG_FILE", "UV_EXCLUDE_NEWER", "CONDARC"):
        monkeypatch.delenv(name, raising=False)
    return home


def cutoff(folder: Path, value: str) -> datetime | None:
    (folder / "pyproject.toml").write_text(f"[tool.condaw]\nexclude-newer = {value}\n")
    return cooldown.of(Project(folder)).cutoff


@pytest.mark.usefixtures("clock", "nobody")
@pytest.mark.parametrize(
    ("value", "time"),
    [
        ('"7 days"', NOW - 7 * DAY),
        ('"7d"', NOW - 7 * DAY),
        ('"P7D"', NOW - 7 * DAY),
        ('"1 week"', NOW - 7 * DAY),
        ('"3d12h"', NOW - 3.5 * DAY),
        ('"0 days"', NOW),
        ("2026-11-01", datetime(2026, 11, 2, tzinfo=timezone.utc)),
        ('"2026-11-01T08:00:00+02:00"', datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),
        ("2026-11-01T06:00:00Z", datetime(2026, 11, 1, 6, tzinfo=timezone.utc)),
    ],
)
def test_a_span_or_a_date_says_what_is_too_new(value: str, time: datetime, tmp_path: Path) -> None:
    assert cutoff(tmp_path, value) == time


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    "value", ["7", '"a week"', '""', "[]", '"2026-13-01"', '"1000000000 weeks"', "9999-12-31"]
)
def test_anything_else_is_refused_with_its_place(value: str, tmp_path: Path) -> None:
    with pytest.raises(CannotError, match=r"exclude-newer in \[tool\.condaw\] is '.*neither"):
        cutoff(tmp_path, value)


def by_pip(home: Path, project: Path) -> dict[str, str]:
    return {"PIP_UPLOADED_PRIOR_TO": "P3D"}


def by_uv(home: Path, project: Path) -> dict[str, str]:
    return {"UV_EXCLUDE_NEWER": "3 days"}


def by_uv_in_the_project(home: Path, project: Path) -> dict[str, str]:
    (project / "pyproject.toml").write_text('[tool.uv]\nexclude-newer = "3 days"\n')
    return {}


def by_uv_for_everything(home: Path, project: Path) -> dict[str, str]:
    (home / ".config" / "uv").mkdir(parents=True)
    (home / ".config" / "uv" / "uv.toml").write_text('exclude-newer = "3 days"\n')
    return {}


def by_conda(home: Path, project: Path) -> dict[str, str]:
    (home / ".condarc").write_text("exclude_newer: 3d\nexclude_newer_package: {openssl: false}\n")
    return {}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    "way", [by_pip, by_uv, by_uv_in_the_project, by_uv_for_everything, by_conda]
)
def test_without_an_own_cooldown_that_of_another_tool_holds(
    way: Callable[[Path, Path], dict[str, str]],
    nobody: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert cooldown.of(Project(tmp_path)) == Cooldown(None, {})
    for name, value in way(nobody, tmp_path).items():
        monkeypatch.setenv(name, value)
    rules = cooldown.of(Project(tmp_path))
    assert rules.cutoff == NOW - 3 * DAY
    assert rules.packages == ({"openssl": None} if way is by_conda else {})
    assert cutoff(tmp_path, "2026-01-01") == datetime(2026, 1, 2, tzinfo=timezone.utc)
