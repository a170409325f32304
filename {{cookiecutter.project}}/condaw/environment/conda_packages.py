"""conda packages: fetched, checked and linked into a prefix by rattler."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rattler
from rattler import InstallerReporter, PackageCache, Subdir, ValidationMode

from condaw.base.console import waiting
from condaw.base.errors import RETRY, CannotError, next_step_after
from condaw.base.file_lock import of_cache
from condaw.base.files import sha256_of
from condaw.base.project import cache_dir
from condaw.lockfile.package import Package
from condaw.network import channels, probe

SILENCE = 60  # seconds without a byte after which a download is given up

clock = time.monotonic


def link(
    packages: Sequence[Package], staging: Path, prefix: Path, archives: Path | None = None
) -> None:
    """Fetch, check and link `packages` into `staging`, which will be renamed to `prefix`.
    `archives` is a folder to take them from, in the layout of a channel. What is damaged in the
    cache of unpacked packages is fetched again. Raises CannotError if that cannot be done."""
    urls = [package.url for package in packages]
    if archives:
        urls = [(archives / p.subdir / p.file_name).as_uri() for p in packages]
    with ThreadPoolExecutor() as pool:
        list(pool.map(_check_local_archive, packages, urls))
    with of_cache("packages"):  # rattler would wait without a word
        _install(packages, urls, staging, prefix)


def forget(packages: Sequence[Package]) -> None:
    """Drop `packages` from the cache: a hard link may have carried an edit into it."""
    with of_cache("packages"):
        for package in packages:
            shutil.rmtree(cache_dir() / "pkgs" / package.stem, ignore_errors=True)


def _install(packages: Sequence[Package], urls: Sequence[str], staging: Path, prefix: Path) -> None:
    folder = cache_dir() / "pkgs"
    for left in folder.glob(".*/"):  # by a run that failed or was killed
        shutil.rmtree(left, ignore_errors=True)
    progress = Progress(len(packages))  # type: ignore[abstract]
    installation = rattler.install(
        [package.record(url) for package, url in zip(packages, urls, strict=True)],
        staging,
        platform=Subdir(packages[0].platform),
        alternative_target_prefix=prefix,
        package_cache=PackageCache.new_layered([folder], validation_mode=ValidationMode.full()),
        client=channels.client(),
        config=channels.config(),
        execute_link_scripts=False,  # whatever the user's configuration says
        reporter=progress,
    )
    try:
        asyncio.run(progress.watch(installation))
    except CannotError:
        raise
    except Exception as error:
        lines = [line.removeprefix("Caused by: ").strip() for line in str(error).splitlines()]
        causes = list(dict.fromkeys(filter(None, lines))) or [type(error).__name__]
        step = next_step_after(str(error), "check the network, the proxy and the channel")
        said = "; ".join([causes[0], *causes[1:][-2:]])
        named = [url for url in urls if url.startswith("http") and url.split("/")[-1] in said]
        if named and (answer := probe.unresolved(channels.fetched_from(named[0]))):
            said, step = answer
        cause = f"the conda packages could not be installed: {said}"
        raise CannotError(cause, f"{step}, and {RETRY}") from None


def _check_local_archive(package: Package, url: str) -> None:
    """Compare a local archive with the lock: rattler checks only what comes over http."""
    if not (archive := channels.local_path(url)):
        return
    try:
        digest = sha256_of(archive)
    except OSError as error:
        cause = f"{package.name}: {archive} cannot be read: {error.strerror}"
        raise CannotError(cause, f"put the channel back, and {RETRY}") from None
    if digest != package.sha256:
        cause = f"{package.name}: the sha256 of {archive} is {digest}, locked is {package.sha256}"
        step = "find out who changed it; if that is right, run: python -m condaw lock"
        raise CannotError(cause, step)


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
