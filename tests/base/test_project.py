"""Where things are, on each kind of machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from condaw.base import project
from condaw.base.errors import CannotError


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {}, "home/.cache/condaw"),
        ("linux", {"XDG_CACHE_HOME": "/var/caches"}, "/var/caches/condaw"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/condaw"),
        ("darwin", {}, "home/Library/Caches/condaw"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/condaw"),
        ("win32", {}, "home/AppData/Local/condaw"),
        ("linux", {"CONDAW_CACHE": "/elsewhere"}, "/elsewhere"),
        ("linux", {"CONDAW_CACHE": "~/mine"}, "home/mine"),
    ],
)
def test_the_cache_is_where_each_platform_keeps_caches(
    platform: str,
    variables: dict[str, str],
    wanted: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "CONDAW_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert project.cache_dir() == tmp_path / wanted


def test_a_machine_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.delenv("CONDAW_CACHE", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(CannotError) as caught:
        project.cache_dir()
    assert "set HOME" in caught.value.next_step


def test_a_pyproject_that_is_not_toml_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool\n", encoding="utf-8")
    with pytest.raises(CannotError) as caught:
        project.smoke_commands(project.Project(tmp_path))
    assert "pyproject.toml cannot be read: " in caught.value.cause
    assert "line 1" in caught.value.cause


@pytest.mark.parametrize(
    "value", ['"a"', "[1]", "[[]]", "[[1]]", "{}", '["a b"]'], ids=lambda value: str(value)
)
def test_smoke_commands_of_another_shape_are_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.condaw]\nsmoke = {value}\n", encoding="utf-8")
    with pytest.raises(CannotError):
        project.smoke_commands(project.Project(tmp_path))


def test_a_project_without_settings_has_no_smoke_commands(tmp_path: Path) -> None:
    assert project.smoke_commands(project.Project(tmp_path)) == []
