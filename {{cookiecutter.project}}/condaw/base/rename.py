"""Renames that outlast the virus scanners and indexers of Windows."""

import time
from pathlib import Path

PATIENCE = 10
"""Seconds to try for. A scanner holds new files open for a moment, and there are thousands."""
STEP = 0.05  # seconds between two tries
HELD = (5, 32)  # ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION of Windows

clock, sleep = time.monotonic, time.sleep


def rename(source: Path, target: Path) -> None:
    """Rename a file or folder, and wait while another program holds it open. Raises OSError if it
    cannot be done. Sources: uv's `rename_with_retry`, pip's `replace`."""
    end = clock() + PATIENCE
    while True:
        try:
            source.rename(target)
            return
        except OSError as error:
            if getattr(error, "winerror", None) not in HELD or clock() > end:
                raise
            sleep(STEP)
