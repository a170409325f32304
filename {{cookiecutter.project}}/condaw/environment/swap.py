"""Folders that condaw makes beside each other: whose they are, their exchange, their removal."""

import contextlib
import ctypes
import errno
import os
import shlex
import shutil
import stat
import sys
import time
from pathlib import Path

from condaw.base import console
from condaw.base.files import rename
from condaw.base.layout import META
from condaw.base.project import Project
from condaw.environment.state import MARK

TRIES = 100  # to remove a folder
UNMOVABLE = (errno.EBUSY, errno.EXDEV)  # a mount point, a folder of a container image's layer
READ_ONLY_STAYS = os.name == "nt"  # whether a read-only file cannot be removed


def begin(folder: Path) -> None:
    """Make `folder`, and mark it as condaw's before anything else is in it."""
    (folder / MARK).parent.mkdir(parents=True)
    (folder / MARK).touch()


def is_foreign(path: Path) -> bool:
    """Return whether something is at `path` that condaw did not make, and must not touch."""
    if path.is_symlink() or path.resolve() != path or (os.path.lexists(path) and not path.is_dir()):
        return True
    return not (path / MARK).exists() and any(files for _, _, files in os.walk(path))


def how_to_remove(path: Path) -> str:
    """Return what to do about a file or folder that cannot be removed."""
    if os.name == "posix" and path.lstat().st_uid != os.geteuid():
        return f"remove what another user made: sudo rm -r {shlex.quote(str(path))}"
    return "stop what uses it"


def put_in_place(project: Project) -> None:
    """Let the new environment take the place of the old one, which is left to be discarded. Raises
    OSError, with the old environment in its place, if that cannot be done."""
    prefix, staging, retired = project.prefix, project.staging, project.retired
    if not prefix.exists():
        rename(staging, prefix)
        return
    if _exchange(staging, prefix):
        return
    try:
        rename(prefix, retired)
    except OSError as error:
        if error.errno not in UNMOVABLE:
            raise
        _replace_contents(prefix, staging)
        return
    try:
        rename(staging, prefix)
    except OSError:
        rename(retired, prefix)
        raise
    discard(retired)


def _replace_contents(prefix: Path, staging: Path) -> None:
    """Move what is in `staging` into `prefix`, which cannot be moved itself. The mark is empty at
    first and comes last: an environment that is half done is broken, and the next run makes it."""
    (prefix / MARK).parent.mkdir(exist_ok=True)
    (prefix / MARK).write_bytes(b"")
    for path in _contents(prefix):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    with contextlib.suppress(OSError):  # a volume's folder may be of another user
        shutil.copymode(staging, prefix)
    for path in [*_contents(staging), staging / MARK]:
        shutil.move(path, prefix / path.relative_to(staging))


def _contents(folder: Path) -> list[Path]:
    """Return what is in a folder of condaw's, but for its mark and for the folder of the mark."""
    kept = (folder / MARK, (folder / MARK).parent)
    return [p for p in (*folder.glob("*"), *folder.glob(f"{META}/*")) if p not in kept]


def discard(folder: Path) -> None:
    """Remove a folder of condaw's. Its mark goes last, so that the next run ends a killed removal.
    After a failure, threads of rattler may still write what they had begun: so try again. What
    stays, such as a library that a program on Windows has loaded, is named."""
    for _ in range(TRIES):
        for path in _contents(folder):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
        left = [below for path in _contents(folder) for below in (path, *path.rglob("*"))]
        if not left:
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        for path in left if READ_ONLY_STAYS else ():
            with contextlib.suppress(OSError):
                path.chmod(stat.S_IWRITE)
        time.sleep(0.02)
    console.warn(f"{(left or [folder])[-1]} cannot be removed; {how_to_remove(folder)}")


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places in one step; return False if the system has no such step.
    Sources: Linux's renameat2(2) and macOS's renamex_np(2), each with the flag for a swap, 2."""
    first, second = os.fsencode(one), os.fsencode(other)
    here = -100  # AT_FDCWD, of no effect on absolute paths
    with contextlib.suppress(OSError, AttributeError):  # an old C library
        if sys.platform == "linux":
            return bool(ctypes.CDLL(None).renameat2(here, first, here, second, 2) == 0)
        if sys.platform == "darwin":
            return bool(ctypes.CDLL(None).renamex_np(first, second, 2) == 0)
    return False
