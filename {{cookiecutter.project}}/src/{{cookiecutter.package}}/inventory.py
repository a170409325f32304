"""Hosts from where people have them: arguments, a hosts file, netmiko's own inventory.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler.
"""

import inspect
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Entries = dict[str, dict[str, Any]]

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
    entry = {"host": found["v6"] or found["bare"] or found["host"]}
    optional = {"username": found["username"], "port": found["port"] and int(found["port"])}
    return entry | {key: value for key, value in optional.items() if value}


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


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: expected an inventory, but it cannot be read: {error}") from None


def _hosts_file(file: str) -> Entries:
    entries: Entries = {}
    for number, line in enumerate(_text(file).splitlines(), 1):
        match line.partition("#")[0].split():
            case []:
                continue
            case [host] if _HOST.fullmatch(host):
                entries[host] = parse(host)
            case [host, device_type] if _HOST.fullmatch(host):
                entries[host] = parse(host) | {"device_type": device_type}
            case _:
                expected = "[user@]host[:port] [device_type]"
                raise UsageError(f"{file}:{number}: expected {expected}, not {line.strip()!r}")
    return entries


def _netmiko_file(file: str) -> tuple[Entries, dict[str, list[str]]]:
    import yaml
    from netmiko.encryption_handling import decrypt_config, get_encryption_key
    from netmiko.utilities import load_netmiko_yml

    _text(file)
    try:
        meta, found = load_netmiko_yml(file)
        if meta.get("encryption"):
            kind = meta.get("encryption_type", "fernet")
            found = decrypt_config(found, get_encryption_key(), kind)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{file}:{line}: not valid YAML: {error.problem}") from None
    except AttributeError:
        raise UsageError(f"{file}:1: expected 'name:' and under it a host's settings") from None
    except ValueError as error:
        raise UsageError(f"{file}: {error}") from None
    groups = {str(name): list(map(str, v)) for name, v in found.items() if isinstance(v, list)}
    hosts = {str(name): v for name, v in found.items() if not isinstance(v, list)}
    for name, entry in hosts.items():
        _check(file, name, entry)
    for name, members in groups.items():
        if missing := [member for member in members if member not in hosts]:
            raise UsageError(f"{_at(file, name)}: group {name!r} has no host {missing[0]!r}")
    return hosts, groups


def _check(file: str, name: str, entry: Any) -> None:
    from netmiko.base_connection import BaseConnection

    if not isinstance(entry, dict):
        expected = "settings (device_type: and host:) or a list of names, which is a group"
        raise UsageError(f"{_at(file, name)}: expected under {name!r} {expected}")
    entry.setdefault("host", entry.pop("ip", None))
    known = inspect.signature(BaseConnection).parameters
    if unknown := [key for key in entry if key not in known]:
        expected = "a setting of netmiko's ConnectHandler"
        raise UsageError(f"{_at(file, name, unknown[0])}: expected {expected}, not {unknown[0]!r}")
    if not isinstance(entry["host"], str):
        raise UsageError(f"{_at(file, name)}: expected under {name!r} a host: name or address")
    if not isinstance(entry.get("port", 22), int) or not 0 < entry.get("port", 22) < 65536:
        raise UsageError(f"{_at(file, name, 'port')}: expected a port from 1 to 65535")


def _at(file: str, *keys: str) -> str:
    """The place of a key in a YAML file, as file:line."""
    import yaml

    node, line = yaml.compose(_text(file), yaml.SafeLoader), 1
    for key in keys:
        for found, value in node.value:
            if found.value == key:
                node, line = value, found.start_mark.line + 1
                break
    return f"{file}:{line}"
