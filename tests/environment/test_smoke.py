"""The environment's Python is asked who it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from condaw.base import process
from condaw.base.project import Project
from condaw.environment import smoke
from condaw.lockfile.package import Package
from machine import Machine


def test_a_folder_with_other_letters_is_understood_in_any_code_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows, Python writes to a pipe in the code page of the system, unless it is told."""
    project = Project(Path("/home/Jürgen/demo"))
    python = Package("conda", "python", "3.13.5", "win-64", "", "", None, {}, 1)

    def run(commands: list[list[str]], **_: Any) -> list[tuple[str, int]]:
        encoding = "utf-8" if "utf8" in commands[0] else "cp1252"
        written = f"3.13.5 {project.prefix}\n".encode(encoding)
        return [(written.decode("utf-8", "replace"), 0)]

    monkeypatch.setattr(process, "run_together", run)
    assert smoke.smoke(project, [python]) == []
    assert smoke.smoke(project, [replace(python, version="3.13.6")]) != []


def test_a_failed_smoke_command_is_not_forgotten(small: Path, machine: Machine) -> None:
    command = 'smoke = [["python", "-c", "open(\'good\')"]]'
    pyproject = small / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace("smoke = []", command)
    pyproject.write_text(text, encoding="utf-8")
    again = "python -m condaw run -- python -c "
    for number in range(2):
        done = machine.condaw(small, "create")
        assert done.returncode == 1
        assert ("installing" in done.stderr) == (number == 0)
        assert " in smoke of [tool.condaw] failed with exit code 1: " in done.stderr
        assert f"; to see more: {again}" in done.stderr
    done = machine.condaw(small, "status")
    assert (done.returncode, done.stdout.partition(":")[0]) == (1, "failed")
    assert machine.condaw(small, "run", "--", "python", "--version").returncode == 0
    (small / "good").touch()
    done = machine.condaw(small, "create")
    assert (done.returncode, "installing" in done.stderr) == (0, False)
    assert machine.condaw(small, "status").returncode == 0


def test_one_that_starts_condaw_does_not_wait_for_it_for_ever(
    small: Path, machine: Machine
) -> None:
    pyproject = small / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    own = 'smoke = [["python", "-m", "condaw", "verify"]]'
    pyproject.write_text(text.replace("smoke = []", own), "utf-8")
    for verb in ("create", "verify"):
        done = machine.condaw(small, verb)
        assert done.returncode == 1
        assert "take that command out of smoke in [tool.condaw]; to see more" in done.stderr
    run = 'smoke = [["python", "-m", "condaw", "run", "--", "python", "--version"]]'
    pyproject.write_text(text.replace("smoke = []", run), "utf-8")
    assert machine.condaw(small, "create").returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is of Linux")
def test_a_line_of_the_loader_is_no_wrong_python(shown: Path, machine: Machine) -> None:
    done = machine.condaw(shown, "verify", LD_PRELOAD="/nowhere/gone.so")
    assert done.returncode == 0, done.stderr
