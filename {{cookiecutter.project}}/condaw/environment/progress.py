"""How far rattler is: one line on a terminal, and a watch for a server that has gone silent."""

import asyncio
import sys
import time
from collections.abc import Awaitable

from rattler import InstallerReporter

from condaw.base import console
from condaw.base.errors import RETRY, CannotError

SILENCE = 60
"""Seconds without a byte after which a download is given up. A slow server is not a silent one."""
WIDTH = 30
"""Characters of the bar."""

clock = time.monotonic


class Progress(InstallerReporter):
    """What rattler reports while it installs `packages` packages, counted and drawn."""

    def __init__(self, packages: int) -> None:
        """Begin with nothing done."""
        self._packages, self._linked, self._downloads = packages, 0, 0
        self._received: dict[int, int] = {}
        self._moved, self._drawn = clock(), 0.0

    def on_download_start(self, cache_entry: int) -> int:
        """Count a download that begins."""
        self._downloads += 1
        self._draw()
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Take note of the bytes of a download."""
        self._received[download_idx] = progress
        self._draw()

    def on_download_completed(self, download_idx: int) -> None:
        """Count a download that ends."""
        self._downloads -= 1
        self._draw()

    def on_link_complete(self, index: int) -> None:
        """Count a package that is linked."""
        self._linked += 1
        self._draw()

    def is_silent(self) -> bool:
        """Return whether a download is running and nothing has come for SILENCE seconds."""
        return self._downloads > 0 and clock() - self._moved > SILENCE

    def end(self) -> None:
        """Clear the line."""
        if self._drawn:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def _draw(self) -> None:
        self._moved = clock()
        if console.on_terminal() and self._moved - self._drawn > 0.1:
            self._drawn = self._moved
            done = WIDTH * self._linked // max(self._packages, 1)
            bar = "#" * done + "." * (WIDTH - done)
            received = sum(self._received.values()) / 1e6
            text = f"[{bar}] {self._linked}/{self._packages} packages, {received:.0f} MB"
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


async def watched(installation: Awaitable[None], progress: Progress) -> None:
    """Wait for `installation` as long as something moves.

    Raises CannotError if a server goes silent, and whatever the installation raises.
    """
    task = asyncio.ensure_future(installation)
    try:
        while not (await asyncio.wait([task], timeout=1))[0]:
            if progress.is_silent():
                task.cancel()
                raise CannotError(
                    f"the server has sent nothing for {SILENCE} s",
                    f"check the network and the proxy, and {RETRY}",
                )
        task.result()
    finally:
        progress.end()
