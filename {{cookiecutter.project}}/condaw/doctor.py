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
from dataclasses import dataclass

from condaw import __version__, engine
from condaw.base.errors import CannotError, redacted, without_user
from condaw.base.project import Project, cache_dir
from condaw.environment import state
from condaw.network import pip_config, probe

FOLLOWED = ["index-url", "extra-index-url", "find-links", "no-index", "cert", "uploaded-prior-to"]
FOLLOWED += ["channel_alias", "custom_channels", "exclude_newer", "mirrors"]
NEEDED = 1024  # MB of free disk that an environment and the caches may take


@dataclass
class Check:
    """One thing that was checked. It is ok if there is no next step."""

    name: str
    text: str
    next_step: str = ""

    def __post_init__(self) -> None:
        home = os.path.expanduser("~")  # noqa: PTH111 - this one never fails
        self.text = redacted(self.text).replace(home, "~")
        self.next_step = redacted(self.next_step).replace(home, "~")
        self.ok = not self.next_step

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" + (f"; next: {self.next_step}" if self.next_step else "")


def examine(project: Project) -> list[Check]:
    """Return everything worth knowing before asking for help, in the order of its need. Each check
    stands alone: what breaks one does not stop the rest."""
    found: list[Check] = []
    for check in (_machine, _cache, _settings, _index, _engine, _lock, _channel, _environment):
        name = check.__name__.strip("_")
        try:
            found += check(project)
        except CannotError as error:
            found.append(Check(name, error.cause, error.next_step))
        except Exception as error:
            step = "correct what this names"
            if isinstance(error, ImportError):  # a part is missing, or the cache is mounted noexec
                step = "remove condaw's cache, or set CONDAW_CACHE to one where programs may run"
            found.append(Check(name, f"{type(error).__name__}: {error}", step))
    return found


def _machine(project: Project) -> Iterator[Check]:
    """Describe this copy of condaw and its machine; whether a proxy works is seen later."""
    yield Check("condaw", f"{__version__} in {project.root}")
    python = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    yield Check("python", python)
    proxies = urllib.request.getproxies()
    direct = proxies.pop("no", "")
    shown = [f"{scheme} through {without_user(url)}" for scheme, url in proxies.items()]
    text = ", ".join(shown) or "none is set"
    yield Check("proxy", f"{text}; without it: {direct}" if direct else text)
    free = shutil.disk_usage(project.root).free // 1024**2
    next_step = "" if free > NEEDED else f"make room: {NEEDED} MB are needed"
    yield Check("disk", f"{free} MB free", next_step)


def _cache(_: Project) -> Iterator[Check]:
    folder = cache_dir()
    # Of Path, exists() raises PermissionError in a folder of another user.
    exists = os.path.exists
    good = os.access(next(path for path in (folder, *folder.parents) if exists(path)), os.W_OK)
    step = "" if good else "make it writable, or set CONDAW_CACHE to another folder"
    yield Check("cache", str(folder) if good else f"{folder} cannot be written", step)


def _settings(_: Project) -> Iterator[Check]:
    """Name the settings of pip, conda and rattler that are in force, each with its place."""
    places = {name: place for name, (_, place) in pip_config.placed_settings().items()}
    if _fetched():
        engine.load(engine.ENGINE)
        from condaw.network import channels

        places |= {name: str(file) for name, (_, file) in channels.condarc().items()}
        for file in channels.config().loaded_from:
            places["mirrors"] = str(file)
    found = [f"{name} from {places[name]}" for name in FOLLOWED if name in places]
    yield Check("settings", ", ".join(found) or "none of pip, conda or rattler")


def _index(project: Project) -> Iterator[Check]:
    """Check pip's index if one is configured, else the host that the lock has its wheels from."""
    settings = pip_config.pip_settings()
    url = settings.get("index-url")
    if not url and project.lock_file.is_file():
        lock = project.lock_file.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"url: (https?://[^/\s]+/)\S+\.whl\b", lock)
        url = found[1] if found else None
    if url and "no-index" not in settings:
        yield Check("index", *probe.ask(url))


def _engine(_: Project) -> Iterator[Check]:
    place = "in this Python" if engine.importable(engine.ENGINE) else engine.folder(engine.ENGINE)
    missing = "" if _fetched() else "run: python -m condaw create"
    yield Check("engine", "not fetched yet" if missing else str(place), missing)


def _fetched() -> bool:
    """Return whether the engine is there: without it, nothing can read a lock or .condarc."""
    return engine.importable(engine.ENGINE) or engine.folder(engine.ENGINE).is_dir()


def _lock(project: Project) -> Iterator[Check]:
    if not _fetched():
        return
    engine.load(engine.ENGINE)
    from condaw.lockfile import package, reader, satisfies

    packages = reader.locked_packages(project)
    unmet = "; ".join(satisfies.unmet(project, packages))
    text = f"{len(packages)} packages for {package.this_platform()}"
    yield Check("lock", unmet or text, "run: python -m condaw lock" if unmet else "")


def _channel(project: Project) -> Iterator[Check]:
    if not _fetched():
        return
    from condaw.lockfile import environment_yml
    from condaw.network import channels

    for url in environment_yml.channel_urls(project):
        place = f"{channels.fetched_from(url)}/noarch/repodata.json"
        yield Check("channel", *probe.ask(place))


def _environment(_: Project) -> Iterator[Check]:
    word, reason = state.state()
    yield Check("environment", f"{word}: {reason}", state.next_step(word))
