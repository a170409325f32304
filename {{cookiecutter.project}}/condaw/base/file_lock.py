"""One condaw at a time: a file lock that names its holder, and that ends with its process.

Of the standard library alone, since the libraries themselves are fetched under such a lock.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from condaw.base import console
from condaw.base.errors import CannotError
from condaw.base.project import cache_dir, unwritable_cache

WAIT = 3600  # seconds to wait for another condaw: as long as a large package may take to download
PATIENCE = 2  # seconds to wait before saying so
STEP = 0.05  # seconds between two tries

clock = time.monotonic


@contextlib.contextmanager
def exclusive(name: str, subject: object) -> Iterator[None]:
    """Hold the lock `name`, which guards `subject`, against other condaw processes. Raises
    CannotError if another one holds it for longer than WAIT, or if the cache, where the lock is,
    cannot be written."""
    holder = cache_dir() / "locks" / f"{name}.holder"
    try:
        holder.parent.mkdir(parents=True, exist_ok=True)
        file = holder.with_suffix(".lock").open("a")
    except OSError as error:
        raise unwritable_cache(error) from None
    with file:
        if not _acquired(file, PATIENCE):
            console.note(f"waiting for {_text(holder)}, which works on {subject}")
            if not _acquired(file, WAIT):
                cause = f"{_text(holder)} has been working on {subject} for more than {WAIT} s"
                raise CannotError(cause, "stop it, and run the command again")
        command = " ".join(["condaw", *sys.argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):  # a full disk is no reason to stop here
            text = f"process {os.getpid()} (`{command}`, since {since})"
            holder.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                holder.unlink()


def _acquired(file: IO[str], seconds: float) -> bool:
    """Lock `file` until it is closed; return False if another process holds it for `seconds`.
    Sources: flock(2); Microsoft's C run-time library, _locking."""
    end = clock() + seconds
    while True:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if clock() > end:
                return False
        time.sleep(STEP)


def _text(holder: Path) -> str:
    with contextlib.suppress(OSError):
        return holder.read_text(encoding="utf-8") or "another condaw"
    return "another condaw"
