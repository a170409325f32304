"""conda-lock.yml -> the checked packages of one platform. The one place that judges a lock.

Source of the format: conda-lock's `lockfile/v1/models.py`. Its own parser is lenient (malformed
hashes, missing dependencies); what is installed here is only what passes every rule below.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from rattler import Channel, MatchSpec, PackageRecord, RepoDataRecord, Subdir, Version
from rattler.exceptions import InvalidChannelError, InvalidMatchSpecError, InvalidVersionError
from rattler.package.build_string import BuildString

from condaw.outcome import CannotError
from condaw.project import Project

BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""A PyYAML without libyaml reads the same, more slowly."""
DEEPEST = 5000
"""Levels of nesting that libyaml's reader surely takes; at some 20,000 it ends the process."""
DOCUMENT = {"version": int, "metadata": dict, "package": list}
METADATA = {"content_hash": dict, "channels": list, "platforms": list, "sources": list}
EXTRAS = {f"{kind}_metadata": dict for kind in ("time", "git", "inputs", "custom")}
CHANNEL = {"url": str, "used_env_vars": list}
ENTRY = {"name": str, "version": str, "manager": str, "platform": str, "url": str, "hash": dict}
OPTIONAL = {"dependencies": dict, "category": str, "optional": bool, "source": dict, "build": str}
CONDA_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
"""Lower case only (CEP 26): rattler takes other names and then panics over them."""
FILE_NAME = re.compile(r"[\w.!+~-]+\.(conda|tar\.bz2|whl)", re.ASCII)
WHEEL_PLATFORMS = {
    "linux-64": r"(many)?linux\w*_x86_64",
    "linux-aarch64": r"(many)?linux\w*_aarch64",
    "osx-64": r"macosx_\w+_(x86_64|universal2|intel)",
    "osx-arm64": r"macosx_\w+_(arm64|universal2)",
    "win-64": r"win_amd64",
    "win-arm64": r"win_arm64",
}
"""The platform tags of wheels that fit a subdir (PyPA specification, platform compatibility)."""
LONGEST_NAME = 255
"""Characters of a file name that file systems take."""
PYPI_NAMES = Path(__file__).with_name("pypi-names.json")
"""PyPI projects whose conda package has another name; conda-lock would fetch such a list."""


class Loader(BASE):  # type: ignore[misc]
    """Reads YAML without merge keys (`<<`), of which a few lines can fill the memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave `<<` where it is: nothing constructs it, so it is an error."""


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
    def stem(self) -> str:
        """The file name of a conda package without its extension (CEP 26: NAME-VERSION-BUILD)."""
        return self.file_name.removesuffix(".conda").removesuffix(".tar.bz2")

    @property
    def build(self) -> str:
        """The build string of a conda package."""
        return self.stem.rpartition("-")[2]

    @property
    def record(self) -> RepoDataRecord:
        """A conda package as rattler takes it."""
        return self.record_at(self.url)

    def record_at(self, url: str) -> RepoDataRecord:
        """The same, to be fetched from `url`."""
        number = self.build.rpartition("_")[2]
        record = PackageRecord(
            self.name,
            self.version,
            BuildString(self.build),
            int(number) if number.isdigit() else 0,
            self.subdir,
            depends=[f"{name} {spec}".strip() for name, spec in self.dependencies.items()],
            sha256=bytes.fromhex(self.sha256),
            md5=bytes.fromhex(self.md5) if self.md5 else None,
        )
        return RepoDataRecord(record, self.file_name, url, self.channel)


class Defect(NamedTuple):
    """One reason why a lock is not acceptable, and the line of the entry that it is about."""

    line: int
    text: str


class LockError(CannotError):
    """A lock that does not pass; `defects` holds every reason."""

    def __init__(self, defects: Iterable[Defect]) -> None:
        self.defects = sorted(set(defects))
        shown = [f"line {defect.line}: {defect.text}" for defect in self.defects[:3]]
        more = [f"and {len(self.defects) - 3} more"] if len(self.defects) > 3 else []
        self.reasons = "; ".join(shown + more)
        super().__init__(
            f"conda-lock.yml is not acceptable: {self.reasons}",
            "restore it from version control, or make it again: python -m condaw lock",
        )


