"""The sha256 of files, read in pieces: packages hold files of some hundred megabytes."""

import hashlib
import os
from pathlib import Path

PIECE = 1 << 20  # bytes read at a time


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
