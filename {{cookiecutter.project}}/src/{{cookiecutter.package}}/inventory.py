"""Hosts from where people have them: arguments, a hosts file, netmiko's own inventory.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler.
"""

import getpass
import inspect
import os
import re
import shlex
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

from .hostkeys import KnownHosts
from .session import Target

Entries = dict[str, dict[str, Any]]

_MALFORMED = (AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)

_HOST = re.compile(
    r"(?:(?P<username>[^@\s]+)@)?"
    r"(?:\[(?P<v6>[\w.:%]+)\]|(?P<bare>[\da-fA-F]*:[\da-fA-F]*:[\w.:%]*)|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)


class UsageError(Exception):
    """What the user gave cannot be used; the message says where, and what was expected."""


def parse(text: str) -> dict[str, Any]:
    """Read `[user@]host[:port]`; brackets around an IPv6 address with a port."""
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        raise UsageError(f"{text!r} is not [user@]host[:port]")
    entry: dict[str, Any] = {"host": found["v6"] or found["bare"] or found["host"]}
    entry |= {"username": found["username"]} if found["username"] else {}
    return entry | ({"port": int(found["port"])} if found["port"] else {})


def read(arguments: list[str], files: Iterable[str]) -> Entries:
    """All hosts asked for, each once. Raises UsageError.

    An argument may be the name of a host or a group in a file; without arguments all are meant.
    """
    hosts: Entries = {}
    groups: dict[str, list[str]] = {}
    for file in files:
        yaml = Path(file).suffix in (".yml", ".yaml")
        more, names = _netmiko_file(file) if yaml else (_hosts_file(file), {})
        hosts, groups = hosts | more, groups | names
    groups.setdefault("all", list(hosts))
    if not arguments:
        return hosts
    chosen: Entries = {}
    for argument in arguments:
        if hosts and argument in groups:
            chosen |= {name: hosts[name] for name in groups[argument]}
        else:
            chosen[argument] = hosts.get(argument) or parse(argument)
    return chosen


def _hosts_file(file: str) -> Entries:
    entries: Entries = {}
    text = Path(file).read_text("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        host, *device_type = line.partition("#")[0].split() or [""]
        if len(device_type) > 1 or (host and not _HOST.fullmatch(host)):
            expected = "[user@]host[:port] [device_type]"
            raise UsageError(f"{file}:{number}: expected {expected}, not {line.strip()!r}")
        if host:
            entries[host] = parse(host) | dict(zip(["device_type"], device_type, strict=False))
    return entries


def _netmiko_file(file: str) -> tuple[Entries, dict[str, list[str]]]:
    import yaml
    from cryptography.fernet import InvalidToken
    from netmiko.base_connection import BaseConnection
    from netmiko.encryption_handling import decrypt_config, get_encryption_key
    from netmiko.utilities import load_netmiko_yml

    text = Path(file).read_text("utf-8", "replace")
    try:
        meta, found = load_netmiko_yml(file)
        if meta.get("encryption"):
            kind = meta.get("encryption_type", "fernet")
            found = decrypt_config(found, get_encryption_key(), kind)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{file}:{line}: expected YAML: {error.problem}") from None
    except (*_MALFORMED, yaml.YAMLError, InvalidToken) as error:  # netmiko has none of its own
        said = str(error) or type(error).__name__
        raise UsageError(f"{file}:1: expected hosts, as 'name:' and settings: {said}") from None
    settings = inspect.signature(BaseConnection).parameters
    hosts = {name: entry for name, entry in found.items() if isinstance(entry, dict)}
    groups = {name: entry for name, entry in found.items() if isinstance(entry, list)}
    for name, entry in found.items():
        strange: list[str] = []
        if name in groups and (strange := [m for m in entry if not _is_among(m, hosts)]):
            problem = f"the name of a host, not {strange[0]!r}"
        elif name in groups:
            continue
        elif name not in hosts or not isinstance(entry.get("host", entry.get("ip")), str):
            problem = "settings with host: under a name, or a list of names for a group"
        elif strange := [key for key in entry if key not in settings]:
            problem = f"a setting of netmiko's ConnectHandler, not {strange[0]!r}"
        elif not isinstance(entry.get("port", 22), int):
            strange, problem = ["port"], f"a number as port, not {entry['port']!r}"
        else:
            entry.setdefault("host", entry.pop("ip", None))
            continue
        raise UsageError(f"{file}:{_line(text, name, *strange)}: expected {problem}")
    return hosts, groups


def _is_among(member: object, hosts: Entries) -> bool:
    """Whether a group's member is a host; YAML also has lists and sets there."""
    return isinstance(member, Hashable) and member in hosts


def _line(text: str, *keys: object) -> int:
    """The number of the line where a key of a YAML text stands."""
    number = 0
    for key in keys:
        below = enumerate(text.splitlines()[number:], number + 1)
        number = next((n for n, line in below if line.strip(" '\"").startswith(str(key))), number)
    return number


def resolve(
    entries: Entries,
    flags: dict[str, Any],
    known: KnownHosts,
    config: Path,
    password: Callable[[str, str, bool], str | None],
) -> list[Target]:
    """One target for each entry: what it says goes before flags, they go before ssh_config.

    `password` is asked by user, host, and whether it is needed. Raises UsageError.
    """
    import paramiko

    try:
        text = config.read_text("utf-8", "replace") if config.is_file() else ""
        ssh_config = paramiko.SSHConfig.from_text(text)
        sections = {name: ssh_config.lookup(entry["host"]) for name, entry in entries.items()}
        ports = {name: int(section.get("port", 22)) for name, section in sections.items()}
    except (paramiko.SSHException, ValueError) as error:
        raise UsageError(f"{config}: expected ssh_config: {error}") from None
    targets = []
    for name, entry in entries.items():
        section: dict[str, Any] = sections[name]
        keys = [file for file in section.get("identityfile", ()) if Path(file).is_file()]
        settings: dict[str, Any] = {
            "username": section.get("user") or getpass.getuser(),
            "port": ports[name],
            "device_type": "linux",
            "key_file": keys[0] if keys else None,
            "passphrase": os.environ.get("SSH_UPTIME_PASSPHRASE"),
        }
        settings |= flags | entry | {"host": section["hostname"], "ssh_config_file": None}
        settings["use_keys"] = bool(settings["key_file"])
        host, port = settings["host"], settings["port"]
        if settings.get("password") is None:
            needed = not (settings["use_keys"] or settings.get("allow_agent"))
            settings["password"] = password(settings["username"], host, needed)
        for secret in ("password", "passphrase", "secret"):  # YAML may have read a number
            settings |= {secret: str(settings[secret])} if settings.get(secret) else {}
        proxy = section.get("proxycommand") or _jump(section, host, port, config, known)
        trust = known.trust(host, port, section.get("hostkeyalias"))
        targets.append(Target(name, settings, trust, proxy))
    return targets


def _jump(section: dict[str, Any], host: str, port: int, config: Path, known: KnownHosts) -> str:
    """The ssh command that goes through ProxyJump. It asks nothing: jump hosts want a key."""
    *first, last = section.get("proxyjump", "none").split(",")
    if last == "none":
        return ""
    command = ["ssh", "-F", str(config), "-W", f"[{host}]:{port}", "-oBatchMode=yes"]
    strict = {"strict": "yes", "accept-new": "accept-new", "insecure": "no"}[known.mode]
    files = " ".join(map(str, known.files))
    command += [f"-oStrictHostKeyChecking={strict}", f"-oUserKnownHostsFile={files}"]
    jumps = ["-J", ",".join(first)] if first else []
    return shlex.join([*command, *jumps, f"ssh://{last.removeprefix('ssh://')}"])
