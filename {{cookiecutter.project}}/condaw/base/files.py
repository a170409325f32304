"""Files: renamed in spite of scanners, and hashed."""

import hashlib
import os
import time
from pathlib import Path

PATIENCE = 10  # seconds to try a rename for: a scanner holds new files open for a moment
STEP = 0.05  # seconds between two tries
HELD = (5, 32)  # ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION of Windows
PIECE = 1 << 20  # bytes read at a time: packages hold files of some hundred megabytes

clock, sleep = time.monotonic, time.sleep


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder, and wait while a scanner or indexer of Windows holds it open. Raises
    OSError if it cannot be done. Sources: uv's `rename_with_retry`, pip's `replace`."""
    end = clock() + PATIENCE
    while True:
        try:
            source.rename(target)
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in HELD or clock() > end:
                raise
            sleep(STEP)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal digits. Raises OSError if it cannot be read."""
    with path.open("rb", buffering=0) as file:
        return sha256_of_open(file.fileno(), os.fstat(file.fileno()).st_size)


def sha256_of_open(descriptor: int, size: int) -> str:
    """Return the same of an open file of `size` bytes, without reading past them to find its end.
    Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    while size > 0 and (piece := os.read(descriptor, min(size, PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()
