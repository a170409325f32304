"""Makes the prefix what the lock says: whole or not at all.

Everything is put into a sibling folder, checked there, and renamed. Whoever looks at the prefix
sees the environment from before or the one from after.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from condaw import console, folders, indexes, manifest, records, stamp, wheels
from condaw.exclusive import exclusive
from condaw.lock import Package
from condaw.outcome import RETRY, CannotError, Finding
from condaw.packages import forget, link
from condaw.project import Project, cache_dir, remedy
from condaw.verify import site_packages, verify, walk

INDEX = "check the network and pip's index settings"


def create(
    project: Project,
    packages: Sequence[Package],
    made_from: dict[str, bytes],
    *,
    repair: bool = False,
    archives: Path | None = None,
) -> None:
    """Replace the project's environment by one that holds just `packages` and the project.

    `made_from` are the inputs that `packages` were read from.
    `archives` is a folder that has the conda packages, in the layout of a channel.
    Raises CannotError and leaves the environment as it was when that cannot be done.
    """
    _check_path(project.prefix)
    name = hashlib.sha256(str(project.prefix).encode()).hexdigest()[:16]
    with exclusive(name, project.prefix), _stoppable():
        staging = project.staging
        _clean_up(project)
        ready = stamp.state(project.root)[0] == "ready"
        if ready and not repair:
            return  # another condaw made it meanwhile, or a killed run had only moved it away
        try:
            if ready:
                damage = verify(project, project.prefix, packages)
                _forget([f for f in damage if _is_shared(project.prefix, f)], packages)
            findings = _fill(project, packages, archives)
            if findings:
                if damaged := _forget(findings, packages):
                    console.note(f"damaged in the cache, fetched again: {', '.join(damaged)}")
                folders.discard(staging)
                findings = _fill(project, packages, archives)
            if findings:
                raise CannotError(
                    f"what was installed is not what is locked: {findings[0].text}",
                    f"remove the cache {cache_dir()}, and {RETRY}",
                )
            stamp.write(staging, project.prefix, made_from)
            _swap(project)
        except OSError as error:
            cause = f"{error.filename or project.root}: {error.strerror or error}"
            step = remedy(cause, "see that no program uses the environment")
            raise CannotError(cause, f"{step}, and {RETRY}") from None
        finally:
            folders.discard(staging)
        _register(project.prefix)


def _check_path(prefix: Path) -> None:
    """Refuse a path that breaks packages: it is written into files, into quotes, into PATH.

    A path with a space or of many letters makes scripts start through a shell's double quotes.
    """
    if bad := set(str(prefix)) & {*"'\"\n\r", *("" if os.name == "nt" else "\\$`"), os.pathsep}:
        raise CannotError(
            f"the path {str(prefix)!r} holds {sorted(bad)[0]!r}, which breaks environments",
            f"move the project to another path, and {RETRY}",
        )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Let whoever ends or hangs up on this process stop it as Ctrl-C does: with a clean-up."""
    signals = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP", "SIGBREAK")]
    changed = [s for s in signals if s and signal.getsignal(s) == signal.SIG_DFL]
    for number in changed:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def _clean_up(project: Project) -> None:
    """Finish or undo what a killed run has left; what somebody else has put there stays."""
    for path in (project.prefix, project.staging, project.retired):
        if folders.is_foreign(path):
            raise CannotError(f"{path} was not made by condaw", f"move it away, and {RETRY}")
    if project.retired.exists() and not project.prefix.exists():
        project.retired.rename(project.prefix)
    folders.discard(project.retired)
    folders.discard(project.staging)


def _fill(project: Project, packages: Sequence[Package], archives: Path | None) -> list[Finding]:
    """Make the environment beside its place; gives what is not as it is locked."""
    staging = project.staging
    conda = [package for package in packages if package.manager == "conda"]
    pypi = [package for package in packages if package.manager == "pip"]
    console.note(f"installing {len(conda)} conda packages and {len(pypi)} from PyPI")
    env = {**indexes.uv_environment(), **wheels.settings()}
    folders.begin(staging)
    findings = link(conda, staging, project.prefix, archives)
    with ThreadPoolExecutor(2) as pool:
        completing = pool.submit(records.complete, project, staging, conda)
        own = project.pyproject.is_file()
        itself = pool.submit(wheels.install_project, project.root, staging, env) if own else None
        # What may take long is started from this thread, where a signal ends it.
        if pypi and (problem := wheels.install(pypi, staging, env)):
            raise CannotError(
                f"the PyPI packages could not be installed: {problem}",
                f"{remedy(problem, INDEX)}, and {RETRY}",
            )
        if itself and (problem := itself.result()):
            raise CannotError(
                f"the project itself could not be installed: {problem}",
                f"{remedy(problem, 'correct pyproject.toml')}, and {RETRY}",
            )
        completing.result()
    site = site_packages(staging, packages)
    wheels.point_scripts(staging, project.prefix, site)
    manifest.write(staging, site, walk(staging))
    return [*findings, *verify(project, staging, packages)]


def _is_shared(prefix: Path, finding: Finding) -> bool:
    """Whether the file is a hard link: then what was done to it was done in the cache, too."""
    try:
        return finding.path is not None and (prefix / finding.path).lstat().st_nlink > 1
    except OSError:
        return False


def _forget(findings: Sequence[Finding], packages: Sequence[Package]) -> list[str]:
    """Drop the packages that `findings` name from the caches; gives their names."""
    names = sorted({finding.package for finding in findings if finding.package})
    wheels.forget(names)
    forget([p for p in packages if p.manager == "conda" and p.name in names])
    return names


def _swap(project: Project) -> None:
    """Put the new environment in the place of the old one, which is discarded."""
    prefix, staging, retired = project.prefix, project.staging, project.retired
    if prefix.exists() and folders.exchange(staging, prefix):
        return
    if prefix.exists():
        prefix.rename(retired)
    try:
        staging.rename(prefix)
    except OSError:
        if retired.exists():
            retired.rename(prefix)
        raise
    folders.discard(retired)


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
