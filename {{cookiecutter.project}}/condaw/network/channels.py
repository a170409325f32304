"""How channels are reached: rattler's client, with what the user has configured already."""

import asyncio
import base64
import functools
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from rattler import Client, Config, Gateway
from rattler.exceptions import ConfigError, GatewayError, InvalidUrlError
from rattler.networking import middleware

from condaw.base.console import note
from condaw.base.errors import CannotError
from condaw.base.project import own_cache

PUBLIC = "https://conda.anaconda.org/"  # where a channel with a bare name is
INSTEAD = {
    "client_ssl_cert": "reach that channel through a mirror",
    "custom_multichannels": "name its channels in environment.yml",
    "proxy_servers": "set HTTPS_PROXY",
    "ssl_verify": "set SSL_CERT_FILE",
}
"""Settings of conda that condaw does not follow, and what to do."""
TIMEOUT = 3600  # seconds that one request may take in all, for a large package on a slow line
DOWNLOADS = 16  # packages that are fetched at the same time. More take memory, and are no quicker

note_once = functools.cache(note)


@functools.cache
def config() -> Config:
    """Return the user's rattler configuration: mirrors, proxies, TLS roots, credential store."""
    try:
        found = Config.load_from_default_locations("rattler")
    except ConfigError as error:
        raise CannotError(f"rattler's config.toml cannot be read: {error}", "correct it") from None
    found.set("concurrency.downloads", str(min(found.concurrency_downloads, DOWNLOADS)))
    return found


@functools.cache
def client() -> Client:
    """Return a client that follows `config` and .condarc, retries, and does not wait for ever."""
    if not (found := mirrors()):
        return Client.from_config(config(), max_retries=3, user_agent="condaw", timeout=TIMEOUT)
    # `from_config` would give the mirror the credentials of the host that it stands for.
    if store := config().authentication_override_file:
        os.environ.setdefault("RATTLER_AUTH_FILE", str(store))
    bare = {public: [_without_password(url) for url in urls] for public, urls in found.items()}
    try:
        mirror = middleware.MirrorMiddleware(bare)
    except InvalidUrlError as error:
        raise CannotError(f"a mirror is not a URL: {error}", "correct .condarc") from None
    # Asked before a mirror takes the channel's place: rattler does not tell the mirror's port.
    ours = {name: urls[0] for name, urls in found.items() if name.startswith(PUBLIC)}
    nearest = sorted(ours, key=len, reverse=True)

    def header(host: str, path: str) -> dict[str, str]:
        names = (name for name in nearest if f"https://{host}{path}".startswith(name))
        return _basic(ours.get(next(names, ""), ""))

    return Client(
        [
            middleware.RetryMiddleware(3),
            middleware.AddHeadersMiddleware(header),
            mirror,
            middleware.AuthenticationMiddleware(),
            middleware.OciMiddleware(),
        ],
        user_agent="condaw",
        timeout=TIMEOUT,
    )


def gateway() -> Gateway:
    """Return rattler's reader of the channels' indexes, which keeps them in condaw's cache."""
    return Gateway.from_config(config(), cache_dir=own_cache() / "repodata", client=client())


def has_python(urls: Sequence[str], subdir: str) -> bool:
    """Return whether the channels have a python for `subdir`: not if a folder of that name is
    missing (404). Raises CannotError after any other failure."""
    query = gateway().query(list(urls), [subdir], ["python"], recursive=False)  # type: ignore[list-item]
    try:
        return any(asyncio.run(query))
    except GatewayError as error:
        cause = f"the channels cannot be read: {' '.join(str(error).split())}"
        step = "check channels: in environment.yml, the network, and your password for the channel"
        raise CannotError(cause, step) from None


def mirrors() -> dict[str, list[str]]:
    """Return where to fetch instead of a public URL: as rattler has it, else as conda has it."""
    settings = {key: value for key, (value, _) in condarc().items()}
    alias = os.environ.get("CONDA_CHANNEL_ALIAS") or settings.get("channel_alias")
    found = {PUBLIC: str(alias)} if alias else {}
    custom = settings.get("custom_channels")
    for name, location in custom.items() if isinstance(custom, dict) else ():
        found[f"{PUBLIC}{name}/"] = f"{str(location).rstrip('/')}/{name}"
    ours = {public: [f"{location.rstrip('/')}/"] for public, location in found.items()}
    return {**ours, **config().mirrors}


def local_path(url: str) -> Path | None:
    """Return the file or folder that a `file:` URL names, also on a Windows server (RFC 8089)."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return None
    from urllib.request import url2pathname  # slow to load, and rarely needed

    host = "" if parts.netloc in ("", "localhost") else f"//{parts.netloc}"
    return Path(host + url2pathname(parts.path))


def fetched_from(url: str) -> str:
    """Return where `url` is fetched: at the first mirror for it, without the mirror's password."""
    for public, urls in mirrors().items():
        base = public.rstrip("/")
        if f"{url}/".startswith(f"{base}/"):
            return _without_password(urls[0]).rstrip("/") + url[len(base) :]
    return url


def condarc() -> dict[str, tuple[Any, Path]]:
    """Return conda's configuration, each setting with its file. Maps are merged."""
    found: dict[str, tuple[Any, Path]] = {}
    for file in _condarc_files():
        try:
            text = file.read_text(encoding="utf-8") if file.is_file() else ""
            content = dict(yaml.safe_load(os.path.expandvars(text)) or {})
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError):
            raise CannotError(f"{file} cannot be read", "correct it") from None
        for key, value in content.items():
            before, _ = found.get(key, (None, None))
            merged = isinstance(before, dict) and isinstance(value, dict)
            found[key] = {**before, **value} if merged else value, file  # type: ignore[dict-item]
            if key in INSTEAD and value not in (True, "truststore", None, {}, []):
                note_once(f"{key} in {file} is ignored: {INSTEAD[key]}")
    return found


def _condarc_files() -> list[Path]:
    """Return the places of conda's configuration, the nearest to the user last. Source: conda's
    `conda/base/constants.py`, SEARCH_PATH."""
    variables = ("CONDA_ROOT", "XDG_CONFIG_HOME", "CONDA_PREFIX", "CONDARC")
    root, xdg, prefix, own = (Path(os.environ.get(name) or os.devnull) for name in variables)
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - this one never fails
    system = ["C:/ProgramData/conda"] if os.name == "nt" else ["/etc/conda", "/var/lib/conda"]
    user = [xdg / "conda", home / ".config" / "conda", home / ".conda", home, prefix]
    found = []
    for folder in (*map(Path, system), root, *user):
        drop_ins = sorted((folder / "condarc.d").glob("*.y*ml"))
        found += [folder / ".condarc", folder / "condarc", *drop_ins]
    return [*found, own.expanduser()]


def _basic(url: str) -> dict[str, str]:
    """Return the header for the user and password in `url`, if there are any (RFC 7617)."""
    parts = urlsplit(url)
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}".encode()
    basic = {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return basic if parts.username else {}


def _without_password(url: str) -> str:
    return re.sub("//[^/]*@", "//", url)
