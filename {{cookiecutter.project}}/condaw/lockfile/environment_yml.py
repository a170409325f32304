"""environment.yml: the channels and the direct dependencies that it asks for (CEP 24)."""

import re
from typing import Any

import yaml
from rattler import Channel

from condaw.base.errors import CannotError
from condaw.base.project import Project
from condaw.lockfile.rules import url_faults

SELECTOR = re.compile(r"(?m)^.*#.*\[[^\[\]]+\].*$")
"""A line for some platforms only, such as `- pywin32 # [win]`, as conda-lock has it."""


def channel_urls(project: Project) -> list[str]:
    """Return the channels' URLs, without a slash at the end, if a lock may be made from all."""
    try:
        channels = [str(channel) for channel in _content(project)["channels"]]
    except (KeyError, TypeError):
        next_step = "write one, such as: channels: [conda-forge]"
        raise CannotError("environment.yml has no list of channels", next_step) from None
    for channel in channels:
        for fault in url_faults(channel):
            next_step = "name another channel; passwords belong in netrc or rattler's own store"
            raise CannotError(f"the channel {channel} in environment.yml {fault}", next_step)
    named = [Channel(name) for name in channels if name != "nodefaults"]
    return [str(channel.base_url).rstrip("/") for channel in named]


def dependencies(project: Project) -> tuple[list[str], list[str]]:
    """Return the conda specs and the `pip:` requirements that hold for every platform."""
    entries = _content(project).get("dependencies")
    entries = entries if isinstance(entries, list) else []
    pip = [entry.get("pip") for entry in entries if isinstance(entry, dict)]
    requirements = [str(line) for lines in pip if isinstance(lines, list) for line in lines]
    return [entry for entry in entries if isinstance(entry, str)], requirements


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
