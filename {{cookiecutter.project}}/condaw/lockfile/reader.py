"""conda-lock.yml (CEP 37) -> the packages of one platform, each of which passes every rule."""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import environment_yml, rules
from condaw.lockfile.package import Package, this_platform
from condaw.lockfile.rules import Defect


class LockError(CannotError):
    """A lock that breaks a rule; `defects` holds every reason."""

    def __init__(self, defects: Iterable[Defect]) -> None:
        self.defects = sorted(set(defects))
        reasons = [f"line {defect.line}: {defect.text}" for defect in self.defects]
        if len(reasons) > 3:
            reasons[3:] = [f"and {len(reasons) - 3} more"]
        self.reasons = "; ".join(reasons)
        next_step = "restore it from version control, or make it again: python -m condaw lock"
        super().__init__(f"conda-lock.yml is not acceptable: {self.reasons}", next_step)


def locked_packages(project: Project, platform: str | None = None) -> list[Package]:
    """Return what the project's lock holds for `platform`, or for this machine; see `read`."""
    urls = environment_yml.channel_urls(project)
    return read(project.lock_file, platform or this_platform(), urls)


def made_for(project: Project) -> tuple[list[str], list[str]]:
    """Return the channels that the project's lock is from, and its platforms."""
    metadata = _load(project.lock_file)[0]["metadata"]
    channels = metadata.get("channels") or ()
    urls = [str(each.get("url")) for each in channels if isinstance(each, dict)]
    return urls, metadata["platforms"]


def read(path: Path, platform: str, channels: Iterable[str]) -> list[Package]:
    """Return the packages that `path` locks for `platform`, each fit to be installed. `channels`
    are the URLs that conda packages may come from. Raises LockError with every defect of the file's
    form and of that platform's packages."""
    document, lines = _load(path, platform)
    platforms = document["metadata"]["platforms"]
    if platform not in platforms:
        cause = f"conda-lock.yml has no {platform}, only {', '.join(platforms)}"
        next_step = f"add {platform} under platforms: in environment.yml"
        raise CannotError(cause, f"{next_step} and run: python -m condaw lock")
    packages, defects = [], []
    categories: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for entry, line in zip(document["package"], lines, strict=True):
        reasons = list(rules.shape(entry, platforms))
        defects += [Defect(line, reason) for reason in reasons]
        if not reasons and entry["platform"] == platform:
            package, category = _package(entry, line), entry.get("category", "main")
            known = categories[package.manager, package.name, package.url, package.sha256]
            if not known or category in known:  # a package may be in several (CEP 37)
                packages.append(package)
            known.add(category)
    if defects or (defects := list(rules.check(packages, platform, list(channels)))):
        raise LockError(defects)
    return packages


def _package(entry: dict[str, Any], line: int) -> Package:
    texts = {key: entry[key] for key in ("manager", "name", "version", "platform", "url")}
    hashes = {"sha256": entry["hash"]["sha256"], "md5": entry["hash"].get("md5")}
    return Package(**texts, **hashes, dependencies=entry.get("dependencies", {}), line=line)


def _only(platform: str, text: str) -> str:
    """Return `text` with empty lines for other platforms' entries that look as conda-lock writes
    them, because YAML takes long."""
    others = {*re.findall(r"^  - (\S+)$", text, re.M)} - {platform}
    rest, names = r"(?:(?:  (?!platform:).*|#.*)?(?:\n|\Z))*", "|".join(map(re.escape, others))
    entry = rf"^- .*\n{rest}  platform: (?:{names})\n{rest}"
    ours = re.sub(entry, lambda found: "\n" * found[0].count("\n"), text, flags=re.M)
    return ours if re.search("^- ", ours, re.M) else text


def _load(path: Path, platform: str = "") -> tuple[Any, list[int]]:
    """Return the document, and the line at which each entry of `package` begins; with `platform`,
    without the entries of others."""
    try:
        text = path.read_text(encoding="utf-8")
        loader = yaml.CSafeLoader(_only(platform, text) if platform else text)
        node = loader.get_single_node()
        document = loader.construct_document(node) if node else None
    except FileNotFoundError:
        raise CannotError("there is no conda-lock.yml", "run: python -m condaw lock") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise LockError([Defect(line, "it cannot be read as YAML")]) from None
    if node is None or not isinstance(document, dict):
        raise LockError([Defect(1, "it is not a mapping")])
    if reasons := list(rules.head(document)):
        raise LockError(Defect(1, reason) for reason in reasons)
    entries = {key.value: value for key, value in node.value}["package"].value
    return document, [entry.start_mark.line + 1 for entry in entries]
