"""The proof: the prefix against the lock, each file against its hash. Only reads."""

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from packaging.utils import canonicalize_name

from condaw.base.project import Project, table
from condaw.environment import prefix as contents
from condaw.environment.findings import Finding, Kind
from condaw.environment.look import SNAPSHOT, Now, Seen, Snapshot, look, read_snapshot
from condaw.environment.prefix import File, Installed
from condaw.lockfile.package import Package

MARKS = r"CACHEDIR\.TAG|\.DS_Store|EXTERNALLY-MANAGED"
UNOWNED = re.compile(rf"(share|var)/|(.*/)?(__pycache__/[^/]*|{MARKS})$")
"""Files that no package need own: data of programs (Filesystem Hierarchy Standard), byte-code that
Python writes, marks of tools."""
WORDS = {
    Kind.FILE_FOREIGN: "belongs to no package",
    Kind.FILE_CHANGED: "is not the file that was installed",
    Kind.FILE_MODE: "does not have the owner and mode that it was installed with",
}


def compare(project: Project, prefix: Path, packages: Sequence[Package]) -> list[Finding]:
    """Return every difference between `prefix` and what the lock says about it. Raises OSError if
    it vanishes meanwhile, and CannotError if pyproject.toml cannot be read."""
    if not (taken := read_snapshot(prefix)):
        return [Finding(Kind.RECORD_CHANGED, f"{SNAPSHOT} cannot be read")]
    site = contents.site_packages(prefix, packages)
    installed = contents.installed(prefix, site)
    # The last one wins: what was installed, against a record that somebody has added.
    installed.sort(key=lambda each: each.record in taken.records)
    files = contents.files_of(installed)
    for path in taken.contents.keys() - files.keys():
        if source := files.get(contents.source_of(path)):
            files[path] = File(source.package, None, None)  # byte-code of that package
    return differences(project, packages, look(prefix, site, installed, files), taken)


def differences(
    project: Project, packages: Sequence[Package], now: Now, taken: Snapshot
) -> list[Finding]:
    """Return how a prefix that looks like `now` differs from the lock, and from what was `taken`
    when it was made. Raises CannotError if pyproject.toml cannot be read."""
    conda, pypi = (
        {each.name: each for each in now.installed if each.manager == manager}
        for manager in ("conda", "pip")
    )
    findings: list[Finding] = []
    if own := canonicalize_name(str(table(project, "project").get("name") or "")):
        findings += _compare_project(own, now.prefix, pypi.pop(own, None), project.root)
    findings += _compare_packages({p.name: p for p in packages if p.manager == "conda"}, conda)
    wheels = {str(canonicalize_name(p.name)): p for p in packages if p.manager == "pip"}
    findings += _compare_packages(wheels, pypi)
    findings += _compare_records(taken, now, {finding.package for finding in findings})
    findings += _compare_files(now, taken)
    return findings


def _compare_packages(
    locked: dict[str, Package], installed: dict[str, Installed]
) -> Iterator[Finding]:
    for name in sorted(locked.keys() - installed.keys()):
        text = f"{name} {locked[name].version} is locked but not installed"
        yield Finding(Kind.PACKAGE_MISSING, text, name)
    for name in sorted(installed.keys() - locked.keys()):
        text = f"{name} {installed[name].facts['version']} is installed but not locked"
        yield Finding(Kind.PACKAGE_EXTRA, text, name)
    for name in sorted(locked.keys() & installed.keys()):
        for key, found in installed[name].facts.items():
            if found != (wanted := getattr(locked[name], key)):
                text = f"{name}: its {key} is {found}, locked is {wanted}"
                yield Finding(Kind.PACKAGE_DIFFERS, text, name)
                break


def _compare_project(
    name: str, prefix: Path, found: Installed | None, root: Path
) -> Iterator[Finding]:
    """Yield a finding if the project is not there as a link to its sources (PEP 610, PEP 660)."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
        file = (prefix / (found.record if found else name)).with_name("direct_url.json")
        origin = json.loads(contents.read(file)[0])
        # What is quoted is up to the installer.
        same = unquote(origin["url"]).rstrip("/") == unquote(root.as_uri())
        if same and origin["dir_info"]["editable"] is True:
            return
    text = f"{name}, the project itself, is not installed from {root}"
    yield Finding(Kind.PROJECT_MISSING, text, name)


def _compare_records(taken: Snapshot, now: Now, told: set[str | None]) -> Iterator[Finding]:
    """Yield records that were edited or added, except for those of packages that were `told`: who
    changes a file may enter its new hash as well, or write a second record for it."""
    names = {each.record: each.name for each in now.installed}
    for path, digest in sorted(now.records.items()):
        owner, was = names.get(path), taken.records.get(path)
        if digest != was and (was is not None or owner not in told):
            text = f"{path} is not what was written when the environment was made"
            yield Finding(Kind.RECORD_CHANGED, text, owner, path)


def _compare_files(now: Now, taken: Snapshot) -> Iterator[Finding]:
    for path in sorted(now.files.keys() - now.seen.keys()):
        owner = now.files[path].package
        if not path.endswith(".pyc"):
            yield Finding(Kind.FILE_MISSING, f"{owner}: {path} is missing", owner, path)
    for path in sorted(now.seen):
        if file := now.files.get(path):
            source = now.files.get(contents.source_of(path)) if path.endswith(".pyc") else None
            # Where the prefix was put into a source, Python writes the byte-code again.
            owner, is_compared = f"{file.package}: ", not (source and source.size is None)
        else:
            owner, is_compared = "", not UNOWNED.match(path)
        if is_compared and (kind := _difference(path, now.seen[path], file, taken)):
            yield Finding(kind, f"{owner}{path} {WORDS[kind]}", file and file.package, path)


def _difference(path: str, now: Seen, file: File | None, taken: Snapshot) -> Kind | None:
    """Return how a file or folder is not what it was."""
    if not path.endswith("/") and not file:
        return Kind.FILE_FOREIGN
    if file and now.content != (taken.contents.get(path) or file.sha256 or now.content):
        return Kind.FILE_CHANGED
    return None if now.ours and now.mode == taken.modes.get(path, now.mode) else Kind.FILE_MODE
