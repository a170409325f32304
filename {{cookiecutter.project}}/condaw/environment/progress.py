"""How far rattler is: in words for a terminal, and a watch for a server that has gone silent."""

import asyncio
import time
from collections.abc import Awaitable

from rattler import InstallerReporter

from condaw.base.console import waiting
from condaw.base.errors import RETRY, CannotError

SILENCE = 60
"""Seconds without a byte after which a download is given up. A slow server is not a silent one."""

clock = time.monotonic


class Progress(InstallerReporter):
    """What rattler reports while it installs `packages` packages."""

    def __init__(self, packages: int) -> None:
        self._packages, self._linked, self._moved = packages, 0, clock()
        self._received: dict[int, int] = {}
        self._running: set[int] = set()

    def __str__(self) -> str:
        received = sum(self._received.values()) / 1e6
        return f"{self._linked} of {self._packages} packages installed, {received:.0f} MB fetched"

    def on_download_start(self, cache_entry: int) -> int:
        """Take note of a download that begins, and return its token."""
        self._running.add(cache_entry)
        self._moved = clock()
        return cache_entry

    def on_download_progress(self, download_idx: int, progress: int, total: int | None) -> None:
        """Take note of the bytes of a download."""
        self._received[download_idx] = progress
        self._moved = clock()

    def on_download_completed(self, download_idx: int) -> None:
        """Take note of a download that ends."""
        self._running.discard(download_idx)

    def on_link_complete(self, index: int) -> None:
        """Count a package that is linked."""
        self._linked += 1

    async def watch(self, installation: Awaitable[None]) -> None:
        """Wait for `installation` as long as something moves. Raises CannotError if a server goes
        silent, and whatever the installation raises."""
        task = asyncio.ensure_future(installation)
        with waiting(self):
            while not (await asyncio.wait([task], timeout=1))[0]:
                if self._running and clock() - self._moved > SILENCE:
                    task.cancel()
                    cause = f"the server has sent nothing for {SILENCE} s"
                    raise CannotError(cause, f"check the network and the proxy, and {RETRY}")
        task.result()
