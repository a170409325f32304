"""What no package records of its files: modes, targets of links, and the records themselves.

Taken when the environment is made; `verify` compares with it later.
"""

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from condaw.base.layout import META
from condaw.base.sha256 import sha256_of

NAME = f"{META}/condaw.manifest"  # not a `.json`: conda reads each of those as a record
IGNORED = 0o222 if os.name == "nt" else 0
"""Mode bits to ignore: hard links on Windows share the read-only attribute, which must go first."""


@dataclass(frozen=True)
class Snapshot:
    """Paths are relative to the prefix, with forward slashes."""

    mode: int  # the mode of most files
    modes: dict[str, int]  # the mode of every other file
    links: dict[str, str]  # what each symlink points to
    records: dict[str, str]
    """The sha256 of each package's record: conda-meta/*.json and *.dist-info/RECORD."""


def take(prefix: Path, site: Path, paths: Iterable[str]) -> None:
    """Record what `paths`, the files in `prefix`, are like."""
    links, modes = {}, {}
    for path in paths:
        mode = os.lstat(f"{prefix}/{path}").st_mode
        if stat.S_ISLNK(mode):
            links[path] = os.readlink(f"{prefix}/{path}")  # noqa: PTH115
        else:
            modes[path] = mode_of(path, mode)
    usual = Counter(modes.values()).most_common(1)[0][0]
    others = {path: mode for path, mode in modes.items() if mode != usual}
    snapshot = Snapshot(usual, others, links, record_digests(prefix, site))
    (prefix / NAME).write_text(json.dumps(asdict(snapshot)), encoding="utf-8")


def read(prefix: Path) -> Snapshot | None:
    """Return the snapshot of `prefix`; None if it is missing or damaged."""
    try:
        found = Snapshot(**json.loads((prefix / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    whole = all(isinstance(each, dict) for each in (found.modes, found.links, found.records))
    return found if whole else None


def record_digests(prefix: Path, site: Path) -> dict[str, str]:
    """Return the sha256 of each package's record, by its path."""
    files = [*(prefix / META).glob("*.json"), *site.glob("*.dist-info/RECORD")]
    return {file.relative_to(prefix).as_posix(): sha256_of(file) for file in files}


def mode_of(path: str, mode: int) -> int:
    """Return the mode to compare, from a `st_mode` of the file at `path`. Without the bits that
    CPython sets on Windows for a name, and not for an open file. Source: CPython's
    `Modules/posixmodule.c`, update_st_mode_from_path."""
    bits = stat.S_IMODE(mode) & ~IGNORED
    return bits & ~0o111 if path.lower().endswith((".exe", ".bat", ".cmd", ".com")) else bits
