"""Where things are: the project's files, its environment, the user's cache; and [tool.condaw]."""

import os
import sys
from pathlib import Path
from typing import Any

from condaw.base import layout
from condaw.base.errors import CannotError


class Project:
    """A project folder, with the paths of what is in it; all are absolute."""

    def __init__(self, root: Path = Path(layout.ROOT)) -> None:
        self.root = root
        self.environment_yml = root / layout.ENVIRONMENT
        self.lock_file = root / layout.LOCK
        self.pyproject = root / layout.PYPROJECT
        self.prefix = root / layout.PREFIX
        self.staging = root / layout.STAGING
        self.retired = root / layout.RETIRED
        self.file_lock = root / layout.FILE_LOCK


def cache_dir() -> Path:
    """Return the user's cache, shared by all projects: CONDAW_CACHE, else the platform's own place.
    Raises CannotError if there is no home directory. Sources: XDG Base Directory Specification;
    Apple's File System Programming Guide; Windows Known Folders (LOCALAPPDATA)."""
    try:
        home = Path.home()
    except RuntimeError:
        step = "set HOME to a folder that you can write to, and run the command again"
        raise CannotError("there is no home directory", step) from None
    if own := os.environ.get("CONDAW_CACHE"):
        return Path(own).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "condaw"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "condaw"
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return (xdg if xdg.is_absolute() else home / ".cache") / "condaw"


def own_cache() -> Path:
    """Return the user's cache, made if it is not there. Raises CannotError if others can write to
    it, since what is in it runs as this user: as `StrictModes` of sshd_config(5)."""
    folder = cache_dir()
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise unwritable_cache(error) from None
    if os.name != "nt" and (status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid())):
        cause = f"other users can write to the cache folder {folder}, and what is in it runs as you"
        step = "remove it, or set CONDAW_CACHE to a folder that only you can write to"
        raise CannotError(cause, step)
    return folder


def unwritable_cache(error: OSError) -> CannotError:
    """Return the error to raise when the cache cannot be written."""
    cause = f"the cache folder {cache_dir()} cannot be written: {error.strerror or error}"
    step = "make it writable or set CONDAW_CACHE to another folder, and run the command again"
    return CannotError(cause, step)


def table(project: Project, *names: str) -> dict[str, Any]:
    """Return the table [names...] of pyproject.toml; an empty one if it is not there. Raises
    CannotError if the file cannot be read, or has something else under that name."""
    found: Any = toml(project.pyproject)
    for name in names:
        found = found.get(name, {})
        if not isinstance(found, dict):
            raise CannotError(f"{name} in pyproject.toml is not a table", "correct it")
    return dict(found)


def smoke_commands(project: Project) -> list[list[str]]:
    """Return the commands of `smoke` in [tool.condaw], each a list of words. Raises CannotError if
    they are anything else."""
    commands = table(project, "tool", "condaw").get("smoke", [])
    lists = isinstance(commands, list) and all(isinstance(c, list) and c for c in commands)
    words = [word for command in commands for word in command] if lists else []
    if not lists or not all(isinstance(word, str) and "\0" not in word for word in words):
        cause = "smoke in [tool.condaw] of pyproject.toml is not a list of commands"
        step = 'write it as a list of lists, for example: smoke = [["python", "--version"]]'
        raise CannotError(cause, step)
    return list(commands)


def toml(file: Path) -> dict[str, Any]:
    """Return what a TOML file holds; nothing if there is none."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:  # numbers may have thousands of digits
        raise CannotError(f"{file.name} cannot be read: {error}", "correct it") from None
