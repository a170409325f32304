"""How condaw starts: under a Python that is too old, and on streams of any encoding."""

from __future__ import annotations

import ast
import shutil
import sys
from pathlib import Path

import pytest
from machine import ROOT, Machine

CONDAW = ROOT / "{{cookiecutter.project}}" / "condaw"
OLD_PYTHON = """
import runpy, sys
sys.version_info, sys.argv = (3, 6, 15), ["condaw", "status"]
runpy.run_module("condaw", run_name="__main__")
"""


def test_a_python_that_is_too_old_is_named(machine: Machine) -> None:
    done = machine.run(sys.executable, "-c", OLD_PYTHON, cwd=CONDAW.parent)
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        "condaw: cannot start: this is Python 3.6, and condaw needs 3.10 or later",
        "condaw: next: run it with a newer one, such as: python3.13 -m condaw status",
    ]


@pytest.mark.parametrize("file", ["__init__.py", "__main__.py"])
def test_what_says_so_is_readable_for_python_3_6(file: str) -> None:
    text = (CONDAW / file).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 6))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    check = [node.lineno for node in tree.body if "version_info" in ast.unparse(node)]
    ours = [node.lineno for node in imports if "condaw" in ast.unparse(node)]
    assert not ours or check[0] < min(ours)
    assert "annotations" not in text  # which 3.6 does not know


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_folder_whose_name_the_stream_does_not_have_is_shown_with_escapes(
    encoding: str, machine: Machine, tmp_path: Path
) -> None:
    project = tmp_path / "Łask"
    shutil.copytree(CONDAW, project / "condaw")
    (project / ".conda").mkdir()
    done = machine.condaw(project, "status", PYTHONIOENCODING=f"{encoding}:strict")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("foreign: ")
    assert r"\u0141" in done.stdout
