"""Every rule that a lock must pass: its form, its URLs, and that its packages fit together.

Source of the format: conda-lock's `lockfile/v1/models.py`. conda-lock's own parser is lenient
(malformed hashes, missing dependencies).
"""

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from rattler import Channel, MatchSpec, Version
from rattler.exceptions import InvalidChannelError, InvalidMatchSpecError, InvalidVersionError
from rattler.package.build_string import BuildString

from condaw.lockfile.package import Package

DOCUMENT = {"version": int, "metadata": dict, "package": list}
ENTRY = {"name": str, "version": str, "manager": str, "platform": str, "url": str, "hash": dict}
OPTIONAL = {"dependencies": dict, "category": str, "optional": bool, "source": dict, "build": str}
CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
"""Lower case only (CEP 26): rattler takes other names and then panics over them."""
FILE_NAME = re.compile(r"[\w.!+~-]+\.(conda|tar\.bz2|whl)", re.ASCII)
DRIVE = re.compile(r"[A-Za-z]:[/\\]")
"""How a folder on Windows begins."""
LONGEST_NAME = 255
"""Characters of a file name that file systems take."""
WHEEL_PLATFORMS = {
    "linux-64": r"(many)?linux\w*_x86_64",
    "linux-aarch64": r"(many)?linux\w*_aarch64",
    "osx-64": r"macosx_\w+_(x86_64|universal2|intel)",
    "osx-arm64": r"macosx_\w+_(arm64|universal2)",
    "win-64": r"win_amd64",
    "win-arm64": r"win_arm64",
}
"""The platform tags of wheels that fit a subdir (PyPA specification, platform compatibility)."""
PYPI_NAMES = Path(__file__).with_name("pypi-names.json")
"""PyPI projects whose conda package has another name; conda-lock would fetch such a list."""


class Defect(NamedTuple):
    """One rule that is broken, and the line of the entry that breaks it."""

    line: int
    text: str


def head(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with everything but the packages, as far as condaw relies on it."""
    if document.get("version") != 1:
        yield "the version of its format is not 1"
        return
    yield from _fields(document, DOCUMENT, {})
    metadata = document.get("metadata")
    platforms = metadata.get("platforms") if isinstance(metadata, dict) else None
    if not isinstance(platforms, list) or not all(isinstance(name, str) for name in platforms):
        yield "metadata: platforms is not a list of names"


def shape(entry: Any, platforms: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with one entry taken by itself."""
    reasons = list(_fields(entry, ENTRY, OPTIONAL))
    if not reasons:
        hashes = entry["hash"]
        malformed = (f"{key} is malformed" for key in hashes if not _is_hex(hashes[key], key))
        reasons = list(_fields(hashes, {"sha256": str}, {"md5": str})) or list(malformed)
        if entry["manager"] not in ("conda", "pip"):
            reasons.append(f"unknown manager {entry['manager']!r}")
        if entry["platform"] not in platforms:
            reasons.append(f"the platform {entry['platform']!r} is not one of the lock's")
        pairs = entry.get("dependencies", {}).items()
        if not all(isinstance(text, str) for pair in pairs for text in pair):
            reasons.append("dependencies are not names with versions")
    name = entry.get("name") if isinstance(entry, dict) else None
    yield from (f"{name if isinstance(name, str) else 'an entry'}: {text}" for text in reasons)


def check(packages: Sequence[Package], platform: str, channels: Sequence[str]) -> Iterator[Defect]:
    """Yield what is wrong with the packages of one platform, each of which has the right shape.

    `channels` are the URLs that conda packages may come from.
    """
    python = next((p for p in packages if p.name == "python" and p.manager == "conda"), None)
    if python is None:
        yield Defect(packages[0].line if packages else 1, f"there is no python for {platform}")
        return
    if not re.fullmatch(r"3\.\d{1,3}\.\w+", python.version, re.ASCII):
        yield Defect(python.line, f"python: {python.version} is not a version of Python 3")
        return
    tags = _wheel_tags(python.version)
    seen: set[tuple[str, str]] = set()
    for package in packages:
        key = package.manager, canonicalize_name(package.name)
        if key in seen:
            yield Defect(package.line, f"{package.name} is locked twice")
        seen.add(key)
        wrong = [f"its URL {fault}" for fault in url_faults(package.url)]
        if not wrong and package.manager == "conda":
            wrong += _conda(package, platform, channels)
        elif not wrong:
            wrong += _wheel(package, platform, tags, python.version)
        yield from (Defect(package.line, f"{package.name}: {reason}") for reason in wrong)
    yield from _closure(packages, {name for _, name in seen})


def url_faults(url: str) -> Iterator[str]:
    """Yield what makes `url`, or the name of a channel, unfit for a lock."""
    try:
        parts = urlsplit(url)
        Channel(url)
    except (ValueError, InvalidChannelError):
        yield "cannot be read as a URL"
        return
    if re.search(r"(^defaults|/pkgs/(main|r|msys2|free))(/|$)", url):
        yield "is `defaults`, whose terms need a licence: use conda-forge"
    if parts.scheme not in ("", "https", "http", "file") and not DRIVE.match(url):
        yield f"has the scheme {parts.scheme!r}"
    if parts.scheme.startswith("http") and re.search(r"//[^/]*@|/t/|\$|\?.*token", url, re.I):
        yield "holds a password, a token or a variable for one"
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        yield "is plain http: use https"


def on_pypi(conda: Iterable[str]) -> set[str]:
    """Return the normalised names that the conda packages of these names have on PyPI."""
    pairs = json.loads(PYPI_NAMES.read_text(encoding="utf-8")).values()
    names: set[str] = {canonicalize_name(name) for name in conda}
    return names | {p["pypi_name"] for p in pairs if canonicalize_name(p["conda_name"]) in names}


def _fields(
    value: object, required: Mapping[str, type], optional: Mapping[str, type]
) -> Iterator[str]:
    """Yield the fields of a mapping that are unknown, missing, or of another type."""
    if not isinstance(value, dict):
        yield "it is not a mapping"
        return
    known = {**required, **optional}
    yield from (f"unknown field {key!r}" for key in value if key not in known)
    yield from (f"{key} is missing" for key in required if key not in value)
    for key, kind in known.items():
        if key in value and not isinstance(value[key], kind):
            yield f"{key} is not a {kind.__name__}"


def _is_hex(value: object, algorithm: str) -> bool:
    digits = {"sha256": 64, "md5": 32}.get(algorithm, 0)
    return isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value))


