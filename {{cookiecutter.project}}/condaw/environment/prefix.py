"""What is in a prefix: its files, and what the records of its packages say about them."""

import base64
import contextlib
import csv
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installer.records import InvalidRecordEntry, parse_record_file
from packaging.utils import canonicalize_name

from condaw.base.layout import META
from condaw.lockfile.package import Package

UNOWNED = {META, "__pycache__", "CACHEDIR.TAG", ".DS_Store"}
"""Names that no package owns: records, byte-code that Python writes, marks of other tools."""


@dataclass(frozen=True)
class File:
    """One file that a package put into the prefix."""

    package: str
    sha256: str | None
    """Of the content; None if not recorded, as for a symlink."""
    size: int | None
    """In bytes; None if not recorded, or changed by the installation."""


def site_packages(prefix: Path, packages: Sequence[Package]) -> Path:
    """Return where the locked Python of `prefix`, of any platform, looks for packages."""
    python = next(p for p in packages if p.name == "python")
    if python.platform.startswith("win-"):
        return prefix / "Lib" / "site-packages"
    version = ".".join(python.version.split(".")[:2])
    return prefix / "lib" / f"python{version}" / "site-packages"


def walk(prefix: Path) -> Iterator[str]:
    """Yield every file and symlink below `prefix`, relative to it, without UNOWNED names."""
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(f"{prefix}/{folder}") as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in UNOWNED:
                        pending.append(f"{path}/")
                elif entry.name not in UNOWNED:
                    yield path


def conda_records(prefix: Path) -> list[dict[str, Any]]:
    """Return the records in conda-meta, one for each installed conda package.

    One that cannot be read is there by its name, without files.
    """
    records = []
    for file in sorted((prefix / META).glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not _is_record(record):
                raise ValueError("not a record of a package")
        except (OSError, ValueError, RecursionError):
            record = {"name": file.stem.rsplit("-", 2)[0], "paths_data": {"paths": []}}
        records.append(record)
    return records


def dist_infos(site: Path, prefix: Path, records: Iterable[dict[str, Any]]) -> dict[str, Path]:
    """Return what pip or uv installed: the `.dist-info` folders that no conda package owns.

    By normalised name. Source: PyPA specification, recording installed projects.
    """
    owned = {
        (prefix / entry["_path"]).parent
        for record in records
        for entry in record["paths_data"]["paths"]
        if entry["_path"].endswith((".dist-info/METADATA", ".egg-info/PKG-INFO"))
    }
    folders = [folder for folder in site.glob("*.dist-info") if folder not in owned]
    return {canonicalize_name(folder.stem.partition("-")[0]): folder for folder in folders}


def conda_files(records: Iterable[dict[str, Any]]) -> Iterator[tuple[str, File]]:
    """Yield the files of conda packages, by path."""
    for record in records:
        for entry in record["paths_data"]["paths"]:
            if entry.get("path_type") == "directory":
                continue
            is_link = entry.get("path_type") == "softlink"
            sha256 = entry.get("sha256_in_prefix") or entry.get("sha256")
            size = entry.get("size_in_bytes") if not entry.get("prefix_placeholder") else None
            yield entry["_path"], File(record["name"], None if is_link else sha256, size)


def wheel_files(infos: dict[str, Path], site: Path, prefix: Path) -> Iterator[tuple[str, File]]:
    """Yield the files in each RECORD, by path.

    Source: PyPA specification, recording installed projects.
    """
    base = site.relative_to(prefix).as_posix()
    for name, folder in infos.items():
        with contextlib.suppress(csv.Error, InvalidRecordEntry):
            for row in parse_record_file(text_of(folder / "RECORD").splitlines()):
                path = os.path.normpath(f"{base}/{row[0]}").replace(os.sep, "/")
                size = int(row[2]) if re.fullmatch("[0-9]{1,18}", row[2]) else None
                yield path, File(name, _hexadecimal(row[1]), size)


def text_of(file: Path) -> str:
    """Return all of a file; nothing if it cannot be read: then what it should name is unowned."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _is_record(record: Any) -> bool:
    """Return whether it has the shape that is relied on here."""
    try:
        return isinstance(record["name"], str) and all(
            isinstance(entry["_path"], str) and isinstance(entry.get("size_in_bytes"), int | None)
            for entry in record["paths_data"]["paths"]
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _hexadecimal(value: str) -> str | None:
    """Return `sha256=` and URL-safe base64 without padding as hexadecimal digits.

    None for any other hash; what no file has for one that is malformed.
    """
    algorithm, _, digest = value.partition("=")
    if algorithm != "sha256":
        return None
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    except ValueError:
        return "malformed"
