"""`make try`: what it leaves on the machine, and how its user goes on."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from machine import Machine


def test_a_run_keeps_the_project_of_the_last_one_and_leaves_no_cache_outside_of_build(
    machine: Machine,
    channel: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool = importlib.import_module("try")
    home = tmp_path / "build" / "try"
    mine = home / "demo-1" / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    own = {"XDG_CACHE_HOME": tmp_path / "build", "COOKIECUTTER_CONFIG": home / "cookiecutter.json"}
    monkeypatch.setattr(tool, "HOME", home)
    monkeypatch.setattr(tool, "CACHES", {"CONDAW_CACHE": machine.cache, **own})
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.chdir(tmp_path)
    tool.main()
    assert mine.exists()
    assert not [path for path in machine.home.rglob("*") if path.is_file()]
    folder, shell = (line.strip() for line in capsys.readouterr().out.splitlines()[-2:])
    assert folder == "cd build/try/demo-2"
    python = tmp_path / folder.removeprefix("cd ") / shell.partition(" ")[0]
    assert os.access(os.path.normpath(python), os.X_OK)
