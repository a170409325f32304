"""A check of machine, cache, network, lock and environment that changes nothing.

The report can be shown to anybody: without passwords, tokens and the name of the home folder.
"""

import os
import platform
import re
import sys
import urllib.request
from collections.abc import Iterator

from condaw import __version__, engine
from condaw.base.errors import CannotError, without_user
from condaw.base.project import Project, cache_dir
from condaw.environment import state
from condaw.network import pip_config, probe

FOLLOWED = ["index-url", "extra-index-url", "find-links", "no-index", "cert", "uploaded-prior-to"]
FOLLOWED += ["channel_alias", "custom_channels", "exclude_newer", "mirrors"]

Check = tuple[str, str, str]  # what was checked, what was found, and the next step, if any


def examine() -> Iterator[Check]:
    """Yield what is worth knowing before asking for help. What breaks one check stops no other."""
    home = os.path.expanduser("~")  # noqa: PTH111 - this one never fails
    checks = (_machine, _cache, _settings, _index, _engine, _lock, _channel, _environment)
    for check in checks:
        name, found = check.__name__.strip("_"), list[Check]()
        try:
            found += check(Project())
        except CannotError as error:
            found.append((name, error.cause, error.next_step))
        except Exception as error:
            step = "correct what this names"
            if isinstance(error, ImportError):  # a part is missing, or the cache is mounted noexec
                step = "remove condaw's cache, or set CONDAW_CACHE to one where programs may run"
            found.append((name, f"{type(error).__name__}: {error}", step))
        for name, text, step in found:
            yield name, text.replace(home, "~"), step.replace(home, "~")


def _machine(project: Project) -> Iterator[Check]:
    """Describe this copy of condaw and its machine; whether a proxy works is seen later."""
    yield "condaw", f"{__version__} in {project.root}", ""
    where = f"{platform.python_version()} at {sys.executable}, {platform.platform()}"
    yield "python", where, ""
    proxies = urllib.request.getproxies().items()
    shown = [f"{kind} through {without_user(url)}" for kind, url in proxies if kind != "no"]
    yield "proxy", ", ".join(shown) or "none is set", ""


def _cache(_: Project) -> Iterator[Check]:
    folder = cache_dir()
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    good = os.access(there, os.W_OK)
    step = "" if good else "make it writable, or set CONDAW_CACHE to another folder"
    yield "cache", str(folder) if good else f"{folder} cannot be written", step


def _settings(_: Project) -> Iterator[Check]:
    """Name the settings of pip, conda and rattler that are in force, each with its place."""
    places = {name: place for name, (_, place) in pip_config.placed_settings().items()}
    if _loaded():
        from condaw.network import channels

        places |= {name: str(file) for name, (_, file) in channels.condarc().items()}
        for file in channels.config().loaded_from:
            places["mirrors"] = str(file)
    found = [f"{name} from {places[name]}" for name in FOLLOWED if name in places]
    yield "settings", ", ".join(found) or "none of pip, conda or rattler", ""


def _index(project: Project) -> Iterator[Check]:
    """Check pip's index if one is configured, else the host that the lock has its wheels from."""
    settings = pip_config.pip_settings()
    url = settings.get("index-url")
    if not url and project.lock_file.is_file():
        lock = project.lock_file.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"url: (https?://[^/\s]+/)\S+\.whl\b", lock)
        url = found[1] if found else None
    if url and "no-index" not in settings:
        yield "index", *probe.ask(url)


def _engine(_: Project) -> Iterator[Check]:
    place = "in this Python" if engine.importable(engine.ENGINE) else engine.folder(engine.ENGINE)
    step = "" if _loaded() else "run: python -m condaw create"
    yield "engine", "not fetched yet" if step else str(place), step


def _loaded() -> bool:
    """Load the engine if it is there; return False if not: nothing can read a lock or .condarc."""
    if there := engine.importable(engine.ENGINE) or engine.folder(engine.ENGINE).is_dir():
        engine.load(engine.ENGINE)
    return there


def _lock(project: Project) -> Iterator[Check]:
    if not _loaded():
        return
    from condaw.lockfile import package, reader, satisfies

    packages = reader.locked_packages(project)
    unmet = "; ".join(satisfies.unmet(project, packages))
    text = f"{len(packages)} packages for {package.this_platform()}"
    yield "lock", unmet or text, "run: python -m condaw lock" if unmet else ""


def _channel(project: Project) -> Iterator[Check]:
    if not _loaded():
        return
    from condaw.lockfile import environment_yml
    from condaw.network import channels

    for url in environment_yml.channel_urls(project):
        yield "channel", *probe.ask(f"{channels.fetched_from(url)}/noarch/repodata.json")


def _environment(_: Project) -> Iterator[Check]:
    word, reason = state.state()
    yield "environment", f"{word}: {reason}", state.next_step(word)
