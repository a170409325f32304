"""The environment's Python is asked who it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from condaw.base import process
from condaw.environment import smoke
from condaw.lockfile.package import Package


def test_a_folder_with_other_letters_is_understood_in_any_code_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On Windows, Python writes to a pipe in the code page of the system, unless it is told."""
    prefix = Path("/home/Jürgen/demo/.conda")
    python = Package("conda", "python", "3.13.5", "win-64", "", "", None, {}, 1)

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        encoding = "utf-8" if "utf8" in command else "cp1252"
        written = f"3.13.5 {prefix}\n".encode(encoding)
        return subprocess.CompletedProcess(command, 0, written.decode("utf-8", "replace"))

    monkeypatch.setattr(process, "run", run)
    assert smoke._python(prefix, [python]) == []
    assert smoke._python(Path(sys.prefix), [python]) != []
