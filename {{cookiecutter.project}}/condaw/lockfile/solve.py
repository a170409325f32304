"""environment.yml -> conda-lock.yml: conda-lock asks, and rattler solves."""

import contextlib
import functools
import io
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import conda_lock.conda_solver
import truststore
from conda_lock._vendor.poetry.repositories.exceptions import PackageNotFoundError
from conda_lock._vendor.poetry.repositories.pypi_repository import PyPiRepository
from conda_lock.conda_lock import create_lockfile_from_spec
from conda_lock.content_hash import compute_content_hashes
from conda_lock.lockfile import parse_conda_lock_file, write_conda_lock_file
from conda_lock.lockfile.v2prelim.models import LockedDependency, Lockfile, UpdateSpecification
from conda_lock.models.lock_spec import LockSpecification
from conda_lock.models.pip_repository import PipRepository
from conda_lock.src_parser import make_lock_spec
from conda_lock.virtual_package import FakeRepoData, default_virtual_package_repodata

from condaw.base.console import note, waiting
from condaw.base.errors import CannotError
from condaw.base.process import last_line
from condaw.base.project import Project
from condaw.lockfile import cooldown, diff, environment_yml, reader, satisfies
from condaw.lockfile.rules import PYPI_NAMES
from condaw.lockfile.solver import Solver
from condaw.network import pip_config

UNCHANGED = "conda-lock.yml is as it was"
logging.getLogger("conda_lock").setLevel(logging.ERROR)  # it tells which lines are for Windows


def relock(project: Project, update: Sequence[str] = (), *, upgrade: bool = False) -> str:
    """Solve environment.yml, replace the lock, and return what changed, as text. What is locked
    stays where it can; the names in `update` may move, and with `upgrade` everything may. Raises
    CannotError, and leaves the lock alone, if there is no solution."""
    specification = _specification(project)
    before = parse(project.lock_file).package if project.lock_file.exists() else []
    known = {each.name for each in (*before, *environment_yml.entries(project))}
    if unknown := sorted(set(update) - known):
        cause = f"{', '.join(unknown)} is neither in environment.yml nor in conda-lock.yml"
        raise CannotError(cause, "name it as it is there")
    kept = [] if upgrade else [entry for entry in before if entry.name not in update]
    with (virtual := default_virtual_package_repodata()):
        new = _solve(project, specification, virtual, kept)
        # The index that pip reads is this machine's affair: it is no part of the lock's inputs.
        new.metadata.content_hash = compute_content_hashes(specification, virtual)
    # A wheel that is still the same file keeps the URL that it had, not one of a mirror.
    urls = {entry.hash.sha256: entry.url for entry in before if entry.manager == "pip"}
    for entry in new.package:
        entry.url = urls.get(entry.hash.sha256, entry.url)
        if entry.manager == "pip":  # rattler cannot read `*` there: no specifier of PEP 440
            any_version = {name: ">=0" for name, spec in entry.dependencies.items() if spec == "*"}
            entry.dependencies.update(any_version)
    _write(project, new)
    return diff.text(before, new.package)


def _specification(project: Project) -> LockSpecification:
    environment_yml.entries(project)
    environment_yml.channel_urls(project)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return make_lock_spec(src_files=[project.environment_yml], mapping_url=str(PYPI_NAMES))
    except Exception as error:
        cause = f"environment.yml cannot be read: {last_line(str(error))}"
        raise CannotError(cause, "correct it") from None


def parse(lock_file: Path) -> Lockfile:
    """Return the lock as conda-lock has it."""
    try:
        return parse_conda_lock_file(lock_file)
    except Exception as error:
        cause = f"conda-lock.yml cannot be read: {last_line(str(error))}"
        next_step = "restore it from version control, or delete it and run: python -m condaw lock"
        raise CannotError(cause, next_step) from None


