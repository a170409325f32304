"""Make the prefix what the lock says: whole or not at all.

Everything is put into a sibling folder, checked there, and renamed. Whoever looks at the prefix
sees the environment from before or the one from after.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from condaw.base import console
from condaw.base.errors import RETRY, CannotError, next_step_after
from condaw.base.file_lock import exclusive
from condaw.base.files import rename
from condaw.base.layout import LOCK
from condaw.base.project import Project, cache_dir
from condaw.environment import bytecode, conda_packages, pypi_packages, state, swap, verify
from condaw.environment import prefix as contents
from condaw.environment.conda_meta import complete_records, protect
from condaw.environment.findings import Finding, Kind
from condaw.environment.look import look, take_snapshot
from condaw.environment.smoke import smoke
from condaw.lockfile.package import Package


def create_environment(
    project: Project,
    packages: Sequence[Package],
    made_from: dict[str, bytes],
    repair: bool,
    archives: Path | None,
) -> list[Finding]:
    """Replace the project's environment by one that holds just `packages` and the project, and
    return which of its smoke commands fail. `made_from` are the inputs that `packages` were read
    from. `archives` is a folder that has the conda packages, in the layout of a channel. Raises
    CannotError, and leaves the environment as it was, if it cannot be made."""
    _check_path(project.prefix)
    with exclusive(project.file_lock, project.prefix):
        _clean_up(project)
        same = state.left_out(project.root) == os.fsdecode(made_from[state.WITHOUT]).split()
        word = state.state(project.root)[0] if same else "stale"
        if word == "ready" and not repair:
            return []  # another condaw made it meanwhile, or a killed run had only moved it away
        try:
            if word != "failed" or repair:
                if word in ("ready", "changed", "failed"):
                    damage = verify.compare(project, project.prefix, packages)
                    _forget([f for f in damage if _is_shared(project.prefix, f)], packages)
                _build(project, packages, archives)
                site = contents.site_packages(Path(), packages).as_posix()
                state.write(project.staging, project.prefix, made_from, site)
                swap.put_in_place(project)
            findings = smoke(project, packages)
            if not findings:
                (project.prefix / state.PASSED).touch()
        except OSError as error:
            cause = f"{error.filename or project.root}: {error.strerror or error}"
            step = next_step_after(error, "see that no program uses the environment")
            raise CannotError(cause, f"{step}, and {RETRY}") from None
        finally:
            swap.discard(project.staging)
        return findings


def _check_path(prefix: Path) -> None:
    """Refuse a path that breaks packages: it is written into files, into quotes, into PATH."""
    if bad := set(str(prefix)) & {*'"\n\r', *("" if os.name == "nt" else "'\\$`"), os.pathsep}:
        cause = f"the path {str(prefix)!r} holds {sorted(bad)[0]!r}, which breaks environments"
        raise CannotError(cause, f"move the project to another path, and {RETRY}")
    if sys.platform == "linux" and prefix.with_name(LOCK.upper()).exists():
        note = f"{prefix.parent} ignores the case of file names, which some packages need"
        console.note(f"{note}: if this fails, move the project, for example to a volume")


def _clean_up(project: Project) -> None:
    """Finish or undo what a killed run has left; what somebody else put there stays."""
    for path in (project.prefix, project.staging, project.retired):
        if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):  # root's, with a umask
            cause = f"{path} cannot be read"
            raise CannotError(cause, f"{swap.how_to_remove(path)}, and {RETRY}")
        if swap.is_foreign(path):
            raise CannotError(f"{path} was not made by condaw", f"move it away, and {RETRY}")
    if project.retired.exists() and not project.prefix.exists():
        rename(project.retired, project.prefix)
    for path in (project.retired, project.staging):
        swap.discard(path)
        if path.exists():
            cause = f"{path} cannot be removed"
            raise CannotError(cause, f"{swap.how_to_remove(path)}, and {RETRY}")


def _build(project: Project, packages: Sequence[Package], archives: Path | None) -> None:
    """Build the environment beside its place; fetch once again what is damaged in the caches."""
    if findings := _fill(project, packages, archives):
        if names := _forget(findings, packages):
            console.note(f"damaged in the cache, fetched again: {', '.join(names)}")
        swap.discard(project.staging)
        findings = _fill(project, packages, archives)
    if findings:
        cause = f"what was installed is not what is locked: {findings[0].text}"
        raise CannotError(cause, f"remove the cache {cache_dir()}, and {RETRY}")


def _fill(project: Project, packages: Sequence[Package], archives: Path | None) -> list[Finding]:
    """Install everything into the staging folder, and return what differs from the lock."""
    staging = project.staging
    conda = [p for p in packages if p.manager == "conda"]
    pypi = [p for p in packages if p.manager == "pip"]
    console.note(f"installing {len(conda)} conda packages and {len(pypi)} from PyPI")
    if archives:
        pypi_packages.keep(pypi, archives / "wheels")
    env, site = pypi_packages.environment(), contents.site_packages(staging, packages)
    swap.begin(staging)
    conda_packages.link(conda, staging, project.prefix, archives)
    with pypi_packages.relocatable(staging, site), ThreadPoolExecutor(1) as pool:
        completing = pool.submit(complete_records, project, staging, conda)
        # What may take long is started from this thread, where a signal ends it.
        pypi_packages.install(project, pypi, staging, site, env)
        completing.result()
    if os.name == "nt":  # where Python 3.11 and 3.12 do not read UTF-8 in .pth files
        pypi_packages.write_ascii_links(site)
    protect(staging, site)
    # Byte-code of a module that lies there by itself must not look like a change of the packages.
    (site / "__pycache__").mkdir(exist_ok=True)
    installed = contents.installed(staging, site)
    files = contents.files_of(installed)
    files |= bytecode.link(staging, packages, files)
    now = look(staging, site, installed, files)
    return verify.differences(project, packages, now, take_snapshot(now))


def _is_shared(prefix: Path, finding: Finding) -> bool:
    """Return whether the file is a hard link: then it is damaged in the cache, too."""
    kinds = (Kind.FILE_CHANGED, Kind.FILE_MODE)
    return finding.kind in kinds and (prefix / str(finding.path)).lstat().st_nlink > 1


def _forget(findings: Sequence[Finding], packages: Sequence[Package]) -> list[str]:
    """Drop the packages that `findings` name from the caches, and return their names."""
    if names := sorted({finding.package for finding in findings if finding.package}):
        pypi_packages.forget(names)
        bytecode.forget()
        conda_packages.forget([p for p in packages if p.manager == "conda" and p.name in names])
    return names
