"""The sha256 of files, in pieces: packages hold files larger than what one wants in memory."""

from __future__ import annotations

import hashlib
from pathlib import Path

PIECE = 1 << 20
"""Bytes read at a time."""


def sha256_of(path: Path) -> str:
    """In hexadecimal digits. Raises OSError when the file cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