def _solve(
    project: Project,
    specification: LockSpecification,
    virtual: FakeRepoData,
    kept: Sequence[LockedDependency],
) -> Lockfile:
    """Let conda-lock solve, and stay with what is to be `kept` where it can."""
    truststore.inject_into_ssl()  # conda-lock's requests would trust certifi only
    packages, rules, urls = [], cooldown.of(project), {entry.url for entry in kept}
    solver = Solver(project, urls, virtual, rules)
    indexes = [*specification.pip_repositories, *_indexes()]
    sources: dict[str, Any] = {"pip_repositories": indexes, "allow_pypi_requests": False}
    conda_lock.conda_solver.solve_specs_for_arch = solver
    with (
        cooldown.on_indexes(rules, urls) as untimed,
        waiting("solving environment.yml"),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        solve = functools.partial(
            create_lockfile_from_spec,
            conda="rattler",
            spec=specification.model_copy(update=sources),
            lockfile_path=project.lock_file,
            strip_auth=True,
            virtual_package_repo=virtual,
            mapping_url=str(PYPI_NAMES),
        )
        try:
            for name in specification.platforms:  # conda-lock would mix up their wheels
                wheels = [e for e in kept if (e.manager, e.platform) == ("pip", name)]
                try:
                    solved = solve(platforms=[name], update_spec=UpdateSpecification(wheels, []))
                except PackageNotFoundError:  # the index has lost one of them
                    solved = solve(platforms=[name])
                packages += solved.package
        except Exception as error:
            raise _unsolved(error, rules) from None
    for url in sorted(untimed | solver.untimed):
        note(f"{url} does not say when packages were published: they may be brand-new")
    solved.package = packages
    return solved


def _indexes() -> list[PipRepository]:
    """Return the indexes that pip reads, as those with simple pages, which every index has. By
    default conda-lock asks for one index's own JSON."""
    settings = pip_config.pip_settings()
    urls = [settings.get("index-url") or str(PyPiRepository().url).rstrip("/")]
    urls += settings.get("extra-index-url", "").split()
    return [PipRepository.from_string(url) for url in urls if url.startswith("http")]


def _unsolved(error: Exception, rules: cooldown.Cooldown) -> CannotError:
    """Return the error to raise, with why conda-lock failed in one sentence."""
    if isinstance(error, CannotError):
        return CannotError(error.cause, f"{error.next_step}; {UNCHANGED}")
    text = str(error).replace("-dummy-package-", "environment.yml")
    if isinstance(error, json.JSONDecodeError):
        text = "one of them has no wheel, so its dependencies are unknown"
    next_step = "correct environment.yml, or check the network and pip's settings"
    if rules.cutoff:  # rattler says it itself
        next_step += f" (exclude-newer hides all since {rules.cutoff:%Y-%m-%d %H:%M})"
    return CannotError(f"the pip: entries cannot be solved: {text}", f"{next_step}; {UNCHANGED}")


def _write(project: Project, content: Lockfile) -> None:
    """Replace the lock by `content`, if condaw itself accepts it."""
    # In a folder of its own, because conda-lock writes the file's name into it.
    draft = project.lock_file.parent / ".conda-lock.part" / project.lock_file.name
    draft.parent.mkdir(exist_ok=True)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            write_conda_lock_file(content, draft, metadata_choices=None)
        urls = environment_yml.channel_urls(project)
        locked = {name: reader.read(draft, name, urls) for name in content.metadata.platforms}
        if unmet := satisfies.unmet_anywhere(project, locked):
            raise CannotError("; ".join(unmet[:3]), f"correct environment.yml; {UNCHANGED}")
        draft.replace(project.lock_file)
    except reader.LockError as error:
        cause = f"what was solved is not an acceptable lock: {error.reasons}"
        next_step = f"choose other versions in environment.yml; {UNCHANGED}"
        raise CannotError(cause, next_step) from None
    finally:
        shutil.rmtree(draft.parent, ignore_errors=True)
