"""What is in a prefix: its files, and what the records of its packages say about them."""

import base64
import contextlib
import csv
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from condaw.base.layout import META
from condaw.lockfile.package import Package

IDENTITY = ("version", "build", "sha256", "url")  # what a record and the lock have in common


class File(NamedTuple):
    """One file that a package put into the prefix."""

    package: str
    sha256: str | None  # of the content; None if not recorded, as for a symlink
    size: int | None  # in bytes; None if not recorded, or changed by the installation


class Installed(NamedTuple):
    """A package in a prefix, as its record there describes it."""

    manager: str  # `conda` or `pip`
    record: str  # the path of the record
    name: str  # of a wheel, as PyPI normalises it
    facts: dict[str, Any]  # what the lock says of it, too
    files: dict[str, File]  # by path
    digest: str  # the sha256 of the record; empty if it cannot be read


def site_packages(prefix: Path, packages: Sequence[Package]) -> Path:
    """Return where the locked Python of `prefix`, of any platform, looks for packages."""
    python = next(p for p in packages if p.name == "python")
    if python.platform.startswith("win-"):
        return prefix / "Lib" / "site-packages"
    version = ".".join(python.version.split(".")[:2])
    return prefix / "lib" / f"python{version}" / "site-packages"


def installed(prefix: Path, site: Path) -> list[Installed]:
    """Return all packages of a prefix."""
    conda = conda_packages(prefix, site)
    return conda + wheels(prefix, site, conda)


def files_of(installed: Iterable[Installed]) -> dict[str, File]:
    """Return the files of packages, by path."""
    return {path: file for each in installed for path, file in each.files.items()}


def source_of(path: str) -> str:
    """Return the path of the source that the byte-code at `path` is for."""
    folder, _, name = path.rpartition("__pycache__/")
    return f"{folder}{name.partition('.')[0]}.py"


def conda_packages(prefix: Path, site: Path) -> list[Installed]:
    """Return what the records in conda-meta say; of one that cannot be read, by its name."""
    found, folder = [], site.relative_to(prefix).as_posix()
    for file in sorted((prefix / META).glob("*.json")):
        text, digest = read(file)
        try:
            record = json.loads(text)
            if not isinstance(record["name"], str):
                raise ValueError("not a record of a package")
            files = dict(_conda_files_of(record, folder))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            record, files = {"name": file.stem.rsplit("-", 2)[0]}, {}
        facts = {key: record.get(key) for key in IDENTITY}
        where = file.relative_to(prefix).as_posix()
        found.append(Installed("conda", where, record["name"], facts, files, digest))
    return found


def wheels(prefix: Path, site: Path, conda: Iterable[Installed] = ()) -> list[Installed]:
    """Return what the `.dist-info` folders say that none of the packages of `conda` owns. Source:
    PyPA specification, recording installed projects."""
    found, owned = [], {path for each in conda for path in each.files}
    for folder in sorted(site.glob("*.dist-info")):
        where = folder.relative_to(prefix).as_posix()
        if f"{where}/METADATA" not in owned:
            name, _, version = folder.stem.partition("-")
            name = canonicalize_name(name)
            with contextlib.suppress(InvalidVersion):
                version = str(Version(version))  # in the form that a lock has
            text, digest = read(folder / "RECORD")
            files: dict[str, File] = {}
            with contextlib.suppress(csv.Error, ValueError):  # what follows a bad row is unowned
                files.update(_wheel_files_of(name, text, site.relative_to(prefix)))
            found.append(
                Installed("pip", f"{where}/RECORD", name, {"version": version}, files, digest)
            )
    return found


def read(file: Path) -> tuple[str, str]:
    """Return all of a file, and its sha256; nothing if it cannot be read."""
    try:
        content = file.read_bytes()
        return content.decode(), hashlib.sha256(content).hexdigest()
    except (OSError, UnicodeDecodeError):
        return "", ""


def _conda_files_of(record: dict[str, Any], site: str) -> Iterator[tuple[str, File]]:
    """Yield the files of a record. conda itself writes the paths that a package for every Python
    has in its archive. Source: its `conda/common/path/python.py`, get_python_noarch_target_path."""
    folders = {}
    if record.get("noarch") == "python":
        scripts = "Scripts" if site.startswith("Lib/") else "bin"
        folders = {"site-packages": site, "python-scripts": scripts}
    for entry in record["paths_data"]["paths"]:
        path, size = entry["_path"], entry.get("size_in_bytes")
        if not isinstance(path, str) or not isinstance(size, int | None):
            raise ValueError("not a list of files")
        if (first := path.partition("/")[0]) in folders:
            path = folders[first] + path.removeprefix(first)
        sha256 = entry.get("sha256_in_prefix") or entry.get("sha256")
        if entry.get("path_type") == "softlink":
            sha256 = None
        if entry.get("path_type") != "directory":
            size = None if entry.get("prefix_placeholder") else size
            yield path, File(record["name"], sha256, size)


def _wheel_files_of(name: str, record: str, site: Path) -> Iterator[tuple[str, File]]:
    for path, value, size in csv.reader(record.splitlines()):
        where = os.path.normpath(f"{site}/{path}").replace(os.sep, "/")
        bytes_ = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        algorithm, _, digest = value.partition("=")
        try:
            # URL-safe base64 without padding, as hexadecimal digits.
            sha256 = base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
        except ValueError:
            sha256 = "malformed"  # no file has that
        yield where, File(name, sha256 if algorithm == "sha256" else None, bytes_)
