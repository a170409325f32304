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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conda_lock._vendor.poetry.repositories.pypi_repository import PyPiRepository
from conda_lock.conda_lock import create_lockfile_from_spec
from conda_lock.content_hash import (
    backwards_compatible_content_hashes,
    compute_content_hashes,
)
from conda_lock.lockfile import parse_conda_lock_file, write_conda_lock_file
from conda_lock.lockfile.v2prelim.models import (
    LockedDependency,
    Lockfile,
    UpdateSpecification,
)
from conda_lock.models.lock_spec import LockSpecification
from conda_lock.models.pip_repository import PipRepository
from conda_lock.src_parser import make_lock_spec
from conda_lock.virtual_package import FakeRepoData, default_virtual_package_repodata

from condaw import indexes, launchers, lock, solver
from condaw.engine import last_line
from condaw.outcome import CannotError
from condaw.project import Project

NAMES = Path(__file__).with_name("pypi-names.json")
"""PyPI projects whose conda package has another name; conda-lock would fetch such a list."""


@dataclass(frozen=True)
class Change:
    """One package whose version differs between two locks, on `platforms`."""

    name: str
    old: str | None
    new: str | None
    platforms: tuple[str, ...]

    def __str__(self) -> str:
        step = f"{self.old} -> {self.new}" if self.old and self.new else self.new or self.old
        sign = "+" if not self.old else "-" if not self.new else " "
        return f"{sign} {self.name} {step}  ({', '.join(self.platforms)})"

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def stale_platforms(project: Project) -> list[str]:
    """The platforms of environment.yml for which the lock was made from something else.

    Decided by conda-lock's content hash, without a solve.
    """
    specification = _specification(project)
    current = _parse(project.lock_file)
    virtual = default_virtual_package_repodata()
    with virtual:
        return [
            platform
            for platform in specification.platforms
            if current is None
            or current.metadata.content_hash.get(platform)
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
    if unknown := set(platforms) - set(specification.platforms):
        raise CannotError(
            f"{', '.join(sorted(unknown))} is not under platforms: in environment.yml",
            "add it there, or name one of " + ", ".join(specification.platforms),
        )
    old = _parse(project.lock_file)
    if (update or platforms) and old is None:
        raise CannotError("there is no lock yet to update", "run: python -m condaw lock")
    virtual = default_virtual_package_repodata()
    with _solver_environment(project, update), virtual:
        new = _solve(project, specification, virtual, old, update, platforms)
        # The index that pip reads is this machine's affair: it is no part of the lock's inputs.
        hashes = compute_content_hashes(specification, virtual)
    if old is not None and platforms:
        new.package += [entry for entry in old.package if entry.platform not in platforms]
        hashes = {**old.metadata.content_hash, **{name: hashes[name] for name in platforms}}
    new.metadata.content_hash = {name: hashes[name] for name in specification.platforms}
    _write(project, new)
    return changes(old.package if old else [], new.package)


def pin(project: Project) -> list[Change]:
    """Lock, and write what was solved into environment.yml: one exact version for each direct
    conda dependency, and only the platforms that the channels have.

    The lowest version among the platforms is taken, since all of them must have it. Works on
    copies: both files change at the end, or neither.
    """
    from rattler import MatchSpec, Version
    from ruamel.yaml import YAML

    yaml = YAML()
    content = yaml.load(project.environment_yml.read_text(encoding="utf-8"))
    channels = list(content["channels"])
    found = [name for name in content["platforms"] if solver.has_python(channels, name)]
    if not found:
        raise CannotError(
            f"no platform of environment.yml has a python in {', '.join(channels)}",
            "correct channels: in environment.yml, and run: python -m condaw lock --pin",
        )
    content["platforms"][:] = found
    with tempfile.TemporaryDirectory() as folder:
        scratch = Project(Path(folder))
        yaml.dump(content, scratch.environment_yml)
        versions: dict[str, list[str]] = defaultdict(list)
        for change in relock(scratch):
            versions[change.name].append(str(change.new))
        for index, spec in enumerate(content["dependencies"]):
            if isinstance(spec, str):
                name = str(MatchSpec(spec).name.normalized)
                content["dependencies"][index] = f"{name}=={min(versions[name], key=Version)}"
        yaml.dump(content, scratch.environment_yml)
        relock(scratch)
        difference = changes(_entries(project), _entries(scratch))
        shutil.copyfile(scratch.lock_file, project.lock_file)
        shutil.copyfile(scratch.environment_yml, project.environment_yml)
    return difference


def changes(old: Sequence[LockedDependency], new: Sequence[LockedDependency]) -> list[Change]:
    """What differs between the entries of two locks; platforms with the same step are folded."""
    before = {(entry.name, entry.platform): entry.version for entry in old}
    after = {(entry.name, entry.platform): entry.version for entry in new}
    steps: dict[tuple[str, str | None, str | None], list[str]] = defaultdict(list)
    for name, platform in sorted({*before, *after}):
        was, becomes = before.get((name, platform)), after.get((name, platform))
        if was != becomes:
            steps[name, was, becomes].append(platform)
    return [Change(*step, tuple(platforms)) for step, platforms in steps.items()]


def _specification(project: Project) -> LockSpecification:
    """environment.yml as conda-lock reads it."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            specification = make_lock_spec(
                src_files=[project.environment_yml], mapping_url=str(NAMES)
            )
    except FileNotFoundError:
        raise CannotError(
            "there is no environment.yml", "restore it from version control"
        ) from None
    except Exception as error:
        raise CannotError(
            f"environment.yml cannot be read: {last_line(str(error))}", "correct it"
        ) from None
    lock.refuse_channels([channel.url for channel in specification.channels])
    return specification


def _parse(lock_file: Path) -> Lockfile | None:
    """The lock as conda-lock reads it; None when there is none."""
    if not lock_file.exists():
        return None
    try:
        return parse_conda_lock_file(lock_file)
    except Exception as error:
        raise CannotError(
            f"conda-lock.yml cannot be read: {last_line(str(error))}",
            "restore it from version control, or delete it and run: python -m condaw lock",
        ) from None


def _entries(project: Project) -> Sequence[LockedDependency]:
    current = _parse(project.lock_file)
    return current.package if current else []


def _solve(
    project: Project,
    specification: LockSpecification,
    virtual: FakeRepoData,
    old: Lockfile | None,
    update: Sequence[str],
    platforms: Sequence[str],
) -> Lockfile:
    """Let conda-lock solve; its own output is shown only through the error that comes of it."""
    # Simple pages, which every index has; conda-lock's default wants an interface of one index.
    index = [PipRepository.from_string(_index())]
    request = specification.model_copy(
        update={"pip_repositories": index, "allow_pypi_requests": False}
    )
    kept = UpdateSpecification(old.package, list(update)) if old and update else None
    with tempfile.TemporaryDirectory() as folder:
        front = launchers.write(Path(folder), "conda", "condaw.solver:main", Path(sys.executable))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                return create_lockfile_from_spec(
                    conda=front,
                    spec=request,
                    platforms=list(platforms),
                    lockfile_path=project.lock_file,
                    update_spec=kept,
                    virtual_package_repo=virtual,
                    mapping_url=str(NAMES),
                )
        except subprocess.CalledProcessError as error:
            raise CannotError(_explanation(error), _NEXT) from None
        except Exception as error:
            raise CannotError(f"the pip: entries cannot be solved: {error}", _NEXT) from None


def _index() -> str:
    """The URL of the simple pages that pip reads; the public index's when none is configured."""
    return indexes.pip_settings().get("index-url") or str(PyPiRepository().url).rstrip("/")


_NEXT = "correct environment.yml or the network; conda-lock.yml is as it was"


def _explanation(error: subprocess.CalledProcessError) -> str:
    """What the solver front said, out of the JSON that conda-lock read from it."""
    try:
        return str(json.loads(error.stdout)["message"])
    except (ValueError, KeyError):
        return f"the solver failed: {last_line(error.stderr or error.stdout)}"


@contextlib.contextmanager
def _solver_environment(project: Project, update: Sequence[str]) -> Iterator[None]:
    """Variables for the solver front: where its modules are, and what it should leave alone."""
    before = dict(os.environ)
    here = str(Path(__file__).resolve().parent.parent)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, sys.path)])
    if update:
        os.environ[solver.KEEP] = str(project.lock_file)
        os.environ[solver.UPDATE] = ",".join(update)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _write(project: Project, content: Lockfile) -> None:
    """Replace the lock by `content`, after condaw's own strict reading of it."""
    with tempfile.TemporaryDirectory(dir=project.root) as folder:
        draft = Path(folder, project.lock_file.name)
        with contextlib.redirect_stderr(io.StringIO()):
            write_conda_lock_file(content, draft, metadata_choices=None)
        for platform in content.metadata.platforms:
            lock.read(draft, platform, lock.channel_urls(project))
        draft.replace(project.lock_file)
