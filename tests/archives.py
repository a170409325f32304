"""Conda packages and wheels written member by member, also such as no tool would write."""

from __future__ import annotations

import base64
import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

Member = tuple[tarfile.TarInfo, bytes]


def member(
    name: str, content: bytes = b"x", *, kind: bytes = tarfile.REGTYPE, **more: Any
) -> Member:
    """One member of a tar archive; `linkname`, `mode` and a `size` that lies may be given."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info, content if kind == tarfile.REGTYPE else b""


def symlink(name: str, target: str) -> Member:
    return member(name, kind=tarfile.SYMTYPE, linkname=target)


def tar(members: Sequence[Member]) -> bytes:
    blocks = []
    for info, content in members:
        blocks += [info.tobuf(tarfile.PAX_FORMAT), content, b"\0" * (-len(content) % 512)]
    return b"".join([*blocks, b"\0" * 1024])


def entry(path: object, content: bytes = b"x", kind: str = "hardlink") -> dict[str, Any]:
    """One file in `paths.json` (CEP 27)."""
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": path, "path_type": kind, "sha256": digest, "size_in_bytes": len(content)}


def conda(
    channel: Path,
    name: str,
    members: Sequence[Member],
    paths: Sequence[Any],
    *,
    version: str = "1.0",
    entry_points: Sequence[str] | None = None,
    listing: bytes | None = None,
    old: bool = False,
) -> Path:
    """A package with `members` that says it brings `paths`.

    With `entry_points` it is a noarch Python package; `listing` is another text for `paths.json`;
    an `old` one is a `.tar.bz2` and has `files` in its place.
    """
    noarch = entry_points is not None
    subdir = "noarch" if noarch else "linux-64"
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": []}
    index |= {"subdir": subdir, "noarch": "python"} if noarch else {"subdir": subdir}
    info = {"index.json": json.dumps(index).encode(), "about.json": b"{}"}
    if old:
        info["files"] = "".join(f"{path['_path']}\n" for path in paths).encode()
    else:
        text = json.dumps({"paths": list(paths), "paths_version": 1}).encode()
        info["paths.json"] = text if listing is None else listing
    if noarch:
        link = {"noarch": {"type": "python", "entry_points": list(entry_points or ())}}
        info["link.json"] = json.dumps({**link, "package_metadata_version": 1}).encode()
    described = [member(f"info/{file}", content) for file, content in info.items()]
    folder = channel / subdir
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{version}-0"
    if old:
        archive = folder / f"{stem}.tar.bz2"
        archive.write_bytes(bz2.compress(tar([*described, *members])))
        return archive
    archive = folder / f"{stem}.conda"
    compress = zstandard.ZstdCompressor().compress
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        out.writestr(f"pkg-{stem}.tar.zst", compress(tar(members)))
        out.writestr(f"info-{stem}.tar.zst", compress(tar(described)))
    return archive


def wheel(
    folder: Path, name: str, files: Mapping[str, bytes], *, record: str | None = None
) -> Path:
    """A wheel with `files`, all of them in its RECORD unless that is given."""
    info = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    kind = b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": kind}
    rows = [f"{info}/RECORD,,"]
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(data)}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for path, data in content.items():
            out.writestr(path, data)
        out.writestr(f"{info}/RECORD", "\n".join(rows) if record is None else record)
    archive = folder / f"{name}-1.0-py3-none-any.whl"
    archive.write_bytes(buffer.getvalue())
    return archive
