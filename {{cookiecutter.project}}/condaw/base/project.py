"""Where things are: the project's files, its environment, the user's cache; and [tool.condaw]."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from condaw.base import layout
from condaw.base.errors import CannotError


class Project(NamedTuple):
    """A project folder; every path in it is absolute."""

    root: Path

    @property
    def environment_yml(self) -> Path:
        """Return the path of environment.yml."""
        return self.root / layout.ENVIRONMENT

    @property
    def lock_file(self) -> Path:
        """Return the path of conda-lock.yml."""
        return self.root / layout.LOCK

    @property
    def pyproject(self) -> Path:
        """Return the path of pyproject.toml."""
        return self.root / layout.PYPROJECT

    @property
    def prefix(self) -> Path:
        """Return the folder of the environment."""
        return self.root / layout.PREFIX

    @property
    def staging(self) -> Path:
        """Return the folder in which an environment is built."""
        return self.root / layout.STAGING

    @property
    def retired(self) -> Path:
        """Return the folder to which the old environment moves during the swap."""
        return self.root / layout.RETIRED


def this_project() -> Project:
    """Return the project that carries this copy of condaw."""
    return Project(Path(layout.ROOT))


def python_in(prefix: Path) -> Path:
    """Return the interpreter of a conda prefix."""
    return prefix / layout.PYTHON


def scripts_in(prefix: Path) -> Path:
    """Return the folder of a conda prefix that holds console scripts."""
    return prefix / ("Scripts" if os.name == "nt" else "bin")


def cache_dir() -> Path:
    """Return the user's cache, shared by all projects: CONDAW_CACHE, else the platform's own place.

    Raises CannotError if there is no home directory. Sources: XDG Base Directory Specification;
    Apple's File System Programming Guide; Windows Known Folders (LOCALAPPDATA).
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
    """Return the error to raise when the cache cannot be written."""
    return CannotError(
        f"the cache folder {cache_dir()} cannot be written: {error.strerror or error}",
        "make it writable or set CONDAW_CACHE to another folder, and run the command again",
    )


def read_pyproject(project: Project) -> dict[str, Any]:
    """Return pyproject.toml as a dictionary, empty if there is no such file.

    Raises CannotError if it cannot be read or is not TOML.
    """
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
    """Return the table [names...] of pyproject.toml, empty if it is not there.

    Raises CannotError if it is not a table, and as `read_pyproject` does.
    """
    found: Any = read_pyproject(project)
    for name in names:
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise CannotError(f"{name} in pyproject.toml is not a table", "correct it")
    return dict(found)


def smoke_commands(project: Project) -> list[list[str]]:
    """Return the commands of `smoke` in [tool.condaw], each a list of words.

    They run in the environment, and each must exit with 0. Raises CannotError if they are not
    lists of words.
    """
    commands = table(project, "tool", "condaw").get("smoke", [])
    if not isinstance(commands, list) or not all(map(_is_command, commands)):
        raise CannotError(
            "smoke in [tool.condaw] of pyproject.toml is not a list of commands",
            'write it as a list of lists, for example: smoke = [["python", "--version"]]',
        )
    return commands


def _is_command(words: object) -> bool:
    return (
        isinstance(words, list)
        and bool(words)
        and all(isinstance(word, str) and "\0" not in word for word in words)
    )
