"""What no package records: modes, targets of links, hashes of what has none, such as records.

Taken when the environment is made; `verify` compares with it later.
"""

import json
import os
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from condaw.base.files import sha256_of
from condaw.base.layout import META
from condaw.environment.prefix import wheels

NAME = f"{META}/condaw.manifest"  # not a `.json`: conda reads each of those as a record
OBEYED = (f"{META}/state", f"{META}/frozen")
IGNORED = 0o222 if os.name == "nt" else 0
"""Mode bits to ignore: hard links on Windows share the read-only attribute, which must go first."""


@dataclass(frozen=True)
class Snapshot:
    """Paths are relative to the prefix, with forward slashes."""

    mode: int  # the mode of most files
    folder: int  # the mode of the prefix, and of most folders in it
    modes: dict[str, int]  # the mode of every other file and folder
    links: dict[str, str]  # what each symlink points to
    records: dict[str, str]
    """The sha256 of each package's record, conda-meta/*.json and *.dist-info/RECORD, and of what
    conda and `run` obey; empty if that is not there."""
    hashes: dict[str, str]  # the sha256 of wheels' files that have none in RECORD


def take(prefix: Path, site: Path, paths: Iterable[str]) -> None:
    """Record what `paths`, the files and folders in `prefix`, are like."""
    links, modes = {}, {}
    for path in paths:
        mode = os.lstat(f"{prefix}/{path}").st_mode
        if stat.S_ISLNK(mode):
            links[path] = os.readlink(f"{prefix}/{path}")  # noqa: PTH115
        else:
            modes[path] = mode_of(path, mode)
    usual = Counter(mode for path, mode in modes.items() if path[-1] != "/").most_common(1)[0][0]
    folder = mode_of("", prefix.stat().st_mode)
    others = {p: mode for p, mode in modes.items() if mode != (folder if p[-1] == "/" else usual)}
    records = record_digests(prefix, site)
    hashes: dict[str, str] = {}
    for wheel in wheels(prefix, site):
        bare = [p for p, file in wheel.files.items() if p in modes and not file.sha256]
        hashes |= {path: sha256_of(prefix / path) for path in bare if path not in records}
    snapshot = Snapshot(usual, folder, others, links, records, hashes)
    (prefix / NAME).write_text(json.dumps(asdict(snapshot)), encoding="utf-8")


def read(prefix: Path) -> Snapshot | None:
    """Return the snapshot of `prefix`; None if it is missing or damaged."""
    try:
        found = Snapshot(**json.loads((prefix / NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    mappings = (found.modes, found.links, found.records, found.hashes)
    return found if all(isinstance(each, dict) for each in mappings) else None


def record_digests(prefix: Path, site: Path) -> dict[str, str]:
    """Return what a snapshot has as `records`."""
    files = [*(prefix / META).glob("*.json"), *site.glob("*.dist-info/RECORD")]
    files += [*(prefix / path for path in OBEYED), site.with_name("EXTERNALLY-MANAGED")]
    return {f.relative_to(prefix).as_posix(): sha256_of(f) if f.is_file() else "" for f in files}


def mode_of(path: str, mode: int) -> int:
    """Return the mode to compare, from a `st_mode` of the file at `path`. Without the bits that
    CPython sets on Windows for a name, and not for an open file. Source: CPython's
    `Modules/posixmodule.c`, update_st_mode_from_path."""
    bits = stat.S_IMODE(mode) & ~IGNORED
    return bits & ~0o111 if path.lower().endswith((".exe", ".bat", ".cmd", ".com")) else bits
