"""The least that a tool must do: unpack archives, link files, compare hashes. No bookkeeping.

floor.py unpack FOLDER ARCHIVE...    write the files of .conda archives and wheels
floor.py link SOURCE FOLDER          hard links to all files of SOURCE
floor.py record FOLDER               compare each file with the RECORD of its distribution
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def unpack(folder: str, *archives: str) -> None:
    """Unpack as many archives at a time as there are cores."""
    import zstandard  # noqa: F401 - imported before the threads do

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda archive: _unpack(folder, archive), archives))


def _unpack(folder: str, archive: str) -> None:
    import zstandard

    with zipfile.ZipFile(archive) as bundle:
        if archive.endswith(".whl"):
            for member in bundle.infolist():
                if not member.is_dir():
                    path = f"{folder}/site-packages/{member.filename}"
                    _make(path, bundle.read(member), _write)
            return
        inner = next(name for name in bundle.namelist() if name.startswith("pkg-"))
        with bundle.open(inner) as packed:
            _untar(folder, zstandard.ZstdDecompressor().stream_reader(packed).read())


def _untar(folder: str, data: bytes) -> None:
    """Write the files of a tar archive (POSIX ustar; pax headers give long names)."""
    place, name = 0, ""
    while place < len(data) and data[place]:
        head = data[place : place + 512]
        size = int(head[124:135].strip(b"\0 ") or b"0", 8)
        kind, content = head[156:157], data[place + 512 : place + 512 + size]
        place += 512 + (size + 511) // 512 * 512
        if kind in b"xL":
            text = content.rstrip(b"\0").decode()
            name = text.partition(" path=")[2].partition("\n")[0] if kind == b"x" else text
            continue
        first, last = head[345:500].rstrip(b"\0").decode(), head[:100].rstrip(b"\0").decode()
        path = f"{folder}/{name or (f'{first}/{last}' if first else last)}"
        if kind == b"2":
            _make(path, head[157:257].rstrip(b"\0"), _symlink)
        elif kind in b"0\0":
            _make(path, content, _write)
        name = ""


def _make(path: str, content: bytes, action: Callable[[str, bytes], None]) -> None:
    """Do `action`; if the folder is missing, make it and try again."""
    try:
        action(path, content)
    except FileNotFoundError:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        action(path, content)


def _write(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o777)
    os.write(file, content)
    os.close(file)


def _symlink(path: str, target: bytes) -> None:
    Path(path).symlink_to(target.decode())


def link(source: str, folder: str) -> None:
    """Make `folder` a copy of `source` by hard links."""
    pending = [""]
    while pending:
        inner = pending.pop()
        os.mkdir(folder + inner)  # noqa: PTH102
        with os.scandir(source + inner) as entries:
            for entry in entries:
                path = f"{inner}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                else:
                    os.link(source + path, folder + path, follow_symlinks=False)


def record(folder: str) -> None:
    """Exit with a message if a file is not the one that RECORD names; uv does not check this."""
    for rows in Path(folder).rglob("*.dist-info/RECORD"):
        site = rows.parents[1]
        for name, digest, _ in csv.reader(io.StringIO(rows.read_text())):
            if digest:
                content = (site / name).read_bytes()
                found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
                if digest != f"sha256={found.decode()}":
                    sys.exit(f"{name} is not what {rows} says")


if __name__ == "__main__":
    if sys.argv[1] == "unpack":
        unpack(*sys.argv[2:])
    elif sys.argv[1] == "link":
        link(*sys.argv[2:])
    else:
        record(*sys.argv[2:])
