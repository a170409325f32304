"""environment.yml -> conda-lock.yml: conda-lock asks, rattler solves, nothing else is needed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from conda_lock._vendor.poetry.repositories.pypi_repository import PyPiRepository
from conda_lock.conda_lock import create_lockfile_from_spec
from conda_lock.content_hash import backwards_compatible_content_hashes, compute_content_hashes
from conda_lock.lockfile import parse_conda_lock_file, write_conda_lock_file
from conda_lock.lockfile.v2prelim.models import LockedDependency, Lockfile, UpdateSpecification
from conda_lock.models.lock_spec import LockSpecification
from conda_lock.models.pip_repository import PipRepository
from conda_lock.src_parser import make_lock_spec
from conda_lock.virtual_package import FakeRepoData, default_virtual_package_repodata

from condaw import indexes, launchers, lock, solver
from condaw.changes import Change, compare
from condaw.engine import last_line
from condaw.outcome import CannotError
from condaw.project import Project

UNCHANGED = "conda-lock.yml is as it was"
_NEXT = f"correct environment.yml, or check the network and pip's settings; {UNCHANGED}"


def stale_platforms(project: Project) -> list[str]:
    """The platforms of environment.yml for which the lock was made from something else.

    Decided by conda-lock's content hash, without a solve.
    Raises CannotError when there is no lock, or one that is not acceptable.
    """
    specification = _specification(project)
    made_from = _parse(project.lock_file).metadata.content_hash
    channels = lock.channel_urls(project)
    for platform in made_from:
        lock.read(project.lock_file, platform, channels)
    virtual = default_virtual_package_repodata()
    with virtual:
        return [
            platform
            for platform in specification.platforms
            if made_from.get(platform)
            not in backwards_compatible_content_hashes(specification, virtual, platform)
        ]


def relock(
    project: Project, update: Sequence[str] = (), platforms: Sequence[str] = ()
) -> list[Change]:
    """Solve environment.yml and replace the lock, whole; returns what changed.

    `update` names the packages that may move while the others stay; empty means all may.
    `platforms` limits the solve to some of the platforms of environment.yml.
    Raises CannotError, and leaves the lock alone, when there is no solution.
    """
    specification = _specification(project)
    partial = bool(update or platforms)
    old = _parse(project.lock_file) if partial or project.lock_file.exists() else None
    before = old.package if old else []
    _refuse_unknown(update, {entry.name for entry in before}, "in conda-lock.yml")
    _refuse_unknown(platforms, set(specification.platforms), "under platforms: in environment.yml")
    kept = set(specification.platforms) - set(platforms) if platforms else set()
    if old and (missing := sorted(kept - set(old.metadata.platforms))):
        cause = f"conda-lock.yml has nothing for {', '.join(missing)} yet"
        raise CannotError(cause, "name it after --platform too, or leave --platform out")
    virtual = default_virtual_package_repodata()
    with virtual:
        new = _solve(project, specification, virtual, before, update, platforms)
        # The index that pip reads is this machine's affair: it is no part of the lock's inputs.
        hashes = compute_content_hashes(specification, virtual)
    if old:
        new.package += [entry for entry in before if entry.platform in kept]
        hashes |= {name: old.metadata.content_hash[name] for name in kept}
    new.metadata.content_hash = {name: hashes[name] for name in specification.platforms}
    _keep_urls(before, new.package)
    _write(project, new)
    return compare(before, new.package)


def pin(project: Project) -> list[Change]:
    """Lock, and write what was solved into environment.yml: one exact version for each direct
    conda dependency, and only the platforms that the channels have.

    The lowest version among the platforms is taken, since all of them must have it. Works on
    copies: both files change at the end, or neither.
    """
    from rattler import MatchSpec, Version
    from ruamel.yaml import YAML

    platforms, channels = _specification(project).platforms, lock.channel_urls(project)
    found = [name for name in platforms if solver.has_python(channels, name)]
    if not found:
        raise CannotError(
            f"no platform of environment.yml has a python in {', '.join(channels)}",
            "correct channels: in environment.yml, and run: python -m condaw lock --pin",
        )
    yaml = YAML()
    content = yaml.load(project.environment_yml.read_text(encoding="utf-8"))
    content["platforms"] = found
    with tempfile.TemporaryDirectory() as folder:
        scratch = Project(Path(folder))
        yaml.dump(content, scratch.environment_yml)
        versions: dict[str, list[str]] = defaultdict(list)
        relock(scratch)
        for entry in _parse(scratch.lock_file).package:
            if entry.manager == "conda":
                versions[entry.name].append(entry.version)
        for index, spec in enumerate(content["dependencies"]):
            if isinstance(spec, str):
                name = str(MatchSpec(spec).name.normalized)
                content["dependencies"][index] = f"{name}=={min(versions[name], key=Version)}"
        yaml.dump(content, scratch.environment_yml)
        relock(scratch)
        before = _parse(project.lock_file).package if project.lock_file.exists() else []
        difference = compare(before, _parse(scratch.lock_file).package)
        shutil.copyfile(scratch.lock_file, project.lock_file)
        shutil.copyfile(scratch.environment_yml, project.environment_yml)
    return difference


def _refuse_unknown(names: Sequence[str], known: set[str], where: str) -> None:
    if unknown := sorted(set(names) - known):
        raise CannotError(f"{', '.join(unknown)} is not {where}", "name it as it is there")


def _specification(project: Project) -> LockSpecification:
    """environment.yml as conda-lock reads it."""
    lock.channel_urls(project)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return make_lock_spec(
                src_files=[project.environment_yml], mapping_url=str(lock.PYPI_NAMES)
            )
    except Exception as error:
        raise CannotError(
            f"environment.yml cannot be read: {last_line(str(error))}", "correct it"
        ) from None


def _parse(lock_file: Path) -> Lockfile:
    """The lock as conda-lock reads it."""
    try:
        return parse_conda_lock_file(lock_file)
    except FileNotFoundError:
        raise CannotError("there is no conda-lock.yml", "run: python -m condaw lock") from None
    except Exception as error:
        raise CannotError(
            f"conda-lock.yml cannot be read: {last_line(str(error))}",
            "restore it from version control, or delete it and run: python -m condaw lock",
        ) from None


def _solve(
    project: Project,
    specification: LockSpecification,
    virtual: FakeRepoData,
    before: Sequence[LockedDependency],
    update: Sequence[str],
    platforms: Sequence[str],
) -> Lockfile:
    """Let conda-lock solve; its own output is shown only through the error that comes of it."""
    # Simple pages, which every index has; conda-lock's default wants an interface of one index.
    sources = [*specification.pip_repositories, *map(PipRepository.from_string, _indexes())]
    request = specification.model_copy(
        update={"pip_repositories": sources, "allow_pypi_requests": False}
    )
    # What conda brings is held back by the solver: conda-lock would want an installed environment.
    wheels = [entry for entry in before if entry.manager == "pip"] if update else []
    with tempfile.TemporaryDirectory() as folder:
        front = launchers.write(Path(folder), "conda", "condaw.solver:main", Path(sys.executable))
        modules = [str(Path(__file__).resolve().parent.parent), *filter(None, sys.path)]
        os.environ["PYTHONPATH"] = os.pathsep.join(modules)
        os.environ[solver.KEEP] = str(project.lock_file) if update else ""
        os.environ[solver.UPDATE] = ",".join(update)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                return create_lockfile_from_spec(
                    conda=front,
                    spec=request,
                    platforms=list(platforms),
                    lockfile_path=project.lock_file,
                    update_spec=UpdateSpecification(wheels, list(update)),
                    strip_auth=True,
                    virtual_package_repo=virtual,
                    mapping_url=str(lock.PYPI_NAMES),
                )
        except subprocess.CalledProcessError as error:
            with contextlib.suppress(ValueError, KeyError):
                raise CannotError(json.loads(error.stdout)["message"], _NEXT) from None
            raise CannotError(f"the solver failed: {last_line(error.stderr)}", _NEXT) from None
        except Exception as error:
            text = str(error).replace("-dummy-package-", "environment.yml")
            if isinstance(error, json.JSONDecodeError):
                text = "one of them has no wheel, and what it needs cannot be told"
            raise CannotError(f"the pip: entries cannot be solved: {text}", _NEXT) from None


def _indexes() -> list[str]:
    """The URLs of the simple pages that pip reads; the public index's when none is configured."""
    settings = indexes.pip_settings()
    first = settings.get("index-url") or str(PyPiRepository().url).rstrip("/")
    more = settings.get("extra-index-url", "").split()
    return [first, *(url for url in more if url.startswith("http"))]


def _keep_urls(before: Sequence[LockedDependency], after: Sequence[LockedDependency]) -> None:
    """Give a wheel that is still the same file the URL that it had, not one of a mirror."""
    known = {entry.hash.sha256: entry.url for entry in before if entry.manager == "pip"}
    for entry in after:
        entry.url = known.get(entry.hash.sha256, entry.url)


def _write(project: Project, content: Lockfile) -> None:
    """Replace the lock by `content`, after condaw's own strict reading of it."""
    # In a folder of its own, because conda-lock writes the file's name into it.
    draft = project.root / ".conda-lock.part" / project.lock_file.name
    draft.parent.mkdir(exist_ok=True)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            write_conda_lock_file(content, draft, metadata_choices=None)
        channels = lock.channel_urls(project)
        for platform in content.metadata.platforms:
            lock.read(draft, platform, channels)
        draft.replace(project.lock_file)
    except lock.LockError as error:
        raise CannotError(
            f"what was solved makes no acceptable lock: {error.reasons}",
            f"choose other versions in environment.yml; {UNCHANGED}",
        ) from None
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)
