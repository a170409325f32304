"""What the environment was made from: read in a millisecond, with the standard library alone."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from condaw.project import Project, python_in

FORMAT = 2


def stamp_file(prefix: Path) -> Path:
    """Not a `.json`: conda reads every `conda-meta/*.json` as the record of a package."""
    return prefix / "conda-meta" / "condaw"


def inputs(project: Project) -> dict[str, object]:
    """Everything that decides what the environment holds, and where."""

    def digest(file: Path) -> str | None:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None

    return {
        "format": FORMAT,
        "prefix": str(project.prefix),
        "lock": digest(project.lock_file),
        "environment": digest(project.environment_yml),
        "pyproject": digest(project.pyproject),
    }


def write(prefix: Path, project: Project) -> None:
    """Record the inputs in `prefix`, which may still be a sibling of the final one."""
    stamp_file(prefix).write_text(json.dumps(inputs(project), indent=1) + "\n", encoding="utf-8")


def state(project: Project) -> tuple[str, str]:
    """A word and a sentence: `ready`, `missing`, `foreign`, `broken` or `stale`, and why."""
    if not os.path.lexists(project.prefix):
        return "missing", "there is no environment yet"
    try:
        made_from = dict(json.loads(stamp_file(project.prefix).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return "foreign", f"{project.prefix} was not made by condaw"
    except (OSError, ValueError, TypeError, RecursionError):
        return "broken", "the environment's own record of what it was made from cannot be read"
    if not python_in(project.prefix).exists():
        return "broken", "the environment has no Python"
    wanted = inputs(project)
    changed = [key for key, value in wanted.items() if made_from.get(key) != value]
    if "prefix" in changed:
        return "stale", f"it was made for {made_from.get('prefix')}, and the project has moved"
    names = {"lock": "conda-lock.yml", "pyproject": "pyproject.toml", "format": "condaw"}
    if changed:
        return "stale", f"{names.get(changed[0], 'environment.yml')} has changed since it was made"
    return "ready", "the environment is what conda-lock.yml says"


def identity(project: Project) -> int | None:
    """What tells an environment from the one that takes its place: its folder's inode."""
    return project.prefix.stat().st_ino if project.prefix.exists() else None
