"""Where things are: the project's files, its environment, the user's cache; and [tool.condaw]."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

from condaw import layout
from condaw.outcome import CannotError


class Project(NamedTuple):
    """A project folder; every path in it is absolute."""

    root: Path

    @property
    def environment_yml(self) -> Path:
        return self.root / layout.ENVIRONMENT

    @property
    def lock_file(self) -> Path:
        return self.root / layout.LOCK

    @property
    def pyproject(self) -> Path:
        return self.root / layout.PYPROJECT

    @property
    def prefix(self) -> Path:
        return self.root / layout.PREFIX

    @property
    def staging(self) -> Path:
        return self.root / layout.STAGING

    @property
    def retired(self) -> Path:
        return self.root / layout.RETIRED


def this_project() -> Project:
    """The project that carries this copy of condaw."""
    return Project(Path(layout.ROOT))


def python_in(prefix: Path) -> Path:
    """The interpreter of a conda prefix."""
    return prefix / layout.PYTHON


def scripts_in(prefix: Path) -> Path:
    """The folder of a conda prefix that holds console scripts."""
    return prefix / ("Scripts" if os.name == "nt" else "bin")


def cache_dir() -> Path:
    """The per-user cache, shared by all projects: CONDAW_CACHE, else the platform's own place.

    Sources: XDG Base Directory Specification; Apple's File System Programming Guide;
    Windows Known Folders (LOCALAPPDATA).
    """
    try:
        home = Path.home()
    except RuntimeError:
        raise CannotError(
            "there is no home directory",
            "set HOME to a folder that you can write to, and run the command again",
        ) from None
    if own := os.environ.get("CONDAW_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "condaw"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "condaw"
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (xdg if xdg.is_absolute() else home / ".cache") / "condaw"


def unwritable_cache(error: OSError) -> CannotError:
    """What to say when the cache cannot be written."""
    return CannotError(
        f"the cache folder {cache_dir()} cannot be written: {error.strerror or error}",
        "make it writable or set CONDAW_CACHE to another folder, and run the command again",
    )


def remedy(problem: str, otherwise: str) -> str:
    """What to do about a failure that another program tells of: the disk has words of its own."""
    if re.search("no space left|not enough space|quota exceeded", problem, re.I):
        return f"make room on the disk (the cache is {cache_dir()})"
    if re.search("permission denied|read-only|access is denied", problem, re.I):
        return "make that writable, and end what uses it"
    return f"remove the cache {cache_dir()}" if "cache layer error" in problem else otherwise


def read_pyproject(project: Project) -> dict[str, Any]:
    """pyproject.toml as a dictionary; an empty one when there is no such file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(project.pyproject.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        cause = f"pyproject.toml cannot be read: {error.strerror}"
        raise CannotError(cause, "make it a readable file") from None
    except (ValueError, RecursionError) as error:  # also numbers with thousands of digits
        raise CannotError(f"pyproject.toml is not valid TOML: {error}", "correct it") from None


def table(project: Project, *names: str) -> dict[str, Any]:
    """The table [names...] of pyproject.toml; an empty one when it is not there."""
    found: Any = read_pyproject(project)
    for name in names:
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise CannotError(f"{name} in pyproject.toml is not a table", "correct it")
    return dict(found)


def smoke_commands(project: Project) -> list[list[str]]:
    """The commands of `smoke` in [tool.condaw]: run in the environment, each must exit with 0."""
    commands = table(project, "tool", "condaw").get("smoke", [])
    if not isinstance(commands, list) or not all(
        isinstance(command, list)
        and command
        and all(isinstance(part, str) and "\0" not in part for part in command)
        for command in commands
    ):
        raise CannotError(
            "smoke in [tool.condaw] of pyproject.toml is not a list of commands",
            'write it as a list of lists, for example: smoke = [["python", "--version"]]',
        )
    return commands
