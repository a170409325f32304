"""environment.yml: the channels and the direct dependencies that it asks for (CEP 24)."""

import re
from typing import Any, NamedTuple

import yaml
from rattler import Channel

from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile.rules import url_faults

SELECTOR = re.compile(r"(?m)^.*#.*\[[^\[\]]+\].*$")
"""A line for some platforms only, such as `- pywin32 # [win]`, as conda-lock has it."""


class Dependencies(NamedTuple):
    """What environment.yml asks for on every platform."""

    conda: list[str]
    """Specs, such as `python==3.13.5`."""
    pip: list[str]
    """Requirements (PEP 508)."""


def channel_urls(project: Project) -> list[str]:
    """Return the channels of environment.yml as URLs, without a slash at the end.

    Raises CannotError if it cannot be read, or has a channel that no lock should be made from.
    """
    try:
        channels = [str(channel) for channel in _content(project)["channels"]]
    except (KeyError, TypeError):
        next_step = "write one, such as: channels: [conda-forge]"
        raise CannotError("environment.yml has no list of channels", next_step) from None
    for channel in channels:
        for fault in url_faults(channel):
            raise CannotError(
                f"the channel {channel} in environment.yml {fault}",
                "use another; passwords belong in netrc or in rattler's credential store",
            )
    named = [Channel(name) for name in channels if name != "nodefaults"]
    return [str(channel.base_url).rstrip("/") for channel in named]


def dependencies(project: Project) -> Dependencies:
    """Return what environment.yml asks for. Raises CannotError if it cannot be read."""
    found = Dependencies([], [])
    entries = _content(project).get("dependencies")
    for entry in entries if isinstance(entries, list) else ():
        wheels = entry.get("pip") if isinstance(entry, dict) else None
        if isinstance(entry, str):
            found.conda.append(entry)
        found.pip.extend(map(str, wheels if isinstance(wheels, list) else ()))
    return found


def _content(project: Project) -> dict[str, Any]:
    next_step = "correct it, or restore it from version control"
    try:
        text = project.environment_yml.read_text(encoding="utf-8")
        content = yaml.safe_load(SELECTOR.sub("", text))
    except OSError as error:
        cause = f"environment.yml cannot be read: {error.strerror}"
        raise CannotError(cause, next_step) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise CannotError(f"environment.yml{where} cannot be read as YAML", next_step) from None
    if not isinstance(content, dict):
        raise CannotError("environment.yml is not a mapping", next_step)
    return content
