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
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import uv
from filelock import FileLock, Timeout
from rattler import PackageCache, Subdir, ValidationMode, install

from condaw import console, indexes, launchers, network, process, stamp
from condaw.engine import last_line
from condaw.lock import Package
from condaw.outcome import CannotError, Finding
from condaw.project import Project, cache_dir, python_in, scripts_in
from condaw.verify import site_packages, verify

WAIT = 600
"""Seconds to wait for another condaw that works on the same environment."""
RETRY = "run the command again: python -m condaw create"
# Looked up here, once: Python 3.11 cannot do that in two threads at the same time.
_UV = uv.find_uv_bin()


def this_platform() -> str:
    """The conda subdir of this machine, such as `linux-64`."""
    return str(Subdir.current())


def create(project: Project, packages: Sequence[Package], *, repair: bool = False) -> None:
    """Replace the project's environment by one that holds just `packages` and the project.

    Raises CannotError and leaves the environment as it was when that cannot be done.
    """
    _check_path(project.prefix)
    with _exclusive(project):
        staging, retired = project.root / ".conda.part", project.root / ".conda.old"
        _clean_up(project, staging, retired)
        if stamp.state(project)[0] == "ready" and not repair:
            return  # another condaw made it meanwhile, or a killed run had only moved it away
        try:
            _fill(project, staging, packages)
            findings = verify(project, staging, packages)
            if findings:
                # An edit in another environment may have reached uv's cache through a hard link.
                # rattler's own cache is checked, and healed, at each use.
                _forget_wheels(findings)
                shutil.rmtree(staging)
                _fill(project, staging, packages)
                findings = verify(project, staging, packages)
            if findings:
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


def _check_path(prefix: Path) -> None:
    """Refuse a path that breaks packages: it is written into their files, into quotes."""
    if bad := set(str(prefix)) & set("'\"\n\r"):
        raise CannotError(
            f"the path {str(prefix)!r} holds {sorted(bad)[0]!r}, which conda packages cannot take",
            f"move the project to another path, and {RETRY}",
        )


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
    with ThreadPoolExecutor() as pool:
        # pip takes its time to tell its settings: long enough to link the conda packages.
        settings = pool.submit(indexes.uv_environment)
        _install_conda(conda, staging, project.prefix)
        env = {**settings.result(), **_uv_settings()}
        steps = [pool.submit(_install_wheels, wheels, staging, env)] if wheels else []
        if project.pyproject.is_file():
            steps.append(pool.submit(_install_project, project, staging, env))
        for step in steps:
            step.result()
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
    client = network.client()
    try:
        asyncio.run(
            install(
                [package.record for package in packages],
                staging,
                platform=Subdir(packages[0].platform),
                alternative_target_prefix=prefix,
                package_cache=cache,
                client=client,
                show_progress=console.on_terminal(),
            )
        )
    except Exception as error:
        raise CannotError(
            f"the conda packages could not be installed: {_causes(error)}", RETRY
        ) from None


def _causes(error: Exception) -> str:
    """rattler's chain of causes as one line."""
    lines = [line.removeprefix("Caused by: ").strip() for line in str(error).splitlines()]
    unique = list(dict.fromkeys(line for line in lines if line))
    return "; ".join([unique[0], *unique[1:][-2:]]) if unique else type(error).__name__


def _install_wheels(packages: Sequence[Package], staging: Path, env: Mapping[str, str]) -> None:
    """Let uv install `packages`, each a wheel of the locked sha256."""
    pins = [f"{p.name}=={p.version} --hash=sha256:{p.sha256}\n" for p in packages]
    words = ["--require-hashes", "--only-binary", ":all:", "--requirement", "-"]
    if problem := _uv_install(words, staging, env, "".join(pins)):
        raise CannotError(
            f"the PyPI packages could not be installed: {problem}",
            f"check the network and pip's index settings, and {RETRY}",
        )


def _install_project(project: Project, staging: Path, env: Mapping[str, str]) -> None:
    """Install the project itself as a link to its sources."""
    if problem := _uv_install(["--editable", str(project.root)], staging, env):
        raise CannotError(
            f"the project itself could not be installed: {problem}",
            f"correct pyproject.toml, and {RETRY}",
        )


def _uv_install(
    words: Sequence[str], staging: Path, env: Mapping[str, str], stdin: str | None = None
) -> str | None:
    """`uv pip install` from uv's cache, else from the index; the error, where there is one."""
    command = [_UV, "pip", "install", "--no-deps", "--no-progress", "--no-config"]
    command += ["--break-system-packages", "--python", str(python_in(staging)), *words]
    if process.run([*command, "--offline"], env=env, stdin=stdin).returncode == 0:
        return None
    result = process.run(command, env=env, stdin=stdin)
    return last_line(result.stdout) if result.returncode else None


def _uv_settings() -> dict[str, str]:
    return {"UV_CACHE_DIR": str(cache_dir() / "uv"), "UV_NO_COLOR": "1"}


def _forget_wheels(findings: Sequence[Finding]) -> None:
    names = sorted({finding.package for finding in findings if finding.package})
    process.run(
        [_UV, "cache", "clean", "--no-config", *names], env={**os.environ, **_uv_settings()}
    )


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
