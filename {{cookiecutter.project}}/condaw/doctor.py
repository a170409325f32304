"""A look at machine, cache, network, lock and environment that changes nothing.

What it says can be shown to anybody: without passwords, tokens and the name of the home folder.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from condaw import __version__, engine, indexes, stamp
from condaw.outcome import CannotError, redacted
from condaw.project import Project, cache_dir
from condaw.reach import Answer, ask

NEEDED = 1024**3
"""Bytes of free disk that an environment and the caches may take."""
SKEW = 300
"""Seconds by which a clock may be wrong before certificates and tokens suffer."""


@dataclass(frozen=True)
class Check:
    """One thing looked at; `advice` says what to do where it is not ok."""

    name: str
    ok: bool
    text: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f"; next: {self.advice}" if self.advice else "")

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def examine(project: Project) -> list[Check]:
    """Everything worth knowing before asking for help, in the order in which it is needed."""
    return [replace(c, text=_shown(c.text), advice=_shown(c.advice)) for c in _all(project)]


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
    yield _environment(project)


def _python() -> Check:
    text = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    ok = sys.version_info >= (3, 10)
    return Check("python", ok, text, "" if ok else "run condaw with Python 3.10 or later")


def _cache() -> Check:
    try:
        folder = cache_dir()
    except CannotError as error:
        return Check("cache", False, error.cause, error.next_step)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        return Check("cache", True, str(folder))
    advice = "make it writable, or set CONDAW_CACHE to another folder"
    return Check("cache", False, f"{folder} cannot be written", advice)


def _disk(project: Project) -> Check:
    free = shutil.disk_usage(project.root).free
    advice = "" if free > NEEDED else f"make room: {NEEDED // 1024**2} MB are wanted"
    return Check("disk", free > NEEDED, f"{free // 1024**2} MB free", advice)


def _proxies() -> Check:
    """Those that are set; whether one works is seen where it is used."""
    found = urllib.request.getproxies()
    direct = found.pop("no", "")
    text = ", ".join(f"{scheme} through {url}" for scheme, url in found.items()) or "none is set"
    return Check("proxy", True, f"{text}; without it: {direct}" if direct else text)


def _index(project: Project, answers: list[Answer]) -> Iterator[Check]:
    """pip's index if one is configured, else the host that the lock has its wheels from."""
    try:
        settings = indexes.pip_settings()
    except CannotError as error:
        yield Check("index", False, error.cause, error.next_step)
        return
    url = settings.get("index-url")
    if not url and project.lock_file.is_file():
        lock = project.lock_file.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"url: (https?://[^/\s]+/)\S+\.whl\b", lock)
        url = found[1] if found else None
    if url and "no-index" not in settings:
        yield _answered("index", ask(url, settings.get("cert")), answers)


def _engine() -> Check:
    if engine.importable(engine.ENGINE):
        return Check("engine", True, "in this Python")
    try:
        folder = engine.folder(engine.ENGINE)
    except CannotError as error:
        return Check("engine", False, error.cause, error.next_step)
    if folder.is_dir():
        return Check("engine", True, str(folder))
    return Check("engine", False, "not fetched yet", "run: python -m condaw create")


def _lock_and_channels(project: Project, answers: list[Answer]) -> Iterator[Check]:
    from condaw import lock, network, specs

    try:
        channels = lock.channel_urls(project)
        packages = lock.read(project.lock_file, lock.this_platform(), channels)
    except CannotError as error:
        yield Check("lock", False, error.cause, error.next_step)
        return
    unmet = "; ".join(specs.unmet(project, packages))
    text = unmet or f"{len(packages)} packages for {lock.this_platform()}"
    yield Check("lock", not unmet, text, "run: python -m condaw lock" if unmet else "")
    for channel in channels:
        place = f"{network.fetched_from(channel)}/noarch/repodata.json"
        yield _answered("channel", ask(place), answers)


def _answered(name: str, answer: Answer, answers: list[Answer]) -> Check:
    answers.append(answer)
    return Check(name, answer.ok, answer.text, answer.advice)


def _clock(answers: list[Answer]) -> Iterator[Check]:
    """This machine's clock against those of the servers that answered."""
    ahead = [answer.ahead for answer in answers if answer.ahead is not None]
    if not ahead:
        return
    off = min(ahead, key=abs)
    if abs(off) < SKEW:
        yield Check("clock", True, "as the servers have it")
    else:
        text = f"{abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'} the servers'"
        yield Check("clock", False, text, "set this machine's clock")


def _environment(project: Project) -> Check:
    state, reason = stamp.state(project.root)
    advice = "" if state == "ready" else "run: python -m condaw create"
    return Check("environment", state == "ready", f"{state}: {reason}", advice)
