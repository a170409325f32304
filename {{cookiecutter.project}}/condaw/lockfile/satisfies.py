"""Whether a lock satisfies environment.yml and this machine, judged without conda-lock."""

from collections.abc import Iterator, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec, PackageRecord, VirtualPackage
from rattler.exceptions import InvalidMatchSpecError

from condaw.base.project import Project
from condaw.lockfile import environment_yml
from condaw.lockfile.package import Package
from condaw.lockfile.rules import on_pypi

SYSTEM = ("__glibc", "__osx", "__win", "__linux")
"""Without these a program does not start. A missing `__cuda` only makes some slower."""


def unmet(project: Project, packages: Sequence[Package]) -> list[str]:
    """Return a sentence for each direct dependency that `packages` do not satisfy. Reports what is
    certain, and no more: lines for some platforms only (`# [win]`), markers and URLs are left to
    `lock --check`, and so are packages that are no longer asked for."""
    specs, requirements = environment_yml.dependencies(project)
    sentences = [text for spec in specs for text in _conda(spec, packages)]
    return sentences + [text for line in requirements for text in _pypi(line, packages)]


def lacking(packages: Sequence[Package]) -> Iterator[str]:
    """Yield a sentence for each package that this system is too old for."""
    generic = [each.into_generic() for each in VirtualPackage.detect()]
    here = {each.name.normalized: each for each in generic}
    for package in packages:
        for name, spec in package.dependencies.items():
            if name not in SYSTEM:
                continue
            has = here.get(name)
            record = has and PackageRecord(name, str(has.version), has.build_string, 0, "noarch")
            if not record or not MatchSpec(f"{name} {spec}").matches(record):
                version = f"{name} {has.version}" if has else f"no {name}"
                yield f"{package.name} needs {name} {spec}, and this machine has {version}"


def requested(project: Project) -> dict[str, str]:
    """Return the conda specs of environment.yml, by the name of the package."""
    specs, _ = environment_yml.dependencies(project)
    return {wanted.name.normalized: spec for spec in specs if (wanted := _match_spec(spec))}


def _match_spec(spec: str) -> MatchSpec | None:
    try:
        return MatchSpec(spec.rpartition("::")[2])
    except InvalidMatchSpecError:
        return None


def _conda(spec: str, packages: Sequence[Package]) -> Iterator[str]:
    if wanted := _match_spec(spec):
        found = [p for p in packages if p.manager == "conda" and p.name == wanted.name.normalized]
        if not any(wanted.matches(package.record()) for package in found):
            yield _sentence(spec, found)


def _pypi(requirement: str, packages: Sequence[Package]) -> Iterator[str]:
    try:
        wanted = Requirement(requirement)
    except InvalidRequirement:
        return
    name = canonicalize_name(wanted.name)
    found = [p for p in packages if p.manager == "pip" and canonicalize_name(p.name) == name]
    from_conda = on_pypi({p.name for p in packages if p.manager == "conda"})
    if wanted.marker or wanted.url or name in from_conda:
        return
    if not any(wanted.specifier.contains(p.version, prereleases=True) for p in found):
        yield _sentence(requirement, found)


def _sentence(spec: str, found: Sequence[Package]) -> str:
    locked = f"and {found[0].version} is locked" if found else "which is not locked"
    return f"environment.yml asks for {spec}, {locked}"
