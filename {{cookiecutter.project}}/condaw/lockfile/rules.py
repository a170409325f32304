"""Every rule that a lock must pass; conda-lock's own parser is lenient.

Source of the format: CEP 37. Stricter than it: sha256 is required, and a Python.
"""

import functools
import ipaddress
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from packaging import tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from rattler import Channel, MatchSpec, Version
from rattler.exceptions import InvalidChannelError, InvalidMatchSpecError, InvalidVersionError
from rattler.package.build_string import BuildString

from condaw.lockfile.package import Package

CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")  # CEP 26; rattler panics over others
PYPI_NAMES = Path(__file__).with_name("pypi-names.json")
"""PyPI projects whose conda package has another name; conda-lock would fetch such a list."""


class Defect(NamedTuple):
    """One rule that is broken, and the line of the entry that breaks it."""

    line: int
    text: str


def head(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with everything but the packages, as far as condaw relies on it."""
    if document.get("version", 1) != 1:
        yield "the version of its format is not 1"
    if not isinstance(document.get("package"), list):
        yield "it has no list of packages"
    metadata = document.get("metadata")
    platforms = metadata.get("platforms") if isinstance(metadata, dict) else None
    if not isinstance(platforms, list) or not all(isinstance(name, str) for name in platforms):
        yield "it has no list of platforms in metadata"


def shape(entry: Any, platforms: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with one entry taken by itself."""
    entry = entry if isinstance(entry, dict) else {}
    hashes = entry["hash"] if isinstance(entry.get("hash"), dict) else {}
    needs = entry.get("dependencies", {})
    texts = [*needs, *needs.values()] if isinstance(needs, dict) else [None]
    names = ("name", "version", "url")
    faults = {f"{name} is not text": not isinstance(entry.get(name), str) for name in names} | {
        f"unknown manager {entry.get('manager')!r}": entry.get("manager") not in ("conda", "pip"),
        "category is not text": not isinstance(entry.get("category", "main"), str),
        f"{entry.get('platform')!r} is not one of the lock's platforms": entry.get("platform")
        not in platforms,
        "sha256 is missing or malformed": not _is_hex(hashes.get("sha256"), 64),
        "md5 is malformed": "md5" in hashes and not _is_hex(hashes["md5"], 32),
        "dependencies are not names with versions": not all(isinstance(t, str) for t in texts),
    }
    yield from (
        f"{entry.get('name', 'an entry')}: {text}" for text, is_so in faults.items() if is_so
    )


def check(packages: Sequence[Package], platform: str, channels: Sequence[str]) -> Iterator[Defect]:
    """Yield what is wrong with the packages of one platform, each of which has the right shape."""
    keys = Counter((p.manager, canonicalize_name(p.name)) for p in packages)
    python = next((p.version for p in packages if (p.manager, p.name) == ("conda", "python")), "")
    minor = re.match(r"3\.(\d{1,3})\.", python)
    if not minor:
        yield Defect(packages[0].line if packages else 1, f"there is no python 3 for {platform}")
        return
    interpreter, tagged = f"cp3{minor[1]}", wheel_platforms(platform)
    fitting = {*tags.cpython_tags([3, int(minor[1])], [interpreter], tagged)}
    fitting |= {*tags.compatible_tags([3, int(minor[1])], interpreter, tagged)}
    for package in packages:
        if keys[package.manager, canonicalize_name(package.name)] > 1:
            yield Defect(package.line, f"{package.name} is locked twice")
        reasons = [f"its URL {fault}" for fault in url_faults(package.url)]
        if not reasons and package.manager == "conda":
            reasons += _conda(package, channels)
        elif not reasons:
            reasons += _wheel(package, fitting, python)
        yield from (Defect(package.line, f"{package.name}: {reason}") for reason in reasons)
    yield from _closure(packages, {name for _, name in keys})


def url_faults(url: str) -> Iterator[str]:
    """Yield what makes `url`, or the name of a channel, unfit for a lock."""
    try:
        parts = urlsplit(url)
        Channel(url)
        if not url.isprintable():
            raise ValueError
    except (ValueError, InvalidChannelError):
        yield "cannot be read as a URL"
        return
    if re.search(r"(^defaults|/pkgs/(main|r|msys2|free))(/|$)", url):
        yield "is `defaults`, whose terms need a licence: use conda-forge"
    if parts.scheme.startswith("http") and re.search(r"//[^/]*@|/t/|\$|\?.*token", url, re.I):
        yield "holds a password, a token or a variable for one"
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        yield "is plain http: use https"


def on_pypi(conda: Iterable[str]) -> set[str]:
    """Return the normalised names that the conda packages of these names have on PyPI."""
    names: set[str] = {canonicalize_name(name) for name in conda}
    return names | {pypi for name, pypi in _renamed() if name in names}


@functools.cache
def _renamed() -> list[tuple[str, str]]:
    """Return pairs of names, on conda and on PyPI."""
    pairs = json.loads(PYPI_NAMES.read_text(encoding="utf-8")).values()
    return [(canonicalize_name(pair["conda_name"]), pair["pypi_name"]) for pair in pairs]


def wheel_platforms(subdir: str) -> list[str]:
    """Return the platform tags of the wheels that fit a subdir (PEP 425, 600), the best first."""
    system, _, machine = subdir.partition("-")
    machine = "x86_64" if machine == "64" else machine
    if system == "linux":
        manylinux = [f"manylinux_2_{minor}" for minor in range(60, 4, -1)]
        manylinux += ["manylinux2014", "manylinux2010", "manylinux1"]
        return [f"{name}_{machine}" for name in (*manylinux, "linux")]
    if system == "osx":
        return list(tags.mac_platforms((26, 0), machine))
    return ["win_amd64" if machine == "x86_64" else f"win_{machine}"]


def _is_hex(value: object, digits: int) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value))


