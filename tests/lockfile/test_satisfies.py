"""Machines that are older than what the lock was solved for."""

from __future__ import annotations

import pytest
from condaw.lockfile import satisfies
from condaw.lockfile.package import Package
from rattler import GenericVirtualPackage, PackageName, Version
from rattler.package.build_string import BuildString


class System:
    """A system that has some virtual packages."""

    def __init__(self, *found: tuple[str, str]) -> None:
        self.found = found

    def detect(self) -> list[System]:
        return [System(one) for one in self.found]

    def into_generic(self) -> GenericVirtualPackage:
        [(name, version)] = self.found
        return GenericVirtualPackage(PackageName(name), Version(version), BuildString("0"))


def package(name: str, **dependencies: str) -> Package:
    return Package("conda", name, "1", "linux-64", "", "", None, dependencies, 1)


GLIBC = [package("openssl", __glibc=">=2.28,<3.0.a0", zlib="*"), package("zlib")]
MACOS = [package("openssl", __osx=">=11.0")]


@pytest.mark.parametrize(
    ("packages", "system", "has"),
    [
        (GLIBC, System(("__glibc", "2.17"), ("__linux", "3.10")), "__glibc 2.17"),
        (GLIBC, System(("__linux", "6.1")), "no __glibc"),
        (MACOS, System(("__osx", "10.15")), "__osx 10.15"),
    ],
)
def test_a_system_that_is_too_old_is_named_with_what_it_has(
    packages: list[Package], system: System, has: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(satisfies, "VirtualPackage", system)
    [sentence] = satisfies.lacking(packages)
    assert sentence.startswith("openssl needs __")
    assert sentence.endswith(f", and this machine has {has}")


def test_a_system_that_is_new_enough_lacks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(satisfies, "VirtualPackage", System(("__glibc", "2.28"), ("__osx", "26.1")))
    assert list(satisfies.lacking([*GLIBC, *MACOS])) == []


def test_a_machine_without_a_graphics_card_may_install_what_was_made_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(satisfies, "VirtualPackage", System(("__glibc", "2.39")))
    assert list(satisfies.lacking([package("pytorch", __cuda=">=12")])) == []
