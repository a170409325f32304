"""Whether a lock satisfies environment.yml and this machine, judged without conda-lock."""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from rattler import VersionSpec, VirtualPackage

from condaw.base import layout
from condaw.base.errors import CannotError
from condaw.base.project import Project, table
from condaw.lockfile import environment_yml
from condaw.lockfile.package import Package
from condaw.lockfile.rules import on_pypi

SYSTEM = ("__glibc", "__osx", "__win", "__linux")
"""Without these a program does not start. A missing `__cuda` only makes some slower."""


def unmet(project: Project, packages: Sequence[Package]) -> list[str]:
    """Return a sentence for each direct dependency that `packages` do not satisfy, of
    environment.yml and of pyproject.toml. Reports what is certain, and no more: lines for some
    platforms only (`# [win]`), markers and URLs are left to `lock --check`, and so are packages
    that are no longer asked for."""
    entries = [entry for entry in environment_yml.entries(project) if entry.everywhere]
    conda = [entry.spec for entry in entries if entry.manager == "conda"]
    sentences = [text for spec in conda for text in _conda(spec, packages)]
    provided: dict[str, list[Package]] = defaultdict(list)
    for package in packages:
        for name in on_pypi([package.name]) if package.manager == "conda" else [package.name]:
            provided[canonicalize_name(name)].append(package)
    pypi = [(layout.ENVIRONMENT, entry.spec) for entry in entries if entry.manager == "pip"]
    pypi += [(layout.PYPROJECT, str(line)) for line in own(project)]
    return sentences + [text for file, line in pypi for text in _pypi(file, line, provided)]


def own(project: Project) -> list[Requirement]:
    """Return the dependencies of pyproject.toml that can be read; the others are told by uv."""
    lines = table(project, "project").get("dependencies")
    found = []
    for line in lines if isinstance(lines, list) else ():
        with contextlib.suppress(InvalidRequirement, TypeError):
            found.append(Requirement(line))
    return found


def lacking(packages: Sequence[Package]) -> Iterator[str]:
    """Yield a sentence for each package that this system is too old for."""
    generic = [each.into_generic() for each in VirtualPackage.detect()]
    here = {each.name.normalized: each.version for each in generic}
    for package in packages:
        for name, spec in package.dependencies.items():
            has = here.get(name)
            if name in SYSTEM and not (has and VersionSpec(spec or "*").matches(has)):
                version = f"{name} {has}" if has else f"no {name}"
                yield f"{package.name} needs {name} {spec}, and this machine has {version}"


def without(project: Project, packages: Sequence[Package], groups: Sequence[str]) -> list[Package]:
    """Return the packages that are left if nobody needs those of `groups`, which are dependency
    groups of pyproject.toml (PEP 735). Raises CannotError if one of them is not there."""
    if not groups:
        return list(packages)
    known = table(project, "dependency-groups")
    if unknown := [group for group in groups if not isinstance(known.get(group), list)]:
        cause = f"pyproject.toml has no dependency group {unknown[0]}"
        raise CannotError(cause, "name one of [dependency-groups], or add it")
    lines = [Requirement(str(line)) for group in groups for line in known[group]]
    asked = {canonicalize_name(entry.name) for entry in environment_yml.entries(project)}
    needed = asked - {canonicalize_name(line.name) for line in lines}
    left, kept = list(packages), []
    while found := [p for p in left if needed & {*on_pypi([p.name]), canonicalize_name(p.name)}]:
        kept += found
        left = [package for package in left if package not in found]
        needed |= {canonicalize_name(name) for package in found for name in package.dependencies}
    return kept


def requested(project: Project) -> dict[str, str]:
    """Return the conda specs of environment.yml, by the name of the package."""
    found = [entry for entry in environment_yml.entries(project) if entry.everywhere]
    return {entry.name: entry.spec for entry in found if entry.manager == "conda"}


def _conda(spec: str, packages: Sequence[Package]) -> Iterator[str]:
    wanted = environment_yml.match_spec(spec)
    found = [p for p in packages if p.manager == "conda" and p.name == wanted.name.normalized]
    if not any(wanted.matches(package.record()) for package in found):
        yield _sentence(layout.ENVIRONMENT, spec, found)


def _pypi(file: str, line: str, provided: Mapping[str, Sequence[Package]]) -> Iterator[str]:
    try:
        wanted = Requirement(line.partition(" --hash=")[0])
        found = provided.get(canonicalize_name(wanted.name), ())
        fits = any(wanted.specifier.contains(p.version, prereleases=True) for p in found)
    except (InvalidRequirement, InvalidVersion):  # conda has versions that PyPI has not
        return
    if not (fits or wanted.marker or wanted.url):
        yield _sentence(file, line, found)


def _sentence(file: str, spec: str, found: Sequence[Package]) -> str:
    locked = f"and {found[0].version} is locked" if found else "which is not locked"
    advice = ": ask for it in environment.yml, too" if file == layout.PYPROJECT else ""
    if advice and not found:
        advice += "; for a conda package of another name see condaw/lockfile/pypi-names.json"
    return f"{file} asks for {spec}, {locked}{advice}"