def _is_near(host: str) -> bool:
    """Return whether `host` is on this machine or network (RFC 1918, 6761, 6762, 8375)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))


def _conda(package: Package, channels: Sequence[str]) -> Iterator[str]:
    if not CONDA_NAME.fullmatch(package.name):
        yield "its name is not one that conda packages have"
    try:
        Version(package.version), BuildString(package.build)
    except (ValueError, InvalidVersionError):
        yield "its version or build string is malformed"
    stem = f"{package.name}-{package.version}-{package.build}"
    if package.file_name not in (f"{stem}.conda", f"{stem}.tar.bz2"):
        yield f"its URL is of another package, {package.file_name}"
    if package.subdir not in (package.platform, "noarch"):
        yield f"its URL is of the platform {package.subdir}"
    if package.channel not in channels:
        yield "its URL is outside the channels of environment.yml"


def _wheel(package: Package, fitting: set[tags.Tag], python: str) -> Iterator[str]:
    try:
        name, version, _, its_tags = parse_wheel_filename(package.file_name)
    except ValueError:
        yield "its URL is not of a wheel"
        return
    if name != canonicalize_name(package.name) or str(version) != package.version:
        yield f"its URL is of another package, {package.file_name}"
    if not its_tags & fitting:
        yield f"{package.file_name} does not fit Python {python} on {package.platform}"


def _closure(packages: Sequence[Package], names: set[str]) -> Iterator[Defect]:
    """Yield dependencies that are not locked, or in a wrong version, as after a careless merge."""
    conda = {p.name: p for p in packages if p.manager == "conda"}
    names = names | on_pypi(conda)
    for package in packages:
        for name, spec in package.dependencies.items():
            if not name.startswith("__") and canonicalize_name(name) not in names:
                yield Defect(package.line, f"{package.name} needs {name}, which is not locked")
            elif package.manager == "conda" and name in conda and not _meets(conda[name], spec):
                text = f"{package.name} needs {name} {spec}, and {conda[name].version} is locked"
                yield Defect(package.line, text)


def _meets(package: Package, spec: str) -> bool:
    """Return whether a conda package is what a dependency's `spec` asks for."""
    try:
        return MatchSpec(f"{package.name} {spec}").matches(package.record())
    except (ValueError, InvalidMatchSpecError, InvalidVersionError):
        return False
