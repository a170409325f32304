"""Whether a lock is what environment.yml asks for, and fits this machine: without conda-lock."""

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
from condaw.lockfile import environment_yml, reader
from condaw.lockfile.package import Package
from condaw.lockfile.rules import on_pypi

OTHER = "conda-lock.yml was made from another environment.yml"
SYSTEM = ("__glibc", "__osx", "__win", "__linux")  # what programs start on


def unmet(project: Project, packages: Sequence[Package]) -> list[str]:
    """Return a sentence for each direct dependency that `packages`, of one platform, do not
    satisfy: of environment.yml and of pyproject.toml."""
    entries = environment_yml.entries(project)
    entries = [each for each in entries if environment_yml.is_for(each, packages[0].platform)]
    conda = [entry.spec for entry in entries if entry.manager == "conda"]
    sentences = [text for spec in conda for text in _conda(spec, packages)]
    provided: dict[str, list[Package]] = defaultdict(list)
    for package in packages:
        for name in on_pypi([package.name]) if package.manager == "conda" else [package.name]:
            provided[canonicalize_name(name)].append(package)
    pypi = [(layout.ENVIRONMENT, entry.spec) for entry in entries if entry.manager == "pip"]
    pypi += [(layout.PYPROJECT, str(line)) for line in own(project)]
    here = _markers(packages)
    return sentences + [text for file, line in pypi for text in _pypi(file, line, provided, here)]


def unmet_anywhere(project: Project, locked: Mapping[str, Sequence[Package]]) -> list[str]:
    """Return what `create` would refuse of what is `locked` for each platform."""
    texts = {name: unmet(project, packages) for name, packages in locked.items()}
    return [f"{name}: {text}" for name, sentences in texts.items() for text in sentences]


def stale(project: Project) -> list[str]:
    """Return a sentence for each reason why the lock is not what environment.yml asks for, on any
    of its platforms: what `create` would refuse, and what nothing asks for."""
    channels, platforms = reader.made_for(project)
    own_channels, own_platforms = environment_yml.made_for(project)
    others = {*platforms} ^ {*(own_platforms or platforms)}
    sentences = [f"{name}: {OTHER}" for name in sorted(others)]
    if channels != own_channels:
        sentences.append(f"{OTHER}: the channels differ")
    locked = {name: reader.locked_packages(project, name) for name in platforms}
    sentences += unmet_anywhere(project, locked)
    asked = {str(canonicalize_name(each.name)) for each in environment_yml.entries(project)}
    for name, packages in locked.items():
        needed = _needed(packages, {"pip", *asked})  # conda-lock adds it to a list of PyPI's
        extra = sorted(package.name for package in packages if package not in needed)
        sentences += [f"{name}: {each} is locked, and nothing asks for it" for each in extra]
    return sentences


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
    asked = {str(canonicalize_name(each.name)) for each in environment_yml.entries(project)}
    return _needed(packages, asked - {canonicalize_name(line.name) for line in lines})


def _needed(packages: Sequence[Package], names: set[str]) -> list[Package]:
    """Return the packages of these names, and what they need."""
    needed, left, kept = set(names), list(packages), list[Package]()
    while found := [p for p in left if needed & {*on_pypi([p.name]), canonicalize_name(p.name)}]:
        kept += found
        left = [package for package in left if package not in found]
        needed |= {canonicalize_name(name) for package in found for name in package.dependencies}
    return kept


def requested(project: Project) -> dict[str, str]:
    """Return the conda specs of environment.yml, by the name of the package."""
    found = [entry for entry in environment_yml.entries(project) if not entry.selector]
    return {entry.name: entry.spec for entry in found if entry.manager == "conda"}


def _conda(spec: str, packages: Sequence[Package]) -> Iterator[str]:
    wanted = environment_yml.match_spec(spec)
    found = [p for p in packages if p.manager == "conda" and p.name == wanted.name.normalized]
    if not any(wanted.matches(package.record()) for package in found):
        yield _sentence(layout.ENVIRONMENT, spec, found)


def _pypi(
    file: str, line: str, provided: Mapping[str, Sequence[Package]], here: dict[str, str]
) -> Iterator[str]:
    try:
        wanted = Requirement(line.partition(" --hash=")[0])
        found = provided.get(canonicalize_name(wanted.name), ())
        fits = any(wanted.specifier.contains(p.version, prereleases=True) for p in found)
    except (InvalidRequirement, InvalidVersion):  # conda has versions that PyPI has not
        return
    if wanted.url:
        fits = any(wanted.url.endswith(package.sha256) for package in found)
    if not fits and (not wanted.marker or wanted.marker.evaluate(here)):
        yield _sentence(file, line, found)


def _markers(packages: Sequence[Package]) -> dict[str, str]:
    """Return what markers are compared with on the platform of `packages` (PEP 508)."""
    system, _, machine = packages[0].platform.partition("-")
    machine = {"64": "AMD64" if system == "win" else "x86_64"}.get(machine, machine)
    python = next(package.version for package in packages if package.name == "python")
    return {
        "os_name": "nt" if system == "win" else "posix",
        "platform_machine": machine,
        "platform_system": {"osx": "Darwin", "win": "Windows"}.get(system, "Linux"),
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": {"osx": "darwin", "win": "win32"}.get(system, "linux"),
    }


def _sentence(file: str, spec: str, found: Sequence[Package]) -> str:
    locked = f"and {found[0].version} is locked" if found else "which is not locked"
    advice = ": ask for it in environment.yml, too" if file == layout.PYPROJECT else ""
    if advice and not found:
        advice += "; for a conda package of another name see condaw/lockfile/pypi-names.json"
    return f"{file} asks for {spec}, {locked}{advice}"
