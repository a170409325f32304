"""A look at machine, cache, lock, channels and environment that changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from condaw import engine, stamp
from condaw.outcome import CannotError
from condaw.project import Project, cache_dir

NEEDED = 1024**3
"""Bytes of free disk that an environment and the caches may take."""
PATIENCE = 10
"""Seconds that a channel has to answer."""


@dataclass(frozen=True)
class Check:
    """One thing looked at; `advice` says what to do where it is not ok."""

    name: str
    ok: bool
    text: str
    advice: str = ""

    def __str__(self) -> str:
        word = "ok  " if self.ok else "FAIL"
        return f"{word} {self.name}: {self.text}" + (f" -> {self.advice}" if self.advice else "")

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def examine(project: Project) -> list[Check]:
    """Everything worth knowing before asking for help, in the order in which it is needed."""
    checks = [_python(), _cache(), *_disk(project)]
    here = _engine()
    checks.append(here)
    if here.ok:
        engine.load(engine.ENGINE)
        checks += _lock_and_channels(project)
    return [*checks, _environment(project)]


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


def _disk(project: Project) -> Iterator[Check]:
    free = shutil.disk_usage(project.root).free
    advice = "" if free > NEEDED else f"make room: {NEEDED // 1024**2} MB are wanted"
    yield Check("disk", free > NEEDED, f"{free // 1024**2} MB free", advice)


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


def _lock_and_channels(project: Project) -> Iterator[Check]:
    from condaw import install, lock

    try:
        channels = lock.channel_urls(project)
        packages = lock.read(project.lock_file, install.this_platform(), channels)
    except CannotError as error:
        yield Check("lock", False, error.cause, error.next_step)
        return
    yield Check("lock", True, f"{len(packages)} packages for {install.this_platform()}")
    for channel in channels:
        yield _channel(channel)


def _channel(url: str) -> Check:
    """Whether the channel, or the mirror configured for it, answers at all."""
    from condaw.network import fetched_from

    place = fetched_from(url)
    try:
        with urllib.request.urlopen(  # noqa: S310 - http, https or file, by lock.channel_urls
            f"{place}/noarch/repodata.json", timeout=PATIENCE
        ):
            return Check("channel", True, f"{place} answers")
    except urllib.error.HTTPError as error:
        if error.code < 500:  # it may want a password, or offer the index in another form
            return Check("channel", True, f"{place} answers, with HTTP {error.code}")
        reason: object = error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
    advice = "check the network and the proxy; with cached packages `create` works without"
    return Check("channel", False, f"{place} does not answer: {reason}", advice)


def _environment(project: Project) -> Check:
    state, reason = stamp.state(project)
    advice = "" if state == "ready" else "run: python -m condaw create"
    return Check("environment", state == "ready", f"{state}: {reason}", advice)