def _is_near(host: str) -> bool:
    """Return whether `host` is on this machine or network (RFC 1918, 6761, 6762, 8375)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))


def _closure(packages: Sequence[Package], names: set[str]) -> Iterator[Defect]:
    """Yield dependencies that are not in the lock, or not in a version that will do.

    The latter happens when two locks are merged line by line.
    """
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
    except (InvalidMatchSpecError, InvalidVersionError):
        return False


def _conda(package: Package, platform: str, channels: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the name, version and URL of a conda package."""
    if not CONDA_NAME.fullmatch(package.name):
        yield "its name is not one that conda packages have"
    try:
        Version(package.version), BuildString(package.build)
    except (ValueError, InvalidVersionError):
        yield "its version or build string is malformed"
    stem = f"{package.name}-{package.version}-{package.build}"
    named = package.file_name in (f"{stem}.conda", f"{stem}.tar.bz2")
    if not named or not FILE_NAME.fullmatch(package.file_name):
        yield f"its URL is of another package, {package.file_name}"
    if package.subdir not in (platform, "noarch"):
        yield f"its URL is of the platform {package.subdir}"
    if package.channel not in channels:
        yield "its URL is outside the channels of environment.yml"


def _wheel(package: Package, platform: str, fitting: set[Tag], python: str) -> Iterator[str]:
    """Yield what is wrong with the file of a PyPI package."""
    try:
        # The tags in a name multiply: a long one could hold billions.
        name, version, _, tags = parse_wheel_filename(package.file_name[-LONGEST_NAME:])
    except ValueError:
        yield "its URL is not of a wheel"
        return
    if name != canonicalize_name(package.name) or str(version) != package.version:
        yield f"its URL is of another package, {package.file_name}"
    wanted = re.compile(WHEEL_PLATFORMS.get(platform, "none"))
    ours = {tag.platform: "here" for tag in tags if wanted.fullmatch(tag.platform)}
    here = {Tag(t.interpreter, t.abi, ours.get(t.platform, t.platform)) for t in tags}
    if not here & fitting:
        yield f"{package.file_name} does not fit Python {python} on {platform}"


def _wheel_tags(python: str) -> set[Tag]:
    """Return the tags of wheels that CPython `python` takes (PEP 425); its platform is `here`."""
    version = [int(part) for part in re.findall(r"\d+", python)[:2]]
    interpreter = "cp" + "".join(map(str, version))
    specific = cpython_tags(version, [interpreter], ["here"])
    return {*specific, *compatible_tags(version, interpreter, ["here"])}
