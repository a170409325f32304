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
    """Yield every file, symlink and folder below `prefix`, relative to it; of conda-meta the folder
    alone. Folders end with a slash."""
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(f"{prefix}/{folder}") as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if path != META:
                        pending.append(f"{path}/")
                    path += "/"
                yield path


def conda_records(prefix: Path, site: Path) -> dict[str, Record]:
    """Return the records in conda-meta by their paths, one for each installed conda package. One
    that cannot be read is there by its name, without files. conda itself writes the paths that a
    package for every Python has in its archive. Source: conda's `conda/common/path/python.py`,
    get_python_noarch_target_path."""
    folder, records = site.relative_to(prefix).as_posix(), {}
    scripts = "Scripts" if folder.startswith("Lib/") else "bin"
    for file in sorted((prefix / META).glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not isinstance(record["name"], str):
                raise ValueError("not a record of a package")
            for entry in record["paths_data"]["paths"] if record.get("noarch") == "python" else ():
                path = entry["_path"].replace("site-packages/", f"{folder}/", 1)
                if entry["_path"].startswith(("site-packages/", "python-scripts/")):
                    entry["_path"] = path.replace("python-scripts/", f"{scripts}/", 1)
            dict(_conda_files_of(record))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            record = {"name": file.stem.rsplit("-", 2)[0], "paths_data": {"paths": []}}
        records[file.relative_to(prefix).as_posix()] = record
    return records


def dist_infos(site: Path, prefix: Path, records: Iterable[Record]) -> dict[str, str]:
    """Return the names of the packages whose `.dist-info` folders no conda package owns, by the
    paths of their RECORDs. Source: PyPA specification, recording installed projects."""
    owned = {
        (prefix / entry["_path"]).parent
        for record in records
        for entry in record["paths_data"]["paths"]
        if entry["_path"].endswith((".dist-info/METADATA", ".egg-info/PKG-INFO"))
    }
    folders = sorted(folder for folder in site.glob("*.dist-info") if folder not in owned)
    return {
        (folder / "RECORD").relative_to(prefix).as_posix(): canonicalize_name(
            folder.stem.partition("-")[0]
        )
        for folder in folders
    }


def files_of(path: str, record: Record | str, prefix: Path) -> dict[str, File]:
    """Return the files that a package brought, by path. `record` is conda's record in `path`, or
    the name of a wheel whose RECORD is there."""
    if isinstance(record, dict):
        return dict(_conda_files_of(record))
    files: dict[str, File] = {}
    with contextlib.suppress(csv.Error, ValueError):  # what follows a bad row is unowned
        for where, file in _wheel_files_of(record, prefix / path, path.rsplit("/", 2)[0]):
            files[where] = file
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


def _wheel_files_of(name: str, record: Path, site: str) -> Iterator[tuple[str, File]]:
    for path, value, size in csv.reader(text_of(record).splitlines()):
        where = os.path.normpath(f"{site}/{path}").replace(os.sep, "/")
        bytes_ = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        algorithm, _, digest = value.partition("=")
        try:
            # URL-safe base64 without padding, as hexadecimal digits.
            sha256 = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
        except ValueError:
            sha256 = "malformed"  # no file has that
        yield where, File(name, sha256 if algorithm == "sha256" else None, bytes_)
