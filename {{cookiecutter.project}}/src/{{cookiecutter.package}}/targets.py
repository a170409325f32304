"""From named hosts to targets: what a host says goes before flags, flags before ssh_config."""

import getpass
import os
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from .hostkeys import KnownHosts
from .inventory import Entries, UsageError
from .session import Target

# netmiko's settings for host keys give way to our check, which is always on.
_OURS = ("ssh_strict", "system_host_keys", "alt_host_keys", "alt_key_file", "ssh_config_file")
_STRICT = {"strict": "yes", "accept-new": "accept-new", "insecure": "no"}


def resolve(
    entries: Entries,
    flags: dict[str, Any],
    known: KnownHosts,
    config: Path | None,
    password: Callable[[str, str, bool], str | None],
) -> Iterable[Target]:
    """One target for each entry. `password` is asked by user, host, and whether it is needed.

    Raises UsageError for an ssh_config that cannot be read.
    """
    import paramiko

    try:
        parsed = paramiko.SSHConfig.from_path(str(config)) if config else paramiko.SSHConfig()
    except (OSError, UnicodeDecodeError, paramiko.SSHException) as error:
        raise UsageError(f"{config}: cannot be read as ssh_config: {error}") from None
    for name, entry in entries.items():
        section: dict[str, Any] = parsed.lookup(entry["host"])
        settings = _defaults(section) | flags | entry | {"host": section["hostname"]}
        host, port, user = (settings[key] for key in ("host", "port", "username"))
        settings["use_keys"] = bool(settings.get("key_file"))
        if settings.get("password") is None:
            needed = not (settings["use_keys"] or settings.get("allow_agent"))
            settings["password"] = password(user, host, needed)
        kept = {key: value for key, value in settings.items() if key not in _OURS}
        proxy = section.get("proxycommand") or _jump(section, host, port, config, known)
        yield Target(name, kept, known.trust(host, port, section.get("hostkeyalias")), proxy)


def _defaults(section: dict[str, Any]) -> dict[str, Any]:
    keys = [file for file in section.get("identityfile", ()) if Path(file).is_file()]
    return {
        "username": section.get("user") or getpass.getuser(),
        "port": int(section.get("port", 22)),
        "key_file": keys[0] if keys else None,
        "passphrase": os.environ.get("SSH_UPTIME_PASSPHRASE"),
    }


def _jump(
    section: dict[str, Any], host: str, port: int, config: Path | None, known: KnownHosts
) -> str | None:
    """ProxyJump as ssh does it. It logs in to the jump host by key or agent, and asks nothing."""
    *before, last = section.get("proxyjump", "none").split(",")
    if last == "none":
        return None
    files = " ".join(str(file) for file in known.files)
    options = ["BatchMode=yes", f"StrictHostKeyChecking={_STRICT[known.mode]}"]
    command = ["ssh", "-F", str(config), "-W", f"[{host}]:{port}"]
    command += [part for option in options for part in ("-o", option)]
    command += ["-o", f"UserKnownHostsFile={files}"] + (["-J", ",".join(before)] if before else [])
    return shlex.join([*command, last])
