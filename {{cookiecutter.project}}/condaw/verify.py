"""The proof: prefix against lock, files against hashes, smoke commands. Only reads."""

from __future__ import annotations

import base64
import contextlib
import csv
import json
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from condaw import activation, manifest, process
from condaw.engine import last_line
from condaw.hashes import sha256_of_open
from condaw.layout import META
from condaw.lock import Package
from condaw.manifest import Manifest
from condaw.outcome import Finding
from condaw.project import Project, python_in, smoke_commands, table

UNOWNED = {META, "__pycache__", "CACHEDIR.TAG", ".DS_Store"}
"""Names that no package owns: records, byte-code that Python writes, marks of other tools."""
DATA = ("share/", "var/")
"""Where programs keep data of their own (Filesystem Hierarchy Standard): a kernel spec, a log."""
LARGE = 1 << 20
"""Bytes from which on a file is large."""
DIFFERENCES = {
    "file-changed": "is not the file that was installed",
    "file-mode": "has not the mode with which it was installed",
}
_FLAGS = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))


@dataclass(frozen=True)
class File:
    """One file that a package put into the prefix."""

    package: str
    sha256: str | None
    """Of the content; None where unrecorded, as it is for a symlink."""
    size: int | None
    """In bytes; None where unrecorded or changed by the installation."""


