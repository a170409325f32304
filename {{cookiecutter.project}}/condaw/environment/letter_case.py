"""Folders that ignore the case of file names, as containers see those of macOS and Windows."""

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rattler.package import PathsJson

from condaw.base.errors import RETRY, CannotError
from condaw.base.layout import LOCK
from condaw.base.project import cache_dir
from condaw.lockfile.package import Package
from condaw.network import channels


def refuse_clash(root: Path, packages: Sequence[Package], urls: Sequence[str]) -> None:
    """Raise CannotError if `root` ignores case, and files of the packages differ by case only.
    Looks at their lists of files, before the download. Those for macOS and Windows do not."""
    if not packages[0].platform.startswith("linux") or not (root / LOCK.upper()).exists():
        return
    seen: dict[str, PurePosixPath] = {}
    for package, paths in zip(packages, asyncio.run(_all_paths(packages, urls)), strict=True):
        for path in {each for file in paths for each in (file, *file.parents)}:
            if (other := seen.setdefault(str(path).lower(), path)) != path:
                raise CannotError(
                    f"{root} ignores the case of file names, and {package.name} needs both "
                    f"{min(path, other)} and {max(path, other)}",
                    "move the project to a folder that does not, such as a volume of the "
                    f"container, or your home folder in WSL, and {RETRY}",
                )


async def _all_paths(packages: Sequence[Package], urls: Sequence[str]) -> list[list[PurePosixPath]]:
    return await asyncio.gather(*map(_paths, packages, urls))


async def _paths(package: Package, url: str) -> list[PurePosixPath]:
    """Return the files of a package; none if its list cannot be had: its installation says why."""
    unpacked, archive = cache_dir() / "pkgs" / package.stem, channels.local_path(url)
    try:
        if unpacked.is_dir():
            found: PathsJson | None = PathsJson.from_package_directory(unpacked)
        elif archive:
            found = PathsJson.from_package_archive(archive)
        else:
            found = await PathsJson.from_remote_url(channels.client(), url)
    except Exception:
        return []
    return [PurePosixPath(entry.relative_path) for entry in (found.paths if found else ())]
