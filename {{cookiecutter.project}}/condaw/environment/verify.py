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

from condaw.base.files import sha256_of_open
from condaw.base.project import Project, table
from condaw.environment import prefix as contents
from condaw.environment import snapshot
from condaw.environment.findings import Finding, Kind
from condaw.environment.prefix import File
from condaw.environment.snapshot import Snapshot
from condaw.lockfile.package import Package

MARKS = r"CACHEDIR\.TAG|\.DS_Store|EXTERNALLY-MANAGED"
UNOWNED = re.compile(rf"(share|var)/|(.*/)?(__pycache__/[^/]*|{MARKS})$")
"""Files that no package need own: data of programs (Filesystem Hierarchy Standard), byte-code that
Python writes, marks of tools."""
LARGE = 1 << 20  # bytes from which on a file is large
WORDS = {
    Kind.FILE_CHANGED: "is not the file that was installed",
    Kind.FILE_MODE: "does not have the owner and mode that it was installed with",
}
FLAGS = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))


def compare(project: Project, prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Return every difference between `prefix` and what the lock says about it. `prefix` may still
    be a sibling of the project's own. Raises OSError if it vanishes meanwhile, and CannotError if
    pyproject.toml cannot be read."""
    site = contents.site_packages(prefix, packages)
    taken = snapshot.read(prefix)
    if taken is None:
        return [Finding(Kind.RECORD_CHANGED, f"{snapshot.NAME} cannot be read")]
    conda = contents.conda_packages(prefix, site)
    wheels = contents.wheels(prefix, site, conda)
    # The last one wins: what was installed, against a record that somebody has added.
    for them in (conda, wheels, everything := [*conda, *wheels]):
        them.sort(key=lambda each: each.record in taken.records)
    locked = {p.name: p for p in packages if p.manager == "conda"}
    findings = list(_compare_packages(locked, {each.name: each.facts for each in conda}))
    locked = {str(canonicalize_name(p.name)): p for p in packages if p.manager == "pip"}
    found = {each.name: each.facts for each in wheels}
    if own := canonicalize_name(str(table(project, "project").get("name") or "")):
        found.pop(own, None)
        folder = next(((prefix / each.record).parent for each in wheels if each.name == own), None)
        findings += _compare_project(own, folder, project.root)
    findings += _compare_packages(locked, found)
    names = {each.record: each.name for each in everything}
    expected = {path: file for each in everything for path, file in each.files.items()}
    told = {finding.package for finding in findings}
    findings += _compare_records(taken, snapshot.record_digests(prefix, site), names, told)
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
    taken: Snapshot, found: dict[str, str], names: dict[str, str], told: set[str | None]
) -> Iterator[Finding]:
    """Yield records that were edited or added, except for those of packages that were `told`: who
    changes a file may enter its new hash as well, or write a second record for it."""
    for path in sorted(found):
        owner, was = names.get(path), taken.records.get(path)
        if found[path] != was and (was is not None or owner not in told):
            text = f"{path} is not what was written when the environment was made"
            yield Finding(Kind.RECORD_CHANGED, text, owner, path)


def _compare_files(prefix: Path, expected: dict[str, File], taken: Snapshot) -> Iterator[Finding]:
    walked = set(contents.walk(prefix))
    found = {path for path in walked if not path.endswith("/")}
    for path in sorted(expected.keys() - found):
        owner = expected[path].package
        if not path.endswith(".pyc"):
            yield Finding(Kind.FILE_MISSING, f"{owner}: {path} is missing", owner, path)
    for path in sorted(found - expected.keys()):
        if not UNOWNED.match(path):
            yield Finding(Kind.FILE_FOREIGN, f"{path} belongs to no package", None, path)
    there = found & expected.keys()
    comparable = {path: expected[path] for path in there if not _is_rewritten(path, expected)}
    owners = {0, prefix.stat().st_uid}  # root's may be hard links into the cache
    for path in ("./", *sorted(path for path in walked - found if not UNOWNED.match(path))):
        status = os.lstat(f"{prefix}/{path}")
        mode = snapshot.mode_of(path, status.st_mode)
        if mode != taken.modes.get(path, taken.folder) or status.st_uid not in owners:
            yield Finding(Kind.FILE_MODE, f"{path} {WORDS[Kind.FILE_MODE]}", None, path)
    for path, kind in _compare_contents(prefix, comparable, taken, owners):
        owner = expected[path].package
        yield Finding(kind, f"{owner}: {path} {WORDS[kind]}", owner, path)


def _is_rewritten(path: str, files: dict[str, File]) -> bool:
    """Return whether Python rewrites byte-code that a package brings: the path of the prefix was
    put into its source, which is newer since."""
    folder, _, name = path.rpartition("__pycache__/")
    source = files.get(f"{folder}{name.partition('.')[0]}.py") if name.endswith(".pyc") else None
    return source is not None and source.size is None


def _compare_contents(
    prefix: Path, files: dict[str, File], taken: Snapshot, owners: set[int]
) -> list[tuple[str, Kind]]:
    """Return each path of `files` that differs, and how, in order. Large files are hashed in a
    thread of their own: hashing a large piece lets other threads run."""

    def compare_one(path: str) -> tuple[str, Kind | None]:
        return path, _difference(f"{prefix}/{path}", files[path], path, taken, owners)

    large = {path for path, file in files.items() if (file.size or 0) >= LARGE}
    with ThreadPoolExecutor(1) as pool:
        hashed = pool.map(compare_one, large)
        kinds = [*map(compare_one, files.keys() - large), *hashed]
    return sorted((path, kind) for path, kind in kinds if kind)


def _difference(
    where: str, file: File, path: str, taken: Snapshot, owners: set[int]
) -> Kind | None:
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
        if digest := file.sha256 or taken.hashes.get(path):
            if file.size not in (None, status.st_size):
                return Kind.FILE_CHANGED
            if sha256_of_open(descriptor, status.st_size) != digest:
                return Kind.FILE_CHANGED
        mode = snapshot.mode_of(path, status.st_mode)
        if mode != taken.modes.get(path, taken.mode) or status.st_uid not in owners:
            return Kind.FILE_MODE
        return Kind.FILE_MODE if mode & 0o111 and _has_capability(descriptor) else None
    finally:
        os.close(descriptor)


def _has_capability(descriptor: int) -> bool:
    """Return whether an open program may do what is root's. Source: capabilities(7)."""
    try:
        return "security.capability" in os.listxattr(descriptor)
    except (AttributeError, OSError):  # not Linux; a file system without attributes
        return False
