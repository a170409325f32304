"""What no package says of its files: modes, targets of links, and the records themselves.

Taken when the environment is made; `verify` compares with it later.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from condaw.hashes import sha256_of
from condaw.layout import META


@dataclass(frozen=True)
class Manifest:
    """Paths are relative to the prefix, with forward slashes."""

    mode: int
    """The mode of most files."""
    modes: dict[str, int]
    """The mode of every other file."""
    links: dict[str, str]
    """What each symlink points to."""
    records: dict[str, str]
    """The sha256 of each package's record: conda-meta/*.json and *.dist-info/RECORD."""


def file_of(prefix: Path) -> Path:
    """Not a `.json`: conda reads every `conda-meta/*.json` as the record of a package."""
    return prefix / META / "condaw.manifest"


def record_digests(prefix: Path, site: Path) -> dict[str, str]:
    """The sha256 of each package's record."""
    files = [*(prefix / META).glob("*.json"), *site.glob("*.dist-info/RECORD")]
    return {file.relative_to(prefix).as_posix(): sha256_of(file) for file in files}


def write(prefix: Path, site: Path, paths: Iterable[str]) -> None:
    """Take down what `paths`, the files in `prefix`, are like."""
    links, modes = {}, {}
    for path in paths:
        mode = os.lstat(f"{prefix}/{path}").st_mode
        if stat.S_ISLNK(mode):
            links[path] = os.readlink(f"{prefix}/{path}")  # noqa: PTH115
        else:
            modes[path] = stat.S_IMODE(mode)
    usual = Counter(modes.values()).most_common(1)[0][0]
    others = {path: mode for path, mode in modes.items() if mode != usual}
    manifest = Manifest(usual, others, links, record_digests(prefix, site))
    file_of(prefix).write_text(json.dumps(asdict(manifest)), encoding="utf-8")


def read(prefix: Path) -> Manifest | None:
    """The manifest of `prefix`; None where it is not there or not whole."""
    try:
        found = Manifest(**json.loads(file_of(prefix).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    whole = all(isinstance(each, dict) for each in (found.modes, found.links, found.records))
    return found if whole else None
