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
WIDTH = 30  # characters of the bar

clock = time.monotonic


class Progress(InstallerReporter):
    """What rattler reports while it installs `packages` packages, counted and drawn."""

    def __init__(self, packages: int) -> None:
        self._packages, self._linked = packages, 0
        self._received: dict[int, int] = {}
        self._running: set[int] = set()
        self._moved, self._drawn = clock(), 0.0

    def on_download_start(self, cache_entry: int) -> int:
        """Take note of a download that begins, and return its token."""
        self._running.add(cache_entry)
        self._draw()
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Take note of the bytes of a download."""
        self._received[download_idx] = progress
        self._draw()

    def on_download_completed(self, download_idx: int) -> None:
        """Take note of a download that ends."""
        self._running.discard(download_idx)
        self._draw()

    def on_link_complete(self, index: int) -> None:
        """Count a package that is linked."""
        self._linked += 1
        self._draw()

    def _draw(self) -> None:
        self._moved = clock()
        if console.on_terminal() and self._moved - self._drawn > 0.1:
            self._drawn = self._moved
            done = WIDTH * self._linked // max(self._packages, 1)
            bar = "#" * done + "." * (WIDTH - done)
            received = sum(self._received.values()) / 1e6
            text = f"[{bar}] {self._linked}/{self._packages} packages, {received:.0f} MB"
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    async def watch(self, installation: Awaitable[None]) -> None:
        """Wait for `installation` as long as something moves. Raises CannotError if a server goes
        silent, and whatever the installation raises."""
        task = asyncio.ensure_future(installation)
        try:
            while not (await asyncio.wait([task], timeout=1))[0]:
                if self._running and clock() - self._moved > SILENCE:
                    task.cancel()
                    cause = f"the server has sent nothing for {SILENCE} s"
                    raise CannotError(cause, f"check the network and the proxy, and {RETRY}")
            task.result()
        finally:
            if self._drawn:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
