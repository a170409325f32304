"""PyPI packages and the project itself: installed by uv into a prefix that will be renamed."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, distributions
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
    for distribution in distributions(path=[str(site)]):
        if (distribution.read_text("INSTALLER") or "").strip() != "uv":
            continue
        changed = []
        for file in distribution.files or []:
            path = Path(os.path.normpath(str(file.locate())))
            if path.parent != scripts_in(staging) or not path.is_file():
                continue
            if old not in (content := path.read_bytes()):
                continue
            if path.suffix == ".exe":
                _write_launcher(distribution, path, python_in(prefix))
            else:
                path.write_bytes(content.replace(old, new))
            changed.append(path)
        if changed:
            _update_record(distribution, site, changed)


def _write_launcher(distribution: Distribution, path: Path, python: Path) -> None:
    """Replace a Windows launcher: the path in it is inside an archive with a checksum."""
    from condaw import launchers

    entry = next(e for e in distribution.entry_points if e.name == path.stem)
    target = entry.value.partition("[")[0].strip()
    is_gui = entry.group == "gui_scripts"
    launchers.write(path.parent, entry.name, target, python, "gui" if is_gui else "console")


def _update_record(distribution: Distribution, site: Path, changed: Sequence[Path]) -> None:
    """Enter the hash and size of `changed` into RECORD."""
    rows = {}
    for path in changed:
        content = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        relative = Path(os.path.relpath(path, site)).as_posix()
        rows[relative] = [relative, f"sha256={digest}", str(len(content))]
    record = Path(str(next(f for f in distribution.files or [] if f.name == "RECORD").locate()))
    found = csv.reader(record.read_text(encoding="utf-8").splitlines())
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows.get(row[0], row) for row in found)
    record.write_text(out.getvalue(), encoding="utf-8", newline="\n")
