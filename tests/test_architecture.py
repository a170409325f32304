"""condaw's imports go one way, and the picture of them is of today."""

from __future__ import annotations

from pathlib import Path

import check_imports
import unix
from machine import ROOT

CONDAW = ROOT / "{{cookiecutter.project}}" / "condaw"


def test_an_import_against_the_direction_is_named(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    late = "def f():\n    from condaw.environment import state\n"
    (tmp_path / "base" / "paths.py").write_text(late)
    (tmp_path / "bundle.py").write_text("from condaw import commands, engine\n")
    assert check_imports.wrong(tmp_path) == [
        "base imports environment, which is not below it",
        "bundle imports commands, which is not below it",
    ]


def test_the_imports_go_one_way_and_are_drawn_as_they_are() -> None:
    assert check_imports.wrong(CONDAW) == []
    drawn = (ROOT / "docs" / "pictures" / "rooms.dot").read_text(encoding="utf-8")
    assert drawn == check_imports.dot(CONDAW)


def test_what_is_skipped_on_a_platform_exists() -> None:
    names = {*unix.NO_WINDOWS, *unix.NO_MACOS}
    assert not [name for name in names if not (ROOT / "tests" / name).exists()]
