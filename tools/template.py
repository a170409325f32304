"""The template alone, without the rest of this repository and its build products."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("cookiecutter.json", "hooks", "templates", "{{cookiecutter.project}}")


def export(folder: Path) -> Path:
    """Copy the template's files into the new folder `folder`, and return it."""
    leave_out = shutil.ignore_patterns("__pycache__", ".*_cache")
    folder.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=leave_out)
        else:
            shutil.copy2(source, folder / part)
    return folder
