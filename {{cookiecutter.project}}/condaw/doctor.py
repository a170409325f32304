"""A check of machine, cache, network, lock and environment that changes nothing.

The report can be shown to anybody: without passwords, tokens and the name of the home folder.
"""

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
from condaw.network import pip_config
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
    """Return everything worth knowing before asking for help, in the order of its need.

    Each check stands alone: what breaks one does not stop the rest.
    """
    found: list[Check] = []
    answers: list[Answer] = []
    for name, check in (
        ("condaw", _machine),
        ("cache", _cache),
        ("disk", _disk),
        ("index", _index),
        ("engine", _engine),
        ("lock", _lock_and_channels),
        ("clock", _clock),
        ("environment", _environment),
    ):
        try:
            found += check(project, answers)
        except CannotError as error:
            found.append(Check(name, False, error.cause, error.next_step))
    return [replace(c, text=_shown(c.text), next_step=_shown(c.next_step)) for c in found]


def _shown(text: str) -> str:
    try:
        return redacted(text).replace(str(Path.home()), "~")
    except RuntimeError:  # there is no home
        return redacted(text)


def _machine(project: Project, answers: list[Answer]) -> Iterator[Check]:
    """Describe this copy of condaw, its Python and the proxies; whether one works is seen later."""
    yield Check("condaw", True, f"{__version__} in {project.root}")
    python = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    yield Check("python", True, python)
    proxies = urllib.request.getproxies()
    direct = proxies.pop("no", "")
    text = ", ".join(f"{scheme} through {url}" for scheme, url in proxies.items()) or "none is set"
    yield Check("proxy", True, f"{text}; without it: {direct}" if direct else text)


def _cache(project: Project, answers: list[Answer]) -> Iterator[Check]:
    folder = cache_dir()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(nearest, os.W_OK):
        yield Check("cache", True, str(folder))
    else:
        next_step = "make it writable, or set CONDAW_CACHE to another folder"
        yield Check("cache", False, f"{folder} cannot be written", next_step)


def _disk(project: Project, answers: list[Answer]) -> Iterator[Check]:
    free = shutil.disk_usage(project.root).free
    next_step = "" if free > NEEDED else f"make room: {NEEDED // 1024**2} MB are needed"
    yield Check("disk", free > NEEDED, f"{free // 1024**2} MB free", next_step)


def _index(project: Project, answers: list[Answer]) -> Iterator[Check]:
    """Check pip's index if one is configured, else the host that the lock has its wheels from."""
    settings = pip_config.pip_settings()
    url = settings.get("index-url")
    if not url and project.lock_file.is_file():
        lock = project.lock_file.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"url: (https?://[^/\s]+/)\S+\.whl\b", lock)
        url = found[1] if found else None
    if url and "no-index" not in settings:
        yield _answered("index", ask(url, pip_config.certificates()), answers)


def _engine(project: Project, answers: list[Answer]) -> Iterator[Check]:
    if engine.importable(engine.ENGINE):
        yield Check("engine", True, "in this Python")
    elif (folder := engine.folder(engine.ENGINE)).is_dir():
        yield Check("engine", True, str(folder))
    else:
        yield Check("engine", False, "not fetched yet", "run: python -m condaw create")


def _lock_and_channels(project: Project, answers: list[Answer]) -> Iterator[Check]:
    if not engine.importable(engine.ENGINE) and not engine.folder(engine.ENGINE).is_dir():
        return  # without the engine, the lock cannot be read
    engine.load(engine.ENGINE)
    from condaw.lockfile import environment_yml, package, reader, satisfies
    from condaw.network import channels

    packages = reader.locked_packages(project)
    unmet = "; ".join(satisfies.unmet(project, packages))
    text = unmet or f"{len(packages)} packages for {package.this_platform()}"
    yield Check("lock", not unmet, text, "run: python -m condaw lock" if unmet else "")
    for url in environment_yml.channel_urls(project):
        place = f"{channels.fetched_from(url)}/noarch/repodata.json"
        yield _answered("channel", ask(place), answers)


def _answered(name: str, answer: Answer, answers: list[Answer]) -> Check:
    answers.append(answer)
    return Check(name, answer.ok, answer.text, answer.next_step)


def _clock(project: Project, answers: list[Answer]) -> Iterator[Check]:
    """Compare this machine's clock with those of the servers that answered."""
    ahead = [answer.ahead for answer in answers if answer.ahead is not None]
    off = min(ahead, key=abs, default=0.0)
    if ahead and abs(off) < SKEW:
        yield Check("clock", True, "the same as the servers'")
    elif ahead:
        text = f"{abs(off) / 60:.0f} minutes {'ahead of' if off > 0 else 'behind'} the servers'"
        yield Check("clock", False, text, "set this machine's clock")


def _environment(project: Project, answers: list[Answer]) -> Iterator[Check]:
    word, reason = state.state()
    next_step = "" if word == "ready" else "run: python -m condaw create"
    yield Check("environment", word == "ready", f"{word}: {reason}", next_step)
