"""Which hosts: arguments, a hosts file, and the inventories of netmiko, nornir and Ansible.

All become entries of netmiko's format: a name, and arguments of its ConnectHandler.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .failures import UsageError

Entry = dict[str, Any]
"""Arguments of netmiko's ConnectHandler."""
Entries = dict[str, Entry]
Groups = dict[str, list[str]]
"""The members of each group: hosts, or other groups."""

_HOST = re.compile(
    r"(?:(?P<username>[^@:\s]+)@)?"
    r"(?:\[(?P<v6>[\w.:%]+)\]|(?P<bare>[\da-fA-F]*:[\da-fA-F]*:[\w.:%]*)|(?P<host>\w[\w.-]*))"
    r"(?::(?P<port>\d{1,5}))?"
)


def parse(text: str) -> Entry:
    """Read `[user@]host[:port]`; an IPv6 address with a port has brackets. Raises UsageError."""
    found = _HOST.fullmatch(text)
    if not found or not 0 < int(found["port"] or 22) < 65536:
        user, _, host = text.rpartition("@")
        shown = f"...@{host}" if ":" in user else text  # what follows the colon is a password
        raise UsageError(f"expected [user@]host[:port], not {shown!r}")
    host = found["v6"] or found["bare"] or found["host"]
    entry = {"host": host, "username": found["username"], "port": int(found["port"] or 0)}
    return {key: value for key, value in entry.items() if value}


def read(arguments: list[str], files: Iterable[str]) -> Entries:
    """Return all hosts that are asked for, each once. Raises UsageError and OSError.

    An argument may be the name of a host or a group in a file; without arguments all are meant.
    """
    hosts: Entries = {}
    groups: Groups = {}
    for file in files:
        more, names = _file(Path(file))
        for name, entry in more.items():
            if hosts.setdefault(name, entry) != entry:
                raise UsageError(f"{file}: {name!r} is in another inventory too, and differs")
        for name, members in names.items():
            groups[name] = [*groups.get(name, []), *members]
    groups.setdefault("all", list(hosts))
    chosen: Entries = {} if arguments else hosts
    for argument in arguments:
        if hosts and argument in groups:
            chosen |= {name: hosts[name] for name in _members(argument, groups) if name in hosts}
        else:
            chosen[argument] = hosts.get(argument) or parse(argument)
    return chosen


def _members(group: str, groups: Groups) -> list[str]:
    """Return what is in a group and in the groups in it; a group may be in itself."""
    found = {group: None}
    for name in (names := [group]):  # grows
        names += [member for member in groups.get(name, []) if member not in found]
        found |= dict.fromkeys(names)
    return names


def _file(path: Path) -> tuple[Entries, Groups]:
    if path.is_dir() or path.suffix.lower() in (".yml", ".yaml", ".json"):
        from .inventory_files import read_file  # YAML, where there is some

        return read_file(path)
    entries: Entries = {}
    for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), 1):
        host, *more = line.partition("#")[0].split() or [""]
        try:
            if len(more) > 1:
                raise UsageError(f"expected [user@]host[:port] [device_type], not {line!r}")
            entry = (parse(host) if host else {}) | ({"device_type": more[0]} if more else {})
            if host and entries.setdefault(host, entry) != entry:
                raise UsageError(f"{host!r} has another device type above")
        except UsageError as error:
            raise UsageError(f"{path}:{number}: {error}") from None
    return entries, {}