def this_platform() -> str:
    """The conda subdir of this machine, such as `linux-64`."""
    return str(Subdir.current())


def read(path: Path, platform: str, channels: Iterable[str]) -> list[Package]:
    """The packages that `path` locks for `platform`, each fit to be installed.

    `channels` are the URLs that conda packages may come from.
    Raises LockError with every defect of the file's form and of that platform's packages, or
    CannotError when the file cannot be read or does not have the platform.
    """
    document, lines = _load(path)
    if reasons := list(_head(document)):
        raise LockError(Defect(1, reason) for reason in reasons)
    platforms = document["metadata"]["platforms"]
    if platform not in platforms:
        raise CannotError(
            f"conda-lock.yml has no {platform}, only {', '.join(platforms)}",
            f"add {platform} under platforms: in environment.yml and run: python -m condaw lock",
        )
    packages, defects = [], []
    for entry, line in zip(document["package"], lines, strict=True):
        reasons = list(_shape(entry, platforms))
        defects += [Defect(line, reason) for reason in reasons]
        if not reasons and entry["platform"] == platform:
            texts = {key: entry[key] for key in ("manager", "name", "version", "platform", "url")}
            hashes = {"sha256": entry["hash"]["sha256"], "md5": entry["hash"].get("md5")}
            needs = entry.get("dependencies", {})
            packages.append(Package(**texts, **hashes, dependencies=needs, line=line))
    if defects or (defects := list(_check(packages, platform, list(channels)))):
        raise LockError(defects)
    return packages


