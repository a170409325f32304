"""The cooldown of `lock`: what was published a short while ago is not chosen."""

import contextlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from rattler import Gateway, PackageName, RepoDataRecord, Subdir

from condaw.base.errors import CannotError
from condaw.base.project import Project, table, toml
from condaw.lockfile.package import file_name
from condaw.network import channels, pip_config

SPAN = r"P?(?:(\d+) ?w(?:eeks?)?)? ?(?:(\d+) ?d(?:ays?)?)? ?T?(?:(\d+) ?h(?:ours?)?)?"
JSON = "application/vnd.pypi.simple.v1+json"


class Cooldown(NamedTuple):
    """What is too new: published after `cutoff`; None if nothing is."""

    cutoff: datetime | None
    packages: dict[str, datetime | None]  # those that have a cutoff of their own


def of(project: Project) -> Cooldown:
    """Return the cooldown of [tool.condaw], else of pip, uv or conda. Raises CannotError if a value
    is no time."""
    own = table(project, "tool", "condaw", "exclude-newer-package")
    for where, value, packages in _settings(project):
        if value is not None:
            rules = {**(packages if isinstance(packages, dict) else {}), **own}.items()
            times = {name: None if at is False else _time(where, at) for name, at in rules}
            return Cooldown(_time(where, value), times)
    return Cooldown(None, {})


def _settings(project: Project) -> Iterator[tuple[str, Any, Any]]:
    """Yield the places that may hold a cooldown, each with its value and its rules for packages."""
    yield "[tool.condaw]", table(project, "tool", "condaw").get("exclude-newer"), None
    yield "pip's configuration", pip_config.pip_settings().get("uploaded-prior-to"), None
    yield "UV_EXCLUDE_NEWER", os.environ.get("UV_EXCLUDE_NEWER"), None
    home = Path(os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or "~/.config")
    files = [home.expanduser() / "uv" / "uv.toml", Path("/etc/uv/uv.toml")]
    for uv in (table(project, "tool", "uv"), *map(toml, files)):
        yield "uv's configuration", uv.get("exclude-newer"), uv.get("exclude-newer-package")
    conda = {key: value for key, (value, _) in channels.condarc().items()}
    value = os.environ.get("CONDA_EXCLUDE_NEWER") or conda.get("exclude_newer")
    yield "conda's configuration", value, conda.get("exclude_newer_package")


def _time(where: str, value: object) -> datetime:
    """Return the time that `value` means: so long ago, or the end of that date."""
    text = str(value).strip()
    try:
        if text and (found := re.fullmatch(SPAN, text, re.IGNORECASE)):
            weeks, days, hours = (int(number or 0) for number in found.groups())
            return _now() - timedelta(weeks=weeks, days=days, hours=hours)
        time = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        time += timedelta(days=len(text) == len("2026-11-01"))
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        cause = f"exclude-newer in {where} is {text!r}, which is neither a time span nor a date"
        raise CannotError(cause, 'write it as in "7 days" or "2026-11-01"') from None


def _now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Exceptions:
    """What rattler's cutoff is not for, as one more source of records: those of packages with a
    cutoff of their own, and those in `kept`. They tell no time, which lets them pass."""

    rules: dict[str, datetime | None]
    records: list[RepoDataRecord]
    gateway: Gateway
    urls: Sequence[str]

    def package_names(self, platform: Subdir) -> list[str]:
        """Return the names, as rattler asks for them."""
        return [*self.rules, *(record.name.normalized for record in self.records)]

    async def fetch_package_records(
        self, platform: Subdir, name: PackageName
    ) -> list[RepoDataRecord]:
        """Return the records of a name, as rattler asks for them."""
        if (text := name.normalized) in self.rules:
            cutoff = self.rules[text]
            found = await self.gateway.query(self.urls, [platform], [text], recursive=False)
            for record in next(filter(None, found), []):
                time = record.indexed_timestamp or record.timestamp
                if not time or cutoff is None or time <= cutoff:
                    self.records.append(record)
        here = [r for r in self.records if (r.name, r.subdir) == (name, str(platform))]
        for record in here:
            record.indexed_timestamp = record.timestamp = None
        return here

    def untimed(self, solved: Sequence[RepoDataRecord]) -> set[str]:
        """Return the URLs of the channels that told no time for what was solved."""
        known = {record.url for record in self.records}
        records = [r for r in solved if not r.timestamp and not r.indexed_timestamp]
        return {str(record.channel) for record in records if record.url not in known}


@contextlib.contextmanager
def on_indexes(rules: Cooldown, kept: Collection[str]) -> Iterator[set[str]]:
    """Let conda-lock not see those files of package indexes that are too new, unless their URLs are
    in `kept`. Yields a set that gets the URLs of indexes that tell no times. Source: PEP 700."""
    from conda_lock._vendor.poetry.repositories.legacy_repository import LegacyRepository

    untimed: set[str] = set()
    names = set(map(file_name, kept))
    packages = {canonicalize_name(name): cutoff for name, cutoff in rules.packages.items()}
    get_page = LegacyRepository._get_page

    def page(index: LegacyRepository, name: Any) -> Any:
        found = get_page(index, name)
        if (cutoff := packages.get(name, rules.cutoff)) is None:
            return found
        answer = index.session.get(found.url, headers={"Accept": JSON})
        is_json = JSON in answer.headers.get("Content-Type", "")
        files = answer.json()["files"] if is_json else []
        times = {file["filename"]: file.get("upload-time") for file in files}
        if not times or not all(times.values()):
            untimed.add(str(index.url))
        late = {file for file, at in times.items() if at and _time(str(index.url), at) > cutoff}
        links = [(link, file_name(link.get("href") or "")) for link in found._parsed]
        found._parsed = [link for link, file in links if file in names or file not in late]
        return found

    LegacyRepository._get_page = page  # type: ignore[assignment,method-assign]
    try:
        yield untimed
    finally:
        LegacyRepository._get_page = get_page  # type: ignore[method-assign]
