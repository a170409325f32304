"""conda packages: fetched, checked and linked into a prefix by rattler."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import rattler
from rattler import PackageCache, Subdir, ValidationMode

from condaw import network
from condaw.contents import Inspector
from condaw.exclusive import exclusive
from condaw.hashes import sha256_of
from condaw.lock import Package
from condaw.outcome import RETRY, CannotError, Finding
from condaw.progress import watched
from condaw.project import cache_dir, remedy

CHANNEL = "check the network, the proxy and the channel"


def link(
    packages: Sequence[Package], staging: Path, prefix: Path, archives: Path | None = None
) -> list[Finding]:
    """Let rattler fetch, check and link `packages` into `staging`, for their life at `prefix`.

    `archives` is a folder to take them from, in the layout of a channel.
    Gives what is wrong in the cache and cannot be found in `staging` any more.
    Raises CannotError when that cannot be done.
    """
    _share_heaps()
    urls = [_url(package, archives) for package in packages]
    with ThreadPoolExecutor() as pool:
        list(pool.map(_check_local_archive, packages, urls))
    with exclusive("packages", f"the cache {cache_dir()}"):  # rattler waits without a word
        return _install(packages, urls, staging, prefix)


def forget(packages: Sequence[Package]) -> None:
    """Drop `packages` from the cache: a hard link may have carried an edit into it."""
    if not packages:
        return  # nobody is waited for in vain
    with exclusive("packages", f"the cache {cache_dir()}"):
        for package in packages:
            shutil.rmtree(cache_dir() / "pkgs" / package.stem, ignore_errors=True)


def _install(
    packages: Sequence[Package], urls: Sequence[str], staging: Path, prefix: Path
) -> list[Finding]:
    """rattler sees that a cached package has all its files; what they hold is compared once, in
    `staging` by `verify`."""
    folder = cache_dir() / "pkgs"
    for left in folder.glob(".*/"):  # by a run that failed or was killed in the middle
        shutil.rmtree(left, ignore_errors=True)
    cache = PackageCache.new_layered([folder], validation_mode=ValidationMode.fast())
    progress = Inspector(packages, folder)  # type: ignore[abstract]
    installation = rattler.install(
        [package.record_at(url) for package, url in zip(packages, urls, strict=True)],
        staging,
        platform=Subdir(packages[0].platform),
        alternative_target_prefix=prefix,
        package_cache=cache,
        client=network.client(),
        config=network.limits(),
        reporter=progress,
    )
    try:
        asyncio.run(watched(installation, progress))
    except CannotError:
        raise
    except Exception as error:
        if not progress.refused:
            causes = _causes(error)
            raise CannotError(
                f"the conda packages could not be installed: {causes}",
                f"{remedy(causes, CHANNEL)}, and {RETRY}",
            ) from None
    if progress.refused:
        raise CannotError(
            f"a conda package is not safe to install: {progress.refused}",
            "report it to the channel, and lock another version or build: python -m condaw lock",
        )
    return list(progress.altered())


def _share_heaps() -> None:
    """Let all threads, of which rattler has many, share two heaps: one for each takes more memory,
    and is no quicker. Source: mallopt(3), M_ARENA_MAX; other C libraries have no such function."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(-8, 2)


def _causes(error: Exception) -> str:
    """rattler's chain of causes as one line."""
    lines = [line.removeprefix("Caused by: ").strip() for line in str(error).splitlines()]
    unique = list(dict.fromkeys(line for line in lines if line))
    return "; ".join([unique[0], *unique[1:][-2:]]) if unique else type(error).__name__


def _url(package: Package, archives: Path | None) -> str:
    """Where to fetch a conda package."""
    return (archives / package.subdir / package.file_name).as_uri() if archives else package.url


def _check_local_archive(package: Package, url: str) -> None:
    """Compare a local archive with the lock: rattler checks only what comes over http."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return
    from urllib.request import url2pathname  # slow to load, and rarely needed

    archive = Path(url2pathname(parts.path))
    try:
        digest = sha256_of(archive)
    except OSError as error:
        raise CannotError(
            f"{package.name}: {archive} cannot be read: {error.strerror}",
            f"put the channel back, and {RETRY}",
        ) from None
    if digest != package.sha256:
        raise CannotError(
            f"{package.name}: the sha256 of {archive} is {digest}, locked is {package.sha256}",
            "find out who changed it; if that is right, run: python -m condaw lock",
        )
