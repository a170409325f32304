"""The sha256 of files, in pieces: packages hold files larger than what one wants in memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

PIECE = 1 << 20
"""Bytes read at a time."""


def sha256_of(path: Path) -> str:
    """In hexadecimal digits. Raises OSError when the file cannot be read."""
    with path.open("rb", buffering=0) as file:
        return sha256_of_open(file.fileno(), os.fstat(file.fileno()).st_size)


def sha256_of_open(descriptor: int, size: int) -> str:
    """The same of an open file of `size` bytes: whoever knows that spares a read at the end."""
    digest = hashlib.sha256()
    while size > 0 and (piece := os.read(descriptor, min(size, PIECE))):
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()
