"""Virtual packages: what the locked packages ask of the system itself (CEP 30)."""

from collections.abc import Iterator, Sequence

from rattler import MatchSpec, PackageRecord, VirtualPackage

from condaw.lockfile.package import Package

SYSTEM = ("__glibc", "__osx", "__win", "__linux")
"""Without these a program does not start. A missing `__cuda` only makes some slower."""


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
