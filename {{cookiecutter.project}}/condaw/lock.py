"""conda-lock.yml -> the checked packages of one platform. The one place that judges a lock.

Source of the format: conda-lock's `lockfile/v1/models.py`. Its own parser is lenient (malformed
hashes, missing dependencies); what is installed here is only what passes every rule below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from rattler import Channel

from condaw.outcome import CannotError
from condaw.project import Project

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # a PyYAML without libyaml reads the same, more slowly
    from yaml import SafeLoader  # type: ignore[assignment]

FIELDS = {
    "name": str,
    "version": str,
    "manager": str,
    "platform": str,
    "dependencies": dict,
    "url": str,
    "hash": dict,
    "category": str,
    "optional": bool,
    "source": dict,
    "build": str,
}
HEX = {"sha256": re.compile(r"[0-9a-f]{64}"), "md5": re.compile(r"[0-9a-f]{32}")}
WHEEL_PLATFORMS = {
    "linux-64": re.compile(r"(many)?linux\w*_x86_64"),
    "linux-aarch64": re.compile(r"(many)?linux\w*_aarch64"),
    "linux-ppc64le": re.compile(r"(many)?linux\w*_ppc64le"),
    "osx-64": re.compile(r"macosx_\w+_(x86_64|universal2|intel)"),
    "osx-arm64": re.compile(r"macosx_\w+_(arm64|universal2)"),
    "win-64": re.compile(r"win_amd64"),
    "win-arm64": re.compile(r"win_arm64"),
}
"""The platform tags of wheels that fit a subdir (PyPA specification, platform compatibility)."""


@dataclass(frozen=True)
class Package:
    """One entry of the lock."""

    manager: str
    """`conda` or `pip`."""
    name: str
    version: str
    platform: str
    url: str
    sha256: str
    md5: str | None
    dependencies: Mapping[str, str]
    line: int = field(compare=False)
    """Where the entry begins in the lock, from 1."""

    @property
    def file_name(self) -> str:
        return unquote(PurePosixPath(urlsplit(self.url).path).name)

    @property
    def subdir(self) -> str:
        """`noarch` or the platform: the folder of the channel that holds a conda package."""
        return PurePosixPath(urlsplit(self.url).path).parent.name

    @property
    def channel(self) -> str:
        """The URL of the channel that holds a conda package, without a slash at its end."""
        return self.url.rsplit("/", 2)[0]

    @property
    def build(self) -> str:
        """The build string of a conda package (CEP 26: NAME-VERSION-BUILD.EXTENSION)."""
        return self.file_name.removesuffix(".conda").removesuffix(".tar.bz2").rpartition("-")[2]


@dataclass(frozen=True)
class Defect:
    """One reason why a lock is not acceptable."""

    line: int
    text: str


class LockError(CannotError):
    """A lock that does not pass; `defects` holds every reason."""

    def __init__(self, defects: Sequence[Defect]) -> None:
        self.defects = sorted(set(defects), key=lambda defect: (defect.line, defect.text))
        shown = [f"line {defect.line}: {defect.text}" for defect in self.defects[:3]]
        more = [f"and {len(self.defects) - 3} more"] if len(self.defects) > 3 else []
        super().__init__(
            "conda-lock.yml is not acceptable: " + "; ".join(shown + more),
            "restore it from version control, or make it again: python -m condaw lock",
        )


def read(path: Path, platform: str, channels: Iterable[str]) -> list[Package]:
    """The packages that `path` locks for `platform`, each fit to be installed.

    `channels` are the URLs that conda packages may come from.
    Raises LockError with every defect of that platform's part, or CannotError when the file
    cannot be read or does not have the platform.
    """
    document, line_numbers = _load(path)
    if document.get("version") != 1:
        raise LockError([Defect(1, f"format version {document.get('version')!r} is not 1")])
    if not isinstance(document.get("package"), list):
        raise LockError([Defect(1, "there is no list of packages")])
    metadata = document.get("metadata")
    platforms = metadata.get("platforms") if isinstance(metadata, dict) else None
    if not isinstance(platforms, list):
        raise LockError([Defect(1, "there is no list of platforms under metadata")])
    if platform not in platforms:
        raise CannotError(
            f"conda-lock.yml has no {platform}, only {', '.join(map(str, platforms))}",
            f"add {platform} under platforms: in environment.yml and run: python -m condaw lock",
        )
    defects: list[Defect] = []
    packages: list[Package] = []
    for entry, line in zip(document["package"], line_numbers, strict=True):
        if isinstance(entry, dict) and entry.get("platform") not in (None, platform):
            continue
        reasons = _shape(entry)
        if not reasons:
            packages.append(_package(entry, line))
        defects += [Defect(line, reason) for reason in reasons]
    defects += check(packages, platform, list(channels))
    if defects:
        raise LockError(defects)
    return packages


def channel_urls(project: Project) -> list[str]:
    """The channels of environment.yml as URLs, without a slash at the end."""
    try:
        content = yaml.load(project.environment_yml.read_text(encoding="utf-8"), SafeLoader)
        channels = [str(channel) for channel in content["channels"]]
    except FileNotFoundError:
        raise CannotError(
            "there is no environment.yml", "restore it from version control"
        ) from None
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError):
        raise CannotError(
            "environment.yml has no readable list of channels", "correct it"
        ) from None
    refuse_channels(channels)
    return [str(Channel(name).base_url).rstrip("/") for name in channels if name != "nodefaults"]


def refuse_channels(channels: Iterable[str]) -> None:
    """Raise CannotError for a channel that no lock should be made from."""
    for channel in channels:
        if channel == "defaults" or re.search(r"/pkgs/(main|r|msys2|free)/?$", channel):
            raise CannotError(
                "environment.yml names the channel `defaults`, whose terms need a licence",
                "use conda-forge instead",
            )
        if has_credentials(channel):
            raise CannotError(
                "a channel in environment.yml holds a password or token, which would get into"
                " the lock",
                "remove it there, and keep it in netrc or in rattler's credential store",
            )


def has_credentials(url: str) -> bool:
    """Whether `url` carries a user, a password or a conda token (`/t/TOKEN/`)."""
    parts = urlsplit(url)
    return "@" in parts.netloc or parts.path.startswith("/t/") or "token=" in parts.query.lower()


def check(packages: Sequence[Package], platform: str, channels: Sequence[str]) -> list[Defect]:
    """Every rule that needs more than the shape of a single entry."""
    defects = [
        Defect(package.line, f"{package.name}: {reason}")
        for package in packages
        for reason in _source(package, platform, channels)
    ]
    seen: set[tuple[str, str]] = set()
    for package in packages:
        key = package.manager, canonicalize_name(package.name)
        if key in seen:
            defects.append(Defect(package.line, f"{package.name} is locked twice"))
        seen.add(key)
    names = {name for _, name in seen}
    defects += [
        Defect(package.line, f"{package.name} needs {dependency}, which is not locked")
        for package in packages
        for dependency in package.dependencies
        if not dependency.startswith("__") and canonicalize_name(dependency) not in names
    ]
    defects += _wheels(packages, platform)
    if packages and not any(p.name == "python" and p.manager == "conda" for p in packages):
        defects.append(Defect(packages[0].line, f"there is no python for {platform}"))
    return defects


def _load(path: Path) -> tuple[dict[str, Any], list[int]]:
    """The document, and the line at which each entry of `package` begins."""
    try:
        loader = SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()
        document = loader.construct_document(node) if node else None
    except FileNotFoundError:
        raise CannotError("there is no conda-lock.yml", "run: python -m condaw lock") from None
    except UnicodeDecodeError:
        raise LockError([Defect(1, "it is not text in UTF-8")]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise LockError([Defect(line, "it is not YAML that can be read")]) from None
    if node is None or not isinstance(document, dict):
        raise LockError([Defect(1, "it is not a mapping")])
    entries = next((value for key, value in node.value if key.value == "package"), None)
    lines = [child.start_mark.line + 1 for child in getattr(entries, "value", [])]
    return document, lines


def _shape(entry: object) -> list[str]:
    """What is wrong with one entry taken by itself."""
    if not isinstance(entry, dict):
        return ["an entry is not a mapping"]
    name = entry.get("name", "an entry")
    reasons = [f"{name}: unknown field {key!r}" for key in entry if key not in FIELDS]
    reasons += [
        f"{name}: {key} is not a {kind.__name__}"
        for key, kind in FIELDS.items()
        if key in entry and not isinstance(entry[key], kind)
    ]
    required = ("name", "version", "manager", "platform", "url", "hash")
    reasons += [f"{name}: {key} is missing" for key in required if key not in entry]
    if reasons:
        return reasons
    if entry["manager"] not in ("conda", "pip"):
        reasons.append(f"{name}: unknown manager {entry['manager']!r}")
    if "sha256" not in entry["hash"]:
        reasons.append(f"{name}: there is no sha256")
    for algorithm, value in entry["hash"].items():
        pattern = HEX.get(algorithm)
        if pattern is None:
            reasons.append(f"{name}: unknown hash {algorithm!r}")
        elif not isinstance(value, str) or not pattern.fullmatch(value):
            reasons.append(f"{name}: {algorithm} is malformed")
    for dependency, spec in entry.get("dependencies", {}).items():
        if not isinstance(dependency, str) or not isinstance(spec, str):
            reasons.append(f"{name}: dependencies are not names with versions")
    return reasons


def _package(entry: Mapping[str, Any], line: int) -> Package:
    return Package(
        manager=entry["manager"],
        name=entry["name"],
        version=entry["version"],
        platform=entry["platform"],
        url=entry["url"],
        sha256=entry["hash"]["sha256"],
        md5=entry["hash"].get("md5"),
        dependencies=entry.get("dependencies", {}),
        line=line,
    )


def _source(package: Package, platform: str, channels: Sequence[str]) -> list[str]:
    """What is wrong with where an entry comes from."""
    parts = urlsplit(package.url)
    reasons = []
    if has_credentials(package.url):
        reasons.append("its URL holds credentials")
    if package.manager == "pip":
        if parts.scheme not in ("https", "http", "file"):
            reasons.append(f"its URL has the scheme {parts.scheme!r}")
        return reasons
    stem = f"{package.name}-{package.version}-{package.build}"
    if package.file_name not in (f"{stem}.conda", f"{stem}.tar.bz2"):
        reasons.append(f"its URL is of another package, {package.file_name}")
    if package.subdir not in (platform, "noarch"):
        reasons.append(f"its URL is of the platform {package.subdir}")
    if package.channel not in channels:
        reasons.append("its URL is outside the channels of environment.yml")
    return reasons


def _wheels(packages: Sequence[Package], platform: str) -> list[Defect]:
    """PyPI entries whose file is not a wheel that the locked Python on `platform` takes."""
    python = next((p.version for p in packages if p.name == "python"), "0.0").split(".")
    minor = int(python[1]) if len(python) > 1 and python[1].isdigit() else 0
    defects = []
    for package in packages:
        if package.manager != "pip":
            continue
        try:
            name, version, _, tags = parse_wheel_filename(package.file_name)
        except ValueError:
            defects.append(Defect(package.line, f"{package.name}: its URL is not of a wheel"))
            continue
        if name != canonicalize_name(package.name) or str(version) != package.version:
            reason = f"its URL is of another package, {package.file_name}"
            defects.append(Defect(package.line, f"{package.name}: {reason}"))
        elif not any(_fits(tag, platform, minor) for tag in tags):
            reason = f"{package.file_name} does not fit Python 3.{minor} on {platform}"
            defects.append(Defect(package.line, f"{package.name}: {reason}"))
    return defects


def _fits(tag: Tag, platform: str, minor: int) -> bool:
    """Whether a wheel's tag fits CPython 3.`minor` on `platform` (PEP 425, PEP 384)."""
    wanted = WHEEL_PLATFORMS.get(platform)
    if tag.platform != "any" and not (wanted and wanted.fullmatch(tag.platform)):
        return False
    match = re.fullmatch(r"(py|cp)3(\d*)", tag.interpreter)
    if not match:
        return False
    built_for = int(match[2] or 0)
    if tag.abi == f"cp3{minor}":
        return built_for == minor
    return tag.abi in ("none", "abi3") and built_for <= minor
