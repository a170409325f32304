"""What environment.yml asks for, held against a lock: in milliseconds, and without conda-lock."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import yaml
from packaging.utils import canonicalize_name
from rattler import MatchSpec
from rattler.exceptions import InvalidMatchSpecError

from condaw.lock import Package, on_pypi
from condaw.project import Project


def unmet(project: Project, packages: Sequence[Package]) -> list[str]:
    """A sentence for each direct dependency that `packages` do not meet.

    Says what is certain, and no more: lines for some platforms only (`# [win]`), markers and URLs
    are left to `lock --check`, and so is what environment.yml no longer asks for.
    """
    sentences: list[str] = []
    for entry in _dependencies(project):
        wheels = entry.get("pip") if isinstance(entry, dict) else None
        if isinstance(entry, str):
            sentences += _conda(entry, packages)
        for requirement in wheels if isinstance(wheels, list) else ():
            sentences += _pypi(str(requirement), packages)
    return sentences


def requested(project: Project) -> dict[str, str]:
    """The conda specs of environment.yml, by the name of the package."""
    found = {}
    for spec in _dependencies(project):
        if isinstance(spec, str) and (wanted := _match_spec(spec)):
            found[wanted.name.normalized] = spec
    return found


def _dependencies(project: Project) -> list[object]:
    text = project.environment_yml.read_text(encoding="utf-8")
    content = yaml.safe_load(re.sub(r"(?m)^.*#.*\[[^\[\]]+\].*$", "", text))
    entries = content.get("dependencies") if isinstance(content, dict) else None
    return entries if isinstance(entries, list) else []


def _match_spec(spec: str) -> MatchSpec | None:
    try:
        return MatchSpec(spec.rpartition("::")[2])
    except InvalidMatchSpecError:
        return None


def _conda(spec: str, packages: Sequence[Package]) -> Iterator[str]:
    if not (wanted := _match_spec(spec)):
        return
    found = [p for p in packages if p.manager == "conda" and p.name == wanted.name.normalized]
    if not any(wanted.matches(package.record) for package in found):
        yield _sentence(spec, found)


def _pypi(requirement: str, packages: Sequence[Package]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement  # slow to load

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
    locked = f"{found[0].version} is locked" if found else "which is not locked"
    return f"environment.yml asks for {spec}, {'and ' if found else ''}{locked}"
