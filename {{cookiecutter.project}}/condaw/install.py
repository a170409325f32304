"""Makes the prefix what the lock says: whole or not at all.

Everything is put into a sibling folder, checked there, and renamed. Whoever looks at the prefix
sees the environment from before or the one from after.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import csv
import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import uv
from filelock import FileLock, Timeout
from rattler import (
    PackageCache,
    PackageRecord,
    RepoDataRecord,
    Subdir,
    ValidationMode,
    install,
)
from rattler.package.build_string import BuildString

from condaw import console, indexes, launchers, network, process, stamp
from condaw.engine import last_line
from condaw.lock import Package
from condaw.outcome import CannotError
from condaw.project import Project, cache_dir, python_in, scripts_in
from condaw.verify import site_packages, verify

WAIT = 600
"""Seconds to wait for another condaw that works on the same environment."""
RETRY = "run the command again: python -m condaw create"


def this_platform() -> str:
    """The conda subdir of this machine, such as `linux-64`."""
    return str(Subdir.current())


def create(project: Project, packages: Sequence[Package]) -> None:
    """Replace the project's environment by one that holds just `packages` and the project.

    Raises CannotError and leaves the environment as it was when that cannot be done.
    """
    with _exclusive(project):
        staging, retired = project.root / ".conda.part", project.root / ".conda.old"
        _clean_up(project, staging, retired)
        try:
            _fill(project, staging, packages)
            if findings := verify(project, staging, packages):
                raise CannotError(
                    f"what was installed is not what is locked: {findings[0].text}",
                    f"remove the cache {cache_dir()}, and {RETRY}",
                )
            _swap(project.prefix, staging, retired)
        except OSError as error:
            raise CannotError(
                f"{error.filename or project.root}: {error.strerror or error}", RETRY
            ) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _register(project.prefix)


@contextlib.contextmanager
def _exclusive(project: Project) -> Iterator[None]:
    """Hold the project's environment against other condaw processes; a dead one holds nothing."""
    name = hashlib.sha256(str(project.prefix).encode()).hexdigest()[:16]
    guard = FileLock(cache_dir() / "locks" / f"{name}.lock")
    try:
        Path(guard.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            guard.acquire(timeout=0)
        except Timeout:
            console.note(f"waiting for another condaw that works on {project.prefix}")
            guard.acquire(timeout=WAIT)
    except Timeout:
        raise CannotError(
            f"another condaw has been working on {project.prefix} for {WAIT} s",
            "end it, and " + RETRY,
        ) from None
    except OSError as error:
        raise CannotError(
            f"the cache folder {cache_dir()} cannot be written: {error.strerror}",
            "make it writable or set CONDAW_CACHE to another folder, and run the command again",
        ) from None
    try:
        yield
    finally:
        guard.release()


def _clean_up(project: Project, staging: Path, retired: Path) -> None:
    """Finish or undo what a killed run has left."""
    if retired.exists() and not os.path.lexists(project.prefix):
        retired.rename(project.prefix)
    shutil.rmtree(retired, ignore_errors=True)
    shutil.rmtree(staging, ignore_errors=True)
    state, reason = stamp.state(project)
    if state == "foreign":
        raise CannotError(reason, f"move {project.prefix} away, and {RETRY}")


def _fill(project: Project, staging: Path, packages: Sequence[Package]) -> None:
    conda = [package for package in packages if package.manager == "conda"]
    wheels = [package for package in packages if package.manager == "pip"]
    console.note(f"installing {len(conda)} conda packages and {len(wheels)} from PyPI")
    _check_local_archives(conda)
    _install_conda(conda, staging, project.prefix)
    if wheels:
        _install_wheels(wheels, staging)
    if project.pyproject.is_file():
        _install_project(project, staging)
    _point_scripts(staging, project.prefix, site_packages(staging, packages))
    stamp.write(staging, project)


def _check_local_archives(packages: Sequence[Package]) -> None:
    """Compare local archives with the lock: rattler checks only what comes over http."""
    for package in packages:
        parts = urlsplit(package.url)
        if parts.scheme != "file":
            continue
        archive = Path(url2pathname(parts.path))
        try:
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        except OSError as error:
            raise CannotError(
                f"{package.name}: {archive} cannot be read: {error.strerror}",
                f"put the channel back, and {RETRY}",
            ) from None
        if digest != package.sha256:
            raise CannotError(
                f"{package.name}: the sha256 of {archive} is {digest}, locked is {package.sha256}",
                "find out who changed it; if that is right, run: python -m condaw lock",
            )


def _install_conda(packages: Sequence[Package], staging: Path, prefix: Path) -> None:
    """Let rattler fetch, check and link `packages`, written for their life at `prefix`.

    A cached package is used only after each of its files was compared with its hash: a file
    edited in one environment is the same file, hard-linked, in the cache.
    """
    cache = PackageCache.new_layered([cache_dir() / "pkgs"], validation_mode=ValidationMode.full())
    try:
        asyncio.run(
            install(
                [_record(package) for package in packages],
                staging,
                alternative_target_prefix=prefix,
                package_cache=cache,
                client=network.client(),
                show_progress=console.on_terminal(),
            )
        )
    except Exception as error:
        raise CannotError(
            f"the conda packages could not be installed: {_causes(error)}", RETRY
        ) from None


def _record(package: Package) -> RepoDataRecord:
    number = package.build.rpartition("_")[2]
    record = PackageRecord(
        package.name,
        package.version,
        BuildString(package.build),
        int(number) if number.isdigit() else 0,
        package.subdir,
        depends=[f"{name} {spec}".strip() for name, spec in package.dependencies.items()],
        sha256=bytes.fromhex(package.sha256),
        md5=bytes.fromhex(package.md5) if package.md5 else None,
    )
    return RepoDataRecord(record, package.file_name, package.url, package.channel)


def _causes(error: Exception) -> str:
    """rattler's chain of causes as one line, without what URLs may hold of secrets."""
    lines = [line.removeprefix("Caused by: ").strip() for line in str(error).splitlines()]
    unique = list(dict.fromkeys(line for line in lines if line))
    text = "; ".join([unique[0], *unique[1:][-2:]]) if unique else type(error).__name__
    return re.sub(r"(://)[^/@\s]*@", r"\1", text)


def _install_wheels(packages: Sequence[Package], staging: Path) -> None:
    """Let uv install `packages`, from its cache when it has them all, else from the index."""
    pins = [f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages]
    command = [*_uv_install(staging), "--require-hashes", "--only-binary", ":all:"]
    command += ["--requirement", "-"]
    offline = process.run([*command, "--offline"], env=_uv_environment(), stdin="".join(pins))
    if offline.returncode == 0:
        return
    env = {**indexes.uv_environment(), **_uv_environment()}
    result = process.run(command, env=env, stdin="".join(pins))
    if result.returncode:
        raise CannotError(
            f"the PyPI packages could not be installed: {last_line(result.stdout)}",
            f"check the network and pip's index settings, and {RETRY}",
        )


def _install_project(project: Project, staging: Path) -> None:
    """Install the project itself as a link to its sources."""
    command = [*_uv_install(staging), "--editable", str(project.root)]
    offline = process.run([*command, "--offline"], env=_uv_environment())
    if offline.returncode == 0:
        return
    # Another build backend than uv's own has to be fetched.
    env = {**indexes.uv_environment(), **_uv_environment()}
    result = process.run(command, env=env)
    if result.returncode:
        raise CannotError(
            f"the project itself could not be installed: {last_line(result.stdout)}",
            f"correct pyproject.toml, and {RETRY}",
        )


def _uv_install(staging: Path) -> list[str]:
    command = [uv.find_uv_bin(), "pip", "install", "--no-deps", "--no-progress", "--no-config"]
    return [*command, "--break-system-packages", "--python", str(python_in(staging))]


def _uv_environment() -> dict[str, str]:
    # Copies: a hard link would let an edit in one environment reach uv's cache, and the others.
    own = {"UV_CACHE_DIR": str(cache_dir() / "uv"), "UV_LINK_MODE": "copy", "UV_NO_COLOR": "1"}
    return {**os.environ, **own}


def _point_scripts(staging: Path, prefix: Path, site: Path) -> None:
    """Make the console scripts that uv wrote start the Python of `prefix`, not of `staging`."""
    for distribution in distributions(path=[str(site)]):
        if (distribution.read_text("INSTALLER") or "").strip() != "uv":
            continue
        folder = scripts_in(staging)
        written = [
            launchers.write(
                folder,
                entry.name,
                entry.value.partition("[")[0].strip(),
                python_in(prefix),
                "gui" if entry.group == "gui_scripts" else "console",
            )
            for entry in distribution.entry_points
            if entry.group in ("console_scripts", "gui_scripts")
        ]
        written += _rewritten(distribution, folder, staging, prefix)
        if written:
            _update_record(distribution, site, written)


def _rewritten(
    distribution: Distribution, folder: Path, staging: Path, prefix: Path
) -> Iterator[Path]:
    """Plain scripts of a wheel whose first line names the Python of `staging`, corrected."""
    entries = {entry.name for entry in distribution.entry_points}
    for file in distribution.files or []:
        path = Path(os.path.normpath(str(file.locate())))
        if path.parent != folder or path.stem in entries or not path.is_file():
            continue
        content = path.read_bytes()
        if (old := str(staging).encode()) in content:
            path.write_bytes(content.replace(old, str(prefix).encode()))
            yield path


def _update_record(distribution: Distribution, site: Path, changed: Sequence[Path]) -> None:
    """Enter the hash and size of `changed` into RECORD."""
    record = next(f for f in distribution.files or [] if f.name == "RECORD").locate()
    rows = {}
    for path in changed:
        content = path.read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        relative = Path(os.path.relpath(path, site)).as_posix()
        rows[relative] = [relative, f"sha256={digest}", str(len(content))]
    text = Path(str(record)).read_text(encoding="utf-8")
    kept = [rows.pop(row[0].replace("\\", "/"), row) for row in csv.reader(text.splitlines())]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([*kept, *rows.values()])
    Path(str(record)).write_text(out.getvalue(), encoding="utf-8", newline="\n")


def _swap(prefix: Path, staging: Path, retired: Path) -> None:
    """Put `staging` in the place of `prefix`; on failure the old environment is back there."""
    if os.path.lexists(prefix):
        prefix.rename(retired)
    try:
        staging.rename(prefix)
    except OSError:
        if retired.exists():
            retired.rename(prefix)
        raise
    shutil.rmtree(retired, ignore_errors=True)


def _register(prefix: Path) -> None:
    """Enter the environment where conda and mamba look for environments.

    Source: conda's `conda/core/envs_manager.py`, register_env. A machine without a home or with
    a read-only one goes without.
    """
    with contextlib.suppress(OSError, RuntimeError):
        listing = Path.home() / ".conda" / "environments.txt"
        known = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
        if str(prefix) not in known:
            listing.parent.mkdir(exist_ok=True)
            with listing.open("a", encoding="utf-8") as out:
                out.write(f"{prefix}\n")