def channel_urls(project: Project) -> list[str]:
    """The channels of environment.yml as URLs, without a slash at the end.

    Raises CannotError for one that no lock should be made from.
    """
    try:
        content = _loader(project.environment_yml).get_single_data()
        channels = [str(channel) for channel in content["channels"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        raise CannotError(
            "there is no environment.yml with a readable list of channels",
            "correct it, or restore it from version control",
        ) from None
    for channel in channels:
        for fault in url_faults(channel):
            raise CannotError(
                f"the channel {channel} in environment.yml {fault}",
                "write another there; passwords belong in netrc or in rattler's credential store",
            )
    named = [Channel(name) for name in channels if name != "nodefaults"]
    return [str(channel.base_url).rstrip("/") for channel in named]


def url_faults(url: str) -> Iterator[str]:
    """What makes `url`, or the name of a channel, unfit for a lock."""
    try:
        parts = urlsplit(url)
        Channel(url)
    except (ValueError, InvalidChannelError):
        yield "is not a URL that can be read"
        return
    if re.search(r"(^defaults|/pkgs/(main|r|msys2|free))(/|$)", url):
        yield "is `defaults`, whose terms need a licence: use conda-forge"
    if parts.scheme not in ("", "https", "http", "file"):
        yield f"has the scheme {parts.scheme!r}"
    if parts.scheme.startswith("http") and re.search(r"//[^/]*@|/t/|\$|\?.*token", url, re.I):
        yield "holds a password, a token or a variable for one"
    if parts.scheme == "http" and not _is_near(parts.hostname or ""):
        yield "is plain http, where https is due"


def _is_near(host: str) -> bool:
    """Whether `host` is this machine or in its own network (RFC 1918, 6761, 6762, 8375)."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))


def _load(path: Path) -> tuple[Any, list[int]]:
    """The document, and the line at which each entry of `package` begins."""
    try:
        loader = _loader(path)
        node = loader.get_single_node()
        document = loader.construct_document(node) if node else None
    except FileNotFoundError:
        raise CannotError("there is no conda-lock.yml", "run: python -m condaw lock") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise LockError([Defect(line, "it is not YAML that can be read")]) from None
    if node is None or not isinstance(document, dict):
        raise LockError([Defect(1, "it is not a mapping")])
    entries = next((value for key, value in node.value if key.value == "package"), None)
    nodes = entries.value if isinstance(entries, yaml.SequenceNode) else []
    if repeating := [n.start_mark.line + 1 for n in (node, *nodes) if _repeats(n)]:
        raise LockError(Defect(line, "the same field is there twice") for line in repeating)
    return document, [child.start_mark.line + 1 for child in nodes]


def _loader(path: Path) -> Loader:
    """A reader of `path`. Raises ValueError for text that could be nested too deeply for it."""
    text = path.read_text(encoding="utf-8")
    # A level of a block takes at least a column, one of a flow a bracket.
    brackets = text.replace("{}", "").replace("[]", "")
    if sum(map(brackets.count, "[{")) + max(map(len, text.split("\n"))) > DEEPEST:
        raise ValueError("too deep")
    return Loader(text)


def _repeats(node: yaml.Node) -> bool:
    """Whether a mapping, or one right in it, has a key twice: readers differ in which they see."""
    values = [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []
    mappings = [n.value for n in (node, *values) if isinstance(n, yaml.MappingNode)]
    return any(len({str(key.value) for key, _ in pairs}) < len(pairs) for pairs in mappings)


def _fields(
    value: object, required: Mapping[str, type], optional: Mapping[str, type]
) -> Iterator[str]:
    """What is wrong with the fields of a mapping: unknown, missing, of another type."""
    if not isinstance(value, dict):
        yield "it is not a mapping"
        return
    known = {**required, **optional}
    yield from (f"unknown field {key!r}" for key in value if key not in known)
    yield from (f"{key} is missing" for key in required if key not in value)
    for key, kind in known.items():
        if key in value and not isinstance(value[key], kind):
            yield f"{key} is not a {kind.__name__}"


def _head(document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with everything but the packages."""
    if document.get("version") != 1:
        yield "the version of its format is not 1"
        return
    reasons = list(_fields(document, DOCUMENT, {}))
    reasons = reasons or list(_fields(document["metadata"], METADATA, EXTRAS))
    yield from (f"metadata: {reason}" for reason in reasons)
    if reasons:
        return
    metadata = document["metadata"]
    if not all(isinstance(platform, str) for platform in metadata["platforms"]):
        yield "metadata: platforms are not names"
    if not all(_is_hex(value, "sha256") for value in metadata["content_hash"].values()):
        yield "metadata: content_hash is malformed"
    for channel in metadata["channels"]:
        reasons = list(_fields(channel, CHANNEL, {})) or list(url_faults(channel["url"]))
        if not reasons and channel["used_env_vars"]:
            reasons = ["used_env_vars: it needs a password or token"]
        yield from (f"metadata: a channel: {reason}" for reason in reasons)


def _shape(entry: Any, platforms: Sequence[str]) -> Iterator[str]:
    """What is wrong with one entry taken by itself."""
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


def _is_hex(value: object, algorithm: str) -> bool:
    digits = {"sha256": 64, "md5": 32}.get(algorithm, 0)
    return isinstance(value, str) and bool(re.fullmatch(f"[0-9a-f]{{{digits}}}", value))


def _check(packages: Sequence[Package], platform: str, channels: Sequence[str]) -> Iterator[Defect]:
    """Every rule that needs more than the shape of a single entry."""
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


def _closure(packages: Sequence[Package], names: set[str]) -> Iterator[Defect]:
    """Dependencies that are not in the lock, or not in the version that is needed.

    The latter is how a lock looks that was merged from two by lines.
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
    """Whether a conda package is what a dependency's `spec` asks for."""
    try:
        return MatchSpec(f"{package.name} {spec}").matches(package.record)
    except (InvalidMatchSpecError, InvalidVersionError):
        return False


def on_pypi(conda: Iterable[str]) -> set[str]:
    """The normalised names that the conda packages of these names have on PyPI."""
    pairs = json.loads(PYPI_NAMES.read_text(encoding="utf-8")).values()
    names: set[str] = {canonicalize_name(name) for name in conda}
    return names | {p["pypi_name"] for p in pairs if canonicalize_name(p["conda_name"]) in names}


def _conda(package: Package, platform: str, channels: Sequence[str]) -> Iterator[str]:
    """What is wrong with the name, version and URL of a conda package."""
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
    """What is wrong with the file of a PyPI package."""
    try:
        # The tags in a name multiply: a long one could hold thousands of millions.
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
    """The tags of wheels that CPython `python` takes (PEP 425); its platform is `here`."""
    version = [int(part) for part in re.findall(r"\d+", python)[:2]]
    interpreter = "cp" + "".join(map(str, version))
    specific = cpython_tags(version, [interpreter], ["here"])
    return {*specific, *compatible_tags(version, interpreter, ["here"])}
