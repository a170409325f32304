"""One condaw at a time: a file lock that names its holder, and that ends with its process.

Of the standard library alone, since the libraries themselves are fetched under such a lock.
"""

import contextlib
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from condaw.base import console
from condaw.base.errors import RETRY, CannotError
from condaw.base.project import cache_dir, own_cache, unwritable_cache

STEP = 0.05  # seconds between two tries
TRIES = 40  # before it says whom it waits for: two seconds
HELD = "CONDAW_HELD"  # names the file whose lock a process that has started this one holds
BYTE = 1 << 30  # the byte that Windows locks: nobody else can read it, so it is not of the text


@contextlib.contextmanager
def exclusive(file: Path, subject: object) -> Iterator[None]:
    """Hold a lock on `file`, which guards `subject`, against other condaw processes, as soon as no
    other holds it. The file names its holder. Raises CannotError if it cannot be opened."""
    if os.environ.get(HELD) == str(file):
        cause = f"a smoke command of pyproject.toml has started this, which works on {subject}"
        raise CannotError(cause, "take that command out of smoke in [tool.condaw]")
    with _opened(file) as lock:
        tries = itertools.count()
        while not _locked(lock):
            if next(tries) == TRIES:
                holder = file.read_text(encoding="utf-8") or "another condaw"
                console.note(f"waiting for {holder}, which works on {subject}")
            time.sleep(STEP)
        command = " ".join(["condaw", *sys.argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):  # a full disk is no reason to stop here
            lock.truncate(0)
            lock.write(f"process {os.getpid()} (`{command}`, since {since})")
            lock.flush()
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                lock.truncate(0)


def of_cache(name: str) -> contextlib.AbstractContextManager[None]:
    """Return the lock `name` of the cache, which all projects share."""
    return exclusive(own_cache() / "locks" / f"{name}.lock", f"the cache {cache_dir()}")


def _opened(file: Path) -> IO[str]:
    try:
        file.parent.mkdir(exist_ok=True)
        return file.open("a+", encoding="utf-8")
    except OSError as error:
        if file.is_relative_to(cache_dir()):
            raise unwritable_cache(error) from None
        with contextlib.suppress(OSError):  # it may be root's, after a sudo: reading is enough
            return file.open(encoding="utf-8")
        cause = f"{file} cannot be written: {error.strerror}"
        raise CannotError(cause, f"make its folder writable, and {RETRY}") from None


def _locked(file: IO[str]) -> bool:
    """Lock `file` until it is closed; return False if another process holds it.
    Sources: flock(2); Microsoft's C run-time library, _locking."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file.fileno(), BYTE, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