def verify(project: Project, prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Every difference between `prefix` and what the lock says about it.

    `prefix` may still be a sibling of the project's own.
    """
    records = _records(prefix)
    site = site_packages(prefix, packages)
    wheels = _wheels(site, prefix, records)
    findings = list(_compare_conda(records, [p for p in packages if p.manager == "conda"]))
    findings += _compare_wheels(project, wheels, [p for p in packages if p.manager == "pip"])
    expected = dict(_conda_files(records))
    expected.update(_wheel_files(wheels, site, prefix))
    noted = manifest.read(prefix)
    if noted is None:
        text = f"{manifest.file_of(prefix).relative_to(prefix)} cannot be read"
        return [*findings, Finding("record-changed", text)]
    findings += _compare_records(noted, manifest.record_digests(prefix, site), expected)
    findings += _compare_files(prefix, expected, noted)
    return findings


def smoke(project: Project) -> list[Finding]:
    """Run the smoke commands in the environment; a finding for each that fails."""
    env = activation.variables(project.prefix)
    findings = []
    for command in smoke_commands(project):
        try:
            result = process.run(_resolved(command, env), env=env, cwd=project.root)
            reason = f"exit code {result.returncode}: {last_line(result.stdout)}"
            failed = result.returncode != 0
        except OSError as error:
            reason, failed = str(error.strerror), True
        if failed:
            said = shlex.join(command)
            findings.append(Finding("smoke-failed", f"`{said}` failed with {reason}"))
    return findings


def python_version(prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Whether the environment's Python starts and is of the locked version."""
    wanted = next(p.version for p in packages if p.name == "python")
    code = "import sys; print(sys.version.split()[0], sys.prefix)"
    try:
        answer = process.run([python_in(prefix), "-I", "-c", code]).stdout.strip()
    except OSError as error:
        answer = error.strerror or "no answer"
    version, _, home = answer.partition(" ")
    if version == wanted and Path(home) == prefix:
        return []
    text = f"python {wanted} is locked, but the environment's Python answers: {last_line(answer)}"
    return [Finding("python-version", text, "python")]


def site_packages(prefix: Path, packages: Sequence[Package]) -> Path:
    """Where the locked Python of `prefix`, of whatever platform, looks for installed packages."""
    python = next(p for p in packages if p.name == "python")
    if python.platform.startswith("win-"):
        return prefix / "Lib" / "site-packages"
    version = ".".join(python.version.split(".")[:2])
    return prefix / "lib" / f"python{version}" / "site-packages"


def _resolved(command: Sequence[str], env: dict[str, str]) -> list[str]:
    """`command` with its program looked up on the environment's PATH, also on Windows."""
    return [shutil.which(command[0], path=env["PATH"]) or command[0], *command[1:]]


def _records(prefix: Path) -> list[dict[str, Any]]:
    """The records in conda-meta, one for each installed conda package."""
    records = []
    for file in sorted((prefix / META).glob("*.json")):
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            if not _is_record(record):
                raise ValueError("no record of a package")
        except (OSError, ValueError, RecursionError):
            record = {"name": file.stem.rsplit("-", 2)[0], "paths_data": {"paths": []}}
        records.append(record)
    return records


def _is_record(record: Any) -> bool:
    """Whether it has the shape that is relied on here."""
    try:
        return isinstance(record["name"], str) and all(
            isinstance(entry["_path"], str) and isinstance(entry.get("size_in_bytes"), int | None)
            for entry in record["paths_data"]["paths"]
        )
    except (KeyError, TypeError, AttributeError):
        return False


def _wheels(site: Path, prefix: Path, records: Iterable[dict[str, Any]]) -> dict[str, Path]:
    """What pip or uv installed: the `NAME-VERSION.dist-info` folders that no conda package owns
    (PyPA specification, recording installed projects)."""
    owned = {
        prefix / entry["_path"]
        for record in records
        for entry in record["paths_data"]["paths"]
        if entry["_path"].endswith((".dist-info/METADATA", ".egg-info/PKG-INFO"))
    }
    owned_folders = {path.parent for path in owned}
    folders = [folder for folder in site.glob("*.dist-info") if folder not in owned_folders]
    return {canonicalize_name(folder.stem.partition("-")[0]): folder for folder in folders}


def _version(folder: Path) -> str:
    """The version of what a `.dist-info` folder is about, in the form that a lock has."""
    text = folder.stem.partition("-")[2]
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def _text(file: Path) -> str:
    """All of a file; nothing where it cannot be read: what it should name is then unowned."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _compare_conda(
    records: Sequence[dict[str, Any]], packages: Sequence[Package]
) -> Iterator[Finding]:
    locked = {package.name: package for package in packages}
    installed = {record["name"]: record for record in records}
    for name in sorted(locked.keys() - installed.keys()):
        text = f"{name} {locked[name].version} is locked but not installed"
        yield Finding("package-missing", text, name)
    for name in sorted(installed.keys() - locked.keys()):
        text = f"{name} {installed[name].get('version')} is installed but not locked"
        yield Finding("package-extra", text, name)
    for name in sorted(locked.keys() & installed.keys()):
        package, record = locked[name], installed[name]
        for key, wanted in (
            ("version", package.version),
            ("build", package.build),
            ("sha256", package.sha256),
            ("url", package.url),
        ):
            if record.get(key) != wanted:
                text = f"{name}: its {key} is {record.get(key)}, locked is {wanted}"
                yield Finding("package-differs", text, name)
                break


def _compare_wheels(
    project: Project, wheels: dict[str, Path], packages: Sequence[Package]
) -> Iterator[Finding]:
    locked = {str(canonicalize_name(package.name)): package for package in packages}
    own = str(table(project, "project").get("name") or "")
    if own:
        yield from _compare_own(project, canonicalize_name(own), wheels)
    for name in sorted(locked.keys() - wheels.keys()):
        text = f"{name} {locked[name].version} is locked but not installed"
        yield Finding("package-missing", text, name)
    found = {name: _version(folder) for name, folder in wheels.items()}
    for name in sorted(found.keys() - locked.keys() - {canonicalize_name(own)}):
        text = f"{name} {found[name]} is installed but not locked"
        yield Finding("package-extra", text, name)
    for name in sorted(locked.keys() & found.keys()):
        if found[name] != locked[name].version:
            text = f"{name}: its version is {found[name]}, locked is {locked[name].version}"
            yield Finding("package-differs", text, name)


def _compare_own(project: Project, name: str, wheels: dict[str, Path]) -> Iterator[Finding]:
    """Whether the project itself is there, as a link to its sources (PEP 610, PEP 660)."""
    try:
        origin = json.loads(_text(wheels[name] / "direct_url.json") or "{}")
        where = unquote(origin["url"]).rstrip("/")  # what is quoted is up to the installer
        there = origin["dir_info"]["editable"] and where == unquote(project.root.as_uri())
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        there = False
    if not there:
        text = f"{name}, the project itself, is not installed from {project.root}"
        yield Finding("project-missing", text, name)


def _compare_records(
    noted: Manifest, found: dict[str, str], expected: dict[str, File]
) -> Iterator[Finding]:
    """Records that were edited: whoever changes a file may enter its hash as well."""
    for path in sorted(noted.records.keys() & found.keys()):
        if noted.records[path] != found[path]:
            owner = expected[path].package if path in expected else Path(path).stem
            text = f"{path}, a record of what is installed, is not what was written"
            yield Finding("record-changed", text, owner, path)


def _conda_files(records: Iterable[dict[str, Any]]) -> Iterator[tuple[str, File]]:
    for record in records:
        for entry in record["paths_data"]["paths"]:
            if entry.get("path_type") == "directory":
                continue
            is_link = entry.get("path_type") == "softlink"
            sha256 = entry.get("sha256_in_prefix") or entry.get("sha256")
            size = entry.get("size_in_bytes") if not entry.get("prefix_placeholder") else None
            yield entry["_path"], File(record["name"], None if is_link else sha256, size)


def _wheel_files(wheels: dict[str, Path], site: Path, prefix: Path) -> Iterator[tuple[str, File]]:
    """The files in each RECORD (PyPA specification, recording installed projects)."""
    base = site.relative_to(prefix).as_posix()
    for name, folder in wheels.items():
        with contextlib.suppress(csv.Error):
            for row in csv.reader(_text(folder / "RECORD").splitlines()):
                if len(row) == 3:
                    path = os.path.normpath(f"{base}/{row[0]}").replace(os.sep, "/")
                    size = int(row[2]) if re.fullmatch("[0-9]{1,18}", row[2]) else None
                    yield path, File(name, _from_record(row[1]), size)


def _from_record(value: str) -> str | None:
    """`sha256=` and URL-safe base64 without padding, as hexadecimal; None for any other hash."""
    algorithm, _, digest = value.partition("=")
    if algorithm != "sha256":
        return None
    try:
        return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
    except ValueError:
        return "malformed"  # no file has that, so it is found


def _compare_files(prefix: Path, expected: dict[str, File], noted: Manifest) -> Iterator[Finding]:
    found = set(walk(prefix))
    for path in sorted(expected.keys() - found):
        file = expected[path]
        if not path.endswith(".pyc"):
            text = f"{file.package}: {path} is missing"
            yield Finding("file-missing", text, file.package, path)
    for path in sorted(found - expected.keys()):
        if not path.startswith(DATA):
            yield Finding("file-foreign", f"{path} belongs to no package", None, path)
    compared = _compared(str(prefix), sorted(found & expected.keys()), expected, noted)
    for path, kind in sorted(compared.items()):
        owner = expected[path].package
        yield Finding(kind, f"{owner}: {path} {DIFFERENCES[kind]}", owner, path)


def _compared(
    root: str, paths: Sequence[str], expected: dict[str, File], noted: Manifest
) -> dict[str, str]:
    """The kind of finding for each of `paths` that differs. Large files are hashed in a thread of
    their own: hashing much at a time lets other threads run, and hashing little does not."""

    def compare(path: str) -> str | None:
        return _difference(f"{root}/{path}", expected[path], path, noted)

    large = {path for path in paths if (expected[path].size or 0) >= LARGE}
    with ThreadPoolExecutor(1) as pool:
        tasks = {path: pool.submit(compare, path) for path in large}
        kinds = {path: compare(path) for path in paths if path not in large}
        kinds.update({path: task.result() for path, task in tasks.items()})
    return {path: kind for path, kind in kinds.items() if kind}


def walk(prefix: Path) -> Iterator[str]:
    """Every file and symlink below `prefix`, relative to it, without UNOWNED names."""
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


def _difference(where: str, file: File, path: str, noted: Manifest) -> str | None:
    """The kind of finding for a file that is not what it was; one that cannot be read is not.

    There are thousands of files, most of them small: as few system calls as can be. A file object
    for each would cost as much as the hashing.
    """
    try:
        if target := noted.links.get(path):
            return None if os.readlink(where) == target else "file-changed"  # noqa: PTH115
        descriptor = os.open(where, os.O_RDONLY | _FLAGS)
    except OSError:
        return "file-changed"
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return "file-changed"
        if file.sha256:
            if file.size not in (None, status.st_size):
                return "file-changed"
            if sha256_of_open(descriptor, status.st_size) != file.sha256:
                return "file-changed"
        mode = noted.modes.get(path, noted.mode)
        return None if stat.S_IMODE(status.st_mode) == mode else "file-mode"
    finally:
        os.close(descriptor)
