"""Edits of environment.yml, each solved before it is written; every other character stays."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name
from rattler import Version

from condaw.base import layout
from condaw.base.console import note, warn
from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile import diff, environment_yml, satisfies, solve
from condaw.lockfile.environment_yml import Entry
from condaw.lockfile.rules import on_pypi
from condaw.network import channels

BARE = re.compile(r"(?:[^\s:]+::)?[\w.-]+(?:\[[\w., -]+\])?")
EXACT = re.compile(rf"({BARE.pattern})\s*==\s*([\w.!+-]+)(\s*;.*)?")
Limited = Callable[[Entry, str], str]


def pin(project: Project) -> str:
    """Lock, and write the exact version of each direct conda dependency, the newest that all
    platforms have. Leave out platforms for which the channels have no python."""
    text, nodes = environment_yml.read(project)
    urls = environment_yml.channel_urls(project)
    asked = environment_yml.items(nodes, "platforms", "[linux-64]")
    gone = [node for node in asked if not channels.has_python(urls, str(node.value))]
    if len(gone) == len(asked):
        cause = f"no platform of environment.yml has a python in {', '.join(urls)}"
        next_step = "correct channels: in environment.yml, and run: python -m condaw lock --pin"
        raise CannotError(cause, next_step)
    for node in gone:
        warn(f"{node.value} is left out: {', '.join(urls)} has no python for it")

    text = _without(text, map(environment_yml.span, gone))
    return _settled(project, text, lambda entry: entry.manager == "conda")


def upgrade(project: Project) -> str:
    """Lock everything anew, and move each exact version in environment.yml up to the newest that
    solves on all platforms, within what pyproject.toml asks for. Python stays in its series."""
    own = [line for line in satisfies.own(project) if not line.marker]
    bounds = {str(canonicalize_name(line.name)): str(line.specifier) for line in own}

    def limited(entry: Entry, found: str) -> str:
        name, version, marker = EXACT.fullmatch(entry.spec).groups("")  # type: ignore[union-attr]
        names = on_pypi([entry.name]) if entry.manager == "conda" else {entry.name}
        limits = [f">={version}", *(bounds[each] for each in bounds.keys() & names)]
        if entry.name == "python" and (series := re.match(r"3\.(\d+)", version)):
            limits.append(f"<3.{int(series[1]) + 1}.0a0")
        limits.append(f"<={found}" if found else "")
        return name + ",".join(filter(None, limits)) + marker

    text, _ = environment_yml.read(project)
    return _settled(project, text, lambda entry: EXACT.fullmatch(entry.spec), limited)


def add(project: Project, specs: Sequence[str], *, pip: bool) -> str:
    """Add direct dependencies, with the version that was solved if they come without, and lock."""
    text, _ = environment_yml.read(project)
    known = environment_yml.entries(project)
    wanted = {name[0].lower() for spec in specs if (name := BARE.match(spec))}
    if there := sorted(wanted & {entry.name for entry in known}):
        cause = f"{', '.join(there)} is in environment.yml already"
        raise CannotError(cause, "change its line there, and run: python -m condaw lock")
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text if text.endswith("\n") else text + newline
    neighbours = [entry for entry in known if entry.manager == ("pip" if pip else "conda")]
    last = (neighbours or known)[-1]
    start, end = _lines(text, last.start, last.end)
    before = text[start : last.start]
    lines = [f"{before}{spec}" for spec in specs]
    if not neighbours:
        lines = [f"{before}pip:", *(f"{' ' * len(before)}  - {spec}" for spec in specs)]
    names = {(entry.manager, entry.name) for entry in known}

    text = text[:end] + "".join(f"{line}{newline}" for line in lines) + text[end:]
    return _settled(project, text, lambda e: e[:2] not in names and BARE.fullmatch(e.spec))


def remove(project: Project, names: Sequence[str], *, pip: bool) -> str:
    """Remove direct dependencies, with `pip` only those on PyPI, and what nothing else needs."""
    text, nodes = environment_yml.read(project)
    wanted = {canonicalize_name(name) for name in names}
    known = [e for e in environment_yml.entries(project) if e.manager == "pip" or not pip]
    gone = [entry for entry in known if canonicalize_name(entry.name) in wanted]
    if unknown := sorted(wanted - {canonicalize_name(entry.name) for entry in gone}):
        cause = f"{', '.join(unknown)} is not asked for in environment.yml"
        raise CannotError(cause, "name what is there; something else may need it")
    spans = {(entry.start, entry.end) for entry in gone}
    for item in nodes["dependencies"].value:
        for _, lines in item.value if isinstance(item, yaml.MappingNode) else ():
            inner = set(map(environment_yml.span, lines.value))
            if inner and inner <= spans:  # nothing is left of `- pip:`
                spans = spans - inner | {(item.start_mark.index, max(inner)[1])}
    return _settled(project, _without(text, spans), lambda entry: False)


def _settled(
    project: Project,
    text: str,
    chosen: Callable[[Entry], object],
    limited: Limited | None = None,
) -> str:
    """Solve `text` in the place of environment.yml. Write it with the solved version of each chosen
    dependency, and the lock; or nothing. For `limited` see `_solved`."""
    before = solve.parse(project.lock_file).package if project.lock_file.exists() else []
    draft = Project(project.root)
    with tempfile.TemporaryDirectory() as folder:
        draft.environment_yml = Path(folder, layout.ENVIRONMENT)
        draft.lock_file = Path(folder, layout.LOCK)
        draft.environment_yml.write_bytes(text.encode())
        if before:
            shutil.copyfile(project.lock_file, draft.lock_file)
        entries = [e for e in environment_yml.entries(draft) if not e.selector and chosen(e)]
        versions = _solved(draft, text, entries, limited)
        specs = {entry: _exact(entry, version) for entry, version in versions.items()}
        draft.environment_yml.write_bytes(_replaced(text, specs).encode())
        solve.relock(draft)
        after = solve.parse(draft.lock_file).package
        shutil.copyfile(draft.lock_file, project.lock_file)
        shutil.copyfile(draft.environment_yml, project.environment_yml)
    for entry, spec in specs.items():
        if EXACT.fullmatch(entry.spec) and spec != entry.spec:
            note(f"environment.yml: {entry.spec} -> {spec}")
    return diff.text(before, after)


def _solved(
    draft: Project, text: str, entries: Sequence[Entry], limited: Limited | None
) -> dict[Entry, str]:
    """Solve until each of `entries` has one version on all platforms, and return these. `limited`
    gives what to ask for instead, up to the version found before; with it, everything may move."""
    specs = {entry: limited(entry, "") if limited else entry.spec for entry in entries}
    while True:
        draft.environment_yml.write_bytes(_replaced(text, specs).encode())
        solve.relock(draft, upgrade=bool(limited))
        locked = [(e.manager, e.name, e.version) for e in solve.parse(draft.lock_file).package]
        found = {e: {v for manager, name, v in locked if (manager, name) == e[:2]} for e in entries}
        lowest = {entry: min(each, key=Version) for entry, each in found.items() if each}
        if all(len(each) < 2 for each in found.values()):
            return lowest
        specs |= {entry: (limited or _exact)(entry, version) for entry, version in lowest.items()}


def _exact(entry: Entry, version: str) -> str:
    """Return the entry's text with this version, whatever it asked for."""
    name, marker = BARE.match(entry.spec), entry.spec.partition(";")[2]
    return f"{name and name[0]}=={version}{';' if marker else ''}{marker}"


def _replaced(text: str, specs: Mapping[Entry, str]) -> str:
    for entry in sorted(specs, key=lambda entry: entry.start, reverse=True):
        quoted = text[entry.start] in "'\"" or "," in specs[entry]
        spec = json.dumps(specs[entry]) if quoted else specs[entry]
        text = text[: entry.start] + spec + text[entry.end :]
    return text


def _without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Return the text without the lines of these items of lists."""
    for span in sorted(spans, reverse=True):
        start, end = _lines(text, *span)
        text = text[:start] + text[end:]
    return text


def _lines(text: str, start: int, end: int) -> tuple[int, int]:
    """Return where the lines of an item of a list begin and end. Raises CannotError if it is not on
    lines of its own."""
    first, last = text.rfind("\n", 0, start) + 1, (text.find("\n", end) + 1) or len(text)
    if text[first:start].strip() != "-":
        cause = "the list in environment.yml does not have each item on a line of its own"
        raise CannotError(cause, "write it so, or change it by hand")
    return first, last
