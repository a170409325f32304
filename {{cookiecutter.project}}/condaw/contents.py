"""What a conda package may put into the prefix: rattler links all that a package lists.

rattler unpacks no archive outside of its cache. But it takes the paths in `info/paths.json` as
they are, so that `../x` lands beside the prefix; and symlinks that lead anywhere, through which
what is installed later would be written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from condaw.hashes import sha256_of
from condaw.lock import Package
from condaw.outcome import Finding
from condaw.progress import Progress

ROOTED = re.compile(r"[/\\]|[a-z]:", re.I)
"""Paths that are absolute, be it on another system."""
RESERVED = re.compile(r"(conda-meta|info)([/\\]|$)", re.I)
"""Where conda keeps its own records, of environments and of packages."""


class Inspector(Progress):
    """Progress that looks into each package before rattler links it.

    rattler goes on whatever a reporter raises. What is no more in its cache, it cannot link.
    """

    def __init__(self, packages: Sequence[Package], cache: Path) -> None:
        super().__init__(len(packages))
        self._folders = {p.name: cache / f"{p.name}-{p.version}-{p.build}" for p in packages}
        self._originals: list[tuple[str, Path, str]] = []
        self.refused = ""
        """The package that was not linked, and why; empty when there is none."""

    def on_link_start(self, operation: int, package_name: str) -> int:
        folder = self._folders[package_name]
        try:
            entries = listing(folder)
            fault = next(faults(folder, entries), "")
            self._originals += [
                (package_name, folder / entry["_path"], entry["sha256"])
                for entry in entries
                if entry.get("prefix_placeholder") and entry.get("sha256")
            ]
        except (OSError, ValueError, TypeError, LookupError, RecursionError):
            fault = "its list of files cannot be read"
        if fault:
            self.refused = f"{package_name}: {fault}"
            # A folder that may not be written can still be renamed where it is.
            away = folder.rename(folder.with_name(f".refused-{uuid.uuid4().hex}"))
            shutil.rmtree(away, ignore_errors=True)
        return super().on_link_start(operation, package_name)

    def altered(self) -> Iterator[Finding]:
        """Files of the cache that are not what their package lists, of those that were linked with
        the prefix written into them. All others can be compared in the environment."""
        with ThreadPoolExecutor() as pool:
            found = list(pool.map(sha256_of, [file for _, file, _ in self._originals]))
        for (package, file, sha256), digest in zip(self._originals, found, strict=True):
            if digest != sha256:
                text = f"{package}: {file}, in the cache, is not the file that was fetched"
                yield Finding("file-changed", text, package)


def listing(folder: Path) -> list[dict[str, Any]]:
    """The files of the conda package that is unpacked in `folder`, as it lists them (CEP 34).

    Raises OSError, ValueError, TypeError, LookupError or RecursionError when that is malformed.
    Where an old package has no `paths.json`, rattler takes `files`.
    """
    file = folder / "info" / "paths.json"
    if file.exists():
        return list(json.loads(file.read_text(encoding="utf-8"))["paths"])
    lines = (folder / "info" / "files").read_text(encoding="utf-8").splitlines()
    return [{"_path": line} for line in lines]


def faults(folder: Path, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the conda package that is unpacked in `folder`, with these files, must not bring.

    Raises what `listing` raises.
    """
    for path in [entry["_path"] for entry in entries]:
        if not path or ROOTED.match(path) or (".." in path and ".." in _parts(path)):
            yield f"its path {path!r} is not below the environment"
        if RESERVED.match(path):
            yield f"its path {path!r} is not for packages to write"
    for link, depth in _links(folder):
        target = os.readlink(link)  # noqa: PTH115 - the text, as it is
        steps = _parts(target)
        climbs = next((n for n, step in enumerate(steps) if step != ".."), len(steps))
        # `..` after a name could climb from where another link leads.
        if ROOTED.match(target) or climbs > depth or ".." in steps[climbs:]:
            name = link.removeprefix(f"{folder}{os.sep}")
            yield f"its symlink {name!r} leads out of the environment, to {target!r}"


def _parts(path: str) -> list[str]:
    return [part for part in re.split(r"[/\\]", path) if part not in ("", ".")]


def _links(folder: Path) -> Iterator[tuple[str, int]]:
    """Each symlink in an unpacked package, and how many folders of the package it is in."""
    pending = [(str(folder), 0)]
    while pending:
        where, depth = pending.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield entry.path, depth
                elif entry.is_dir() and (depth or entry.name != "info"):
                    pending.append((entry.path, depth + 1))
