"""What is in a prefix: its files, and what the records of its packages say about them."""

import base64
import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from condaw.base.layout import META
from condaw.lockfile.package import Package

Record = dict[str, Any]


class File(NamedTuple):
    """One file that a package put into the prefix."""

    package: str
    sha256: str | None  # of the content; None if not recorded, as for a symlink
    size: int | None  # in bytes; None if not recorded, or changed by the installation


def site_packages(prefix: Path, packages: Sequence[Package]) -> Path:
    """Return where the locked Python of `prefix`, of any platform, looks for packages."""
    python = next(p for p in packages if p.name == "python")
    if python.platform.startswith("win-"):
        return prefix / "Lib" / "site-packages"
    version = ".".join(python.version.split(".")[:2])
    return prefix / "lib" / f"python{version}" / "site-packages"


def walk(prefix: Path) -> Iterator[str]:
    """Yield every file and symlink below `prefix`, relative to it, except for conda-meta."""
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(f"{prefix}/{folder}") as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if f"{folder}{entry.name}" != META:
                        pending.append(f"{folder}{entry.name}/")
                else:
                    yield f"{folder}{entry.name}"


def conda_records(prefix: Path) -> list[Record]:
    """Return the records in conda-meta, one for each installed conda package. One that cannot be
    read is there by its name, without files."""
    records = []
    for file in sorted((prefix / META).glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(record["name"], str):
                raise ValueError("not a record of a package")
            dict(_conda_files_of(record))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            record = {"name": file.stem.rsplit("-", 2)[0], "paths_data": {"paths": []}}
        records.append(record)
    return records


def dist_infos(site: Path, prefix: Path, records: Iterable[Record]) -> dict[str, Path]:
    """Return the `.dist-info` folders that no conda package owns, by the package's name. Source:
    PyPA specification, recording installed projects."""
    owned = {
        (prefix / entry["_path"]).parent
        for record in records
        for entry in record["paths_data"]["paths"]
        if entry["_path"].endswith((".dist-info/METADATA", ".egg-info/PKG-INFO"))
    }
    folders = [folder for folder in site.glob("*.dist-info") if folder not in owned]
    return {canonicalize_name(folder.stem.partition("-")[0]): folder for folder in folders}


def recorded_files(
    records: Iterable[Record], infos: dict[str, Path], site: Path, prefix: Path
) -> dict[str, File]:
    """Return the files that conda's records and the RECORDs of wheels name, by path."""
    files: dict[str, File] = {}
    for record in records:
        files.update(_conda_files_of(record))
    for name, folder in infos.items():
        with contextlib.suppress(csv.Error, ValueError):  # what follows a bad row is unowned
            files.update(_wheel_files_of(name, folder, site.relative_to(prefix).as_posix()))
    return files


def text_of(file: Path) -> str:
    """Return all of a file; nothing if it cannot be read: then what it should name is unowned."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _conda_files_of(record: Record) -> Iterator[tuple[str, File]]:
    for entry in record["paths_data"]["paths"]:
        path, size = entry["_path"], entry.get("size_in_bytes")
        if not isinstance(path, str) or not isinstance(size, int | None):
            raise ValueError("not a list of files")
        sha256 = entry.get("sha256_in_prefix") or entry.get("sha256")
        if entry.get("path_type") == "softlink":
            sha256 = None
        if entry.get("path_type") != "directory":
            size = None if entry.get("prefix_placeholder") else size
            yield path, File(record["name"], sha256, size)


def _wheel_files_of(name: str, dist_info: Path, site: str) -> Iterator[tuple[str, File]]:
    for path, value, size in csv.reader(text_of(dist_info / "RECORD").splitlines()):
        where = os.path.normpath(f"{site}/{path}").replace(os.sep, "/")
        bytes_ = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        algorithm, _, digest = value.partition("=")
        try:
            # URL-safe base64 without padding, as hexadecimal digits.
            sha256 = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
        except ValueError:
            sha256 = "malformed"  # no file has that
        yield where, File(name, sha256 if algorithm == "sha256" else None, bytes_)
