"""PyPI packages and the project itself: installed by uv into a prefix that will be renamed."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import uv

from condaw import process
from condaw.lock import Package
from condaw.outcome import redacted
from condaw.project import cache_dir, python_in, scripts_in

# Looked up here, once: Python 3.11 cannot do that in two threads at the same time.
_UV = uv.find_uv_bin()


def settings() -> dict[str, str]:
    """Variables for uv: a cache that no other tool links files from."""
    return {"UV_CACHE_DIR": str(cache_dir() / "uv"), "UV_NO_COLOR": "1"}


def install(packages: Sequence[Package], prefix: Path, env: Mapping[str, str]) -> str | None:
    """Install `packages`, each a wheel of the locked sha256; returns the error, if there is one."""
    pins = [f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages]
    words = ["--require-hashes", "--only-binary", ":all:", "--requirement", "-"]
    return _uv_install(words, prefix, env, "".join(pins))


def install_project(root: Path, prefix: Path, env: Mapping[str, str]) -> str | None:
    """Install the project at `root` as a link to its sources; returns the error, likewise."""
    return _uv_install(["--editable", "."], prefix, env, cwd=root)


def _uv_install(
    words: Sequence[str],
    prefix: Path,
    env: Mapping[str, str],
    stdin: str | None = None,
    cwd: Path | None = None,
) -> str | None:
    """`uv pip install` from uv's cache, else from the index."""
    command = [_UV, "pip", "install", "--no-deps", "--no-progress", "--no-config"]
    command += ["--break-system-packages", "--python", str(python_in(prefix)), *words]
    if process.run([*command, "--offline"], env=env, stdin=stdin, cwd=cwd).returncode == 0:
        return None
    if env.get("PIP_NO_INDEX", "").lower() in ("1", "true", "yes", "on"):
        command.append("--no-index")  # uv has no variable for it
    result = process.run(command, env=env, stdin=stdin, cwd=cwd)
    return _reason(result.stdout) if result.returncode else None


def _reason(output: str) -> str:
    """The last cause that uv names, which may go over several lines."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marked = [at for at, line in enumerate(lines) if line.startswith(("error: ", "cause: "))]
    return redacted(" ".join(lines[marked[-1] if marked else -1 :])) or "no message"


def forget(names: Sequence[str]) -> None:
    """Drop packages from uv's cache: a hard link may have carried an edit into it."""
    if names:  # uv takes no name for all names
        process.run(
            [_UV, "cache", "clean", "--no-config", *names], env={**os.environ, **settings()}
        )


def point_scripts(staging: Path, prefix: Path, site: Path) -> None:
    """Make the scripts that uv wrote into `staging` start the Python of `prefix`."""
    old, new = str(staging).encode(), str(prefix).encode()
    for installer in site.glob("*.dist-info/INSTALLER"):
        if installer.read_text(encoding="utf-8").strip() != "uv":
            continue
        record, changed = installer.with_name("RECORD"), False
        rows = list(csv.reader(record.read_text(encoding="utf-8").splitlines()))
        for row in rows:
            path = Path(os.path.normpath(site / row[0])) if row[0].startswith("../") else site
            if path.parent != scripts_in(staging) or old not in (content := path.read_bytes()):
                continue
            if path.suffix == ".exe":
                _write_launcher(installer.parent, path, python_in(prefix))
            else:
                path.write_bytes(content.replace(old, new))
            row[1:], changed = _hash_and_size(path), True
        if changed:
            with record.open("w", encoding="utf-8", newline="") as out:
                csv.writer(out, lineterminator="\n").writerows(rows)


def _write_launcher(dist_info: Path, path: Path, python: Path) -> None:
    """Replace a Windows launcher: the path in it is inside an archive with a checksum."""
    from importlib.metadata import Distribution  # slow to load, and rarely needed

    from condaw import launchers

    entry = next(e for e in Distribution.at(dist_info).entry_points if e.name == path.stem)
    target = entry.value.partition("[")[0].strip()
    is_gui = entry.group == "gui_scripts"
    launchers.write(path.parent, entry.name, target, python, "gui" if is_gui else "console")


def _hash_and_size(path: Path) -> list[str]:
    """What RECORD says of a file (PyPA specification, recording installed projects)."""
    content = path.read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return [f"sha256={digest}", str(len(content))]
