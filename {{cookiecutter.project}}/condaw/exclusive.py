"""One condaw at a time: a lock that says who holds it, and that a dead process does not hold."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from condaw import console
from condaw.outcome import CannotError
from condaw.project import cache_dir, unwritable_cache

WAIT = 3600
"""Seconds to wait for another condaw: as long as it may take to fetch a large package."""
PATIENCE = 2
"""Seconds to wait without a word."""


@contextlib.contextmanager
def exclusive(name: str, subject: object) -> Iterator[None]:
    """Hold the lock `name`, which guards `subject`, against other condaw processes.

    Raises CannotError when another one holds it for longer than WAIT.
    """
    guard = FileLock(cache_dir() / "locks" / f"{name}.lock")
    holder = Path(guard.lock_file).with_suffix(".holder")
    try:
        holder.parent.mkdir(parents=True, exist_ok=True)
        try:
            guard.acquire(timeout=PATIENCE)
        except Timeout:
            console.note(f"waiting for {_read(holder)}, which works on {subject}")
            guard.acquire(timeout=WAIT)
        command = " ".join(["condaw", *sys.argv[1:]])
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        with contextlib.suppress(OSError):  # a full disk is no reason to stop here
            text = f"process {os.getpid()} (`{command}`, since {since})"
            holder.write_text(text, encoding="utf-8")
    except Timeout:
        raise CannotError(
            f"{_read(holder)} has been working on {subject} for more than {WAIT} s",
            "end it, and run the command again",
        ) from None
    except OSError as error:
        raise unwritable_cache(error) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        guard.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8") or "another condaw"
    except OSError:
        return "another condaw"
