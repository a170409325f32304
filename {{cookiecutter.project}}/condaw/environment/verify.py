"""The proof: the prefix against the lock, each file against its hash. Only reads."""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from packaging.direct_url import DirectUrl, DirectUrlValidationError
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from condaw.base.project import Project, table
from condaw.base.sha256 import sha256_of_open
from condaw.environment import prefix as contents
from condaw.environment import snapshot
from condaw.environment.conda_meta import mark_of
from condaw.environment.findings import Finding, Kind
from condaw.environment.prefix import File
from condaw.environment.snapshot import Snapshot
from condaw.lockfile.package import Package

UNOWNED = re.compile(r"(share|var)/|(.*/)?(__pycache__/[^/]*|CACHEDIR\.TAG|\.DS_Store)$")
"""Files that no package need own: data of programs (Filesystem Hierarchy Standard), byte-code that
Python writes, marks of other tools."""
LARGE = 1 << 20  # bytes from which on a file is large
IDENTITY = ("version", "build", "sha256", "url")
"""What a conda package's record and its entry in the lock have in common."""
WORDS = {
    Kind.FILE_CHANGED: "is not the file that was installed",
    Kind.FILE_MODE: "does not have the mode that it was installed with",
}
FLAGS = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))


def compare(project: Project, prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Return every difference between `prefix` and what the lock says about it. `prefix` may still
    be a sibling of the project's own. Raises OSError if it vanishes meanwhile, and CannotError if
    pyproject.toml cannot be read."""
    records = contents.conda_records(prefix)
    site = contents.site_packages(prefix, packages)
    wheels = contents.dist_infos(site, prefix, records)
    conda = {p.name: p for p in packages if p.manager == "conda"}
    found = {record["name"]: {key: record.get(key) for key in IDENTITY} for record in records}
    findings = list(_compare_packages(conda, found))
    pypi = {str(canonicalize_name(p.name)): p for p in packages if p.manager == "pip"}
    found = {name: {"version": _version(folder)} for name, folder in wheels.items()}
    if own := canonicalize_name(str(table(project, "project").get("name") or "")):
        found.pop(own, None)
        findings += _compare_project(own, wheels.get(own), project.root)
    findings += _compare_packages(pypi, found)
    expected = mark_of(prefix, site) | contents.recorded_files(records, wheels, site, prefix)
    taken = snapshot.read(prefix)
    if taken is None:
        return [*findings, Finding(Kind.RECORD_CHANGED, f"{snapshot.NAME} cannot be read")]
    findings += _compare_records(taken, snapshot.record_digests(prefix, site), expected)
    findings += _compare_files(prefix, expected, taken)
    return findings


def _compare_packages(
    locked: dict[str, Package], installed: dict[str, dict[str, Any]]
) -> Iterator[Finding]:
    for name in sorted(locked.keys() - installed.keys()):
        text = f"{name} {locked[name].version} is locked but not installed"
        yield Finding(Kind.PACKAGE_MISSING, text, name)
    for name in sorted(installed.keys() - locked.keys()):
        text = f"{name} {installed[name]['version']} is installed but not locked"
        yield Finding(Kind.PACKAGE_EXTRA, text, name)
    for name in sorted(locked.keys() & installed.keys()):
        for key, found in installed[name].items():
            if found != (wanted := getattr(locked[name], key)):
                text = f"{name}: its {key} is {found}, locked is {wanted}"
                yield Finding(Kind.PACKAGE_DIFFERS, text, name)
                break


def _version(dist_info: Path) -> str:
    """Return the version in the name of a `.dist-info` folder, in the form that a lock has."""
    text = dist_info.stem.partition("-")[2]
    try:
        return str(Version(text))
    except InvalidVersion:
        return text


def _compare_project(name: str, dist_info: Path | None, root: Path) -> Iterator[Finding]:
    """Yield a finding if the project is not there as a link to its sources (PEP 610, PEP 660)."""
    try:
        text = contents.text_of(dist_info / "direct_url.json") if dist_info else ""
        origin = DirectUrl.from_dict(json.loads(text))
        is_there = bool(origin.dir_info and origin.dir_info.editable)
        # What is quoted is up to the installer.
        is_there = is_there and unquote(origin.url).rstrip("/") == unquote(root.as_uri())
    except (DirectUrlValidationError, ValueError, RecursionError, AttributeError):
        is_there = False
    if not is_there:
        text = f"{name}, the project itself, is not installed from {root}"
        yield Finding(Kind.PROJECT_MISSING, text, name)


def _compare_records(
    taken: Snapshot, found: dict[str, str], expected: dict[str, File]
) -> Iterator[Finding]:
    """Yield records that were edited: who changes a file may enter its new hash as well."""
    for path in sorted(taken.records.keys() & found.keys()):
        if taken.records[path] != found[path]:
            owner = expected[path].package if path in expected else Path(path).stem
            text = f"{path}, a record of what is installed, is not what was written"
            yield Finding(Kind.RECORD_CHANGED, text, owner, path)


def _compare_files(prefix: Path, expected: dict[str, File], taken: Snapshot) -> Iterator[Finding]:
    found = set(contents.walk(prefix))
    for path in sorted(expected.keys() - found):
        owner = expected[path].package
        if not path.endswith(".pyc"):
            yield Finding(Kind.FILE_MISSING, f"{owner}: {path} is missing", owner, path)
    for path in sorted(found - expected.keys()):
        if not UNOWNED.match(path):
            yield Finding(Kind.FILE_FOREIGN, f"{path} belongs to no package", None, path)
    comparable = [path for path in found & expected.keys() if not _is_rewritten(path, expected)]
    compared = _compare_contents(str(prefix), comparable, expected, taken)
    for path, kind in sorted(compared.items()):
        owner = expected[path].package
        yield Finding(kind, f"{owner}: {path} {WORDS[kind]}", owner, path)


def _is_rewritten(path: str, files: dict[str, File]) -> bool:
    """Return whether Python rewrites byte-code that a package brings: the path of the prefix was
    put into its source, which is newer since."""
    folder, _, name = path.rpartition("__pycache__/")
    source = files.get(f"{folder}{name.partition('.')[0]}.py") if name.endswith(".pyc") else None
    return source is not None and source.size is None


def _compare_contents(
    root: str, paths: Sequence[str], expected: dict[str, File], taken: Snapshot
) -> dict[str, Kind]:
    """Return the kind of finding for each of `paths` that differs. Large files are hashed in a
    thread of their own: hashing a large piece lets other threads run."""

    def compare_one(path: str) -> Kind | None:
        return _difference(f"{root}/{path}", expected[path], path, taken)

    large = {path for path in paths if (expected[path].size or 0) >= LARGE}
    with ThreadPoolExecutor(1) as pool:
        tasks = {path: pool.submit(compare_one, path) for path in large}
        kinds = {path: compare_one(path) for path in paths if path not in large}
        kinds.update({path: task.result() for path, task in tasks.items()})
    return {path: kind for path, kind in kinds.items() if kind}


def _difference(where: str, file: File, path: str, taken: Snapshot) -> Kind | None:
    """Return how a file is not what it was; one that cannot be read has changed. There are
    thousands of files, most of them small, so this makes as few system calls as it can: a file
    object for each would cost as much as the hashing."""
    try:
        if target := taken.links.get(path):
            return None if os.readlink(where) == target else Kind.FILE_CHANGED  # noqa: PTH115
        descriptor = os.open(where, os.O_RDONLY | FLAGS)
    except OSError:
        return Kind.FILE_CHANGED
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return Kind.FILE_CHANGED
        if file.sha256:
            if file.size not in (None, status.st_size):
                return Kind.FILE_CHANGED
            if sha256_of_open(descriptor, status.st_size) != file.sha256:
                return Kind.FILE_CHANGED
        wanted = taken.modes.get(path, taken.mode)
        return None if snapshot.mode_of(path, status.st_mode) == wanted else Kind.FILE_MODE
    finally:
        os.close(descriptor)
