"""How channels are reached: rattler's client, with what the user has configured already."""

from __future__ import annotations

import base64
import functools
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from rattler import Channel, Client, Config
from rattler.exceptions import ConfigError, InvalidChannelError
from rattler.networking import middleware

from condaw.outcome import CannotError

TIMEOUT = 3600
"""Seconds that one request may take in all, a large package on a slow line among them."""
DOWNLOADS = 16
"""Packages that are fetched at the same time. More take memory, and are no quicker."""


@functools.cache
def config() -> Config:
    """rattler's own configuration files: mirrors, proxies, TLS roots, credential store."""
    try:
        return Config.load_from_default_locations("rattler")
    except ConfigError as error:
        raise CannotError(f"rattler's config.toml cannot be read: {error}", "correct it") from None


def limits() -> Config:
    """For an installation: how much at once, by default or by the user's wish. No more of what the
    user has configured, which could be to run post-link scripts."""
    number = min(config().concurrency_downloads, DOWNLOADS)
    return Config.from_toml(f"[concurrency]\ndownloads = {number}\n")


@functools.cache
def client() -> Client:
    """A client that follows `config` and .condarc, tries again, and does not wait for ever."""
    options: dict[str, Any] = {"user_agent": "condaw", "timeout": TIMEOUT}
    if not (found := mirrors()):
        return Client.from_config(config(), max_retries=3, **options)
    # `from_config` would give the mirror the credentials of the host that it stands for.
    if store := config().authentication_override_file:
        os.environ.setdefault("RATTLER_AUTH_FILE", str(store))
    bare = {public: [_without_password(url) for url in urls] for public, urls in found.items()}
    headers = {urlsplit(url).hostname: _basic(url) for urls in found.values() for url in urls}
    return Client(
        [
            middleware.RetryMiddleware(3),
            middleware.MirrorMiddleware(bare),
            middleware.AddHeadersMiddleware(lambda host, path: headers.get(host)),
            middleware.AuthenticationMiddleware(),
            middleware.OciMiddleware(),
        ],
        **options,
    )


def mirrors() -> dict[str, list[str]]:
    """Where to fetch instead of a public URL: as rattler has it, else as conda has it."""
    found = {}
    settings = _condarc()
    public = str(Channel("any").base_url).removesuffix("any/")
    if alias := os.environ.get("CONDA_CHANNEL_ALIAS") or settings.get("channel_alias"):
        found[public] = [f"{_location(alias, 'channel_alias')}/"]
    custom = settings.get("custom_channels")
    for name, location in custom.items() if isinstance(custom, dict) else ():
        found[f"{public}{name}/"] = [f"{_location(location, 'custom_channels')}/{name}/"]
    return {**found, **config().mirrors}


def _location(value: object, setting: str) -> str:
    """A URL of conda's configuration, without a slash at its end."""
    try:
        location = str(Channel(str(value)).base_url)
        if not urlsplit(str(value)).scheme or not urlsplit(location).scheme:
            raise ValueError
    except (ValueError, InvalidChannelError):
        raise CannotError(f"{setting} in .condarc holds what is no URL", "correct it") from None
    return str(value).rstrip("/")


def fetched_from(url: str) -> str:
    """Where `url` is really fetched: at the first mirror for it, here without its password."""
    for public, urls in mirrors().items():
        base = public.rstrip("/")
        if f"{url}/".startswith(f"{base}/"):
            return _without_password(urls[0]).rstrip("/") + url[len(base) :]
    return url


def _condarc() -> dict[str, Any]:
    """conda's configuration; what is nearer to the user comes later and wins.

    Source: conda's `conda/base/constants.py`, SEARCH_PATH, without what belongs to a conda
    installation. Variables in it are expanded, as conda does.
    """
    system = "C:/ProgramData/conda/.condarc" if sys.platform == "win32" else "/etc/conda/.condarc"
    xdg = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    files = [system, f"{xdg}/conda/.condarc", "~/.conda/.condarc", "~/.condarc"]
    settings: dict[str, Any] = {}
    for file in [*files, os.environ.get("CONDARC") or "~/.condarc"]:
        try:
            text = Path(file).expanduser().read_text(encoding="utf-8")
            settings |= yaml.safe_load(os.path.expandvars(text)) or {}
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, RuntimeError):
            continue
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError):
            raise CannotError(f"{file} cannot be read", "correct it") from None
    return settings


def _basic(url: str) -> dict[str, str]:
    """The header for the user and password in `url`, if there are any (RFC 7617)."""
    parts = urlsplit(url)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
