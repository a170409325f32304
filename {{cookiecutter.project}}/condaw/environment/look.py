"""What lies in a prefix: each folder is listed once, and each file of a package is opened once.

A snapshot keeps what no package records, for `verify` to compare with later.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from condaw.base.files import sha256_of_open
from condaw.base.layout import META
from condaw.environment.prefix import File, Installed, files_of, read

SNAPSHOT = f"{META}/condaw.manifest"  # not a `.json`: conda reads each of those as a record

OBEYED = (f"{META}/state", f"{META}/frozen")
LARGE = 1 << 20  # bytes from which on a file is large
FLAGS = sum(getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK"))
IGNORED = 0o222 if os.name == "nt" else 0  # hard links share the read-only attribute


class Seen(NamedTuple):
    """What is at a path."""

    mode: int  # of a file or folder: what it permits
    content: str  # the sha256 of a file, `-> TARGET` of a symlink, or empty
    ours: bool = True  # of the owner of the prefix or of root, and without capabilities


class Now(NamedTuple):
    """What a prefix is like."""

    prefix: Path
    installed: list[Installed]
    files: dict[str, File]  # of packages, with their byte-code, by path
    seen: dict[str, Seen]  # by path; those of folders end with a slash
    records: dict[str, str]  # the sha256 of each record, and of what is OBEYED; or empty


class Snapshot(NamedTuple):
    """What a prefix was like when it was made. Paths are relative, with forward slashes."""

    modes: dict[str, int]  # of files and folders
    contents: dict[str, str]  # see `Seen`; of files whose content no package records
    records: dict[str, str]  # see `Now`


UNREAD = Seen(0, "")


def look(prefix: Path, site: Path, installed: list[Installed], files: dict[str, File]) -> Now:
    """Return what `prefix` is like, whose packages are `installed`, with these `files`."""
    obeyed = [*(prefix / path for path in OBEYED), site.with_name("EXTERNALLY-MANAGED")]
    records = {file.relative_to(prefix).as_posix(): read(file)[1] for file in obeyed}
    records |= {each.record: each.digest for each in installed}
    return Now(prefix, installed, files, _seen(prefix, files), records)


def take_snapshot(now: Now) -> Snapshot:
    """Record what a new prefix is like."""
    known = {path for path, file in files_of(now.installed).items() if file.sha256}
    bare = now.seen.keys() - known - now.records.keys()
    contents = {path: now.seen[path].content for path in now.files if path in bare}
    modes = {path: it.mode for path, it in now.seen.items()}
    taken = Snapshot(modes, contents, now.records)
    (now.prefix / SNAPSHOT).write_text(json.dumps(taken._asdict()), encoding="utf-8")
    return taken


def read_snapshot(prefix: Path) -> Snapshot | None:
    """Return the snapshot of `prefix`; None if it is missing or damaged."""
    try:
        found = Snapshot(**json.loads(read(prefix / SNAPSHOT)[0]))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if all(isinstance(each, dict) for each in found) else None


def _seen(prefix: Path, files: Mapping[str, File]) -> dict[str, Seen]:
    """Return what is at `./` and at each path below `prefix`; of conda-meta, the folder alone. Only
    `files` are read; large ones in a thread of their own, since hashing lets others run."""
    root = prefix.stat()
    seen, owners = {"./": Seen(mode_of("", root.st_mode), "")}, {0, root.st_uid}
    with ThreadPoolExecutor(1) as pool:
        read_later = {}
        for path, entry in _walk(prefix):
            if path[-1] == "/":
                status = entry.stat(follow_symlinks=False)
                ours = status.st_uid in owners  # root's may be hard links into the cache
                seen[path] = Seen(mode_of(path, status.st_mode), "", ours)
            elif entry.is_symlink():
                seen[path] = Seen(0, f"-> {os.readlink(entry.path)}")  # noqa: PTH115
            elif not (file := files.get(path)):
                seen[path] = UNREAD
            elif (file.size or 0) < LARGE:
                seen[path] = _read(entry.path, owners)
            else:
                read_later[path] = pool.submit(_read, entry.path, owners)
        return seen | {path: job.result() for path, job in read_later.items()}


def mode_of(path: str, mode: int) -> int:
    """Return the mode to compare, without the bits that CPython sets on Windows for a name, and not
    for an open file (`Modules/posixmodule.c`, update_st_mode_from_path)."""
    bits = stat.S_IMODE(mode) & ~IGNORED
    return bits & ~0o111 if path.lower().endswith((".exe", ".bat", ".cmd", ".com")) else bits


def _walk(prefix: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    pending = [""]
    while pending:
        folder = pending.pop()
        with os.scandir(f"{prefix}/{folder}") as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    path += "/"
                    if path != f"{META}/":
                        pending.append(path)
                yield path, entry


def _read(where: str, owners: set[int]) -> Seen:
    """Return what a file is like. There are thousands, most of them small, so this makes as few
    system calls as it can: a file object for each would cost as much as the hashing."""
    try:
        descriptor = os.open(where, os.O_RDONLY | FLAGS)
    except OSError:
        return UNREAD
    try:
        status = os.fstat(descriptor)
        mode, is_file = mode_of(where, status.st_mode), stat.S_ISREG(status.st_mode)
        content = sha256_of_open(descriptor, status.st_size) if is_file else ""
        ours = status.st_uid in owners and not (mode & 0o111 and _has_capability(descriptor))
        return Seen(mode, content, ours)
    finally:
        os.close(descriptor)


def _has_capability(descriptor: int) -> bool:
    """Return whether an open program may do what is root's. Source: capabilities(7)."""
    try:
        return "security.capability" in os.listxattr(descriptor)
    except (AttributeError, OSError):  # not Linux; a file system without attributes
        return False
