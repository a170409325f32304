"""A check of machine, cache, network, lock and environment that changes nothing.

The report can be shown to anybody: without passwords, tokens and the name of the home folder.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from condaw import __version__, engine
from condaw.base.errors import CannotError, redacted
from condaw.base.project import Project, cache_dir
from condaw.environment import state
from condaw.network import pip_config, trust
from condaw.network.probe import Answer, ask

NEEDED = 1024**3
"""Bytes of free disk that an environment and the caches may take."""
SKEW = 300
"""Seconds by which a clock may be wrong before certificates and tokens suffer."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    name: str
    ok: bool
    text: str
    next_step: str = ""
    """What to do if it is not ok."""

    def __str__(self) -> str:
        """Return the check as one line."""
        return f"{self.name}: {self.text}" + (f"; next: {self.next_step}" if self.next_step else "")


def examine(project: Project) -> list[Check]:
    """Return everything worth knowing before asking for help, in the order of its need."""
    return [replace(c, text=_shown(c.text), next_step=_shown(c.next_step)) for c in _all(project)]


def _shown(text: str) -> str:
    try:
        return redacted(text).replace(str(Path.home()), "~")
    except RuntimeError:  # there is no home
        return redacted(text)


def _all(project: Project) -> Iterator[Check]:
    answers: list[Answer] = []
    yield Check("condaw", True, f"{__version__} in {project.root}")
    yield _python()
    yield _cache()
    yield _disk(project)
    yield _proxies()
    yield from _index(project, answers)
    here = _engine()
    yield here
    if here.ok:
        engine.load(engine.ENGINE)
        yield from _lock_and_channels(project, answers)
    yield from _clock(answers)
    yield _environment()


def _python() -> Check:
    text = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    return Check("python", True, text)


def _cache() -> Check:
    try:
        folder = cache_dir()
    except CannotError as error:
        return _failed("cache", error)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return Check("cache", True, str(folder))
    next_step = "make it writable, or set CONDAW_CACHE to another folder"
    return Check("cache", False, f"{folder} cannot be written", next_step)


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free
    next_step = "" if free > NEEDED else f"make room: {NEEDED // 1024**2} MB are needed"
    return Check("disk", free > NEEDED, f"{free // 1024**2} MB free", next_step)


def _proxies() -> Check:
    """Return those that are set; whether one works is seen where it is used."""
    found = urllib.request.getproxies()
    direct = found.pop("no", "")
    text = ", ".join(f"{scheme} through {url}" for scheme, url in found.items()) or "none is set"
    return Check("proxy", True, f"{text}; without it: {direct}" if direct else text)


def _index(project: Project, answers: list[Answer]) -> Iterator[Check]:
    """Check pip's index if one is configured, else the host that the lock has its wheels from."""
    try:
        settings = pip_config.pip_settings()
    except CannotError as error:
        yield _failed("index", error)
        return
    url = settings.get("index-url")
    if not url and project.lock_file.is_file():
        lock = project.lock_file.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"url: (https?://[^/\s]+/)\S+\.whl\b", lock)
        url = found[1] if found else None
    if url and "no-index" not in settings:
        yield _answered("index", ask(url, trust.certificates()), answers)


def _engine() -> Check:
    if engine.importable(engine.ENGINE):
        return Check("engine", True, "in this Python")
    try:
        folder = engine.folder(engine.ENGINE)
    except CannotError as error:
        return _failed("engine", error)
    if folder.is_dir():
        return Check("engine", True, str(folder))
    return Check("engine", False, "not fetched yet", "run: python -m condaw create")


def _lock_and_channels(project: Project, answers: list[Answer]) -> Iterator[Check]:
    from condaw.lockfile import environment_yml, package, reader, satisfies
    from condaw.network import channels

    try:
        urls = environment_yml.channel_urls(project)
        packages = reader.read(project.lock_file, package.this_platform(), urls)
    except CannotError as error:
        yield _failed("lock", error)
        return
    unmet = "; ".join(satisfies.unmet(project, packages))
    text = unmet or f"{len(packages)} packages for {package.this_platform()}"
    yield Check("lock", not unmet, text, "run: python -m condaw lock" if unmet else "")
    for url in urls:
        place = f"{channels.fetched_from(url)}/noarch/repodata.json"
        yield _answered("channel", ask(place), answers)


def _failed(name: str, error: CannotError) -> Check:
    return Check(name, False, error.cause, error.next_step)


def _answered(name: str, answer: Answer, answers: list[Answer]) -> Check:
    answers.append(answer)
    return Check(name, answer.ok, answer.text, answer.next_step)


def _clock(answers: list[Answer]) -> Iterator[Check]:
    """Compare this machine's clock with those of the servers that answered."""
    ahead = [answer.ahead for answer in answers if answer.ahead is not None]
    if not ahead:
        return
    off = min(ahead, key=abs)
    if abs(off) < SKEW:
        yield Check("clock", True, "the same as the servers'")
    else:
        text = f"{abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'} the servers'"
        yield Check("clock", False, text, "set this machine's clock")


def _environment() -> Check:
    word, reason = state.state()
    next_step = "" if word == "ready" else "run: python -m condaw create"
    return Check("environment", word == "ready", f"{word}: {reason}", next_step)
